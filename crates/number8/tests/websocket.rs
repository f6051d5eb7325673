//! WebSocket: what a client says and hears, byte by byte.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use number8::access::{Access, Rights, Rule};
use number8::server::memory::End;
use number8::testing::TestServer;
use number8::{
    Answer, App, Call, CloseCode, Handler, IntoResponse, Message, Opening, Response, SocketError,
    WebSocket,
};
use tokio::time::timeout;

use crate::serving::{PATIENCE, Running, Setup, on_each_setup, patient};

on_each_setup!(x12_what_is_sent_comes_back);

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn request(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: board.local\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\n{KEY}{fields}\r\n"
    )
}

/// A client's frame, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ ..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([1, 2, 3, 4]);
    frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn close(code: u16) -> Vec<u8> {
    [&[0x88, 2], &code.to_be_bytes()[..]].concat()
}

async fn echo(mut socket: number8::Socket) -> Result<(), SocketError> {
    while let Some(message) = socket.receive().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn serve(web_socket: WebSocket) -> (TestServer, End) {
    let server = TestServer::new(App::new().mount("/ws", web_socket), patient());
    let client = server.connect();
    client.write_all(request("/ws", "").as_bytes()).await.unwrap();
    let head = until(&client, b"\r\n\r\n").await;
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
    (server, client)
}

/// Reads until that has come, and no more.
async fn until(client: &End, end: &[u8]) -> Vec<u8> {
    let mut seen = Vec::new();
    while !seen.ends_with(end) {
        let mut byte = [0];
        let read = timeout(PATIENCE, client.read(&mut byte)).await;
        let count = read.unwrap_or_else(|_| panic!("only {}", seen.escape_ascii())).unwrap();
        assert!(count > 0, "it ends after {}", seen.escape_ascii());
        seen.push(byte[0]);
    }
    seen
}

/// Waits until the server holds that much.
async fn held(server: &TestServer, is_so: impl Fn(usize) -> bool) {
    let waiting = async {
        while !is_so(server.handle().buffered()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it holds more or less than that");
}

async fn rest(client: &End) -> Vec<u8> {
    timeout(PATIENCE, client.read_to_end()).await.expect("the connection ends").unwrap()
}

fn x12_what_is_sent_comes_back(setup: Setup) {
    let app = App::new().mount("/ws", WebSocket::new(echo));
    let server = Running::start(setup, app);
    let mut client = server.connect();
    // The first frame comes with the request.
    client.send([request("/ws", "").into_bytes(), frame(0x81, b"one")].concat());
    let head = client.head();
    assert_eq!((head.status, head.field("Sec-WebSocket-Accept")), (101, Some(ACCEPT)), "{head:?}");
    client.send(frame(0x82, b"two")).send(frame(0x01, b"th")).send(frame(0x89, b"?"));
    client.send(frame(0x80, b"ree")).send(frame(0x88, b"\x03\xe8"));
    assert_eq!(
        client.rest().unwrap(),
        "\u{81}\u{3}one\u{82}\u{3}two\u{8a}\u{1}?\u{81}\u{5}three\u{88}\u{2}\u{3}\u{e8}"
            .chars()
            .map(|c| String::from_utf8_lossy(&[c as u8]).into_owned())
            .collect::<String>()
    );
    drop(client);
    server.is_at_rest();
}

/// The client takes all at once, so that the connection never has to wait for it: nothing but that it has left lets the
/// function go on.
#[tokio::test]
async fn x12_what_is_more_than_may_wait_arrives_at_once() {
    let talk = async |mut socket: number8::Socket| {
        for _ in 0..100 {
            socket.send(Bytes::from(vec![b'x'; 0x4000])).await?;
        }
        Ok::<_, SocketError>(())
    };
    let web_socket = WebSocket::new(talk).ping_every(None);
    let server = TestServer::new(App::new().mount("/ws", web_socket), patient());
    let client = server.connect_with(4 << 20);
    client.write_all(request("/ws", "").as_bytes()).await.unwrap();
    until(&client, b"\r\n\r\n").await;
    let heard = async {
        let (mut heard, mut buffer) = (0, vec![0; 0x10000]);
        let all = 100 * (4 + 0x4000) + close(1000).len();
        while heard < all {
            heard += client.read(&mut buffer).await.unwrap();
        }
        assert_eq!(heard, all);
    };
    timeout(PATIENCE, heard).await.expect("all of it comes");
}

#[tokio::test]
async fn what_a_client_says_has_an_answer() {
    let large = vec![b'x'; 200_000];
    let fault = |code, text: &str| {
        let length = 2 + text.len() as u8;
        [&[0x88, length], &u16::to_be_bytes(code)[..], text.as_bytes()].concat()
    };
    for (name, said, heard) in [
        (
            "two in one write",
            [frame(0x81, b"a"), frame(0x81, b"b")].concat(),
            b"\x81\x01a\x81\x01b".to_vec(),
        ),
        ("an empty text", frame(0x81, b""), b"\x81\x00".to_vec()),
        (
            "a large one",
            frame(0x82, &large),
            [&b"\x82\x7f\0\0\0\0\0\x03\x0d\x40"[..], &large].concat(),
        ),
        ("a pong without a ping", frame(0x8a, b"!"), vec![]),
        ("a close without a code", frame(0x88, b""), b"\x88\x00".to_vec()),
        ("a private code", frame(0x88, b"\x0f\xa0bye"), close(4000)),
        ("no mask", b"\x81\x01a".to_vec(), fault(1002, "a frame is not masked")),
        ("no text", frame(0x81, b"\xff"), fault(1007, "a text is not UTF-8")),
        ("too much", frame(0x82, &vec![0; 300_001]), fault(1009, "a message is too large")),
    ] {
        let (server, client) = serve(WebSocket::new(echo).message_bytes_max(300_000)).await;
        let ends = matches!(heard.first(), Some(0x88));
        let said = if ends { said } else { [said, frame(0x88, b"\x03\xe8")].concat() };
        let heard = if ends { heard } else { [heard, close(1000)].concat() };
        let (_, seen) = tokio::join!(client.write_all(&said), rest(&client));
        assert!(seen == heard, "{name}: {}", seen[..seen.len().min(99)].escape_ascii());
        drop(client);
        while server.handle().connections() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn x12_only_our_pages_open_a_websocket() {
    let ours = WebSocket::new(echo).origin("https://app.example").protocols(["b", "a"]);
    let access = Access::new([
        Rule::everyone("/", Rights::READ).unwrap(),
        Rule::everyone("/secret", Rights::NONE).unwrap(),
    ]);
    let app = App::new()
        .access(access)
        .mount("/ws", ours.clone())
        .mount("/secret", ours.clone())
        .mount("/any", WebSocket::new(echo).any_origin());
    let server = TestServer::new(app, patient());
    let get = |fields: &str| format!("GET /ws HTTP/1.1\r\nHost: board.local\r\n{fields}\r\n");
    for (request, status, field) in [
        (request("/ws", ""), 101, "Upgrade: websocket"),
        (request("/ws", "Origin: http://board.local\r\n"), 101, "Connection: Upgrade"),
        (request("/ws", "Origin: https://app.example\r\n"), 101, ""),
        (request("/ws", "Origin: http://evil.example\r\n"), 403, ""),
        (request("/ws", "Origin: http://board.local:99\r\n"), 403, ""),
        (request("/ws", "Origin: null\r\n"), 403, ""),
        (request("/any", "Origin: http://evil.example\r\n"), 101, ""),
        (request("/ws", "Sec-WebSocket-Protocol: c, a, b\r\n"), 101, "Sec-WebSocket-Protocol: a"),
        (request("/ws", "Sec-WebSocket-Protocol: c\r\n"), 101, ""),
        (request("/secret", ""), 403, ""),
        // RFC 9110 §15.5.22: what would do, and that it is about this connection (§7.8).
        (get(""), 426, "Upgrade: websocket"),
        (get(""), 426, "Connection: Upgrade"),
        (
            get(&format!("Upgrade: websocket\r\nConnection: upgrade\r\n{KEY}")),
            426,
            "Sec-WebSocket-Version: 13",
        ),
        (request("/ws", KEY), 400, ""),
        (
            "POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".into(),
            405,
            "Allow: GET, OPTIONS",
        ),
        ("OPTIONS /ws HTTP/1.1\r\nHost: a\r\n\r\n".into(), 204, "Allow: GET, OPTIONS"),
    ] {
        let client = server.connect();
        client.write_all(request.as_bytes()).await.unwrap();
        let head = String::from_utf8(until(&client, b"\r\n\r\n").await).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {head}");
        assert!(head.contains(field), "{request}: {head}");
    }
}

#[tokio::test]
async fn lenient_talks_to_the_clients_of_webrepl() {
    let server = TestServer::new(App::new().mount("/", WebSocket::new(echo).lenient()), patient());
    let client = server.connect();
    let request = "GET / HTTP/1.1\r\nHost: echo.websocket.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: foo\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    until(&client, b"\r\n\r\n").await;
    client.write_all(b"\x82\x07secret\r").await.unwrap();
    assert_eq!(until(&client, b"\r").await, b"\x82\x07secret\r");
}

#[tokio::test]
async fn g4_when_the_server_stops_it_says_so() {
    let (server, client) = serve(WebSocket::new(echo)).await;
    server.handle().shutdown();
    assert_eq!(rest(&client).await, close(1001));
}

#[tokio::test]
async fn a_function_that_ends_closes() {
    for (word, heard) in [
        ("done", close(1000)),
        ("error", close(1011)),
        ("panic", close(1011)),
        ("4001", b"\x88\x05\x0f\xa1why".to_vec()),
    ] {
        let (_server, client) = serve(WebSocket::new(async |mut socket: number8::Socket| {
            let Some(Message::Text(word)) = socket.receive().await? else { return Ok(()) };
            match &*word {
                "error" => Err(SocketError::Lost),
                "panic" => panic!("as the test wants it"),
                "4001" => {
                    socket.close(CloseCode::new(4001).unwrap(), "why");
                    assert_eq!(socket.send("more").await, Err(SocketError::Closed));
                    Ok(())
                }
                _ => Ok(()),
            }
        }))
        .await;
        client.write_all(&frame(0x81, word.as_bytes())).await.unwrap();
        assert_eq!(rest(&client).await, heard, "{word}");
    }
}

#[tokio::test]
async fn x12_a_silent_client_is_asked_and_given_up() {
    let (_server, client) =
        serve(WebSocket::new(echo).ping_every(Duration::from_millis(300))).await;
    until(&client, b"\x89\x00").await;
    client.write_all(&frame(0x8a, b"")).await.unwrap();
    until(&client, b"\x89\x00").await;
    assert_eq!(rest(&client).await, close(1008));
}

/// As in the options of the command.
#[tokio::test]
async fn x12_zero_asks_no_silent_client() {
    let (_server, client) = serve(WebSocket::new(echo).ping_every(Duration::ZERO)).await;
    let soon = WebSocket::new(echo).ping_every(Duration::from_millis(1));
    let (_other, asked) = serve(soon).await;
    assert_eq!(rest(&asked).await, [b"\x89\x00".to_vec(), close(1008)].concat());
    client.write_all(&frame(0x81, b"one")).await.unwrap();
    assert_eq!(until(&client, b"one").await, b"\x81\x03one");
}

/// What lies there and is not taken is no sign of life.
#[tokio::test]
async fn x12_a_silent_client_is_given_up_while_its_messages_wait() {
    let busy = async |_: number8::Socket| std::future::pending::<Result<(), SocketError>>().await;
    let (_server, client) = serve(WebSocket::new(busy).ping_every(Duration::from_secs(2))).await;
    let messages = [frame(0x81, b"one"), frame(0x81, b"two"), frame(0x81, b"three")].concat();
    client.write_all(&messages).await.unwrap();
    until(&client, b"\x89\x00").await;
    client.write_all(&frame(0x8a, b"")).await.unwrap();
    until(&client, b"\x89\x00").await;
    assert_eq!(rest(&client).await, close(1008));
}

#[tokio::test]
async fn x12_who_has_left_is_not_waited_for_while_its_messages_wait() {
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let busy = move |_: number8::Socket| {
        let (goes_on, ended) = tokio::sync::oneshot::channel::<()>();
        begin.send(ended).unwrap();
        async move {
            let _goes_on = goes_on;
            std::future::pending::<Result<(), SocketError>>().await
        }
    };
    let busy = WebSocket::new(busy).ping_every(None).after_end_max(Duration::from_millis(10));
    let (_server, client) = serve(busy).await;
    let ended = begun.recv().await.unwrap();
    client.write_all(&[frame(0x81, b"one"), frame(0x81, b"two")].concat()).await.unwrap();
    drop(client);
    timeout(PATIENCE, ended).await.expect("the function is given up").unwrap_err();
}

/// Also where more messages wait: it is told in their place.
#[tokio::test]
async fn x12_a_function_that_is_busy_for_long_learns_that_the_client_has_left() {
    const LONG: usize = 20_000;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let is_done = Arc::new(tokio::sync::Notify::new());
    let work = Arc::clone(&is_done);
    let busy = move |mut socket: number8::Socket| {
        let (tell, work) = (tell.clone(), Arc::clone(&work));
        async move {
            let first = socket.receive().await;
            work.notified().await;
            tell.send((first, socket.receive().await)).unwrap();
            Ok::<_, SocketError>(())
        }
    };
    let busy = WebSocket::new(busy).ping_every(None).after_end_max(Duration::from_secs(1));
    let (server, client) = serve(busy).await;
    client.write_all(&[frame(0x81, b"one"), frame(0x81, &[b'x'; LONG])].concat()).await.unwrap();
    held(&server, |bytes| bytes >= LONG).await;
    drop(client);
    // The message waits as long as it may.
    held(&server, |bytes| bytes < LONG).await;
    is_done.notify_one();
    let (first, then) = timeout(PATIENCE, told.recv()).await.unwrap().expect("it goes on");
    assert_eq!((first, then), (Ok(Some(Message::Text("one".into()))), Err(SocketError::Lost)));
}

#[tokio::test]
async fn x12_others_send_too() {
    let (senders, mut joined) = tokio::sync::mpsc::unbounded_channel();
    let (_server, client) = serve(WebSocket::new(move |socket: number8::Socket| {
        let senders = senders.clone();
        async move {
            let (sender, mut receiver) = socket.split();
            let _ = senders.send(sender);
            // In another task, as some would.
            let receiving = tokio::spawn(async move {
                let mut count = 0;
                while let Ok(Some(_)) = receiver.receive().await {
                    count += 1;
                }
                count
            });
            assert_eq!(receiving.await.unwrap_or(0), 100);
        }
    }))
    .await;
    let sender = joined.recv().await.unwrap();
    sender.send("from outside").await.unwrap();
    assert_eq!(until(&client, b"outside").await, b"\x81\x0cfrom outside");
    for _ in 0..100 {
        client.write_all(&frame(0x81, b"x")).await.unwrap();
    }
    client.write_all(&frame(0x88, b"")).await.unwrap();
    assert_eq!(rest(&client).await, b"\x88\x00");
    assert_eq!(sender.try_send("late"), Err(SocketError::Closed));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_waited_for() -> io::Result<()> {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let (server, client) = serve(WebSocket::new(move |mut socket: number8::Socket| {
        let counter = Arc::clone(&counter);
        async move {
            while socket.send(vec![0; 1000]).await.is_ok() {
                counter.fetch_add(1000, Ordering::Relaxed);
                if counter.load(Ordering::Relaxed) == 1_000_000 {
                    return;
                }
            }
        }
    }))
    .await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    let waiting = sent.load(Ordering::Relaxed);
    assert!(waiting < 300_000, "{waiting}");
    assert!(server.handle().buffered() < 300_000);
    let all = rest(&client).await;
    assert_eq!(all.len(), 1000 * 1004 + 4);
    Ok(())
}

/// What a client has begun to say, and what it has said and nobody takes, are memory that it fills.
#[tokio::test]
async fn what_a_client_has_said_is_counted_until_it_is_taken() {
    const BYTES: usize = 100_000;
    let (go, _) = tokio::sync::watch::channel(false);
    let opened = go.clone();
    let (server, client) = serve(WebSocket::new(move |socket: number8::Socket| {
        let mut opened = opened.subscribe();
        async move {
            let _ = opened.wait_for(|go| *go).await;
            echo(socket).await
        }
    }))
    .await;
    let is_held = async |is_so: fn(usize) -> bool| {
        let held = async {
            while !is_so(server.handle().buffered()) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, held).await.expect("it counts");
    };
    for first in [0x02, 0x80] {
        client.write_all(&frame(first, &[b'x'; BYTES])).await.unwrap();
        is_held(|held| held >= BYTES).await;
    }
    go.send_replace(true);
    assert_eq!(until(&client, &[b'x'; 2 * BYTES]).await.len(), 2 * BYTES + 10);
    is_held(|held| held == 0).await;
}

/// Decides later, by the path: whether to open, and with which protocol.
struct Later(WebSocket);

impl Handler for Later {
    fn handle(&self, call: Call<'_>) -> Answer {
        let asks = Opening::is_asked_for(call.head);
        let opening = match self.0.opening(call.head, call.caller) {
            Ok(opening) => opening,
            Err(refusal) => {
                return refusal.into_response().with("X-Asks", asks.to_string()).unwrap().into();
            }
        };
        let path = String::from_utf8_lossy(call.path).into_owned();
        Answer::later(async move {
            tokio::task::yield_now().await;
            let offered = opening.protocols().join(" ");
            match &*path {
                "/no" => Response::error(403, "not today"),
                protocol => opening
                    .open(protocol.strip_prefix('/'), echo)
                    .with("X-Offered", offered)
                    .unwrap(),
            }
        })
    }
}

#[tokio::test]
async fn x12_a_handler_may_decide_later() {
    let offer = "Sec-WebSocket-Protocol: chat, news\r\n";
    let page = format!("{offer}Origin: http://elsewhere.example\r\n");
    for (name, request, status, holds) in [
        ("no protocol", request("/", offer), 101, "X-Offered: chat news"),
        ("one of them", request("/news", offer), 101, "Sec-WebSocket-Protocol: news"),
        ("none of them", request("/other", offer), 101, "X-Offered: chat news"),
        ("refused", request("/no", offer), 403, ""),
        ("another's page", request("/", &page), 403, "X-Asks: true"),
        ("no WebSocket", "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 426, "X-Asks: false"),
        ("no key", request("/", "").replace(KEY, ""), 400, "X-Asks: true"),
    ] {
        let app = App::new().mount("/", Later(WebSocket::new(echo)));
        let server = TestServer::new(app, patient());
        let client = server.connect();
        client.write_all(request.as_bytes()).await.unwrap();
        let head = until(&client, b"\r\n\r\n").await;
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {head}");
        assert!(head.contains(holds), "{name}: {head}");
        assert!(!head.contains("Protocol: other"), "{name}: {head}");
        if status == 101 {
            client.write_all(&frame(0x81, b"one")).await.unwrap();
            assert_eq!(until(&client, b"one").await, b"\x81\x03one", "{name}");
        }
    }
}

#[tokio::test]
async fn who_receives_learns_how_it_was_closed() {
    for (name, last, farewell) in [
        ("with a reason", frame(0x88, b"\x0f\xa1why"), Some((4001, "why"))),
        ("with a code", frame(0x88, b"\x03\xe8"), Some((1000, ""))),
        ("with nothing", frame(0x88, b""), None),
        ("by the server", Vec::new(), Some((1001, ""))),
    ] {
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let (server, client) = serve(WebSocket::new(move |socket: number8::Socket| {
            let told = told.clone();
            async move {
                let (_, mut receiver) = socket.split();
                assert_eq!(receiver.farewell(), None);
                assert_eq!(receiver.receive().await, Ok(None));
                told.send(receiver.farewell()).unwrap();
            }
        }))
        .await;
        match last.is_empty() {
            true => server.handle().shutdown(),
            false => client.write_all(&last).await.unwrap(),
        }
        let said = timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
        let said = said.as_ref().map(|(code, reason)| (code.get(), &**reason));
        assert_eq!(said, farewell, "{name}");
    }
}

/// The connection fills what there is room for, too, while another thread is about to.
#[tokio::test]
async fn who_polls_in_another_thread_has_room_or_waits() {
    const MESSAGES: usize = 20_000;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let (_server, client) = serve(WebSocket::new(move |socket: number8::Socket| {
        let (sender, mut receiver) = socket.split();
        let told = told.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let result = runtime.block_on(async {
                let message = Message::from(vec![8; 1000]);
                for _ in 0..MESSAGES {
                    std::future::poll_fn(|cx| sender.poll_send(cx, &message)).await?;
                }
                Ok::<(), SocketError>(())
            });
            sender.close(CloseCode::NORMAL, "");
            told.send(result).unwrap();
        });
        async move { receiver.receive().await.map(drop) }
    }))
    .await;
    let mut left = MESSAGES * 1004 + 4;
    let mut piece = vec![0; 8192];
    while left > 4 && heard.is_empty() {
        left -= timeout(PATIENCE, client.read(&mut piece)).await.unwrap().unwrap();
    }
    assert_eq!(timeout(PATIENCE, heard.recv()).await.unwrap(), Some(Ok(())));
}

#[tokio::test]
async fn who_polls_waits_for_room_before_it_sends() {
    let (_server, client) = serve(WebSocket::new(async |socket: number8::Socket| {
        let (sender, _receiver) = socket.split();
        let message = Message::from(vec![8; 1000]);
        for _ in 0..1000 {
            std::future::poll_fn(|cx| sender.poll_send(cx, &message)).await?;
        }
        Ok::<(), SocketError>(())
    }))
    .await;
    assert_eq!(rest(&client).await.len(), 1000 * 1004 + 4);
}
