//! The content codings that are made here, of files and of answers.

use number8_proto::negotiate::Coding;

/// Those that there is a coder for, the best for text first. Siblings of files may be in any coding.
pub(crate) const MADE: &[Coding] = match cfg!(feature = "brotli") {
    true => &[Coding::Zstd, Coding::Br, Coding::Gzip],
    false => &[Coding::Zstd, Coding::Gzip],
};
