//! Field names that the server itself looks at, the fields of an answer, and which media type a field names.

use alloc::vec::Vec;
use core::fmt;

use crate::syntax;

macro_rules! known {
    ($($name:ident = $text:literal,)*) => {
        /// A field name that this server reads. Every other name is `Other`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each variant is the field of that name")]
        pub enum Known {
            $($name,)*
            Other,
        }

        impl Known {
            const ALL: &'static [(&'static str, Known)] = &[$(($text, Known::$name),)*];
        }
    };
}

known! {
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    Authorization = "authorization",
    Connection = "connection",
    ContentLength = "content-length",
    ContentType = "content-type",
    Expect = "expect",
    Forwarded = "forwarded",
    Host = "host",
    IfMatch = "if-match",
    IfModifiedSince = "if-modified-since",
    IfNoneMatch = "if-none-match",
    IfRange = "if-range",
    IfUnmodifiedSince = "if-unmodified-since",
    Origin = "origin",
    Range = "range",
    Referer = "referer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    UserAgent = "user-agent",
    XForwardedFor = "x-forwarded-for",
    XForwardedHost = "x-forwarded-host",
    XForwardedProto = "x-forwarded-proto",
    XRealIp = "x-real-ip",
    XRequestId = "x-request-id",
}

impl Known {
    /// The known name that `name`, a token, is in any case; `Other` when it is none.
    #[must_use]
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        // Each request has it.
        if let &[a, b, c, d] = name {
            let is_host =
                u32::from_le_bytes([a, b, c, d]) | 0x2020_2020 == u32::from_le_bytes(*b"host");
            return if is_host { Self::Host } else { Self::Other };
        }
        // The length picks at most three candidates, so a field costs few comparisons.
        let (Some(candidates), Some(words)) = (CANDIDATES.get(name.len()), words(name)) else {
            return Self::Other;
        };
        // In a token nothing else becomes a small letter or a hyphen by this bit.
        let small = words.map(|word| word | u64::from_le_bytes([0x20; 8]));
        let found = candidates.iter().find(|candidate| candidate.words == small);
        found.map_or(Self::Other, |found| found.known)
    }

    /// This name as one bit of a set.
    pub(crate) const fn bit(self) -> u32 {
        1 << (self as u8)
    }

    /// These names as a set.
    #[inline]
    pub(crate) fn bits(names: &[Self]) -> u32 {
        names.iter().fold(0, |bits, name| bits | name.bit())
    }
}

/// All bytes of a name of four to 24 bytes, some of them twice: names of one length are the same where these are. `None` for
/// other lengths, of which no known name is.
#[inline]
const fn words(name: &[u8]) -> Option<[u64; 3]> {
    let (first, last, between) = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) if name.len() <= 16 => (*first, *last, *first),
        (Some(first), Some(last)) if name.len() <= 24 => match name.split_at(8).1.first_chunk() {
            Some(between) => (*first, *last, *between),
            None => return None,
        },
        _ => match (name.first_chunk(), name.last_chunk()) {
            (Some(&[a, b, c, d]), Some(&[e, f, g, h])) if name.len() < 8 => {
                let both = [a, b, c, d, e, f, g, h];
                (both, both, both)
            }
            _ => return None,
        },
    };
    Some([u64::from_le_bytes(first), u64::from_le_bytes(last), u64::from_le_bytes(between)])
}

#[derive(Clone, Copy)]
struct Candidate {
    words: [u64; 3],
    known: Known,
}

/// The known names by length. Where there are no more stands one that no name is the same as.
static CANDIDATES: [[Candidate; 3]; 20] = {
    let none = Candidate { words: [0; 3], known: Known::Other };
    let mut table = [[none; 3]; 20];
    let mut at = 0;
    while at < Known::ALL.len() {
        let (name, known) = Known::ALL[at];
        let Some(words) = words(name.as_bytes()) else { panic!("a name too short or too long") };
        let mut slot = 0;
        while !matches!(table[name.len()][slot].known, Known::Other) {
            slot += 1;
        }
        table[name.len()][slot] = Candidate { words, known };
        at += 1;
    }
    table
};

/// A field that must not be sent: its name is no token, its value holds a control byte, or the
/// encoder alone may write it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is no token (RFC 9110 §5.6.2).
    Name,
    /// The value holds CR, LF, NUL or another control byte (RFC 9110 §5.5).
    Value,
    /// The field frames the message or the connection; only the encoder writes those.
    Framing,
    /// The field says how to read the message, so it cannot stand behind it (RFC 9110 §6.5.1).
    Trailer,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a field name must be a token",
            Self::Value => "a field value must not hold control bytes",
            Self::Framing => "this field is written by the server itself",
            Self::Trailer => "this field cannot stand behind the content",
        })
    }
}

impl core::error::Error for FieldError {}

/// The fields of an answer, in order, checked as they are added and kept as they go out.
///
/// ```
/// use number8_proto::headers::Fields;
/// let mut fields = Fields::new();
/// fields.push("Content-Type", b"text/plain")?;
/// assert_eq!(fields.first("content-type"), Some(&b"text/plain"[..]));
/// assert!(fields.push("X", b"a\r\nSet-Cookie: b").is_err());
/// # Ok::<(), number8_proto::headers::FieldError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Those known when the program was built; they come first.
    fixed: &'static [u8],
    wire: Vec<u8>,
    /// Server is among them.
    names_server: bool,
}

impl Fields {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { fixed: &[], wire: Vec::new(), names_server: false }
    }

    /// One field that is known when the program is built, without the cost of checking it again.
    ///
    /// # Panics
    /// `line` is not `Name: value` and CRLF, or a field that [`Fields::push`] would refuse. In a constant,
    /// the compiler finds out.
    ///
    /// ```
    /// use number8_proto::headers::Fields;
    /// const TEXT: Fields = Fields::fixed("Content-Type: text/plain\r\n");
    /// assert_eq!(TEXT.first("content-type"), Some(&b"text/plain"[..]));
    /// ```
    #[must_use]
    pub const fn fixed(line: &'static str) -> Self {
        let bytes = line.as_bytes();
        let mut colon = 0;
        while bytes[colon] != b':' {
            assert!(syntax::is_tchar(bytes[colon]), "the name must be a token");
            colon += 1;
        }
        assert!(colon > 0 && bytes[colon + 1] == b' ', "a name, a colon and a space");
        let end = bytes.len() - 2;
        assert!(bytes[end] == b'\r' && bytes[end + 1] == b'\n', "the line must end with CRLF");
        let mut at = colon + 2;
        while at < end {
            assert!(syntax::is_value(bytes[at]), "the value must not hold control bytes");
            at += 1;
        }
        let mut framing = 0;
        while framing < FRAMING.len() {
            let name = FRAMING[framing].as_bytes();
            assert!(
                name.len() != colon || !starts_with_ignore_case(bytes, name),
                "the encoder writes this field"
            );
            framing += 1;
        }
        let names_server = colon == SERVER.len() && starts_with_ignore_case(bytes, SERVER);
        Self { fixed: bytes, wire: Vec::new(), names_server }
    }

    /// Adds a field after those that are there.
    ///
    /// # Errors
    /// The name or the value cannot be sent, or the name is one that frames the message:
    /// Content-Length, Transfer-Encoding, Connection, Keep-Alive, Upgrade, Trailer, Date.
    pub fn push(&mut self, name: &str, value: &[u8]) -> Result<(), FieldError> {
        if !syntax::is_token(name.as_bytes()) {
            return Err(FieldError::Name);
        }
        if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
            return Err(FieldError::Framing);
        }
        if !syntax::is_field_value(value) {
            return Err(FieldError::Value);
        }
        self.names_server |= name.as_bytes().eq_ignore_ascii_case(SERVER);
        let more = name.len() + value.len() + 4;
        // Few answers have more than fit into that.
        self.wire.reserve(if self.wire.is_empty() { more.max(FIRST_BYTES) } else { more });
        self.wire.extend_from_slice(name.as_bytes());
        self.wire.extend_from_slice(b": ");
        self.wire.extend_from_slice(syntax::trim_ows(value));
        self.wire.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Removes every field of that name, then adds this one.
    ///
    /// # Errors
    /// As for [`Fields::push`]; then nothing is changed.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<(), FieldError> {
        let mut rest = Self::new();
        for (other, value) in self.iter().filter(|(other, _)| !other.eq_ignore_ascii_case(name)) {
            rest.push(other, value)?;
        }
        rest.push(name, value)?;
        *self = rest;
        Ok(())
    }

    /// The value of the first field of that name, in any case.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every field in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        lines(self.fixed).chain(lines(&self.wire))
    }

    /// True when there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.wire.is_empty()
    }

    /// Writes the fields as they stand in a message: `Name: value CRLF` each.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        // Most often one of the two is empty, and to copy nothing is a call, too.
        for part in [self.fixed, &self.wire] {
            if !part.is_empty() {
                out.extend_from_slice(part);
            }
        }
    }

    /// Whether Server is among them.
    pub(crate) fn names_server(&self) -> bool {
        self.names_server
    }

    pub(crate) fn wire_len(&self) -> usize {
        self.fixed.len() + self.wire.len()
    }
}

/// Whether a value of Content-Type names a media type, in any case and with any parameters (RFC 9110 §8.3.1).
///
/// ```
/// use number8_proto::headers::is_media_type;
/// assert!(is_media_type(b"Text/HTML ;charset=UTF-8", b"text/html"));
/// assert!(!is_media_type(b"text/html5", b"text/html"));
/// ```
#[must_use]
pub fn is_media_type(content_type: &[u8], named: &[u8]) -> bool {
    media_type(content_type).eq_ignore_ascii_case(named)
}

/// What a value of Content-Type names, without its parameters: `text/html` of `text/html; charset=UTF-8`.
#[must_use]
pub fn media_type(content_type: &[u8]) -> &[u8] {
    syntax::trim_ows(content_type.split(|&b| b == b';').next().unwrap_or_default())
}

/// The fields that were written as `Name: value CRLF`; a line that is none, such as a status line, is left out.
pub(crate) fn lines(wire: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    wire.split_inclusive(|&b| b == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r\n")?;
        let colon = line.iter().position(|&b| b == b':')?;
        if !syntax::is_token(&line[..colon]) {
            return None;
        }
        let name = core::str::from_utf8(&line[..colon]).ok()?;
        Some((name, line.get(colon + 2..)?))
    })
}

const fn starts_with_ignore_case(bytes: &[u8], start: &[u8]) -> bool {
    let mut at = 0;
    while at < start.len() {
        if !bytes[at].eq_ignore_ascii_case(&start[at]) {
            return false;
        }
        at += 1;
    }
    true
}

const SERVER: &[u8] = b"Server";

/// Room for the fields of nearly all answers, in bytes.
const FIRST_BYTES: usize = 128;

/// Fields that decide where a message or a connection ends, and Date: the encoder writes them.
const FRAMING: [&str; 7] = [
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "Upgrade",
    "Trailer",
    "Date",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for (text, known) in Known::ALL {
            assert_eq!(Known::of(text.as_bytes()), *known);
            assert_eq!(Known::of(text.to_ascii_uppercase().as_bytes()), *known);
        }
        for other in ["", "x", "hose", "content-lengt", "content-length-and-more-than-that"] {
            assert_eq!(Known::of(other.as_bytes()), Known::Other, "{other}");
        }
    }

    #[test]
    fn a_name_that_differs_anywhere_is_another() {
        for (text, _) in Known::ALL {
            for at in 0..text.len() {
                let mut other = text.as_bytes().to_vec();
                other[at] = b'~';
                assert_eq!(Known::of(&other), Known::Other, "{}", other.escape_ascii());
            }
        }
    }

    #[test]
    fn fields_that_cannot_be_sent_are_refused() {
        let mut fields = Fields::new();
        for (name, value, error) in [
            ("", &b"v"[..], FieldError::Name),
            ("a b", b"v", FieldError::Name),
            ("X", b"a\rb", FieldError::Value),
            ("X", b"a\nb", FieldError::Value),
            ("X", b"a\0b", FieldError::Value),
            ("content-length", b"1", FieldError::Framing),
            ("Transfer-Encoding", b"chunked", FieldError::Framing),
        ] {
            assert_eq!(fields.push(name, value), Err(error), "{name}");
        }
        assert!(fields.is_empty());
    }

    #[test]
    fn set_replaces_and_keeps_the_rest_in_order() {
        let mut fields = Fields::new();
        for (name, value) in [("A", "1"), ("B", "2"), ("a", "3")] {
            fields.push(name, value.as_bytes()).unwrap();
        }
        fields.set("A", b"4").unwrap();
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [("B", &b"2"[..]), ("A", b"4")]);
    }
}
