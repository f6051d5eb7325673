//! A WebSocket as a session: frames in, frames out, and between them the user's function, polled in place.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use number8_proto::limits::WebSocketLimits;
use number8_proto::ws::{CloseCode, Decoder, Event, Frame, Kind};

use super::message::{Message, SocketError};
use super::socket::Pipe;
use crate::session::{INPUT_BYTES_MAX, Session, SessionInput, SessionStep};
use crate::sync::lock;

/// How long to wait for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Silence of the client before it is asked whether it is there.
    pub(crate) ping_every: Option<Duration>,
    /// How long the function may go on after its WebSocket has ended, or with a message after which no more come.
    pub(crate) after_end_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { ping_every: Some(Duration::from_secs(30)), after_end_max: Duration::from_secs(5) }
    }
}

pub(crate) type Talking = Pin<Box<dyn Future<Output = CloseCode> + Send>>;

pub(super) struct Talk {
    decoder: Decoder,
    pipe: Arc<Pipe>,
    /// The user's function; `None` when it has returned.
    talking: Option<Talking>,
    /// A message that has come in part.
    begun: Vec<u8>,
    ping_every: Option<Duration>,
    after_end_max: Duration,
    /// When something last came.
    heard: Instant,
    /// Bytes that had come and were left, as the function had a message to take before them.
    left: usize,
    /// Reading has stopped, as the function had a message to take.
    is_full: bool,
    /// A ping is not answered yet.
    is_pinged: bool,
    /// Since when nothing more comes, and the function takes nothing of what has come.
    ended: Option<Instant>,
}

impl Talk {
    pub(super) fn new(
        patience: Patience,
        limits: WebSocketLimits,
        pipe: Arc<Pipe>,
        talking: Talking,
    ) -> Self {
        let Patience { ping_every, after_end_max } = patience;
        Self {
            decoder: Decoder::new(limits),
            pipe,
            talking: Some(talking),
            begun: Vec::new(),
            ping_every,
            after_end_max,
            heard: Instant::now(),
            left: 0,
            is_full: false,
            is_pinged: false,
            ended: None,
        }
    }

    /// Reads until there is a message for the function, or nothing more; returns how many bytes were used, and
    /// whether there is something new for it.
    fn read(&mut self, input: &mut [u8]) -> (usize, bool) {
        let mut state = lock(&self.pipe.state);
        let mut used = 0;
        loop {
            self.is_full = state.inbox.is_some();
            if self.is_full || state.ended.is_some() {
                return (used, false);
            }
            let (count, event) = match self.decoder.decode(&mut input[used..]) {
                Ok(decoded) => decoded,
                Err(fault) => {
                    state.close(Frame::Close(fault.code(), fault.text()));
                    state.end(SocketError::Fault(fault));
                    return (used, true);
                }
            };
            used += count;
            match event {
                Event::NeedMore => return (used, false),
                Event::Ping(bytes) if !state.is_closed => Frame::Pong(bytes).put(&mut state.out),
                Event::Ping(_) | Event::Pong(_) => {}
                Event::Close(close) => {
                    state.farewell = close.map(|(code, reason)| (code, reason.to_owned()));
                    // RFC 6455 §5.5.1: the answer has the code that came.
                    state.close(match close {
                        Some((code, _)) => Frame::Close(code, ""),
                        None => Frame::CloseWithoutCode,
                    });
                    state.end(SocketError::Closed);
                    return (used, true);
                }
                Event::Data { bytes, is_last: false, .. } => self.begun.extend_from_slice(bytes),
                Event::Data { kind, bytes, is_last: true } => {
                    state.inbox = message(kind, std::mem::take(&mut self.begun), bytes);
                    return (used, true);
                }
            }
        }
    }

    /// Lets the function go on. One that fails to its foundations ends its own WebSocket, with 1011.
    fn go_on(&mut self, cx: &mut Context<'_>) {
        self.wake_other_receiver(cx.waker());
        let Some(talking) = &mut self.talking else { return };
        let polled = catch_unwind(AssertUnwindSafe(|| talking.as_mut().poll(cx)));
        let code = match polled {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(code)) => code,
            // The panic has been printed by the hook.
            Err(_) => CloseCode::INTERNAL,
        };
        self.talking = None;
        lock(&self.pipe.state).close(Frame::Close(code, ""));
    }

    /// The half that receives may be in another task.
    fn wake_other_receiver(&self, own: &Waker) {
        let mut state = lock(&self.pipe.state);
        if state.inbox.is_some() || state.ended.is_some() {
            let other = state.receiver.take_if(|waker| !waker.will_wake(own));
            other.into_iter().for_each(Waker::wake);
        }
    }

    /// Asks whether the client is there where nothing has come for some time. How long until the next look; `None`
    /// when it did not answer the last time.
    fn look_after(&mut self, has_come: bool) -> Option<Duration> {
        let Some(every) = self.ping_every else { return Some(Duration::MAX) };
        let now = Instant::now();
        if has_come {
            (self.heard, self.is_pinged) = (now, false);
            return Some(every);
        }
        let silent = now - self.heard;
        if silent >= every.saturating_mul(2) && self.is_pinged {
            return None;
        }
        if silent >= every && !self.is_pinged {
            self.is_pinged = true;
            let mut state = lock(&self.pipe.state);
            if !state.is_closed {
                Frame::Ping(&[]).put(&mut state.out);
            }
        }
        let next = if self.is_pinged { every.saturating_mul(2) } else { every };
        Some(next.saturating_sub(silent))
    }

    /// The connection's output is the pipe's for now, and what others wanted to send is in it.
    fn begin(&self, output: &mut Vec<u8>, waker: &Waker) {
        let mut state = lock(&self.pipe.state);
        let theirs = std::mem::replace(&mut state.out, std::mem::take(output));
        state.out.extend_from_slice(&theirs);
        state.is_at_work = true;
        if state.connection.is_none() {
            state.connection = Some(waker.clone());
        }
        state.senders.drain(..).for_each(Waker::wake);
    }

    /// Gives the output back; says whether a close frame is in it or was before, and whether nothing more is received.
    fn finish(&self, output: &mut Vec<u8>) -> (bool, bool) {
        let mut state = lock(&self.pipe.state);
        *output = std::mem::take(&mut state.out);
        state.is_at_work = false;
        if self.is_full && state.inbox.is_none() {
            // Another thread has taken it since, and wakes nobody who is at work.
            state.wake_connection();
        }
        (state.is_closed, state.ended.is_some())
    }

    /// The client sends no more: that is the end, once the function has taken all that came.
    fn end_input(&self) -> bool {
        let mut state = lock(&self.pipe.state);
        let is_over = state.inbox.is_none() && state.ended.is_none();
        if is_over {
            state.end(SocketError::Lost);
        }
        is_over
    }

    /// The client has left while the function was busy: it finds the end in place of the messages that it did not take.
    fn forget(&mut self, used: usize) -> SessionStep {
        let mut state = lock(&self.pipe.state);
        state.inbox = None;
        state.end(SocketError::Lost);
        drop(state);
        self.ended = Some(Instant::now());
        SessionStep::wait(used).wake_after(self.after_end_max)
    }
}

impl Session for Talk {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        input: SessionInput<'_>,
        output: &mut Vec<u8>,
    ) -> SessionStep {
        let SessionInput { bytes, has_ended, is_stopping } = input;
        self.begin(output, cx.waker());
        // Of what comes where no more may wait nothing is seen.
        let look = self.look_after(bytes.len() > self.left || bytes.len() >= INPUT_BYTES_MAX);
        if is_stopping || look.is_none() {
            let mut state = lock(&self.pipe.state);
            let (code, why) = match is_stopping {
                true => (CloseCode::GOING_AWAY, SocketError::Closed),
                false => (CloseCode::POLICY, SocketError::Lost),
            };
            if is_stopping && state.ended.is_none() {
                state.farewell = Some((code, String::new()));
            }
            state.close(Frame::Close(code, ""));
            state.end(why);
        }
        let mut used = 0;
        let mut is_first = true;
        loop {
            let (count, has_news) = self.read(&mut bytes[used..]);
            used += count;
            if !has_news && !is_first {
                break;
            }
            is_first = false;
            self.go_on(cx);
        }
        if used > 0 {
            self.ended = None;
        }
        if has_ended && self.end_input() {
            self.ended = None;
            self.go_on(cx);
        }
        let (is_closed, is_ended) = self.finish(output);
        if is_ended {
            // What follows is nothing.
            used = bytes.len();
        }
        self.left = bytes.len() - used;
        let is_lost = look.is_none();
        if is_lost || (self.talking.is_none() && (is_closed || has_ended)) {
            return SessionStep::close(used);
        }
        if is_ended || has_ended {
            let since = *self.ended.get_or_insert_with(Instant::now);
            let left = self.after_end_max.saturating_sub(since.elapsed());
            return match left.is_zero() {
                true if !is_ended => self.forget(used),
                true => SessionStep::close(used),
                false => SessionStep::wait(used).wake_after(left),
            };
        }
        match look {
            Some(Duration::MAX) | None => SessionStep::wait(used),
            Some(after) => SessionStep::wait(used).wake_after(after),
        }
    }

    fn held(&self) -> usize {
        let waits = lock(&self.pipe.state).inbox.as_ref().map_or(0, Message::len);
        self.begun.capacity() + waits
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        lock(&self.pipe.state).end(SocketError::Lost);
    }
}

/// A message from what came before and its last piece; `None` where a text is none, which the decoder has excluded.
fn message(kind: Kind, mut begun: Vec<u8>, last: &[u8]) -> Option<Message> {
    begun.extend_from_slice(last);
    match kind {
        Kind::Text => String::from_utf8(begun).ok().map(Message::Text),
        Kind::Binary => Some(Message::Binary(begun.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::super::socket::Socket;
    use super::*;

    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Another thread takes a message, and asks for the next one, between the last look of the connection and the end of its work.
    #[test]
    fn x12_whoever_receives_elsewhere_gets_the_next_message_whenever_it_asks() {
        let pipe = Arc::new(Pipe::default());
        let (_sender, mut receiver) = Socket::new(&pipe, None).split();
        let limits = WebSocketLimits::default();
        let talking = Box::pin(std::future::pending());
        let mut talk = Talk::new(Patience::default(), limits, pipe, talking);
        let (connection, elsewhere) =
            (Arc::new(Woken(0.into())), &mut Context::from_waker(Waker::noop()));
        let mut output = Vec::new();
        let mut input = b"\x81\x81\0\0\0\x001\x81\x81\0\0\0\x002".to_vec();

        talk.begin(&mut output, &connection.clone().into());
        let (used, has_news) = talk.read(&mut input);
        assert!(has_news && talk.read(&mut input[used..]) == (0, false), "one at a time");
        for message in [Poll::Ready(Ok(Some("1".into()))), Poll::Pending] {
            assert_eq!(receiver.poll_receive(elsewhere), message);
        }
        talk.finish(&mut output);
        assert_eq!(connection.0.load(Ordering::Relaxed), 1, "the second waits to be read");
    }
}
