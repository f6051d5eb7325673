//! The library through its public interface.

#![allow(clippy::unwrap_used, reason = "an unwrap that fails is the test's answer")]

// A folder, served: over real sockets, as a client sees it.
mod files;
// Where to listen: what is typed, what is bound, what is handed over, what is in the way.
mod listener;
// Finding, reading and listing the served files, and refusing all others.
mod store;
// TCP, Unix sockets and the in-memory pair behave alike.
mod transport;
