//! A program that was started, as the server sees it.

use std::any::Any;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::Interest;

use super::pipes::End;
use super::report::{Limit, RECORD_BYTES, Record};
use super::spawn::Streams;
use super::strangers::Supervised;
use super::supervisor::{KILL, STOP};

/// A program that runs, for a thread without a runtime. Dropping it ends the program.
#[derive(Debug)]
pub(crate) struct Started {
    pub(super) supervised: Supervised,
    pub(super) control: OwnedFd,
    pub(super) report: OwnedFd,
    pub(super) streams: Streams,
    pub(super) side: Option<OwnedFd>,
}

/// A program that runs. Dropping it ends the program and all that it has started.
pub(crate) struct Child {
    /// What it reads; dropping it is the end of its input.
    pub(crate) stdin: Option<End>,
    pub(crate) stdout: Option<End>,
    pub(crate) stderr: Option<End>,
    /// Its terminal, in place of these.
    pub(crate) terminal: Option<Arc<End>>,
    /// What it tells us besides its output.
    pub(crate) side: Option<End>,
    control: OwnedFd,
    report: End,
    /// What was to be kept while it ran; for whoever can wait for the disk, when it has ended.
    pub(crate) kept: Option<Box<dyn Any + Send>>,
    /// A record that has not come as a whole.
    part: Vec<u8>,
    outcome: Outcome,
    // Last, so that the server's ends are closed when the supervisor is waited for.
    supervised: Supervised,
}

/// What has become of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `None` where nobody knows: its supervisor was killed.
    pub(crate) exit: Option<Exit>,
    /// The limit for which it was killed.
    pub(crate) limit: Option<Limit>,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(u8),
    Signal(u8),
}

impl Started {
    /// The same for those who wait for it. To be called in the runtime that will.
    ///
    /// # Errors
    /// The system refuses to watch the descriptors.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub(crate) fn watch(self) -> io::Result<Child> {
        let read = |end| End::watch(end, Interest::READABLE);
        let mut child = Child {
            stdin: None,
            stdout: None,
            stderr: None,
            terminal: None,
            side: self.side.map(read).transpose()?,
            kept: None,
            control: self.control,
            report: read(self.report)?,
            part: Vec::new(),
            outcome: Outcome::default(),
            supervised: self.supervised,
        };
        match self.streams {
            Streams::Pipes { stdin, stdout, stderr } => {
                child.stdin = Some(End::watch(stdin, Interest::WRITABLE)?);
                child.stdout = Some(read(stdout)?);
                child.stderr = Some(read(stderr)?);
            }
            Streams::Terminal { ours, other } => {
                child.terminal = Some(Arc::new(End::watch_terminal(ours, other)?));
            }
        }
        Ok(child)
    }
}

impl Child {
    /// Asks the program and all that it has started to end: with SIGINT (SIGHUP, where it has a terminal), then with SIGTERM,
    /// and with SIGKILL where that has not helped within the grace.
    pub(crate) fn stop(&self) {
        let _ = rustix::io::write(&self.control, &[STOP]);
    }

    /// Ends all of it at once.
    pub(crate) fn kill(&self) {
        let _ = rustix::io::write(&self.control, &[KILL]);
    }

    /// The number of the process that supervises it.
    #[cfg(test)]
    pub(super) fn supervisor(&self) -> i32 {
        self.supervised.pid()
    }

    /// Waits until nothing of the program is left. Nothing is lost if this is dropped.
    pub(crate) async fn ended(&mut self) -> Outcome {
        let mut buffer = [0; RECORD_BYTES];
        loop {
            match self.report.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => self.part.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            }
            while let Some((record, rest)) = self.part.split_first_chunk::<RECORD_BYTES>() {
                match Record::decode(record) {
                    Some(Record::Ended(code)) => self.outcome.exit = Some(Exit::of(code)),
                    Some(Record::Limit(limit)) => self.outcome.limit = Some(limit),
                    None => {}
                }
                self.part = rest.to_vec();
            }
        }
        if let Some(kept) = self.supervised.collect() {
            if kept.group.is_some_and(|group| group.ran_out_of_memory()) {
                self.outcome.limit = Some(Limit::Memory);
            }
            self.kept = kept.more;
        }
        self.outcome.clone()
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("supervised", &self.supervised).finish_non_exhaustive()
    }
}

impl Exit {
    fn of(code: i32) -> Self {
        let low = code.unsigned_abs() as u8;
        if code < 0 { Self::Signal(low) } else { Self::Code(low) }
    }
}
