//! One process on a terminal, and those who look at it. It goes on while nobody does.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

use super::command::Command;
use super::console;
use super::screen::{Gone, Screen};
use crate::children::{Child, End, Exit, Outcome, Size};
use crate::server::lane::Lane;
use crate::sync::lock;

/// The terminal. When the last one who holds it lets go, what runs in it is stopped.
#[derive(Debug)]
pub(super) struct Terminal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    command: Command,
    viewers_max: usize,
    alone_idle: Duration,
    state: Mutex<State>,
    /// Grows with everything that viewers may want to know.
    news: watch::Sender<u64>,
    /// What runs is to stop, as [`State::stops`] says.
    stop: Notify,
    /// Whoever is alone at the keys has read some more.
    read: Notify,
    /// The same, for threads.
    read_here: Condvar,
}

#[derive(Debug)]
struct State {
    screen: Screen,
    phase: Phase,
    /// Takes what is typed, from when the program is started until it has ended.
    keys: Option<mpsc::Sender<Bytes>>,
    size: Size,
    viewers: Vec<Viewer>,
    last_number: u64,
    /// What runs is to run again when it has ended, and then gets these keys: what was typed before is for what ends.
    again: Option<mpsc::Receiver<Bytes>>,
    /// What runs is to stop.
    stops: bool,
    /// What runs has written something.
    has_spoken: bool,
}

#[derive(Debug)]
enum Phase {
    Nothing,
    Starting,
    Running(Arc<End>),
    Ended(Ended),
}

#[derive(Debug, Clone, Copy)]
struct Viewer {
    number: u64,
    role: Role,
    /// How far it has read, where the program waits for it.
    place: Option<u64>,
    /// When it last sent something.
    heard: Instant,
}

/// What somebody at the terminal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Watches.
    Watch,
    /// Types, unless somebody has come later who does.
    Type,
    /// Is the only one to type for as long as it is there.
    Alone,
}

/// How what ran has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Exit(Exit),
    /// It could not be started, or nobody knows.
    Unknown,
}

/// What a viewer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) viewers: usize,
    pub(super) writes: bool,
    pub(super) size: Size,
    pub(super) ended: Option<Ended>,
}

/// A place at the terminal; dropping it leaves.
#[derive(Debug)]
pub(super) struct Seat {
    terminal: Arc<Terminal>,
    number: u64,
    /// Where what is kept begins for this one.
    pub(super) first: u64,
}

impl Terminal {
    pub(super) fn new(
        command: Command,
        viewers_max: usize,
        scroll_back_bytes: usize,
        alone_idle: Duration,
    ) -> Self {
        let state = State {
            screen: Screen::new(scroll_back_bytes),
            phase: Phase::Nothing,
            keys: None,
            size: Size { columns: 80, rows: 24 },
            viewers: Vec::new(),
            last_number: 0,
            again: None,
            stops: false,
            has_spoken: false,
        };
        let shared = Shared {
            command,
            viewers_max,
            alone_idle,
            state: Mutex::new(state),
            news: watch::Sender::new(0),
            stop: Notify::new(),
            read: Notify::new(),
            read_here: Condvar::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes a place, and starts the program if it never ran. `None` where there are as many as may be, or where somebody
    /// has asked to be alone who is there already.
    pub(super) fn sit(self: &Arc<Self>, role: Role, lane: &Lane) -> Option<Seat> {
        let mut state = self.shared.lock();
        let is_alone = self.shared.is_taken(&state);
        if state.viewers.len() >= self.shared.viewers_max || (role == Role::Alone && is_alone) {
            return None;
        }
        state.last_number += 1;
        let number = state.last_number;
        if role == Role::Alone {
            // Whoever was alone and is silent has to go.
            state.viewers.retain(|viewer| viewer.role != Role::Alone);
        }
        state.viewers.push(Viewer { number, role, place: None, heard: Instant::now() });
        if matches!(state.phase, Phase::Nothing) {
            self.shared.start(&mut state, lane);
        }
        let first = state.screen.first();
        drop(state);
        self.shared.tell();
        Some(Seat { terminal: Arc::clone(self), number, first })
    }

    /// Whether somebody is there who is alone at the keys, and not silent for too long.
    pub(super) fn is_taken(&self) -> bool {
        self.shared.is_taken(&self.shared.lock())
    }

    /// Whether what runs is our agent.
    pub(super) fn is_agent(&self) -> bool {
        self.shared.command.is_agent()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        (state.stops, state.again) = (true, None);
        drop(state);
        self.shared.stop.notify_one();
        self.shared.note_read();
    }
}

impl Seat {
    /// Hears of news; what there was before counts as heard.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.terminal.shared.news.subscribe()
    }

    /// The text from `place` on, which moves behind it; empty where there is none. Whoever was too slow begins again with
    /// what is kept.
    pub(super) fn read(&self, place: &mut u64) -> String {
        let shared = &self.terminal.shared;
        let mut state = shared.lock();
        let text = match state.screen.read(place, FRAME_BYTES_MAX) {
            Ok(text) => text,
            Err(Gone) => {
                *place = state.screen.first();
                RESET.to_owned()
            }
        };
        let alone = state.viewers.iter_mut().find(|viewer| viewer.role == Role::Alone);
        if let Some(alone) = alone.filter(|viewer| viewer.number == self.number) {
            alone.place = Some(*place);
            shared.note_read();
        }
        text
    }

    /// The place behind all that there is.
    pub(super) fn end(&self) -> u64 {
        self.terminal.shared.lock().screen.end()
    }

    /// Notes that something was heard. `false` where somebody else has taken the place.
    pub(super) fn hear(&self) -> bool {
        let mut state = self.terminal.shared.lock();
        let mut viewers = state.viewers.iter_mut();
        let own = viewers.find(|viewer| viewer.number == self.number);
        own.map(|viewer| viewer.heard = Instant::now()).is_some()
    }

    /// Whether somebody else has taken the place.
    pub(super) fn is_taken(&self) -> bool {
        let state = self.terminal.shared.lock();
        state.viewers.iter().all(|viewer| viewer.number != self.number)
    }

    /// Whether the program shows this last, or has ended.
    pub(super) fn shows(&self, end: &[u8]) -> bool {
        let state = self.terminal.shared.lock();
        matches!(state.phase, Phase::Ended(_)) || state.screen.ends_with(end)
    }

    /// Whether what runs has written something since it started.
    pub(super) fn has_spoken(&self) -> bool {
        self.terminal.shared.lock().has_spoken
    }

    pub(super) fn told(&self) -> Told {
        let state = self.terminal.shared.lock();
        Told {
            viewers: state.viewers.len(),
            writes: state.writer() == Some(self.number),
            size: state.size,
            ended: match state.phase {
                Phase::Ended(ended) => Some(ended),
                _ => None,
            },
        }
    }

    /// Types, if it is this one's turn; waits while the program is behind. What was not typed is left if this is dropped.
    pub(super) async fn write(&self, bytes: &mut BytesMut) {
        let keys = {
            let state = self.terminal.shared.lock();
            match &state.keys {
                Some(keys) if state.writer() == Some(self.number) => keys.clone(),
                _ => return bytes.clear(),
            }
        };
        while !bytes.is_empty() {
            let Ok(place) = keys.reserve().await else { return bytes.clear() };
            place.send(bytes.split_to(bytes.len().min(KEYS_BYTES)).freeze());
        }
    }

    /// Makes the terminal as large as that, if it is this one's turn.
    pub(super) fn resize(&self, size: Size) {
        let shared = &self.terminal.shared;
        let mut state = shared.lock();
        if state.writer() != Some(self.number) || state.size == size {
            return;
        }
        state.size = size;
        if let Phase::Running(terminal) = &state.phase {
            // Of a terminal that has just ended nobody needs to hear.
            let _ = terminal.resize(size);
        }
        drop(state);
        shared.tell();
    }

    /// Starts what runs anew, if it is this one's turn.
    pub(super) fn restart(&self, lane: &Lane) {
        let shared = &self.terminal.shared;
        let mut state = shared.lock();
        if state.writer() != Some(self.number) {
            return;
        }
        match state.phase {
            Phase::Nothing | Phase::Ended(_) => {
                shared.start(&mut state, lane);
                drop(state);
                shared.tell();
            }
            Phase::Starting | Phase::Running(_) => {
                let (keys, typed) = mpsc::channel(KEYS_MAX);
                (state.keys, state.again, state.stops) = (Some(keys), Some(typed), true);
                shared.stop.notify_one();
                shared.read_here.notify_all();
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let shared = &self.terminal.shared;
        shared.lock().viewers.retain(|viewer| viewer.number != self.number);
        shared.note_read();
        shared.tell();
    }
}

impl State {
    fn is_ahead(&self) -> bool {
        let place = self.viewers.iter().find_map(|viewer| viewer.place);
        place.is_some_and(|place| self.screen.end() - place > self.screen.bytes_max() as u64 / 2)
    }

    /// Who types: whoever is alone, else whoever came last to type.
    fn writer(&self) -> Option<u64> {
        let find = |role| self.viewers.iter().rev().find(move |viewer| viewer.role == role);
        find(Role::Alone).or_else(|| find(Role::Type)).map(|viewer| viewer.number)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn tell(&self) {
        self.news.send_modify(|news| *news = news.wrapping_add(1));
    }

    /// Starts the program; in the runtime of whoever asked for it.
    fn start(self: &Arc<Self>, state: &mut State, lane: &Lane) {
        let (keys, typed) = mpsc::channel(KEYS_MAX);
        (state.phase, state.keys, state.has_spoken) = (Phase::Starting, Some(keys), false);
        tokio::spawn(run(Arc::clone(self), typed, lane.clone()));
    }

    /// Notes that what ran has ended; returns what is typed from now on, if it is to run again.
    fn has_ended(&self, ended: Ended) -> Option<mpsc::Receiver<Bytes>> {
        let mut state = self.lock();
        let again = state.again.take();
        state.has_spoken = false;
        if again.is_some() {
            (state.phase, state.stops) = (Phase::Starting, false);
            state.screen.put(b"\r\n");
        } else {
            (state.phase, state.keys) = (Phase::Ended(ended), None);
        }
        drop(state);
        self.tell();
        again
    }

    fn is_taken(&self, state: &State) -> bool {
        let mut alone = state.viewers.iter().filter(|viewer| viewer.role == Role::Alone);
        alone.any(|viewer| viewer.heard.elapsed() < self.alone_idle)
    }

    /// Whether so much has been written that whoever is alone would miss some of it: a program at the other end of WebREPL
    /// needs every byte, so the one here waits.
    fn is_ahead(&self) -> bool {
        self.lock().is_ahead()
    }

    fn note_read(&self) {
        self.read.notify_one();
        self.read_here.notify_all();
    }

    /// Shows what a program of this process writes, which waits where [`Shared::is_ahead`].
    pub(super) fn show(&self, bytes: &[u8]) {
        for piece in bytes.chunks(READ_BYTES) {
            self.put(piece);
            let mut state = self.lock();
            while state.is_ahead() && !state.stops {
                state = self.read_here.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Waits until what runs is to stop.
    pub(super) async fn told_to_stop(&self) {
        loop {
            self.stop.notified().await;
            if self.lock().stops {
                return;
            }
        }
    }

    fn put(&self, bytes: &[u8]) {
        let mut state = self.lock();
        state.screen.put(bytes);
        state.has_spoken = true;
        drop(state);
        self.tell();
    }
}

/// What runs in a task. The task goes without an end of the program where its runtime does, such as that of one of two servers,
/// or where the function panics that a program of this process begins with.
struct Going {
    shared: Arc<Shared>,
    has_ended: bool,
}

impl Drop for Going {
    fn drop(&mut self) {
        if !self.has_ended {
            let mut state = self.shared.lock();
            (state.phase, state.keys) = (Phase::Ended(Ended::Unknown), None);
            (state.again, state.stops) = (None, false);
            drop(state);
            self.shared.tell();
        }
    }
}

/// Runs the program, again and again as long as that is asked for.
async fn run(shared: Arc<Shared>, mut typed: mpsc::Receiver<Bytes>, lane: Lane) {
    let mut going = Going { shared: Arc::clone(&shared), has_ended: false };
    loop {
        let ended = if let Some(start) = shared.command.inside() {
            console::attend(&shared, start, &mut typed).await
        } else {
            match begin(&shared, &lane).await {
                Ok(child) => Ended::from(go_on(&shared, child, &mut typed).await),
                Err(error) => {
                    let why = format!("\r\nThe program cannot be started: {error}\r\n");
                    shared.put(why.as_bytes());
                    Ended::Unknown
                }
            }
        };
        match shared.has_ended(ended) {
            Some(again) => typed = again,
            None => break going.has_ended = true,
        }
    }
}

async fn begin(shared: &Arc<Shared>, lane: &Lane) -> io::Result<Child> {
    let starting = Arc::clone(shared);
    let job = lane.submit(move || {
        let size = starting.lock().size;
        starting.command.spawn(size)?.start()
    });
    let failed = |_| io::Error::other("starting it has failed");
    let job = job.map_err(|full| io::Error::other(full.to_string()))?;
    job.await.map_err(failed)??.watch()
}

/// Hands to and fro until the program has ended.
async fn go_on(
    shared: &Arc<Shared>,
    mut child: Child,
    typed: &mut mpsc::Receiver<Bytes>,
) -> Outcome {
    let Some(terminal) = child.terminal.take() else { return child.ended().await };
    {
        let mut state = shared.lock();
        // It may have been given another size, or up, since it was started.
        let _ = terminal.resize(state.size);
        state.phase = Phase::Running(Arc::clone(&terminal));
    }
    shared.tell();

    let spoken = Notify::new();
    let output = async {
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(length @ 1..) = terminal.read(&mut buffer).await {
            shared.put(buffer.get(..length).unwrap_or_default());
            spoken.notify_one();
            while shared.is_ahead() {
                shared.read.notified().await;
            }
        }
        std::future::pending::<()>().await;
    };
    let input = async {
        // A terminal that the agent has not set up yet echoes, and takes Ctrl-C for an order to end.
        if shared.command.is_agent() {
            let _ = timeout(SPOKEN_TIME, spoken.notified()).await;
        }
        while let Some(bytes) = typed.recv().await {
            if terminal.write_all(&bytes).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::pin!(output, input);
    if shared.lock().stops {
        child.stop();
    }
    let outcome = loop {
        tokio::select! {
            outcome = child.ended() => break outcome,
            () = shared.stop.notified() => if shared.lock().stops {
                child.stop();
            },
            () = &mut output => {}
            () = &mut input => {}
        }
    };
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match terminal.try_read(&mut buffer) {
            0 => return outcome,
            length => shared.put(buffer.get(..length).unwrap_or_default()),
        }
    }
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        outcome.exit.map_or(Self::Unknown, Self::Exit)
    }
}

/// Clears a terminal and what it has been told before (RIS).
const RESET: &str = "\x1bc";
/// How long the agent may take to say something before it is sent keys.
const SPOKEN_TIME: Duration = Duration::from_secs(5);
/// Bytes that are read from the program at once.
const READ_BYTES: usize = 16 * 1024;
/// Bytes of a frame: those who speak WebREPL take no longer one than 65,535.
const FRAME_BYTES_MAX: usize = 16 * 1024;
/// Bytes that are typed at once, and how many such pieces may wait for the program.
const KEYS_BYTES: usize = 4 * 1024;
pub(super) const KEYS_MAX: usize = 8;
