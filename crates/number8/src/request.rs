//! A request as a handler sees it.

use std::net::SocketAddr;

use number8_proto::http1::{Head, OwnedHead};

use crate::body::Body;

/// A request that owns its parts, so that a handler may keep it as long as it likes.
#[derive(Debug)]
pub struct Request {
    head: OwnedHead,
    peer: Option<SocketAddr>,
    body: Body,
}

impl Request {
    pub(crate) fn new(head: &Head<'_>, peer: Option<SocketAddr>, body: Body) -> Self {
        Self { head: head.to_owned(), peer, body }
    }

    /// Method, target, version and fields.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        self.head.head()
    }

    /// The address of the client; `None` over a Unix socket.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The content, to be read as it arrives.
    pub fn body(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The content alone.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }
}
