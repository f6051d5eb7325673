//! What is mounted where, and which of it a path leads to.

use std::cmp::Reverse;

use crate::handler::Handler;
use crate::handler::path::{first, undone};
use crate::router::RouteError;

/// Handlers by what paths begin with.
#[derive(Default)]
pub(super) struct Mounts(Vec<Mount>);

/// A handler of all that is below a path.
pub(super) struct Mount {
    /// As it was given.
    pub(super) prefix: Vec<u8>,
    /// The path with every escape undone, one slash before each name and none at its end.
    plain: Vec<u8>,
    pub(super) handler: Box<dyn Handler>,
}

impl Mounts {
    /// # Errors
    /// Something is mounted there.
    pub(super) fn add(
        &mut self,
        prefix: &str,
        handler: Box<dyn Handler>,
    ) -> Result<(), RouteError> {
        let given = prefix;
        let prefix = prefix.trim_end_matches('/').as_bytes().to_vec();
        let decoded = undone(&prefix);
        let names = decoded.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
        let plain = names.flat_map(|name| [b"/", name]).collect::<Vec<_>>().concat();
        if self.0.iter().any(|other| other.plain == plain) {
            return Err(RouteError::Taken(given.to_owned()));
        }
        self.0.push(Mount { prefix, plain, handler });
        self.0.sort_by_key(|mount| Reverse(mount.plain.len()));
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn handlers(&self) -> impl Iterator<Item = &dyn Handler> {
        self.0.iter().map(|mount| &*mount.handler)
    }

    /// The mount that a path leads to, the one with the longest path of those that do, and what follows it in the path.
    ///
    /// SECURITY: rules are about the path with its escapes undone and several slashes as one. So a mount is found by its path
    /// with the escapes undone, and where only an odd slash keeps a path from being below it, nothing is found: else another mount
    /// would answer under its rules.
    pub(super) fn find<'a>(&self, path: &'a [u8]) -> Option<(&Mount, &'a [u8])> {
        // Everything is below the root, however it is written.
        if let [mount] = self.0.as_slice()
            && mount.plain.is_empty()
        {
            return Some((mount, path));
        }
        let is_plain = !path.contains(&b'%') && !path.windows(2).any(|two| two == b"//");
        for mount in &self.0 {
            let below = match is_plain {
                true => plain_rest(path, &mount.plain).map_or(Below::No, Below::Rest),
                false => below(path, &mount.plain),
            };
            match below {
                Below::Rest(rest) => return Some((mount, rest)),
                Below::Unclear => return None,
                Below::No => {}
            }
        }
        None
    }
}

/// Whether a path is below another one.
enum Below<'a> {
    /// It is, with this behind it.
    Rest(&'a [u8]),
    /// It is where slashes that are escaped, or more than one, count as one.
    Unclear,
    No,
}

fn plain_rest<'a>(path: &'a [u8], plain: &[u8]) -> Option<&'a [u8]> {
    // An empty list points at no memory, and to compare nothing with what is there by masked loads takes a processor as long as
    // thirty comparisons.
    let rest = if plain.is_empty() { path } else { path.strip_prefix(plain)? };
    rest.first().is_none_or(|&byte| byte == b'/').then_some(rest)
}

/// Whether a path as it stands in a request is below a plain one.
fn below<'a>(path: &'a [u8], plain: &[u8]) -> Below<'a> {
    let (mut rest, mut is_unclear, mut is_after_slash) = (path, false, false);
    for &wanted in plain {
        loop {
            let Some((byte, after)) = first(rest) else { return Below::No };
            // Several slashes count as one.
            let is_more = byte == b'/' && is_after_slash;
            if byte != wanted && !is_more {
                return Below::No;
            }
            is_unclear |= is_more || byte == b'/' && rest[0] != b'/';
            is_after_slash = byte == b'/';
            rest = after;
            if !is_more {
                break;
            }
        }
    }
    match first(rest) {
        Some((b'/', _)) if !plain.is_empty() && rest[0] != b'/' => Below::Unclear,
        None | Some((b'/', _)) if is_unclear => Below::Unclear,
        None | Some((b'/', _)) => Below::Rest(rest),
        // What is asked for is not below anything.
        Some(_) if plain.is_empty() => Below::Rest(rest),
        Some(_) => Below::No,
    }
}
