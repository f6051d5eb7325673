//! Integration tests of the protocol crate, in one binary.

#![allow(clippy::unwrap_used, reason = "an unwrap that fails is the test's answer")]

// Properties of what fields mean: dates, ranges, preconditions, targets, hosts, negotiation.
mod semantics;
// Properties of requests and answers on the wire.
mod http1;
// What goes on after a head: events and WebSocket frames.
mod streams;
// WebREPL: login, terminal and files.
mod webrepl;
// Requests and answers as pages, played in every cut.
mod wire;
