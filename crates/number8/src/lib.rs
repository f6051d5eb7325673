//! A small, fast web server as a library.

mod rooms;
pub mod store;
