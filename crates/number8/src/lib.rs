//! A small, fast web server as a library.

pub mod layers;
pub mod server;
mod sys;
