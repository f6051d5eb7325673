//! What the processes of an app have counted, gathered where they are kept: each is asked by a byte in one pipe, and answers with
//! its text and a zero in another, and says the same once more when it ends. Whoever keeps them answers for all.

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use number8::Handle;
use number8::metrics::{counted, sum};
use number8_cli::problem::say;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::lock::lock;
use crate::sys;

/// How long processes have to answer, all together. Of one that does not, what it has said last counts.
const PATIENCE: Duration = Duration::from_secs(1);

/// Everything that is counted.
#[derive(Clone, Default)]
pub(super) struct Gathered(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The server of this very process, where the app runs in it.
    own: OnceLock<Handle>,
    processes: Mutex<Processes>,
}

#[derive(Default)]
struct Processes {
    asked: HashMap<i32, Process>,
    /// What those have counted that have ended.
    ended: String,
}

/// A process that can be asked.
struct Process {
    ask: PipeWriter,
    answers: PipeReader,
    /// A question has no answer yet.
    is_asked: bool,
    /// What of the answer is here.
    heard: Vec<u8>,
    last: String,
}

impl Gathered {
    /// Counts what the server of this process does.
    pub(super) fn own(&self, handle: Handle) {
        // There is one.
        let _ = self.0.own.set(handle);
    }

    /// Asks a process from now on; the pipes stay those of the caller.
    pub(super) fn add(&self, pid: i32, ask: RawFd, answers: RawFd) -> io::Result<()> {
        let process = Process {
            ask: sys::duplicate(ask)?.into(),
            answers: sys::duplicate(answers)?.into(),
            is_asked: false,
            heard: Vec::new(),
            last: String::new(),
        };
        self.processes(|processes| drop(processes.asked.insert(pid, process)));
        Ok(())
    }

    /// A process has ended: what it has counted stays, up to what it said last.
    pub(super) fn remove(&self, pid: i32) {
        self.processes(|processes| {
            if let Some(mut process) = processes.asked.remove(&pid) {
                process.hear_out();
                processes.ended = sum([&*processes.ended, &*counted(&process.last)]);
            }
        });
    }

    /// What all have counted.
    pub(super) fn text(&self) -> String {
        let own = self.0.own.get().map(|handle| handle.measure().text());
        self.processes(|processes| {
            let until = Instant::now() + PATIENCE;
            for process in processes.asked.values_mut() {
                process.ask();
            }
            for process in processes.asked.values_mut() {
                process.hear(until);
            }
            let said = processes.asked.values().map(|process| &*process.last);
            sum(said.chain([&*processes.ended]).chain(own.as_deref()))
        })
    }

    fn processes<T>(&self, with: impl FnOnce(&mut Processes) -> T) -> T {
        with(&mut lock(&self.0.processes))
    }
}

impl Process {
    /// A process that is about to end is no longer there to hear it.
    fn ask(&mut self) {
        self.is_asked = self.is_asked || self.ask.write_all(b"?").is_ok();
    }

    fn hear(&mut self, until: Instant) {
        while self.is_asked && is_readable(&self.answers, until) && self.read() {}
    }

    /// What it has said unasked. What it has left behind may hold the other end for ever.
    fn hear_out(&mut self) {
        let now = Instant::now();
        while is_readable(&self.answers, now) && self.read() {}
    }

    /// Reads once; false where nothing more comes.
    fn read(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        match self.answers.read(&mut piece) {
            Ok(0) | Err(_) => return false,
            Ok(count) => self.heard.extend_from_slice(&piece[..count]),
        }
        while let Some(end) = self.heard.iter().position(|&byte| byte == 0) {
            self.last = String::from_utf8_lossy(&self.heard[..end]).into_owned();
            self.heard.drain(..=end);
            self.is_asked = false;
        }
        true
    }
}

fn is_readable(pipe: &PipeReader, until: Instant) -> bool {
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).ok();
    let mut polled = [PollFd::new(pipe, PollFlags::IN)];
    matches!(poll(&mut polled, left.as_ref()), Ok(1))
}

/// How this process says what it has counted.
pub(super) struct Counted {
    handle: Handle,
    answers: Arc<Mutex<PipeWriter>>,
}

impl Counted {
    /// Has this process answer whoever asks by one pipe in the other, for as long as the other end is open. Where that cannot be,
    /// the app is served all the same.
    pub(super) fn begin(asked: RawFd, answers: RawFd, handle: Handle) -> Option<Self> {
        let begun = Self::try_begin(asked, answers, handle);
        begun.map_err(|error| say(&format!("metrics: this process cannot be asked: {error}"))).ok()
    }

    fn try_begin(asked: RawFd, answers: RawFd, handle: Handle) -> io::Result<Self> {
        let mut asked = PipeReader::from(sys::duplicate(asked)?);
        let answers = Arc::new(Mutex::new(PipeWriter::from(sys::duplicate(answers)?)));
        let counted = Self { handle: handle.clone(), answers: Arc::clone(&answers) };
        let answer = move || {
            let mut question = [0];
            while let Ok(1) = asked.read(&mut question) {
                if tell(&handle, &answers).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("number8-metrics".to_owned()).spawn(answer)?;
        Ok(counted)
    }

    /// Says unasked what was counted to the end: nobody can ask any more. Whoever does not listen is not waited for.
    pub(super) fn finish(self) {
        let (done, told) = mpsc::channel();
        let telling = move || {
            // Where nobody is left to hear it, so it is.
            let _ = tell(&self.handle, &self.answers);
            let _ = done.send(());
        };
        if thread::Builder::new().spawn(telling).is_ok() {
            let _ = told.recv_timeout(PATIENCE);
        }
    }
}

fn tell(handle: &Handle, answers: &Mutex<PipeWriter>) -> io::Result<()> {
    let mut text = handle.measure().text().into_bytes();
    text.push(0);
    lock(answers).write_all(&text)
}
