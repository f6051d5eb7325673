//! The only code that touches client sockets.

pub mod accept;
pub mod bind;
pub mod lane;
pub mod listener;
pub mod memory;
mod port_holder;
pub mod transport;
