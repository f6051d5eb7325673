//! The library through its public interface.

#![allow(clippy::unwrap_used, reason = "an unwrap that fails is the test's answer")]

// Who may do what: rules, rights and the texts that stand for them.
mod access;
// Who somebody is: passwords, tokens, fields, functions.
#[cfg(feature = "accounts")]
mod auth;
// Logging in by a page.
#[cfg(feature = "accounts")]
mod sessions;
// Which pages may do what, and read what.
mod origin;
// Who a client is behind a proxy.
mod proxies;
// Faults that other servers had.
mod peers;
// Connections are taken whatever `accept` says.
mod accept;
// Blocking calls: bounded, batched, none in the way of another. (`loom.rs` has the interleavings.)
mod lane;
// What has begun goes on where so many calls wait that no others are taken.
#[cfg(all(feature = "uploads", feature = "tower"))]
mod full_lane;
// A folder, served: over real sockets, as a client sees it.
mod files;
// Where to listen: what is typed, what is bound, what is handed over, what is in the way.
mod listener;
// A running server and its clients, for the modules below.
mod serving;
// Requests and answers on one connection, and connections beside one another.
mod connection;
// Who works for a client that leaves.
mod departure;
// Turns and back-pressure, in memory, where they are exact.
mod flow;
// From a path to a function, its arguments and what it returns.
mod routes;
// A request told back, and pages for refusals.
mod echo;
// The rest of the ecosystem.
#[cfg(feature = "tower")]
mod edge;
// Content piece by piece, as readers, with limits.
mod content;
// Forms of several parts, as an argument.
#[cfg(feature = "multipart")]
mod multipart;
// Answers of handlers, compressed.
#[cfg(feature = "compression")]
mod compress;
// HTTP/2, frame by frame and request by request.
#[cfg(feature = "http2")]
mod http2;
// Cookies, both ways.
mod cookies;
// Routes as attributes of functions.
#[cfg(feature = "macros")]
mod macros;
// What stands around every handler.
mod layers;
// A place in a page of the user's.
#[cfg(feature = "files")]
mod prefilled;
// Files of people who are not trusted with everything.
#[cfg(all(feature = "files", feature = "uploads"))]
mod sandboxed;
// Files that are part of the program.
#[cfg(feature = "compression")]
mod assets;
// Connections that are handed over to another protocol.
mod session;
// Events to those who listen.
mod events;
// Programs that clients post.
#[cfg(feature = "runner")]
mod runner;
// How long the server waits for what.
mod deadlines;
// How much it takes of what.
mod limits;
// How it ends.
mod stopping;
// Finding, reading and listing the served files, and refusing all others.
mod store;
// A folder that takes files: over real sockets, as a client sees it.
mod uploads;
// TCP, Unix sockets and the in-memory pair behave alike.
mod transport;
// Messages to and fro, byte by byte.
mod websocket;
// A live terminal: for pages, and for the clients of MicroPython's WebREPL.
#[cfg(feature = "repl")]
mod repl;
// What is told of requests: to their clients, to handlers, in logs.
mod watching;
// TLS: certificates, handshakes, and bytes through them.
#[cfg(feature = "tls")]
mod tls;
