//! HTTP/2: frames of our own making, and the client of the crate h2.

#[cfg(all(feature = "files", feature = "multipart"))]
mod again;
mod counts;
#[cfg(feature = "events")]
mod events;
mod h2_client;
mod held;
mod limits;
mod requests;
#[cfg(all(feature = "files", feature = "uploads"))]
mod rooms;
mod rules;
mod slow;
mod wire;
