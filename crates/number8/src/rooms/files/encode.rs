//! From a text to the same in another coding.

use std::io::{self, Write};
use std::ops::RangeInclusive;

use number8_proto::negotiate::Coding;

/// Sizes of texts that are compressed: shorter ones gain less than the fields cost, longer ones would hold
/// a thread and memory for too long.
pub(super) const SIZES: RangeInclusive<u64> = 512..=4 * 1024 * 1024;

/// Between the fastest and the smallest: made once, sent many times, but on a small board.
const GZIP_LEVEL: u32 = 6;
#[cfg(feature = "brotli")]
const BROTLI_QUALITY: u32 = 5;
#[cfg(feature = "brotli")]
const BROTLI_WINDOW: u32 = 20;
const ZSTD_LEVEL: i32 = 6;

/// The content in another coding.
///
/// # Errors
/// Those of the coder; there is none for `identity`, nor for what is not among [`codings::MADE`](crate::codings::MADE).
pub(super) fn encode(content: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
    match coding {
        Coding::Gzip => {
            let mut out =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
            out.write_all(content)?;
            out.finish()
        }
        #[cfg(feature = "brotli")]
        Coding::Br => {
            let mut out = Vec::new();
            let mut encoder =
                brotli::CompressorWriter::new(&mut out, 4096, BROTLI_QUALITY, BROTLI_WINDOW);
            encoder.write_all(content)?;
            drop(encoder);
            Ok(out)
        }
        Coding::Zstd => zstd::bulk::compress(content, ZSTD_LEVEL),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}
