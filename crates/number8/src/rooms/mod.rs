//! What a server can offer, one room each. A room imports the core and never another room.

#[cfg(feature = "compression")]
pub(crate) mod assets;
#[cfg(feature = "events")]
pub(crate) mod events;
#[cfg(feature = "files")]
pub(crate) mod files;
#[cfg(feature = "repl")]
pub(crate) mod repl;

#[cfg(feature = "runner")]
pub(crate) mod runner;
#[cfg(feature = "uploads")]
pub(crate) mod uploads;
#[cfg(feature = "websocket")]
pub(crate) mod websocket;
