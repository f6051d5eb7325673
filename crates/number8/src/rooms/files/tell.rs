//! What the story of a request says of files: which one answers, in which coding, how long it is kept, and what came of
//! preconditions and ranges.

use number8_proto::conditional::Outcome;
use number8_proto::headers::Known;
use number8_proto::http1::{Head, Method};
use number8_proto::negotiate::Coding;
use number8_proto::uri::decode_path;

use super::entry::Entry;
use super::listing::View;
use super::load::Missing;
use super::representation::{Content, Representation};
use super::{Inner, Settings};
use crate::store::{OpenError, PathError, Refusal};
use crate::story::Story;

/// Which file it is, and how the path leads to it.
pub(super) fn file(story: &Story, inner: &Inner, entry: &Entry, path: &[u8]) {
    story.tell("file", || {
        let asked = decode_path(path).unwrap_or(path.into());
        let own = entry.path.as_bytes();
        let names: Vec<&[u8]> =
            asked.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
        let names = names.join(&b'/');
        let why = if inner.only.is_some() {
            "the one file that is served here"
        } else if own == names {
            "which the path names"
        } else if path.is_empty() || path.ends_with(b"/") {
            "the index file of the folder"
        } else if own == [&names, &b".html"[..]].concat() {
            "the page that the path names without its extension"
        } else {
            "the page of the single-page app, in place of what is missing"
        };
        format!("{}, {why}", shown(own))
    });
}

/// A listing in its place.
pub(super) fn listing(story: &Story, view: &View) {
    story.tell("file", || {
        let kind = if view.json { "JSON" } else { "HTML" };
        format!("none: what is in the folder is listed, as {kind}")
    });
}

/// Where the folder is.
pub(super) fn needs_slash(story: &Story) {
    story.tell("file", || "none: the path names a folder, which has a slash at its end".to_owned());
}

/// How long it stays in memory here, and what clients are told of that.
pub(super) fn keeping(story: &Story, entry: &Entry, is_kept: bool, settings: &Settings) {
    story.tell("kept", || {
        let what = match entry.identity.content {
            Content::Memory(_) => "in memory",
            Content::File(..) => "open",
        };
        match is_kept {
            true => format!(
                "{what} while the cache has room, and looked at again once it is {} ms old",
                settings.fresh_ms
            ),
            false if !entry.may_be_kept() => {
                "not yet: it changed less than two seconds ago, and may again without a new time"
                    .to_owned()
            }
            false => "not: the path alone does not decide what is served".to_owned(),
        }
    });
    story.tell("freshness", || {
        let says = |(name, _): &&(String, Vec<u8>)| super::is_one_of(name, &super::KEEPING_FIELDS);
        match settings.headers.iter().find(says) {
            Some((name, value)) => format!("clients keep it as they are told: {name}: {}", shown(value)),
            None => "clients are not told how long it is good; they guess, or ask again by ETag and Last-Modified".to_owned(),
        }
    });
}

/// In which coding it is sent; `begun` is that of a copy that is being made.
pub(super) fn variant(
    story: &Story,
    entry: &Entry,
    coded: Option<&Representation>,
    begun: Option<Coding>,
    head: &Head<'_>,
) {
    story.tell("variant", || match coded {
        Some(coded) if entry.sibling(coded.coding).is_some() => {
            let path = shown(entry.path.as_bytes());
            let suffix = super::load::suffix(coded.coding);
            format!("{}: {path}{suffix}, which stands beside it", coded.coding.name())
        }
        Some(coded) => format!("{}: a copy that was compressed here and is kept", coded.coding.name()),
        None => {
            let why = if let Some(coding) = begun {
                let name = coding.name();
                return format!(
                    "the file as it is; a copy in {name} is made meanwhile and kept for the requests that follow"
                );
            } else if !head.has(Known::AcceptEncoding) {
                "the client names no coding in Accept-Encoding"
            } else if head.method() == Method::Get && head.has(Known::Range) {
                "a part of it is asked for"
            } else if entry.is_compressible() || entry.has_siblings() {
                "it is there in no other coding that the client likes better"
            } else {
                "its type or its size is none that is compressed"
            };
            format!("the file as it is: {why}")
        }
    });
}

/// What came of the preconditions, where there are any.
pub(super) fn outcome(story: &Story, outcome: &Outcome, head: &Head<'_>) {
    story.tell("condition", || {
        match outcome {
            Outcome::NotModified if head.has(Known::IfNoneMatch) => {
                "If-None-Match names its ETag: the client has it, and is told so with 304"
            }
            Outcome::NotModified => "it has not changed since If-Modified-Since: 304",
            Outcome::PreconditionFailed if head.has(Known::IfMatch) => {
                "If-Match does not name its ETag: 412"
            }
            Outcome::PreconditionFailed => "it has changed since If-Unmodified-Since: 412",
            Outcome::Proceed => "nothing that the request asks about it stands in the way",
        }
        .to_owned()
    });
}

/// Why there is nothing.
pub(super) fn missing(story: &Story, missing: &Missing) {
    story.tell("file", || {
        match missing {
            Missing::BadEscape => "none: a percent sign in the path escapes nothing",
            Missing::BadPath(PathError::Hidden) => {
                "none: a name in the path begins with a dot, and hidden files are not served"
            }
            Missing::BadPath(_) => "none: no file can have such a path",
            Missing::ByAccept => {
                "none: what is missing has an extension, and the client asks for no page in its place"
            }
            Missing::Open(OpenError::NotFound) => "none: there is nothing of that name",
            Missing::Open(OpenError::NotServable) => "none: it is neither a regular file nor a folder",
            Missing::Open(OpenError::Refused(Refusal::Permission)) => {
                "none: the server may not read it (permissions of the file or of a folder above it)"
            }
            Missing::Open(OpenError::Refused(_)) => "none: a link leads out of the served folder",
            Missing::Open(_) => "none: it cannot be read now",
        }
        .to_owned()
    });
}

/// As text in one line.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
