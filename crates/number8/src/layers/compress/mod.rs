//! Answers of handlers, compressed for clients that take it (RFC 9110 §8.4, §12.5.3).
//!
//! Steps: is the answer one to compress, does the client take a coding, which; then content up to a size is compressed
//! at once, and what is longer, or a stream, while it is sent.

mod coded;

use std::sync::OnceLock;

use number8_codings::{Effort, MADE};
use number8_proto::headers::{Fields, Known};
use number8_proto::http1;
use number8_proto::negotiate::{Coding, accepted_encodings};
use number8_proto::syntax;

use crate::body::{Body, Kind};
use crate::caller::Caller;
use crate::handler::Call;
use crate::layer::{Before, Layer};
use crate::media;
use crate::response::Response;
use crate::server::lane::Lane;
use coded::Coded;

/// Shorter content gains less than the fields cost.
const BYTES_MIN: u64 = 512;

/// Longer pieces go to the lane: so much takes less than a millisecond.
const INLINE_BYTES_MAX: usize = 16 * 1024;

/// Compresses texts that handlers answer with, also while they are streamed: each chunk arrives before the next.
///
/// Left as they are: what is short, no text, in a coding already, a range, or `no-transform`; event streams, as each client
/// would hold a window of history; and files, which have copies of their own.
///
/// SECURITY: where a page has a secret and what a stranger chose, the length of the compressed page tells about the
/// secret (BREACH). Leave such pages out by `Cache-Control: no-transform`.
///
/// ```
/// use number8::App;
/// use number8::layers::compress::Compress;
///
/// let app = App::new().get("/", async || "Hello, world. ".repeat(100)).layer(Compress::new());
/// ```
#[derive(Debug)]
pub struct Compress {
    bytes_min: u64,
    /// Seen with the first request; an app is served by one server.
    lane: OnceLock<Lane>,
}

impl Default for Compress {
    fn default() -> Self {
        Self::new()
    }
}

impl Compress {
    /// Compresses content of 512 bytes and more.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes_min: BYTES_MIN, lane: OnceLock::new() }
    }

    /// Compresses content of so many bytes and more. A stream is compressed whatever its length.
    #[must_use]
    pub fn bytes_min(mut self, bytes: u64) -> Self {
        self.bytes_min = bytes;
        self
    }

    fn is_worth_it(&self, response: &Response) -> bool {
        let is_content = match &response.body.kind {
            Kind::Bytes(bytes, _) => bytes.len() as u64 >= self.bytes_min,
            Kind::Stream(..) | Kind::Incoming(_) | Kind::Limited(_) => true,
            _ => false,
        };
        let status = response.status();
        is_content
            && status != 206
            && !http1::is_without_content(status)
            && is_text(response)
            && !UNTOUCHED.iter().any(|name| response.field(name).is_some())
            && !is_listed(response, "Cache-Control", b"no-transform")
    }
}

/// What has one of these is coded already, a part, or vouched for byte by byte (RFC 9530).
const UNTOUCHED: [&str; 5] =
    ["Content-Encoding", "Content-Range", "Content-Digest", "Repr-Digest", "Digest"];

impl Layer for Compress {
    fn before(&self, call: &mut Call<'_>) -> Before {
        self.lane.get_or_init(|| call.lane.clone());
        Before::Go
    }

    fn after(&self, head: &http1::Head<'_>, _: &Caller, mut response: Response) -> Response {
        if !self.is_worth_it(&response) {
            return response;
        }
        let accepted = head.joined(Known::AcceptEncoding).unwrap_or_default();
        let coding = accepted_encodings(&accepted).best(MADE);
        let coding = coding.filter(|&coding| coding != Coding::Identity);
        let Some(coding) = coding else { return varying(response) };
        let coded = match std::mem::take(&mut response.body.kind) {
            Kind::Bytes(content, whose) if content.len() <= INLINE_BYTES_MAX => {
                match at_once(&content, coding) {
                    Some(coded) => Body::from(coded),
                    None => {
                        response.body.kind = Kind::Bytes(content, whose);
                        return varying(response);
                    }
                }
            }
            kind => {
                let coded = Coded::new(Body { kind }, coding, self.lane.get().cloned());
                let (held, trailers) = (coded.held(), coded.trailers());
                Body::stream(coded).trailed_by(trailers).counting(held)
            }
        };
        recoded(response, coded, coding)
    }
}

fn is_text(response: &Response) -> bool {
    let content_type =
        response.field("Content-Type").and_then(|kind| std::str::from_utf8(kind).ok());
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    media::is_compressible(&content_type) && !content_type.starts_with("text/event-stream")
}

/// The content in that coding, where it is shorter.
fn at_once(content: &[u8], coding: Coding) -> Option<Vec<u8>> {
    let coded = number8_codings::encode(content, coding, Effort::Streamed).ok()?;
    (coded.len() < content.len()).then_some(coded)
}

/// Caches have to know that another client may get another answer (RFC 9110 §12.5.5).
fn varying(response: Response) -> Response {
    match varies(&response) {
        true => response,
        false => response.with_known("Vary", "Accept-Encoding"),
    }
}

fn varies(response: &Response) -> bool {
    is_listed(response, "Vary", b"*") || is_listed(response, "Vary", b"Accept-Encoding")
}

fn is_listed(response: &Response, name: &str, member: &[u8]) -> bool {
    let mut fields = response.fields().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    fields.any(|(_, value)| syntax::list(value).any(|one| one.eq_ignore_ascii_case(member)))
}

/// The same answer with coded content. Its bytes are others: a strong tag becomes a weak one (RFC 9110 §8.8.1), and
/// ranges of it cannot be had.
fn recoded(response: Response, body: Body, coding: Coding) -> Response {
    let response = varying(response);
    let mut fields = Fields::new();
    for (name, value) in response.fields() {
        let weak = match name {
            _ if name.eq_ignore_ascii_case("Accept-Ranges") => continue,
            _ if name.eq_ignore_ascii_case("ETag") && !value.starts_with(b"W/") => {
                [b"W/", value].concat()
            }
            _ => value.to_vec(),
        };
        // They were fields before.
        let _ = fields.push(name, &weak);
    }
    response.remade(fields, body).with_known("Content-Encoding", coding.name())
}
