//! The answer with a folder's listing: read by the lane, sent while it is written out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use super::listing::html::Forms;
use super::listing::{self, View};
use super::load::Missing;
use super::refuse;
use crate::access::{Access, Rights};
use crate::body::Body;
use crate::handler::{Answer, Call};
use crate::response::Response;
use crate::server::lane::Lane;
use crate::store::{Dir, Entry, Kind, OpenError};

/// Chunks made in one turn before other connections get theirs.
const TURN_CHUNKS: u32 = 4;

/// Who reads a listing: what they may neither list nor read is not in it.
pub(super) struct Reader {
    access: Arc<Access>,
    user: Option<Arc<str>>,
    /// The path of the folder from the root of the server, decoded.
    folder: Vec<u8>,
}

impl Reader {
    /// `None` where everybody may see everything.
    pub(super) fn of(call: &Call<'_>) -> Option<Self> {
        let access = call.access();
        if access.everywhere().intersects(Rights::RO) {
            return None;
        }
        let mut folder = call.url_path().into_owned();
        if !folder.ends_with(b"/") {
            folder.push(b'/');
        }
        Some(Self { access: Arc::clone(access), user: call.caller.user.clone(), folder })
    }

    fn sees(&self, name: &[u8], kind: Kind) -> bool {
        let slash: &[u8] = if kind == Kind::Directory { b"/" } else { b"" };
        let path = [&self.folder, name, slash].concat();
        self.access.rights(self.user.as_deref(), &path).intersects(Rights::RO)
    }
}

/// Reads a folder on the lane, and sends its listing as it is made.
pub(super) fn list(
    lane: &Lane,
    dir: Dir,
    path: Vec<u8>,
    view: View,
    forms: Forms,
    rights: Rights,
    reader: Option<Reader>,
) -> Answer {
    let read = move || match reader {
        Some(reader) => dir.list_some(&view.options(), |name, kind| reader.sees(name, kind)),
        None => dir.list(&view.options()),
    };
    let Ok(turn) = lane.take_turns(read) else {
        return refuse::busy().into();
    };
    Answer::later(async move {
        let listing = match turn.await {
            Ok(Ok(Ok(listing))) => listing,
            Ok(Ok(Err(error))) => return refuse::missing(&Missing::Open(OpenError::Io(error))),
            Ok(Err(_)) => return refuse::failed(),
            Err(_) => return refuse::busy(),
        };
        // SECURITY: whoever asks for many and takes none costs what these take.
        let names: usize = listing.entries.iter().map(|entry| entry.name.len()).sum();
        let held = names + listing.entries.len() * size_of::<Entry>();
        let held = Arc::new(AtomicUsize::new(held));
        let has_forms = !view.json && (forms.add || forms.remove || forms.token.is_some());
        let (body, mime) = if view.json {
            let document = listing::json::document(&path, view, listing, rights);
            (stream(document, held), "application/json")
        } else {
            let page = listing::html::page(&path, view, listing, forms);
            (stream(page, held), "text/html; charset=utf-8")
        };
        let mut listing = Response::new(200, body);
        listing.is_ours = true;
        let listing = listing
            .with_known("Content-Type", mime)
            .with_known("Vary", "Accept")
            .with_known("Cache-Control", "no-cache");
        match has_forms {
            // SECURITY: a page of another site could show the buttons under something else.
            true => listing.with_known("Content-Security-Policy", "frame-ancestors 'self'"),
            false => listing,
        }
    })
}

/// Sends chunks that are made of what is `held` meanwhile.
fn stream(
    chunks: impl Iterator<Item = Vec<u8>> + Unpin + Send + 'static,
    held: Arc<AtomicUsize>,
) -> Body {
    Body::stream(Chunks { chunks, in_turn: 0 }).holding(held)
}

/// Chunks that an iterator makes.
struct Chunks<I> {
    chunks: I,
    in_turn: u32,
}

impl<I: Iterator<Item = Vec<u8>> + Unpin> Stream for Chunks<I> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.in_turn == TURN_CHUNKS {
            // A client that takes everything at once would keep the worker for the whole of a long page.
            self.in_turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.in_turn += 1;
        Poll::Ready(self.chunks.next().map(|chunk| Ok(Bytes::from(chunk))))
    }
}
