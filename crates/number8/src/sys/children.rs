//! What becomes of a process between `fork` and `exec`, and the calls for which rustix has no safe function.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::ptr;

use rustix::process::{Gid, Pid, Uid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::children::plan::Plan;
use crate::children::user::User;

/// Has `command` start as two processes: the one that is spawned stays behind and supervises the other, which becomes
/// the program.
pub(crate) fn fork_supervised(command: &mut Command, mut plan: Plan) {
    let hook = move || {
        plan.prepare_supervisor()?;
        // SAFETY: this process has one thread, and nobody holds a lock: its own fork has seen to that.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => plan.prepare_program(),
            pid => {
                if let Some(program) = Pid::from_raw(pid) {
                    plan.supervise(program);
                }
                // SAFETY: it ends the process without calling anything of it.
                unsafe { libc::_exit(0) }
            }
        }
    };
    // SAFETY: between fork and exec only what is async-signal-safe may be called, as other threads may have held locks.
    // What `Plan` does there is system calls on values that it owns: it neither allocates, nor locks, nor panics.
    unsafe { command.pre_exec(hook) };
}

/// Has the current tokio runtime tell when a pipe or a terminal can be read or written.
///
/// # Errors
/// The system refuses to watch the descriptor.
///
/// # Panics
/// Outside a tokio runtime with I/O enabled.
pub(crate) fn watch(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` owns its descriptor, always names that one, and nothing closes it while it is watched.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}

/// Blocks every signal that can be blocked, or none.
pub(crate) fn block_signals(all: bool) {
    // SAFETY: `set` is written by sigfillset or sigemptyset before it is read, and lives as long as the calls.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        if all {
            libc::sigfillset(&mut set);
        } else {
            libc::sigemptyset(&mut set);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &set, ptr::null_mut());
    }
}

/// Has every signal do what it does by default: what is ignored would stay so through `exec`.
pub(crate) fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: no handler is installed, and a number that is none is refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Closes all descriptors from 3 on but those in `kept`, which is in order.
pub(crate) fn close_all_but(kept: &[RawFd]) {
    let mut first = 3;
    for last in kept.iter().map(|fd| fd - 1).chain([RawFd::MAX]) {
        if first <= last && !close_range(first, last, 0) {
            for number in first..=last.min(CLOSED_ONE_BY_ONE) {
                // SAFETY: only a process that is about to leave all of them behind gets here: nobody uses them after.
                unsafe { libc::close(number) };
            }
        }
        first = last.saturating_add(2);
    }
}

/// Has all descriptors from 3 on close at `exec`; nothing where the system is older than that (Linux 5.11): what Rust
/// opens does so anyway.
pub(crate) fn close_all_at_exec() {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    close_range(3, RawFd::MAX, CLOSE_RANGE_CLOEXEC);
}

fn close_range(first: RawFd, last: RawFd, flags: libc::c_uint) -> bool {
    // SAFETY: it takes three numbers. What it closes is closed by a process that leaves all of them behind.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) == 0 }
}

/// Confines this process and those that it starts to what a Landlock ruleset allows.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn restrict(ruleset: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: it takes a descriptor that is open, and flags.
    match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The user of that name.
///
/// # Errors
/// The system's list of users cannot be read.
pub(crate) fn user_named(name: &CStr) -> io::Result<Option<User>> {
    // SAFETY: the name ends with NUL, the others are places of the right type and length, and live as long as the call.
    find_user(|entry, buffer, found| unsafe {
        libc::getpwnam_r(name.as_ptr(), entry, buffer.as_mut_ptr(), buffer.len(), found)
    })
}

/// The user of that number.
///
/// # Errors
/// As for [`user_named`].
pub(crate) fn user_of(uid: Uid) -> io::Result<Option<User>> {
    // SAFETY: they are places of the right type and length, and live as long as the call.
    find_user(|entry, buffer, found| unsafe {
        libc::getpwuid_r(uid.as_raw(), entry, buffer.as_mut_ptr(), buffer.len(), found)
    })
}

fn find_user(
    look: impl Fn(&mut libc::passwd, &mut [libc::c_char], &mut *mut libc::passwd) -> libc::c_int,
) -> io::Result<Option<User>> {
    let mut buffer: Vec<libc::c_char> = vec![0; 1024];
    loop {
        // SAFETY: pointers that are null and numbers that are zero are a value of this type.
        let mut entry = unsafe { std::mem::zeroed::<libc::passwd>() };
        let mut found = ptr::null_mut();
        match look(&mut entry, &mut buffer, &mut found) {
            0 if !found.is_null() => {
                // SAFETY: the call has filled the entry with texts in `buffer`, which end with NUL.
                let (name, home) =
                    unsafe { (CStr::from_ptr(entry.pw_name), CStr::from_ptr(entry.pw_dir)) };
                let groups = groups_of(name, entry.pw_gid)?;
                return Ok(Some(User {
                    name: name.to_string_lossy().into_owned(),
                    uid: Uid::from_raw(entry.pw_uid),
                    gid: Gid::from_raw(entry.pw_gid),
                    groups,
                    home: PathBuf::from(OsStr::from_bytes(home.to_bytes())),
                }));
            }
            0 | libc::ENOENT | libc::ESRCH => return Ok(None),
            libc::ERANGE if buffer.len() < USER_BYTES_MAX => buffer.resize(buffer.len() * 2, 0),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The groups of a user, `gid` among them.
fn groups_of(name: &CStr, gid: libc::gid_t) -> io::Result<Vec<Gid>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut count = groups.len() as libc::c_int;
        // SAFETY: `count` says how many numbers there is room for; the name ends with NUL.
        let result =
            unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &mut count) };
        if result >= 0 {
            groups.truncate(count.max(0) as usize);
            return Ok(groups.into_iter().map(Gid::from_raw).collect());
        }
        if groups.len() >= GROUPS_MAX {
            return Err(io::Error::other("the user is in too many groups"));
        }
        groups.resize(groups.len() * 2, 0);
    }
}

/// What an entry of the list of users may take.
const USER_BYTES_MAX: usize = 1 << 20;

/// NGROUPS_MAX of Linux.
const GROUPS_MAX: usize = 65_536;

/// Where the system cannot close a range (Linux 5.9), descriptors up to this one are closed one by one.
const CLOSED_ONE_BY_ONE: RawFd = 65_536;
