//! From a text to the same in another coding, to be kept.

use std::io;
use std::ops::RangeInclusive;

use number8_codings::Effort;
pub(super) use number8_codings::MADE;
use number8_proto::negotiate::Coding;

/// Sizes of texts that are compressed: shorter ones gain less than the fields cost, longer ones would hold
/// a thread and memory for too long.
pub(super) const SIZES: RangeInclusive<u64> = 512..=4 * 1024 * 1024;

/// The content in another coding.
///
/// # Errors
/// Those of the coder; there is none for what is not among [`MADE`].
pub(super) fn encode(content: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
    number8_codings::encode(content, coding, Effort::Kept)
}
