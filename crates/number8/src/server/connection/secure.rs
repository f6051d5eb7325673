//! The beginning of a connection that is to speak TLS, and what becomes of one that does not.

use std::io;
use std::task::{Context, Poll};

use super::super::clock;
use super::super::shared::Stop;
use super::super::transport::Security;
use super::{Closed, Connection, Flow, Phase, Turn, Wait, Work};
use crate::https::to_https;
use crate::response::Response;

impl Connection {
    /// Where a connection goes on once it is known whose it is.
    pub(super) fn beginning(&self) -> Phase {
        match self.io.security() {
            Security::Expected => Phase::Handshake,
            Security::None | Security::Missed | Security::Tls => Phase::Receive,
        }
    }

    /// Agrees with the client on TLS, within the time for that.
    pub(super) fn handshake(&mut self, turn: &Turn, work: &mut Work, cx: &mut Context<'_>) -> Flow {
        let timeouts = &turn.current.shared.options.timeouts;
        // What came with the words of a balancer.
        let polled = self.io.poll_secure(work.input.unread(), cx);
        work.input.clear();
        match polled {
            Poll::Ready(Ok(())) => {
                self.security = self.io.security();
                // SECURITY: who missed TLS is answered by one place. Inside TLS a client has to have chosen (RFC 9113 §3.2).
                self.may_be_http2 = self.io.has_chosen_http2();
                self.caller.is_secure = self.is_secure();
                self.phase = Phase::Receive;
                self.wait_for(Wait::FirstByte, turn.ms + clock::millis(timeouts.first_byte));
                Flow::Again
            }
            Poll::Ready(Err(error)) => self.end(Closed::NotSecured(why(&error))),
            Poll::Pending if self.place.entry.is_evicted() => self.end(Closed::Evicted),
            Poll::Pending if self.is_overdue(turn) => self.end(Closed::HandshakeTimeout),
            Poll::Pending => {
                if turn.current.shared.stop() != Stop::No && self.wait == Wait::Handshake {
                    self.note(Closed::Stopping);
                    self.wait_for(Wait::Linger, turn.ms + clock::millis(timeouts.linger));
                }
                Flow::Wait
            }
        }
    }

    /// Whether strangers on the way can neither read nor change what is sent.
    pub(super) fn is_secure(&self) -> bool {
        self.security == Security::Tls
    }

    /// The answer to a request that came without TLS where there has to be: the same by https.
    pub(super) fn lead_to_https(&self, work: &mut Work) -> Response {
        let head = work.parser.head(work.input.head());
        to_https(head.host(), head.path(), head.query(), None).closing()
    }
}

#[cfg(feature = "tls")]
fn why(error: &io::Error) -> &'static str {
    super::super::tls::fault::of_handshake(error)
}

#[cfg(not(feature = "tls"))]
fn why(_: &io::Error) -> &'static str {
    "there is no TLS"
}
