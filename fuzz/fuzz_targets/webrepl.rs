//! Nothing but passwords is heard before the right one, and nothing at all while an answer is owed; a file that is put has
//! exactly as many bytes as its request said, however they are cut; what is typed in texts arrives as it is and in order;
//! every byte is taken once. Where no password is asked for, what is no record was typed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::webrepl::{Code, Conn, Event, PIECE_BYTES_MAX, Request};
use number8_proto::ws::Kind;

/// A terminal without a password, to which nothing but bytes is sent; what may yet be a record is waited for no longer
/// than a message.
fn open(messages: &[(bool, Vec<u8>)]) {
    let (mut conn, mut sent, mut typed) = (Conn::open(), Vec::new(), Vec::new());
    for (_, message) in messages {
        let mut input = &message[..];
        while !input.is_empty() {
            let (used, event) = conn.receive(Kind::Binary, input);
            sent.extend_from_slice(&input[..used]);
            input = &input[used..];
            match event {
                Event::NeedMore => {}
                Event::Input(bytes) => typed.extend_from_slice(bytes),
                Event::Request(Request::Version) => {
                    assert_eq!(conn.version([1, 2, 3]), [1, 2, 3]);
                    sent.truncate(typed.len());
                }
                Event::Request(_) => return,
                event => panic!("{event:?}"),
            }
        }
        let is_held = conn.is_holding();
        let released = conn.release();
        assert_eq!(is_held, !released.is_empty());
        typed.extend_from_slice(released);
        assert!(sent.starts_with(&typed) && !conn.is_holding());
        let pending = &sent[typed.len()..];
        assert!(
            pending.is_empty() || pending.starts_with(b"WA") && (3..82).contains(&pending.len())
        );
    }
}

fuzz_target!(|messages: Vec<(bool, Vec<u8>)>| {
    open(&messages);
    let mut conn = Conn::new(8);
    let (mut is_in, mut is_over, mut put, mut typed) = (false, false, None::<u32>, Vec::new());
    let mut expected = Vec::new();
    for (is_text, message) in &messages {
        let kind = if *is_text { Kind::Text } else { Kind::Binary };
        let mut input = &message[..];
        while !input.is_empty() {
            let (used, event) = conn.receive(kind, input);
            let taken = &input[..used];
            input = &input[used..];
            assert!(is_in || matches!(event, Event::NeedMore | Event::Password(_)));
            match event {
                Event::NeedMore => assert!(input.is_empty()),
                Event::Password(password) => {
                    assert!(!is_in && !is_over);
                    assert!(password.is_none_or(|password| password.len() <= 8));
                    is_in = password.is_some_and(|password| password.len() < 4);
                    is_over = !is_in;
                    assert_eq!(conn.receive(kind, b"x"), (0, Event::NeedMore));
                    conn.login(is_in);
                }
                Event::Input(bytes) if *is_text => {
                    typed.extend_from_slice(bytes);
                    // LF belongs to the CR of the password.
                    expected.extend_from_slice(&taken[taken.len() - bytes.len()..]);
                }
                Event::Input(_) => assert_eq!(put, None),
                Event::Content { bytes, is_last } => {
                    let left = put.unwrap() - bytes.len() as u32;
                    assert_eq!(is_last, left == 0);
                    put = (left > 0).then_some(left);
                    if is_last {
                        conn.answer(Code::OK);
                    }
                }
                Event::Request(request) => {
                    let (size, is_empty) = match request {
                        Request::Put { size, .. } => {
                            (Some(size).filter(|size| *size > 0), size == 0)
                        }
                        _ => (None, false),
                    };
                    put = size;
                    let code =
                        if request == Request::Unknown { Code::BAD_REQUEST } else { Code::OK };
                    assert_eq!(conn.receive(Kind::Binary, b"x"), (0, Event::NeedMore));
                    conn.answer(code);
                    if is_empty {
                        assert_eq!(conn.receive(Kind::Binary, b"x"), (0, Event::NeedMore));
                        conn.answer(Code::OK);
                    }
                }
                Event::More => {
                    let mut out = Vec::new();
                    conn.piece(&message[..message.len().min(1)], &mut out);
                    assert!(out.len() <= 2 + PIECE_BYTES_MAX);
                }
            }
        }
    }
    assert_eq!(typed, expected);
});
