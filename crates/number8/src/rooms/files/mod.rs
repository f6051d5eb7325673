//! The room that serves a folder.

#[allow(dead_code, reason = "the room that answers with listings is built on top")]
pub(crate) mod listing;
