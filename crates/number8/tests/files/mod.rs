//! A folder, served: over real sockets, as a client sees it.
//!
//! Files are written with a time long past, since those that have just changed are neither kept nor given a strong
//! tag. Where a kept file has to be looked at again, the room is told to look each time.

mod access;
pub(crate) mod again;
pub(crate) mod answers;
pub(crate) mod coding;
pub(crate) mod conditional;
pub(crate) mod listing;
pub(crate) mod live;
pub(crate) mod paths;
mod pressure;
pub(crate) mod range;
mod unread;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use number8::server::{Bind, LocalAddr, bind};
use number8::{App, Files, Handle, Options, Server};
use tempfile::TempDir;

/// How long a test waits for what has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Tue, 02 Jan 2024 03:04:05 GMT: when the files of a site were changed.
const LONG_AGO: u64 = 1_704_164_645;

/// A folder to serve.
pub(super) struct Site {
    temp: TempDir,
}

impl Site {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let site = Self { temp: tempfile::tempdir().unwrap() };
        for (name, content) in files {
            site.write(name, content);
        }
        site
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// Writes a file that was changed long ago; its folders are made.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        self.write_young(name, content);
        self.change_time(name, at(LONG_AGO));
    }

    /// Writes a file now.
    fn write_young(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn change_time(&self, name: &str, time: SystemTime) {
        let file = fs::File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(time).unwrap();
    }

    /// The folder as a room that looks at each file each time.
    fn files(&self) -> Files {
        Files::new(self.temp.path()).unwrap().freshness(Duration::ZERO)
    }

    fn serve(&self) -> Served {
        serve(self.files())
    }
}

fn at(unix_seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds)
}

/// A server that runs until it is dropped.
pub(super) struct Served {
    pub(super) addr: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

fn serve(files: Files) -> Served {
    serve_app(App::new().mount("/", files))
}

pub(super) fn serve_app(app: App) -> Served {
    serve_with(app, Options { workers: 1, ..Options::default() })
}

pub(super) fn serve_with(app: App, options: Options) -> Served {
    let listeners = bind(&["127.0.0.1:0".parse::<Bind>().unwrap()], 0).unwrap();
    let server = Server::new(app, options, listeners);
    let addr = match server.local_addrs().next() {
        Some(LocalAddr::Ip(addr)) => *addr,
        other => panic!("listens at {other:?}"),
    };
    let handle = server.handle();
    // Connections that are open at the end are cut: that is no failure.
    let thread = std::thread::spawn(move || drop(server.run()));
    Served { addr, handle, thread: Some(thread) }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.handle.shutdown_now();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

impl Served {
    pub(super) fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[])
    }

    /// GET with the fields `Name: value`.
    pub(crate) fn get_with(&self, target: &str, fields: &[&str]) -> Answer {
        self.ask("GET", target, fields)
    }

    pub(super) fn ask(&self, method: &str, target: &str, fields: &[&str]) -> Answer {
        if again::is_by_http2() {
            return again::ask(self.addr, method, target, fields, None);
        }
        let mut stream = self.send(method, target, fields);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::parse(&bytes, method == "HEAD")
    }

    /// A request with content.
    pub(super) fn ask_with(
        &self,
        method: &str,
        target: &str,
        fields: &[&str],
        content: &[u8],
    ) -> Answer {
        let length = format!("Content-Length: {}", content.len());
        let fields = [&[length.as_str()], fields].concat();
        if again::is_by_http2() {
            return again::ask(self.addr, method, target, &fields, Some(content));
        }
        let mut stream = self.send(method, target, &fields);
        // A server that refuses may do so before it has read everything.
        let _ = stream.write_all(content);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::parse(&bytes, false)
    }

    /// Sends a request on a connection of its own, and leaves the answer to be read.
    pub(super) fn send(&self, method: &str, target: &str, fields: &[&str]) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        for field in fields {
            request += field;
            request += "\r\n";
        }
        stream.write_all((request + "\r\n").as_bytes()).unwrap();
        stream
    }
}

/// An answer, its content out of its framing.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn parse(bytes: &[u8], is_head: bool) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let fields = lines
            .map(|line| line.split_once(": ").expect("a field"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut answer = Self { status, fields, body: bytes[end..].to_vec() };
        if is_head || matches!(status, 204 | 304) {
            assert!(answer.body.is_empty(), "content after {head}");
        } else if answer.field("Transfer-Encoding") == Some("chunked") {
            answer.body = dechunked(&answer.body);
        } else {
            let length = answer.field("Content-Length").expect("a length");
            assert_eq!(length, answer.body.len().to_string(), "after {head}");
        }
        answer
    }

    /// The value of the one field of that name.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} comes more than once: {all:?}");
        all.first().copied()
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let same = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        self.fields.iter().filter(same).map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn etag(&self) -> &str {
        self.field("ETag").expect("an ETag")
    }

    /// The fields that do not differ from one answer to the next.
    fn steady_fields(&self) -> Vec<(String, String)> {
        let mut fields = self.fields.clone();
        fields.retain(|(name, _)| !name.eq_ignore_ascii_case("Date"));
        fields
    }
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").expect("a chunk");
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let chunk = &rest[line + 2..];
        if size == 0 {
            assert_eq!(chunk, b"\r\n", "after the last chunk");
            return content;
        }
        content.extend_from_slice(&chunk[..size]);
        assert_eq!(&chunk[size..size + 2], b"\r\n");
        rest = &chunk[size + 2..];
    }
}

/// Waits until something has come about.
pub(super) fn eventually(mut has_come: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !has_come() {
        assert!(begin.elapsed() < PATIENCE, "it never came");
        std::thread::yield_now();
    }
}

/// Text that compresses well, of that many bytes.
fn prose(bytes: usize) -> String {
    "Number 8 wire mends anything on the farm.\n".chars().cycle().take(bytes).collect()
}

/// Bytes that do not compress, the same each time.
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut noise: Vec<u8> = (0..bytes.div_ceil(8)).flat_map(|_| next()).collect();
    noise.truncate(bytes);
    noise
}

/// How many descriptors of this process are open on something below a folder.
pub(super) fn open_below(folder: &Path) -> usize {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
        .filter(|target| target.starts_with(folder))
        .count()
}
