//! From a program that was posted to one that has ended.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::hub::{Order, Past, Slot, Stopped, keep};
use super::interpreter::Interpreter;
use super::lines::Lines;
use super::output::Decoder;
use super::settings::Settings;
use crate::children::{Child, End, Exit, Limit, Outcome, Scratch, Spawn, Started};
use crate::server::lane::{Guest, Lane};

/// Written beside each program of a Python: the only name that it imports by itself.
const TELLS_LINES: &str = include_str!("sitecustomize.py");

/// Starts a program; waits for the disk. Returns it, and where its code is.
///
/// # Errors
/// There is no such interpreter, the disk is full, or the system has no more processes.
pub(super) fn start(
    settings: &Settings,
    interpreter: &Interpreter,
    past: &Past,
    pace: Option<f64>,
) -> io::Result<(Started, PathBuf)> {
    let name = format!("program.{}", interpreter.language());
    let mut files = vec![(name.as_str(), past.code.as_bytes())];
    if interpreter.tells_lines() {
        files.push(("lines/sitecustomize.py", TELLS_LINES.as_bytes()));
    }
    if interpreter.language() == "js" {
        // SECURITY: node looks for one in all folders above, and /tmp is everybody's.
        files.push(("package.json", b"{}"));
    }
    // What is not found otherwise is the interpreter.
    for folder in [&settings.folder, &settings.temporary] {
        let is_missing = |error| io::Error::other(format!("{}: {error}", folder.display()));
        folder.metadata().map_err(is_missing)?;
    }
    let scratch = Scratch::new(&settings.temporary, &settings.user, &files)?;
    let file = scratch.path().join(name);

    let mut environment = environment(settings, &scratch);
    if interpreter.tells_lines() {
        let own = settings.imports.then(|| settings.folder.clone());
        let lines = scratch.path().join("lines");
        let path = std::env::join_paths([Some(&lines), own.as_ref()].into_iter().flatten());
        // A folder with a colon in its name cannot be among them.
        environment.push(("PYTHONPATH".into(), path.unwrap_or(lines.into())));
        environment.push(("NUMBER8_PROGRAM".into(), file.clone().into()));
        environment.push(("NUMBER8_PACE".into(), pace.unwrap_or(0.0).to_string().into()));
    }
    environment.extend(settings.environment.iter().cloned());
    let mut confine = settings.confine.clone();
    confine.writable.extend([settings.folder.clone(), scratch.path().to_owned()]);
    let mut arguments: Vec<_> = interpreter.arguments().iter().map(Into::into).collect();
    arguments.push(file.clone().into());
    let spawn = Spawn {
        program: interpreter.command().into(),
        arguments,
        folder: settings.folder.clone(),
        environment,
        user: settings.user.clone(),
        limits: settings.limits.clone(),
        confine: Some(confine),
        terminal: None,
        side_pipe: interpreter.tells_lines().then_some("NUMBER8_LINES"),
        keep: Some(Box::new(scratch)),
    };
    Ok((spawn.start()?, file))
}

fn environment(
    settings: &Settings,
    scratch: &Scratch,
) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let user = &settings.user;
    vec![
        ("PATH".into(), PATH.into()),
        ("HOME".into(), user.home.clone().into()),
        ("USER".into(), user.name.clone().into()),
        ("LOGNAME".into(), user.name.clone().into()),
        ("LANG".into(), "C.UTF-8".into()),
        ("TMPDIR".into(), scratch.path().into()),
        // What is printed is seen at once.
        ("PYTHONUNBUFFERED".into(), "1".into()),
    ]
}

/// A program that runs, and what is known of it besides what the [`Slot`] has.
pub(super) struct Attended {
    pub(super) slot: Slot,
    pub(super) settings: Arc<Settings>,
    pub(super) interpreter: Interpreter,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    /// Bytes of input that wait.
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) lines: Lines,
    pub(super) lane: Lane,
    pub(super) guest: Guest,
    pub(super) told: Told,
}

/// Output that is to be told: what comes in many small pieces is told in few.
pub(super) struct Told {
    stream: &'static str,
    text: String,
    /// Not before then, unless it is much.
    next: Instant,
}

impl Told {
    pub(super) fn new() -> Self {
        Self { stream: "", text: String::new(), next: Instant::now() }
    }
}

impl Attended {
    /// Sees a program to its end.
    pub(super) async fn attend(mut self, mut child: Child) {
        let mut streams = [
            Stream { name: "stdout", end: child.stdout.take(), decoder: Decoder::default() },
            Stream { name: "stderr", end: child.stderr.take(), decoder: Decoder::default() },
        ];
        let mut input = Input { end: child.stdin.take(), queue: VecDeque::new(), is_last: false };
        let side = child.side.take();
        let mut written: u64 = 0;
        let mut stopped = None;
        let mut deadline = self.settings.time_max.and_then(|time| Instant::now().checked_add(time));
        let mut lines_at = Instant::now();
        let mut side_is_open = true;
        let mut server_serves = true;
        let (mut out, mut err, mut marks) =
            (vec![0; READ_BYTES], vec![0; READ_BYTES], [0; MARKS_BYTES]);

        let outcome = loop {
            let [stdout, stderr] = &mut streams;
            tokio::select! {
                Some(order) = self.orders.recv() => match order {
                    Order::Stop => {
                        // Who asks twice does not want to wait.
                        if stopped.is_some() { child.kill() } else { child.stop() }
                        stopped.get_or_insert(Stopped::Asked);
                    }
                    Order::Input(bytes) => input.queue.push_back(bytes),
                    Order::EndInput => input.is_last = true,
                },
                () = self.guest.told(), if server_serves => {
                    server_serves = false;
                    stopped.get_or_insert(Stopped::Server);
                    child.stop();
                }
                () = until(deadline) => {
                    deadline = None;
                    stopped.get_or_insert(Stopped::Time);
                    child.stop();
                }
                outcome = child.ended() => break outcome,
                length = read(side.as_ref(), &mut marks), if side_is_open => {
                    self.lines.push(marks.get(..length).unwrap_or_default());
                    side_is_open = length > 0;
                }
                () = sleep_until(self.told.next), if !self.told.text.is_empty() => self.tell_output(),
                () = sleep_until(lines_at), if self.lines.has_news() => {
                    self.tell_line();
                    lines_at = Instant::now() + LINE_PAUSE;
                }
                length = read(stdout.end.as_ref(), &mut out), if stdout.end.is_some() => {
                    let bytes = out.get(..length).unwrap_or_default();
                    self.take(stdout, bytes, &mut written);
                }
                length = read(stderr.end.as_ref(), &mut err), if stderr.end.is_some() => {
                    // What was printed before an error stands before it.
                    let before = stdout.end.as_ref().map_or(0, |end| end.try_read(&mut out));
                    if before > 0 {
                        self.take(stdout, out.get(..before).unwrap_or_default(), &mut written);
                    }
                    let bytes = err.get(..length).unwrap_or_default();
                    self.take(stderr, bytes, &mut written);
                }
                length = input.write() => {
                    self.waiting.fetch_sub(length, Ordering::AcqRel);
                }
            }
            if written > self.settings.output_max && stopped.is_none() {
                stopped = Some(Stopped::Output);
                child.kill();
            }
        };
        // Whoever could write has gone; what is in the pipes is the rest.
        for stream in &mut streams {
            while let Some(length) = stream.end.as_ref().map(|end| end.try_read(&mut out)) {
                self.take(stream, out.get(..length).unwrap_or_default(), &mut written);
            }
        }
        while let Some(length @ 1..) = side.as_ref().map(|side| side.try_read(&mut marks)) {
            self.lines.push(marks.get(..length).unwrap_or_default());
        }
        self.tell_output();
        self.tell_line();
        // Its folder, which may be large; a lane that is full lets us wait for the disk.
        if let Some(kept) = child.kept.take()
            && let Ok(job) = self.lane.submit(move || drop(kept))
        {
            let _ = job.await;
        }
        self.end(&outcome, stopped);
    }

    /// A stream has given these; nothing is its end.
    fn take(&mut self, stream: &mut Stream, bytes: &[u8], written: &mut u64) {
        let room = self.settings.output_max.saturating_sub(*written);
        *written += bytes.len() as u64;
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let mut text = stream.decoder.push(bytes.get(..fits).unwrap_or_default());
        if bytes.is_empty() {
            stream.end = None;
            text.push_str(&stream.decoder.finish());
        }
        if stream.name != self.told.stream {
            self.tell_output();
            self.told.stream = stream.name;
        }
        self.told.text.push_str(&text);
        if self.told.text.len() >= READ_BYTES || Instant::now() >= self.told.next {
            self.tell_output();
        }
    }

    fn tell_output(&mut self) {
        if !self.told.text.is_empty() {
            self.slot.output(self.told.stream, &self.told.text);
            self.told.text.clear();
            self.told.next = Instant::now() + OUTPUT_PAUSE;
        }
    }

    fn tell_line(&mut self) {
        if let Some(seen) = self.lines.take() {
            let event = serde_json::json!({"line": seen.line, "heat": seen.heat});
            self.slot.hub().publish(&self.settings, "line", &event);
        }
    }

    fn end(self, outcome: &Outcome, stopped: Option<Stopped>) {
        let stopped = stopped.or_else(|| match (outcome.limit, outcome.exit) {
            (Some(Limit::Memory), _) => Some(Stopped::Memory),
            (Some(Limit::Processes), _) => Some(Stopped::Processes),
            // Its supervisor is gone: killed, as the server may be next.
            (None, None) => Some(Stopped::Server),
            // The limit was refused to it rather than that it was killed for it.
            (None, Some(Exit::Code(1))) if self.interpreter.tells_lines() => {
                self.slot.tells_of_a_memory_error().then_some(Stopped::Memory)
            }
            _ => None,
        });
        let past = self.slot.end(outcome.exit, stopped);
        if let (Some(past), Some(library)) = (past, self.settings.library.clone()) {
            let history_max = self.settings.history_max;
            // A lane that is full has more to do than to remember this.
            if let Ok(job) = self.lane.submit(move || keep(&library, &past, history_max)) {
                job.detach();
            }
        }
    }
}

struct Stream {
    name: &'static str,
    end: Option<End>,
    decoder: Decoder,
}

/// What the program is to read.
struct Input {
    end: Option<End>,
    queue: VecDeque<Bytes>,
    /// Nothing comes after what is in the queue.
    is_last: bool,
}

impl Input {
    /// Writes what the program has room for; returns how many bytes do not wait any more. Nothing is lost if this is dropped.
    async fn write(&mut self) -> usize {
        match (&self.end, self.queue.front_mut()) {
            (Some(end), Some(first)) => match end.write(first).await {
                Ok(length) => {
                    first.advance(length);
                    if first.is_empty() {
                        self.queue.pop_front();
                    }
                    length
                }
                // It does not read any more.
                Err(_) => {
                    self.end = None;
                    self.discard()
                }
            },
            (None, Some(_)) => self.discard(),
            (_, None) => {
                if self.is_last {
                    self.end = None;
                }
                pending().await
            }
        }
    }

    fn discard(&mut self) -> usize {
        self.queue.drain(..).map(|bytes| bytes.len()).sum()
    }
}

async fn read(end: Option<&End>, buffer: &mut [u8]) -> usize {
    match end {
        Some(end) => end.read(buffer).await.unwrap_or(0),
        None => pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// Where programs look for others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes of output that become one event.
const READ_BYTES: usize = 8 * 1024;

/// Bytes of marks that are read at once.
const MARKS_BYTES: usize = 1024;

/// The least time between two events of output, unless they are large: nobody sees that it was waited for.
const OUTPUT_PAUSE: Duration = Duration::from_millis(15);

/// The least time between two events that tell the line.
const LINE_PAUSE: Duration = Duration::from_millis(100);
