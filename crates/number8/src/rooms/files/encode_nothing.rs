//! Stands in for the coders where the feature `compression` is off.

use std::io;
use std::ops::Range;

use number8_proto::negotiate::Coding;

/// The codings that there is a coder for: none.
pub(super) const MADE: &[Coding] = &[];

/// Sizes of texts that are compressed: none.
pub(super) const SIZES: Range<u64> = 0..0;

/// Nothing has such a size.
///
/// # Errors
/// Always.
pub(super) fn encode(_: &[u8], _: Coding) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::Unsupported.into())
}
