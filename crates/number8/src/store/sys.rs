//! The Linux calls.

use std::io::IoSliceMut;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, Stat};
use rustix::io::{Errno, ReadWriteFlags};

use super::{Kind, Meta, OpenError, kept};

/// Looks without opening: nothing that is found notices, and no permission to read it is needed.
pub(super) const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// As [`LOOK`], but a folder or nothing.
pub(super) const LOOK_FOLDER: OFlags = LOOK.union(OFlags::DIRECTORY);

/// Opens for reading. A FIFO opens at once instead of waiting for a writer, a terminal does not become ours.
pub(super) const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// How far links may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Beneath,
    Anywhere,
}

pub(super) fn openat2(
    dir: impl AsFd,
    path: &[u8],
    flags: OFlags,
    scope: Scope,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let beneath = match scope {
        Scope::Beneath => ResolveFlags::BENEATH,
        Scope::Anywhere => ResolveFlags::empty(),
    };
    let resolve = resolve | beneath | ResolveFlags::NO_MAGICLINKS;
    with_room(|| rustix::fs::openat2(&dir, or_dot(path), flags, Mode::empty(), resolve))
}

/// Opens one name in `dir`, following no link.
pub(super) fn openat(dir: impl AsFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW;
    with_room(|| rustix::fs::openat(&dir, or_dot(name), flags, Mode::empty()))
}

/// Opens something; where descriptors are short, in the place of a file that is kept open.
fn with_room(open: impl Fn() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    match open() {
        Err(Errno::MFILE | Errno::NFILE) if kept::let_go_of_one() => open(),
        result => result,
    }
}

pub(super) fn read_link(link: impl AsFd) -> Result<Vec<u8>, Errno> {
    Ok(rustix::fs::readlinkat(link, c"", Vec::new())?.into_bytes())
}

pub(super) fn fstat(fd: impl AsFd) -> Result<Stat, Errno> {
    rustix::fs::fstat(fd)
}

/// Looks at one name in `dir`; a link is looked at itself.
pub(super) fn stat_name(dir: impl AsFd, name: &[u8]) -> Result<Stat, Errno> {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)
}

pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

impl Meta {
    pub(super) fn from_stat(stat: &Stat) -> Result<Self, OpenError> {
        let (kind, size) = match file_type(stat) {
            FileType::RegularFile => (Kind::File, u64::try_from(stat.st_size).unwrap_or(0)),
            FileType::Directory => (Kind::Directory, 0),
            _ => return Err(OpenError::NotServable),
        };
        Ok(Self {
            kind,
            size,
            modified_ns: nanoseconds(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed_ns: nanoseconds(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
            inode: stat.st_ino,
            device: stat.st_dev,
        })
    }
}

/// Whether the file system is procfs, whose links may lead anywhere whatever their text says.
pub(super) fn on_procfs(fd: impl AsFd) -> Result<bool, Errno> {
    Ok(rustix::fs::fstatfs(fd)?.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

/// Reads what is in memory; AGAIN where that is nothing. A short count is no sign of the end.
pub(super) fn read_now(fd: impl AsFd, buf: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let fd = fd.as_fd();
    let buffers = &mut [IoSliceMut::new(buf)];
    match rustix::io::preadv2(fd, buffers, offset, ReadWriteFlags::NOWAIT) {
        // This file system cannot tell, or a sandbox does not know the call. tmpfs cannot either, but has everything in memory.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
            match rustix::fs::fstatfs(fd)?.f_type {
                TMPFS_MAGIC => read(fd, buf, offset),
                _ => Err(Errno::AGAIN),
            }
        }
        result => result,
    }
}

pub(super) fn read(fd: impl AsFd, buf: &mut [u8], offset: u64) -> Result<usize, Errno> {
    rustix::io::retry_on_intr(|| rustix::io::pread(&fd, &mut *buf, offset))
}

/// Calls `see` with the name and type of each entry of a folder in the order of the file system, but for `.` and `..`.
pub(super) fn read_dir(
    dir: impl AsFd,
    mut see: impl FnMut(&[u8], FileType) -> ControlFlow<()>,
) -> Result<(), Errno> {
    let mut buf = Vec::with_capacity(DIR_BUFFER_BYTES);
    let mut entries = RawDir::new(dir, buf.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." && see(name, entry.file_type()).is_break() {
            break;
        }
    }
    Ok(())
}

fn nanoseconds(seconds: i128, nanoseconds: i128) -> i128 {
    seconds * 1_000_000_000 + nanoseconds
}

/// The empty path is the folder itself to us, and nothing to Linux.
fn or_dot(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}

/// As many entries per call as glibc asks for.
const DIR_BUFFER_BYTES: usize = 32 * 1024;

/// From linux/magic.h.
const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;
