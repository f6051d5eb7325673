//! placeholder until the real policy is merged
use super::listener::Incoming;
use std::{io, time::Duration};
/// x
pub fn raise_descriptor_limit() -> io::Result<u64> {
    Ok(0)
}
pub(super) struct Acceptor;
impl Acceptor {
    pub(super) fn new(_: fn(&str)) -> Self {
        Self
    }
    pub(super) fn accepted(&mut self) {}
    pub(super) fn failed(
        &mut self,
        _: &io::Error,
        _: &Incoming,
        _: impl FnOnce(usize),
    ) -> Option<Duration> {
        None
    }
}
