//! MicroPython's WebREPL over the messages of a WebSocket: login, terminal, and files to and fro.
//!
//! ```text
//!            a line                right              a record             OK
//!  Password ───────▶ (the caller) ───────▶ Terminal ───────▶ (the caller) ────▶ Put, Get
//!                          │ wrong            ▲  ▲              │ another code     │ all of it
//!                          ▼                  │  └──────────────┴──────────────────┘
//!                        Over                 └── text, and bytes that are no record: Input
//! ```
//!
//! [`Conn::receive`] takes what a message holds and says what it amounts to. In the states in brackets it takes
//! nothing more: the caller answers first. What it answers are texts and bytes, each to be sent as one message.
//!
//! ```
//! use number8_proto::webrepl::{CONNECTED, Code, Conn, Event, Request};
//! use number8_proto::ws::Kind;
//!
//! let mut conn = Conn::new(64); // PROMPT has been sent
//! assert_eq!(conn.receive(Kind::Binary, b"secret\r"), (7, Event::Password(Some(b"secret"))));
//! assert_eq!(conn.login(true), CONNECTED);
//! assert_eq!(conn.receive(Kind::Text, b"print(1)\r"), (9, Event::Input(b"print(1)\r")));
//!
//! let mut record = [0; 82];
//! record[..3].copy_from_slice(b"WA\x01"); // put a file
//! record[12..16].copy_from_slice(&3u32.to_le_bytes());
//! record[16..18].copy_from_slice(&4u16.to_le_bytes());
//! record[18..22].copy_from_slice(b"a.py");
//! assert_eq!(conn.receive(Kind::Binary, &record[..10]), (10, Event::NeedMore));
//! let put = Request::Put { name: b"a.py", size: 3 };
//! assert_eq!(conn.receive(Kind::Binary, &record[10..]), (72, Event::Request(put)));
//! assert_eq!(conn.answer(Code::OK), *b"WB\0\0");
//! let whole = Event::Content { bytes: b"x=1", is_last: true };
//! assert_eq!(conn.receive(Kind::Binary, b"x=1"), (3, whole));
//! assert_eq!(conn.answer(Code::OK), *b"WB\0\0");
//! ```

mod record;

pub use record::{Code, Request};

use alloc::vec::Vec;

use crate::ws::Kind;
use record::{Record, Taken};

/// The text that asks for the password.
pub const PROMPT: &str = "Password: ";
/// The text after the right password, or instead of [`PROMPT`] where there is none.
pub const CONNECTED: &str = "\r\nWebREPL connected\r\n>>> ";
/// The text after a wrong password; then the connection closes.
pub const DENIED: &str = "\r\nAccess denied\r\n";

/// Bytes of a file that are sent at once at most: the clients take no frame with a length of 64 bits.
pub const PIECE_BYTES_MAX: usize = 4096;

/// What the next bytes of a message amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'b> {
    /// More has to come, or the caller owes an answer.
    NeedMore,
    /// The answer to the prompt; `None` where it is longer than any password. [`Conn::login`] is owed.
    Password(Option<&'b [u8]>),
    /// For the terminal.
    Input(&'b [u8]),
    /// A file, or the version, is asked for. [`Conn::answer`] or [`Conn::version`] is owed.
    Request(Request<'b>),
    /// Some of the content of a file that is put; after the last of it [`Conn::answer`] is owed.
    Content {
        /// The bytes; none where the file is empty.
        bytes: &'b [u8],
        /// The file is whole.
        is_last: bool,
    },
    /// The client wants more of the file that it gets. [`Conn::piece`] is owed.
    More,
}

/// What has been said, and who speaks next.
#[derive(Debug, Clone)]
pub struct Conn {
    state: State,
    /// What was typed after the prompt, or a part of a record.
    line: Vec<u8>,
    is_too_long: bool,
    password_bytes_max: usize,
    record: Record,
    /// The password ended with CR, and LF belongs to it.
    skips_lf: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Password,
    /// The caller looks at a password.
    Checking,
    Terminal,
    /// The caller looks at a request.
    Asked,
    Put {
        left: u32,
    },
    /// The caller looks at a file that has come, or gone, to its end.
    Ended,
    Get,
    /// The caller looks for the next piece.
    GetMore,
    Over,
}

impl Conn {
    /// A client that has been asked for a password, of which at most so many bytes are kept.
    #[must_use]
    pub const fn new(password_bytes_max: usize) -> Self {
        Self {
            state: State::Password,
            line: Vec::new(),
            is_too_long: false,
            password_bytes_max,
            record: Record::new(),
            skips_lf: false,
        }
    }

    /// A client that need not say a password: it has been told [`CONNECTED`].
    #[must_use]
    pub fn open() -> Self {
        Self { state: State::Terminal, ..Self::new(0) }
    }

    /// Reads what a message holds, or what is left of it; returns how many bytes it took, which may be none where
    /// something earlier is to be told first. It is called again with the others until it needs more.
    pub fn receive<'b>(&'b mut self, kind: Kind, input: &'b [u8]) -> (usize, Event<'b>) {
        if input.is_empty() {
            return (0, Event::NeedMore);
        }
        match (self.state, kind) {
            (State::Over, _) => (input.len(), Event::NeedMore),
            (State::Password, _) => self.password(input),
            (State::Checking, _) => (0, Event::NeedMore),
            (_, Kind::Text) => self.typed(input),
            (State::Terminal, Kind::Binary) => self.bytes(input),
            (State::Put { left }, Kind::Binary) => {
                let count = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                // No more than `left`, so it fits.
                let left = left - count as u32;
                let is_last = left == 0;
                self.state = if is_last { State::Ended } else { State::Put { left } };
                (count, Event::Content { bytes: &input[..count], is_last })
            }
            (State::Get, Kind::Binary) => {
                self.state = State::GetMore;
                (1, Event::More)
            }
            (State::Asked | State::Ended | State::GetMore, Kind::Binary) => (0, Event::NeedMore),
        }
    }

    /// Whether the password was right: the text that says so. After a wrong one the connection closes.
    pub fn login(&mut self, is_right: bool) -> &'static str {
        // SECURITY: a password is not kept longer than it is needed.
        self.line.fill(0);
        self.line.clear();
        self.state = if is_right { State::Terminal } else { State::Over };
        if is_right { CONNECTED } else { DENIED }
    }

    /// What becomes of a request, and of a file that is whole: the bytes that say so. With anything but [`Code::OK`]
    /// the terminal goes on. After OK to an empty file it is whole already, and another answer is owed.
    pub fn answer(&mut self, code: Code) -> [u8; 4] {
        self.state = match (self.state, self.record.read()) {
            (State::Asked, Request::Put { size: 0, .. }) if code == Code::OK => State::Ended,
            (State::Asked, Request::Put { size, .. }) if code == Code::OK => {
                State::Put { left: size }
            }
            (State::Asked, Request::Get { .. }) if code == Code::OK => State::Get,
            _ => State::Terminal,
        };
        if self.state == State::Terminal {
            self.record.clear();
        }
        code.record()
    }

    /// The answer to [`Request::Version`].
    pub fn version(&mut self, version: [u8; 3]) -> [u8; 3] {
        self.record.clear();
        self.state = State::Terminal;
        version
    }

    /// The next bytes of a file, of which the first [`PIECE_BYTES_MAX`] are used, as the message that carries them: their
    /// number and themselves. None are the end of the file, and [`Conn::answer`] is owed at once.
    pub fn piece(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let bytes = &bytes[..bytes.len().min(PIECE_BYTES_MAX)];
        // No more than PIECE_BYTES_MAX, so it fits.
        out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        out.extend_from_slice(bytes);
        self.state = if bytes.is_empty() { State::Ended } else { State::Get };
    }

    /// Whether something was held back that may be the beginning of a record. Where nothing follows soon, it was typed.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.state == State::Terminal && self.record.is_begun()
    }

    /// What was held back, for the terminal after all.
    pub fn release(&mut self) -> &[u8] {
        if self.is_holding() { self.record.take() } else { &[] }
    }

    fn password<'b>(&'b mut self, input: &'b [u8]) -> (usize, Event<'b>) {
        let end = input.iter().position(|b| matches!(b, b'\r' | b'\n'));
        let typed = &input[..end.unwrap_or(input.len())];
        let room = self.password_bytes_max - self.line.len();
        self.is_too_long |= typed.len() > room;
        self.line.extend_from_slice(&typed[..typed.len().min(room)]);
        let Some(end) = end else { return (input.len(), Event::NeedMore) };
        self.skips_lf = input[end] == b'\r';
        self.state = State::Checking;
        (end + 1, Event::Password((!self.is_too_long).then_some(&self.line)))
    }

    fn typed<'b>(&mut self, input: &'b [u8]) -> (usize, Event<'b>) {
        if core::mem::take(&mut self.skips_lf)
            && let Some(rest) = input.strip_prefix(b"\n")
        {
            return match rest {
                [] => (1, Event::NeedMore),
                rest => (input.len(), Event::Input(rest)),
            };
        }
        (input.len(), Event::Input(input))
    }

    /// Bytes that are a record, or a part of one, or typed.
    fn bytes<'b>(&'b mut self, input: &'b [u8]) -> (usize, Event<'b>) {
        let is_fresh = self.record.is_empty();
        match self.record.take_from(input) {
            Taken::Part => (input.len(), Event::NeedMore),
            Taken::Whole(used) => {
                self.skips_lf = false;
                self.state = State::Asked;
                (used, Event::Request(self.record.read()))
            }
            // It was all in this message.
            Taken::None(_) if is_fresh => {
                self.record.clear();
                self.typed(input)
            }
            Taken::None(used) => {
                self.skips_lf = false;
                (used, Event::Input(self.record.take()))
            }
        }
    }
}
