//! Answers without a file: where to go instead, or why there is none.

use number8_proto::http1::Head;

use super::load::Missing;
use crate::body::Body;
use crate::response::{Response, try_again};
use crate::store::{OpenError, PathError, is_shortage, tell_of_disk};

/// Row H12: a folder without its slash. Relative links in it need the slash; the query is kept.
pub(super) fn needs_slash(head: &Head<'_>) -> Response {
    let path = head.path();
    let (mut location, shown) = match path.starts_with(b"//") {
        // SECURITY: a path that begins with two slashes would be the name of another host.
        true => {
            (b"/".to_vec(), &path[path.iter().position(|&b| b != b'/').unwrap_or(path.len())..])
        }
        // Relative to what the client has asked for, which may be more than we see: who is in front may take a prefix away.
        // SECURITY: the dot keeps a name with a colon in it from being the scheme of another address.
        false => (b"./".to_vec(), path.rsplit(|&b| b == b'/').next().unwrap_or_default()),
    };
    for &b in shown {
        if b.is_ascii_graphic() {
            location.push(b);
        } else {
            location.extend_from_slice(format!("%{b:02X}").as_bytes());
        }
    }
    location.push(b'/');
    if let Some(query) = head.query() {
        location.push(b'?');
        location.extend(query.iter().filter(|b| b.is_ascii_graphic()));
    }
    Response::new(301, Body::empty()).with_known("Location", location)
}

/// The answer when nothing is served. It says no more about a file than that it is not for the client.
pub(super) fn missing(missing: &Missing) -> Response {
    let nothing = || Response::error(404, "there is nothing at this address");
    match missing {
        Missing::BadEscape => {
            Response::error(400, "the path holds a percent sign that escapes nothing")
        }
        Missing::BadPath(PathError::Hidden | PathError::TooLong)
        | Missing::Open(OpenError::NotFound | OpenError::NotServable | OpenError::Refused(_)) => {
            nothing()
        }
        Missing::ByAccept => nothing().with_known("Vary", "Accept"),
        Missing::BadPath(_) => Response::error(400, "the path does not name a file"),
        Missing::Open(OpenError::Io(error)) if is_shortage(error) => busy(),
        Missing::Open(error) => {
            if let OpenError::Io(error) = error {
                tell_of_disk("the disk failed as a file was read", error);
            }
            failed()
        }
    }
}

pub(super) fn busy() -> Response {
    try_again("the server is busy")
}

pub(super) fn failed() -> Response {
    Response::error(500, "the file cannot be read")
}
