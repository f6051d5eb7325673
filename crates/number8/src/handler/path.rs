//! What the path of a request means to rules and to mounts: the two undo its escapes alike.

use std::borrow::Cow;

use number8_proto::uri::decode_path;

/// The path by which rules know what a target names: every escape undone, one slash where there are several.
pub(crate) fn url_path(path: &[u8]) -> Cow<'_, [u8]> {
    let decoded = undone(path);
    if !decoded.windows(2).any(|two| two == b"//") {
        return decoded;
    }
    let mut plain = decoded.into_owned();
    plain.dedup_by(|next, before| *next == b'/' && *before == b'/');
    plain.into()
}

/// A path with every escape undone. One that is none stands for itself.
///
/// SECURITY: the others are undone all the same. Were the path left as it is, rules would not see what the mount is found by.
pub(crate) fn undone(path: &[u8]) -> Cow<'_, [u8]> {
    decode_path(path).unwrap_or_else(|_| {
        let mut rest = path;
        std::iter::from_fn(|| {
            let (byte, after) = first(rest)?;
            rest = after;
            Some(byte)
        })
        .collect()
    })
}

/// The first byte of a path, its escape undone, and what follows. An escape that is none stands for itself.
pub(crate) fn first(path: &[u8]) -> Option<(u8, &[u8])> {
    let (&byte, after) = path.split_first()?;
    if byte == b'%'
        && let Some(escape) = path.get(..3)
        && let Ok(decoded) = decode_path(escape)
    {
        return Some((decoded[0], &path[3..]));
    }
    Some((byte, after))
}
