//! A whole connection of HTTP/1.1 through a server: whatever comes, and however it is cut, the same answers go out, each
//! well-formed, as many as there were requests, and one more at most, for a fault.
#![no_main]

#[allow(dead_code, reason = "`connection` looks at more")]
mod exchange;
#[allow(dead_code, reason = "`body` looks at more")]
mod reference;

use std::sync::{Arc, Mutex};

use libfuzzer_sys::fuzz_target;
use number8::{App, Body, Options, Response, Version};

/// The line of each request that the app was asked.
type Asked = Arc<Mutex<Vec<(usize, Vec<u8>)>>>;

fn app(asked: &Asked) -> App {
    let asked = Arc::clone(asked);
    App::new()
        .before(move |call| {
            let version = if call.head.version() == Version::Http10 { "1.0" } else { "1.1" };
            let line =
                [call.head.method_bytes(), b" / HTTP/", version.as_bytes(), b"\r\n"].concat();
            asked.lock().unwrap().push((0, line));
            None::<Response>
        })
        .get("/", async || "Hello, world.")
        .get("/large", async || vec![b'x'; 100_000])
        .get("/plain", || "from the lane")
        .get("/part", async || {
            let (mut sender, body) = Body::channel();
            tokio::spawn(async move {
                for piece in ["one", "two"] {
                    let _ = sender.send(piece).await;
                }
                sender.finish();
            });
            body
        })
        .post("/", async |body: Body| body.bytes().await.map(|bytes| bytes.len().to_string()))
        .post("/back", async |body: Body| body)
}

/// What goes out, but for when it was, and what was asked.
async fn play(input: &[u8], step: usize) -> (Vec<u8>, Vec<(usize, Vec<u8>)>) {
    let asked = Asked::default();
    let mut options = Options::default();
    options.limits.http = reference::LIMITS;
    options.limits.body_bytes_max = 1000;
    let server = number8::testing::TestServer::new(app(&asked), options);
    let client = server.connect();
    let sending = async {
        for piece in input.chunks(step) {
            let _ = client.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let _ = number8::server::transport::Transport::shutdown_write(&client);
    };
    let mut out = tokio::join!(sending, client.read_to_end()).1.unwrap_or_default();
    while let Some(at) = out.windows(8).position(|window| window == b"\r\nDate: ") {
        out.drain(at..at + 37);
    }
    // It is said to who has sent no content yet, which is up to how the input is cut.
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    while let Some(at) = out.windows(CONTINUE.len()).position(|window| window == CONTINUE) {
        out.drain(at..at + CONTINUE.len());
    }
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    (out, asked)
}

fuzz_target!(|input: &[u8]| {
    // What is asked of the server as a whole is not asked of the app.
    if input.windows(3).any(|three| three == b" * ") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (out, asked) = runtime.block_on(play(input, input.len().max(1)));
    let answers = exchange::answers(&out, &asked);
    assert!(answers <= asked.len() + 1, "{answers} to {}", asked.len());
    let step = 1 + input.first().map_or(0, |&byte| usize::from(byte) % 32);
    assert_eq!(runtime.block_on(play(input, step)), (out, asked));
});
