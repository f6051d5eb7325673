//! The entity-tags of a file (RFC 9110 §8.8.3), and the names of its copies in codings: the same for whoever serves it and whoever
//! writes it.

use number8_proto::negotiate::Coding;

use crate::store::Meta;

/// What stands behind the name of a file in that of its copy in a coding, best first.
pub(crate) const SIBLINGS: [(&[u8], Coding); 3] =
    [(b".zst", Coding::Zstd), (b".br", Coding::Br), (b".gz", Coding::Gzip)];

/// The tag of a file as it is: `"<mtime in ns>-<size>"`, in hexadecimal digits.
pub(crate) fn etag(file: &Meta) -> Vec<u8> {
    format!("\"{}\"", version(file)).into_bytes()
}

/// The tag of a file in a coding, whose content is from that time and so long: `"<mtime>-<size>-<mtime>-<size>-<coding>"`, the
/// first two of the file.
#[cfg(feature = "files")]
pub(crate) fn coded_etag(file: &Meta, coding: Coding, modified_ns: i128, size: u64) -> Vec<u8> {
    let (file, coding) = (version(file), coding.name());
    format!("\"{file}-{modified_ns:x}-{size:x}-{coding}\"").into_bytes()
}

/// The weak tag of content that may still change unseen, read at `now_ns`: of no other moment, as If-None-Match would take
/// the tag of what comes next for this one (RFC 9110 §8.8.3.2).
#[cfg(feature = "files")]
pub(crate) fn weak_etag(strong: &[u8], now_ns: i128) -> Vec<u8> {
    let open = strong.strip_suffix(b"\"").unwrap_or(strong);
    [b"W/", open, format!("-{now_ns:x}\"").as_bytes()].concat()
}

/// The tag in a field that is of this version of a file, in whatever coding.
#[cfg(feature = "uploads")]
pub(crate) fn of_version<'a>(field: &'a [u8], file: &Meta) -> Option<&'a [u8]> {
    let begin = format!("\"{}-", version(file));
    let start = field.windows(begin.len()).position(|bytes| bytes == begin.as_bytes())?;
    let tag = &field[start..];
    let end = tag[1..].iter().position(|&byte| byte == b'"')? + 2;
    Some(&tag[..end])
}

fn version(file: &Meta) -> String {
    format!("{:x}-{:x}", file.modified_ns, file.size)
}
