//! What there is to know of the program that runs, or ran last: one at a time (row B21).

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use number8_proto::sse;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::library::Library;
use super::output::Kept;
use super::posted::Posted;
use super::settings::Settings;
use crate::broadcast::{Channel, Frame, Heartbeat};
use crate::children::Exit;
use crate::sync::lock;

/// What all clones of a runner share.
#[derive(Debug)]
pub(super) struct Hub {
    shared: Mutex<Shared>,
    channel: OnceLock<Channel>,
    /// The first half of the ids of events, so that those of one run of the server are never taken for those of another.
    prefix: String,
}

#[derive(Debug, Default)]
struct Shared {
    last_id: u64,
    run: Option<Run>,
    history: VecDeque<Past>,
}

/// The program that runs or ran last.
#[derive(Debug)]
struct Run {
    past: Past,
    starter: Starter,
    begun: Instant,
    /// `None` while it runs.
    took: Option<Duration>,
    file: Option<PathBuf>,
    kept: Kept,
    orders: mpsc::UnboundedSender<Order>,
    waiting: Arc<AtomicUsize>,
    /// The event before its first one.
    event_before: String,
}

/// Who has started a program.
#[derive(Debug, Clone, Default)]
pub(super) struct Starter {
    /// The account, where one is known.
    pub(super) by: Option<Arc<str>>,
    /// The server itself, without a request.
    pub(super) at_start: bool,
}

/// A program that has run.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub(super) id: u64,
    pub(super) language: String,
    pub(super) name: Option<String>,
    pub(super) code: Arc<str>,
    /// Seconds since 1970-01-01T00:00Z.
    pub(super) started: f64,
    pub(super) exit: Option<Exit>,
    pub(super) stopped: Option<Stopped>,
}

/// Who or what has ended a program that did not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    Asked,
    Time,
    Memory,
    Output,
    Processes,
    Server,
}

/// What a request wants of the program that runs.
#[derive(Debug)]
pub(super) enum Order {
    Stop,
    Input(Bytes),
    EndInput,
}

/// The place of the one program; when it goes without [`Slot::end`], the program goes with the server.
#[derive(Debug)]
pub(super) struct Slot {
    hub: Arc<Hub>,
    settings: Arc<Settings>,
    id: u64,
    has_ended: bool,
    /// The one that ran before, until this one has begun.
    before: Option<Box<Run>>,
}

/// Why an order is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotNow {
    NothingRuns,
    /// As much waits to be read as may.
    Full,
}

impl Hub {
    pub(super) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let prefix = format!("{:x}", since.as_millis());
        Self { shared: Mutex::default(), channel: OnceLock::new(), prefix }
    }

    /// Takes the place for a program; `None` while another one has it. What it is to be told comes out of the other end.
    pub(super) fn reserve(
        self: &Arc<Self>,
        settings: &Arc<Settings>,
        posted: &Posted,
        starter: Starter,
        language: &str,
    ) -> Option<(Slot, Past, mpsc::UnboundedReceiver<Order>, Arc<AtomicUsize>)> {
        let mut shared = lock(&self.shared);
        if shared.run.as_ref().is_some_and(|run| run.took.is_none()) {
            return None;
        }
        let event_before = self.last_event(settings);
        shared.last_id += 1;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let past = Past {
            id: shared.last_id,
            language: language.to_owned(),
            name: posted.name.clone(),
            code: posted.code.as_str().into(),
            started: (started.as_secs_f64() * 1000.0).round() / 1000.0,
            exit: None,
            stopped: None,
        };
        let (orders, from_requests) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let run = Run {
            past: past.clone(),
            starter,
            begun: Instant::now(),
            took: None,
            file: None,
            kept: Kept::new(settings.kept_output_max),
            orders,
            waiting: Arc::clone(&waiting),
            event_before,
        };
        let before = shared.run.replace(run).map(Box::new);
        let slot = Slot {
            hub: Arc::clone(self),
            settings: Arc::clone(settings),
            id: shared.last_id,
            has_ended: false,
            before,
        };
        Some((slot, past, from_requests, waiting))
    }

    /// What [`Runner`](super::Runner) tells of itself.
    pub(super) fn state(&self) -> Value {
        lock(&self.shared).run.as_ref().map_or_else(|| json!({"state": "idle"}), Run::state)
    }

    pub(super) fn is_running(&self) -> bool {
        lock(&self.shared).run.as_ref().is_some_and(|run| run.took.is_none())
    }

    /// The text of the program that runs or ran last.
    pub(super) fn code(&self) -> Option<Arc<str>> {
        let shared = lock(&self.shared);
        let of_run = shared.run.as_ref().map(|run| &run.past);
        of_run.or(shared.history.back()).map(|past| Arc::clone(&past.code))
    }

    pub(super) fn output(&self) -> String {
        lock(&self.shared).run.as_ref().map(|run| run.kept.text()).unwrap_or_default()
    }

    /// # Errors
    /// Nothing runs, or the input that waits is as much as may.
    pub(super) fn order(&self, order: Order, input_max: usize) -> Result<(), NotNow> {
        let shared = lock(&self.shared);
        let running = shared.run.as_ref().filter(|run| run.took.is_none());
        let run = running.ok_or(NotNow::NothingRuns)?;
        if let Order::Input(bytes) = &order {
            let before = run.waiting.load(Ordering::Acquire);
            if before > 0 && before + bytes.len() > input_max {
                return Err(NotNow::Full);
            }
            run.waiting.fetch_add(bytes.len(), Ordering::AcqRel);
        }
        run.orders.send(order).map_err(|_| NotNow::NothingRuns)
    }

    /// Earlier programs, the newest first.
    pub(super) fn history(&self) -> Vec<Past> {
        lock(&self.shared).history.iter().rev().cloned().collect()
    }

    /// The programs that earlier runs of the server have kept, the newest last.
    pub(super) fn restore(&self, history: Vec<Past>) {
        let mut shared = lock(&self.shared);
        shared.last_id = history.iter().map(|past| past.id).max().unwrap_or(0).max(shared.last_id);
        shared.history = history.into();
    }

    /// Where events are sent.
    pub(super) fn channel(&self, settings: &Settings) -> &Channel {
        self.channel.get_or_init(|| {
            let comment = sse::Event { comment: Some(""), ..sse::Event::default() };
            let after_ms = HEARTBEAT.as_millis() as u64;
            let heartbeat = Heartbeat { frame: frame(&comment), after_ms };
            Channel::new(settings.kept_output_max, Some(heartbeat))
        })
    }

    /// The id of the event before the first one of this program; nobody has it where there is none.
    pub(super) fn event_before(&self) -> String {
        lock(&self.shared).run.as_ref().map(|run| run.event_before.clone()).unwrap_or_default()
    }

    fn last_event(&self, settings: &Settings) -> String {
        format!("{}-{}", self.prefix, self.channel(settings).sent())
    }

    /// Sends an event to all who listen.
    pub(super) fn publish(&self, settings: &Settings, name: &str, data: &Value) {
        self.channel(settings).send(|number| {
            let id = format!("{}-{number}", self.prefix);
            let data = data.to_string();
            let event = sse::Event {
                name: Some(name),
                id: Some(&id),
                data: Some(&data),
                ..sse::Event::default()
            };
            let frame = frame(&event);
            (id.into(), frame)
        });
    }
}

impl Run {
    fn state(&self) -> Value {
        let took = self.took.unwrap_or_else(|| self.begun.elapsed());
        json!({
            "state": if self.took.is_none() { "running" } else { "ended" },
            "id": self.past.id,
            "language": self.past.language,
            "name": self.past.name,
            "code": &*self.past.code,
            "file": self.file,
            "by": self.starter.by.as_deref(),
            "at_start": self.starter.at_start,
            "started": self.past.started,
            "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
            "exit": self.past.exit_json(),
            "stopped": self.past.stopped.map(Stopped::as_str),
        })
    }
}

impl Past {
    pub(super) fn exit_json(&self) -> Value {
        match self.exit {
            Some(Exit::Code(code)) => json!({"code": code}),
            Some(Exit::Signal(signal)) => json!({"signal": signal}),
            None => Value::Null,
        }
    }
}

impl Stopped {
    pub(super) const ALL: [Self; 6] =
        [Self::Asked, Self::Time, Self::Memory, Self::Output, Self::Processes, Self::Server];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Processes => "processes",
            Self::Server => "server",
        }
    }
}

impl Slot {
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The program has been started.
    pub(super) fn begin(&mut self, file: PathBuf) {
        self.before = None;
        self.with(|run| run.file = Some(file));
        self.hub.publish(&self.settings, "start", &self.hub.state());
    }

    /// The program has written this.
    pub(super) fn output(&self, stream: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        self.with(|run| run.kept.push(text));
        self.hub.publish(&self.settings, "output", &json!({"stream": stream, "text": text}));
    }

    /// Whether the last that it has written is what Python says of a MemoryError.
    pub(super) fn tells_of_a_memory_error(&self) -> bool {
        let shared = lock(&self.hub.shared);
        shared.run.as_ref().is_some_and(|run| run.kept.tells_of_a_memory_error())
    }

    /// Nothing of the program is left. Returns what the history has of it.
    pub(super) fn end(mut self, exit: Option<Exit>, stopped: Option<Stopped>) -> Option<Past> {
        self.set_ended(exit, stopped)
    }

    /// The program could not be started: it is as if it had not been asked for.
    pub(super) fn give_up(mut self) {
        self.has_ended = true;
        let mut shared = lock(&self.hub.shared);
        if shared.run.as_ref().is_some_and(|run| run.past.id == self.id) {
            shared.run = self.before.take().map(|before| *before);
        }
    }

    fn with(&self, change: impl FnOnce(&mut Run)) {
        if let Some(run) = lock(&self.hub.shared).run.as_mut().filter(|run| run.past.id == self.id)
        {
            change(run);
        }
    }

    fn set_ended(&mut self, exit: Option<Exit>, stopped: Option<Stopped>) -> Option<Past> {
        self.has_ended = true;
        let shared = &mut *lock(&self.hub.shared);
        let run = shared.run.as_mut().filter(|run| run.past.id == self.id)?;
        run.took = Some(run.begun.elapsed());
        (run.past.exit, run.past.stopped) = (exit, stopped);
        let (past, state) = (run.past.clone(), run.state());
        shared.history.push_back(past.clone());
        let bytes =
            |history: &VecDeque<Past>| history.iter().map(|past| past.code.len()).sum::<usize>();
        let history_max = self.settings.history_max;
        while shared.history.len() > history_max || bytes(&shared.history) > HISTORY_BYTES_MAX {
            shared.history.pop_front();
        }
        // Still under the lock: the next program begins after everyone can hear that this one has ended.
        self.hub.publish(&self.settings, "exit", &state);
        Some(past)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.has_ended {
            // Others may listen by a server that goes on.
            self.set_ended(None, Some(Stopped::Server));
        }
    }
}

/// Keeps what the history has of a program for the next run of the server; waits for the disk.
pub(super) fn keep(library: &Library, past: &Past, history_max: usize) {
    if let Err(error) = library.keep(past, history_max) {
        tracing::warn!("the program is not kept for the history: {error}");
    }
}

fn frame(event: &sse::Event<'_>) -> Frame {
    let mut content = Vec::new();
    if event.put(&mut content).is_err() {
        debug_assert!(false, "names and ids are ours");
        content.extend_from_slice(b":\n\n");
    }
    Frame::new(&content)
}

/// A listener who has got nothing for this time gets an empty comment.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Bytes of code that the history holds in memory.
const HISTORY_BYTES_MAX: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::children::User;

    /// Whoever starts a program as soon as the one before has ended hears nothing of that one.
    #[test]
    fn b21_what_is_told_of_one_program_comes_before_the_next() {
        let hub = Arc::new(Hub::new());
        let folder = std::env::temp_dir();
        let user = User::for_programs(None, &folder).unwrap();
        let settings = Arc::new(Settings::new(folder, user));
        let code = "pass".to_owned();
        let posted = Posted { code, language: None, name: None, pace: None };
        for _ in 0..300 {
            let (slot, ..) =
                hub.reserve(&settings, &posted, Starter::default(), "py").expect("nothing runs");
            let before = std::thread::scope(|scope| {
                scope.spawn(|| slot.end(Some(Exit::Code(0)), None));
                while hub.is_running() {
                    std::thread::yield_now();
                }
                let (next, ..) = hub
                    .reserve(&settings, &posted, Starter::default(), "py")
                    .expect("it has ended");
                let before = hub.event_before();
                next.give_up();
                before
            });
            assert_eq!(before, hub.last_event(&settings));
        }
    }
}
