//! A small, fast web server as a library.

pub mod server;
mod sync;
mod sys;
