//! The content of a request, taken before the application is called: so a client that sends slowly holds up no thread, and
//! reading never waits.

use std::hint::black_box;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use bytes::{Bytes, BytesMut};
use number8::server::lane::Lane;
use number8::{Body, BodyError, Response};

/// Bytes written to a file at once.
const WRITE_BYTES: usize = 256 * 1024;

/// Bytes that the process keeps, at most, once it has had large content: 16 MiB, an upload's worth.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// Content that is whole.
pub(super) enum Spooled {
    /// In memory, counted for as long as `held` is there.
    Memory { chunks: Vec<Bytes>, held: Held },
    /// In a file without a name, at its start; and how long it is.
    File(OwnedFd, u64),
}

/// How many bytes may wait in memory, over all requests.
pub(super) struct Budget {
    max: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, used: AtomicUsize::new(0) })
    }
}

/// A part of a [`Budget`], in use.
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// Takes more of the budget; says whether there was so much.
    fn grow(&mut self, bytes: usize) -> bool {
        let Budget { max, used } = &*self.budget;
        let fits = used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| sum <= max)
            })
            .is_ok();
        if fits {
            self.bytes += bytes;
        }
        fits
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Takes content whole: into memory while the budget allows, else into a file, which the lane writes.
///
/// # Errors
/// It cannot be had, or cannot be kept: the answer that says so.
pub(super) async fn spool(
    mut body: Body,
    budget: &Arc<Budget>,
    lane: &Lane,
) -> Result<Spooled, Response> {
    let mut held = Held { budget: Arc::clone(budget), bytes: 0 };
    let mut chunks = Vec::new();
    while let Some(chunk) = body.chunk().await.map_err(|error| refused(&error))? {
        let fits = held.grow(chunk.len());
        push(&mut chunks, chunk);
        if !fits {
            return to_file(body, chunks, held, lane).await.map_err(|error| refused(&error));
        }
    }
    if held.bytes > WRITE_BYTES {
        keep_freed();
    }
    Ok(Spooled::Memory { chunks, held })
}

/// Pieces up to this size, in bytes, are put together.
const SMALL_BYTES: usize = 4 * 1024;

/// Adds a piece to others.
///
/// SECURITY: a client chooses how small its pieces are, and what there is beside each is more than one byte.
fn push(pieces: &mut Vec<Bytes>, piece: Bytes) {
    match pieces.last_mut().filter(|last| last.len() + piece.len() <= SMALL_BYTES) {
        Some(last) => {
            let mut joined = BytesMut::from(std::mem::take(last));
            joined.extend_from_slice(&piece);
            *last = joined.freeze();
        }
        None => pieces.push(piece),
    }
}

/// Has the allocator keep the memory of large content for the next one, of which the system would zero each page anew.
///
/// That of glibc gives back what is free at the end of its heap beyond twice the largest piece that it has mapped and freed
/// (mallopt(3), M_MMAP_THRESHOLD), so one is freed that was never touched. Other allocators learn nothing from that.
fn keep_freed() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(black_box(Vec::<u8>::with_capacity(KEPT_BYTES / 2))));
}

/// Moves on to a file with what has come so far.
async fn to_file(
    mut body: Body,
    mut chunks: Vec<Bytes>,
    held: Held,
    lane: &Lane,
) -> io::Result<Spooled> {
    let mut file = None;
    let mut length = 0;
    let mut held = Some(held);
    loop {
        let mut waiting: usize = chunks.iter().map(Bytes::len).sum();
        let mut is_end = false;
        while waiting < WRITE_BYTES && !is_end {
            match body.chunk().await? {
                Some(chunk) => {
                    waiting += chunk.len();
                    push(&mut chunks, chunk);
                }
                None => is_end = true,
            }
        }
        length += waiting as u64;
        let (before, batch) = (file.take(), std::mem::take(&mut chunks));
        let job = lane.submit(move || write(before, &batch, is_end)).map_err(io::Error::other)?;
        let written = job.await.map_err(io::Error::other)?.map_err(Unkept)?;
        // It is in the file now.
        drop(held.take());
        if is_end {
            return Ok(Spooled::File(written, length));
        }
        file = Some(written);
    }
}

/// Adds content to a file, which is made first where there is none.
fn write(file: Option<OwnedFd>, batch: &[Bytes], is_end: bool) -> io::Result<OwnedFd> {
    let mut file = match file {
        Some(file) => file.into(),
        None => tempfile::tempfile()?,
    };
    for chunk in batch {
        file.write_all(chunk)?;
    }
    if is_end {
        file.rewind()?;
    }
    Ok(file.into())
}

/// There is no room for content.
#[derive(Debug)]
struct Unkept(io::Error);

impl std::fmt::Display for Unkept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "content of a request cannot be kept in a temporary file: {}", self.0)
    }
}

impl std::error::Error for Unkept {}

impl From<Unkept> for io::Error {
    fn from(error: Unkept) -> Self {
        Self::other(error)
    }
}

/// The answer to content that cannot be had.
fn refused(error: &io::Error) -> Response {
    let cause = error.get_ref();
    if let Some(cause) = cause.and_then(|cause| cause.downcast_ref::<BodyError>()) {
        return Response::error(cause.status(), cause.to_string());
    }
    if cause.is_some_and(|cause| cause.is::<Unkept>()) {
        crate::hosting::say(&error.to_string());
        return Response::error(507, "there is no room for the content");
    }
    super::threads::busy()
}
