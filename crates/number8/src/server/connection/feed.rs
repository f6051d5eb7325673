//! The body of a request: read from the client for whoever wants it, and when they want it.

use std::io;
use std::task::Context;

use bytes::{BufMut, Bytes};
use number8_proto::http1::Event;

use super::super::pace::Pace;
use super::{Closed, Connection, Read, Turn, Wait, Work};
use crate::body::{BodyError, Feeder};

/// Content of which so many bytes are still to come is read to where it stays; less is copied there.
const APART_MIN: u64 = 16 * 1024;

/// Bytes of content that are read at once to where they stay: below the 128 KiB from which on allocators get memory from the
/// system, and give it back, each time.
const PIECE_BYTES: usize = 124 * 1024;

/// The body of the request on its way to the handler.
pub(super) struct Feed {
    feeder: Feeder,
    pace: Pace,
}

impl Feed {
    pub(super) fn new(feeder: Feeder) -> Self {
        Self { feeder, pace: Pace::default() }
    }

    /// Bytes that wait for their reader, or that it gathers.
    pub(super) fn held(&self) -> usize {
        self.feeder.held()
    }

    /// The body is over before its end.
    pub(super) fn fail(&self, error: BodyError) {
        self.feeder.end(Err(error));
    }
}

impl Connection {
    /// Reads the body of the request for whoever wants it; true when there is something new for them.
    pub(super) fn feed(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        feed: &mut Feed,
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        let options = &turn.current.shared.options;
        if !feed.feeder.wants_more() {
            // Whoever reads takes its time: the client is not to blame.
            feed.pace.rest();
            if self.wait == Wait::Body {
                self.wait_for_nothing();
            }
            return Ok(false);
        }
        if work.input.unread().is_empty() {
            self.conn.send_continue(&mut work.output.bytes);
        }
        loop {
            let received =
                self.conn.receive(&mut work.parser, work.input.unread(), &options.limits.http);
            let (used, event) = match received {
                Ok(received) => received,
                Err(error) => {
                    self.note(Closed::Fault(error));
                    feed.feeder.end(Err(BodyError::Malformed(error)));
                    return Ok(true);
                }
            };
            let (has_news, needs_more) = match event {
                Event::Data(data) => {
                    self.pass_on(feed, Bytes::copy_from_slice(data));
                    (true, false)
                }
                Event::Trailer { name, value } => {
                    feed.feeder.push_trailer(name, value);
                    (false, false)
                }
                Event::End => {
                    feed.feeder.end(Ok(()));
                    (true, false)
                }
                Event::NeedMore | Event::Head(_) => (false, true),
            };
            work.input.used(used);
            if has_news {
                self.wait_for_nothing();
                return Ok(true);
            }
            if !needs_more {
                continue;
            }
            if work.output.queued() > 0 && self.poll_send(turn, work, cx)?.is_pending() {
                return Ok(false);
            }
            let is_apart = self.conn.content_ahead() >= APART_MIN && work.input.unread().is_empty();
            let read = match is_apart {
                true => self.read_apart(feed, cx)?,
                false => self.read(work, cx)?,
            };
            match read {
                Read::Bytes => {
                    feed.pace.heard(turn.ms);
                    if is_apart {
                        self.wait_for_nothing();
                        return Ok(true);
                    }
                }
                Read::Nothing => {
                    let deadline_ms = feed.pace.deadline(turn.ms, &options.timeouts);
                    self.wait_for(Wait::Body, deadline_ms);
                    return Ok(false);
                }
                Read::End => {
                    self.note(Closed::ByClient);
                    // The client will not hear an answer to what it left unfinished.
                    let _ = self.conn.receive_eof(true);
                    feed.feeder.end(Err(BodyError::Disconnected));
                    self.caller.depart();
                    return Ok(true);
                }
            }
        }
    }

    /// Reads content to where it stays: it is long enough to be worth memory of its own, and nothing else can come.
    fn read_apart(&mut self, feed: &mut Feed, cx: &mut Context<'_>) -> io::Result<Read> {
        let ahead = usize::try_from(self.conn.content_ahead()).unwrap_or(usize::MAX);
        if let Some(mut memory) = feed.feeder.memory() {
            let room = ahead.min(memory.chunk_mut().len());
            if room == 0 {
                // Nothing can be received into it, which is no end of what the client sends.
                feed.feeder.received_into(memory, 0);
                return self.read_piece(feed, ahead, cx);
            }
            let mut place = (&mut *memory).limit(room);
            let (read, count) = self.read_with(room, cx, |io| io.try_read_onto(&mut place))?;
            self.conn.received(count as u64);
            if count == 0 || self.may_pass(feed, count) {
                feed.feeder.received_into(memory, count);
            }
            return Ok(read);
        }
        self.read_piece(feed, ahead, cx)
    }

    /// Reads so much content into memory of its own.
    fn read_piece(
        &mut self,
        feed: &mut Feed,
        ahead: usize,
        cx: &mut Context<'_>,
    ) -> io::Result<Read> {
        let room = ahead.min(PIECE_BYTES);
        let mut piece = Vec::with_capacity(room).limit(room);
        let (read, count) = self.read_with(room, cx, |io| io.try_read_onto(&mut piece))?;
        self.conn.received(count as u64);
        let mut piece = piece.into_inner();
        // A slow client's pieces are small and may be many.
        piece.shrink_to_fit();
        self.pass_on(feed, piece.into());
        Ok(read)
    }

    /// Gives content to whoever reads it, unless it is too much.
    fn pass_on(&mut self, feed: &mut Feed, piece: Bytes) {
        if !piece.is_empty() && self.may_pass(feed, piece.len()) {
            feed.feeder.push(piece);
        }
    }

    /// Counts content that has come; says whether it may, and ends it otherwise.
    fn may_pass(&mut self, feed: &mut Feed, count: usize) -> bool {
        feed.pace.count(count);
        self.received = feed.pace.received();
        let fits = !feed.feeder.is_too_much(self.received);
        if !fits {
            feed.feeder.end(Err(BodyError::TooLarge));
            self.conn.close_after();
        }
        fits
    }
}
