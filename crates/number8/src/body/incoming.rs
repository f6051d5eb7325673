//! The body of a request on its way from the connection to whoever reads it; and that of an answer, the other way.
//!
//! Two ends of one small queue. The reader asks first: nothing is read from the client, and no
//! `100 Continue` is sent, before somebody wants the body. The connection stops reading while a window's
//! worth lies unread.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use number8_proto::headers::Fields;

use super::{BodyError, Chunk};
use crate::sync::{Instant, Mutex, MutexGuard, lock};

/// Bytes that may lie unread before the connection stops reading.
const WINDOW_BYTES: usize = 256 * 1024;

/// Pieces of a client up to this size, in bytes, are put together where they wait.
const SMALL_BYTES: usize = 4 * 1024;

/// Bytes that may wait for a client before who sends them has to wait: at first, and for a client that keeps up. Each time that who
/// sends has to wait, two threads or two tasks change places.
const ANSWER_WINDOW_BYTES: usize = 64 * 1024;
const ANSWER_WINDOW_BYTES_MAX: usize = 512 * 1024;

/// A client keeps up that has those that send wait for less than this.
const KEEPS_UP: Duration = Duration::from_millis(20);

/// Memory that a reader lends, to have content received right into it. Read, it is all that was written to it.
pub(crate) trait Memory: BufMut + AsRef<[u8]> + Any + Send {}

impl<M: BufMut + AsRef<[u8]> + Any + Send> Memory for M {}

/// Where memory is that a reader lends.
#[derive(Default)]
enum Lent {
    #[default]
    No,
    /// Here, for the connection to take.
    Here(Box<dyn Memory>),
    /// The connection has it.
    Taken,
    /// Here, with so many bytes received.
    Received(Box<dyn Memory>, usize),
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "No",
            Self::Here(_) => "Here",
            Self::Taken => "Taken",
            Self::Received(..) => "Received",
        })
    }
}

#[derive(Debug, Default)]
struct State {
    lent: Lent,
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    /// Bytes that the reader has taken from the queue, and those that it gathers.
    read_bytes: u64,
    gathered_bytes: usize,
    /// Bytes that may lie unread.
    window_bytes: usize,
    /// It is the content of an answer.
    is_to_client: bool,
    /// What the window may grow to.
    window_bytes_max: usize,
    /// Since when who sends that has to wait.
    held_up: Option<Instant>,
    /// What the client says about the length, and how much may come.
    length: Option<u64>,
    limit: u64,
    trailers: Vec<(String, Vec<u8>)>,
    /// The fields behind an answer; never those that a client sent.
    trailers_to_client: Option<Fields>,
    end: Option<Result<(), BodyError>>,
    /// The reader has asked for something that is not there yet.
    wanted: bool,
    /// The connection is to be woken when the reader has taken everything and waits for more.
    tells_when_empty: bool,
    reader_is_gone: bool,
    reader: Option<Waker>,
    feeder: Option<Waker>,
}

impl State {
    /// Puts a piece behind the others.
    fn enqueue(&mut self, piece: Bytes) {
        let last = self.queue.back_mut().filter(|_| !self.is_to_client);
        if last.is_none_or(|last| !join_small(last, &piece)) {
            self.queue.push_back(piece);
        }
    }

    /// The reader has taken that many bytes.
    fn taken(&mut self, count: usize) {
        // Who sends an answer goes on when there is room for more than one piece.
        let room_at = if self.is_to_client { self.window_bytes / 2 } else { self.window_bytes };
        let was_full = self.queued_bytes >= room_at;
        self.queued_bytes -= count;
        if !was_full || self.queued_bytes >= room_at {
            return;
        }
        if let Some(since) = self.held_up.take() {
            self.window_bytes = match since.elapsed() < KEEPS_UP {
                true => (self.window_bytes * 4).min(self.window_bytes_max),
                false => ANSWER_WINDOW_BYTES,
            };
        }
        wake(&self.feeder);
    }

    /// Ends what was lent by a reader who has not waited for it; what was received into it is not lost.
    fn take_back(&mut self) {
        if let Lent::Received(memory, received) = mem::take(&mut self.lent) {
            self.queue.push_front(last_of(&*memory, received));
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    fn queued_for_client(&self) -> usize {
        let state = self.lock();
        if state.is_to_client { state.queued_bytes } else { 0 }
    }
}

/// The reader's end.
#[derive(Debug)]
pub(crate) struct Incoming(Shared);

/// The connection's end.
#[derive(Debug)]
pub(crate) struct Feeder(Shared);

/// What waits for a client, however it gets there.
#[derive(Clone)]
pub(crate) struct Queue(Shared);

impl Queue {
    pub(super) fn bytes(&self) -> usize {
        self.0.queued_for_client()
    }
}

/// Tells the connection how much of a request's content its reader has gathered, so that it counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gathered(Option<Shared>);

impl Gathered {
    /// It is so many bytes now.
    pub(crate) fn is(&self, bytes: usize) {
        if let Some(shared) = &self.0 {
            let mut state = shared.lock();
            state.gathered_bytes = if state.reader_is_gone { 0 } else { bytes };
        }
    }
}

/// A body to come, of that length if the client tells, and of `limit` bytes at most. `connection` is woken when the
/// reader wants more.
pub(crate) fn channel(connection: Waker, length: Option<u64>, limit: u64) -> (Feeder, Incoming) {
    channel_in(connection, length, limit, WINDOW_BYTES)
}

/// As [`channel`], with so many bytes that may lie unread. Whoever brings more all the same is woken when that many are
/// left.
pub(crate) fn channel_in(
    connection: Waker,
    length: Option<u64>,
    limit: u64,
    window_bytes: usize,
) -> (Feeder, Incoming) {
    let shared = Shared::default();
    let feeder = Some(connection);
    *shared.lock() = State { feeder, length, limit, window_bytes, ..State::default() };
    (Feeder(shared.clone()), Incoming(shared))
}

/// The body of an answer, to come from whoever has the first end.
pub(super) fn channel_to_client() -> (Feeder, Incoming) {
    let shared = Shared::default();
    *shared.lock() = State {
        window_bytes: ANSWER_WINDOW_BYTES,
        window_bytes_max: ANSWER_WINDOW_BYTES,
        is_to_client: true,
        limit: u64::MAX,
        ..State::default()
    };
    (Feeder(shared.clone()), Incoming(shared))
}

impl Incoming {
    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        let mut state = self.0.lock();
        state.take_back();
        Self::poll_queue(&mut state, cx)
    }

    /// As [`Incoming::poll_chunk`], where what comes from now on may be received into that memory, which is there again with
    /// whatever is returned. In between it is lent.
    pub(super) fn poll_chunk_into(
        &mut self,
        memory: &mut Option<Box<dyn Memory>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Chunk, BodyError>> {
        let mut state = self.0.lock();
        if let Some(memory) = memory.take() {
            state.take_back();
            state.lent = Lent::Here(memory);
        }
        if let Lent::Received(..) = state.lent
            && let Lent::Received(filled, count) = mem::take(&mut state.lent)
        {
            state.taken(count);
            *memory = Some(filled);
            return Poll::Ready(Ok(Chunk::Received(count)));
        }
        let polled = Self::poll_queue(&mut state, cx);
        if polled.is_ready()
            && let Lent::Here(unused) = mem::take(&mut state.lent)
        {
            *memory = Some(unused);
        }
        polled.map_ok(|chunk| chunk.map_or(Chunk::End, Chunk::Apart))
    }

    fn poll_queue(
        state: &mut State,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        if state.length.is_some_and(|length| length > state.limit) {
            // Whoever wants to read it learns so at once; whoever does not may have a better answer.
            return Poll::Ready(Err(BodyError::TooLarge));
        }
        if let Some(chunk) = state.queue.pop_front() {
            state.taken(chunk.len());
            state.read_bytes += chunk.len() as u64;
            if state.read_bytes <= state.limit {
                return Poll::Ready(Ok(Some(chunk)));
            }
            // It had come before it was known how much may.
            state.queued_bytes = 0;
            state.queue.clear();
            state.end = Some(Err(BodyError::TooLarge));
        }
        if let Some(end) = state.end {
            return Poll::Ready(end.map(|()| None));
        }
        state.reader = Some(cx.waker().clone());
        if mem::take(&mut state.tells_when_empty) | !mem::replace(&mut state.wanted, true) {
            wake(&state.feeder);
        }
        Poll::Pending
    }

    pub(super) fn gathered(&self) -> Gathered {
        Gathered(Some(self.0.clone()))
    }

    /// Bytes that wait for a client.
    pub(super) fn queued_for_client(&self) -> usize {
        self.0.queued_for_client()
    }

    /// Where it stands how many these are.
    pub(super) fn queue_to_client(&self) -> Queue {
        Queue(self.0.clone())
    }

    /// Whether more may wait for a client that keeps up than at first.
    pub(super) fn may_grow(&self, may: bool) {
        let mut state = self.0.lock();
        if state.is_to_client {
            state.window_bytes_max =
                if may { ANSWER_WINDOW_BYTES_MAX } else { ANSWER_WINDOW_BYTES };
            state.window_bytes = state.window_bytes.min(state.window_bytes_max);
        }
    }

    pub(super) fn announced(&self) -> Option<u64> {
        self.0.lock().length
    }

    pub(super) fn limit(&self, bytes: u64) {
        self.0.lock().limit = bytes;
    }

    pub(super) fn trailers(&self) -> Vec<(String, Vec<u8>)> {
        self.0.lock().trailers.clone()
    }

    /// What stands behind an answer.
    pub(super) fn trailers_to_client(&self) -> Option<Fields> {
        self.0.lock().trailers_to_client.take()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.reader_is_gone = true;
        state.lent = Lent::No;
        state.queue.clear();
        state.queued_bytes = 0;
        state.gathered_bytes = 0;
        wake(&state.feeder);
    }
}

impl Feeder {
    /// True while the reader wants more than it has.
    pub(crate) fn wants_more(&self) -> bool {
        let state = self.0.lock();
        state.wanted
            && !state.reader_is_gone
            && state.end.is_none()
            && state.queued_bytes < state.window_bytes
    }

    /// Whether the reader has taken everything. Where it has not, the connection is woken when it has, and waits for more.
    #[cfg_attr(not(feature = "http2"), allow(dead_code, reason = "the streams of HTTP/2 need it"))]
    pub(crate) fn is_empty_or_tells(&self) -> bool {
        let mut state = self.0.lock();
        state.tells_when_empty = state.queued_bytes > 0;
        !state.tells_when_empty
    }

    /// Whether so many bytes are more than may come. How many may is not known before somebody reads.
    pub(crate) fn is_too_much(&self, bytes: u64) -> bool {
        let state = self.0.lock();
        state.wanted && bytes > state.limit
    }

    /// Bytes that the reader has not taken yet.
    #[cfg_attr(not(feature = "http2"), allow(dead_code, reason = "the streams of HTTP/2 need it"))]
    pub(crate) fn queued(&self) -> usize {
        self.0.lock().queued_bytes
    }

    /// The same, and those that it gathers.
    pub(crate) fn held(&self) -> usize {
        let state = self.0.lock();
        state.queued_bytes + state.gathered_bytes
    }

    pub(crate) fn push(&self, chunk: Bytes) {
        let mut state = self.0.lock();
        if !state.reader_is_gone {
            state.queued_bytes += chunk.len();
            state.enqueue(chunk);
            wake(&state.reader);
        }
    }

    /// Memory of the reader's, for what comes next; it is given back by [`Feeder::received_into`].
    pub(crate) fn memory(&self) -> Option<Box<dyn Memory>> {
        let mut state = self.0.lock();
        if !matches!(state.lent, Lent::Here(_)) || !state.queue.is_empty() {
            return None;
        }
        match mem::replace(&mut state.lent, Lent::Taken) {
            Lent::Here(memory) => Some(memory),
            _ => None,
        }
    }

    /// Gives memory back, with so many bytes received into it.
    pub(crate) fn received_into(&self, memory: Box<dyn Memory>, received: usize) {
        let mut state = self.0.lock();
        if state.reader_is_gone {
            return;
        }
        match (&state.lent, received) {
            (Lent::Taken, 0) => state.lent = Lent::Here(memory),
            (Lent::Taken, _) => state.lent = Lent::Received(memory, received),
            (_, 0) => {}
            // The reader has not waited for it.
            _ => state.enqueue(last_of(&*memory, received)),
        }
        state.queued_bytes += received;
        if received > 0 {
            wake(&state.reader);
        }
    }

    pub(crate) fn push_trailer(&self, name: &[u8], value: &[u8]) {
        // A field name is a token, so nothing is lost.
        let name = String::from_utf8_lossy(name).into_owned();
        self.0.lock().trailers.push((name, value.to_vec()));
    }

    /// Whether there is room for more; an error when nobody reads it.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        if state.reader_is_gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.queued_bytes < state.window_bytes {
            return Poll::Ready(Ok(()));
        }
        if state.is_to_client {
            state.held_up.get_or_insert_with(Instant::now);
        }
        state.feeder = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn set_trailers(&self, trailers: Fields) {
        self.0.lock().trailers_to_client = Some(trailers);
    }

    pub(crate) fn end(&self, end: Result<(), BodyError>) {
        let mut state = self.0.lock();
        if state.end.is_none() {
            state.end = Some(end);
            wake(&state.reader);
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.end(Err(BodyError::Disconnected));
        self.0.lock().feeder = None;
    }
}

/// Puts a piece of a client's behind the one before, where both are small; says whether it has.
///
/// SECURITY: a client chooses how small its pieces are, and what there is beside each is more than one byte.
pub(crate) fn join_small(last: &mut Bytes, piece: &Bytes) -> bool {
    let are_small = last.len() + piece.len() <= SMALL_BYTES;
    if are_small {
        let mut joined = BytesMut::from(mem::take(last));
        joined.extend_from_slice(piece);
        *last = joined.freeze();
    }
    are_small
}

fn last_of(memory: &dyn Memory, count: usize) -> Bytes {
    let bytes = memory.as_ref();
    Bytes::copy_from_slice(&bytes[bytes.len().saturating_sub(count)..])
}

fn wake(waker: &Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake_by_ref();
    }
}
