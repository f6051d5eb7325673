//! Answers: values → bytes. The only place that writes a status line or a field that frames.

use alloc::vec::Vec;

use crate::decimal;
use crate::headers::{self, Fields};

/// How much content an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodySize {
    /// So many bytes.
    Known(u64),
    /// Not known before it ends: sent chunked, or to HTTP/1.0 until the connection closes.
    Unknown,
}

/// Status line, fields and length of an answer, encoded once and sent many times.
///
/// What differs from answer to answer (Date, Connection) is written when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    status: u16,
    size: BodySize,
    wire: Vec<u8>,
    names_server: bool,
}

impl Prepared {
    /// Encodes the head of an answer with that status: 200 to 999. Any other number becomes 500: after
    /// an interim 1xx the client would take the next answer for this one.
    ///
    /// A 204 says nothing about a length, whatever `size` is; a 304 tells the length that a 200 would have
    /// had (RFC 9110 §8.6).
    #[must_use]
    pub fn new(status: u16, fields: &Fields, size: BodySize) -> Self {
        let mut wire = Vec::with_capacity(128 + fields.wire_len());
        let status = put_head(&mut wire, status, fields, size);
        Self { status, size, wire, names_server: fields.names_server() }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The size of the content that the head announces.
    #[must_use]
    pub fn size(&self) -> BodySize {
        self.size
    }

    /// The fields, without those that frame.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        // What 426 has of the second and the third is the encoder's own.
        const FRAMING: [&str; 3] = ["Content-Length", "Upgrade", "Connection"];
        let frames = |name: &str| FRAMING.iter().any(|own| name.eq_ignore_ascii_case(own));
        headers::lines(&self.wire).filter(move |(name, _)| !frames(name))
    }

    /// The encoded bytes: what a cache has to count.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        self.wire.len()
    }
}

/// The head of an answer: encoded before, or to be encoded now.
#[derive(Debug, Clone, Copy)]
pub enum ResponseHead<'a> {
    /// Encoded before, and fields that were added since.
    Prepared(&'a Prepared, &'a Fields),
    /// To be encoded now; the rules are those of [`Prepared::new`].
    Fields {
        /// The status code.
        status: u16,
        /// The reason phrase (RFC 9112 §4) in place of the registered one. One that cannot be sent is left out.
        reason: Option<&'a [u8]>,
        /// The fields, without those that frame.
        fields: &'a Fields,
        /// How much content follows.
        size: BodySize,
    },
}

impl<'a> From<&'a Prepared> for ResponseHead<'a> {
    fn from(prepared: &'a Prepared) -> Self {
        const NOTHING_MORE: &Fields = &Fields::new();
        Self::Prepared(prepared, NOTHING_MORE)
    }
}

impl ResponseHead<'_> {
    /// Whether the answer says itself what Server is.
    pub(super) fn names_server(&self) -> bool {
        match self {
            Self::Prepared(prepared, more) => prepared.names_server || more.names_server(),
            Self::Fields { fields, .. } => fields.names_server(),
        }
    }

    /// Writes the head without its last lines; returns status and size.
    pub(super) fn put(self, out: &mut Vec<u8>) -> (u16, BodySize) {
        match self {
            Self::Prepared(Prepared { status, size, wire, .. }, more) => {
                out.extend_from_slice(wire);
                more.put(out);
                (*status, *size)
            }
            Self::Fields { status, reason: None, fields, size } => {
                (put_head(out, status, fields, size), size)
            }
            Self::Fields { status, reason: Some(reason), fields, size } => {
                let status = final_status(status);
                put_line_with(out, status, reason);
                put_fields(out, status, fields, size);
                (status, size)
            }
        }
    }
}

/// `Date` and `Server` as they go into every answer: made once a second, copied once an answer.
///
/// ```
/// use number8_proto::http1::Stamp;
/// let stamp = Stamp::new(784_111_777, Some("number8"));
/// assert_eq!(stamp.wire(), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: number8\r\n");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp {
    wire: Vec<u8>,
    /// The same without Server.
    nameless: Vec<u8>,
}

impl Stamp {
    /// The stamp for a second since 1970 (RFC 9110 §6.6.1), with a Server field (§10.2.4) if there is a
    /// name. A name that is no field value is left out.
    #[must_use]
    pub fn new(unix_seconds: i64, server: Option<&str>) -> Self {
        let mut nameless = Vec::with_capacity(64);
        nameless.extend_from_slice(b"Date: ");
        nameless.extend_from_slice(&crate::date::format(unix_seconds));
        nameless.extend_from_slice(b"\r\n");
        let mut wire = nameless.clone();
        if let Some(server) = server
            && crate::syntax::is_field_value(server.as_bytes())
        {
            wire.extend_from_slice(b"Server: ");
            wire.extend_from_slice(server.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
        Self { wire, nameless }
    }

    /// The same stamp with fields that every answer has.
    #[must_use]
    pub fn with(mut self, fields: &Fields) -> Self {
        fields.put(&mut self.wire);
        fields.put(&mut self.nameless);
        self
    }

    /// The lines as they are sent.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Writes the lines; an answer that names its Server itself has that one alone (RFC 9110 §5.3).
    #[inline]
    pub(super) fn put(&self, names_server: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(if names_server { &self.nameless } else { &self.wire });
    }
}

/// Writes status line, fields and Content-Length or Transfer-Encoding; returns the status written.
#[inline]
fn put_head(out: &mut Vec<u8>, status: u16, fields: &Fields, size: BodySize) -> u16 {
    let status = final_status(status);
    put_status_line(out, status);
    put_fields(out, status, fields, size);
    status
}

fn final_status(status: u16) -> u16 {
    if (200..1000).contains(&status) { status } else { 500 }
}

#[inline]
fn put_fields(out: &mut Vec<u8>, status: u16, fields: &Fields, size: BodySize) {
    fields.put(out);
    // RFC 9110 §15.5.22: it has to name a protocol, and there is one that we can change to.
    if status == 426 {
        out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
    }
    match size {
        // RFC 9110 §8.6: no Content-Length in 204.
        _ if status == 204 => {}
        BodySize::Known(length) => {
            out.extend_from_slice(b"Content-Length: ");
            decimal::push(length, out);
            out.extend_from_slice(b"\r\n");
        }
        // Transfer-Encoding depends on the client's version: `Conn::respond` writes it.
        BodySize::Unknown => {}
    }
}

#[inline(always)]
fn put_status_line(out: &mut Vec<u8>, status: u16) {
    // One copy for what nearly every answer begins with.
    match status {
        200 => out.extend_from_slice(b"HTTP/1.1 200 OK\r\n"),
        _ => put_other_status_line(out, status),
    }
}

fn put_other_status_line(out: &mut Vec<u8>, status: u16) {
    put_line_with(out, status, reason(status).as_bytes());
}

fn put_line_with(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal::push(u64::from(status), out);
    // RFC 9112 §4: the space stays although the reason may be empty.
    out.push(b' ');
    // SECURITY: a line end in it would begin a field.
    if crate::syntax::is_field_value(reason) {
        out.extend_from_slice(reason);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends data as one chunk of a body (RFC 9112 §7.1), for a caller who sends the same to many
/// connections. Of no data there is no chunk: it would be the last one.
pub fn put_chunk(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    put_chunk_size(out, data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Writes a chunk's size line (RFC 9112 §7.1).
pub(super) fn put_chunk_size(out: &mut Vec<u8>, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut shift = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1) * 4;
    while shift > 0 {
        shift -= 4;
        out.push(DIGITS[(size >> shift) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// True when an answer of that status never has content (RFC 9110 §6.4.1).
#[must_use]
pub fn is_without_content(status: u16) -> bool {
    status < 200 || status == 204 || status == 304
}

/// The reason phrase of a status (RFC 9110 §15 and the IANA registry); empty for one not known.
#[must_use]
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        511 => "Network Authentication Required",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_names_its_server_has_all_else_of_the_stamp() {
        let mut each = Fields::new();
        each.push("X-Each", b"1").unwrap();
        let stamp = Stamp::new(784_111_777, Some("number8")).with(&each);
        for (names_server, server) in [(false, "Server: number8\r\n"), (true, "")] {
            let mut out = Vec::new();
            stamp.put(names_server, &mut out);
            let lines =
                alloc::format!("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n{server}X-Each: 1\r\n");
            assert_eq!(out, lines.as_bytes());
        }
    }

    #[test]
    fn chunk_sizes_are_written_in_the_fewest_digits() {
        for (size, line) in [
            (0, "0\r\n"),
            (1, "1\r\n"),
            (15, "f\r\n"),
            (16, "10\r\n"),
            (0xfff, "fff\r\n"),
            (0x1000, "1000\r\n"),
        ] {
            let mut out = Vec::new();
            put_chunk_size(&mut out, size);
            assert_eq!(out, line.as_bytes());
        }
    }
}
