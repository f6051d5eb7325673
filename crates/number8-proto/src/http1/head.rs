//! Request line and fields: bytes → a borrowed [`Head`].
//!
//! One strict pass, a line at a time. [`HeadParser`] keeps spans into the caller's bytes and the place
//! where the first unfinished line starts, so a head that arrives in pieces is not read again from its
//! beginning. Nothing is copied.

use alloc::borrow::Cow;
use alloc::boxed::Box;

use crate::error::Error;
use crate::headers::Known;
use crate::host;
use crate::http1::again::{Again, FieldSet};
use crate::http1::line::Lines;
use crate::limits::{EMPTY_LINES_MAX, Limits, METHOD_BYTES_MAX};
use crate::syntax;

/// A part of the head, as offsets from its first byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        // `HeadParser::parse` looks at no byte past `u32::MAX`.
        Self { start: start as u32, end: end as u32 }
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The same part, of what begins `by` bytes before.
    fn later(self, by: usize) -> Self {
        Self { start: self.start + by as u32, end: self.end + by as u32 }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    name: Span,
    value: Span,
    known: Known,
}

impl Field {
    /// Of lines that stood `from` bytes behind the first byte of a head, and stand `to` bytes behind it now.
    pub(super) fn shift(&mut self, from: usize, to: usize) {
        let by = (to as u32).wrapping_sub(from as u32);
        for span in [&mut self.name, &mut self.value] {
            span.start = span.start.wrapping_add(by);
            span.end = span.end.wrapping_add(by);
        }
    }
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
/// nothing but the fields of the last head, many.
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
    fields: FieldSet,
    /// Where the fields start.
    fields_start: usize,
    again: Again,
    /// This is not the first head: only who reads several may see one again.
    has_read: bool,
}

/// The request-target, taken apart (RFC 9112 §3.2). Spans are empty where there is nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Target {
    whole: Span,
    /// `host[:port]` of the absolute form.
    authority: Span,
    /// Where it ends before the target does stands the question mark of a query.
    path: Span,
}

impl Target {
    fn query(self) -> Option<Span> {
        let has_query = self.path.end < self.whole.end;
        has_query.then(|| Span { start: self.path.end + 1, end: self.whole.end })
    }
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
        self.again.take_back(&mut self.fields);
        self.has_read = true;
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
        let has_request_line = self.stage == Stage::Fields || self.request_line(lines, limits)?;
        if has_request_line && self.field_lines(lines, limits)? {
            return Ok(Some(self.line));
        }
        match has_request_line {
            _ if input.len() < max => Ok(None),
            true => Err(Error::HeadTooLarge),
            false => Err(Error::UriTooLong),
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
        self.again.forget();
        self.fields.all.retain(|field| !names.contains(&field.known));
        self.fields.present &= !Known::bits(names);
    }

    /// Has Host say what the absolute form of the target says (RFC 9112 §3.2.2), for whoever looks at the field.
    pub fn settle_host(&mut self) {
        if self.target.authority == Span::default() {
            return;
        }
        self.again.forget();
        for field in self.fields.all.iter_mut().filter(|field| field.known == Known::Host) {
            field.value = self.target.authority;
        }
    }

    /// The head that [`HeadParser::parse`] found complete in `input`.
    #[must_use]
    pub fn head<'b>(&'b self, input: &'b [u8]) -> Head<'b> {
        Head { bytes: input.get(..self.line).unwrap_or(input), parser: self }
    }

    /// The request line, and empty lines before it; false when it is not whole.
    fn request_line(&mut self, lines: Lines<'_>, limits: &Limits) -> Result<bool, Error> {
        // RFC 9112 §2.2: empty lines before a request are ignored, a few of them.
        while let Some(b'\r' | b'\n') = lines.input.get(self.line) {
            let Some(end) = lines.from(self.line).end()? else { return Ok(false) };
            self.line += end;
            self.empty_lines += 1;
            if self.empty_lines > EMPTY_LINES_MAX {
                return Err(Error::RequestLine);
            }
        }
        let line = lines.from(self.line).input;
        let get = line.strip_prefix(b"GET ").map(|rest| (Method::Get, rest));
        let Some((method, rest)) = get.map_or_else(|| method(line), |get| Ok(Some(get)))? else {
            return Ok(false);
        };

        let target = self.line + line.len() - rest.len();
        let path = syntax::path_run(rest);
        let length = match rest.get(path) {
            Some(b'?') => path + syntax::target_run(&rest[path..]),
            _ => path,
        };
        let rest = match &rest[length..] {
            _ if length > limits.uri_bytes_max => return Err(Error::UriTooLong),
            [] => return Ok(false),
            [b' ', rest @ ..] if length > 0 => rest,
            [_, ..] => return Err(Error::RequestLine),
        };

        let at = target + length + 1;
        // As two words, where a pattern would be compared byte by byte.
        let (version, next) = if rest.first_chunk() == Some(b"HTTP/1.1\r\n") {
            (Version::Http11, at + VERSION_BYTES + 2)
        } else {
            let Some(version) = version(rest)? else { return Ok(false) };
            let after = at + VERSION_BYTES;
            let Some(end) = lines.from(after).end()? else { return Ok(false) };
            (version, after + end)
        };

        self.version = version;
        self.method = method;
        self.method_span = Span::new(self.line, target - 1);
        self.target = Target {
            whole: Span::new(target, target + length),
            authority: Span::default(),
            path: Span::new(target, target + path),
        };
        if method == Method::Connect || lines.input[target] != b'/' {
            self.target = take_apart(lines.input, method, self.target)?;
        }
        self.stage = Stage::Fields;
        self.line = next;
        self.fields_start = next;
        Ok(true)
    }

    /// The field lines, and the empty line that ends the head; false when that has not come.
    fn field_lines(&mut self, lines: Lines<'_>, limits: &Limits) -> Result<bool, Error> {
        if self.line == self.fields_start
            && let rest = lines.from(self.line).input
            && let Some(length) = self.again.lend(rest, self.line, limits, &mut self.fields)
        {
            self.line += length;
            return self.end();
        }
        loop {
            let rest = lines.from(self.line);
            match rest.input {
                [b'\r' | b'\n', ..] => {
                    let Some(end) = rest.end()? else { return Ok(false) };
                    self.line += end;
                    // Not lines that only these limits let pass.
                    if self.has_read && !lines.lenient {
                        let read = &lines.input[self.fields_start..self.line];
                        self.again.remember(read, self.fields_start);
                    }
                    return self.end();
                }
                [] => return Ok(false),
                [_, ..] if self.fields.all.len() == limits.fields_max => {
                    return Err(Error::TooManyFields);
                }
                [_, ..] => {}
            }
            let Some(line) = rest.field_line()? else { return Ok(false) };
            let known = Known::of(line.name.of(rest.input));
            self.fields.present |= known.bit();
            self.fields.all.push(Field {
                name: line.name.later(self.line),
                value: line.value.later(self.line),
                known,
            });
            if known == Known::Host {
                // That it stands once is looked at when the head ends.
                self.fields.hosts += 1;
                if !host::valid_host(line.value.of(rest.input)) {
                    return Err(Error::Host);
                }
            }
            self.line += line.length;
        }
    }

    /// The head is whole.
    fn end(&mut self) -> Result<bool, Error> {
        self.check_host()?;
        self.stage = Stage::Complete;
        Ok(true)
    }

    /// RFC 9112 §3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0.
    fn check_host(&self) -> Result<(), Error> {
        match self.fields.hosts {
            0 if self.version == Version::Http11 => Err(Error::HostMissing),
            0 | 1 => Ok(()),
            _ => Err(Error::HostRepeated),
        }
    }
}

/// A method and the space after it, and what follows; `None` when the rest of it is still to come.
fn method(line: &[u8]) -> Result<Option<(Method, &[u8])>, Error> {
    let (token, rest) = line.split_at(syntax::token_run(line));
    match rest {
        _ if token.len() > METHOD_BYTES_MAX => Err(Error::MethodTooLong),
        [] => Ok(None),
        [b' ', rest @ ..] if !token.is_empty() => Ok(Some((Method::of(token), rest))),
        [_, ..] => Err(Error::RequestLine),
    }
}

const VERSION_BYTES: usize = "HTTP/1.1".len();

/// `HTTP/` DIGIT `.` DIGIT at the start of `rest`; `None` when the rest of it is still to come.
fn version(rest: &[u8]) -> Result<Option<Version>, Error> {
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

/// A request-target of another form than the origin form (RFC 9112 §3.2), whose path has been taken to begin where it does.
fn take_apart(input: &[u8], method: Method, target: Target) -> Result<Target, Error> {
    if method == Method::Connect {
        return Err(Error::Connect);
    }
    let bytes = target.whole.of(input);
    if bytes == b"*" && method == Method::Options {
        return Ok(target);
    }
    let scheme = bytes.windows(3).position(|window| window == b"://").ok_or(Error::Target)?;
    if !bytes[..scheme].eq_ignore_ascii_case(b"http")
        && !bytes[..scheme].eq_ignore_ascii_case(b"https")
    {
        return Err(Error::Target);
    }
    let rest = &bytes[scheme + 3..];
    let length = rest.iter().position(|&b| b == b'/' || b == b'?').unwrap_or(rest.len());
    if !host::valid_host(&rest[..length]) {
        return Err(Error::Host);
    }
    let start = target.whole.start + scheme as u32 + 3;
    let authority = Span { start, end: start + length as u32 };
    Ok(Target { authority, path: Span { start: authority.end, ..target.path }, ..target })
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
        self.parser.target.query().map(|query| query.of(self.bytes))
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
            if self.has(known) { self.parser.fields.all.as_slice() } else { Default::default() };
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
        self.parser.fields.present & known.bit() != 0
    }

    /// True when at least one of these known fields is there.
    #[must_use]
    #[inline]
    pub fn has_any(&self, known: &[Known]) -> bool {
        self.parser.fields.present & Known::bits(known) != 0
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
        self.parser
            .fields
            .all
            .iter()
            .map(move |field| (field.name.of(bytes), field.value.of(bytes)))
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
