//! Event streams read back by the algorithm of the HTML standard, and WebSocket frames whole, byte by byte and
//! cut anywhere.

// Whatever an event holds arrives, and nothing else.
mod sse;
// Frames of clients, as a table and as properties; frames of the server, read back.
mod ws;
// The handshake, as a table.
mod handshake;
