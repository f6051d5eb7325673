//! The library through its public interface.

#![allow(clippy::unwrap_used, reason = "an unwrap that fails is the test's answer")]

// Connections are taken whatever `accept` says.
mod accept;
// Blocking calls: bounded, batched, none in the way of another. (`loom.rs` has the interleavings.)
mod lane;
// Where to listen: what is typed, what is bound, what is handed over, what is in the way.
mod listener;
// Finding, reading and listing the served files, and refusing all others.
mod store;
// TCP, Unix sockets and the in-memory pair behave alike.
mod transport;
