//! Our own children, and those of others that a first process inherits.

use std::any::Any;
use std::fmt;
use std::io;
use std::process::{Child, Command};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};

use super::group::Group;
use super::tree::Tree;
use crate::sync::lock;

/// The supervisors that this process has to collect itself.
static OURS: Mutex<Ours> = Mutex::new(Ours { pids: Vec::new(), starting: 0, is_asked: false });

struct Ours {
    pids: Vec<u32>,
    /// Those that are being started, whose numbers are not known yet: that takes as long as the disk does.
    starting: usize,
    /// Strangers were to be collected meanwhile.
    is_asked: bool,
}

/// Programs that were given up and have not ended yet.
static ENDING: Mutex<usize> = Mutex::new(0);
static ONE_HAS_ENDED: Condvar = Condvar::new();

/// Waits until all programs that were given up have ended and left nothing behind, but no longer than that.
pub(crate) fn wait_for_the_end(time_max: Duration) {
    let wait = ONE_HAS_ENDED.wait_timeout_while(lock(&ENDING), time_max, |count| *count > 0);
    drop(wait.unwrap_or_else(PoisonError::into_inner));
}

/// One of [`ENDING`].
struct Ends;

impl Ends {
    fn new() -> Self {
        *lock(&ENDING) += 1;
        Self
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        *lock(&ENDING) -= 1;
        ONE_HAS_ENDED.notify_all();
    }
}

/// Collects children of others that have ended (row W12): for a program that is the first one of a container, and so inherits
/// whoever has lost its parent. Those that this library has started are left to it. To be called when a SIGCHLD has come.
///
/// Signals are not queued, so one call collects all that there are.
pub fn reap_strangers() {
    let mut ours = lock(&OURS);
    if ours.starting > 0 {
        // One that ends now may be ours; whoever starts it sees to the others then.
        ours.is_asked = true;
        return;
    }
    if ours.pids.is_empty() {
        // All that have ended are strangers. `/proc` need not be asked, which may be that of another namespace.
        while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
        return;
    }
    for process in Tree::new().look() {
        let is_ours = ours.pids.contains(&process.pid.cast_unsigned());
        if process.state == b'Z' && !is_ours {
            // A process whose parent is another one is not collected by this.
            let _ = waitpid(Pid::from_raw(process.pid), WaitOptions::NOHANG);
        }
    }
}

/// What a program leaves when it has ended.
pub(super) struct Kept {
    pub(super) group: Option<Group>,
    pub(super) more: Option<Box<dyn Any + Send>>,
}

/// Starts a process that [`reap_strangers`] leaves alone. What is kept goes when it has ended.
///
/// # Errors
/// Those of [`Command::spawn`].
pub(super) fn spawn(command: &mut Command, kept: Kept) -> io::Result<Supervised> {
    lock(&OURS).starting += 1;
    let started = command.spawn();
    let mut ours = lock(&OURS);
    ours.starting -= 1;
    ours.pids.extend(started.as_ref().ok().map(Child::id));
    let is_asked = ours.starting == 0 && std::mem::take(&mut ours.is_asked);
    drop(ours);
    if is_asked {
        reap_strangers();
    }
    Ok(Supervised(Some((started?, kept))))
}

/// A supervisor, collected when it has ended.
pub(super) struct Supervised(Option<(Child, Kept)>);

impl Supervised {
    #[cfg(test)]
    pub(super) fn pid(&self) -> i32 {
        self.0.as_ref().map_or(0, |(child, _)| child.id().cast_signed())
    }

    /// Collects it and returns what it leaves; to be called when it is known to end at once.
    pub(super) fn collect(&mut self) -> Option<Kept> {
        let (child, kept) = self.0.take()?;
        collect(child, kept.group.as_ref());
        Some(kept)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let Some((child, kept)) = self.0.take() else { return };
        // It first ends the program, which takes as long as it takes: not the time of whoever drops this.
        let waits = thread::Builder::new().name("number8-reap".into());
        let ends = Ends::new();
        let _ = waits.spawn(move || {
            collect(child, kept.group.as_ref());
            drop(kept);
            drop(ends);
        });
    }
}

fn collect(mut child: Child, group: Option<&Group>) {
    let _ = child.wait();
    lock(&OURS).pids.retain(|pid| *pid != child.id());
    if let Some(group) = group {
        // Of a supervisor that was killed, its program may be left.
        group.kill();
    }
}

impl fmt::Debug for Supervised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Supervised").field(&self.0.as_ref().map(|(child, _)| child.id())).finish()
    }
}
