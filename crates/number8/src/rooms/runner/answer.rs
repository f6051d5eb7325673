//! Answers: JSON for programs and scripts, pages and redirects for browsers without (rows B15 to B17).

use bytes::{Bytes, BytesMut};
use number8_proto::headers::Known;
use number8_proto::negotiate::prefers_json;
use serde_json::Value;

use super::output::plain;
use crate::app::Escaped;
use crate::body::Body;
use crate::error::Error;
use crate::handler::Call;
use crate::response::Response;
use crate::results::{Html, IntoResponse, Redirect};

/// Where the room is, and in which form this client wants answers.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: String,
    wants_json: bool,
    /// What forms send back, as a query.
    query: String,
}

impl Place {
    pub(super) fn of(call: &Call<'_>) -> Self {
        let path = call.head.path();
        let own = path.get(..path.len() - call.path.len()).unwrap_or_default();
        // A target is visible ASCII.
        let path = String::from_utf8_lossy(own).into_owned();
        let wants_json = call.head.get(Known::Accept).is_some_and(prefers_json);
        let token = call.caller.form_token.as_deref();
        let query = token.map_or_else(String::new, |token| format!("?token={token}"));
        Self { path, wants_json, query }
    }

    /// A program has been started.
    pub(super) fn started(&self, state: &Value) -> Response {
        if self.wants_json { document(state).with_status(201) } else { self.redirect() }
    }

    /// What was asked for is done, or under way.
    pub(super) fn done(&self, state: &Value) -> Response {
        if self.wants_json { document(state) } else { self.redirect() }
    }

    fn redirect(&self) -> Response {
        let to = if self.path.is_empty() { "/" } else { &self.path };
        Redirect::to(to).into_response().with_known("Cache-Control", "no-store")
    }

    /// What runs, for whoever asks.
    pub(super) fn state(
        &self,
        state: &Value,
        output: impl FnOnce() -> String,
        index: &str,
    ) -> Response {
        let response = if self.wants_json {
            document(state)
        } else if state["state"] == "running" {
            self.running(state, &output())
        } else {
            Redirect::to(index).into_response().with_known("Cache-Control", "no-store")
        };
        response.with_known("Vary", "Accept")
    }

    /// The page that says `Running...` and asks again every five seconds.
    fn running(&self, state: &Value, output: &str) -> Response {
        let started = started(state);
        let started = Escaped(&started);
        let output = plain(last_of(output));
        let (path, output) = (Escaped(&self.path), Escaped(&output));
        let query = Escaped(&self.query);
        let page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>Running...</title>\n<style>{STYLE}</style>\n<h1>Running...</h1>\n\
             <p>{started}</p>\n\
             <form method=\"post\" action=\"{path}/stop{query}\"><button>Stop</button></form>\n\
             <pre>{output}</pre>\n</html>\n"
        );
        Html(page).into_response().with_known("Cache-Control", "no-store")
    }
}

/// Who has started what runs, and how long ago.
fn started(state: &Value) -> String {
    let by = match state["by"].as_str() {
        Some(name) => format!(" by {name}"),
        None if state["at_start"] == true => " by the server".to_owned(),
        None => String::new(),
    };
    let seconds = state["seconds"].as_f64().unwrap_or_default();
    format!("Started{by}, {seconds:.0} s ago.")
}

/// A JSON document that is told anew each time.
pub(super) fn document(value: &Value) -> Response {
    Response::new(200, value.to_string())
        .with_known("Content-Type", "application/json")
        .with_known("Cache-Control", "no-store")
}

/// # Errors
/// 413, or that the client is gone.
pub(super) async fn read_all(
    body: Body,
    bytes_max: usize,
    what: &'static str,
) -> Result<Bytes, Error> {
    let mut all = BytesMut::new();
    let mut body = body.limit(bytes_max as u64);
    let gathered = body.gathered();
    loop {
        match body.chunk().await {
            Ok(Some(chunk)) if all.len() + chunk.len() > bytes_max => {
                return Err(too_large(bytes_max, what));
            }
            Ok(Some(chunk)) => {
                all.extend_from_slice(&chunk);
                gathered.is(all.len());
            }
            Ok(None) => return Ok(all.freeze()),
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) fn too_large(bytes_max: usize, what: &str) -> Error {
    Error::new(413, format!("{what} has at most {bytes_max} bytes"))
}

/// The end of a text, as much as a page should have.
fn last_of(text: &str) -> &str {
    let mut from = text.len().saturating_sub(PAGE_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default()
}

/// Room for a thumb, and output that is no wider than the page.
const STYLE: &str = "body { margin: 1rem; font: 1rem/1.5 system-ui, sans-serif; } \
    button { min-height: 2.75rem; padding: 0 1rem; font: inherit; } \
    pre { white-space: pre-wrap; overflow-wrap: anywhere; }";

/// How often a page asks whether the program has ended (row B16).
const REFRESH_SECONDS: u32 = 5;

/// Bytes of output that the page shows.
const PAGE_BYTES: usize = 16 * 1024;
