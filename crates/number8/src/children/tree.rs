//! The processes below this one, looked up without allocating: a supervisor has nothing but what it was forked with.

use std::fmt::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

/// What is known of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// One letter, as /proc has it: `T` is stopped, `Z` has ended.
    pub(crate) state: u8,
    /// When it was started, so that another process of the same number is told apart.
    pub(crate) started: u64,
    pub(crate) resident_pages: u64,
    /// It is a copy of the process that started it, and has become no other program since.
    pub(crate) is_copy: bool,
}

/// The processes that were started by this one, by those, and so on.
#[derive(Debug)]
pub(crate) struct Tree {
    found: Vec<Process>,
    /// All processes, for a system that does not list the children of one.
    all: Vec<Process>,
}

impl Tree {
    /// Takes the memory that later looks need.
    pub(crate) fn new() -> Self {
        Self { found: Vec::with_capacity(FOUND_MAX), all: Vec::with_capacity(ALL_MAX) }
    }

    /// Looks who is there: the children, their children and so on. More than fit are seen when some of these have gone.
    pub(crate) fn look(&mut self) -> &[Process] {
        self.found.clear();
        if self.add_children_of(None).is_err() {
            self.look_at_all();
            return &self.found;
        }
        let mut at = 0;
        while let Some(process) = self.found.get(at) {
            let pid = process.pid;
            // It may have ended meanwhile: then its children are ours, and seen at the next look.
            let _ = self.add_children_of(Some(pid));
            at += 1;
        }
        &self.found
    }

    /// # Errors
    /// The process is gone, or the system has no lists of children.
    fn add_children_of(&mut self, parent: Option<i32>) -> Result<(), Errno> {
        let mut path = Path::new();
        match parent {
            Some(pid) => path.put(format_args!("/proc/{pid}/task")),
            None => path.put(format_args!("/proc/self/task")),
        }
        let tasks = open_folder(path.as_str())?;
        let found = &mut self.found;
        each_number(&tasks, |task| {
            path.put(format_args!("{task}/children"));
            let children = match openat(&tasks, path.as_str(), READ, Mode::empty()) {
                Ok(children) => children,
                // A thread that has ended meanwhile.
                Err(_) if parent.is_some() => return Ok(()),
                Err(error) => return Err(error),
            };
            each_word(&children, |pid| {
                if let Some(process) = process(pid).filter(|_| found.len() < FOUND_MAX)
                    && found.iter().all(|other| other.pid != pid)
                {
                    found.push(process);
                }
            })
        })
    }

    /// The same from the parents of all processes.
    fn look_at_all(&mut self) {
        let (all, found) = (&mut self.all, &mut self.found);
        all.clear();
        let Ok(folder) = open_folder("/proc") else { return };
        let _ = each_number(&folder, |pid| {
            if all.len() < ALL_MAX
                && let Some(process) = process(pid)
            {
                all.push(process);
            }
            Ok(())
        });
        let own = rustix::process::getpid().as_raw_nonzero().get();
        loop {
            let before = found.len();
            for process in all.iter() {
                let is_below =
                    process.parent == own || found.iter().any(|other| other.pid == process.parent);
                if is_below && !found.contains(process) && found.len() < FOUND_MAX {
                    found.push(*process);
                }
            }
            if found.len() == before {
                return;
            }
        }
    }
}

/// Sends a signal to a process, unless its number belongs to another one by now.
pub(crate) fn signal(process: &Process, signal: Signal) {
    let Some(pid) = Pid::from_raw(process.pid) else { return };
    // The number cannot be given to another one while this is held and the process has not ended.
    let held = rustix::process::pidfd_open(pid, PidfdFlags::empty());
    let is_same = self::process(process.pid).is_some_and(|now| now.started == process.started);
    if !is_same || matches!(held, Err(Errno::SRCH)) {
        return;
    }
    let sent = held.and_then(|held| rustix::process::pidfd_send_signal(&held, signal));
    // Old kernels have neither, sandboxes refuse what they do not know, and a machine may have no descriptor left.
    if sent.is_err_and(|error| error != Errno::SRCH) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// The memory of a process in bytes, what it shares counted in part; `None` where that cannot be told.
pub(crate) fn share_of_memory(pid: i32) -> Option<u64> {
    let mut path = Path::new();
    path.put(format_args!("/proc/{pid}/smaps_rollup"));
    let mut text = [0; 2048];
    let text = read(path.as_str(), &mut text)?;
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Pss:"))?;
    let kib = line.split(|byte| *byte == b' ').find_map(number)?;
    Some(kib * 1024)
}

/// What /proc tells about a process.
pub(crate) fn process(pid: i32) -> Option<Process> {
    let mut path = Path::new();
    path.put(format_args!("/proc/{pid}/stat"));
    let mut text = [0; 1024];
    parse_stat(pid, read(path.as_str(), &mut text)?)
}

/// `stat` has a name in parentheses, which may hold anything, then fields between spaces.
fn parse_stat(pid: i32, text: &[u8]) -> Option<Process> {
    let behind_name = text.iter().rposition(|byte| *byte == b')')? + 2;
    let mut fields = text.get(behind_name..)?.split(|byte| *byte == b' ');
    let state = *fields.next()?.first()?;
    let parent = i32::try_from(number(fields.next()?)?).ok()?;
    let is_copy = number(fields.nth(4)?)? & FORKED_WITHOUT_EXEC != 0;
    let started = number(fields.nth(12)?)?;
    let resident_pages = number(fields.nth(1)?)?;
    Some(Process { pid, parent, state, started, resident_pages, is_copy })
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn open_folder(path: &str) -> Result<OwnedFd, Errno> {
    openat(CWD, path, READ | OFlags::DIRECTORY, Mode::empty())
}

fn read<'a>(path: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = openat(CWD, path, READ, Mode::empty()).ok()?;
    let length = rustix::io::read(&file, &mut *buffer).ok()?;
    buffer.get(..length)
}

/// Calls `each` with every name in a folder that is a number.
fn each_number(
    folder: &OwnedFd,
    mut each: impl FnMut(i32) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(folder, &mut buffer);
    while let Some(entry) = entries.next() {
        let name = entry?;
        if let Some(number) = number(name.file_name().to_bytes()).and_then(|n| n.try_into().ok()) {
            each(number)?;
        }
    }
    Ok(())
}

/// Calls `each` with every number of a file that has nothing else, with a space behind each.
fn each_word(file: &OwnedFd, mut each: impl FnMut(i32)) -> Result<(), Errno> {
    let mut buffer = [0; 1024];
    let mut word: Option<i32> = None;
    loop {
        let length = rustix::io::read(file, &mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        for byte in buffer.iter().take(length) {
            if byte.is_ascii_digit() {
                let so_far = word.unwrap_or(0).wrapping_mul(10);
                word = Some(so_far.wrapping_add(i32::from(byte - b'0')));
            } else if let Some(number) = word.take() {
                each(number);
            }
        }
    }
}

/// A path that is written without allocating.
struct Path {
    bytes: [u8; 64],
    length: usize,
}

impl Path {
    fn new() -> Self {
        Self { bytes: [0; 64], length: 0 }
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        self.length = 0;
        // Numbers and a few words fit.
        let _ = self.write_fmt(text);
    }

    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|path| std::str::from_utf8(path).ok()).unwrap_or("")
    }
}

impl fmt::Write for Path {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes.get_mut(self.length..self.length + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

/// `PF_FORKNOEXEC`, one of the flags of a process in `stat` (proc_pid_stat(5)).
const FORKED_WITHOUT_EXEC: u64 = 0x40;

const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

/// Processes of one program that are seen at once; more than its limits allow.
const FOUND_MAX: usize = 4096;

/// Processes of the machine that are seen at once: as many as there are numbers, mostly.
const ALL_MAX: usize = 32_768;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn children_are_found_both_ways_and_signalled() {
        let _alone = crate::sync::lock(&crate::children::tests::NO_STRANGERS);
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let pid = child.id() as i32;
        let mut tree = Tree::new();
        let found = *tree.look().iter().find(|process| process.pid == pid).unwrap();
        tree.found.clear();
        tree.look_at_all();
        assert!(tree.found.iter().any(|other| (other.pid, other.started) == (pid, found.started)));
        signal(&Process { started: found.started + 1, ..found }, Signal::KILL);
        assert!(child.try_wait().unwrap().is_none(), "it was another process");
        signal(&found, Signal::KILL);
        child.wait().unwrap();
    }

    #[test]
    fn names_of_processes_confuse_nobody() {
        let fields = "S 7 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 12345 999 42 0";
        let copy = parse_stat(8, format!("8 (sh) {}", fields.replace("304", "368")).as_bytes());
        assert!(copy.unwrap().is_copy);
        for name in ["sleep", "a) S 1 (b", ") ", "", "a\nb"] {
            let process = parse_stat(8, format!("8 ({name}) {fields}\n").as_bytes()).unwrap();
            let wanted = Process {
                pid: 8,
                parent: 7,
                state: b'S',
                started: 12345,
                resident_pages: 42,
                is_copy: false,
            };
            assert_eq!(process, wanted, "{name:?}");
        }
        for text in ["", "8 (sleep", "8 (sleep)", "8 (sleep) S x", "8 (sleep) S 1 2 3"] {
            assert_eq!(parse_stat(8, text.as_bytes()), None, "{text:?}");
        }
    }
}
