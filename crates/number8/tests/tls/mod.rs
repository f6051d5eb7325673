//! TLS, as a client sees it: rustls at the other end, and whatever speaks no TLS.

// A certificate that the machine makes itself.
mod self_signed;
// Bytes through TLS, whatever sizes they come in.
mod stream;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use number8::layers::proxies::Proxies;
use number8::server::{Closed, LaneOptions, Limits, LocalAddr, Timeouts};
use number8::{
    App, Body, Content, Files, Handle, Options, Request, Server, Socket, Tls, WebSocket,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use tempfile::TempDir;

use crate::serving::PATIENCE;

const CERTIFICATE: &str = include_str!("cert.pem");
const KEY: &str = include_str!("key.pem");
const KEY_SEC1: &str = include_str!("key-sec1.pem");
const OTHER_CERTIFICATE: &str = include_str!("other-cert.pem");
const OTHER_KEY: &str = include_str!("other-key.pem");

type Client = StreamOwned<ClientConnection, TcpStream>;

/// A server with TLS at a free port. Dropping it ends it.
struct Running {
    address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
    closed: mpsc::Receiver<Closed>,
}

impl Running {
    fn start(app: App, tls: Tls, timeouts: Timeouts) -> Self {
        let metrics = true;
        Self::start_with(app, tls, Options { workers: 2, timeouts, metrics, ..Options::default() })
    }

    fn start_with(app: App, tls: Tls, options: Options) -> Self {
        let listeners = number8::server::bind(&["127.0.0.1:0".parse().unwrap()], 0).unwrap();
        let (tell, closed) = mpsc::channel();
        let tell = Mutex::new(tell);
        let server = Server::new(app, options, listeners).tls(tls).on_closed(move |_, why| {
            let _ = tell.lock().unwrap().send(why);
        });
        let address = match server.local_addrs().next() {
            Some(LocalAddr::Ip(address)) => *address,
            other => panic!("{other:?}"),
        };
        let handle = server.handle();
        let thread = thread::spawn(move || drop(server.run()));
        Self { address, handle, thread: Some(thread), closed }
    }

    fn plain(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn connect(&self, config: &Arc<ClientConfig>) -> Client {
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::clone(config), name).unwrap();
        StreamOwned::new(client, self.plain())
    }

    /// The answer to one request on a connection of its own.
    fn ask(&self, config: &Arc<ClientConfig>, request: &str) -> String {
        let mut client = self.connect(config);
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    fn closed(&self) -> Closed {
        self.closed.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown_now();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn tls() -> Tls {
    Tls::from_pem(CERTIFICATE.as_bytes(), KEY.as_bytes()).unwrap()
}

/// A client that trusts these certificates.
fn trusting(pem: &[&str], versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for pem in pem {
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn client() -> Arc<ClientConfig> {
    trusting(&[CERTIFICATE], rustls::ALL_VERSIONS)
}

/// Tells how the request came, and how much content it had.
fn app() -> App {
    App::new()
        .get("/", async |request: Request| format!("secure: {}", request.caller().is_secure))
        .post("/", async |content: Content| content.0.len().to_string())
}

fn start() -> Running {
    Running::start(app(), tls(), Timeouts::default())
}

const LAST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn g5_requests_are_answered_by_tls_1_2_and_1_3() {
    let running = start();
    for (version, want) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let mut client = running.connect(&trusting(&[CERTIFICATE], &[version]));
        // Two on one connection, and one with content of more than a record.
        let content = "x".repeat(300_000);
        let post = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        );
        client.write_all(post.as_bytes()).unwrap();
        client.write_all(LAST.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\r\n\r\n300000HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nsecure: true"), "{answer}");
        assert_eq!(client.conn.protocol_version(), Some(want));
        assert_eq!(client.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
}

/// Whatever a client likes best: testssl.sh has found that missing.
#[test]
fn g5_the_server_chooses_the_suite() {
    let running = start();
    for version in rustls::ALL_VERSIONS {
        let mut chosen = Vec::new();
        for is_reversed in [false, true] {
            let mut provider = rustls::crypto::ring::default_provider();
            if is_reversed {
                provider.cipher_suites.reverse();
            }
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()).unwrap();
            let config = ClientConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let mut client = running.connect(&Arc::new(config));
            client.write_all(LAST.as_bytes()).unwrap();
            client.read_to_end(&mut Vec::new()).unwrap();
            chosen.push(client.conn.negotiated_cipher_suite().unwrap().suite());
        }
        assert_eq!(chosen[0], chosen[1]);
    }
}

#[test]
fn g5_a_session_is_resumed_whichever_thread_has_the_connection() {
    let running = start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = trusting(&[CERTIFICATE], &[version]);
        // While one is open, the next one goes to the other thread.
        let mut open = Vec::new();
        for number in 0..4 {
            let mut client = running.connect(&config);
            client.write_all(LAST.replace("close", "keep-alive").as_bytes()).unwrap();
            client.read_exact(&mut [0; 60]).unwrap();
            let want = if number == 0 { HandshakeKind::Full } else { HandshakeKind::Resumed };
            assert_eq!(client.conn.handshake_kind(), Some(want), "{version:?} {number}");
            open.push(client);
        }
    }
}

/// A client that speaks these protocols, the one it likes best first.
fn speaking(protocols: &[&str]) -> Arc<ClientConfig> {
    let mut config = Arc::unwrap_or_clone(client());
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// The preface, empty SETTINGS, and a request for `/` by the tables of RFC 7541.
const HTTP2_REQUEST: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \0\0\0\x04\0\0\0\0\0\
    \0\0\x0e\x01\x05\0\0\0\x01\x82\x87\x84\x41\x09localhost";

#[test]
fn g7_http_2_is_chosen_by_alpn() {
    for (is_on, protocols, chosen) in [
        (true, &["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (true, &["http/1.1", "h2"], Some(b"h2")),
        (true, &["http/1.1"], Some(b"http/1.1")),
        (true, &[], None),
        (false, &["h2", "http/1.1"], Some(b"http/1.1")),
    ] {
        let mut options = Options { workers: 1, ..Options::default() };
        options.http2.is_on = is_on;
        let running = Running::start_with(app(), tls(), options);
        let mut client = running.connect(&speaking(protocols));
        let is_http2 = chosen == Some(b"h2");
        client.write_all(if is_http2 { HTTP2_REQUEST } else { LAST.as_bytes() }).unwrap();
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        while !String::from_utf8_lossy(&answer).contains("secure: true") {
            let count = client.read(&mut part).unwrap();
            assert!(count > 0, "{protocols:?}: {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&part[..count]);
        }
        assert_eq!(answer.starts_with(b"HTTP/1.1 200 "), !is_http2, "{protocols:?}");
        assert_eq!(client.conn.alpn_protocol(), chosen, "{is_on} {protocols:?}");
    }
}

/// What one protocol was chosen for is not read as another.
#[test]
fn g7_what_was_chosen_is_what_is_spoken() {
    let running = start();
    for (protocols, request, refusal) in [
        (&["h2"][..], LAST.as_bytes(), None),
        (&["http/1.1"], HTTP2_REQUEST, Some("HTTP/1.1 505 ")),
        (&[], HTTP2_REQUEST, Some("HTTP/1.1 505 ")),
    ] {
        let mut client = running.connect(&speaking(protocols));
        client.write_all(request).unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        match refusal {
            Some(refusal) => assert!(text.starts_with(refusal), "{protocols:?}: {text}"),
            None => assert!(!text.contains("HTTP/1.1"), "{protocols:?}: {text}"),
        }
    }
}

#[test]
fn g5_who_comes_without_tls_is_led_to_it() {
    let running = start();
    for (request, status, location) in [
        (
            "GET /a?b=1 HTTP/1.1\r\nHost: farm.example:8443\r\n\r\n",
            "308",
            "https://farm.example:8443/a?b=1",
        ),
        (
            "POST http://farm.example/x HTTP/1.1\r\nHost: farm.example\r\nContent-Length: 0\r\n\r\n",
            "308",
            "https://farm.example/x",
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: [::1]:1\r\n\r\n", "308", "https://[::1]:1/"),
        ("GET / HTTP/1.0\r\n\r\n", "400", ""),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400", ""),
        ("\x01\x02\x03\r\n\r\n", "400", ""),
    ] {
        let mut plain = running.plain();
        plain.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        plain.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert!(!answer.contains("secure:"), "{answer}");
        let line = format!("\r\nLocation: {location}\r\n");
        assert_eq!(answer.contains(&line), !location.is_empty(), "{request}: {answer}");
    }
}

/// What a client says first.
fn greeting() -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut hello = Vec::new();
    ClientConnection::new(client(), name).unwrap().write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn g5_a_greeting_may_come_byte_by_byte() {
    struct Trickle(TcpStream);
    impl Read for Trickle {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(&mut buf[..1])
        }
    }
    impl Write for Trickle {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0.write(&buf[..buf.len().min(1)])
        }
        fn flush(&mut self) -> std::io::Result<()> {
            self.0.flush()
        }
    }
    let running = start();
    let name = ServerName::try_from("localhost").unwrap();
    let socket = running.plain();
    socket.set_nodelay(true).unwrap();
    let connection = ClientConnection::new(client(), name).unwrap();
    let mut client = StreamOwned::new(connection, Trickle(socket));
    client.write_all(LAST.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("secure: true"), "{answer}");
}

#[test]
fn g5_a_greeting_that_is_cut_or_wrong_ends_that_connection_only() {
    let running = start();
    let hello = greeting();
    for cut in (0..hello.len()).step_by(7) {
        running.plain().write_all(&hello[..cut]).unwrap();
        running.closed();
    }
    for at in (0..hello.len()).step_by(5) {
        let mut wrong = hello.clone();
        wrong[at] ^= 0x55;
        let mut plain = running.plain();
        plain.write_all(&wrong).unwrap();
        plain.shutdown(std::net::Shutdown::Write).unwrap();
        // An alert, an answer to what is no TLS, or the next message where nothing that counts was changed.
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer);
        running.closed();
    }
    assert!(running.ask(&client(), LAST).ends_with("secure: true"));
}

#[test]
fn g5_a_greeting_without_end_is_refused() {
    let running = start();
    let mut plain = running.plain();
    // A message of 16 MiB, so it says, in records of 16 KiB.
    let mut record = vec![0x16, 3, 1, 0x40, 0];
    record.resize(5 + 0x4000, 0);
    record[5..9].copy_from_slice(&[1, 0xff, 0xff, 0xff]);
    let mut sent = 0;
    while plain.write_all(&record).is_ok() {
        sent += record.len();
        assert!(sent < 64 << 20, "nobody stops this");
        record[5..9].fill(0);
    }
    assert!(matches!(running.closed(), Closed::NotSecured(_)));
}

#[test]
fn g5_a_handshake_has_to_end_in_time() {
    let timeouts = Timeouts { handshake: Duration::from_millis(100), ..Timeouts::default() };
    let running = Running::start(app(), tls(), timeouts);
    let hello = greeting();
    for part in [0, 1, hello.len() / 2, hello.len()] {
        let mut plain = running.plain();
        plain.write_all(&hello[..part]).unwrap();
        let _ = plain.read_to_end(&mut Vec::new());
        assert_eq!(running.closed(), Closed::HandshakeTimeout, "{part}");
    }
}

#[test]
fn g5_whoever_does_not_trust_the_certificate_is_told_of_in_the_log_of_connections() {
    let running = start();
    let mut client = running.connect(&trusting(&[OTHER_CERTIFICATE], rustls::ALL_VERSIONS));
    assert_eq!(client.write_all(LAST.as_bytes()).unwrap_err().kind(), ErrorKind::InvalidData);
    // The alert goes out with the next call.
    let _ = client.flush();
    drop(client);
    assert_eq!(running.closed(), Closed::NotSecured("the client does not trust the certificate"));
}

#[test]
fn g5_a_balancer_says_whose_connection_it_is_before_tls() {
    let proxies = Proxies::new(["127.0.0.1".parse().unwrap()]).announce();
    let app = App::new().proxies(proxies).get("/", async |request: Request| {
        format!("{:?} {}", request.caller().ip, request.caller().is_secure)
    });
    let running = Running::start(app, tls(), Timeouts::default());
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(client(), name).unwrap();
    // With the beginning of TLS in one packet.
    let mut first = b"PROXY TCP4 192.0.2.8 192.0.2.1 5000 443\r\n".to_vec();
    tls.write_tls(&mut first).unwrap();
    let mut socket = running.plain();
    socket.write_all(&first).unwrap();
    let mut client = StreamOwned::new(tls, socket);
    client.write_all(LAST.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("Some(192.0.2.8) true"), "{answer}");
}

#[test]
fn g5_websockets_are_spoken_inside_tls() {
    let app = App::new().mount(
        "/",
        WebSocket::new(async |mut socket: Socket| {
            while let Ok(Some(message)) = socket.receive().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        }),
    );
    let running = Running::start(app, tls(), Timeouts::default());
    let mut client = running.connect(&client());
    let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(upgrade.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    for _ in 0..3 {
        client.write_all(b"\x81\x82\0\0\0\0hi").unwrap();
        let mut frame = [0; 4];
        client.read_exact(&mut frame).unwrap();
        assert_eq!(&frame, b"\x81\x02hi");
    }
}

#[test]
fn g5_files_of_any_size_arrive_whole() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::new().mount("/", Files::new(folder.path()).unwrap());
    let running = Running::start(app, tls(), Timeouts::default());
    for size in [0, 1, 16_383, 16_384, 16_385, 65_536, 5_000_001] {
        let content: Vec<u8> = (0..size).map(|at: usize| (at * 31 % 251) as u8).collect();
        fs::write(folder.path().join(size.to_string()), &content).unwrap();
        let mut client = running.connect(&client());
        write!(client, "GET /{size} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(&content), "{size}");
        let head = answer.len() - size;
        assert!(answer[..head].ends_with(b"\r\n\r\n"), "{size}");
    }
}

#[test]
fn g5_streams_arrive_as_they_are_made() {
    let app = App::new().get("/", async || {
        let (mut sender, body) = Body::channel();
        tokio::spawn(async move {
            for number in 0..1000 {
                let _ = sender.send(format!("{number:0100}")).await;
            }
            sender.finish();
        });
        body
    });
    let running = Running::start(app, tls(), Timeouts::default());
    let answer = running.ask(&client(), &LAST.replace("1.1", "1.0"));
    let (_, content) = answer.split_once("\r\n\r\n").unwrap();
    let want: String = (0..1000).map(|number| format!("{number:0100}")).collect();
    assert_eq!(content, want);
}

/// A certificate and its key in files, and what was told of them.
struct Watched {
    _folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
    tls: Tls,
    problems: Arc<Mutex<Vec<String>>>,
}

fn watched() -> Watched {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    fs::write(&certificate, CERTIFICATE).unwrap();
    fs::write(&key, KEY).unwrap();
    let problems = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&problems);
    let tls = Tls::from_files(&certificate, &key).unwrap().on_problem(move |error| {
        told.lock().unwrap().push(error.to_string());
    });
    Watched { _folder: folder, certificate, key, tls, problems }
}

#[test]
fn g5_a_certificate_that_changes_counts_from_the_next_connection_on() {
    let Watched { _folder, certificate, key, tls, problems } = watched();
    let running = Running::start(app(), tls, Timeouts::default());
    let mut old = running.connect(&client());
    old.write_all(b"GET / HTTP/1.1\r\n").unwrap();

    // A key that is none of the certificate's, as it is while only one of the two has been replaced.
    fs::write(&key, OTHER_KEY).unwrap();
    until(|| {
        assert!(running.ask(&client(), LAST).ends_with("secure: true"));
        !problems.lock().unwrap().is_empty()
    });
    let wrong = problems.lock().unwrap()[0].clone();
    assert!(wrong.contains("k.pem: ") && wrong.contains("not that of the certificate"), "{wrong}");

    fs::write(&certificate, OTHER_CERTIFICATE).unwrap();
    let new = trusting(&[OTHER_CERTIFICATE], rustls::ALL_VERSIONS);
    until(|| {
        let mut client = running.connect(&new);
        client.write_all(LAST.as_bytes()).is_ok()
    });
    // Whoever was there is still served.
    old.write_all(b"Host: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    old.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("secure: true"), "{answer}");
}

/// What cannot be read is said, and a pipe without a writer holds up nobody.
#[test]
fn g5_a_certificate_that_is_gone_or_a_pipe_is_told_of_and_waited_for_by_nobody() {
    let Watched { _folder, certificate, tls, problems, .. } = watched();
    // By the lane, as are looks at the files.
    let app = App::new().get("/", || "from the lane");
    let lane = LaneOptions { threads_max: 1, ..LaneOptions::default() };
    let running = Running::start_with(app, tls, Options { lane, ..Options::default() });
    let has_told = |what: &str| {
        assert!(running.ask(&client(), LAST).ends_with("from the lane"));
        problems.lock().unwrap().last().is_some_and(|told| told.contains(what))
    };
    fs::remove_file(&certificate).unwrap();
    until(|| has_told("cannot be read"));
    mknodat(CWD, &certificate, FileType::Fifo, Mode::RWXU, 0).unwrap();
    until(|| has_told("there is no certificate in it"));
    assert!(running.ask(&client(), LAST).ends_with("from the lane"));
    assert_eq!(problems.lock().unwrap().len(), 2, "{problems:?}");
}

fn until(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain");
        thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn g5_a_connection_too_many_is_not_held_though_its_client_is_silent() {
    let timeouts = Timeouts { linger: Duration::from_millis(50), ..Timeouts::default() };
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let options = Options { workers: 1, timeouts, limits, ..Options::default() };
    let running = Running::start_with(app(), tls(), options);
    let _served = running.plain();
    until(|| running.handle.connections() == 1);
    let _silent = running.plain();
    assert_eq!(running.closed(), Closed::TooMany);
}

#[test]
fn g5_what_is_wrong_with_a_certificate_or_a_key_is_said() {
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let both = format!("{CERTIFICATE}{KEY}");
    for (certificate, key, want) in [
        (CERTIFICATE, KEY, ""),
        (CERTIFICATE, KEY_SEC1, ""),
        (&both, &both, ""),
        (KEY, KEY, "there is no certificate in it"),
        ("", KEY, "there is no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", KEY, "the certificate in it cannot be used"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            KEY,
            "the certificate in it cannot be used",
        ),
        (CERTIFICATE, CERTIFICATE, "there is no private key in it"),
        (CERTIFICATE, encrypted, "has a password"),
        (CERTIFICATE, OTHER_KEY, "not that of the certificate"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let made = Tls::from_files(at("c.pem", certificate), at("k.pem", key));
        let said = made.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(want) && said.is_empty() == want.is_empty(), "{want:?}: {said}");
        let file = if want.contains("certificate in it") { "c.pem: " } else { "k.pem: " };
        assert!(want.is_empty() || said.contains(file), "{said}");
    }
    let missing = Tls::from_files("/nonexistent/c.pem", "/nonexistent/k.pem").unwrap_err();
    assert!(missing.to_string().starts_with("/nonexistent/c.pem: cannot be read: "), "{missing}");
}

#[test]
fn o4_handshakes_that_fail_are_counted() {
    let counted = |running: &Running, reason| {
        let line = format!("number8_connections_closed_total{{reason=\"{reason}\"}} 1");
        let text = running.handle.measure().text();
        assert!(text.lines().any(|other| other == line), "no {line} in\n{text}");
    };
    let timeouts = Timeouts { handshake: Duration::from_millis(100), ..Timeouts::default() };
    let running = Running::start(app(), tls(), timeouts);
    let silent = running.plain();
    assert_eq!(running.closed(), Closed::HandshakeTimeout);
    counted(&running, "handshake_timeout");
    drop(silent);
    let running = start();
    let mut client = running.connect(&trusting(&[OTHER_CERTIFICATE], rustls::ALL_VERSIONS));
    assert!(client.write_all(LAST.as_bytes()).is_err());
    // The alert goes out with the next call.
    let _ = client.flush();
    drop(client);
    assert!(matches!(running.closed(), Closed::NotSecured(_)));
    counted(&running, "not_secured");
}
