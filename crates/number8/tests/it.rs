//! The library through its public interface.

#![allow(clippy::unwrap_used, reason = "an unwrap that fails is the test's answer")]

// TCP, Unix sockets and the in-memory pair behave alike.
mod transport;
