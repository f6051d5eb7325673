//! What the load generators share: connections from many loopback addresses, and just enough of
//! HTTP, event streams and WebSocket to check every byte that a server answers.

pub mod answer;
pub mod chunked;
pub mod connect;
pub mod event_stream;
pub mod frame;
pub mod latency;

/// Says what went wrong, for the person who started the load.
pub type Error = Box<dyn std::error::Error>;
