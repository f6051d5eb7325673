//! A page of the user's with a place for a text that the program knows.

use std::fmt;
use std::sync::Arc;

use number8_proto::headers::Fields;
use number8_proto::http1::{BodySize, Method, Prepared};

use crate::access::Rights;
use crate::app::Escaped;
use crate::body::Body;
use crate::handler::{Answer, Call, Handler};
use crate::response::Response;

/// Fills a text into the pages of a handler (row B18): each `{{name}}` in an HTML page becomes that text, escaped, so that it
/// can stand between tags, in a `textarea` or in an attribute with double quotes.
///
/// Only whole pages that are sent as they are, of at most 1 MiB, are looked at; one that was filled in is not kept by caches.
///
/// SECURITY: a page that the handler sends in a sandbox ([`Sandboxed`](crate::Sandboxed)) may be somebody else's, whose script
/// could send the text away: nothing is filled into it. So `Prefilled` goes around `Sandboxed`.
///
/// ```no_run
/// use number8::{App, Files, Prefilled};
///
/// let files = Prefilled::new(Files::new("public")?, "code", || Some("print(8)".into()));
/// let app = App::new().mount("/", files);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Prefilled<H> {
    handler: H,
    filler: Arc<Filler>,
    /// What it takes to see the text, and where.
    needs: Option<(Rights, Box<str>)>,
}

struct Filler {
    place: String,
    text: Box<dyn Fn() -> Option<Arc<str>> + Send + Sync>,
}

impl<H: Handler> Prefilled<H> {
    /// Fills in what the function says, or nothing where it says nothing. It must not wait.
    pub fn new(
        handler: H,
        name: &str,
        text: impl Fn() -> Option<Arc<str>> + Send + Sync + 'static,
    ) -> Self {
        let place = format!("{{{{{name}}}}}");
        let filler = Arc::new(Filler { place, text: Box::new(text) });
        Self { handler, filler, needs: None }
    }

    /// Only who has these rights at this path sees the text; everybody else sees the page with nothing filled in.
    #[must_use]
    pub fn needs(mut self, rights: Rights, at: &str) -> Self {
        self.needs = Some((rights, at.into()));
        self
    }
}

impl<H: Handler> Handler for Prefilled<H> {
    fn handle(&self, call: Call<'_>) -> Answer {
        let method = call.head.method();
        let user = call.caller.user.as_deref();
        let may_see = self
            .needs
            .as_ref()
            .is_none_or(|(rights, at)| call.access().decide(user, *rights, at.as_bytes()).is_ok());
        let answer = self.handler.handle(call);
        match (method, answer) {
            (Method::Get | Method::Head, Answer::Ready(response)) if !is_page(&response) => {
                response.into()
            }
            (Method::Get, answer) => {
                let filler = Arc::clone(&self.filler);
                Answer::later(async move { filler.fill(answer.wait().await, may_see).await })
            }
            (Method::Head, answer) => Answer::later(async { without_content(answer.wait().await) }),
            (_, answer) => answer,
        }
    }

    fn allow(&self) -> &str {
        self.handler.allow()
    }

    fn measure(&self, sheet: &mut crate::metrics::Sheet) {
        self.handler.measure(sheet);
    }
}

impl Filler {
    async fn fill(&self, mut response: Response, may_see: bool) -> Response {
        if !is_page(&response) {
            return response;
        }
        let Ok(content) = std::mem::take(&mut response.body).bytes().await else {
            return crate::response::failed();
        };
        let page = match str::from_utf8(&content) {
            Ok(page) if page.contains(&self.place) => page,
            _ => {
                response.body = Body::from(content);
                return response;
            }
        };
        let text = (self.text)().filter(|_| may_see && !is_in_sandbox(&response));
        let filled = page.replace(&self.place, &Escaped(text.as_deref().unwrap_or("")).to_string());
        Response::from_fields(200, fields_of_page(&response), filled.into())
            .with_known("Cache-Control", "no-store")
    }
}

/// The fields of a response that do not stand for the file.
fn fields_of_page(response: &Response) -> Fields {
    const OF_FILE: [&str; 4] = ["ETag", "Last-Modified", "Accept-Ranges", "Cache-Control"];
    let mut fields = Fields::new();
    for (name, value) in response.fields() {
        if !OF_FILE.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            // It was a field before.
            let _ = fields.push(name, value);
        }
    }
    fields
}

/// The answer to HEAD, which has not looked for places in the page: what would depend on them is left out (RFC 9110 §9.3.2).
fn without_content(response: Response) -> Response {
    if !is_page(&response) {
        return response;
    }
    let head = Prepared::new(200, &fields_of_page(&response), BodySize::Unknown);
    Response::prepared(Arc::new(head), Body::empty())
}

/// Whether this is a whole page that can be looked at.
fn is_page(response: &Response) -> bool {
    let is_html = response.field("Content-Type").is_some_and(|value| {
        value.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"text/html"))
    });
    response.status() == 200
        && is_html
        && response.field("Content-Encoding").is_none()
        && response.body.len().is_some_and(|length| length <= PAGE_BYTES_MAX)
}

/// Whether a field has the browser take it for a page of no site.
fn is_in_sandbox(response: &Response) -> bool {
    let mut policies = response
        .fields()
        .filter(|(name, _)| name.eq_ignore_ascii_case("Content-Security-Policy"))
        .flat_map(|(_, value)| value.split(|byte| b",;".contains(byte)));
    policies.any(|directive| {
        let mut words = directive.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        words.next().is_some_and(|name| name.eq_ignore_ascii_case(b"sandbox"))
    })
}

impl<H> fmt::Debug for Prefilled<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefilled").field("place", &self.filler.place).finish_non_exhaustive()
    }
}

const PAGE_BYTES_MAX: u64 = 1 << 20;
