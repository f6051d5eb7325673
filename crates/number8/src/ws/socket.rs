//! The ends of a WebSocket that a function of the user's holds.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use number8_proto::ws::{CloseCode, Frame};

use super::message::{Message, SocketError};
use crate::sync::lock;

/// Bytes that may wait to be sent before a sender has to wait.
const QUEUED_BYTES_MAX: usize = 64 * 1024;

/// One WebSocket. What is sent while a message is handled leaves with one write.
#[derive(Debug)]
pub struct Socket {
    receiver: SocketReceiver,
    sender: SocketSender,
}

/// The half that receives.
#[derive(Debug)]
pub struct SocketReceiver {
    pipe: Arc<Pipe>,
    protocol: Option<Arc<str>>,
}

/// The half that sends: as many clones as are wanted, also in other tasks.
#[derive(Debug, Clone)]
pub struct SocketSender {
    pipe: Arc<Pipe>,
}

/// What the ends share with the connection.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    pub(super) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// While the connection is at work, its own output; else what others want to send.
    pub(super) out: Vec<u8>,
    pub(super) is_at_work: bool,
    pub(super) inbox: Option<Message>,
    /// Nothing more is received, and why.
    pub(super) ended: Option<SocketError>,
    /// A close frame has been sent: nothing may follow it.
    pub(super) is_closed: bool,
    /// How it was closed, other than by this side.
    pub(super) farewell: Option<(CloseCode, String)>,
    pub(super) connection: Option<Waker>,
    pub(super) receiver: Option<Waker>,
    pub(super) senders: Vec<Waker>,
}

impl Socket {
    pub(super) fn new(pipe: &Arc<Pipe>, protocol: Option<Arc<str>>) -> Self {
        Self {
            receiver: SocketReceiver { pipe: Arc::clone(pipe), protocol },
            sender: SocketSender { pipe: Arc::clone(pipe) },
        }
    }

    /// The next message; `None` when the client has closed, or the server stops.
    ///
    /// # Errors
    /// The client is gone, or at fault.
    pub async fn receive(&mut self) -> Result<Option<Message>, SocketError> {
        self.receiver.receive().await
    }

    /// Sends a message; waits while the client is behind.
    ///
    /// # Errors
    /// The WebSocket is closed, or lost.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), SocketError> {
        self.sender.send(message).await
    }

    /// Closes with a code and a reason, of which at most 123 bytes are sent. Nothing can be sent after it.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.sender.close(code, reason);
    }

    /// The protocol that was agreed upon ([`WebSocket::protocols`](crate::WebSocket::protocols)).
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.receiver.protocol.as_deref()
    }

    /// Another sender, for other tasks.
    #[must_use]
    pub fn sender(&self) -> SocketSender {
        self.sender.clone()
    }

    /// The two halves.
    #[must_use]
    pub fn split(self) -> (SocketSender, SocketReceiver) {
        (self.sender, self.receiver)
    }
}

impl SocketReceiver {
    /// As [`Socket::receive`].
    ///
    /// # Errors
    /// As for [`Socket::receive`].
    pub async fn receive(&mut self) -> Result<Option<Message>, SocketError> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// How it was closed, once [`SocketReceiver::receive`] has given its last: the code and reason that the client said, where
    /// it did; 1001 where the server stops.
    #[must_use]
    pub fn farewell(&self) -> Option<(CloseCode, String)> {
        lock(&self.pipe.state).farewell.clone()
    }

    /// As [`SocketReceiver::receive`], for those who poll.
    ///
    /// # Errors
    /// As for [`Socket::receive`].
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, SocketError>> {
        let mut state = lock(&self.pipe.state);
        if let Some(message) = state.inbox.take() {
            return Poll::Ready(Ok(Some(message)));
        }
        match state.ended {
            Some(SocketError::Closed) => return Poll::Ready(Ok(None)),
            Some(error) => return Poll::Ready(Err(error)),
            None => {}
        }
        if !state.is_at_work {
            // The message that it could not take has been taken elsewhere: it goes on.
            state.wake_connection();
        }
        if !state.receiver.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.receiver = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl SocketSender {
    /// As [`Socket::send`].
    ///
    /// # Errors
    /// As for [`Socket::send`].
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SocketError> {
        let message = message.into();
        poll_fn(|cx| self.poll_send(cx, &message)).await
    }

    /// As [`SocketSender::send`], for those who poll: `Pending` where the message has to wait, and is to be given again.
    ///
    /// # Errors
    /// As for [`Socket::send`].
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        message: &Message,
    ) -> Poll<Result<(), SocketError>> {
        // In one step: the connection, in another thread, may fill what there is room for at any time.
        let mut state = lock(&self.pipe.state);
        match state.put(message) {
            Err(SocketError::Full) => {
                if !state.senders.iter().any(|waker| waker.will_wake(cx.waker())) {
                    state.senders.push(cx.waker().clone());
                }
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }

    /// Sends a message if that can be done at once.
    ///
    /// # Errors
    /// The WebSocket is closed or lost, or 64 KiB wait to be sent: the client is slow, and it is up to the caller what
    /// becomes of it.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), SocketError> {
        lock(&self.pipe.state).put(&message.into())
    }

    /// As [`Socket::close`].
    pub fn close(&self, code: CloseCode, reason: &str) {
        let mut state = lock(&self.pipe.state);
        state.close(Frame::Close(code, reason));
        if !state.is_at_work {
            state.wake_connection();
        }
    }
}

impl State {
    fn put(&mut self, message: &Message) -> Result<(), SocketError> {
        match self.ended {
            Some(SocketError::Closed) | None if self.is_closed => return Err(SocketError::Closed),
            Some(error) => return Err(error),
            None => {}
        }
        if self.out.len() >= QUEUED_BYTES_MAX {
            return Err(SocketError::Full);
        }
        message.frame().put(&mut self.out);
        if !self.is_at_work {
            self.wake_connection();
        }
        Ok(())
    }

    /// Sends a close frame, once.
    pub(super) fn close(&mut self, frame: Frame<'_>) {
        if !self.is_closed {
            self.is_closed = true;
            frame.put(&mut self.out);
        }
    }

    pub(super) fn end(&mut self, why: SocketError) {
        self.ended.get_or_insert(why);
        self.senders.drain(..).for_each(Waker::wake);
        self.receiver.take().into_iter().for_each(Waker::wake);
    }

    pub(super) fn wake_connection(&self) {
        if let Some(waker) = &self.connection {
            waker.wake_by_ref();
        }
    }
}
