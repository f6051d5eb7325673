//! The answers that an app writes itself.

use std::fmt;

use number8_proto::http1::{Head, Method, reason};
use number8_proto::negotiate::{names_html, prefers_json};

use crate::caller::Caller;
use crate::response::Response;

pub(super) fn health(method: Method) -> Response {
    told(method, 200, "ok\n".into())
}

/// Whether a new request is welcome, or why not.
pub(crate) fn readiness(method: Method, unready: Option<&str>) -> Response {
    match unready {
        None => told(method, 200, "ready\n".into()),
        Some(why) => told(method, 503, format!("{why}\n")).with_known("Retry-After", "1"),
    }
}

fn told(method: Method, status: u16, text: String) -> Response {
    match method {
        Method::Get | Method::Head => Response::new(status, text)
            .with_known("Content-Type", "text/plain; charset=utf-8")
            .with_known("Cache-Control", "no-store"),
        Method::Options => Response::options("GET, HEAD, OPTIONS"),
        _ => Response::not_allowed("GET, HEAD, OPTIONS"),
    }
}

/// The media type and the content of an answer that only says what is wrong, as its client reads it: problem details (RFC 9457)
/// for who likes JSON best, a page for browsers, with a way on where there is one, a line for everybody else.
pub(super) fn explained(
    accept: &[u8],
    status: u16,
    explanation: &str,
    way_on: Option<WayOn<'_>>,
) -> (&'static str, String) {
    let reason = reason(status);
    if prefers_json(accept) {
        let (title, detail) = (Quoted(reason), Quoted(explanation));
        let content = format!("{{\"title\":{title},\"status\":{status},\"detail\":{detail}}}\n");
        return ("application/problem+json", content);
    }
    if names_html(accept) {
        return ("text/html; charset=utf-8", plain_page(status, explanation, way_on));
    }
    ("text/plain; charset=utf-8", format!("{status} {reason}: {explanation}\n"))
}

/// Who is logged in by a page and may not do this may be somebody else too: the address of the form that leads back.
pub(super) struct WayOn<'a> {
    user: &'a str,
    login: String,
}

impl<'a> WayOn<'a> {
    pub(super) fn of((head, caller): (&Head<'_>, &'a Caller)) -> Option<Self> {
        let (user, doors) = (caller.user.as_deref()?, caller.doors.as_ref()?);
        // Whom a program named by itself has no session that another login would replace.
        caller.form_token.as_ref()?;
        // What was to be sent is gone: only a page can be come back to.
        let target = if head.method() == Method::Get { head.target() } else { b"/" };
        Some(Self { user, login: doors.login_for(target) })
    }
}

impl fmt::Display for WayOn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, login) = (Escaped(self.user), Escaped(&self.login));
        writeln!(f, "<p>You are {user} here: <a href=\"{login}\">log in as somebody else</a>.</p>")
    }
}

/// A page that stands alone: no script, no outside part, readable in the light and in the dark.
fn plain_page(status: u16, explanation: &str, way_on: Option<WayOn<'_>>) -> String {
    let reason = reason(status);
    let way_on = way_on.map_or_else(String::new, |way_on| way_on.to_string());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{status} {reason}</title>\n\
         <style>{STYLE}</style>\n<h1>{status} {reason}</h1>\n<p>{}.</p>\n{way_on}</html>\n",
        Escaped(explanation)
    )
}

/// An explanation is written as a part of a sentence, so it begins without a capital.
const STYLE: &str = "body{max-width:40rem;margin:0 auto;padding:1rem;font:1rem/1.5 system-ui,sans-serif}\
    p::first-letter{text-transform:uppercase}";

/// A text as a string of JSON (RFC 8259 §7); `serde_json` is there with some features only.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// Text as a page shows it, also in an attribute with double quotes.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
