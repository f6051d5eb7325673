//! A whole session of HTTP/2, over a server in memory: whatever frames come behind the preface, the server neither panics
//! nor hangs; what it sends is whole frames, with SETTINGS first; on each stream one answer, its content behind its head,
//! within the windows, and nothing behind its end; nothing behind the last GOAWAY but that.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use number8::{App, Body};
use number8_proto::http2::PREFACE;

/// The window of a stream that has not been told otherwise, in bytes (RFC 9113 §6.9.2).
const WINDOW: usize = 65_535;

fn app() -> App {
    App::new()
        .get("/", async || "Hello, world.")
        .get("/large", async || vec![b'x'; 2 * WINDOW])
        .get("/plain", || "from the lane")
        .post("/", async |body: Body| body.bytes().await.map(|bytes| bytes.len().to_string()))
        .post("/back", async |body: Body| body)
}

async fn play(input: &[u8]) -> Vec<u8> {
    let server = app().test();
    let client = server.connect();
    let hello = [&PREFACE[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0], input].concat();
    let sending = async {
        let _ = client.write_all(&hello).await;
        let _ = number8::server::transport::Transport::shutdown_write(&client);
    };
    tokio::join!(sending, client.read_to_end()).1.unwrap_or_default()
}

fn check(mut out: &[u8], may_open_windows: bool) {
    let mut streams: HashMap<u32, (bool, bool, usize)> = HashMap::new();
    let mut count = 0;
    while !out.is_empty() {
        let head: &[u8; 9] = out.first_chunk().expect("a whole head");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        assert!(out.len() >= 9 + length, "a frame that is cut");
        out = &out[9 + length..];
        assert!(count > 0 || kind == 4, "SETTINGS come first");
        count += 1;
        if kind > 1 && kind != 3 && kind != 9 {
            continue;
        }
        let (has_head, has_ended, sent) = streams.entry(stream).or_default();
        assert!(stream % 2 == 1 && !*has_ended, "{kind} on {stream}");
        match kind {
            0 => {
                assert!(*has_head, "content without a head");
                *sent += length;
                assert!(may_open_windows || *sent <= WINDOW, "more than the window");
                *has_ended = flags & 1 != 0;
            }
            1 => {
                *has_head = true;
                *has_ended = flags & 1 != 0;
            }
            3 => *has_ended = true,
            _ => {}
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let out = runtime.block_on(play(input));
    // A window can only be opened by a frame with the kind of one.
    check(&out, input.iter().any(|&byte| byte == 4 || byte == 8));
});
