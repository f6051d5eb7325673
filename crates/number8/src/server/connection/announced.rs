//! What a balancer says of its client before anything of the client's own: the PROXY protocol.

use std::io;
use std::net::SocketAddr;
use std::task::Context;

use number8_proto::proxy;

use super::super::clock;
use super::super::shared::Stop;
use super::{Closed, Connection, Flow, Phase, Read, Turn, Wait, Work};

impl Connection {
    /// Reads the header, within the time for the first byte. A connection without one is closed in silence: whatever
    /// speaks there does not know that it has to announce itself, and would take an answer for one to something else.
    pub(super) fn announced(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        cx: &mut Context<'_>,
    ) -> io::Result<Flow> {
        match proxy::parse(work.input.unread()) {
            Ok(Some(proxied)) => {
                work.input.used(proxied.length);
                // As everywhere, an IPv4 client that was written as an IPv6 one is the same client.
                let client = proxied.client;
                let client = client.map(|at| SocketAddr::new(at.ip().to_canonical(), at.port()));
                self.peer = client.or(self.peer);
                self.phase = self.beginning();
                if let Phase::Handshake = self.phase {
                    let time = turn.current.shared.options.timeouts.handshake;
                    self.wait_for(Wait::Handshake, turn.ms + clock::millis(time));
                }
                if !self.place.identify(self.peer.map(|peer| peer.ip())) {
                    self.note(Closed::TooMany);
                    if let Phase::Handshake = self.phase {
                        return Ok(Flow::End);
                    }
                    self.refuse(turn, work, 503, "too many connections");
                }
                return Ok(Flow::Again);
            }
            Ok(None) => {}
            Err(_) => return Ok(self.end(Closed::NotAnnounced)),
        }
        let is_stopping = turn.current.shared.stop() != Stop::No;
        Ok(match self.read(work, cx)? {
            Read::Bytes => Flow::Again,
            Read::End => self.end(Closed::ByClient),
            Read::Nothing if self.place.entry.is_evicted() => self.end(Closed::Evicted),
            Read::Nothing if self.is_overdue(turn) => self.end(Closed::FirstByteTimeout),
            Read::Nothing if is_stopping => self.end(Closed::Stopping),
            Read::Nothing => Flow::Wait,
        })
    }

    pub(super) fn end(&mut self, closed: Closed) -> Flow {
        self.note(closed);
        Flow::End
    }
}
