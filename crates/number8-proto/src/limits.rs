//! Every limit of the protocol that a client could otherwise grow, with its default and its reason.

/// What a request may cost before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of request line and fields together (431). 32 KiB: large cookies and tokens fit.
    pub head_bytes_max: usize,
    /// Number of fields (431). 100, as other servers: browsers send about 15.
    pub fields_max: usize,
    /// Bytes of the request-target (414). 8 KiB: RFC 9110 §4.1 asks for 8,000 at least.
    pub uri_bytes_max: usize,
    /// Bytes of chunk extensions in one body (400). Nobody uses them; a chunk must not cost a hundred
    /// times its data.
    pub chunk_extension_bytes_max: usize,
    /// Bytes of the trailer section (400).
    pub trailer_bytes_max: usize,
    /// Bytes that are read after an answer, and dropped, to reach the end of the request's body; when it
    /// is not reached, the connection closes.
    pub drain_bytes_max: u64,
    /// Take a bare LF as the end of a line in a head, for requests typed by hand. Nothing else.
    pub lenient: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 32 * 1024,
            fields_max: 100,
            uri_bytes_max: 8 * 1024,
            chunk_extension_bytes_max: 4 * 1024,
            trailer_bytes_max: 8 * 1024,
            drain_bytes_max: 256 * 1024,
            lenient: false,
        }
    }
}

/// How much of what a WebSocket client may send, and how well it has to behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketLimits {
    /// Bytes of one message, over all of its frames (close code 1009). 1 MiB: what a handler is given of
    /// content, too.
    pub message_bytes_max: u64,
    /// Take frames that are not masked, and handshakes without a version or with any key: what the clients
    /// of MicroPython's WebREPL send. Nothing else.
    pub lenient: bool,
}

impl Default for WebSocketLimits {
    fn default() -> Self {
        Self { message_bytes_max: 1024 * 1024, lenient: false }
    }
}

/// Empty lines taken before a request line (RFC 9112 §2.2 asks for one at least).
pub(crate) const EMPTY_LINES_MAX: usize = 4;

/// Longest method taken: longer than every registered one (RFC 9110 §16.1.1).
pub(crate) const METHOD_BYTES_MAX: usize = 32;
