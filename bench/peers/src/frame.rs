//! The frames of WebSocket (RFC 6455, section 5.2), seen from the client.

use crate::Error;

pub const BINARY: u8 = 0x2;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// The longest payload that the second byte can tell.
const SHORT_MAX: usize = 125;

/// Appends one final frame with its payload masked.
pub fn encode(opcode: u8, payload: &[u8], mask: [u8; 4], output: &mut Vec<u8>) {
    output.push(FIN | opcode);
    match payload.len() {
        length @ ..=SHORT_MAX => output.push(MASKED | length as u8),
        length @ ..=0xFFFF => {
            output.push(MASKED | 126);
            output.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            output.push(MASKED | 127);
            output.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    output.extend_from_slice(&mask);
    output.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// A frame of a server.
#[derive(Debug, PartialEq)]
pub struct Frame<'a> {
    pub opcode: u8,
    pub payload: &'a [u8],
    /// How many bytes of the input it took.
    pub length: usize,
}

impl<'a> Frame<'a> {
    /// None until the whole frame has come. A masked one is an error, and so is a fragment: who
    /// echoes a short message has no reason to split it.
    pub fn parse(input: &'a [u8]) -> Result<Option<Self>, Error> {
        let &[first, second, ref rest @ ..] = input else { return Ok(None) };
        if first & !0x0F != FIN || second & MASKED != 0 {
            return Err(format!("a frame that starts with {first:#04x} {second:#04x}").into());
        }
        let (extended, payload_length) = match second {
            126 => match rest.first_chunk() {
                Some(&bytes) => (2, u64::from(u16::from_be_bytes(bytes))),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(&bytes) => (8, u64::from_be_bytes(bytes)),
                None => return Ok(None),
            },
            short => (0, u64::from(short)),
        };
        let start = 2 + extended;
        let length = start + usize::try_from(payload_length)?;
        Ok(input.get(start..length).map(|payload| Self { opcode: first & 0x0F, payload, length }))
    }
}

#[cfg(test)]
mod tests {
    use super::{BINARY, Frame, encode};

    #[test]
    fn frames_of_each_length_are_whole_or_not_there() {
        for size in [0, 1, 125, 126, 0xFFFF, 0x1_0000] {
            let payload: Vec<u8> = (0..size).map(|index| index as u8).collect();
            let mut bytes = Vec::new();
            encode(BINARY, &payload, [0; 4], &mut bytes);
            // What a server would send: the same without mask.
            let head = bytes.len() - payload.len() - 4;
            bytes.drain(head..head + 4);
            bytes[1] &= 0x7F;
            let length = bytes.len();
            for cut in (0..length).rev().take(3).chain(0..length.min(12)) {
                assert_eq!(Frame::parse(&bytes[..cut]).unwrap(), None);
            }
            bytes.push(0x82);
            let frame = Frame::parse(&bytes).unwrap().unwrap();
            assert_eq!(frame, Frame { opcode: BINARY, payload: &payload, length });
        }
    }

    #[test]
    fn the_mask_goes_round() {
        let mut bytes = Vec::new();
        encode(BINARY, b"aaaaa", [1, 2, 3, 4], &mut bytes);
        assert_eq!(bytes, [0x82, 0x85, 1, 2, 3, 4, b'`', b'c', b'b', b'e', b'`']);
    }

    #[test]
    fn masked_and_split_frames_are_errors() {
        for bytes in [[0x82, 0x80], [0x02, 0x00], [0xC2, 0x00]] {
            assert!(Frame::parse(&bytes).is_err());
        }
    }
}
