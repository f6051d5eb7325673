//! A small, fast web server as a library.

pub mod store;
