//! Requests and answers between the types of the protocol and ours.

use h2::RecvStream;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SERVER};
use number8_proto::http1::{BodySize, Head, HeadParser, Version, is_without_content};
use number8_proto::http2::{Announced, Pseudo, announced};
use number8_proto::{Error, Limits};

use super::super::exchange;
use crate::layers::access_log::Sink;
use crate::response::Response;

/// Memory for the head of a request, used again for the next.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) bytes: Vec<u8>,
    pub(super) parser: HeadParser,
}

impl Scratch {
    /// Reads a request.
    ///
    /// # Errors
    /// It is malformed, or larger than it may be. How much of its head is there to be shown differs.
    pub(super) fn read(
        &mut self,
        request: &http::Request<RecvStream>,
        limits: &Limits,
    ) -> Result<Announced, Error> {
        self.bytes.clear();
        self.parser.reset();
        let pseudo = pseudo(request);
        let fields = request.headers().iter();
        let fields = fields.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        let written = pseudo.put(fields, &mut self.bytes);
        if let Err(error) = written {
            self.bytes.clear();
            return Err(error);
        }
        self.parser.parse_as(Version::Http2, &self.bytes, limits)?;
        announced(&self.parser.head(&self.bytes))
    }

    /// Of a request that could not be read, its line alone.
    pub(super) fn read_line(&mut self, request: &http::Request<RecvStream>) -> Option<Head<'_>> {
        self.bytes.clear();
        self.parser.reset();
        let Pseudo { method, path, .. } = pseudo(request);
        // The version in which there may be no host.
        for part in [method, b" ", path, b" HTTP/1.0\r\n\r\n"] {
            self.bytes.extend_from_slice(part);
        }
        self.parser.parse_as(Version::Http10, &self.bytes, &Limits::default()).ok()?;
        Some(self.parser.head(&self.bytes))
    }
}

fn pseudo(request: &http::Request<RecvStream>) -> Pseudo<'_> {
    let uri = request.uri();
    Pseudo {
        method: request.method().as_str().as_bytes(),
        authority: uri.authority().map(|authority| authority.as_str().as_bytes()),
        path: uri.path_and_query().map_or(b"", |path| path.as_str().as_bytes()),
    }
}

/// What the answers of one second have in common.
#[derive(Default)]
pub(super) struct Stamped {
    wire: Vec<u8>,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Stamped {
    /// Takes over the fields of a stamp.
    fn renew(&mut self, wire: &[u8]) {
        if self.wire == wire {
            return;
        }
        self.wire = wire.to_vec();
        let lines = wire.split(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\r"));
        let fields = lines.filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            field(&line[..colon], line.get(colon + 2..)?)
        });
        self.fields = fields.collect();
    }
}

fn field(name: &[u8], value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
}

/// The head of an answer, and the length that it announces. Fields of an HTTP/1.1 connection are not among those of a
/// response (RFC 9113 §8.2.2).
pub(super) fn head(
    response: &Response,
    stamped: &mut Stamped,
    stamp: &[u8],
) -> (http::Response<()>, Option<u64>) {
    let status = response.status();
    let mut fields = HeaderMap::with_capacity(16);
    let own = response.fields().filter_map(|(name, value)| field(name.as_bytes(), value));
    own.for_each(|(name, value)| {
        fields.append(name, value);
    });
    let length = match response.size() {
        BodySize::Known(length) if status != 204 => {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
            Some(length)
        }
        _ => None,
    };
    stamped.renew(stamp);
    // Who names its server itself has that one alone.
    let names_server = fields.contains_key(SERVER);
    for (name, value) in stamped.fields.iter().filter(|(name, _)| !names_server || name != SERVER) {
        fields.append(name.clone(), value.clone());
    }
    let mut head = http::Response::new(());
    *head.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    *head.headers_mut() = fields;
    (head, length.filter(|_| !is_without_content(status)))
}

/// Writes the head of an answer to the dump, as that of HTTP/1 is.
pub(super) fn dump(sink: &Sink, head: &http::Response<()>) {
    let mut text = format!("HTTP/2 {}\r\n", head.status().as_u16()).into_bytes();
    for (name, value) in head.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            text.extend_from_slice(part);
        }
    }
    exchange::dump(sink, b"> ", &text);
}

/// Writes the head of a request to the dump.
pub(super) fn dump_request(sink: &Sink, head: &[u8]) {
    exchange::dump(sink, b"< ", head);
}

/// Fields behind content.
pub(super) fn trailers<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields.filter_map(|(name, value)| field(name.as_bytes(), value)) {
        map.append(name, value);
    }
    map
}
