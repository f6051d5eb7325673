//! One line of a head: where it ends, and a field line taken apart.

use crate::error::Error;
use crate::http1::head::Span;
use crate::syntax;

/// The input, with the rule of how its lines end.
#[derive(Clone, Copy)]
pub(super) struct Lines<'b> {
    pub(super) input: &'b [u8],
    /// A bare LF ends a line too.
    pub(super) lenient: bool,
}

impl<'b> Lines<'b> {
    /// What is left of the input at `at`.
    #[inline]
    pub(super) fn from(self, at: usize) -> Self {
        Self { input: self.input.get(at..).unwrap_or_default(), ..self }
    }

    /// A line must end here: returns the length of its end, `None` when its LF is to come.
    #[inline]
    pub(super) fn end(self) -> Result<Option<usize>, Error> {
        match self.input {
            [b'\r', b'\n', ..] => Ok(Some(2)),
            [b'\n', ..] if self.lenient => Ok(Some(1)),
            [] | [b'\r'] => Ok(None),
            [b'\r', ..] => Err(Error::BareCarriageReturn),
            [b'\n', ..] => Err(Error::BareLineFeed),
            [_, ..] => Err(Error::RequestLine),
        }
    }

    /// `name ":" OWS value OWS CRLF` (RFC 9112 §5); `None` when the line is not whole.
    /// Trailers are read by the same rule.
    #[inline(always)]
    pub(super) fn field_line(self) -> Result<Option<FieldLine>, Error> {
        let line = self.input;
        let name = syntax::token_run(line);
        let after = match &line[name..] {
            [] => return Ok(None),
            [b':', after @ ..] if name > 0 => after,
            [b, ..] if syntax::is_ows(*b) && name == 0 => return Err(Error::Folded),
            [b, ..] if syntax::is_ows(*b) => return Err(Error::SpaceBeforeColon),
            [_, ..] => return Err(Error::FieldName),
        };
        let (value, rest) = after.split_at(syntax::value_run(after));
        let end = match rest {
            [] => None,
            [b'\r' | b'\n', ..] => Self { input: rest, ..self }.end()?,
            [_, ..] => return Err(Error::FieldValue),
        };
        let Some(end) = end else { return Ok(None) };

        let value = syntax::trim_ows_start(value);
        let start = line.len() - rest.len() - value.len();
        Ok(Some(FieldLine {
            name: Span::new(0, name),
            value: Span::new(start, start + syntax::trim_ows_end(value).len()),
            length: line.len() - rest.len() + end,
        }))
    }
}

/// A field line, as offsets from its first byte.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FieldLine {
    pub(super) name: Span,
    pub(super) value: Span,
    /// With what ends the line.
    pub(super) length: usize,
}
