//! Frames, byte by byte, and a client that sends and reads them.

use std::time::Duration;

use number8::server::memory::End;
use number8::server::testing::TestServer;
use tokio::time::timeout;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const PRIORITIZED: u8 = 0x20;
/// A request without content, in one frame.
pub(super) const WHOLE: u8 = END_STREAM | END_HEADERS;

pub(super) const NO_ERROR: u32 = 0;
pub(super) const PROTOCOL_ERROR: u32 = 1;
pub(super) const FLOW_CONTROL_ERROR: u32 = 3;
pub(super) const STREAM_CLOSED: u32 = 5;
pub(super) const FRAME_SIZE_ERROR: u32 = 6;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const COMPRESSION_ERROR: u32 = 9;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

/// How long to wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Fields as literals that are not indexed and not compressed (RFC 7541 §6.2.2).
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    let mut text = |text: &str| {
        match text.len() {
            short @ 0..127 => block.push(short as u8),
            long => {
                block.push(127);
                let mut left = long - 127;
                while left >= 128 {
                    block.push((left % 128) as u8 | 128);
                    left /= 128;
                }
                block.push(left as u8);
            }
        }
        block.extend_from_slice(text.as_bytes());
    };
    for (name, value) in fields {
        text("");
        text(name);
        text(value);
    }
    block
}

/// The fields of a GET, and more.
pub(super) fn get<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<u8> {
    let mut fields =
        vec![(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "localhost")];
    fields.extend_from_slice(more);
    block(&fields)
}

pub(super) fn request(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &get(path, &[]))
}

pub(super) fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The status of an answer, which stands first and is written by the static table or as digits.
    pub(super) fn status(&self) -> u16 {
        match self.payload[0] {
            0x88 => 200,
            0x89 => 204,
            0x8a => 206,
            0x8b => 304,
            0x8c => 400,
            0x8d => 404,
            0x8e => 500,
            _ => {
                let length = self.payload[1];
                let digits = &self.payload[2..2 + usize::from(length & 0x7f)];
                match length & 0x80 {
                    0 => std::str::from_utf8(digits).unwrap().parse().unwrap(),
                    _ => huffman_digits(digits),
                }
            }
        }
    }
}

/// Three digits by the code of RFC 7541 Appendix B: 0 to 2 in five bits, 3 to 9 in six.
fn huffman_digits(bytes: &[u8]) -> u16 {
    let bits: Vec<u8> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let number = |range: &[u8]| range.iter().fold(0u16, |all, &bit| all << 1 | u16::from(bit));
    let (mut at, mut all) = (0, 0);
    for _ in 0..3 {
        let five = number(&bits[at..at + 5]);
        let digit = if five < 3 { five } else { number(&bits[at..at + 6]) - 0b01_1001 + 3 };
        at += if five < 3 { 5 } else { 6 };
        all = all * 10 + digit;
    }
    all
}

/// A client that has said what a client says first.
pub(super) struct Client {
    pub(super) end: End,
    received: Vec<u8>,
}

impl Client {
    pub(super) fn new(end: End) -> Self {
        Self { end, received: Vec::new() }
    }

    pub(super) async fn connect(server: &TestServer) -> Self {
        let client = Self::new(server.connect());
        client.send(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).await;
        client
    }

    /// Sends; a server that has hung up takes nothing.
    pub(super) async fn send(&self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.end.write_all(bytes)).await.expect("the server reads");
    }

    /// The next frame; `None` at the end.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(head) = self.received.first_chunk::<9>() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                if self.received.len() >= 9 + length {
                    let frame = Frame {
                        kind: head[3],
                        flags: head[4],
                        stream: u32::from_be_bytes(head[5..9].try_into().unwrap()),
                        payload: self.received[9..9 + length].to_vec(),
                    };
                    self.received.drain(..9 + length);
                    return Some(frame);
                }
            }
            let mut buffer = [0; 16 * 1024];
            let read = timeout(PATIENCE, self.end.read(&mut buffer)).await;
            match read.expect("something comes") {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// The next frame that fits.
    pub(super) async fn wait_for(&mut self, fits: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.frame().await.expect("the connection is open");
            if fits(&frame) {
                return frame;
            }
        }
    }

    /// The status of the answer on a stream.
    pub(super) async fn status(&mut self, stream: u32) -> u16 {
        self.wait_for(|frame| frame.kind == HEADERS && frame.stream == stream).await.status()
    }
}

/// Waits until it is so.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, so).await.unwrap_or_else(|_| panic!("{what}: waited in vain"));
}
