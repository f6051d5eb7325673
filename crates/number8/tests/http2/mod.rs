//! HTTP/2: frames of our own making, and the client of the crate h2.

mod limits;
mod requests;
mod rules;
mod wire;
