use number8_proto::limits::WebSocketLimits;
use number8_proto::ws::{CloseCode, Decoder, Event, Fault, Frame, Kind};
use proptest::collection::vec;
use proptest::prelude::*;

const STRICT: WebSocketLimits = WebSocketLimits { message_bytes_max: 70_000, lenient: false };
const LENIENT: WebSocketLimits = WebSocketLimits { lenient: true, ..STRICT };
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame with the shortest length, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ ..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// What came, in words; a message once it is whole.
fn log(limits: WebSocketLimits, input: &[u8], cuts: impl Iterator<Item = usize>) -> Vec<String> {
    let (mut decoder, mut log) = (Decoder::new(limits), Vec::new());
    let (mut buffer, mut message) = (Vec::new(), Vec::new());
    let mut start = 0;
    for end in cuts.chain([input.len()]) {
        buffer.extend_from_slice(&input[start..end]);
        start = end;
        loop {
            let (used, event) = match decoder.decode(&mut buffer) {
                Ok(decoded) => decoded,
                Err(fault) => {
                    log.push(format!("{} {fault:?}", fault.code()));
                    break;
                }
            };
            match event {
                Event::NeedMore => {
                    buffer.drain(..used);
                    break;
                }
                Event::Data { kind, bytes, is_last } => {
                    message.extend_from_slice(bytes);
                    if is_last {
                        let message = std::mem::take(&mut message);
                        log.push(match kind {
                            Kind::Text => {
                                format!("text {}", short(std::str::from_utf8(&message).unwrap()))
                            }
                            Kind::Binary => {
                                format!("binary {}", short(&message.escape_ascii().to_string()))
                            }
                        });
                    }
                }
                Event::Ping(bytes) => {
                    log.push(format!("ping {}", short(&bytes.escape_ascii().to_string())));
                }
                Event::Pong(bytes) => log.push(format!("pong {}", bytes.escape_ascii())),
                Event::Close(None) => log.push("close".to_owned()),
                Event::Close(Some((code, reason))) => log.push(format!("close {code} {reason}")),
            }
            buffer.drain(..used);
        }
    }
    log
}

/// A long text by its start and its length.
fn short(text: &str) -> String {
    match text.get(..40) {
        Some(start) => format!("{start}… {}", text.len()),
        None => text.to_owned(),
    }
}

#[test]
fn x12_frames_are_messages_or_faults() {
    let close = |payload: &[u8]| frame(0x88, payload);
    let text = |text: &str| frame(0x81, text.as_bytes());
    let cases: Vec<(&str, Vec<Vec<u8>>, &str)> = vec![
        ("nothing", vec![], ""),
        ("a text", vec![text("Hello")], "text Hello"),
        (
            "the example of RFC 6455 §5.7",
            vec![b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec()],
            "text Hello",
        ),
        ("an empty text", vec![text("")], "text "),
        ("bytes", vec![frame(0x82, b"\0\xff")], "binary \\x00\\xff"),
        ("two messages", vec![text("a"), frame(0x82, b"b")], "text a, binary b"),
        (
            "length 125",
            vec![text(&"x".repeat(125))],
            "text xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… 125",
        ),
        (
            "length 126",
            vec![text(&"x".repeat(126))],
            "text xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… 126",
        ),
        (
            "length 65535",
            vec![text(&"x".repeat(65535))],
            "text xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… 65535",
        ),
        (
            "length 65536",
            vec![text(&"x".repeat(65536))],
            "text xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… 65536",
        ),
        (
            "the largest",
            vec![text(&"x".repeat(70000))],
            "text xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… 70000",
        ),
        ("too large", vec![text(&"x".repeat(70001))], "1009 TooLarge"),
        (
            "too large in pieces",
            vec![frame(0x02, &[0; 69_999]), frame(0x80, b"ab")],
            "1009 TooLarge",
        ),
        ("fragments", vec![frame(0x01, b"a"), frame(0x00, b"b"), frame(0x80, b"c")], "text abc"),
        ("empty fragments", vec![frame(0x02, b""), frame(0x00, b""), frame(0x80, b"")], "binary "),
        (
            "a ping between fragments",
            vec![frame(0x01, b"a"), frame(0x89, b"?"), frame(0x80, b"b")],
            "ping ?, text ab",
        ),
        ("ping and pong", vec![frame(0x89, b""), frame(0x8a, b"!")], "ping , pong !"),
        (
            "a ping of 125",
            vec![frame(0x89, &[b'p'; 125])],
            "ping pppppppppppppppppppppppppppppppppppppppp… 125",
        ),
        (
            "a character over fragments",
            vec![frame(0x01, b"\xf0\x9f"), frame(0x00, b"\x98"), frame(0x80, b"\x80!")],
            "text 😀!",
        ),
        ("close", vec![close(b"")], "close"),
        ("close with code", vec![close(b"\x03\xe8")], "close 1000 "),
        ("code 768", vec![close(b"\x03\x00")], "1002 CloseCode"),
        ("close with a reason", vec![close(b"\x03\xe8bye \xc3\xa9")], "close 1000 bye é"),
        ("close with a private code", vec![close(b"\x0f\xa0")], "close 4000 "),
        ("nothing after a close", vec![close(b""), text("a"), frame(0xff, b"")], "close"),
        ("close within a message", vec![frame(0x01, b"a"), close(b"")], "close"),
        ("half a code", vec![close(b"\x03")], "1002 CloseLength"),
        ("code 999", vec![close(b"\x03\xe7")], "1002 CloseCode"),
        ("code 1005", vec![close(b"\x03\xed")], "1002 CloseCode"),
        ("code 1006", vec![close(b"\x03\xee")], "1002 CloseCode"),
        ("code 1015", vec![close(b"\x03\xf7")], "1002 CloseCode"),
        ("code 2999", vec![close(b"\x0b\xb7")], "1002 CloseCode"),
        ("code 5000", vec![close(b"\x13\x88")], "1002 CloseCode"),
        ("a reason that is no text", vec![close(b"\x03\xe8\xff")], "1007 Utf8"),
        ("no mask", vec![b"\x81\x01a".to_vec()], "1002 Unmasked"),
        ("a reserved bit", vec![frame(0xc1, b"a")], "1002 ReservedBit"),
        ("an unknown opcode", vec![frame(0x83, b"a")], "1002 Opcode"),
        ("an unknown control opcode", vec![frame(0x8b, b"")], "1002 Opcode"),
        ("a fragmented ping", vec![frame(0x09, b"")], "1002 Control"),
        ("a long ping", vec![frame(0x89, &[0; 126])], "1002 Control"),
        ("a long close", vec![close(&[0; 126])], "1002 Control"),
        ("a continuation of nothing", vec![frame(0x80, b"a")], "1002 Continuation"),
        (
            "a continuation after the end",
            vec![text("a"), frame(0x00, b"b")],
            "text a, 1002 Continuation",
        ),
        ("a message within another", vec![frame(0x01, b"a"), text("b")], "1002 Interleaved"),
        ("a long form of 125", vec![b"\x82\xfe\x00\x7d\0\0\0\0".to_vec()], "1002 Length"),
        (
            "a longer form of 65535",
            vec![b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0".to_vec()],
            "1002 Length",
        ),
        (
            "a length with the highest bit",
            vec![b"\x82\xff\x80\0\0\0\0\x01\0\0\0\0\0\0".to_vec()],
            "1002 Length",
        ),
        (
            "a length past 32 bits",
            vec![b"\x82\xff\0\0\0\x01\0\0\0\x01\0\0\0\0x".to_vec()],
            "1009 TooLarge",
        ),
        ("text that is none", vec![frame(0x81, b"\xff")], "1007 Utf8"),
        ("text cut in a character", vec![frame(0x81, b"a\xe2\x82")], "1007 Utf8"),
        (
            "text cut in a character, in fragments",
            vec![frame(0x01, b"\xe2"), frame(0x80, b"\x82")],
            "1007 Utf8",
        ),
        ("a surrogate", vec![frame(0x81, b"\xed\xa0\x80")], "1007 Utf8"),
        (
            "an overlong form over fragments",
            vec![frame(0x01, b"\xe0"), frame(0x80, b"\x80\x80")],
            "1007 Utf8",
        ),
    ];
    for (name, frames, expected) in cases {
        let input = frames.concat();
        let whole = log(STRICT, &input, 0..0);
        assert_eq!(whole.join(", "), expected, "{name}");
        let step = 1 + input.len() / 2000;
        assert_eq!(log(STRICT, &input, (0..input.len()).step_by(step)), whole, "{name}, in pieces");
    }
}

/// What the clients of protocols that are older, or were written in a hurry, send.
#[test]
fn lenient_takes_frames_without_a_mask_and_nothing_else() {
    for (input, expected) in [
        (&b"\x81\x01a"[..], "text a"),
        (b"\x82\x07secret\r\x81\x00", "binary secret\\r, text "),
        (b"\x89\x00\x88\x02\x03\xe8", "ping , close 1000 "),
        (b"\x81\x81\x00\x00\x00\x00a", "text a"),
        (b"\x82\x7e\x00\x01a", "1002 Length"),
        (b"\xc1\x01a", "1002 ReservedBit"),
        (b"\x81\x01\xff", "1007 Utf8"),
    ] {
        assert_eq!(log(LENIENT, input, 0..0).join(", "), expected);
        assert_eq!(log(LENIENT, input, 0..input.len()).join(", "), expected);
    }
}

/// RFC 6455 §8.1: a server need not wait for the end of what cannot become a text.
#[test]
fn what_cannot_be_text_is_refused_at_the_byte() {
    let input = frame(0x81, b"\xce\xba\xf4\x90\x80\x80 and much more");
    // Head and mask, four bytes of the text.
    assert_eq!(log(STRICT, &input[..9], 0..9).len(), 0);
    assert_eq!(log(STRICT, &input[..10], 0..10), ["1007 Utf8"]);
}

#[test]
fn frames_of_the_server_are_short_and_unmasked() {
    let mut out = Vec::new();
    for (frame, start, length) in [
        (Frame::Text("hé"), &b"\x81\x03h\xc3\xa9"[..], 5),
        (Frame::Binary(&[7; 125]), b"\x82\x7d\x07", 127),
        (Frame::Binary(&[7; 126]), b"\x82\x7e\x00\x7e\x07", 130),
        (Frame::Binary(&[7; 65535]), b"\x82\x7e\xff\xff\x07", 65539),
        (Frame::Binary(&[7; 65536]), b"\x82\x7f\0\0\0\0\0\x01\0\0\x07", 65546),
        (Frame::Ping(b""), b"\x89\x00", 2),
        (Frame::Pong(&[7; 200]), b"\x8a\x7d\x07", 127),
        (Frame::Close(CloseCode::GOING_AWAY, "so long"), b"\x88\x09\x03\xe9so long", 11),
        (Frame::Close(CloseCode::NORMAL, &"é".repeat(99)), b"\x88\x7c\x03\xe8\xc3", 126),
        (Frame::CloseWithoutCode, b"\x88\x00", 2),
    ] {
        out.clear();
        frame.put(&mut out);
        assert_eq!((&out[..start.len()], out.len()), (start, length), "{frame:?}");
    }
}

#[test]
fn a_fault_ends_with_its_code() {
    for (fault, code) in [
        (Fault::Unmasked, CloseCode::PROTOCOL),
        (Fault::Utf8, CloseCode::INVALID_DATA),
        (Fault::TooLarge, CloseCode::TOO_LARGE),
    ] {
        assert_eq!(fault.code(), code);
    }
}

proptest! {
    #[test]
    fn what_the_server_sends_is_read_as_it_was_meant(text in any::<String>(), bytes in vec(any::<u8>(), 0..300)) {
        let mut out = Vec::new();
        Frame::Text(&text).put(&mut out);
        Frame::Binary(&bytes).put(&mut out);
        let expected = [format!("text {}", short(&text)), format!("binary {}", short(&bytes.escape_ascii().to_string()))];
        prop_assert_eq!(log(LENIENT, &out, 0..0), expected);
    }

    #[test]
    fn fragments_make_the_message_wherever_they_are_cut(
        parts in vec(vec(any::<u8>(), 0..40), 1..5),
        cuts in vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let mut input = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let opcode = if at == 0 { 2 } else { 0 };
            let fin = if at + 1 == parts.len() { 0x80 } else { 0 };
            input.extend(frame(fin | opcode, part));
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.sort_unstable();
        let expected = format!("binary {}", short(&parts.concat().escape_ascii().to_string()));
        prop_assert_eq!(log(STRICT, &input, cuts.into_iter()), [expected]);
    }

    #[test]
    fn text_is_refused_exactly_when_it_is_none(parts in vec(utf8ish(), 1..4)) {
        let mut input = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let opcode = if at == 0 { 1 } else { 0 };
            let fin = if at + 1 == parts.len() { 0x80 } else { 0 };
            input.extend(frame(fin | opcode, part));
        }
        let expected = match std::str::from_utf8(&parts.concat()) {
            Ok(text) => format!("text {}", short(text)),
            Err(_) => "1007 Utf8".to_owned(),
        };
        prop_assert_eq!(log(STRICT, &input, 0..input.len()), [expected]);
    }

    #[test]
    fn any_bytes_mean_the_same_however_they_are_cut(
        input in vec(prop_oneof![any::<u8>(), proptest::sample::select(&b"\x01\x02\x80\x81\x82\x88\x89\x8a\xfe\xff\0"[..])], 0..64),
        lenient in any::<bool>(),
    ) {
        let limits = if lenient { LENIENT } else { STRICT };
        prop_assert_eq!(log(limits, &input, 0..0), log(limits, &input, 0..input.len()));
    }
}

/// Pieces of UTF-8, some of which are none.
fn utf8ish() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[aé€😀]{0,4}".prop_map(String::into_bytes),
        1 => vec(proptest::sample::select(&b"a\x80\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\xed\xa0\xf4\x90\xff"[..]), 0..4),
    ]
}
