//! Every deadline and limit of a server, with its default and its reason (the protocol's own limits are in
//! `number8_proto::Limits`).

use std::time::Duration;

use super::lane::LaneOptions;

/// How a server runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that serve connections, each with its own runtime; 0 is one per core.
    pub workers: usize,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How much to take of what.
    pub limits: Limits,
    /// Whether and how HTTP/2 is spoken.
    pub http2: Http2,
    /// The threads for work that blocks.
    pub lane: LaneOptions,
    /// How long requests may go on after the server was asked to stop.
    pub grace: Duration,
    /// Whether to count requests and connections, for [`Handle::measure`](super::Handle::measure). Default no.
    pub metrics: bool,
    /// Whether to [let go of what only the start has used](super::release_start), once all that serves is set up. Default no:
    /// it is for programs that do nothing else.
    pub release_start: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 0,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            http2: Http2::default(),
            lane: LaneOptions::default(),
            grace: Duration::from_secs(10),
            metrics: false,
            release_start: false,
        }
    }
}

/// Deadlines. They are looked at every quarter of a second, so they may pass by that much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From connecting, or from the end of the handshake of TLS, to the first byte; then a silent close, since browsers open spare connections.
    pub first_byte: Duration,
    /// From connecting to where TLS is agreed on, where there is TLS; then the connection is closed.
    pub handshake: Duration,
    /// From the first byte of a head to its end; then 408.
    pub head: Duration,
    /// Without a byte of a body that is waited for; then 408.
    pub body: Duration,
    /// The lowest average rate of a body, in bytes a second, once [`Timeouts::body_rate_after`] has passed;
    /// then 408. 0 is no lowest rate.
    pub body_rate_min: u64,
    /// How long a body may come as slowly as it likes.
    pub body_rate_after: Duration,
    /// Without a byte of an answer being taken; then the connection is cut.
    pub write: Duration,
    /// Between requests; then a silent close.
    pub idle: Duration,
    /// From the end of the last answer to the client's close, while what it still sends is dropped, so
    /// that it can read the answer (RFC 9112 §9.6).
    pub linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
            body_rate_min: 500,
            body_rate_after: Duration::from_secs(10),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(15),
            linger: Duration::from_secs(2),
        }
    }
}

/// Counts and sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What a request may look like.
    pub http: number8_proto::Limits,
    /// Bytes of content a handler is given (413). 1 MiB: forms and JSON.
    pub body_bytes_max: u64,
    /// Connections at once (503).
    pub connections_max: usize,
    /// Connections at once from one address, or from one /64 of IPv6 (503); of a balancer that announces its clients
    /// ([`Proxies::announce`](crate::layers::proxies::Proxies::announce)), from each of those.
    pub connections_per_client_max: usize,
    /// Bytes held for unfinished requests and unsent answers, over all connections; above it, new
    /// requests are answered 503.
    pub buffered_bytes_max: usize,
    /// Bytes that are dropped after the last answer, before the connection is cut.
    pub linger_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http: number8_proto::Limits::default(),
            body_bytes_max: 1024 * 1024,
            connections_max: 65_536,
            connections_per_client_max: 16_384,
            buffered_bytes_max: 256 * 1024 * 1024,
            linger_bytes_max: 256 * 1024,
        }
    }
}

/// HTTP/2, and what one connection of it may cost. [`Timeouts`] and [`Limits`] hold for it too: those of a head for each
/// request, those of content for each stream, `idle` while there is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2 {
    /// Whether it is spoken with clients that begin with its preface. Without the feature `http2` it never is.
    pub is_on: bool,
    /// Requests at once on one connection; further ones are refused with REFUSED_STREAM.
    pub streams_max: u32,
    /// Bytes of content that a client may send on one stream before the handler takes some. 256 KiB, as over HTTP/1.1.
    pub stream_window_bytes: u32,
    /// Bytes of content that a client may send on all streams of a connection before handlers take some, beyond those that wait
    /// for a handler already: these leave the others their room while the server holds less than
    /// [`Limits::buffered_bytes_max`].
    pub connection_window_bytes: u32,
    /// Streams that the client ends, or brings the server to end, in one second, before it is told to calm down: work is
    /// begun for each that nobody waits for. A page that is left takes back what it has asked at once, 100 at most. Of the
    /// streams that end by the client's own fault there may be five times as many in the life of a connection.
    pub resets_max: u32,
    /// Frames that ask for nothing (SETTINGS, PING, PRIORITY, RST_STREAM, small WINDOW_UPDATE, empty DATA) in one second,
    /// before the client is told to calm down.
    pub control_frames_max: u32,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            is_on: true,
            streams_max: 100,
            stream_window_bytes: 256 * 1024,
            connection_window_bytes: 1024 * 1024,
            resets_max: 200,
            control_frames_max: 1_000,
        }
    }
}
