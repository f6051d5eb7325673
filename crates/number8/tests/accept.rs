use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use number8::server::accept::{Host, Source, accept_forever, raise_nofile_limit};
use number8::server::bind::bind;
use number8::server::listener::{Accepted, Incoming, LocalAddr};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout};

#[test]
fn w11_an_error_of_one_connection_costs_the_next_one_nothing() {
    let errors = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::INTR,
        Errno::PERM,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::HOSTUNREACH,
        Errno::TIMEDOUT,
    ];
    for errno in errors {
        let events = play(&[Err(errno), Ok(1)], &[]);
        assert_eq!(events, [(0, Event::Accepted(1))], "{errno}");
    }
}

#[test]
fn pauses_grow_to_a_second_and_start_anew_after_a_success() {
    for errno in [Errno::NOBUFS, Errno::NOMEM] {
        let mut script = vec![Err(errno); 6];
        script.extend([Ok(1), Err(errno), Ok(2)]);
        let accepted: Vec<_> = play(&script, &[])
            .into_iter()
            .filter(|(_, event)| matches!(event, Event::Accepted(_)))
            .collect();
        let first = 100 + 200 + 400 + 800 + 1000 + 1000;
        assert_eq!(accepted, [(first, Event::Accepted(1)), (first + 100, Event::Accepted(2))]);
    }
}

#[test]
fn idle_connections_make_room_first() {
    let script = [Err(Errno::MFILE), Err(Errno::MFILE), Ok(1)];
    let events = play(&script, &[3, 1]);
    let expected = [
        (0, Event::Complained),
        (0, Event::MadeRoom(3)),
        (10, Event::MadeRoom(1)),
        (20, Event::Accepted(1)),
    ];
    assert_eq!(events, expected);
}

#[test]
fn without_idle_connections_one_client_is_turned_away() {
    for errno in [Errno::MFILE, Errno::NFILE] {
        let events = play(&[Err(errno), Ok(1), Ok(2)], &[]);
        let expected = [
            (0, Event::Complained),
            (0, Event::MadeRoom(0)),
            (0, Event::TurnedAway(1)),
            (100, Event::Accepted(2)),
        ];
        assert_eq!(events, expected, "{errno}");
    }
}

#[test]
fn an_unknown_error_neither_spins_nor_evicts() {
    let events = play(&[Err(Errno::INVAL), Ok(1)], &[9]);
    assert_eq!(events, [(0, Event::Complained), (100, Event::Accepted(1))]);
}

#[test]
fn complaints_come_at_most_every_five_seconds() {
    let events = play(&[Err(Errno::INVAL); 16], &[]);
    let times: Vec<u64> = events.into_iter().map(|(time, _)| time).collect();
    // Tries are at 0, 100, 300, 700, 1500, and then every second.
    assert_eq!(times, [0, 5500, 10500]);
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let before = getrlimit(Resource::Nofile);
    let lower = before.current.map(|current| current - 1);
    setrlimit(Resource::Nofile, Rlimit { current: lower, ..before }).unwrap();
    assert_eq!(Some(raise_nofile_limit()), before.maximum);
    assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
}

#[test]
fn a_process_without_descriptors_turns_away_makes_room_and_recovers() {
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 40; exec \"$0\" --exact accept::child_without_descriptors"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

const CHILD: &str = "NUMBER8_TEST_WITHOUT_DESCRIPTORS";

/// The process that the test above starts; alone it does nothing.
#[test]
fn child_without_descriptors() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let listener = bind(&["127.0.0.1:0".parse().unwrap()], 0).unwrap().remove(0);
    let LocalAddr::Ip(address) = *listener.local_addr() else { panic!("{listener:?}") };
    let (events, happened) = channel();
    let idle = Arc::new(Mutex::new(Vec::new()));
    let mut host = Crowded { idle: idle.clone(), events };
    thread::spawn(move || {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let mut incoming = Incoming::new(listener).unwrap();
            accept_forever(&mut incoming, &mut host).await
        })
    });
    // Once it takes connections, it has its reserve.
    let _first = TcpStream::connect(address).unwrap();
    assert_eq!(happened.recv(), Ok(Event::Accepted(0)));

    let mut rest = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        rest.push(file);
    }
    rest.pop();
    let mut turned_away = TcpStream::connect(address).unwrap();
    assert_eq!(happened.recv(), Ok(Event::Complained));
    assert_eq!(happened.recv(), Ok(Event::MadeRoom(0)));
    assert_eq!(happened.recv(), Ok(Event::TurnedAway(0)));
    assert_eq!(turned_away.read(&mut [0]).unwrap(), 0);

    idle.lock().unwrap().extend(rest.pop());
    rest.pop();
    let _second = TcpStream::connect(address).unwrap();
    assert_eq!(happened.recv(), Ok(Event::MadeRoom(1)));
    assert_eq!(happened.recv(), Ok(Event::Accepted(0)));
}

/// What the host was asked to do.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Accepted(u32),
    MadeRoom(usize),
    TurnedAway(u32),
    Complained,
}

/// A host that keeps what it accepts.
struct Crowded {
    idle: Arc<Mutex<Vec<File>>>,
    events: Sender<Event>,
}

impl Host<Accepted> for Crowded {
    fn accepted(&mut self, connection: Accepted) {
        std::mem::forget(connection);
        self.events.send(Event::Accepted(0)).unwrap();
    }

    fn make_room(&mut self) -> usize {
        let closed = self.idle.lock().unwrap().drain(..).count();
        self.events.send(Event::MadeRoom(closed)).unwrap();
        closed
    }

    fn turn_away(&mut self, connection: Accepted) {
        drop(connection);
        self.events.send(Event::TurnedAway(0)).unwrap();
    }

    fn complain(&mut self, _error: &io::Error) {
        self.events.send(Event::Complained).unwrap();
    }
}

/// Has `accept` give what `script` says and then nothing more, `make_room` what `rooms` says and then 0. Returns what
/// happened after how many milliseconds, on a clock that runs only while everything waits.
fn play(script: &[Result<u32, Errno>], rooms: &[usize]) -> Vec<(u64, Event)> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut source = Script(script.iter().copied().collect());
        let mut log =
            Log { begun: Instant::now(), rooms: rooms.iter().copied().collect(), events: vec![] };
        let forever = accept_forever(&mut source, &mut log);
        timeout(Duration::from_secs(60), forever).await.unwrap_err();
        log.events
    })
}

struct Script(VecDeque<Result<u32, Errno>>);

impl Source for Script {
    type Connection = u32;

    fn poll_accept(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<u32>> {
        match self.0.pop_front() {
            Some(result) => Poll::Ready(result.map_err(io::Error::from)),
            None => Poll::Pending,
        }
    }
}

struct Log {
    begun: Instant,
    rooms: VecDeque<usize>,
    events: Vec<(u64, Event)>,
}

impl Log {
    fn push(&mut self, event: Event) {
        let time = self.begun.elapsed().as_millis().try_into().unwrap();
        self.events.push((time, event));
    }
}

impl Host<u32> for Log {
    fn accepted(&mut self, connection: u32) {
        self.push(Event::Accepted(connection));
    }

    fn make_room(&mut self) -> usize {
        let closed = self.rooms.pop_front().unwrap_or(0);
        self.push(Event::MadeRoom(closed));
        closed
    }

    fn turn_away(&mut self, connection: u32) {
        self.push(Event::TurnedAway(connection));
    }

    fn complain(&mut self, _error: &io::Error) {
        self.push(Event::Complained);
    }
}
