//! The live terminal: what pages and the clients of WebREPL see of it, byte by byte.

// A program of this process.
mod console;
// As a page sees it.
mod terminal;
// As a client of WebREPL sees it.
mod webrepl;

use std::os::unix::fs::PermissionsExt;

use number8::server::memory::End;
use number8::testing::TestServer;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::serving::PATIENCE;

/// A folder that programs may change as whoever they run.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    folder
}

/// A client of a WebSocket.
struct Client {
    end: End,
    buffer: Vec<u8>,
    is_masked: bool,
    /// What the terminal has shown, and was not looked at yet.
    shown: String,
    /// Other messages that came meanwhile.
    said: Vec<Vec<u8>>,
}

impl Client {
    /// Asks for a WebSocket; returns the head of the answer, too.
    async fn ask(server: &TestServer, head: &str) -> (Self, String) {
        Self::ask_at(server.connect(), head).await
    }

    async fn ask_at(end: End, head: &str) -> (Self, String) {
        end.write_all(head.as_bytes()).await.unwrap();
        let mut client = Self {
            end,
            buffer: Vec::new(),
            is_masked: true,
            shown: String::new(),
            said: Vec::new(),
        };
        loop {
            let head_end = client.buffer.windows(4).position(|end| end == b"\r\n\r\n");
            if let Some(head_end) = head_end {
                let head = client.buffer.drain(..head_end + 4).collect();
                return (client, String::from_utf8(head).unwrap());
            }
            assert!(client.read().await, "no head");
        }
    }

    /// Reads some more; `false` at the end.
    async fn read(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        let read = timeout(PATIENCE, self.end.read(&mut bytes)).await;
        let count =
            read.unwrap_or_else(|_| panic!("only {:?} {:?}", self.shown, self.said)).unwrap();
        self.buffer.extend_from_slice(&bytes[..count]);
        count > 0
    }

    async fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        let mask = if self.is_masked { 0x80 } else { 0 };
        match payload.len() {
            length @ ..126 => frame.push(mask | length as u8),
            length @ ..0x1_0000 => {
                frame.push(mask | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if self.is_masked {
            frame.extend([0; 4]);
        }
        frame.extend(payload);
        let written = timeout(PATIENCE, self.end.write_all(&frame)).await;
        written.expect("the server takes it").unwrap();
    }

    /// The next frame: its opcode and what it holds; `None` at the end. It has to be one that every client takes.
    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let [first, second, rest @ ..] = &self.buffer[..] {
                assert_eq!((first & 0xf0, second & 0x80), (0x80, 0), "whole and without a mask");
                let (length, head) = match (second, rest) {
                    (126, [high, low, ..]) => (usize::from(u16::from_be_bytes([*high, *low])), 4),
                    (126, _) => (usize::MAX, 4),
                    (127, _) => panic!("a frame that clients do not take"),
                    (length, _) => (usize::from(*length), 2),
                };
                if length.saturating_add(head) <= self.buffer.len() {
                    let opcode = first & 0x0f;
                    let payload = self.buffer[head..head + length].to_vec();
                    self.buffer.drain(..head + length);
                    return Some((opcode, payload));
                }
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// Takes frames of `opcode` as what the terminal shows, until `end` was shown; what was shown up to there.
    async fn until(&mut self, opcode: u8, end: &str) -> String {
        loop {
            if let Some(at) = self.shown.find(end) {
                return self.shown.drain(..at + end.len()).collect();
            }
            match self.frame().await {
                Some((kind, payload)) if kind == opcode => {
                    self.shown.push_str(std::str::from_utf8(&payload).expect("whole characters"));
                }
                Some((_, payload)) => self.said.push(payload),
                None => panic!("it ends after {:?}, {:?}", self.shown, self.said),
            }
        }
    }
}
