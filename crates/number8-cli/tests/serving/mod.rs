//! The command while it serves a small folder, seen from outside: its socket, its messages and its end.
//!
//! Nothing here sleeps for a fixed time: whoever waits, waits for an event, and gives up after [`PATIENCE`].

// Who may do what, and who they are.
mod access;
// What each option changes in the answers.
mod answers;
// Pages for people.
mod board;
// What answers a request, and why.
mod explain;
// How long clients are waited for and how much is taken from them.
mod limits;
// Addresses, Unix sockets, and sockets that were handed over.
mod listening;
// A live terminal.
mod repl;
// What a service manager is told.
mod service;
// What signals do.
mod signals;
// By https.
mod tls;
// Files that are taken.
mod uploads;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What never happens in a sound run takes this long to be noticed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of `big.bin`: more than the buffers of both ends hold.
const BIG: u64 = 64 * 1024 * 1024;

/// A folder to serve: `site` with an index page, some files, a hidden one, a link out and a folder without index.
fn sandbox() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    fs::create_dir_all(site.join("plain")).unwrap();
    for (name, content) in [
        ("site/index.html", "hello"),
        ("site/start.html", "start"),
        ("site/model.glb", "glb"),
        ("site/.hidden", "hidden"),
        ("site/plain/a.txt", "a"),
        ("site/plain/b.txt", "b"),
        ("outside.txt", "outside"),
        ("404.html", "<h1>gone</h1>"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    fs::File::create(site.join("big.bin")).unwrap().set_len(BIG).unwrap();
    std::os::unix::fs::symlink("../outside.txt", site.join("out.txt")).unwrap();
    folder
}

/// Whether the kernel has Landlock, as it says itself.
fn has_landlock() -> bool {
    use landlock::{
        ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError,
    };
    let ask = || -> Result<_, RulesetError> {
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        ruleset.handle_access(AccessFs::from_all(ABI::V1))?.create()
    };
    ask().is_ok()
}

/// The running command. Dropping it kills it.
struct Served {
    child: Child,
    messages: Arc<Mutex<Vec<String>>>,
    address: Option<SocketAddr>,
}

impl Served {
    /// Serves `site` at a free port of the loopback.
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = crate::number8(folder);
        command.args(["site", "-b", "127.0.0.1:0"]).args(arguments);
        let mut served = Self::run(command);
        served.address = Some(served.url());
        served
    }

    /// Runs any command that becomes number8.
    fn run(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let messages = Arc::new(Mutex::new(Vec::new()));
        let collected = messages.clone();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                collected.lock().unwrap().push(line);
            }
        });
        Self { child, messages, address: None }
    }

    /// The address in the first URL that it prints.
    fn url(&self) -> SocketAddr {
        let line = self.message("http://127.0.0.1:");
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    /// Waits for a line on standard error that contains `text`.
    fn message(&self, text: &str) -> String {
        let mut found = None;
        let end = Instant::now() + PATIENCE;
        while found.is_none() {
            assert!(Instant::now() < end, "it does not say {text:?}, but {:?}", self.messages());
            thread::park_timeout(Duration::from_millis(2));
            found = self.messages().into_iter().find(|line| line.contains(text));
        }
        found.unwrap()
    }

    /// All it has said so far.
    fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// How many entries its `/proc/PID/fd` (or another folder there) has.
    fn count(&self, what: &str) -> usize {
        fs::read_dir(format!("/proc/{}/{what}", self.child.id())).unwrap().count()
    }

    /// How many sockets it holds: files that it keeps open come and go.
    fn sockets(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
            .count()
    }

    /// Waits for its end.
    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address.unwrap()).unwrap())
    }

    /// The answer to a GET on a connection of its own.
    fn get(&self, path: &str) -> String {
        self.get_with(path, "")
    }

    fn get_with(&self, path: &str, fields: &str) -> String {
        self.connect().send(&last(path, fields)).rest()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request that is the last one on its connection.
fn last(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")
}

/// A client that says exactly what it is told to.
struct Client<S = TcpStream>(S);

impl Client {
    fn new(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }
}

impl<S: Read + Write> Client<S> {
    fn send(&mut self, text: &str) -> &mut Self {
        self.0.write_all(text.as_bytes()).unwrap();
        self
    }

    /// Reads to the end.
    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Reads up to and with `text`.
    fn until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(text.as_bytes()) {
            let mut byte = [0];
            assert_eq!(self.0.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&read));
            read.push(byte[0]);
        }
        String::from_utf8(read).unwrap()
    }
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// The command by way of a shell, which can set what a parent sets: limits, descriptors, variables.
fn by_shell(folder: &Path, script: &str, arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new("sh");
    command.env_clear().env("HOME", folder).env("PATH", "/usr/bin:/bin").current_dir(folder);
    command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_number8")).args(arguments);
    command.stdin(Stdio::null());
    command
}
