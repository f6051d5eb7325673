//! What stands between the connection and the handler, or beside them: each layer knows values, never sockets.

pub mod access_log;
#[cfg(feature = "accounts")]
pub mod auth;
#[cfg(feature = "compression")]
pub mod compress;
pub mod cors;
pub mod proxies;
pub mod same_origin;
#[cfg(feature = "accounts")]
pub mod sessions;
