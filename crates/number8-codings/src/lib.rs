//! The content codings that number8 makes (RFC 9110 §8.4.1), behind one encoder: gzip and Zstandard, and Brotli with
//! the feature `brotli`.
//!
//! It stands apart from the library because a coder is much code that says nothing of HTTP, and is built while the library's other
//! parts are.
//!
//! ```
//! use number8_codings::{Effort, encode, gunzip};
//! use number8_proto::negotiate::Coding;
//!
//! let text = "hello, world\n".repeat(1000);
//! let coded = encode(text.as_bytes(), Coding::Gzip, Effort::Kept)?;
//! assert!(coded.len() < 100);
//! assert_eq!(gunzip(&coded)?, text.as_bytes());
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io::{self, Read, Write};

use bytes::Bytes;
use number8_proto::negotiate::Coding;

/// The codings that there is an encoder for, the best for text first.
pub const MADE: &[Coding] = match cfg!(feature = "brotli") {
    true => &[Coding::Zstd, Coding::Br, Coding::Gzip],
    false => &[Coding::Zstd, Coding::Gzip],
};

/// How much is done to make the result small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Made once, sent many times: between the fastest and the smallest, as it may be a small board.
    Kept,
    /// Made for each answer: quicker, and with a window of 256 KiB, as each client of a stream holds one.
    Streamed,
}

/// The window of [`Effort::Streamed`], in bits.
const STREAM_WINDOW_BITS: u32 = 18;

impl Effort {
    const fn gzip_level(self) -> u32 {
        match self {
            Self::Kept => 6,
            Self::Streamed => 5,
        }
    }

    const fn zstd_level(self) -> i32 {
        match self {
            Self::Kept => 6,
            Self::Streamed => 3,
        }
    }

    /// Quality, and bits of the window.
    #[cfg(feature = "brotli")]
    const fn brotli(self) -> (u32, u32) {
        match self {
            Self::Kept => (5, 20),
            Self::Streamed => (4, STREAM_WINDOW_BITS),
        }
    }
}

/// Codes content that comes in pieces.
// Boxed as a trait: what drops a coder is its code as well, and would be compiled wherever an encoder is dropped.
pub struct Encoder(Box<dyn Coder>);

/// Writes to a buffer of its own.
trait Coder: Write + Send {
    /// What has come out so far.
    fn out(&mut self) -> &mut Vec<u8>;

    /// What is left at the end.
    fn end(self: Box<Self>) -> io::Result<Vec<u8>>;
}

impl Coder for flate2::write::GzEncoder<Vec<u8>> {
    fn out(&mut self) -> &mut Vec<u8> {
        self.get_mut()
    }

    fn end(self: Box<Self>) -> io::Result<Vec<u8>> {
        self.finish()
    }
}

#[cfg(feature = "brotli")]
impl Coder for brotli::CompressorWriter<Vec<u8>> {
    fn out(&mut self) -> &mut Vec<u8> {
        self.get_mut()
    }

    fn end(self: Box<Self>) -> io::Result<Vec<u8>> {
        Ok(self.into_inner())
    }
}

impl Coder for zstd::stream::write::Encoder<'static, Vec<u8>> {
    fn out(&mut self) -> &mut Vec<u8> {
        self.get_mut()
    }

    fn end(self: Box<Self>) -> io::Result<Vec<u8>> {
        self.finish()
    }
}

impl Encoder {
    /// An encoder to which nothing has come yet.
    ///
    /// # Errors
    /// There is none for that coding ([`MADE`]), or no memory for one.
    pub fn new(coding: Coding, effort: Effort) -> io::Result<Self> {
        Self::of(coding, effort, None)
    }

    /// As [`Encoder::new`], for content of that length, if it is known.
    fn of(coding: Coding, effort: Effort, length: Option<u64>) -> io::Result<Self> {
        Ok(Self(match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(effort.gzip_level());
                Box::new(flate2::write::GzEncoder::new(Vec::new(), level))
            }
            #[cfg(feature = "brotli")]
            Coding::Br => {
                let (quality, window_bits) = effort.brotli();
                Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, quality, window_bits))
            }
            Coding::Zstd => {
                let mut encoder =
                    zstd::stream::write::Encoder::new(Vec::new(), effort.zstd_level())?;
                // Its tables become no larger than the content needs, and it says how long that is.
                encoder.set_pledged_src_size(length)?;
                if effort == Effort::Streamed {
                    encoder.window_log(STREAM_WINDOW_BITS)?;
                }
                Box::new(encoder)
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        }))
    }

    /// What comes out when `piece` goes in; with `flush` all of it does, so that the client need not wait.
    ///
    /// # Errors
    /// Those of the coder, which has no more memory.
    pub fn write(&mut self, piece: &[u8], flush: bool) -> io::Result<Bytes> {
        self.0.write_all(piece)?;
        if flush {
            self.0.flush()?;
        }
        Ok(std::mem::take(self.0.out()).into())
    }

    /// What is left at the end.
    ///
    /// # Errors
    /// Those of the coder, which has no more memory.
    pub fn finish(self) -> io::Result<Bytes> {
        self.0.end().map(Bytes::from)
    }
}

/// Content that is whole, in another coding.
///
/// # Errors
/// As for [`Encoder::new`] and [`Encoder::write`].
pub fn encode(content: &[u8], coding: Coding, effort: Effort) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::of(coding, effort, Some(content.len() as u64))?;
    encoder.0.write_all(content)?;
    encoder.0.end()
}

/// What was coded by gzip, as it was.
///
/// # Errors
/// It is not gzip, or ends too early.
pub fn gunzip(coded: &[u8]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(coded).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "an unwrap that fails is the test's answer")]

    use std::io::Read;

    use number8_proto::negotiate::Coding;
    use proptest::prelude::*;

    use super::{Effort, Encoder, MADE, encode, gunzip};

    const EFFORTS: [Effort; 2] = [Effort::Kept, Effort::Streamed];

    fn decoded(coded: &[u8], coding: Coding) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Gzip => out = gunzip(coded).unwrap(),
            Coding::Br => {
                brotli::Decompressor::new(coded, 4096).read_to_end(&mut out).map(drop).unwrap();
            }
            _ => out = zstd::decode_all(coded).unwrap(),
        }
        out
    }

    proptest! {
        #[test]
        fn content_is_read_back_however_it_was_cut(
            content in proptest::collection::vec(any::<u8>(), 0..2000),
            cut in 1..500usize,
            flush: bool,
        ) {
            for (&coding, effort) in MADE.iter().flat_map(|coding| EFFORTS.map(|e| (coding, e))) {
                prop_assert_eq!(&decoded(&encode(&content, coding, effort).unwrap(), coding), &content);
                let (mut encoder, mut coded) = (Encoder::new(coding, effort).unwrap(), Vec::new());
                for piece in content.chunks(cut) {
                    coded.extend(encoder.write(piece, flush).unwrap());
                }
                coded.extend(encoder.finish().unwrap());
                prop_assert_eq!(&decoded(&coded, coding), &content);
            }
        }
    }

    #[test]
    fn what_is_flushed_can_be_read_at_once() {
        let mut encoder = Encoder::new(Coding::Gzip, Effort::Streamed).unwrap();
        let mut coded = encoder.write(b"tick", true).unwrap();
        let mut begin = [0; 4];
        flate2::read::GzDecoder::new(&coded[..]).read_exact(&mut begin).unwrap();
        assert_eq!(&begin, b"tick");
        coded = [coded, encoder.finish().unwrap()].concat().into();
        assert_eq!(gunzip(&coded).unwrap(), b"tick");
    }

    /// RFC 9659: no browser has to take a window of more than 8 MiB; those of streams are 256 KiB.
    #[test]
    fn zstandard_says_how_long_content_is_and_keeps_its_window_small() {
        let content = vec![b'x'; 3 << 20];
        let whole = encode(&content, Coding::Zstd, Effort::Kept).unwrap();
        // RFC 8878 §3.1.1.1.1: the two highest bits tell the size of the size.
        assert_ne!(whole[4] >> 6, 0);
        let mut encoder = Encoder::new(Coding::Zstd, Effort::Streamed).unwrap();
        let mut coded = encoder.write(&content, false).unwrap().to_vec();
        coded.extend(encoder.finish().unwrap());
        // §3.1.1.1.2: the exponent of the window, less 10.
        assert_eq!(10 + (coded[5] >> 3), 18);
    }

    #[test]
    fn what_is_no_coding_of_ours_is_an_error() {
        for coding in [Coding::Identity, Coding::Br] {
            if !MADE.contains(&coding) {
                assert!(encode(b"", coding, Effort::Kept).is_err());
            }
        }
        assert!(gunzip(b"plain").is_err());
        let coded = encode(b"hello", Coding::Gzip, Effort::Kept).unwrap();
        assert!(gunzip(&coded[..coded.len() - 1]).is_err());
    }
}
