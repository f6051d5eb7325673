//! Between HTTP/2 and the transport: bytes in both directions, counted, and written in batches.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::clock;
use super::super::options::Http2 as Limits;
use super::super::transport::Transport;
use super::meter::Meter;
use crate::sync::lock;

/// Bytes gathered before they are written.
const BATCH_BYTES: usize = 64 * 1024;

/// A larger piece of content is written from where it is.
const COPY_MAX: usize = 4 * 1024;

/// What the connection and the protocol share of the transport.
pub(super) struct Pipe {
    io: Arc<dyn Transport>,
    limits: Limits,
    state: Mutex<State>,
}

struct State {
    /// What was read before HTTP/2 was recognised.
    before: Vec<u8>,
    /// What is to be written.
    output: Vec<u8>,
    written: usize,
    meter: Meter,
    /// Bytes that may still be read in this turn.
    budget: usize,
    /// All that has come was read in this turn.
    is_drained: bool,
    /// The code with which the connection is to end.
    fault: Option<u32>,
    /// Bytes were written in this turn.
    has_moved: bool,
    /// The protocol has something to write that was not taken.
    is_stuck: bool,
}

/// What the protocol reads from and writes to.
pub(super) struct Socket(pub(super) Arc<Pipe>);

/// What a turn has done.
pub(super) struct Moved {
    /// The code with which the connection is to end.
    pub(super) fault: Option<u32>,
    /// The client takes no more for now.
    pub(super) is_blocked: bool,
    /// It has taken something.
    pub(super) has_moved: bool,
    /// Bytes that wait to be written.
    pub(super) queued: usize,
    /// A field block has begun and not ended.
    pub(super) in_fields: bool,
}

impl Pipe {
    pub(super) fn new(io: Arc<dyn Transport>, limits: Limits, before: &[u8]) -> Arc<Self> {
        let state = State {
            before: before.to_vec(),
            output: Vec::new(),
            written: 0,
            meter: Meter::new(number8_proto::http2::PREFACE.len()),
            budget: 0,
            is_drained: false,
            fault: None,
            has_moved: false,
            is_stuck: false,
        };
        Arc::new(Self { io, limits, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A turn begins, in which so many bytes may be read.
    pub(super) fn begin(&self, budget: usize) {
        let mut state = self.state();
        state.budget = budget;
        state.is_drained = false;
        state.has_moved = false;
    }

    /// True where the turn has read as much as it may.
    pub(super) fn is_spent(&self) -> bool {
        self.state().budget == 0
    }

    /// So many frames of content were sent, and so many streams ended by force.
    pub(super) fn note(&self, frames: u32, resets: u32) {
        let mut state = self.state();
        state.meter.sent_content(frames);
        if let Err(code) = state.meter.has_reset(resets, &self.limits) {
            state.fault = Some(code);
        }
    }

    /// Writes what has been gathered, and tells what the turn has done.
    pub(super) fn end(&self, cx: &mut Context<'_>) -> io::Result<Moved> {
        let mut state = self.state();
        let is_blocked = match state.poll_write_out(&*self.io, cx) {
            Poll::Ready(result) => result.map(|()| false)?,
            Poll::Pending => true,
        };
        Ok(Moved {
            fault: state.fault,
            is_blocked: is_blocked || state.is_stuck,
            has_moved: state.has_moved,
            queued: state.output.len() - state.written,
            in_fields: state.meter.in_fields(),
        })
    }
}

impl State {
    fn queued(&self) -> usize {
        self.output.len() - self.written
    }

    fn poll_write_out(&mut self, io: &dyn Transport, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.queued() > 0 {
            let written = ready!(poll_io(
                cx,
                |cx| io.poll_write_ready(cx),
                || { io.try_write(&self.output[self.written..]) }
            ))?;
            self.written += written;
            self.has_moved = true;
        }
        ready!(io.poll_flush(cx))?;
        self.written = 0;
        self.output.clear();
        if self.output.capacity() > 2 * BATCH_BYTES {
            self.output = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// Tries, and waits where there is nothing to be had yet. A count of 0 is an error: only writing asks.
fn poll_io(
    cx: &mut Context<'_>,
    mut ready: impl FnMut(&mut Context<'_>) -> Poll<io::Result<()>>,
    mut attempt: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        match attempt() {
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(ready(cx))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Poll::Ready(result),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pipe = &*self.0;
        let state = &mut *pipe.state();
        // The connection looks at these after each poll.
        if state.fault.is_some() || state.budget == 0 {
            return Poll::Pending;
        }
        let wanted = buf.remaining().min(state.budget);
        let count = if state.before.is_empty() {
            loop {
                if state.is_drained {
                    ready!(pipe.io.poll_read_ready(cx))?;
                }
                match pipe.io.try_read(buf.initialize_unfilled_to(wanted)) {
                    Ok(count) => {
                        state.is_drained = count < wanted;
                        break count;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        state.is_drained = true;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        } else {
            let count = wanted.min(state.before.len());
            buf.initialize_unfilled_to(count).copy_from_slice(&state.before[..count]);
            state.before.drain(..count);
            count
        };
        state.budget -= count;
        let came = &buf.initialize_unfilled_to(count)[..count];
        if let Err(code) = state.meter.pass(came, clock::monotonic_ms(), &pipe.limits) {
            state.fault = Some(code);
            return Poll::Pending;
        }
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let pipe = &*self.0;
        let state = &mut *pipe.state();
        let polled = state.poll_write(&*pipe.io, bufs, cx);
        state.is_stuck = polled.is_pending();
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The protocol has nothing more to write; what is gathered goes out at the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.state().is_stuck = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let pipe = &*self.0;
        pipe.state().poll_write_out(&*pipe.io, cx)
    }
}

impl State {
    /// Gathers these, or writes them where they are many.
    fn poll_write(
        &mut self,
        io: &dyn Transport,
        bufs: &[IoSlice<'_>],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let total: usize = bufs.iter().map(|buf| buf.len()).sum();
        if total > COPY_MAX {
            return self.poll_write_through(io, bufs, total, cx);
        }
        if self.queued() >= BATCH_BYTES {
            ready!(self.poll_write_out(io, cx))?;
        }
        bufs.iter().for_each(|buf| self.output.extend_from_slice(buf));
        Poll::Ready(Ok(total))
    }

    /// Writes what is gathered and these with one call.
    fn poll_write_through(
        &mut self,
        io: &dyn Transport,
        bufs: &[IoSlice<'_>],
        total: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let queued = self.queued();
            let mut slices = [IoSlice::new(&[]); 4];
            slices[0] = IoSlice::new(&self.output[self.written..]);
            for (slice, buf) in slices[1..].iter_mut().zip(bufs) {
                *slice = IoSlice::new(buf);
            }
            let offered: usize = slices.iter().map(|slice| slice.len()).sum();
            let written = ready!(poll_io(
                cx,
                |cx| io.poll_write_ready(cx),
                || { io.try_write_vectored(&slices) }
            ))?;
            self.has_moved = true;
            let own = written.min(queued);
            self.written += own;
            if own == queued {
                self.written = 0;
                self.output.clear();
            }
            debug_assert!(written <= offered && offered <= queued + total);
            // Nothing of these has gone out yet: once more, or later.
            if written > queued {
                return Poll::Ready(Ok(written - queued));
            }
        }
    }
}
