//! Frames of a server: never masked, never in fragments (RFC 6455 §5.1).

use alloc::vec::Vec;

use super::{BINARY, CLOSE, CONTROL_BYTES_MAX, CloseCode, FIN, PING, PONG, TEXT};

/// What a server sends: a whole message, or a control frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// A question whether the client is there; of the bytes, the first 125 are sent.
    Ping(&'a [u8]),
    /// The answer to a ping, with its bytes; the first 125 are sent.
    Pong(&'a [u8]),
    /// The end; of the reason, as many characters as fit into 123 bytes are sent.
    Close(CloseCode, &'a str),
    /// The end, in answer to one without a code.
    CloseWithoutCode,
}

impl Frame<'_> {
    /// Appends the frame.
    pub fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => put_data(TEXT, text.as_bytes(), out),
            Self::Binary(bytes) => put_data(BINARY, bytes, out),
            Self::Ping(bytes) => put_control(PING, bytes, out),
            Self::Pong(bytes) => put_control(PONG, bytes, out),
            Self::Close(code, reason) => {
                let mut payload = [0; CONTROL_BYTES_MAX];
                let reason = start_of(reason, CONTROL_BYTES_MAX - 2);
                payload[..2].copy_from_slice(&code.get().to_be_bytes());
                payload[2..2 + reason.len()].copy_from_slice(reason.as_bytes());
                put_control(CLOSE, &payload[..2 + reason.len()], out);
            }
            Self::CloseWithoutCode => put_control(CLOSE, &[], out),
        }
    }
}

/// As many characters of `text` as fit into so many bytes.
fn start_of(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn put_control(opcode: u8, bytes: &[u8], out: &mut Vec<u8>) {
    put_data(opcode, &bytes[..bytes.len().min(CONTROL_BYTES_MAX)], out);
}

fn put_data(opcode: u8, bytes: &[u8], out: &mut Vec<u8>) {
    // The shortest form there is (RFC 6455 §5.2).
    let mut head = [FIN | opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let head = match bytes.len() {
        length @ ..126 => {
            head[1] = length as u8;
            &head[..2]
        }
        length @ ..0x1_0000 => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            &head[..4]
        }
        length => {
            head[1] = 127;
            head[2..].copy_from_slice(&(length as u64).to_be_bytes());
            &head[..]
        }
    };
    out.reserve(head.len() + bytes.len());
    out.extend_from_slice(head);
    out.extend_from_slice(bytes);
}
