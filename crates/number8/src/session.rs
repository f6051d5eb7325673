//! What takes over a connection after its last answer: another protocol, or bytes that are nobody's.

use std::task::{Context, Poll};
use std::time::Duration;

use crate::body::Body;

/// Bytes that may wait for a session that does not use them, or behind a request that is being answered.
pub(crate) const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Talks over a connection that no longer speaks HTTP: bytes in, bytes out, and never a socket.
///
/// [`Response::upgrade`](crate::Response::upgrade) hands a connection to one. It is polled when bytes have
/// come, when 64 KiB or more that it wrote have left, when its waker is woken, when the time that it named is over, and when
/// the server begins to stop. What it appends in one call leaves with one write.
///
/// ```
/// use std::task::Context;
/// use number8::{Session, SessionInput, SessionStep};
///
/// /// Sends back what comes.
/// struct Echo;
///
/// impl Session for Echo {
///     fn poll(&mut self, _: &mut Context<'_>, input: SessionInput<'_>, output: &mut Vec<u8>) -> SessionStep {
///         output.extend_from_slice(input.bytes);
///         let used = input.bytes.len();
///         if input.has_ended || input.is_stopping { SessionStep::close(used) } else { SessionStep::wait(used) }
///     }
/// }
/// ```
pub trait Session: Send {
    /// Uses what has come, appends what is to be sent, and says how to go on.
    ///
    /// Bytes that are not used come again, with those that follow; while 64 KiB wait no more are read, so a
    /// session has to take larger things piece by piece. While more than 64 KiB of output wait for the client
    /// it is not polled.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        input: SessionInput<'_>,
        output: &mut Vec<u8>,
    ) -> SessionStep;

    /// Bytes of the client's that this holds between two polls: they count as what the server holds
    /// ([`Limits::buffered_bytes_max`](crate::server::Limits::buffered_bytes_max)).
    fn held(&self) -> usize {
        0
    }
}

/// What a session is given.
#[derive(Debug)]
pub struct SessionInput<'a> {
    /// What the client has sent and the session has not used; it may be changed in place.
    pub bytes: &'a mut [u8],
    /// The client sends no more.
    pub has_ended: bool,
    /// The server stops: the session says what its protocol has to say, and closes.
    pub is_stopping: bool,
}

/// How a session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionStep {
    /// So many of the first bytes were used.
    pub used: usize,
    /// The connection closes when all has been sent.
    pub is_over: bool,
    /// The session wants to be polled after this time (to a quarter of a second), whatever happens.
    pub wake_after: Option<Duration>,
}

impl SessionStep {
    /// So many bytes were used; the session waits.
    #[must_use]
    pub const fn wait(used: usize) -> Self {
        Self { used, is_over: false, wake_after: None }
    }

    /// So many bytes were used; the connection closes when all has been sent.
    #[must_use]
    pub const fn close(used: usize) -> Self {
        Self { used, is_over: true, wake_after: None }
    }

    /// The same, polled again after this time at the latest.
    #[must_use]
    pub const fn wake_after(mut self, time: Duration) -> Self {
        self.wake_after = Some(time);
        self
    }
}

/// Sends content as it is, without a head, then closes (row R12).
pub(crate) struct Raw(pub(crate) Body);

/// Bytes that are gathered before they are sent.
const RAW_BATCH_BYTES: usize = 64 * 1024;

impl Session for Raw {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        input: SessionInput<'_>,
        output: &mut Vec<u8>,
    ) -> SessionStep {
        let used = input.bytes.len();
        while output.len() < RAW_BATCH_BYTES {
            match self.0.poll_chunk(cx) {
                Poll::Ready(Ok(Some(chunk))) => output.extend_from_slice(&chunk),
                Poll::Ready(Ok(None) | Err(_)) => return SessionStep::close(used),
                Poll::Pending => return SessionStep::wait(used),
            }
        }
        // There is more: it comes when this has left.
        SessionStep::wait(used)
    }
}
