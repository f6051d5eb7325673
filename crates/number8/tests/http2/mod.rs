//! HTTP/2: frames of our own making, and the client of the crate h2.

mod counts;
mod limits;
mod requests;
#[cfg(all(feature = "files", feature = "uploads"))]
mod rooms;
mod rules;
mod wire;
