//! Integration tests of the protocol crate, in one binary.

// Properties of what fields mean: dates, ranges, preconditions, targets, hosts, negotiation.
mod semantics;
// Properties of requests and answers on the wire.
mod http1;
// Requests and answers as pages, played in every cut.
mod wire;
