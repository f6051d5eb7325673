//! What a connection has to send: encoded bytes, then parts that are sent from where they are.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use number8_proto::http1::Conn;

use super::super::lane::{Job, Lane};
use super::super::transport::Transport;
use super::TURN_BYTES;
use crate::body::{FileRange, Part, Whose};

/// Contents up to this size are copied behind their head; larger ones are sent from where they are.
pub(super) const COPY_MAX: usize = 16 * 1024;

/// Bytes of a file that are asked about at once: are they in memory?
const PROBE_BYTES: u64 = 1024 * 1024;

/// Bytes that the lane brings into memory at once.
const FILL_BYTES: u64 = 256 * 1024;

/// Bytes read at once where a file has to be copied.
const COPY_BYTES: usize = 64 * 1024;

/// Slices written at once: some pieces of content, with what frames them.
const SLICES: usize = 64;

/// Encoded bytes that are kept for the next answers; a larger buffer is given back.
const KEPT_BYTES: usize = 128 * 1024;

/// Everything that is still to be sent.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Heads, small contents and framing.
    pub(crate) bytes: Vec<u8>,
    sent: usize,
    /// What follows the bytes.
    pub(crate) parts: VecDeque<Part>,
    /// How far the file in front is known to be in memory.
    warm_until: u64,
    filling: Option<Job<io::Result<()>>>,
}

impl Output {
    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len() && self.parts.is_empty()
    }

    /// Bytes that this holds in memory (files hold none).
    pub(crate) fn held(&self) -> usize {
        let parts = self.parts.iter().map(|part| match part {
            Part::Bytes(bytes, whose) => whose.count(bytes.len()),
            Part::File(_) => 0,
        });
        self.bytes.capacity() + parts.sum::<usize>()
    }

    /// Bytes not yet sent that are encoded already.
    pub(crate) fn queued(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Bytes not yet sent, of files too.
    pub(crate) fn unsent(&self) -> u64 {
        self.queued() as u64 + self.parts.iter().map(Part::len).sum::<u64>()
    }

    /// True while a file is being brought into memory: then it is not the client that is waited for.
    pub(crate) fn waits_for_file(&self) -> bool {
        self.filling.is_some()
    }

    /// Adds a piece of content that is made while it is sent: a copy of a small one, a large one from where it is.
    pub(super) fn push(&mut self, conn: &mut Conn, mut piece: Bytes) {
        if piece.len() <= COPY_MAX {
            return self.encode(|bytes| conn.send_body(&piece, bytes));
        }
        let (length, behind) = self.encode(|bytes| conn.send_apart(piece.len(), bytes));
        piece.truncate(length);
        self.push_part(piece);
        self.push_part(Bytes::from_static(behind));
    }

    /// Adds what is written into a buffer, behind all that is there already.
    pub(super) fn encode<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        if self.parts.is_empty() {
            return write(&mut self.bytes);
        }
        let mut bytes = Vec::new();
        let result = write(&mut bytes);
        self.push_part(bytes.into());
        result
    }

    /// Adds a part. Small ones are put together where that copies nothing that is there already: there may be very many.
    fn push_part(&mut self, part: Bytes) {
        if let Some(Part::Bytes(last, Whose::Own)) = self.parts.back_mut()
            && last.len() + part.len() <= COPY_MAX
        {
            match mem::take(last).try_into_mut() {
                Ok(mut joined) => {
                    joined.extend_from_slice(&part);
                    *last = joined.freeze();
                    return;
                }
                Err(shared) => *last = shared,
            }
        }
        if !part.is_empty() {
            self.parts.push_back(Part::Bytes(part, Whose::Own));
        }
    }

    /// Gets ready for the next batch; everything has been sent.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.sent = 0;
        self.parts.clear();
        self.warm_until = 0;
        self.filling = None;
    }

    /// Sends until everything is sent or the client takes no more. `moved` counts what was sent.
    ///
    /// # Errors
    /// The connection is broken, or a file is shorter than was announced.
    pub(crate) fn poll_send(
        &mut self,
        io: &dyn Transport,
        lane: &Lane,
        cx: &mut Context<'_>,
        moved: &mut u64,
    ) -> Poll<io::Result<()>> {
        let turn_end = *moved + TURN_BYTES;
        loop {
            if self.is_empty() {
                ready!(io.poll_flush(cx))?;
                self.clear();
                return Poll::Ready(Ok(()));
            }
            if *moved >= turn_end {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let result = match self.parts.front_mut() {
                Some(Part::File(range)) if self.sent == self.bytes.len() => {
                    if range.start == range.end {
                        self.parts.pop_front();
                        self.warm_until = 0;
                        continue;
                    }
                    if !range.warm && range.start >= self.warm_until {
                        ready!(poll_warm(
                            range,
                            &mut self.warm_until,
                            &mut self.filling,
                            lane,
                            cx
                        ))?;
                    }
                    let until = if range.warm { range.end } else { self.warm_until.min(range.end) };
                    let count = (until - range.start).min(TURN_BYTES);
                    match io.try_sendfile(AsFd::as_fd(&range.file), range.start, count as usize) {
                        Some(result) => result.and_then(|count| advance_file(range, count)),
                        None => {
                            self.copy_from_file(count)?;
                            continue;
                        }
                    }
                }
                _ => self.try_send_bytes(io),
            };
            match result {
                Ok(count) => *moved += count as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(io.poll_write_ready(cx))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Writes encoded bytes and the parts in memory that follow them with one call.
    fn try_send_bytes(&mut self, io: &dyn Transport) -> io::Result<usize> {
        let bytes = &self.bytes[self.sent..];
        let count = match self.parts.front() {
            None => io.try_write(bytes)?,
            Some(Part::File(_)) => io.try_write(bytes)?,
            Some(Part::Bytes(..)) => {
                let mut slices = [IoSlice::new(&[]); SLICES];
                slices[0] = IoSlice::new(bytes);
                let mut used = 1;
                for part in &self.parts {
                    match part {
                        Part::Bytes(bytes, _) if used < SLICES => {
                            slices[used] = IoSlice::new(bytes);
                        }
                        _ => break,
                    }
                    used += 1;
                }
                io.try_write_vectored(&slices[..used])?
            }
        };
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance_bytes(count);
        Ok(count)
    }

    fn advance_bytes(&mut self, mut count: usize) {
        let own = count.min(self.bytes.len() - self.sent);
        self.sent += own;
        count -= own;
        while let Some(Part::Bytes(bytes, _)) = self.parts.front_mut() {
            let taken = count.min(bytes.len());
            *bytes = bytes.slice(taken..);
            count -= taken;
            if !bytes.is_empty() {
                break;
            }
            self.parts.pop_front();
        }
    }

    /// Turns the start of the file in front into bytes, for a transport that cannot send files.
    fn copy_from_file(&mut self, count: u64) -> io::Result<()> {
        let Some(Part::File(range)) = self.parts.front_mut() else { return Ok(()) };
        let mut bytes = vec![0; COPY_BYTES.min(usize::try_from(count).unwrap_or(COPY_BYTES))];
        // The pages are in memory, or the file system cannot tell: then this waits, as sendfile does.
        let read = range.file.read_at(&mut bytes, range.start)?;
        bytes.truncate(read);
        advance_file(range, read)?;
        self.parts.push_front(Part::Bytes(Bytes::from(bytes), Whose::Own));
        Ok(())
    }
}

fn advance_file(range: &mut FileRange, count: usize) -> io::Result<usize> {
    if count == 0 {
        // The file has become shorter: the client has to see that the content is cut.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    range.start += count as u64;
    Ok(count)
}

/// Makes sure that the next bytes of a file are in memory, by way of the lane where they are not.
pub(in super::super) fn poll_warm(
    range: &FileRange,
    warm_until: &mut u64,
    filling: &mut Option<Job<io::Result<()>>>,
    lane: &Lane,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        if let Some(job) = filling {
            let filled = ready!(Pin::new(job).poll(cx));
            *filling = None;
            let filled = filled.map_err(io::Error::other).and_then(|filled| filled);
            if let Err(error) = &filled {
                let cause: &(dyn std::error::Error + 'static) = error;
                tracing::error!(cause, "the disk failed as a file was sent");
            }
            filled?;
            *warm_until = range.start + FILL_BYTES;
            return Poll::Ready(Ok(()));
        }
        let probe = (range.end - range.start).min(PROBE_BYTES);
        if range.file.is_cached(range.start, probe) {
            *warm_until = range.start + probe;
            return Poll::Ready(Ok(()));
        }
        let (file, start) = (range.file.clone(), range.start);
        let length = (range.end - range.start).min(FILL_BYTES);
        match lane.submit(move || file.fill(start, length)) {
            Ok(job) => *filling = Some(job),
            // The lane is full: reading here delays others, but less than giving up an answer begun.
            Err(_) => {
                *warm_until = range.start + length;
                return Poll::Ready(Ok(()));
            }
        }
    }
}
