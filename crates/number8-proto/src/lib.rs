//! HTTP/1.1 for servers, without I/O: bytes in, events out; answers in, bytes out.
//!
//! # In scope
//! - the head, framing and body of requests, and the encoding of answers ([`http1`]);
//! - the requests of HTTP/2, as such heads ([`http2`]); its frames are somebody else's;
//! - what can be decided from fields alone: dates, ranges, preconditions, negotiation, targets;
//! - the encoding of server-sent events ([`sse`]), and the frames of WebSocket ([`ws`]);
//! - what MicroPython's WebREPL says in such frames ([`webrepl`]).
//!
//! # Out of scope
//! - sockets, files, threads, clocks and logs: the caller has them;
//! - routing and what an answer says.
//!
//! This is a support crate of `number8`: it has that crate's version and makes no promise of its own. For what `number8` exports of
//! it, such as `Head`, `Fields` and `Method`, the promise of `number8` holds.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod conditional;
pub mod cookie;
pub mod date;
pub mod decimal;
pub mod disposition;
pub mod error;
pub mod forwarded;
pub mod headers;
pub mod host;
pub mod http1;
pub mod http2;
pub mod limits;
pub mod negotiate;
pub mod proxy;
pub mod range;
pub mod sse;
pub mod syntax;
pub mod uri;
pub mod webrepl;
pub mod ws;

pub use error::{CloseReason, Error};
pub use limits::Limits;
