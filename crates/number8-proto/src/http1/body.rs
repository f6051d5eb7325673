//! A request's body: framed bytes → data, trailers, end.
//!
//! Nothing is stored here: data is a slice of the caller's bytes, and a trailer is handed over when its
//! line is whole.

use crate::error::Error;
use crate::http1::framing::BodyLength;
use crate::http1::line::Lines;
use crate::limits::Limits;
use crate::syntax;

/// What stands next in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'b> {
    /// More bytes are needed.
    NeedMore,
    /// Bytes of the body; never empty.
    Data(&'b [u8]),
    /// One field of the trailer section (RFC 9112 §7.1.2).
    Trailer {
        /// The name as sent.
        name: &'b [u8],
        /// The value without white space around it.
        value: &'b [u8],
    },
    /// The body is over; what follows belongs to the next request.
    End,
}

/// Reads one body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoder {
    /// So many bytes are still to come.
    Length(u64),
    /// At a chunk's size line.
    ChunkSize {
        /// Bytes of chunk extensions so far.
        extensions: u32,
    },
    /// Inside a chunk.
    ChunkData {
        /// So many bytes are still to come.
        left: u64,
        /// Bytes of chunk extensions so far.
        extensions: u32,
    },
    /// At the CRLF after a chunk's data.
    ChunkEnd {
        /// Bytes of chunk extensions so far.
        extensions: u32,
    },
    /// In the trailer section, of which so many bytes have been read.
    Trailers(usize),
    /// Everything has been read.
    Done,
}

impl Decoder {
    /// A decoder for a body of that length.
    #[must_use]
    pub fn new(body: BodyLength) -> Self {
        match body {
            BodyLength::None | BodyLength::Known(0) => Self::Done,
            BodyLength::Known(length) => Self::Length(length),
            BodyLength::Chunked => Self::ChunkSize { extensions: 0 },
        }
    }

    /// Reads the next piece from the start of `input`; returns how many bytes it took.
    ///
    /// # Errors
    /// The chunked framing is not valid or larger than `limits` allow.
    pub fn decode<'b>(
        &mut self,
        input: &'b [u8],
        limits: &Limits,
    ) -> Result<(usize, Piece<'b>), Error> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let took = match *self {
                Self::Done => return Ok((used, Piece::End)),
                Self::Length(left) | Self::ChunkData { left, .. } => {
                    let data = at_most(rest, left);
                    if data.is_empty() {
                        return Ok((used, Piece::NeedMore));
                    }
                    self.took_data(data.len() as u64);
                    return Ok((used + data.len(), Piece::Data(data)));
                }
                Self::ChunkSize { extensions } => self.chunk_size(rest, extensions, limits)?,
                Self::ChunkEnd { extensions } => self.chunk_end(rest, extensions)?,
                Self::Trailers(read) => {
                    return Ok(match self.trailer(rest, read, limits)? {
                        Some((took, piece)) => (used + took, piece),
                        None => (used, Piece::NeedMore),
                    });
                }
            };
            if took == 0 {
                return Ok((used, Piece::NeedMore));
            }
            used += took;
        }
    }

    /// True when the whole body has been read.
    #[must_use]
    pub fn is_done(self) -> bool {
        self == Self::Done
    }

    /// Bytes that are surely still to come; `None` when that is not known.
    #[must_use]
    pub fn left(self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(left),
            Self::Done => Some(0),
            _ => None,
        }
    }

    /// Bytes that are content whatever they are, if they come next; 0 where framing stands first.
    #[must_use]
    pub fn ahead(self) -> u64 {
        match self {
            Self::Length(left) | Self::ChunkData { left, .. } => left,
            _ => 0,
        }
    }

    /// So many bytes of content were read past this: no more than [`Decoder::ahead`] says.
    pub fn took_data(&mut self, count: u64) {
        *self = match *self {
            Self::Length(left) if left <= count => Self::Done,
            Self::Length(left) => Self::Length(left.saturating_sub(count)),
            Self::ChunkData { left, extensions } if left <= count => Self::ChunkEnd { extensions },
            Self::ChunkData { left, extensions } => {
                Self::ChunkData { left: left.saturating_sub(count), extensions }
            }
            other => other,
        };
    }

    /// `1*HEXDIG [ chunk-ext ] CRLF` (RFC 9112 §7.1); returns how long the line is, 0 if it is not whole.
    ///
    /// SECURITY: digits only, CRLF only, and no white space before the extension: every looser reading
    /// has been used to make two servers see two different bodies.
    fn chunk_size(
        &mut self,
        input: &[u8],
        extensions: u32,
        limits: &Limits,
    ) -> Result<usize, Error> {
        let digits = input.iter().take_while(|&&b| syntax::is_hex(b)).count();
        if digits > CHUNK_DIGITS_MAX {
            return Err(Error::Chunk);
        }
        let Some(&after) = input.get(digits) else { return Ok(0) };
        if digits == 0 {
            return Err(Error::Chunk);
        }
        let mut end = digits;
        if after == b';' {
            end += syntax::value_run(&input[digits..]);
        }
        let extensions = extensions as usize + end - digits;
        if extensions > limits.chunk_extension_bytes_max {
            return Err(Error::ChunkExtension);
        }
        match (input.get(end), input.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => {}
            (None, _) | (Some(b'\r'), None) => return Ok(0),
            _ => return Err(Error::Chunk),
        }
        let left = input[..digits].iter().fold(0u64, |size, &b| size << 4 | hex_value(b));
        let extensions = u32::try_from(extensions).map_err(|_| Error::ChunkExtension)?;
        *self = if left == 0 { Self::Trailers(0) } else { Self::ChunkData { left, extensions } };
        Ok(end + 2)
    }

    /// The CRLF after a chunk's data.
    fn chunk_end(&mut self, input: &[u8], extensions: u32) -> Result<usize, Error> {
        match (input.first(), input.get(1)) {
            (Some(b'\r'), Some(b'\n')) => {
                *self = Self::ChunkSize { extensions };
                Ok(2)
            }
            (None, _) | (Some(b'\r'), None) => Ok(0),
            _ => Err(Error::Chunk),
        }
    }

    /// One trailer line, or the empty line that ends the body.
    fn trailer<'b>(
        &mut self,
        input: &'b [u8],
        read: usize,
        limits: &Limits,
    ) -> Result<Option<(usize, Piece<'b>)>, Error> {
        match (input.first(), input.get(1)) {
            (Some(b'\r'), Some(b'\n')) => {
                *self = Self::Done;
                return Ok(Some((2, Piece::End)));
            }
            (Some(b'\r'), Some(_)) | (Some(b'\n'), _) => return Err(Error::Chunk),
            (None, _) | (Some(b'\r'), None) => return Ok(None),
            _ => {}
        }
        // A trailer's lines end with CRLF whatever was allowed in the head. As in a head, nothing past the
        // limit is looked at.
        let left = limits.trailer_bytes_max.saturating_sub(read);
        let within = &input[..input.len().min(left)];
        let Some(line) = (Lines { input: within, lenient: false }).field_line()? else {
            return if input.len() < left { Ok(None) } else { Err(Error::TrailersTooLarge) };
        };
        let (name, value) = (line.name.of(within), line.value.of(within));
        if is_forbidden_in_trailers(name) {
            return Err(Error::TrailerForbidden);
        }
        *self = Self::Trailers(read + line.length);
        Ok(Some((line.length, Piece::Trailer { name, value })))
    }
}

/// Fifteen digits: below `u64::MAX` whatever they are, and beyond every body.
const CHUNK_DIGITS_MAX: usize = 15;

fn hex_value(digit: u8) -> u64 {
    u64::from(match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    })
}

/// The start of `input`, at most `left` bytes of it.
pub(super) fn at_most(input: &[u8], left: u64) -> &[u8] {
    let length = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
    &input[..length]
}

/// RFC 9110 §6.5.1: fields that frame, route, authenticate, make the request depend on something or
/// change how the content is understood.
#[must_use]
pub fn is_forbidden_in_trailers(name: &[u8]) -> bool {
    const FORBIDDEN: [&str; 22] = [
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "max-forwards",
        "pragma",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-real-ip",
    ];
    const FORBIDDEN_BEGINNINGS: [&str; 2] = ["if-", "x-forwarded-"];
    let is = |name: &[u8], forbidden: &str| name.eq_ignore_ascii_case(forbidden.as_bytes());
    FORBIDDEN.iter().any(|forbidden| is(name, forbidden))
        || FORBIDDEN_BEGINNINGS
            .iter()
            .any(|begin| name.get(..begin.len()).is_some_and(|name| is(name, begin)))
}
