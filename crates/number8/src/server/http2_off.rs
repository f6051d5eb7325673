//! Stands in for HTTP/2 where the feature `http2` is off.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Context;

use super::connection::Closed;
use super::options::Options;
use super::transport::Transport;
use super::worker::Turn;
use super::worker::{Place, Standing};

/// Whether a connection begins as one of HTTP/2.
#[allow(dead_code, reason = "nothing is found")]
pub(crate) enum Preface {
    Whole,
    Begun,
    No,
}

/// It does not.
pub(crate) fn preface(_: &[u8]) -> Preface {
    Preface::No
}

/// There is none.
pub(crate) struct Http2(Infallible);

/// What a connection waits for.
pub(crate) struct Rest {
    pub(crate) deadline_ms: u64,
    pub(crate) standing: Standing,
    pub(crate) holds: usize,
}

/// How a turn ends.
#[allow(dead_code, reason = "there is none")]
pub(crate) enum TurnEnd {
    Wait(Rest),
    End(Closed),
}

impl Http2 {
    /// Never called.
    ///
    /// # Panics
    /// Always.
    pub(crate) fn new(
        _: Arc<dyn Transport>,
        _: &[u8],
        _: &Options,
        _: Option<SocketAddr>,
        _: bool,
        _: &mut Context<'_>,
    ) -> Self {
        unreachable!("no connection begins as one of HTTP/2")
    }

    /// Never called.
    pub(crate) fn run(&mut self, _: &Turn, _: &Place) -> TurnEnd {
        match self.0 {}
    }
}
