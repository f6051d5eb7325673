//! What is prepared before the fork, so that nothing has to be allocated after it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::FdFlags;
use rustix::process::{DumpableBehavior, Gid, Pid, Resource, Rlimit, Signal, Uid};

use super::supervisor;
use super::tree::Tree;
use super::user::User;
use crate::sys::children as sys;

/// What the two processes need that come of one that is spawned. What has no value is left out.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Whom the program becomes.
    pub(super) user: Option<User>,
    pub(super) limits: Vec<(Resource, u64)>,
    /// Standard input is a terminal, which is the program's.
    pub(super) has_terminal: bool,
    /// The program inherits this one besides the standard streams.
    pub(super) handed_on: Option<OwnedFd>,
    pub(super) ruleset: Option<OwnedFd>,
    /// Where a process writes `0` to join the program's control group.
    pub(super) group_join: Option<OwnedFd>,
    pub(super) supervisor: Supervisor,
}

/// What the supervisor keeps.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// The server's orders; at its end the server is gone.
    pub(super) control: OwnedFd,
    /// What the supervisor tells the server.
    pub(super) report: OwnedFd,
    /// Where `1` kills all of the program's control group.
    pub(super) group_kill: Option<OwnedFd>,
    pub(super) null: OwnedFd,
    /// What asks the program to end.
    pub(super) first_signal: Signal,
    pub(super) grace: Duration,
    pub(super) memory_max: Option<u64>,
    pub(super) processes_max: Option<usize>,
    pub(super) page_bytes: u64,
    pub(super) tree: Tree,
}

impl Plan {
    /// In the process that will supervise, before it forks.
    pub(crate) fn prepare_supervisor(&mut self) -> io::Result<()> {
        // From here on only the server ends it, and what cannot be blocked.
        sys::block_signals(true);
        // Ctrl-C in the terminal of the server is not for it.
        rustix::process::setsid()?;
        // Whoever of the program's processes loses its parent becomes a child of this one.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        Ok(())
    }

    /// In the process that becomes the program.
    pub(crate) fn prepare_program(&mut self) -> io::Result<()> {
        rustix::process::setsid()?;
        if self.has_terminal {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        if let Some(group) = &self.group_join {
            // Without the group, the supervisor has to do more; it can.
            let _ = rustix::io::write(group, b"0");
        }
        be_the_first_to_go();
        for (resource, most) in &self.limits {
            limit(*resource, *most)?;
        }
        rustix::process::umask(Mode::from_raw_mode(0o022));
        if let Some(user) = &self.user {
            become_user(user.uid, user.gid, &user.groups)?;
        }
        rustix::thread::set_no_new_privs(true)?;
        if let Some(ruleset) = &self.ruleset {
            sys::restrict(ruleset.as_fd())?;
        }
        // After the change of user, which forgets it.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        sys::close_all_at_exec();
        if let Some(handed_on) = &self.handed_on {
            rustix::io::fcntl_setfd(handed_on, FdFlags::empty())?;
        }
        sys::default_signals();
        sys::block_signals(false);
        Ok(())
    }

    /// In the process that stays: returns when nothing of the program is left.
    pub(crate) fn supervise(&mut self, program: Pid) {
        let supervisor = &mut self.supervisor;
        let null = supervisor.null.as_fd();
        // The other ends of these belong to the server and the program alone.
        let _ = rustix::stdio::dup2_stdin(null);
        let _ = rustix::stdio::dup2_stdout(null);
        let _ = rustix::stdio::dup2_stderr(null);
        let kill = supervisor.group_kill.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let mut kept = [kill, supervisor.control.as_raw_fd(), supervisor.report.as_raw_fd()];
        kept.sort_unstable();
        let first = usize::from(kill < 0);
        sys::close_all_but(kept.get(first..).unwrap_or_default());
        let _ = rustix::thread::set_name(c"number8-run");
        if let Some(user) = &self.user {
            // SECURITY: with the user's rights it can end the user's processes and nobody else's, whatever it takes for
            // a process of the program; and as the others stay root's, the user can neither end nor trace it.
            let _ = rustix::thread::set_thread_res_uid(Uid::ROOT, user.uid, Uid::ROOT);
        }
        // SECURITY: its memory is a copy of the server's.
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
        supervisor::run(supervisor, program);
    }
}

/// Where memory runs out, the kernel ends a program rather than the server.
fn be_the_first_to_go() {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(score) = rustix::fs::openat(CWD, c"/proc/self/oom_score_adj", flags, Mode::empty()) {
        let _ = rustix::io::write(&score, b"500");
    }
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    // Nobody but root may go above what is there.
    let most = now.maximum.map_or(most, |maximum| maximum.min(most));
    let most = Rlimit { current: Some(most), maximum: Some(most) };
    Ok(rustix::process::setrlimit(resource, most)?)
}

fn become_user(uid: Uid, gid: Gid, groups: &[Gid]) -> io::Result<()> {
    rustix::thread::set_thread_groups(groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// The same descriptor under a number that no standard stream has.
pub(super) fn above_streams(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    let number = descriptor.as_raw_fd();
    if number > 2 { Ok(descriptor) } else { Ok(rustix::io::fcntl_dupfd_cloexec(descriptor, 3)?) }
}

/// A place that swallows what is written and has nothing to read.
pub(super) fn null() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    above_streams(rustix::fs::openat(CWD, c"/dev/null", flags, Mode::empty())?)
}
