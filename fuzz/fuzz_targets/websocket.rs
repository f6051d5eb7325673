//! A whole WebSocket through a server that sends back what comes: what it says is what a plain reading of the frames (RFC
//! 6455) expects, in that order, however they are cut on their way; behind a fault or a close stands one close frame, with
//! the code that is due, and nothing more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8::{App, Socket, SocketError, WebSocket};

const MESSAGE_BYTES_MAX: usize = 1000;

const HANDSHAKE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async fn echo(mut socket: Socket) -> Result<(), SocketError> {
    while let Some(message) = socket.receive().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn play(pieces: [&[u8]; 2]) -> Vec<u8> {
    let socket = WebSocket::new(echo).message_bytes_max(MESSAGE_BYTES_MAX as u64).ping_every(None);
    let server = App::new().mount("/", socket).test();
    let client = server.connect();
    let sending = async {
        for piece in [HANDSHAKE, pieces[0], pieces[1]] {
            let _ = client.write_all(piece).await;
            // Each is read by itself.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
        let _ = number8::server::transport::Transport::shutdown_write(&client);
    };
    let out = tokio::join!(sending, client.read_to_end()).1.expect("an answer");
    let end = out.windows(4).position(|end| end == b"\r\n\r\n").expect("a whole head");
    assert!(out.starts_with(b"HTTP/1.1 101 "));
    out[end + 4..].to_vec()
}

/// How a connection ends.
enum End {
    /// The client has left, in the middle of a frame perhaps.
    Left,
    /// The client has closed, and this answers it.
    Closed(Vec<u8>),
    /// With that code.
    Fault(u16),
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let head = match u8::try_from(length) {
        Ok(short @ ..126) => vec![first, short],
        _ => vec![first, 126, (length >> 8) as u8, length as u8],
    };
    [&head, payload].concat()
}

/// Frame by frame: what has to come back, and how it ends.
fn plain(mut input: &[u8]) -> (Vec<u8>, End) {
    let (mut out, mut message, mut begun) = (Vec::new(), Vec::new(), None);
    loop {
        let &[first, second, ref rest @ ..] = input else { return (out, End::Left) };
        let (opcode, is_final, short) = (first & 15, first >= 0x80, second & 0x7f);
        let is_wrong = first & 0x70 != 0
            || !matches!(opcode, 0..=2 | 8..=10)
            || second < 0x80
            || (opcode >= 8 && (!is_final || short > 125));
        if is_wrong {
            return (out, End::Fault(1002));
        }
        let (size, least) = match short {
            126 => (2, 126),
            127 => (8, 0x1_0000),
            _ => (0, 0),
        };
        let Some((digits, rest)) = rest.split_at_checked(size) else { return (out, End::Left) };
        let long = digits.iter().fold(0_u64, |length, &byte| length << 8 | u64::from(byte));
        let length = if size == 0 { u64::from(short) } else { long };
        if length < least || length >> 63 != 0 {
            return (out, End::Fault(1002));
        }
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return (out, End::Left) };
        let there = rest.len().min(usize::try_from(length).unwrap_or(usize::MAX));
        let is_whole = there as u64 == length;
        let bytes: Vec<u8> =
            rest[..there].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        input = &rest[there..];
        if opcode < 8 {
            if (opcode == 0) != begun.is_some() {
                return (out, End::Fault(1002));
            }
            if (message.len() as u64).saturating_add(length) > MESSAGE_BYTES_MAX as u64 {
                return (out, End::Fault(1009));
            }
            let kind = *begun.get_or_insert(opcode);
            message.extend_from_slice(&bytes);
            let is_end = is_final && is_whole;
            match std::str::from_utf8(&message) {
                Err(error) if kind == 1 && (is_end || error.error_len().is_some()) => {
                    return (out, End::Fault(1007));
                }
                _ if is_end => {
                    out.extend(frame(0x80 | kind, &std::mem::take(&mut message)));
                    begun = None;
                }
                _ => {}
            }
        }
        match (opcode, &bytes[..]) {
            _ if !is_whole => return (out, End::Left),
            (9, bytes) => out.extend(frame(0x8a, bytes)),
            (8, []) => return (out, End::Closed(frame(0x88, b""))),
            (8, [high, low, reason @ ..]) => {
                let code = u16::from_be_bytes([*high, *low]);
                return match code {
                    1000..=1003 | 1007..=1014 | 3000..=4999
                        if std::str::from_utf8(reason).is_ok() =>
                    {
                        (out, End::Closed(frame(0x88, &[*high, *low])))
                    }
                    1000..=1003 | 1007..=1014 | 3000..=4999 => (out, End::Fault(1007)),
                    _ => (out, End::Fault(1002)),
                };
            }
            (8, _) => return (out, End::Fault(1002)),
            _ => {}
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&cut, frames)) = input.split_first() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (cut, rest) = frames.split_at(usize::from(cut) % (frames.len() + 1));
    let said = runtime.block_on(play([cut, rest]));
    let (expected, end) = plain(frames);
    let said = said.strip_prefix(&expected[..]).unwrap_or_else(|| {
        panic!("{} in place of {}", said.escape_ascii(), expected.escape_ascii())
    });
    let code = |said: &[u8]| match said {
        [0x88, length, code @ ..] if code.len() == usize::from(*length) => {
            Some(code.first_chunk().map(|code| u16::from_be_bytes(*code)))
        }
        _ => None,
    };
    match end {
        End::Left => assert!(said.is_empty() || code(said).is_some(), "{}", said.escape_ascii()),
        End::Closed(answer) => assert_eq!(said, answer),
        End::Fault(fault) => assert_eq!(code(said), Some(Some(fault)), "{}", said.escape_ascii()),
    }
});
