//! Frames of a client, in place: from bytes to pieces of messages and control frames.
//!
//! What lies in the caller's buffer is unmasked where it is and lent out; only what cannot be decided yet stays
//! for the next call: a head that is not whole, a control frame that is not whole.

use super::mask;
use super::utf8::Utf8;
use super::{BINARY, CLOSE, CONTINUATION, CONTROL_BYTES_MAX, CloseCode, FIN, Fault, Kind};
use super::{PING, PONG, RESERVED_BITS, TEXT};
use crate::limits::WebSocketLimits;

/// What the next bytes amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'b> {
    /// More bytes are needed.
    NeedMore,
    /// A piece of a message, which may be empty; a text is UTF-8 over all of its pieces.
    Data {
        /// What the message holds.
        kind: Kind,
        /// The piece.
        bytes: &'b [u8],
        /// The message ends here.
        is_last: bool,
    },
    /// Is to be answered by a pong with the same bytes.
    Ping(&'b [u8]),
    /// The answer to a ping, or a sign of life.
    Pong(&'b [u8]),
    /// The client closes, or answers a close; nothing that follows is looked at.
    Close(Option<(CloseCode, &'b str)>),
}

/// Reads the frames of one client.
#[derive(Debug, Clone)]
pub struct Decoder {
    limits: WebSocketLimits,
    next: Next,
    message: Option<Message>,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Head,
    /// Bytes of a data frame; never none.
    Payload(Payload),
    /// Closed, or at fault.
    Nothing,
}

#[derive(Debug, Clone, Copy)]
struct Payload {
    left: u64,
    /// Turned so that its first byte is for the next one.
    mask: [u8; 4],
    is_final: bool,
}

/// A message that has begun.
#[derive(Debug, Clone, Copy)]
struct Message {
    kind: Kind,
    /// Bytes of it, with those that the frame at hand has announced.
    bytes: u64,
    utf8: Utf8,
}

struct Head {
    opcode: u8,
    is_final: bool,
    /// Zeros where there is none.
    mask: [u8; 4],
    length: u64,
    /// Bytes of the head itself.
    size: usize,
}

impl Decoder {
    /// For the frames of a new client.
    #[must_use]
    pub const fn new(limits: WebSocketLimits) -> Self {
        Self { limits, next: Next::Head, message: None }
    }

    /// Reads what stands next in `input`, unmasking it in place; returns how many bytes it took, for the caller
    /// to drop. Bytes not taken come again, as they are, with those that follow.
    ///
    /// # Errors
    /// The client is at fault. From now on everything is taken, and nothing comes of it.
    pub fn decode<'b>(&mut self, input: &'b mut [u8]) -> Result<(usize, Event<'b>), Fault> {
        let result = match self.next {
            Next::Head => self.decode_frame(input),
            Next::Payload(payload) => self.decode_payload(payload, input, 0),
            Next::Nothing => Ok((input.len(), Event::NeedMore)),
        };
        if result.is_err() {
            self.next = Next::Nothing;
        }
        result
    }

    fn decode_frame<'b>(&mut self, input: &'b mut [u8]) -> Result<(usize, Event<'b>), Fault> {
        let Some(head) = self.head(input)? else { return Ok((0, Event::NeedMore)) };
        if head.opcode >= CLOSE {
            return self.control(&head, input);
        }
        let message = match (head.opcode, self.message) {
            (CONTINUATION, Some(message)) => message,
            (CONTINUATION, None) => return Err(Fault::Continuation),
            (_, Some(_)) => return Err(Fault::Interleaved),
            (TEXT, None) => Message { kind: Kind::Text, bytes: 0, utf8: Utf8::default() },
            (_, None) => Message { kind: Kind::Binary, bytes: 0, utf8: Utf8::default() },
        };
        let bytes = message.bytes.saturating_add(head.length);
        if bytes > self.limits.message_bytes_max {
            return Err(Fault::TooLarge);
        }
        if head.length > 0 && input.len() == head.size {
            return Ok((0, Event::NeedMore));
        }
        self.message = Some(Message { bytes, ..message });
        let Head { length: left, mask, is_final, size, .. } = head;
        self.decode_payload(Payload { left, mask, is_final }, input, size)
    }

    /// The head at the start of `input`; `None` where it is not whole. What is wrong with its first two bytes
    /// shows without the others.
    fn head(&self, input: &[u8]) -> Result<Option<Head>, Fault> {
        let &[first, second, ..] = input else { return Ok(None) };
        let opcode = first & 0x0f;
        let (is_final, is_masked) = (first & FIN != 0, second & 0x80 != 0);
        if first & RESERVED_BITS != 0 {
            return Err(Fault::ReservedBit);
        }
        if !matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(Fault::Opcode);
        }
        if !is_masked && !self.limits.lenient {
            return Err(Fault::Unmasked);
        }
        let short = second & 0x7f;
        if opcode >= CLOSE && (!is_final || usize::from(short) > CONTROL_BYTES_MAX) {
            return Err(Fault::Control);
        }
        let (length, after_length) = match short {
            126 => {
                let Some(bytes) = input[2..].first_chunk() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(*bytes)), 4)
            }
            127 => {
                let Some(bytes) = input[2..].first_chunk() else { return Ok(None) };
                (u64::from_be_bytes(*bytes), 10)
            }
            short => (u64::from(short), 2),
        };
        // RFC 6455 §5.2: the shortest form, and never the highest bit.
        let range = match short {
            126 => 126..=0xffff,
            127 => 0x1_0000..=u64::MAX >> 1,
            _ => 0..=125,
        };
        if !range.contains(&length) {
            return Err(Fault::Length);
        }
        if !is_masked {
            let mask = [0; 4];
            return Ok(Some(Head { opcode, is_final, mask, length, size: after_length }));
        }
        let Some(&mask) = input[after_length..].first_chunk() else { return Ok(None) };
        Ok(Some(Head { opcode, is_final, mask, length, size: after_length + 4 }))
    }

    fn decode_payload<'b>(
        &mut self,
        payload: Payload,
        input: &'b mut [u8],
        start: usize,
    ) -> Result<(usize, Event<'b>), Fault> {
        let Payload { left, mut mask, is_final } = payload;
        let there = (input.len() - start) as u64;
        if there == 0 && left > 0 {
            return Ok((start, Event::NeedMore));
        }
        let Some(message) = &mut self.message else { return Err(Fault::Continuation) };
        // No more than `there`, so it fits.
        let end = start + left.min(there) as usize;
        let bytes = &mut input[start..end];
        mask::apply(mask, bytes);
        let left = left - bytes.len() as u64;
        let (kind, is_last) = (message.kind, is_final && left == 0);
        if kind == Kind::Text && !message.utf8.takes(bytes, is_last) {
            return Err(Fault::Utf8);
        }
        if is_last {
            self.message = None;
        }
        mask.rotate_left(bytes.len() % 4);
        self.next = match left {
            0 => Next::Head,
            left => Next::Payload(Payload { left, mask, is_final }),
        };
        Ok((end, Event::Data { kind, bytes, is_last }))
    }

    fn control<'b>(
        &mut self,
        head: &Head,
        input: &'b mut [u8],
    ) -> Result<(usize, Event<'b>), Fault> {
        let end = head.size + head.length as usize;
        let Some(bytes) = input.get_mut(head.size..end) else { return Ok((0, Event::NeedMore)) };
        mask::apply(head.mask, bytes);
        let event = match head.opcode {
            PING => Event::Ping(bytes),
            PONG => Event::Pong(bytes),
            _ => {
                let close = close(bytes)?;
                self.next = Next::Nothing;
                Event::Close(close)
            }
        };
        Ok((end, event))
    }
}

/// Code and reason of a close frame (RFC 6455 §5.5.1).
fn close(bytes: &[u8]) -> Result<Option<(CloseCode, &str)>, Fault> {
    let (code, reason) = match bytes {
        [] => return Ok(None),
        [_] => return Err(Fault::CloseLength),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    let code = CloseCode::new(code).ok_or(Fault::CloseCode)?;
    let reason = core::str::from_utf8(reason).map_err(|_| Fault::Utf8)?;
    Ok(Some((code, reason)))
}
