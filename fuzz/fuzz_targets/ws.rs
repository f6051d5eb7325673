//! Frames mean the same however they are cut; a text is UTF-8; no message is larger than is allowed; a fault or
//! a close is the last thing heard; a pong that answers a ping reads as one with the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::limits::WebSocketLimits;
use number8_proto::ws::{CloseCode, Decoder, Event, Frame, Kind};

const LIMITS: WebSocketLimits = WebSocketLimits { message_bytes_max: 1000, lenient: true };

fn read(limits: WebSocketLimits, input: &[u8], step: usize) -> Vec<String> {
    let (mut decoder, mut said) = (Decoder::new(limits), Vec::new());
    let (mut buffer, mut message) = (Vec::new(), Vec::new());
    for piece in input.chunks(step) {
        buffer.extend_from_slice(piece);
        while let Ok((used, event)) = decoder.decode(&mut buffer).inspect_err(|fault| {
            said.push(format!("{fault:?} {fault} {}", fault.code()));
        }) {
            match event {
                Event::NeedMore => {
                    buffer.drain(..used);
                    break;
                }
                Event::Data { kind, bytes, is_last } => {
                    message.extend_from_slice(bytes);
                    assert!(message.len() as u64 <= limits.message_bytes_max);
                    if is_last {
                        assert!(kind == Kind::Binary || std::str::from_utf8(&message).is_ok());
                        said.push(format!("{kind:?} {:?}", std::mem::take(&mut message)));
                    }
                }
                Event::Ping(bytes) => {
                    assert!(is_read(Frame::Ping(bytes), |event| event == Event::Ping(bytes)));
                    assert!(is_read(Frame::Pong(bytes), |event| event == Event::Pong(bytes)));
                    said.push(format!("ping {bytes:?}"));
                }
                event => said.push(format!("{event:?}")),
            }
            buffer.drain(..used);
        }
    }
    said
}

/// Whether a frame that we write is this event.
fn is_read(frame: Frame<'_>, expected: impl Fn(Event<'_>) -> bool) -> bool {
    let mut wire = Vec::new();
    frame.put(&mut wire);
    let length = wire.len();
    Decoder::new(LIMITS)
        .decode(&mut wire)
        .is_ok_and(|(used, event)| used == length && expected(event))
}

/// The start of a text that is no more than so many bytes.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = str::from_utf8(input) {
        let closed = Event::Close(Some((CloseCode::NORMAL, cut(text, 123))));
        assert!(is_read(Frame::Close(CloseCode::NORMAL, text), |event| event == closed));
    }
    for lenient in [false, true] {
        let limits = WebSocketLimits { lenient, ..LIMITS };
        let whole = read(limits, input, input.len().max(1));
        assert_eq!(whole, read(limits, input, 1));
        assert_eq!(whole, read(limits, input, 3));
    }
});
