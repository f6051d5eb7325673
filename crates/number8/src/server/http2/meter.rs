//! What a client's frames cost: read off the bytes that go by, since a client can keep a server busy with frames that ask
//! for nothing. Also what of them is wrong in a way that the protocol calls by another name than RFC 9113.

use super::super::options::Http2;

/// Where the next byte belongs.
#[derive(Debug, Clone, Copy)]
enum At {
    /// So many bytes of the preface are still to come.
    Preface(usize),
    /// In the nine bytes before a frame, of which so many are here.
    Head(usize),
    /// In a payload, of which so many bytes are still to come.
    Payload(usize),
}

/// Counts frames.
#[derive(Debug)]
pub(super) struct Meter {
    at: At,
    head: [u8; HEAD_BYTES],
    /// The last bytes of a payload that is made of numbers.
    number: u64,
    /// The error code of what was wrong.
    fault: Option<u32>,
    /// The second in which frames are counted.
    second: u64,
    control_frames: u32,
    resets: u32,
    /// Small window updates that what was sent has earned.
    updates_earned: u32,
    /// A field block has begun and not ended.
    in_fields: bool,
    /// No frame has come.
    is_first: bool,
}

const HEAD_BYTES: usize = 9;

/// A client that takes content gives windows back in steps larger than that, in bytes, but for the content of small frames.
const SMALL_UPDATE: u64 = 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const SETTING_BYTES: usize = 6;
const INITIAL_WINDOW_SIZE: u64 = 4;
/// RFC 9113 §6.9.1.
const WINDOW_MAX: u64 = (1 << 31) - 1;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const ENHANCE_YOUR_CALM: u32 = 11;

impl Meter {
    pub(super) fn new(preface: usize) -> Self {
        Self {
            at: At::Preface(preface),
            head: [0; HEAD_BYTES],
            number: 0,
            fault: None,
            second: 0,
            control_frames: 0,
            resets: 0,
            updates_earned: 0,
            in_fields: false,
            is_first: true,
        }
    }

    /// So many frames of content were sent: the client may answer each with two small window updates.
    pub(super) fn sent_content(&mut self, frames: u32) {
        self.updates_earned = self.updates_earned.saturating_add(2 * frames).min(EARNED_MAX);
    }

    /// So many streams were ended by the server: a client may bring that about, too.
    ///
    /// # Errors
    /// As for [`Meter::pass`].
    pub(super) fn has_reset(&mut self, streams: u32, limits: &Http2) -> Result<(), u32> {
        self.resets += streams;
        if self.resets > limits.resets_max { Err(ENHANCE_YOUR_CALM) } else { Ok(()) }
    }

    /// True while a field block is not complete.
    pub(super) fn in_fields(&self) -> bool {
        self.in_fields
    }

    /// Looks at bytes that have come.
    ///
    /// # Errors
    /// The code with which the connection ends (RFC 9113 §7): something is wrong with them, or the client sends more of
    /// what costs much than it may.
    pub(super) fn pass(
        &mut self,
        mut bytes: &[u8],
        now_ms: u64,
        limits: &Http2,
    ) -> Result<(), u32> {
        if self.second != now_ms / 1000 {
            (self.second, self.control_frames, self.resets) = (now_ms / 1000, 0, 0);
        }
        while let Some(&first) = bytes.first() {
            match self.at {
                At::Preface(left) => {
                    let count = left.min(bytes.len());
                    bytes = &bytes[count..];
                    self.at = if count < left { At::Preface(left - count) } else { At::Head(0) };
                }
                At::Head(have) => {
                    self.head[have] = first;
                    bytes = &bytes[1..];
                    self.at = At::Head(have + 1);
                    if have + 1 == HEAD_BYTES {
                        self.begin_frame();
                    }
                }
                At::Payload(left) => {
                    let count = left.min(bytes.len());
                    if matches!(self.kind(), SETTINGS | WINDOW_UPDATE) {
                        let done = self.length() - left;
                        self.numbers(done, &bytes[..count]);
                    }
                    bytes = &bytes[count..];
                    self.at = At::Payload(left - count);
                }
            }
            if let At::Payload(0) = self.at {
                self.at = At::Head(0);
                self.end_frame();
            }
        }
        let is_flood =
            self.control_frames > limits.control_frames_max || self.resets > limits.resets_max;
        match self.fault {
            Some(fault) => Err(fault),
            None if is_flood => Err(ENHANCE_YOUR_CALM),
            None => Ok(()),
        }
    }

    /// Reads on in a payload that is made of numbers, of which so many bytes have been read.
    fn numbers(&mut self, mut done: usize, bytes: &[u8]) {
        for &byte in bytes {
            self.number = self.number << 8 | u64::from(byte);
            done += 1;
            // RFC 9113 §6.5.2.
            if self.kind() == SETTINGS
                && done.is_multiple_of(SETTING_BYTES)
                && self.number >> 32 & 0xffff == INITIAL_WINDOW_SIZE
                && self.number & 0xffff_ffff > WINDOW_MAX
            {
                self.fault = Some(FLOW_CONTROL_ERROR);
            }
        }
    }

    fn kind(&self) -> u8 {
        self.head[3]
    }

    fn length(&self) -> usize {
        usize::from(self.head[0]) << 16 | usize::from(self.head[1]) << 8 | usize::from(self.head[2])
    }

    fn begin_frame(&mut self) {
        self.at = At::Payload(self.length());
        self.number = 0;
        let (length, is_ack) = (self.length(), self.head[4] & ACK != 0);
        // RFC 9113 §3.4.
        if std::mem::take(&mut self.is_first) && (self.kind() != SETTINGS || is_ack) {
            self.fault = Some(PROTOCOL_ERROR);
        }
        // RFC 9113 §6, under each kind.
        let has_its_size = match self.kind() {
            PRIORITY => length == 5,
            RST_STREAM | WINDOW_UPDATE => length == 4,
            SETTINGS => length.is_multiple_of(SETTING_BYTES) && (length == 0 || !is_ack),
            PING => length == 8,
            GOAWAY => length >= 8,
            _ => true,
        };
        if !has_its_size {
            self.fault.get_or_insert(FRAME_SIZE_ERROR);
        }
        if matches!(self.kind(), HEADERS | CONTINUATION | PUSH_PROMISE) {
            self.in_fields = self.head[4] & END_HEADERS == 0;
        }
    }

    fn end_frame(&mut self) {
        let is_control = match self.kind() {
            DATA => self.length() == 0 && self.head[4] & END_STREAM == 0,
            // Requests and their parts, which have limits of their own.
            HEADERS | CONTINUATION => false,
            WINDOW_UPDATE if self.number & WINDOW_MAX >= SMALL_UPDATE => false,
            WINDOW_UPDATE if self.updates_earned > 0 => {
                self.updates_earned -= 1;
                false
            }
            RST_STREAM => {
                self.resets += 1;
                true
            }
            // SETTINGS, PING, PRIORITY, GOAWAY, what may not come, and what nobody knows.
            _ => true,
        };
        self.control_frames += u32::from(is_control);
    }
}

/// Earned and not yet used: a client that is slow may answer later.
const EARNED_MAX: u32 = 4096;
