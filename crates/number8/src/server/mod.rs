//! The only code that touches client sockets.

pub mod memory;
pub mod transport;
