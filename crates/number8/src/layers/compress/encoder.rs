//! From pieces of content to the same in another coding.

use std::io::{self, Write};

use bytes::Bytes;
use number8_proto::negotiate::Coding;

/// Quicker than for files, which are compressed once: this is done for each answer.
const GZIP_LEVEL: u32 = 5;
#[cfg(feature = "brotli")]
const BROTLI_QUALITY: u32 = 4;
const ZSTD_LEVEL: i32 = 3;

/// The window in bits: 256 KiB, as each client of a stream holds one.
const WINDOW_BITS: u32 = 18;

pub(super) enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    #[cfg(feature = "brotli")]
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// # Errors
    /// There is no coder for it, as for `identity`, or no memory for one.
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), level))
            }
            #[cfg(feature = "brotli")]
            Coding::Br => Self::Br(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                4096,
                BROTLI_QUALITY,
                WINDOW_BITS,
            ))),
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(WINDOW_BITS)?;
                Self::Zstd(encoder)
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        })
    }

    /// What comes out when `piece` goes in; with `flush` all of it does, so that the client need not wait.
    pub(super) fn write(&mut self, piece: &[u8], flush: bool) -> io::Result<Bytes> {
        let writer: &mut dyn Write = match self {
            Self::Gzip(encoder) => encoder,
            #[cfg(feature = "brotli")]
            Self::Br(encoder) => encoder,
            Self::Zstd(encoder) => encoder,
        };
        writer.write_all(piece)?;
        if flush {
            writer.flush()?;
        }
        let out = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            #[cfg(feature = "brotli")]
            Self::Br(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        };
        Ok(std::mem::take(out).into())
    }

    /// What is left at the end.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Gzip(encoder) => encoder.finish()?.into(),
            #[cfg(feature = "brotli")]
            Self::Br(encoder) => encoder.into_inner().into(),
            Self::Zstd(encoder) => encoder.finish()?.into(),
        })
    }
}
