//! Two ends of a byte stream inside one process, for tests and for clients that need no socket.
//!
//! Each direction is a bounded queue of bytes, so back-pressure and half-close behave as on a socket; no clock and no
//! kernel is involved, so a test gives the same result every time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::transport::Transport;

/// Makes two connected ends. Each direction holds up to `capacity` bytes (at least 1) that the other end has not read.
pub fn pair(capacity: usize) -> (End, End) {
    let (there, back) = (Pipe::new(capacity), Pipe::new(capacity));
    (
        End { incoming: back.clone(), outgoing: there.clone() },
        End { incoming: there, outgoing: back },
    )
}

/// One end of a [`pair`]. Dropping it ends both directions: the peer reads what is left and then the end, and its
/// writes fail with [`BrokenPipe`](io::ErrorKind::BrokenPipe).
///
/// A server uses it as a [`Transport`]. A client uses the `async` methods, or [`blocking`](Self::blocking) on a thread
/// of its own.
#[derive(Debug)]
pub struct End {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

impl End {
    /// Reads what is there into `buf`, waiting for the first byte, and returns the count; 0 is the end.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.incoming.poll_read(cx, buf)).await
    }

    /// Reads until the peer ends its direction.
    pub async fn read_to_end(&self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut buf = [0; 4096];
        loop {
            match self.read(&mut buf).await? {
                0 => return Ok(all),
                count => all.extend_from_slice(&buf[..count]),
            }
        }
    }

    /// Writes all of `bytes`, waiting for room as often as needed.
    ///
    /// # Errors
    ///
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) when the peer is gone or this end has shut its direction down.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = poll_fn(|cx| self.outgoing.poll_write(cx, bytes)).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// This end as a [`Read`] and [`Write`] that block the thread.
    pub fn blocking(&self) -> Blocking<'_> {
        Blocking(self)
    }
}

/// An [`End`] on a thread of its own.
#[derive(Debug)]
pub struct Blocking<'a>(&'a End);

impl Transport for End {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.incoming.try_read(buf)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.outgoing.try_write(&[IoSlice::new(buf)])
    }

    fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.outgoing.try_write(bufs)
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.incoming.poll_read_ready(cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.poll_write_ready(cx)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.outgoing.close(|state| state.writer_ended = true);
        Ok(())
    }
}

impl Read for Blocking<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        wait(|cx| self.0.incoming.poll_read(cx, buf))
    }
}

impl Write for Blocking<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        wait(|cx| self.0.outgoing.poll_write(cx, buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.outgoing.close(|state| state.writer_ended = true);
        self.incoming.close(|state| state.reader_gone = true);
    }
}

/// One direction.
#[derive(Debug)]
struct Pipe {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    writer_ended: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity: capacity.max(1), state: Mutex::default() })
    }

    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.lock();
        if state.bytes.is_empty() && !state.writer_ended && !buf.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = buf.len().min(state.bytes.len());
        for (slot, byte) in buf.iter_mut().zip(state.bytes.drain(..count)) {
            *slot = byte;
        }
        let writer = if count > 0 { state.writer.take() } else { None };
        drop(state);
        wake(writer);
        Ok(count)
    }

    fn try_write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.lock();
        if state.writer_ended || state.reader_gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut count = 0;
        for buf in bufs {
            let room = self.capacity - state.bytes.len();
            let taken = &buf[..buf.len().min(room)];
            state.bytes.extend(taken);
            count += taken.len();
        }
        if count == 0 && bufs.iter().any(|buf| !buf.is_empty()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let reader = if count > 0 { state.reader.take() } else { None };
        drop(state);
        wake(reader);
        Ok(count)
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if !state.bytes.is_empty() || state.writer_ended {
            return Poll::Ready(Ok(()));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if state.bytes.len() < self.capacity || state.writer_ended || state.reader_gone {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        retry(|| self.try_read(buf), || self.poll_read_ready(cx))
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        retry(|| self.try_write(&[IoSlice::new(buf)]), || self.poll_write_ready(cx))
    }

    /// Notes an end and wakes both sides: each has to see it.
    fn close(&self, note: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        note(&mut state);
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
        wake(reader);
        wake(writer);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No step between two consistent states can panic, so a poisoned lock still holds a sound one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries, and waits where the try would block, until one of the two decides.
fn retry(
    mut attempt: impl FnMut() -> io::Result<usize>,
    mut ready: impl FnMut() -> Poll<io::Result<()>>,
) -> Poll<io::Result<usize>> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
        std::task::ready!(ready())?;
    }
}

/// Always called with the lock released: a waker may run code that comes back to this pipe.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Blocks this thread until `poll` is ready.
fn wait<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            return value;
        }
        thread::park();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
