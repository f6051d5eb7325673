//! How a program is started.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Resource, Signal, Uid};
use rustix::pty::OpenptFlags;

use super::confine::Confine;
use super::group::Group;
use super::pipes::{Size, resize};
use super::plan::{Plan, Supervisor, above_streams, null};
use super::running::Started;
use super::strangers::{self, Kept};
use super::tree::Tree;
use super::user::User;
use crate::sys::children as sys;

/// A program that is to be started.
pub(crate) struct Spawn {
    /// A path, or a name that is looked up in `PATH` of `environment`.
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// Where it starts.
    pub(crate) folder: PathBuf,
    /// All of its environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) user: User,
    pub(crate) limits: Limits,
    pub(crate) confine: Option<Confine>,
    /// A terminal of that size in place of three pipes.
    pub(crate) terminal: Option<Size>,
    /// The name of a variable with the number of a pipe, through which the program tells the server more than its output.
    pub(crate) side_pipe: Option<&'static str>,
    /// Dropped when nothing of the program is left.
    pub(crate) keep: Option<Box<dyn Any + Send>>,
}

/// How much a program gets. What is `None` is bounded by the machine alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of memory, of each process and of all together.
    pub(crate) memory_bytes: Option<u64>,
    /// Processes at once; with their threads four times as many.
    pub(crate) processes: Option<usize>,
    /// Processor time of each process.
    pub(crate) cpu: Option<Duration>,
    /// Bytes of each file that it writes.
    pub(crate) file_bytes: Option<u64>,
    /// Descriptors of each process.
    pub(crate) open_files: Option<u64>,
    /// How long it may take to end when it has been asked to; then it is killed.
    pub(crate) grace: Duration,
}

impl Spawn {
    /// Starts it; may wait for the disk.
    ///
    /// # Errors
    /// There is no such program or folder, or the system has no more processes, descriptors or memory.
    pub(crate) fn start(mut self) -> io::Result<Started> {
        let (control, ours_to_control) = pipe()?;
        let (report, theirs_to_report) = pipe()?;
        set_nonblocking(&control)?;
        set_nonblocking(&ours_to_control)?;
        let (side, handed_on) = match self.side_pipe {
            Some(variable) => {
                let (ours, theirs) = pipe()?;
                let number = theirs.as_raw_fd().to_string();
                self.environment.push((variable.into(), number.into()));
                (Some(ours), Some(theirs))
            }
            None => (None, None),
        };
        let tasks_max = self.limits.processes.map(|most| most as u64 * TASKS_OF_PROCESS);
        let group = Group::new(self.limits.memory_bytes, tasks_max);
        let (group_join, group_kill) = match group.as_ref().map(Group::descriptors).transpose()? {
            Some((join, kill)) => (Some(above_streams(join)?), Some(above_streams(kill)?)),
            None => (None, None),
        };
        let ruleset = match &self.confine {
            Some(confine) => confine.ruleset()?.map(above_streams).transpose()?,
            None => None,
        };

        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let streams = self.streams(&mut command)?;
        let plan = Plan {
            limits: self.limits.of_process(self.user.uid),
            has_terminal: self.terminal.is_some(),
            handed_on,
            ruleset,
            group_join,
            supervisor: Supervisor {
                control,
                report: theirs_to_report,
                group_kill,
                null: null()?,
                // What Ctrl-C sends, so that a program can tidy up; what a terminal sends that is closed.
                first_signal: if self.terminal.is_some() { Signal::HUP } else { Signal::INT },
                grace: self.limits.grace,
                memory_max: self.limits.memory_bytes,
                processes_max: self.limits.processes,
                page_bytes: rustix::param::page_size() as u64,
                tree: Tree::new(),
            },
            user: self.user.is_another().then_some(self.user),
        };
        sys::fork_supervised(&mut command, plan);
        let supervised = strangers::spawn(&mut command, Kept { group, more: self.keep })?;
        Ok(Started { supervised, control: ours_to_control, report, streams, side })
    }

    /// Gives `command` its three streams and returns our ends of them.
    fn streams(&self, command: &mut Command) -> io::Result<Streams> {
        let Some(size) = self.terminal else {
            let ((input, ours), (output, theirs), (errors, their_errors)) =
                (pipe()?, pipe()?, pipe()?);
            command.stdin(input).stdout(theirs).stderr(their_errors);
            return Ok(Streams::Pipes { stdin: ours, stdout: output, stderr: errors });
        };
        let terminal =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&terminal)?;
        rustix::pty::unlockpt(&terminal)?;
        resize(&terminal, size)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let program_side = rustix::pty::ioctl_tiocgptpeer(&terminal, flags)?;
        if self.user.is_another() {
            // So that it can be opened by its name, too.
            rustix::fs::fchown(&program_side, Some(self.user.uid), None)?;
        }
        command.stdin(program_side.try_clone()?).stdout(program_side.try_clone()?);
        command.stderr(Stdio::from(program_side.try_clone()?));
        Ok(Streams::Terminal { ours: terminal, other: program_side })
    }
}

/// The server's ends of what a program reads and writes.
#[derive(Debug)]
pub(super) enum Streams {
    Pipes { stdin: OwnedFd, stdout: OwnedFd, stderr: OwnedFd },
    Terminal { ours: OwnedFd, other: OwnedFd },
}

impl Limits {
    /// What the kernel sees to for each process.
    fn of_process(&self, uid: Uid) -> Vec<(Resource, u64)> {
        // The kernel counts all that the user has, also what is not ours.
        let tasks = self.processes.map(|most| most as u64 * TASKS_OF_PROCESS);
        let tasks = tasks.and_then(|most| Some(tasks_of(uid)? + most));
        let limits = [
            // Not the address space: many languages reserve more of it than there is memory.
            (Resource::Data, self.memory_bytes),
            (Resource::Nproc, tasks),
            (Resource::Cpu, self.cpu.map(|cpu| cpu.as_secs().max(1))),
            (Resource::Fsize, self.file_bytes),
            (Resource::Nofile, self.open_files),
            // A copy of its memory in the folder that is served helps nobody.
            (Resource::Core, Some(0)),
        ];
        limits.into_iter().filter_map(|(resource, most)| Some((resource, most?))).collect()
    }
}

/// Processes and threads that a user has; `None` where that cannot be told.
fn tasks_of(uid: Uid) -> Option<u64> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let of_user = processes.filter(|entry| {
        let is_process = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        is_process && entry.metadata().is_ok_and(|meta| meta.uid() == uid.as_raw())
    });
    let threads = |folder: PathBuf| fs::read_dir(folder).map_or(0, |tasks| tasks.count() as u64);
    Some(of_user.map(|entry| threads(entry.path().join("task"))).sum())
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    Ok((above_streams(reader.into())?, above_streams(writer.into())?))
}

fn set_nonblocking(descriptor: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(descriptor)?;
    Ok(rustix::fs::fcntl_setfl(descriptor, flags | OFlags::NONBLOCK)?)
}

impl fmt::Debug for Spawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawn")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("user", &self.user.name)
            .finish_non_exhaustive()
    }
}

/// Processes and threads that there may be for each process that there may be.
const TASKS_OF_PROCESS: u64 = 4;
