//! What signals do.

use std::ffi::CString;
use std::fs;
use std::io::{ErrorKind, PipeWriter, Read, Write, pipe};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, mknodat};
use rustix::process::Signal;

use super::{Client, Served, last, sandbox, until};

#[test]
fn h3_term_and_int_end_it_with_exit_code_0() {
    let folder = sandbox();
    for signal in [Signal::TERM, Signal::INT] {
        let mut served = Served::start(folder.path(), &[]);
        assert!(served.get("/").ends_with("hello"));
        served.signal(signal);
        assert_eq!(served.ended().code(), Some(0), "{signal:?}");
    }
}

/// What one connection of the load got.
#[derive(Debug, PartialEq)]
enum Got {
    Whole,
    /// The connection was closed between two answers, which a client is prepared for.
    Closed,
    /// Nobody listens any more.
    Refused,
}

/// Asks on one connection until that ends.
fn ask_until_the_end(
    address: std::net::SocketAddr,
    answers: &AtomicUsize,
    is_stopping: &AtomicBool,
) -> Got {
    let mut socket = match TcpStream::connect(address) {
        Ok(socket) => socket,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Got::Refused,
        // It came into the queue of the listener, and that was closed before this was told so.
        Err(error)
            if error.kind() == ErrorKind::ConnectionReset
                && is_stopping.load(Ordering::Relaxed) =>
        {
            return Got::Refused;
        }
        Err(error) => panic!("{error}"),
    };
    socket.set_read_timeout(Some(super::PATIENCE)).unwrap();
    for round in 0.. {
        let request = b"GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let sent = socket.write_all(request);
        let mut answer = Vec::new();
        let mut buf = [0; 4096];
        while !answer.ends_with(b"hello") {
            match socket.read(&mut buf) {
                Ok(0) => {
                    let part = String::from_utf8_lossy(&answer);
                    assert_eq!(part, "", "an answer is cut");
                    // One whose first request is still on its way when the server stops is idle.
                    let is_idle = round > 0 || is_stopping.load(Ordering::Relaxed);
                    assert!(is_idle, "a connection ends without an answer ({sent:?})");
                    return Got::Closed;
                }
                Ok(count) => answer.extend_from_slice(&buf[..count]),
                // It was in the queue of the listener at the moment that this was closed.
                Err(_) if round == 0 && answer.is_empty() => return Got::Refused,
                // As one that is closed between two answers, but for a request that came in between.
                Err(_) if answer.is_empty() && is_stopping.load(Ordering::Relaxed) => {
                    return Got::Closed;
                }
                Err(error) => panic!("after {round} answers: {error}"),
            }
        }
        answers.fetch_add(1, Ordering::Relaxed);
        if answer.windows(17).any(|window| window == b"Connection: close") {
            return Got::Whole;
        }
        // Some clients use each connection once.
        if round == 3 && answers.load(Ordering::Relaxed).is_multiple_of(2) {
            return Got::Whole;
        }
    }
    Got::Whole
}

#[test]
fn under_load_nothing_that_was_accepted_is_cut() {
    let folder = sandbox();
    let mut served = Served::start(folder.path(), &["--log", "off", "--io-threads", "2"]);
    let address = served.address.unwrap();
    let (answers, is_stopping) = (AtomicUsize::new(0), AtomicBool::new(false));
    let ask = || ask_until_the_end(address, &answers, &is_stopping);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| while ask() != Got::Refused {});
        }
        until("there is load", || answers.load(Ordering::Relaxed) > 500);
        is_stopping.store(true, Ordering::Relaxed);
        served.signal(Signal::TERM);
    });
    assert_eq!(served.ended().code(), Some(0));
    assert!(!served.messages().iter().any(|line| line.contains("cut")), "{:?}", served.messages());
}

/// A client that does not read what it asked for.
fn stuck(served: &Served) -> Client {
    let mut client = served.connect();
    client.send(&last("/big.bin", "")).until("\r\n\r\n");
    client
}

#[test]
fn h3_a_second_signal_ends_it_at_once() {
    let folder = sandbox();
    let mut served = Served::start(folder.path(), &["--grace", "1h"]);
    let _client = stuck(&served);
    served.signal(Signal::TERM);
    until("nobody listens", || TcpStream::connect(served.address.unwrap()).is_err());
    assert!(served.child.try_wait().unwrap().is_none(), "it waits for the client");
    served.signal(Signal::TERM);
    assert_eq!(served.ended().code(), Some(0));
    // Those that only asked whether it listens may be among them.
    served.message("connections were cut while at work");
}

#[test]
fn the_end_of_the_grace_is_a_clean_end() {
    let folder = sandbox();
    let mut served = Served::start(folder.path(), &["--grace", "100ms"]);
    let _client = stuck(&served);
    served.signal(Signal::TERM);
    assert_eq!(served.ended().code(), Some(0));
    served.message("1 connections were cut while at work");
}

#[test]
fn hup_loads_the_configuration_again_and_a_broken_one_changes_nothing() {
    let folder = sandbox();
    let file = folder.path().join("n8.toml");
    let configure = |text: &str| fs::write(&file, text).unwrap();
    configure("header = ['X-Round: one']");
    let served = Served::start(folder.path(), &["--config", "n8.toml"]);
    assert!(served.get("/").contains("\r\nX-Round: one\r\n"));

    configure("header = ['X-Round: two']");
    served.signal(Signal::HUP);
    served.message("the configuration has been loaded again");
    assert!(served.get("/").contains("\r\nX-Round: two\r\n"));

    for broken in ["header = [", "error-page = { 404 = 'nowhere.html' }", "nonsense = 1"] {
        configure(broken);
        let before = served.messages().len();
        served.signal(Signal::HUP);
        until("it complains", || {
            served.messages()[before..].iter().any(|line| {
                line.contains("n8.toml:1") && line.contains("the old configuration stays in use")
            })
        });
        assert!(served.get("/").contains("\r\nX-Round: two\r\n"), "{broken}");
    }
    configure("header = ['X-Round: three']");
    served.signal(Signal::HUP);
    until("it is loaded", || served.get("/").contains("\r\nX-Round: three\r\n"));
}

/// A disk that hangs is like a pipe that nobody writes to: who waits for it keeps no worker from its connections.
#[test]
fn hup_keeps_nobody_waiting_for_a_disk() {
    let folder = sandbox();
    let file = folder.path().join("n8.toml");
    fs::write(&file, "header = ['X-Round: one']").unwrap();
    let words = ["--config", "n8.toml", "--io-threads", "1", "--log-file", "a.log"];
    let served = Served::start(folder.path(), &words);
    let mut client = served.connect();
    let mut asks = || {
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.until("hello")
    };
    assert!(asks().contains("X-Round: one"));

    fs::remove_file(&file).unwrap();
    let pipe = CString::new(file.as_os_str().as_encoded_bytes()).unwrap();
    mknodat(CWD, pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    served.signal(Signal::HUP);
    // It reads the pipe, from now on.
    let mut writer = fs::OpenOptions::new().write(true).open(&file).unwrap();
    assert!(asks().contains("X-Round: one"));
    // Once more, behind it.
    served.signal(Signal::HUP);
    served.signal(Signal::USR1);
    assert!(asks().contains("X-Round: one"));
    writer.write_all(b"header = ['X-Round: two']").unwrap();
    fs::remove_file(&file).unwrap();
    fs::write(&file, "header = ['X-Round: three']").unwrap();
    drop(writer);
    until("it is loaded twice", || {
        let lines = served.messages();
        lines.iter().filter(|line| line.contains("has been loaded again")).count() == 2
    });
    assert!(asks().contains("X-Round: three"));
}

#[test]
fn usr1_opens_the_log_file_anew() {
    let folder = sandbox();
    let served = Served::start(folder.path(), &["--log-file", "a.log", "--log", "$path"]);
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    served.get("/start.html");
    until("the line is there", || read("a.log") == "/start.html\n");

    fs::rename(folder.path().join("a.log"), folder.path().join("a.log.1")).unwrap();
    served.get("/plain/a.txt");
    until("the old file has it", || read("a.log.1") == "/start.html\n/plain/a.txt\n");
    served.signal(Signal::USR1);
    // The first of these may still go to the old file.
    until("the new file has some", || {
        served.get("/plain/b.txt");
        read("a.log").starts_with("/plain/b.txt\n")
    });
    assert!(read("a.log.1").starts_with("/start.html\n/plain/a.txt\n"));
}

#[test]
fn a_broken_pipe_and_the_end_of_a_child_are_nothing() {
    let folder = sandbox();
    let served = Served::start(folder.path(), &[]);
    for signal in [Signal::PIPE, Signal::CHILD] {
        served.signal(signal);
        assert!(served.get("/").ends_with("hello"), "{signal:?}");
    }
}

/// What a reload cannot change is named, once for each change.
#[test]
fn hup_names_what_takes_a_new_start() {
    let folder = sandbox();
    let file = folder.path().join("n8.toml");
    let mut command = crate::number8(folder.path());
    fs::write(&file, "max-head = '16K'\nhidden = true\nlog = 'off'").unwrap();
    command.args(["site", "-b", "127.0.0.1:0", "--config", "n8.toml"]);
    let served = Served::run(command);
    served.url();
    let changed = "max-head = '20K'\nport = 1\nmax-sessions = 9\nrun-time = '9s'\nlog = 'json'\nlog-slow = '1s'";
    fs::write(&file, changed).unwrap();
    for times in [1, 2] {
        served.signal(Signal::HUP);
        let loaded = |line: &String| line.contains("has been loaded again");
        until("it is told", || {
            served.messages().iter().filter(|line| loaded(line)).count() == times
        });
    }
    let named = "number8: max-sessions, run-time, port, log, log-slow, max-head: what has changed there takes a new start";
    let lines = served.messages();
    assert_eq!(lines.iter().filter(|line| line.contains("a new start")).count(), 1, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(named)), "{lines:?}");
}

/// Programs and the terminal go on running where they began, while files come from another folder.
#[test]
fn hup_names_what_programs_and_the_terminal_keep() {
    let folder = sandbox();
    let file = folder.path().join("n8.toml");
    fs::create_dir(folder.path().join("other")).unwrap();
    for (what, named) in [
        ("allow = 'ro'", "number8: webrepl-idle: what"),
        ("allow = 'ro,run'\nrun = 'sh=sh'", "number8: path, webrepl-idle: what"),
        ("allow = 'ro,repl'\nrepl = true", "number8: path, webrepl-idle, cors: what"),
    ] {
        fs::write(&file, format!("{what}\npath = 'site'")).unwrap();
        let mut command = crate::number8(folder.path());
        command.args(["-b", "127.0.0.1:0", "--config", "n8.toml"]);
        let served = Served::run(command);
        served.url();
        let changed = "path = 'other'\nwebrepl-idle = '1m'\ncors = 'https://app.example'";
        fs::write(&file, format!("{what}\n{changed}")).unwrap();
        served.signal(Signal::HUP);
        let loaded = |line: &String| line.contains("has been loaded again");
        until("it is told", || served.messages().iter().any(loaded));
        let lines = served.messages();
        assert!(lines.iter().any(|line| line.contains(named)), "{what}: {lines:?}");
    }
}

/// The certificate is made at the start, for the names of then.
#[test]
fn hup_tells_that_a_certificate_keeps_its_names() {
    let folder = sandbox();
    let file = folder.path().join("n8.toml");
    let mut command = crate::number8(folder.path());
    fs::write(&file, "host = ['a.local']\ntls-self-signed = 'state'").unwrap();
    command.args(["site", "-b", "127.0.0.1:0", "--config", "n8.toml"]);
    let served = Served::run(command);
    served.message("The certificate is by");
    for (times, host, said) in [(1, "a.local", 0), (2, "b.local", 1), (3, "b.local", 1)] {
        fs::write(&file, format!("host = ['{host}']\ntls-self-signed = 'state'")).unwrap();
        served.signal(Signal::HUP);
        let count = |text: &str| served.messages().iter().filter(|it| it.contains(text)).count();
        until("it is loaded", || count("has been loaded again") == times);
        assert_eq!(count("host: the certificate keeps the names that it has"), said, "{host}");
    }
}

/// What was on at the start can be turned off, and that takes no new start.
#[test]
fn hup_stops_programs_from_being_run() {
    let folder = sandbox();
    let file = folder.path().join("n8.toml");
    let mut command = crate::number8(folder.path());
    fs::write(&file, "allow = 'ro,run'\nlog = 'json'\nrun = 'sh=sh'").unwrap();
    command.args(["site", "-b", "127.0.0.1:0", "--config", "n8.toml"]);
    let mut served = Served::run(command);
    served.address = Some(served.url());
    let run = || {
        let mut client = served.connect();
        let request = "POST /.number8/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 22\r\nConnection: close\r\n\
            Content-Type: application/x-www-form-urlencoded\r\n\r\nlang=sh&code=echo+8888";
        client.send(request).rest()
    };
    assert!(run().starts_with("HTTP/1.1 303 "), "{}", run());
    fs::write(&file, "allow = 'ro,run'\nlog = 'short'\nrun = 'off'").unwrap();
    served.signal(Signal::HUP);
    let loaded = |line: &String| line.contains("has been loaded again");
    until("it is told", || served.messages().iter().any(loaded));
    assert!(run().starts_with("HTTP/1.1 405 "), "{}", run());
    let lines = served.messages();
    assert!(!lines.iter().any(|line| line.contains("a new start")), "{lines:?}");
}

/// What is refused at the start is refused later, too.
#[test]
fn hup_lets_nobody_write_from_other_machines_who_could_not_from_the_start() {
    let folder = sandbox();
    let file = folder.path().join("n8.toml");
    fs::write(&file, "allow = 'ro'").unwrap();
    let mut command = crate::number8(folder.path());
    command.args(["site", "-b", "0.0.0.0:0", "--config", "n8.toml"]);
    let mut served = Served::run(command);
    served.address = Some(served.url());
    let put = || {
        let mut client = served.connect();
        let request = "PUT /new.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx";
        client.send(request).rest()
    };
    for (text, said, is_open) in [
        ("allow = 'rw'", "could do more there than read: listen at localhost", false),
        ("allow = 'rw'\ninsecure = true", "the configuration has been loaded again", true),
    ] {
        fs::write(&file, text).unwrap();
        let before = served.messages().len();
        served.signal(Signal::HUP);
        until("it is told", || served.messages()[before..].iter().any(|line| line.contains(said)));
        assert_eq!(put().starts_with("HTTP/1.1 201 "), is_open, "{text}");
    }
}

/// Writes as much to a pipe as it takes.
fn fill(mut writer: &PipeWriter) {
    let flags = fcntl_getfl(writer).unwrap();
    fcntl_setfl(writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'.'; 4096]).is_ok() {}
    fcntl_setfl(writer, flags).unwrap();
}

#[test]
fn nobody_waits_for_whoever_reads_standard_error() {
    let folder = sandbox();
    let (_reader, writer) = pipe().unwrap();
    fill(&writer);
    let (config, socket) = (folder.path().join("n8.toml"), folder.path().join("n8.sock"));
    let configure = |value: &str| fs::write(&config, format!("header = [\"X-A: {value}\"]"));
    configure("before").unwrap();
    let mut command = crate::number8(folder.path());
    command.args(["site", "-b", "unix:n8.sock", "--config", "n8.toml", "--io-threads", "1"]);
    let child = command.stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    let mut served = Served { child, messages: Arc::default(), address: None };
    let connect = || {
        let socket = UnixStream::connect(&socket).ok()?;
        socket.set_read_timeout(Some(super::PATIENCE)).unwrap();
        Some(Client(socket))
    };
    let mut client = None;
    until("it listens", || {
        client = connect();
        client.is_some()
    });
    let answer = client.unwrap().send(&last("/", "")).rest();
    assert!(answer.contains("X-A: before\r\n") && answer.ends_with("hello"), "{answer}");
    configure("after").unwrap();
    served.signal(Signal::HUP);
    until("it has read the configuration again", || {
        connect().unwrap().send(&last("/", "")).rest().contains("X-A: after\r\n")
    });
    assert!(connect().unwrap().send(&last("/", "")).rest().ends_with("hello"));
    served.signal(Signal::TERM);
    assert_eq!(served.ended().code(), Some(0));
}
