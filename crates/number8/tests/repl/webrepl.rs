//! WebREPL: a client that behaves as `webrepl_cli.py` does, and what else clients do.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use number8::access::{Access, Rights, Rule};
use number8::layers::same_origin::SameOrigin;
use number8::testing::TestServer;
use number8::{App, IntoResponse, Repl, WebRepl, WebReplLimits};
use tempfile::TempDir;

use super::{Client, folder};
use crate::serving::patient;

/// What the official client asks with: a foreign host, a short key, no version.
const CLI: &str = "GET / HTTP/1.1\r\nHost: echo.websocket.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: foo\r\n\r\n";
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const RAW: &str = "raw REPL; CTRL-B to exit\r\n>";

fn webrepl(folder: &Path) -> WebRepl {
    let repl = Repl::new(folder).unwrap();
    WebRepl::new(&repl).password("joe", "secret").unwrap().files(folder).unwrap()
}

fn serve(webrepl: WebRepl, rights: Rights) -> TestServer {
    let access = Access::new([Rule::user("joe", "/", rights).unwrap()]);
    TestServer::new(App::new().access(access).mount("/", webrepl), patient())
}

fn served(rights: Rights) -> (TestServer, TempDir) {
    let folder = folder();
    (serve(webrepl(folder.path()), rights), folder)
}

fn all() -> Rights {
    Rights::RW | Rights::REPL
}

/// Connects as the official client does.
async fn connect(server: &TestServer) -> Client {
    let (mut client, head) = Client::ask(server, CLI).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client.is_masked = false;
    client
}

impl Client {
    async fn log_in(&mut self, password: &str) -> String {
        self.until(TEXT, "Password: ").await;
        self.send(BINARY, password.as_bytes()).await;
        self.send(BINARY, b"\r").await;
        self.until(TEXT, "\r\n").await + &self.until(TEXT, "\r\n").await
    }

    async fn is_cut_off(&mut self) {
        let end = loop {
            match self.frame().await {
                Some((8, code)) => break Some(code),
                Some(_) => {}
                None => break None,
            }
        };
        assert_eq!(end, Some(1008u16.to_be_bytes().to_vec()));
    }

    async fn shows_text(&mut self, end: &str) -> String {
        self.until(TEXT, end).await
    }

    /// Sends a request as the official client does: 10 bytes, then 72.
    async fn ask_for(&mut self, kind: u8, size: u32, name: &str) {
        let mut record = [0; 82];
        record[..3].copy_from_slice(&[b'W', b'A', kind]);
        record[12..16].copy_from_slice(&size.to_le_bytes());
        record[16..18].copy_from_slice(&(name.len() as u16).to_le_bytes());
        record[18..18 + name.len()].copy_from_slice(name.as_bytes());
        self.send(BINARY, &record[..10]).await;
        self.send(BINARY, &record[10..]).await;
    }

    /// The next binary message; texts are for the terminal.
    async fn bytes(&mut self) -> Vec<u8> {
        loop {
            if !self.said.is_empty() {
                return self.said.remove(0);
            }
            match self.frame().await.expect("an answer") {
                (TEXT, text) => self.shown.push_str(std::str::from_utf8(&text).unwrap()),
                (BINARY, bytes) => return bytes,
                (opcode, _) => panic!("opcode {opcode}"),
            }
        }
    }

    async fn code(&mut self) -> u16 {
        let bytes = self.bytes().await;
        let [b'W', b'B', low, high] = bytes[..] else { panic!("{bytes:?}") };
        u16::from_le_bytes([low, high])
    }

    async fn put(&mut self, name: &str, content: &[u8]) -> u16 {
        self.ask_for(1, content.len() as u32, name).await;
        let code = self.code().await;
        if code != 0 {
            return code;
        }
        for piece in content.chunks(1024) {
            self.send(BINARY, piece).await;
        }
        self.code().await
    }

    async fn get(&mut self, name: &str) -> Result<Vec<u8>, u16> {
        self.ask_for(2, 0, name).await;
        match self.code().await {
            0 => {}
            code => return Err(code),
        }
        let mut content = Vec::new();
        loop {
            self.send(BINARY, b"\0").await;
            let piece = self.bytes().await;
            let length = usize::from(u16::from_le_bytes([piece[0], piece[1]]));
            assert_eq!(piece.len(), 2 + length);
            if length == 0 {
                assert_eq!(self.code().await, 0);
                return Ok(content);
            }
            content.extend(&piece[2..]);
        }
    }
}

#[tokio::test]
async fn u32_x6_the_official_client_logs_in_puts_and_gets() {
    let (server, folder) = served(all());
    let mut client = connect(&server).await;
    assert_eq!(client.log_in("secret").await, "\r\nWebREPL connected\r\n");
    client.ask_for(3, 0, "").await;
    assert_eq!(client.bytes().await.len(), 3);
    client.shows_text(">>> ").await;

    let content: Vec<u8> = (0..300_001u32).map(|n| (n.wrapping_mul(n) / 7) as u8).collect();
    assert_eq!(client.put("/lib/a.bin", &content).await, 0);
    assert_eq!(std::fs::read(folder.path().join("lib/a.bin")).unwrap(), content);
    assert_eq!(client.get("lib/a.bin").await.unwrap(), content);
    assert_eq!(client.put("empty", b"").await, 0);
    assert_eq!(client.get("/empty").await.unwrap(), b"");
    // A code, and the session goes on.
    assert_eq!(client.get("missing").await, Err(2));
    assert_eq!(client.get("lib").await, Err(2));
    assert_eq!(client.get("../etc/passwd").await, Err(22));
    assert_eq!(client.put("lib/", b"x").await, 22);
    assert_eq!(client.put(".well-known/acme-challenge/token", b"x").await, 22);
    client.ask_for(9, 0, "a").await;
    assert_eq!(client.code().await, 22);
    client.send(TEXT, b"print(6*7)\r").await;
    client.shows_text("print(6*7)\r\n42\r\n>>> ").await;
    // Newer clients type in bytes.
    client.send(BINARY, b"W").await;
    client.send(BINARY, b" = 8; W\r").await;
    client.shows_text("W = 8; W\r\n8\r\n>>> ").await;
    client.send(BINARY, b"W").await;
    client.shows_text("W").await;
}

#[tokio::test]
async fn x6_the_rights_of_the_account_bound_files_and_login() {
    let cases = [
        (Rights::RO | Rights::REPL, [1, 1], Ok(b"old".to_vec())),
        (Rights::UP | Rights::REPL, [0, 1], Ok(b"old".to_vec())),
        (Rights::WO | Rights::REPL, [0, 1], Err(1)),
        (Rights::OVERWRITE | Rights::REPL, [1, 0], Err(1)),
    ];
    for (rights, put, got) in cases {
        let (server, folder) = served(rights);
        std::fs::write(folder.path().join("old"), "old").unwrap();
        let mut client = connect(&server).await;
        client.log_in("secret").await;
        assert_eq!(client.get("old").await, got, "{rights}");
        assert_eq!([client.put("new", b"1").await, client.put("old", b"2").await], put, "{rights}");
    }
    let (server, _folder) = served(Rights::RW);
    let mut client = connect(&server).await;
    assert_eq!(client.log_in("secret").await, "\r\nAccess denied\r\n");
    let (server, folder) = served(all());
    let limited = serve(webrepl(folder.path()).max_bytes(3), all());
    drop(server);
    let mut client = connect(&limited).await;
    client.log_in("secret").await;
    assert_eq!([client.put("a", b"123").await, client.put("b", b"1234").await], [0, 27]);
}

#[tokio::test]
async fn x6_one_session_at_a_time_and_a_wrong_password_ends_it() {
    let (server, _folder) = served(all());
    let mut client = connect(&server).await;
    client.log_in("secret").await;
    client.shows_text(">>> ").await;
    let (_, head) = Client::ask(&server, CLI).await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    client.send(TEXT, b"x = 8\r").await;
    client.shows_text("x = 8\r\n>>> ").await;
    // What runs goes on without it.
    client.send(8, b"\x03\xe8").await;
    while client.frame().await.is_some() {}
    let mut client = connect(&server).await;
    assert_eq!(client.log_in("secret").await, "\r\nWebREPL connected\r\n");
    client.shows_text(">>> ").await;
    client.send(TEXT, b"x\r").await;
    assert_eq!(client.shows_text("8\r\n>>> ").await, "x\r\n8\r\n>>> ");
    drop(client);

    for _ in 0..4 {
        let mut client = connect(&server).await;
        assert_eq!(client.log_in("wrong").await, "\r\nAccess denied\r\n");
        assert_eq!(client.frame().await.map(|(opcode, _)| opcode), Some(8));
        assert_eq!(client.frame().await, None);
    }
    let (_, head) = Client::ask(&server, CLI).await;
    assert!(head.starts_with("HTTP/1.1 429 ") && head.contains("Retry-After: 1"), "{head}");
}

#[tokio::test]
async fn x6_a_client_is_cut_off_when_other_rules_take_the_right_away() {
    let (server, folder) = served(all());
    let mut client = connect(&server).await;
    client.log_in("secret").await;
    client.shows_text(">>> ").await;
    let with = |rights| {
        let access = Access::new([Rule::user("joe", "/", rights).unwrap()]);
        App::new().access(access).mount("/", webrepl(folder.path()))
    };
    server.handle().replace(with(Rights::ALL)).unwrap();
    client.send(TEXT, b"1 + 1\r").await;
    client.shows_text("2\r\n>>> ").await;
    server.handle().replace(with(Rights::RO)).unwrap();
    client.is_cut_off().await;
}

#[tokio::test]
async fn x6_a_client_without_a_password_is_cut_off_when_other_rules_ask_for_an_account() {
    let folder = folder();
    let repl = Repl::new(folder.path()).unwrap();
    let with = |rule| App::new().access(Access::new([rule])).mount("/", WebRepl::new(&repl));
    let server = TestServer::new(with(Rule::everyone("/", Rights::REPL).unwrap()), patient());
    let mut client = connect(&server).await;
    client.shows_text(">>> ").await;
    server.handle().replace(with(Rule::everyone("/", Rights::ALL).unwrap())).unwrap();
    client.send(TEXT, b"1 + 1\r").await;
    client.shows_text("2\r\n>>> ").await;
    server.handle().replace(with(Rule::user("joe", "/", Rights::ALL).unwrap())).unwrap();
    client.is_cut_off().await;
}

#[tokio::test]
async fn x6_a_page_has_to_be_ours_and_a_program_may_name_any_host() {
    let folder = folder();
    let ours = SameOrigin::new().host("board.local").port(8080).origin("http://app.example");
    let webrepl = webrepl(folder.path()).same_origin(ours);
    let server = serve(webrepl, all());
    for (host, origin, expected) in [
        ("echo.websocket.org", None, 101),
        ("192.0.2.1:8266", Some("http://192.0.2.1:8266"), 101),
        ("board.local:8266", Some("http://board.local:8266"), 101),
        ("board.local:8266", Some("http://board.local:8080"), 101),
        ("192.0.2.1:8266", Some("http://192.0.2.1:8080"), 101),
        ("192.0.2.1:8266", Some("http://192.0.2.2:8080"), 403),
        ("board.local:8266", Some("http://app.example"), 101),
        ("board.local:8266", Some("http://board.local"), 403),
        ("evil.example:8266", Some("http://evil.example:8080"), 421),
        ("board.local:8266", Some("http://evil.example"), 403),
        ("board.local:8266", Some("null"), 403),
        // A name that was led here.
        ("evil.example:8266", Some("http://evil.example:8266"), 421),
    ] {
        let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        let head = CLI.replace("echo.websocket.org\r\n", &format!("{host}\r\n{origin}"));
        let (_, head) = Client::ask(&server, &head.replace("GET / ", "GET /any/path ")).await;
        assert_eq!(head[9..12].parse(), Ok(expected), "{host} {origin}");
    }
    let (mut client, head) =
        Client::ask(&server, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    while client.read().await {}
    assert!(String::from_utf8_lossy(&client.buffer).contains("WebREPL"));
}

#[tokio::test]
async fn u32_without_a_password_nobody_is_asked() {
    let folder = folder();
    let webrepl = WebRepl::new(&Repl::new(folder.path()).unwrap());
    let access = Access::new([Rule::everyone("/", Rights::REPL).unwrap()]);
    let app = App::new().access(access).mount("/", webrepl.clone());
    let server = TestServer::new(app, patient());
    let mut client = connect(&server).await;
    assert_eq!(client.shows_text(">>> ").await, "\r\nWebREPL connected\r\n>>> ");
    assert_eq!(client.get("x").await, Err(1));
    let server = TestServer::new(App::new().mount("/", webrepl), patient());
    let (_, head) = Client::ask(&server, CLI).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}

#[tokio::test]
async fn x7_raw_repl_and_raw_paste_run_a_script_of_100_kb() {
    let (server, _folder) = served(all());
    let mut client = connect(&server).await;
    client.log_in("secret").await;
    client.shows_text(">>> ").await;
    client.send(TEXT, b"\r\x03").await;
    client.shows_text("\r\n>>> \r\n>>> ").await;
    client.send(TEXT, b"\r\x01").await;
    client.shows_text(RAW).await;
    let lines: String = (0..1700).map(|n| format!("v{n} = '{n:_>50}'\n")).collect();
    let script = lines + "print(len(v1699), 'é')\n";
    assert!(script.len() > 100_000);
    for piece in script.as_bytes().chunks(1000) {
        client.send(TEXT, piece).await;
    }
    client.send(TEXT, b"\x04").await;
    assert_eq!(client.shows_text("\x04>").await, "OK50 é\r\n\x04\x04>");

    client.send(TEXT, b"\x05A\x01").await;
    assert_eq!(client.shows_text("\0\x10").await, "R\x01\0\x10");
    let (mut rest, mut room) = (script.as_bytes(), 4096);
    while !rest.is_empty() {
        if room == 0 {
            assert_eq!(client.shows_text("\x01").await, "\x01");
            room = 4096;
        }
        let piece;
        (piece, rest) = rest.split_at(room.min(rest.len()));
        room -= piece.len();
        client.send(BINARY, piece).await;
    }
    client.send(TEXT, b"\x04").await;
    assert_eq!(
        client.shows_text("\x04>").await.trim_start_matches('\x01'),
        "\x0450 é\r\n\x04\x04>"
    );
    client.send(TEXT, b"\x04").await;
    assert_eq!(client.shows_text(RAW).await, format!("OK\r\nMPY: soft reboot\r\n{RAW}"));
    client.send(TEXT, b"\x02").await;
    assert!(client.shows_text(">>> ").await.starts_with("\r\nMicroPython "));
}

#[tokio::test]
async fn x7_a_slow_program_at_the_other_end_misses_nothing() {
    let folder = folder();
    let repl = Repl::new(folder.path()).unwrap().scroll_back_bytes(64 * 1024);
    let access = Access::new([Rule::everyone("/", Rights::REPL).unwrap()]);
    let server =
        TestServer::new(App::new().access(access).mount("/", WebRepl::new(&repl)), patient());
    let mut client = connect(&server).await;
    client.shows_text(">>> ").await;
    client.send(TEXT, b"\r\x01").await;
    client.shows_text(RAW).await;
    // Far more than is kept, while nothing is read.
    client.send(TEXT, b"for n in range(100000): print(n)\n\x04").await;
    let shown = client.shows_text("\x04\x04>").await;
    let lines: String = (0..100_000).map(|n| format!("{n}\r\n")).collect();
    assert!(shown == format!("OK{lines}\x04\x04>"), "{} bytes", shown.len());
}

#[tokio::test]
async fn x6_a_client_that_is_silent_for_long_makes_room() {
    let folder = folder();
    let repl = Repl::new(folder.path()).unwrap().webrepl_idle(Duration::ZERO);
    let access = Access::new([Rule::user("joe", "/", all()).unwrap()]);
    let webrepl = WebRepl::new(&repl).password("joe", "secret").unwrap();
    let server = TestServer::new(App::new().access(access).mount("/", webrepl), patient());
    let mut first = connect(&server).await;
    first.log_in("secret").await;
    first.shows_text(">>> ").await;
    // A password that is wrong takes nobody's place.
    let mut wrong = connect(&server).await;
    assert_eq!(wrong.log_in("wrong").await, "\r\nAccess denied\r\n");
    first.send(TEXT, b"x = 8\r").await;
    first.shows_text("x = 8\r\n>>> ").await;
    let mut second = connect(&server).await;
    second.log_in("secret").await;
    second.shows_text(">>> ").await;
    assert_eq!(first.frame().await.map(|(opcode, _)| opcode), Some(8));
    second.send(TEXT, b"x\r").await;
    second.shows_text("x\r\n8\r\n>>> ").await;
}

#[tokio::test]
async fn x6_those_who_say_no_password_keep_others_out_of_nothing_for_long() {
    let (server, _folder) = served(all());
    let mut silent = Vec::new();
    for _ in 0..4 {
        let mut client = connect(&server).await;
        client.shows_text("Password: ").await;
        silent.push(client);
    }
    let (_, head) = Client::ask(&server, CLI).await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    // A longer one than there is is wrong, and not kept.
    let mut client = silent.pop().unwrap();
    client.send(BINARY, &[b'x'; 5000]).await;
    client.send(BINARY, b"\r").await;
    client.shows_text("\r\nAccess denied\r\n").await;
    while client.frame().await.is_some() {}
    let mut client = connect(&server).await;
    assert_eq!(client.log_in("secret").await, "\r\nWebREPL connected\r\n");
}

#[tokio::test]
async fn x6_of_those_who_are_asked_together_one_guesses_and_the_others_wait() {
    let folder = folder();
    let limits = WebReplLimits { failures_free: 0, ..WebReplLimits::default() };
    let server = serve(webrepl(folder.path()).limits(limits), all());
    let mut guessing = connect(&server).await;
    let mut waiting = connect(&server).await;
    assert_eq!(guessing.log_in("wrong").await, "\r\nAccess denied\r\n");
    assert_eq!(waiting.log_in("secret").await, "\r\nAccess denied\r\n");
}

#[tokio::test]
async fn x6_a_network_of_ipv6_is_asked_as_one_client() {
    let (server, _folder) = served(all());
    let ask = async |address: &str| {
        let end = server.connect_from(SocketAddr::new(address.parse().unwrap(), 4711));
        Client::ask_at(end, CLI).await
    };
    let mut silent = Vec::new();
    for address in ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"] {
        let (mut client, _) = ask(address).await;
        client.shows_text("Password: ").await;
        silent.push(client);
    }
    for (address, status) in [("2001:db8::5", "503"), ("2001:db8:0:1::1", "101")] {
        let (_, head) = ask(address).await;
        assert_eq!(&head[9..12], status, "{address}");
    }
}

#[tokio::test]
async fn x6_how_much_is_done_for_strangers_is_a_setting() {
    let usual = WebReplLimits::default();
    let folder = folder();
    let limited = |limits| serve(webrepl(folder.path()).limits(limits), all());
    for (limits, asked) in [
        (WebReplLimits { asked_max: 2, ..usual }, 2),
        (WebReplLimits { asked_per_client_max: 1, ..usual }, 1),
        (WebReplLimits { asked_per_client_max: 6, ..usual }, 6),
    ] {
        let server = limited(limits);
        let mut silent = Vec::new();
        for _ in 0..asked {
            let mut client = connect(&server).await;
            client.shows_text("Password: ").await;
            silent.push(client);
        }
        let (_, head) = Client::ask(&server, CLI).await;
        assert!(head.starts_with("HTTP/1.1 503 "), "{limits:?}: {head}");
    }
    let server = limited(WebReplLimits { login_time: Duration::from_millis(20), ..usual });
    let mut silent = connect(&server).await;
    silent.shows_text("Password: ").await;
    let policy = 1008_u16.to_be_bytes().to_vec();
    assert_eq!(silent.frame().await, Some((8, policy)));
    // A hash at least, or nobody gets in.
    let server = limited(WebReplLimits { failures_free: 0, hashes_max: 0, ..usual });
    let mut client = connect(&server).await;
    assert_eq!(client.log_in("secret").await, "\r\nWebREPL connected\r\n");
    drop(client);
    let mut client = connect(&server).await;
    assert_eq!(client.log_in("wrong").await, "\r\nAccess denied\r\n");
    let (_, head) = Client::ask(&server, CLI).await;
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
}

#[tokio::test]
async fn x7_wish_11_a_browser_is_told_what_the_port_is_for() {
    let get = async |webrepl: WebRepl, request: &str| {
        let server = serve(webrepl, all());
        let client = server.connect();
        let request = format!("GET {request}\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        String::from_utf8(client.read_to_end().await.unwrap()).unwrap()
    };
    let folder = folder();
    let usual = get(webrepl(folder.path()), "/ HTTP/1.1\r\nHost: a").await;
    assert!(usual.starts_with("HTTP/1.1 200 ") && usual.contains("WebREPL clients"), "{usual}");
    let open = WebRepl::new(&Repl::new(folder.path()).unwrap());
    for (webrepl, request, want) in [
        (
            webrepl(folder.path()),
            "/ HTTP/1.1\r\nHost: board.local:8266",
            "board.local:8266|board.local|true",
        ),
        (webrepl(folder.path()), "/any/path HTTP/1.1\r\nHost: [::1]", "[::1]|[::1]|true"),
        (open, "/ HTTP/1.0", "||false"),
    ] {
        let webrepl = webrepl.page(|page| {
            format!("{}|{}|{}", page.place, page.host, page.asks_password).into_response()
        });
        let told = get(webrepl, request).await;
        assert!(told.ends_with(&format!("\r\n\r\n{want}")), "{request}: {told}");
    }
}
