//! The content of a request, taken before the application is called: so a client that sends slowly holds up no thread, and
//! reading never waits.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};

use bytes::{BufMut, Bytes, BytesMut};
use number8::server::lane::Lane;
use number8::{Body, BodyError, Chunk, Response};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::io::Errno;

use crate::lock::lock;
use crate::sys::Blank;

/// Bytes written to a file at once.
const WRITE_BYTES: usize = 256 * 1024;

/// Bytes that the process keeps, at most, once it has had large content: 16 MiB, an upload's worth.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// Content that is whole.
pub(super) enum Spooled {
    /// In memory, counted for as long as `held` is there.
    Memory { pieces: Vec<Piece>, held: Held },
    /// In a file without a name, at its start; and how long it is.
    File(OwnedFd, u64),
}

/// A part of content.
pub(super) enum Piece {
    /// As it came.
    Bytes(Bytes),
    /// In an object of Python's, which may not be full.
    Object(Blank),
}

impl Piece {
    pub(super) fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// All of it as an object, where there is one.
    pub(super) fn object<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyBytes>> {
        match self {
            Self::Bytes(_) => None,
            Self::Object(blank) => blank.object(py),
        }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Object(blank) => blank.as_ref(),
        }
    }
}

/// Bytes of one object: what those who read content part by part ask for at once (`shutil.copyfileobj`, Werkzeug, Django).
pub(super) const OBJECT_BYTES: usize = 64 * 1024;

/// The memory for content: how many bytes may wait in it, over all requests, and objects that are there for the next ones.
///
/// What serves has no interpreter to make objects with, so those who read content make as many as they have used.
pub(super) struct Budget {
    max: usize,
    /// Bytes that stay free on the disk, for what goes beyond it.
    keep_free: u64,
    used: AtomicUsize,
    blanks: Mutex<Vec<Blank>>,
}

impl Budget {
    pub(super) fn new(max: usize, keep_free: u64) -> Arc<Self> {
        Arc::new(Self { max, keep_free, used: AtomicUsize::new(0), blanks: Mutex::default() })
    }
}

/// A part of a [`Budget`], in use.
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// An object that is empty, where there is one left and the budget allows.
    ///
    /// SECURITY: all of it counts at once, since it is memory that nobody else can have, however slowly it is filled.
    fn blank(&mut self) -> Option<Blank> {
        let blank = lock(&self.budget.blanks).pop()?;
        if self.grow(OBJECT_BYTES) {
            return Some(blank);
        }
        lock(&self.budget.blanks).push(blank);
        None
    }

    /// Content of that length was used, and the memory for it is free again: has as much ready in objects for the next one, and no
    /// more than the budget allows to be used.
    pub(super) fn restock(&self, py: Python<'_>, length: usize) {
        let most = KEPT_BYTES.min(self.budget.max) / OBJECT_BYTES;
        for _ in 0..length.div_ceil(OBJECT_BYTES) {
            let mut blanks = lock(&self.budget.blanks);
            if blanks.len() >= most {
                return;
            }
            // Without memory for it, the next content comes as it does without objects.
            let Ok(blank) = Blank::new(py, OBJECT_BYTES) else { return };
            blanks.push(blank);
        }
    }

    /// Takes more of the budget; says whether there was so much.
    fn grow(&mut self, bytes: usize) -> bool {
        let Budget { max, used, .. } = &*self.budget;
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
    let mut pieces = Vec::new();
    // What is too large for memory goes to a file, for which objects are no use.
    let in_objects = OBJECT_BYTES as u64 + 1..=budget.max as u64;
    let mut next = match body.announced().filter(|length| in_objects.contains(length)) {
        Some(length) => into_objects(&mut body, length, &mut pieces, &mut held).await,
        None => Ok(Bytes::new()),
    };
    loop {
        let chunk = match next {
            Ok(rest) if !rest.is_empty() => Ok(Some(rest)),
            Ok(_) => body.chunk().await,
            Err(error) => Err(error),
        };
        next = Ok(Bytes::new());
        let Some(chunk) = chunk.map_err(|error| refused(&error))? else { break };
        let fits = held.grow(chunk.len());
        push(&mut pieces, chunk);
        if !fits {
            return to_file(body, pieces, held, lane).await.map_err(|error| refused(&error));
        }
    }
    if held.bytes > WRITE_BYTES {
        keep_freed();
    }
    Ok(Spooled::Memory { pieces, held })
}

/// Takes content of that length into objects of Python's, as long as there are some. Returns what has come and did not fit.
async fn into_objects(
    body: &mut Body,
    length: u64,
    pieces: &mut Vec<Piece>,
    held: &mut Held,
) -> io::Result<Bytes> {
    let (mut taken, mut rest) = (0, Bytes::new());
    while taken < length {
        let Some(mut blank) = held.blank() else { break };
        while taken < length && blank.has_remaining_mut() {
            if rest.is_empty() {
                let chunk;
                (chunk, blank) = body.chunk_into(blank).await?;
                match chunk {
                    Chunk::Received(count) => taken += count as u64,
                    Chunk::Apart(bytes) => rest = bytes,
                    // The body itself sees to its length.
                    Chunk::End => taken = length,
                }
            }
            let fits = rest.split_to(rest.len().min(blank.remaining_mut()));
            blank.put_slice(&fits);
            taken += fits.len() as u64;
        }
        pieces.push(Piece::Object(blank));
    }
    Ok(rest)
}

/// Pieces up to this size, in bytes, are put together.
const SMALL_BYTES: usize = 4 * 1024;

/// Adds a piece to others.
///
/// SECURITY: a client chooses how small its pieces are, and what there is beside each is more than one byte.
fn push(pieces: &mut Vec<Piece>, piece: Bytes) {
    match pieces.last_mut() {
        Some(Piece::Bytes(last)) if last.len() + piece.len() <= SMALL_BYTES => {
            let mut joined = BytesMut::from(std::mem::take(last));
            joined.extend_from_slice(&piece);
            *last = joined.freeze();
        }
        _ => pieces.push(Piece::Bytes(piece)),
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
    mut pieces: Vec<Piece>,
    held: Held,
    lane: &Lane,
) -> io::Result<Spooled> {
    let mut file = None;
    let mut length = 0;
    let keep_free = held.budget.keep_free;
    let mut held = Some(held);
    loop {
        let mut waiting: usize = pieces.iter().map(Piece::len).sum();
        let mut is_end = false;
        while waiting < WRITE_BYTES && !is_end {
            match body.chunk().await? {
                Some(chunk) => {
                    waiting += chunk.len();
                    push(&mut pieces, chunk);
                }
                None => is_end = true,
            }
        }
        length += waiting as u64;
        let (before, batch) = (file.take(), std::mem::take(&mut pieces));
        let has_begun = before.is_some();
        let write = move || write(before, &batch, is_end, keep_free);
        // What has begun goes on, also where so many wait that nothing new begins.
        let job = if has_begun { lane.go_on(write) } else { lane.submit(write) };
        let job = job.map_err(io::Error::other)?;
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
///
/// SECURITY: whoever may send may send many at once, and the folder for temporary files is often the memory of the machine.
fn write(
    file: Option<OwnedFd>,
    batch: &[Piece],
    is_end: bool,
    keep_free: u64,
) -> io::Result<OwnedFd> {
    let mut file = match file {
        Some(file) => file.into(),
        None => tempfile::tempfile()?,
    };
    let length: usize = batch.iter().map(Piece::len).sum();
    if free(&file)?.is_some_and(|free| free < keep_free.saturating_add(length as u64)) {
        let why = format!("less than the {keep_free} bytes of keep-free would stay free");
        return Err(io::Error::other(why));
    }
    for piece in batch {
        file.write_all(piece.as_ref())?;
    }
    if is_end {
        file.rewind()?;
    }
    Ok(file.into())
}

/// Bytes that are free where a file is; `None` where the file system does not say.
fn free(file: &File) -> io::Result<Option<u64>> {
    match rustix::fs::fstatvfs(file) {
        Ok(space) if space.f_blocks > 0 => Ok(Some(space.f_bavail.saturating_mul(space.f_frsize))),
        Ok(_) | Err(Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
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
