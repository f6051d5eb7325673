//! A running server, and a client that reads what it gets byte by byte.
//!
//! Nothing here sleeps for a fixed time: whoever waits, waits for an event, and gives up after [`PATIENCE`].

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use number8::server::{self, Limits, LocalAddr, Timeouts};
use number8::{App, Handle, Options, ServeError, Server};
use tokio::runtime;

/// What never happens in a sound run takes this long to be noticed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The ways to run a server; all have to behave alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// `serve()` in a runtime of one thread.
    CurrentThread,
    /// `serve()` in a runtime of two threads.
    MultiThread,
    /// `run()` with two workers.
    Workers,
}

/// Runs each check on each setup.
macro_rules! on_each_setup {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::serving::Setup;

            #[test]
            fn current_thread() {
                super::$name(Setup::CurrentThread);
            }

            #[test]
            fn multi_thread() {
                super::$name(Setup::MultiThread);
            }

            #[test]
            fn workers() {
                super::$name(Setup::Workers);
            }
        }
    )*};
}
pub(crate) use on_each_setup;

/// A server on a free port of the loopback, in a thread of its own. Dropping it ends it.
pub(crate) struct Running {
    address: SocketAddr,
    handle: Handle,
    result: mpsc::Receiver<Result<(), ServeError>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(setup: Setup, app: App) -> Self {
        Self::with(setup, app, patient())
    }

    pub(crate) fn with(setup: Setup, app: App, options: Options) -> Self {
        let options = Options { workers: 2, ..options };
        let listeners = server::bind(&["127.0.0.1:0".parse().unwrap()], 0).unwrap();
        let server = Server::new(app, options, listeners);
        let Some(&LocalAddr::Ip(address)) = server.local_addrs().next() else { panic!("no TCP") };
        let handle = server.handle();
        let (sender, result) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut builder = match setup {
                Setup::Workers => {
                    sender.send(server.run()).unwrap();
                    return;
                }
                Setup::CurrentThread => runtime::Builder::new_current_thread(),
                Setup::MultiThread => runtime::Builder::new_multi_thread(),
            };
            let runtime = builder.worker_threads(2).enable_all().build().unwrap();
            sender.send(runtime.block_on(server.serve())).unwrap();
        });
        Self { address, handle, result, thread: Some(thread) }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap())
    }

    /// Waits until serving has ended.
    pub(crate) fn ended(self) -> Result<(), ServeError> {
        self.result.recv_timeout(PATIENCE).expect("the server does not end")
    }

    /// Waits until no connection is left, and checks that none left anything behind.
    pub(crate) fn is_at_rest(&self) {
        until("all connections end", || self.handle.connections() == 0);
        assert_eq!(self.handle.buffered(), 0);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown_now();
        if let Some(thread) = self.thread.take()
            && !thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}

/// Options under which no deadline passes while a test lasts.
pub(crate) fn patient() -> Options {
    let long = 3 * PATIENCE;
    Options {
        timeouts: Timeouts {
            first_byte: long,
            handshake: long,
            head: long,
            body: long,
            body_rate_min: 0,
            body_rate_after: long,
            write: long,
            idle: long,
            linger: long,
        },
        limits: Limits::default(),
        grace: long,
        ..Options::default()
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// A client that says exactly what it is told to.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    fn new(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(socket))
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
        self
    }

    /// A GET without more than it needs.
    pub(crate) fn get(&mut self, path: &str) -> &mut Self {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
    }

    pub(crate) fn half_close(&mut self) -> &mut Self {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
        self
    }

    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        self.0.get_mut()
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        let socket = self.0.into_inner();
        rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.status < 200 {
            return answer;
        }
        if let Some(length) = answer.field("content-length") {
            answer.content.resize(length.parse().unwrap(), 0);
            self.0.read_exact(&mut answer.content).unwrap();
        } else if answer.field("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                answer.content.extend_from_slice(&chunk);
            }
        } else if answer.status != 204 && answer.status != 304 {
            self.0.read_to_end(&mut answer.content).unwrap();
        }
        answer
    }

    /// The head of an answer alone.
    pub(crate) fn head(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "the head ends after {head:?}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, content: Vec::new() }
    }

    /// The next chunk of content; `None` at its end.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim_end(), 16)
            .unwrap_or_else(|_| panic!("{line:?} is no chunk"));
        let mut chunk = vec![0; length + 2];
        self.0.read_exact(&mut chunk).unwrap();
        assert!(chunk.ends_with(b"\r\n"));
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// Reads the end, and nothing before it.
    pub(crate) fn ends(&mut self) {
        assert_eq!(self.rest().unwrap(), "");
    }

    /// Everything up to the end; an error where the connection is cut by a reset.
    pub(crate) fn rest(&mut self) -> Result<String, ErrorKind> {
        let mut rest = Vec::new();
        let result = self.0.read_to_end(&mut rest);
        result.map_err(|error| error.kind())?;
        Ok(String::from_utf8_lossy(&rest).into_owned())
    }

    /// Reads until the connection is over, however it ends, and returns how much came.
    pub(crate) fn drained(mut self) -> u64 {
        let mut count = 0;
        let mut buf = vec![0; 64 * 1024];
        loop {
            match self.0.read(&mut buf) {
                Ok(0) => return count,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return count,
                Ok(read) => count += read as u64,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) content: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }

    /// Whether the server says that this answer is the last one.
    pub(crate) fn is_last(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

/// A handler that waits at a gate: it says when it has come, and goes on when it is let through.
pub(crate) struct Gate {
    arrivals: mpsc::Receiver<()>,
    open: std::sync::Arc<tokio::sync::Semaphore>,
}

impl Gate {
    /// The gate, and what a handler does to pass it.
    pub(crate) fn new() -> (Self, Passage) {
        let (arrived, arrivals) = mpsc::channel();
        let open = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        (Self { arrivals, open: open.clone() }, Passage { arrived, open })
    }

    /// Waits until somebody is at the gate.
    pub(crate) fn arrival(&self) {
        self.arrivals.recv_timeout(PATIENCE).expect("nobody comes");
    }

    /// Lets so many through.
    pub(crate) fn open(&self, count: usize) {
        self.open.add_permits(count);
    }
}

#[derive(Clone)]
pub(crate) struct Passage {
    arrived: mpsc::Sender<()>,
    open: std::sync::Arc<tokio::sync::Semaphore>,
}

impl Passage {
    pub(crate) async fn pass(self) {
        let _ = self.arrived.send(());
        self.open.acquire().await.unwrap().forget();
    }
}

/// Content that a test sends piece by piece.
pub(crate) struct Pieces(pub(crate) tokio::sync::mpsc::UnboundedReceiver<std::io::Result<Bytes>>);

impl futures_core::Stream for Pieces {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// A request with a body of known length.
pub(crate) fn post(path: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n{body}")
}

/// A request with these chunks and trailers.
pub(crate) fn post_chunked(path: &str, chunks: &[&str], trailers: &str) -> String {
    let mut request =
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in chunks {
        write!(request, "{:x}\r\n{chunk}\r\n", chunk.len()).unwrap();
    }
    request + "0\r\n" + trailers + "\r\n"
}

/// Whether the kernel has Landlock, as it says itself.
#[cfg(feature = "children")]
pub(crate) fn has_landlock() -> bool {
    use landlock::{
        ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError,
    };
    let ask = || -> Result<_, RulesetError> {
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        ruleset.handle_access(AccessFs::from_all(ABI::V1))?.create()
    };
    ask().is_ok()
}
