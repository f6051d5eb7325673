//! A request as a handler sees it.

use std::net::SocketAddr;

use number8_proto::http1::{Head, OwnedHead};

use crate::body::Body;
use crate::caller::Caller;

/// A request that owns its parts, so that a handler may keep it as long as it likes.
#[derive(Debug)]
pub struct Request {
    head: OwnedHead,
    caller: Caller,
    body: Body,
}

impl Request {
    pub(crate) fn new(head: &Head<'_>, caller: &Caller, body: Body) -> Self {
        Self { head: head.to_owned(), caller: caller.clone(), body }
    }

    /// Method, target, version and fields.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        self.head.head()
    }

    /// The other end of the connection; `None` over a Unix socket.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.caller.peer
    }

    /// Who asks: the client's address and user, as far as layers have found out.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
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
