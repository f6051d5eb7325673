//! The content of an answer on its way to the client, as fast as the windows of the stream and the connection let it.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;

use super::super::connection::poll_warm;
use super::super::counts::OneOpen;
use super::super::lane::{Job, Lane};
use super::SEND_BUFFER_BYTES;
use super::data::{Data, Held};
use super::message::trailers;
use crate::body::{Body, Broadcast, FileRange, Part, Whose};
use crate::broadcast::{Framing, Look, Subscription};
use crate::standing::Over;

/// Bytes of a file that are read at once.
const READ_BYTES: u64 = 64 * 1024;

/// Why content ends before its end.
pub(super) enum Cut {
    /// It cannot be had: the client sees that something is missing.
    Failed,
    /// What came next is not kept any more.
    Behind,
    /// The client does not want it any more.
    Unwanted,
}

/// Content, and how far it has got.
pub(super) struct Sending {
    pub(super) stream: SendStream<Data>,
    /// What the protocol holds of it and of others.
    in_protocol: Held,
    source: Source,
    /// Bytes that come next.
    chunk: Bytes,
    whose: Whose,
    /// Bytes that the head has announced and that are still to come.
    left: Option<u64>,
    pub(super) sent: u64,
    takes_trailers: bool,
    /// Frames of content since it was last asked.
    pub(super) frames: u32,
    /// Bytes since it was last asked.
    pub(super) given: usize,
    /// It is the client's window that is waited for.
    pub(super) waits_for_client: bool,
    /// Where the server stops, this ends instead of waiting for more.
    pub(super) ends_at_stop: bool,
    /// It does: what was sent before goes out, then it ends.
    pub(super) is_ending: bool,
}

pub(super) enum Source {
    Body(Body),
    Parts { parts: VecDeque<Part>, warm_until: u64, filling: Option<Job<io::Result<()>>> },
    Listening(Box<Listening>),
}

/// A place in a broadcast.
pub(super) struct Listening {
    subscription: Subscription,
    /// Waits for the end of the session in which this was asked for.
    over: Option<Over>,
    /// Counts this one.
    _one: OneOpen,
    pub(super) sent_ms: u64,
    /// Nothing comes any more.
    is_over: bool,
}

impl Source {
    pub(super) fn parts(parts: VecDeque<Part>) -> Self {
        Self::Parts { parts, warm_until: 0, filling: None }
    }
}

impl Sending {
    pub(super) fn new(
        stream: SendStream<Data>,
        in_protocol: Held,
        source: Source,
        left: Option<u64>,
        takes_trailers: bool,
    ) -> Self {
        Self {
            stream,
            in_protocol,
            source,
            chunk: Bytes::new(),
            whose: Whose::Own,
            left,
            sent: 0,
            takes_trailers,
            frames: 0,
            given: 0,
            waits_for_client: false,
            ends_at_stop: false,
            is_ending: false,
        }
    }

    /// Content that is sent to many.
    pub(super) fn listening(
        stream: SendStream<Data>,
        in_protocol: Held,
        broadcast: Broadcast,
        over: Option<Over>,
        one: OneOpen,
        now_ms: u64,
    ) -> Self {
        let Broadcast { first, subscription } = broadcast;
        let listening =
            Listening { subscription, over, _one: one, sent_ms: now_ms, is_over: false };
        let source = Source::Listening(Box::new(listening));
        let mut sending = Self::new(stream, in_protocol, source, None, false);
        sending.ends_at_stop = true;
        sending.chunk = first.map(|frame| frame.bytes(Framing::UntilClose)).unwrap_or_default();
        sending
    }

    pub(super) fn listener(&mut self) -> Option<&mut Listening> {
        match &mut self.source {
            Source::Listening(listening) => Some(listening),
            _ => None,
        }
    }

    /// A listener that got nothing for a long time gets something; when it is due again.
    pub(super) fn speak_up(&mut self, now_ms: u64) -> Option<u64> {
        let Source::Listening(listening) = &mut self.source else { return None };
        let heartbeat = listening.subscription.heartbeat()?;
        if listening.sent_ms + heartbeat.after_ms <= now_ms && self.chunk.is_empty() {
            self.chunk = heartbeat.frame.bytes(Framing::UntilClose);
        }
        Some(listening.sent_ms + heartbeat.after_ms)
    }

    /// Bytes that are held for the client.
    pub(super) fn held(&self) -> usize {
        let of_source = match &self.source {
            Source::Body(body) => body.queued_for_client(),
            Source::Parts { .. } | Source::Listening(_) => 0,
        };
        of_source + self.whose.count(self.chunk.len())
    }

    /// Sends what can be sent; ready when it is over.
    pub(super) fn poll(
        &mut self,
        lane: &Lane,
        now_ms: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Cut>> {
        loop {
            self.waits_for_client = false;
            if !self.chunk.is_empty() {
                let capacity = ready!(self.poll_capacity(self.chunk.len(), cx))?;
                let piece = self.chunk.split_to(capacity.min(self.chunk.len()));
                if self.send(piece, self.whose, now_ms)? {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            match &mut self.source {
                Source::Listening(listening) => match listening.next(cx)? {
                    Some(frame) => self.chunk = frame,
                    None if listening.is_over || self.is_ending => return Poll::Ready(self.end()),
                    None => return Poll::Pending,
                },
                Source::Body(body) => {
                    let polled = catch_unwind(AssertUnwindSafe(|| body.poll_to_client(cx)));
                    match polled.unwrap_or(Poll::Ready(Err(io::ErrorKind::Other.into()))) {
                        Poll::Pending if self.is_ending => return Poll::Ready(self.end()),
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Err(_)) => return Poll::Ready(Err(Cut::Failed)),
                        Poll::Ready(Ok(None)) => return Poll::Ready(self.end()),
                        Poll::Ready(Ok(Some(chunk))) => self.chunk = self.within_length(chunk)?,
                    }
                }
                Source::Parts { parts, .. } => match parts.pop_front() {
                    None => return Poll::Ready(self.end()),
                    Some(Part::Bytes(bytes, whose)) => (self.chunk, self.whose) = (bytes, whose),
                    Some(Part::File(range)) if range.start == range.end => {}
                    Some(Part::File(range)) => {
                        parts.push_front(Part::File(range));
                        let piece = ready!(self.poll_file(lane, cx))?;
                        if self.send(piece, Whose::Own, now_ms)? {
                            return Poll::Ready(Ok(()));
                        }
                    }
                },
            }
        }
    }

    /// What of a stream's chunk has been announced.
    fn within_length(&self, mut chunk: Bytes) -> Result<Bytes, Cut> {
        if let Some(left) = self.left {
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            if chunk.is_empty() {
                return Err(Cut::Failed);
            }
        }
        Ok(chunk)
    }

    /// Asks for room for so many bytes; returns for how many there is, at least one.
    fn poll_capacity(&mut self, wanted: usize, cx: &mut Context<'_>) -> Poll<Result<usize, Cut>> {
        // The connection's window goes to streams in the order in which they ask: one that asked for more would keep it from others.
        self.stream.reserve_capacity(wanted.min(SEND_BUFFER_BYTES));
        loop {
            let capacity = self.stream.capacity();
            if capacity > 0 {
                return Poll::Ready(Ok(capacity));
            }
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Cut::Unwanted)),
                Poll::Pending => {
                    self.waits_for_client = true;
                    return Poll::Pending;
                }
            }
        }
    }

    /// Sends a piece that fits; true when it was the last.
    fn send(&mut self, piece: Bytes, whose: Whose, now_ms: u64) -> Result<bool, Cut> {
        let length = piece.len() as u64;
        self.left = self.left.map(|left| left.saturating_sub(length));
        let is_last = self.left == Some(0);
        self.sent += length;
        self.frames += 1;
        self.given += piece.len();
        if let Source::Listening(listening) = &mut self.source {
            listening.sent_ms = now_ms;
        }
        let data = self.in_protocol.take(piece, whose);
        self.stream.send_data(data, is_last).map_err(|_| Cut::Unwanted)?;
        Ok(is_last)
    }

    /// Nothing more comes.
    fn end(&mut self) -> Result<(), Cut> {
        if self.left.is_some_and(|left| left > 0) {
            return Err(Cut::Failed);
        }
        let fields = match &self.source {
            Source::Body(body) if self.takes_trailers => body.trailers_to_client(),
            _ => None,
        };
        let sent = match fields {
            Some(fields) if !fields.is_empty() => {
                self.stream.send_trailers(trailers(fields.iter()))
            }
            _ => self.stream.send_data(Data::END, true),
        };
        sent.map_err(|_| Cut::Unwanted)
    }

    /// Reads the next piece of the file in front, once there is room for it.
    fn poll_file(&mut self, lane: &Lane, cx: &mut Context<'_>) -> Poll<Result<Bytes, Cut>> {
        let Some(wanted) = self.file().map(|(range, ..)| (range.end - range.start).min(READ_BYTES))
        else {
            return Poll::Ready(Err(Cut::Failed));
        };
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let capacity = ready!(self.poll_capacity(wanted, cx))?;
        let Some((range, warm_until, filling)) = self.file() else {
            return Poll::Ready(Err(Cut::Failed));
        };
        if !range.warm && range.start >= *warm_until {
            match poll_warm(range, warm_until, filling, lane, cx) {
                Poll::Ready(warm) => warm.map_err(|_| Cut::Failed)?,
                Poll::Pending => {
                    // What this has of the connection's window is for others until the disk is done.
                    self.stream.reserve_capacity(0);
                    return Poll::Pending;
                }
            }
        }
        let mut bytes = vec![0; wanted.min(capacity)];
        let read = range.file.read_at(&mut bytes, range.start).unwrap_or(0);
        if read == 0 {
            // The file has become shorter: the client has to see that the content is cut.
            return Poll::Ready(Err(Cut::Failed));
        }
        bytes.truncate(read);
        range.start += read as u64;
        Poll::Ready(Ok(bytes.into()))
    }

    fn file(&mut self) -> Option<FileInFront<'_>> {
        match &mut self.source {
            Source::Parts { parts, warm_until, filling } => match parts.front_mut() {
                Some(Part::File(range)) => Some((range, warm_until, filling)),
                _ => None,
            },
            _ => None,
        }
    }
}

type FileInFront<'a> = (&'a mut FileRange, &'a mut u64, &'a mut Option<Job<io::Result<()>>>);

impl Listening {
    /// The next frame; `None` where there is none yet, or there will be none.
    fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Bytes>, Cut> {
        self.subscription.woken(cx.waker());
        // SECURITY: before anything else is sent.
        if let Some(over) = &mut self.over
            && Pin::new(over).poll(cx).is_ready()
        {
            self.over = None;
            self.is_over = true;
            return Ok(None);
        }
        match self.subscription.look(Framing::UntilClose) {
            Look::Frame(frame, _) => {
                self.subscription.advance();
                Ok(Some(frame))
            }
            Look::Nothing => Ok(None),
            Look::Lost => Err(Cut::Behind),
            Look::End => {
                self.is_over = true;
                Ok(None)
            }
        }
    }
}
