//! Request line and fields: bytes → a borrowed [`Head`].
//!
//! One strict pass, a line at a time. [`HeadParser`] keeps spans into the caller's bytes and the place
//! where the first unfinished line starts, so a head that arrives in pieces is not read again from its
//! beginning. Nothing is copied.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::error::Error;
use crate::headers::Known;
use crate::host;
use crate::limits::{EMPTY_LINES_MAX, Limits, METHOD_BYTES_MAX};
use crate::syntax;

/// A part of the head, as offsets from its first byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        // `HeadParser::parse` looks at no byte past `u32::MAX`.
        Self { start: start as u32, end: end as u32 }
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy)]
struct Field {
    name: Span,
    value: Span,
    known: Known,
}

/// The versions this server speaks (RFC 9112 §2.3). A higher minor version of 1 is treated as 1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2, whose requests are read as those of 1.1 ([`http2`](crate::http2)).
    Http2,
}

impl Version {
    /// The version as it stands in a message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// The methods that the server tells apart (RFC 9110 §9). The name is case-sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each variant is the method of that name")]
#[non_exhaustive]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
    Trace,
    Connect,
    /// Any other token.
    Other,
}

impl Method {
    fn of(token: &[u8]) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    RequestLine,
    Fields,
    Complete,
}

/// Reads heads, one after another; reuses its memory. One serves a whole connection or, since between requests it holds
/// nothing but the last Host that was valid, many.
#[derive(Debug, Default, Clone)]
pub struct HeadParser {
    stage: Stage,
    /// Where the first line that is not yet read starts.
    line: usize,
    empty_lines: usize,
    method: Method,
    method_span: Span,
    target: Target,
    version: Version,
    fields: Vec<Field>,
    /// The set of known names that are there, one bit each: absence costs one test.
    present: u32,
    /// How many of the fields are Host.
    hosts: usize,
    last_host: host::LastValid,
}

/// The request-target, taken apart (RFC 9112 §3.2). Spans are empty where there is nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Target {
    whole: Span,
    /// `host[:port]` of the absolute form.
    authority: Span,
    path: Span,
    query: Option<Span>,
}

impl HeadParser {
    /// A parser with no head in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the head and gets ready for the next.
    pub fn reset(&mut self) {
        self.stage = Stage::RequestLine;
        self.line = 0;
        self.empty_lines = 0;
        self.fields.clear();
        self.present = 0;
        self.hosts = 0;
    }

    /// Reads on in `input`, which begins where the head begins and has grown since the last call.
    ///
    /// Returns the length of the head when it is complete, `None` when more bytes are needed. After a
    /// complete head the next call begins another.
    ///
    /// # Errors
    /// The head is not valid or larger than `limits` allow.
    pub fn parse(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, Error> {
        if self.stage == Stage::Complete {
            self.reset();
        }
        // Nothing past the largest head is looked at: what is said of a head must not depend on how much
        // of what follows has come with it. The offsets of a `Span` fit for the same reason.
        let max = limits.head_bytes_max.min(u32::MAX as usize);
        let lines = Lines { input: &input[..input.len().min(max)], lenient: limits.lenient };
        loop {
            let next = match self.stage {
                Stage::RequestLine => self.request_line(lines, limits)?,
                Stage::Fields => self.field_line(lines, limits)?,
                Stage::Complete => return Ok(Some(self.line)),
            };
            match next {
                Some(line) => self.line = line,
                None if input.len() < max => return Ok(None),
                None if self.stage == Stage::RequestLine => return Err(Error::UriTooLong),
                None => return Err(Error::HeadTooLarge),
            }
        }
    }

    /// Reads a whole head that was written for this purpose ([`http2`](crate::http2)) and came by that version.
    ///
    /// # Errors
    /// As for [`HeadParser::parse`]; [`Error::Truncated`] where it is not whole.
    pub fn parse_as(
        &mut self,
        version: Version,
        input: &[u8],
        limits: &Limits,
    ) -> Result<(), Error> {
        self.reset();
        let length = self.parse(input, limits)?;
        self.version = version;
        if length == Some(input.len()) { Ok(()) } else { Err(Error::Truncated) }
    }

    /// Forgets every field of these names, as if it had not been sent. [`Head::bytes`] stays what was sent.
    pub fn forget(&mut self, names: &[Known]) {
        self.fields.retain(|field| !names.contains(&field.known));
        self.present &= !Known::bits(names);
    }

    /// Has Host say what the absolute form of the target says (RFC 9112 §3.2.2), for whoever looks at the field.
    pub fn settle_host(&mut self) {
        if self.target.authority == Span::default() {
            return;
        }
        for field in self.fields.iter_mut().filter(|field| field.known == Known::Host) {
            field.value = self.target.authority;
        }
    }

    /// The head that [`HeadParser::parse`] found complete in `input`.
    #[must_use]
    pub fn head<'b>(&'b self, input: &'b [u8]) -> Head<'b> {
        Head { bytes: input.get(..self.line).unwrap_or(input), parser: self }
    }

    /// One request line or an empty line before it; returns where the next line starts.
    fn request_line(&mut self, lines: Lines<'_>, limits: &Limits) -> Result<Option<usize>, Error> {
        let input = lines.input;
        let start = self.line;
        if let Some(b'\r' | b'\n') = input.get(start) {
            // RFC 9112 §2.2: empty lines before a request are ignored, a few of them.
            let Some(next) = lines.end_of_line(start)? else { return Ok(None) };
            self.empty_lines += 1;
            if self.empty_lines > EMPTY_LINES_MAX {
                return Err(Error::RequestLine);
            }
            return Ok(Some(next));
        }

        let (length, get) = match input[start..].starts_with(b"GET ") {
            true => (3, Some(Method::Get)),
            false => (syntax::token_run(&input[start..]), None),
        };
        let method = start..start + length;
        match input.get(method.end) {
            _ if length > METHOD_BYTES_MAX => return Err(Error::MethodTooLong),
            None => return Ok(None),
            Some(b' ') if length > 0 => {}
            Some(_) => return Err(Error::RequestLine),
        }

        let target = method.end + 1;
        let mut at = target + syntax::path_run(&input[target..]);
        let mut query = None;
        if input.get(at) == Some(&b'?') {
            query = Some(at);
            at += syntax::target_run(&input[at..]);
        }
        let target = target..at;
        match input.get(at) {
            _ if target.len() > limits.uri_bytes_max => return Err(Error::UriTooLong),
            None => return Ok(None),
            Some(b' ') if !target.is_empty() => at += 1,
            Some(_) => return Err(Error::RequestLine),
        }

        let Some(version) = version(&input[at..])? else { return Ok(None) };
        let Some(next) = lines.end_of_line(at + VERSION_BYTES)? else { return Ok(None) };

        self.version = version;
        self.method = get.unwrap_or_else(|| Method::of(&input[method.clone()]));
        self.method_span = Span::new(method.start, method.end);
        self.target = take_apart(input, self.method, target, query)?;
        self.stage = Stage::Fields;
        Ok(Some(next))
    }

    /// One field line or the empty line that ends the head; returns where the next line starts.
    fn field_line(&mut self, lines: Lines<'_>, limits: &Limits) -> Result<Option<usize>, Error> {
        let start = self.line;
        match lines.input.get(start) {
            None => return Ok(None),
            Some(b'\r' | b'\n') => {
                let next = lines.end_of_line(start)?;
                if next.is_some() {
                    self.check_host()?;
                    self.stage = Stage::Complete;
                }
                return Ok(next);
            }
            Some(_) if self.fields.len() == limits.fields_max => {
                return Err(Error::TooManyFields);
            }
            Some(_) => {}
        }
        let Some(line) = field_line(lines, start)? else { return Ok(None) };
        let known = Known::of(line.name);
        self.present |= known.bit();
        self.fields.push(Field {
            name: Span::new(start, start + line.name.len()),
            value: Span::new(line.value_start, line.value_start + line.value.len()),
            known,
        });
        if known == Known::Host {
            // That it stands once is looked at when the head ends.
            self.hosts += 1;
            if !self.last_host.is_valid(line.value) {
                return Err(Error::Host);
            }
        }
        Ok(Some(line.next))
    }

    /// RFC 9112 §3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0.
    fn check_host(&self) -> Result<(), Error> {
        match self.hosts {
            0 if self.version == Version::Http11 => Err(Error::HostMissing),
            0 | 1 => Ok(()),
            _ => Err(Error::HostRepeated),
        }
    }
}

const VERSION_BYTES: usize = "HTTP/1.1".len();

/// `HTTP/` DIGIT `.` DIGIT at the start of `rest`; `None` when the rest of it is still to come.
fn version(rest: &[u8]) -> Result<Option<Version>, Error> {
    // As one word, where a pattern would be compared byte by byte.
    if rest.first_chunk() == Some(b"HTTP/1.1") {
        return Ok(Some(Version::Http11));
    }
    const NAME: &[u8] = b"HTTP/";
    let known = rest.len().min(NAME.len());
    if rest[..known] != NAME[..known] {
        return Err(Error::Version);
    }
    let Some([major, dot, minor]) = rest.get(NAME.len()..).and_then(|rest| rest.first_chunk())
    else {
        return Ok(None);
    };
    match (major, dot, minor) {
        (b'1', b'.', b'0') => Ok(Some(Version::Http10)),
        (b'1', b'.', b'1'..=b'9') => Ok(Some(Version::Http11)),
        (b'0'..=b'9', b'.', b'0'..=b'9') => Err(Error::VersionNotSupported),
        _ => Err(Error::Version),
    }
}

/// The four forms of a request-target (RFC 9112 §3.2).
fn take_apart(
    input: &[u8],
    method: Method,
    target: core::ops::Range<usize>,
    query: Option<usize>,
) -> Result<Target, Error> {
    let whole = Span::new(target.start, target.end);
    let split = |path_start: usize| {
        let path_end = query.unwrap_or(target.end);
        (
            Span::new(path_start.min(path_end), path_end),
            query.map(|query| Span::new(query + 1, target.end)),
        )
    };
    let bytes = &input[target.clone()];
    if method == Method::Connect {
        return Err(Error::Connect);
    }
    if bytes[0] == b'/' {
        let (path, query) = split(target.start);
        return Ok(Target { whole, path, query, ..Target::default() });
    }
    if bytes == b"*" && method == Method::Options {
        return Ok(Target { whole, path: whole, ..Target::default() });
    }
    let scheme = bytes.windows(3).position(|window| window == b"://").ok_or(Error::Target)?;
    if !bytes[..scheme].eq_ignore_ascii_case(b"http")
        && !bytes[..scheme].eq_ignore_ascii_case(b"https")
    {
        return Err(Error::Target);
    }
    let authority_start = target.start + scheme + 3;
    let authority_end = input[authority_start..target.end]
        .iter()
        .position(|&b| b == b'/' || b == b'?')
        .map_or(target.end, |length| authority_start + length);
    if !host::valid_host(&input[authority_start..authority_end]) {
        return Err(Error::Host);
    }
    let (path, query) = split(authority_end);
    Ok(Target { whole, authority: Span::new(authority_start, authority_end), path, query })
}

/// The input, with the rule of how its lines end.
#[derive(Clone, Copy)]
pub(super) struct Lines<'b> {
    pub(super) input: &'b [u8],
    /// A bare LF ends a line too.
    pub(super) lenient: bool,
}

impl Lines<'_> {
    /// A line must end at `at`: returns where the next one starts, `None` when its LF is to come.
    fn end_of_line(self, at: usize) -> Result<Option<usize>, Error> {
        match (self.input.get(at), self.input.get(at + 1)) {
            (Some(b'\r'), Some(b'\n')) => Ok(Some(at + 2)),
            (Some(b'\n'), _) if self.lenient => Ok(Some(at + 1)),
            (None, _) | (Some(b'\r'), None) => Ok(None),
            (Some(b'\r'), Some(_)) => Err(Error::BareCarriageReturn),
            (Some(b'\n'), _) => Err(Error::BareLineFeed),
            (Some(_), _) => Err(Error::RequestLine),
        }
    }
}

pub(super) struct FieldLine<'b> {
    pub(super) name: &'b [u8],
    pub(super) value: &'b [u8],
    value_start: usize,
    pub(super) next: usize,
}

/// `name ":" OWS value OWS CRLF` at `start` (RFC 9112 §5); `None` when the line is not whole.
/// Trailers are read by the same rule.
#[inline(always)]
pub(super) fn field_line<'b>(
    lines: Lines<'b>,
    start: usize,
) -> Result<Option<FieldLine<'b>>, Error> {
    let line = lines.input.get(start..).unwrap_or_default();
    let (name, rest) = line.split_at(syntax::token_run(line));
    let after = match rest {
        [] => return Ok(None),
        [b':', after @ ..] if !name.is_empty() => after,
        [b, ..] if syntax::is_ows(*b) && name.is_empty() => return Err(Error::Folded),
        [b, ..] if syntax::is_ows(*b) => return Err(Error::SpaceBeforeColon),
        [_, ..] => return Err(Error::FieldName),
    };
    let (value, rest) = after.split_at(syntax::value_run(after));
    let end = start + line.len() - rest.len();
    let next = match rest {
        [] => None,
        [b'\r', b'\n', ..] => Some(end + 2),
        [b'\r' | b'\n', ..] => lines.end_of_line(end)?,
        [_, ..] => return Err(Error::FieldValue),
    };
    let Some(next) = next else { return Ok(None) };

    let value = syntax::trim_ows_start(value);
    let value_start = end - value.len();
    Ok(Some(FieldLine { name, value: syntax::trim_ows_end(value), value_start, next }))
}

/// A request's head, borrowed from the bytes it came in.
#[derive(Debug, Clone, Copy)]
pub struct Head<'b> {
    bytes: &'b [u8],
    parser: &'b HeadParser,
}

impl<'b> Head<'b> {
    /// The method, told apart.
    #[must_use]
    pub fn method(&self) -> Method {
        self.parser.method
    }

    /// The method as it stands in the request line: a token.
    #[must_use]
    pub fn method_bytes(&self) -> &'b [u8] {
        self.parser.method_span.of(self.bytes)
    }

    /// The request-target as it stands in the request line, in whatever form.
    #[must_use]
    pub fn target(&self) -> &'b [u8] {
        self.parser.target.whole.of(self.bytes)
    }

    /// The path of the target, still percent-encoded: begins with `/`, or is `*` for `OPTIONS *`.
    ///
    /// Row B6: an absolute target gives the same path as the origin form does.
    #[must_use]
    pub fn path(&self) -> &'b [u8] {
        match self.parser.target.path.of(self.bytes) {
            // RFC 9110 §4.2.3: an empty path in an http URI is the same as "/".
            b"" => b"/",
            path => path,
        }
    }

    /// What stands after the first `?` of the target, still encoded; `None` without a `?`.
    #[must_use]
    pub fn query(&self) -> Option<&'b [u8]> {
        self.parser.target.query.map(|query| query.of(self.bytes))
    }

    /// The version, after RFC 9112 §2.3: a 1.x above 1.1 is 1.1.
    #[must_use]
    pub fn version(&self) -> Version {
        self.parser.version
    }

    /// `host[:port]`: of the absolute form, else of the Host field (RFC 9112 §3.3). Valid by
    /// [`host::valid_host`]; `None` in HTTP/1.0 without either.
    #[must_use]
    pub fn host(&self) -> Option<&'b [u8]> {
        match self.parser.target.authority.of(self.bytes) {
            b"" => self.get(Known::Host),
            authority => Some(authority),
        }
    }

    /// The first value of a known field.
    #[must_use]
    #[inline]
    pub fn get(&self, known: Known) -> Option<&'b [u8]> {
        self.all(known).next()
    }

    /// Every value of a known field, in order.
    #[inline]
    pub fn all(&self, known: Known) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let bytes = self.bytes;
        let fields =
            if self.has(known) { self.parser.fields.as_slice() } else { Default::default() };
        fields.iter().filter(move |field| field.known == known).map(|field| field.value.of(bytes))
    }

    /// The values of a known field as one list (RFC 9110 §5.2): joined by commas when it is repeated.
    #[must_use]
    pub fn joined(&self, known: Known) -> Option<Cow<'b, [u8]>> {
        let mut values = self.all(known);
        let first = values.next()?;
        let mut joined = Cow::Borrowed(first);
        for value in values {
            let joined = joined.to_mut();
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value);
        }
        Some(joined)
    }

    /// True when a known field is there at least once.
    #[must_use]
    #[inline]
    pub fn has(&self, known: Known) -> bool {
        self.parser.present & known.bit() != 0
    }

    /// True when at least one of these known fields is there.
    #[must_use]
    #[inline]
    pub fn has_any(&self, known: &[Known]) -> bool {
        self.parser.present & Known::bits(known) != 0
    }

    /// The first value of the field of any name, in any case.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&'b [u8]> {
        self.fields()
            .find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Every field in order: name as sent, value without white space around it.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&'b [u8], &'b [u8])> + use<'b> {
        let bytes = self.bytes;
        self.parser.fields.iter().map(move |field| (field.name.of(bytes), field.value.of(bytes)))
    }

    /// The whole head: every byte up to and with the empty line that ends it.
    #[must_use]
    pub fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// A copy that owns its bytes.
    #[must_use]
    pub fn to_owned(&self) -> OwnedHead {
        OwnedHead { bytes: self.bytes.into(), parser: self.parser.clone() }
    }
}

/// A request's head that owns its bytes.
#[derive(Debug, Clone)]
pub struct OwnedHead {
    bytes: Box<[u8]>,
    parser: HeadParser,
}

impl OwnedHead {
    /// The head, to look things up in.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        Head { bytes: &self.bytes, parser: &self.parser }
    }
}
