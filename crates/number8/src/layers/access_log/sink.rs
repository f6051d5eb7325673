//! Where lines go. A thread of its own writes them, so that a full disk, a slow card or a reader that stopped reading
//! costs lines of the log, which are counted, and never a worker.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::sync::lock;

/// Lines are written once this much is waiting: each time the writer takes a core from somebody, mostly from a worker. A quarter of what
/// may wait, and small enough to stay in cache.
const WRITE_AT_BYTES: usize = 256 * 1024;

/// More than this never waits; it bridges a disk that stalls for a moment under load.
const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// How long a dropped sink waits for its last lines to be written.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// How long to wait before trying again where the descriptor is non-blocking and full.
const RETRY: Duration = Duration::from_millis(10);

/// A disk that stays full is told of as often.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(5);

/// A buffered, shared writer of whole lines to a file or to standard error.
///
/// No method waits for the output except [`finish`](Sink::finish) and dropping, which wait for a bounded time.
#[derive(Debug)]
pub struct Sink {
    shared: Arc<Shared>,
    path: Option<PathBuf>,
    /// A person is watching: write each batch at once.
    is_terminal: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// The writer has something to do.
    due: Condvar,
    /// The writer has done it.
    done: Condvar,
    lost: AtomicU64,
    on_lost: OnLost,
}

/// Who is told of lines that are lost.
#[derive(Default)]
struct OnLost(Mutex<Option<Told>>);

type Told = Box<dyn Fn(&str) + Send>;

impl fmt::Debug for OnLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnLost")
    }
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    /// What was taken before the output changes to `next_output`.
    before_next: Vec<u8>,
    next_output: Option<File>,
    is_due: bool,
    is_writing: bool,
    is_closed: bool,
}

impl Sink {
    /// Appends to the file at `path`, which is created, readable by its owner and group, where there is none.
    ///
    /// # Errors
    /// The file cannot be opened, or the writing thread cannot be started.
    pub fn file(path: impl Into<PathBuf>) -> io::Result<Sink> {
        let path = path.into();
        Sink::start(open(&path)?, Some(path))
    }

    /// Writes to standard error.
    ///
    /// # Errors
    /// Standard error is closed, or the writing thread cannot be started.
    pub fn stderr() -> io::Result<Sink> {
        Sink::descriptor(io::stderr().as_fd().try_clone_to_owned()?)
    }

    /// Writes to an open descriptor.
    ///
    /// # Errors
    /// The writing thread cannot be started.
    pub fn descriptor(output: impl Into<OwnedFd>) -> io::Result<Sink> {
        Sink::start(File::from(output.into()), None)
    }

    /// Has `warn` called by the writing thread when lines are lost, with how many and why, at most once in five seconds.
    /// It must not need this output: a reader that has stopped would stop it, too.
    #[must_use]
    pub fn on_lost(self, warn: impl Fn(&str) + Send + 'static) -> Self {
        *lock(&self.shared.on_lost.0) = Some(Box::new(warn));
        self
    }

    fn start(output: File, path: Option<PathBuf>) -> io::Result<Sink> {
        let shared = Arc::new(Shared::default());
        let is_terminal = output.is_terminal();
        let writer = Writer {
            shared: Arc::clone(&shared),
            output,
            path: path.clone(),
            is_torn: false,
            why: None,
            told: 0,
            told_at: None,
        };
        thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run())?;
        Ok(Sink { shared, path, is_terminal })
    }

    /// Takes one or more whole lines. They are written soon when 256 KiB are waiting or the output is a terminal, else
    /// with the next [`flush`](Sink::flush). If 1 MiB is waiting already they are lost.
    pub fn push(&self, lines: &[u8]) {
        self.push_with(|queue| queue.extend_from_slice(lines));
    }

    /// As [`push`](Sink::push), of the lines that `write` appends, without a copy in between. `write` is called under
    /// the lock that every writer needs.
    pub fn push_with(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut queue = self.shared.lock();
        let start = queue.bytes.len();
        write(&mut queue.bytes);
        if queue.before_next.len() + queue.bytes.len() > QUEUE_BYTES_MAX {
            self.shared.lose(&queue.bytes[start..]);
            queue.bytes.truncate(start);
            return;
        }
        if self.is_terminal || queue.bytes.len() >= WRITE_AT_BYTES {
            self.shared.wake(queue);
        }
    }

    /// Asks for what is waiting to be written now; call it about once a second.
    pub fn flush(&self) {
        let queue = self.shared.lock();
        if !queue.bytes.is_empty() {
            self.shared.wake(queue);
        }
    }

    /// Opens the file of this sink anew, after a rotation moved it away: lines taken before go to the old file, later
    /// ones to the new. Does nothing where there is no file name.
    ///
    /// # Errors
    /// The file cannot be opened; the old one stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        if let Some(path) = &self.path {
            let output = open(path)?;
            let mut queue = self.shared.lock();
            let taken = std::mem::take(&mut queue.bytes);
            queue.before_next.extend_from_slice(&taken);
            queue.next_output = Some(output);
            self.shared.wake(queue);
        }
        Ok(())
    }

    /// Flushes and waits until all is written, at most for `limit`; false if that was too short.
    pub fn finish(&self, limit: Duration) -> bool {
        self.flush();
        let is_busy = |queue: &mut Queue| queue.is_writing || queue.is_due;
        let waited = self.shared.done.wait_timeout_while(self.shared.lock(), limit, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Lines lost so far, because they could not be written or too many were waiting.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.finish(DROP_WAIT);
        let mut queue = self.shared.lock();
        queue.is_closed = true;
        self.shared.wake(queue);
    }
}

impl Shared {
    /// Nothing under this lock can panic half-way, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the writer, unless it has been told already: it costs a system call.
    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        let was_due = std::mem::replace(&mut queue.is_due, true);
        drop(queue);
        if !was_due {
            self.due.notify_one();
        }
    }

    fn lose(&self, lines: &[u8]) {
        let count = lines.iter().filter(|&&byte| byte == b'\n').count();
        self.lost.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Opens a file for the lines, without waiting for somebody to read where it is a named pipe.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    let opened = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path);
    let file = opened.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::NXIO) => io::Error::new(error.kind(), "nobody reads from this pipe"),
        _ => error,
    })?;
    let flags = fcntl_getfl(&file)? - OFlags::NONBLOCK;
    fcntl_setfl(&file, flags)?;
    Ok(file)
}

struct Writer {
    shared: Arc<Shared>,
    output: File,
    path: Option<PathBuf>,
    /// The last byte that was written did not end a line.
    is_torn: bool,
    /// What the system said last.
    why: Option<io::Error>,
    /// Lost lines that were told of, and when.
    told: u64,
    told_at: Option<Instant>,
}

impl Writer {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let mut queue = self.shared.lock();
            queue.is_writing = false;
            self.shared.done.notify_all();
            queue = self
                .shared
                .due
                .wait_while(queue, |queue| !queue.is_due)
                .unwrap_or_else(PoisonError::into_inner);
            queue.is_due = false;
            queue.is_writing = true;
            std::mem::swap(&mut queue.bytes, &mut batch);
            let before_next = std::mem::take(&mut queue.before_next);
            let next_output = queue.next_output.take();
            let is_closed = queue.is_closed;
            drop(queue);

            self.write(&before_next);
            if let Some(output) = next_output {
                self.output = output;
                self.is_torn = false;
            }
            self.write(&batch);
            self.tell_lost(is_closed);
            if is_closed {
                return;
            }
            batch.clear();
            batch.shrink_to(2 * WRITE_AT_BYTES);
        }
    }

    fn write(&mut self, batch: &[u8]) {
        // A disk that was full may have cut the line before.
        if self.is_torn && !batch.is_empty() {
            self.write_part(b"\n");
        }
        let unwritten = self.write_part(batch);
        self.shared.lose(unwritten);
    }

    /// Says how many lines were lost, if some were: those of the last seconds later, or at the end.
    fn tell_lost(&mut self, is_closed: bool) {
        let warn = lock(&self.shared.on_lost.0);
        let Some(warn) = warn.as_deref() else { return };
        let lost = self.shared.lost.load(Ordering::Relaxed);
        let is_due = is_closed || self.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY);
        if lost == self.told || !is_due {
            return;
        }
        let count = match lost - self.told {
            1 => "1 line is lost".to_owned(),
            count => format!("{count} lines are lost"),
        };
        let place = self.path.as_ref().map_or_else(String::new, |path| path.display().to_string());
        warn(&match self.why.take() {
            Some(error) => format!("log file {place}: {count}: {error}"),
            None => format!("log file {place}: {count}, as too many were waiting to be written"),
        });
        (self.told, self.told_at) = (lost, Some(Instant::now()));
    }

    /// Writes as much of `bytes` as can be written and gives back the rest.
    fn write_part<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        while !bytes.is_empty() {
            match self.output.write(bytes) {
                Ok(0) => break,
                Ok(written) => {
                    self.is_torn = bytes[written - 1] != b'\n';
                    bytes = &bytes[written..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
                Err(error) => {
                    self.why = Some(error);
                    break;
                }
            }
        }
        bytes
    }
}
