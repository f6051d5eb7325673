//! What can be wrong before serving, as one line and an exit code; and how what there is to say gets to standard error.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use number8::layers::access_log::Sink;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A reason not to start: one line that says what to do, and the exit code that tells scripts whose mistake it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    exit: u8,
    message: String,
}

impl Problem {
    /// Something failed that was asked for rightly: exit code 1.
    pub fn failure(message: impl Into<String>) -> Self {
        Problem { exit: 1, message: message.into() }
    }

    /// The command line is wrong: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Problem { exit: 2, message: message.into() }
    }

    /// The environment or the configuration file is wrong: exit code 78, `EX_CONFIG` of `sysexits.h`.
    pub fn config(message: impl Into<String>) -> Self {
        Problem { exit: 78, message: message.into() }
    }

    /// The same, as one of the configuration, wherever it was set.
    pub(crate) fn of_config(self) -> Self {
        Problem { exit: 78, ..self }
    }

    /// Prints the line on standard error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        say(&self.to_string());
        finish();
        ExitCode::from(self.exit)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// Whether somebody is served, and so nobody who says something may wait.
static SERVES: AtomicBool = AtomicBool::new(false);

/// Where all goes then, once it is needed.
static BESIDE: OnceLock<Arc<Sink>> = OnceLock::new();

/// A pipe that takes anything takes this much (`PIPE_BUF`).
const AT_ONCE_BYTES: usize = 4096;

/// How long the last words may take.
const END: Duration = Duration::from_secs(1);

/// From here on nobody waits for whoever reads standard error: where that has stopped (a terminal after Ctrl-S, a program that waits
/// for a disk), a thread of its own writes there, and words are lost after a while.
pub fn serves() {
    SERVES.store(true, Ordering::Relaxed);
}

/// Standard error as such a thread writes it.
pub(crate) fn standard_error() -> io::Result<Arc<Sink>> {
    if let Some(sink) = BESIDE.get() {
        return Ok(Arc::clone(sink));
    }
    let sink = Arc::new(Sink::stderr()?);
    Ok(Arc::clone(BESIDE.get_or_init(|| sink)))
}

/// Waits until what was said is written, if it is soon.
pub fn finish() {
    if let Some(sink) = BESIDE.get() {
        sink.finish(END);
    }
}

/// Prints one line on standard error; if that is gone there is nobody left to tell.
pub fn say(message: &str) {
    tell(&format!("number8: {}\n", one_line(message)));
}

/// Prints whole lines there.
pub fn tell(lines: &str) {
    let may_wait = !SERVES.load(Ordering::Relaxed);
    let beside = match BESIDE.get() {
        Some(sink) => Some(Arc::clone(sink)),
        None if may_wait || takes_at_once(lines) => None,
        None => standard_error().ok(),
    };
    match beside {
        Some(sink) => {
            sink.push(lines.as_bytes());
            sink.flush();
        }
        None => drop(io::stderr().write_all(lines.as_bytes())),
    }
}

/// Whether standard error takes so much now, as long as nobody else of this process writes to it.
fn takes_at_once(lines: &str) -> bool {
    let stderr = io::stderr();
    let mut polled = [PollFd::new(&stderr, PollFlags::OUT)];
    lines.len() <= AT_ONCE_BYTES && matches!(poll(&mut polled, Some(&Timespec::default())), Ok(1))
}

/// The text with its control characters escaped, since parts of it come from outside.
pub(crate) fn one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}
