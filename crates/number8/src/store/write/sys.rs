//! The Linux calls that write.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::OnceLock;

use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags,
};
use rustix::io::{Errno, retry_on_intr};

use crate::store::File;
use crate::store::sys::{fstat, stat_name};

/// Opens a folder for reading its names; never what a link leads to.
pub(super) const READ_FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What is free on a disk.
pub(super) struct Space {
    pub(super) free_bytes: u64,
    /// Files that there may be in all, and how many more; 0 where the file system makes room for them as they come.
    files: u64,
    free_files: u64,
}

impl Space {
    /// Whether so few more files may be made that they are for others. None at all is what a file system says that does not know; where
    /// it is so, none can be made.
    pub(super) fn is_short_of_files(&self) -> bool {
        (1..KEEP_FREE_FILES.min(self.files / 100)).contains(&self.free_files)
    }
}

/// Makes a file without a name; `None` where the file system has none, or there would be no way to give it one.
pub(super) fn create_unnamed(folder: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    static HAS_PROC: OnceLock<bool> = OnceLock::new();
    if !*HAS_PROC.get_or_init(|| rustix::fs::stat(PROC_SELF_FD).is_ok()) {
        return Ok(None);
    }
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match retry_on_intr(|| rustix::fs::openat(folder, c".", flags, NEW_FILE)) {
        Ok(file) => Ok(Some(file)),
        // vfat, FUSE and NFS; ISDIR is what a kernel says that knows no such flag.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::ISDIR | Errno::INVAL) => Ok(None),
        // What ext4 says of a folder that was removed meanwhile.
        Err(Errno::PERM) if fstat(folder)?.st_nlink == 0 => Err(Errno::NOENT),
        Err(error) => Err(error),
    }
}

/// Makes a file with a name that is free.
pub(super) fn create_named(folder: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(folder, name, flags, NEW_FILE))
}

/// Gives a file without a name one that is free.
pub(super) fn link(file: &OwnedFd, folder: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    let path = format!("{PROC_SELF_FD}/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, path, folder, name, AtFlags::SYMLINK_FOLLOW)
}

pub(super) fn make_folder(folder: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777))
}

pub(super) fn remove_file(folder: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::unlinkat(folder, name, AtFlags::empty())
}

pub(super) fn remove_folder(folder: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
}

/// Moves to a name, whatever file has it.
pub(super) fn rename(
    from: &OwnedFd,
    name: &[u8],
    to: &OwnedFd,
    new_name: &[u8],
) -> Result<(), Errno> {
    rustix::fs::renameat(from, name, to, new_name)
}

/// Moves to a name that is free; EXIST where it is not.
pub(super) fn rename_new(
    from: &OwnedFd,
    name: &[u8],
    to: &OwnedFd,
    new_name: &[u8],
) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE) {
        // NFS and many a FUSE do not know the flag; INVAL is also a folder that is moved into itself.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        result => return result,
    }
    match rustix::fs::linkat(from, name, to, new_name, AtFlags::empty()) {
        Ok(()) => return end_move(from, name, to, new_name),
        Err(Errno::EXIST) => return Err(Errno::EXIST),
        // A folder, or a file system without hard links.
        Err(_) => {}
    }
    // Whoever calls this holds the name, so only another process can come in between.
    match stat_name(to, new_name) {
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => rename(from, name, to, new_name),
        Err(error) => Err(error),
    }
}

/// Takes the old name away from what has a new one; where that cannot be, takes the new one away, so that nothing has changed.
///
/// SECURITY: of two names one has to stay. An error may tell of what has been done all the same, as by NFS, whose answers can be lost.
fn end_move(from: &OwnedFd, name: &[u8], to: &OwnedFd, new_name: &[u8]) -> Result<(), Errno> {
    match remove_file(from, name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => {
            let is_there_still = match (stat_name(from, name), stat_name(to, new_name)) {
                (Ok(old), Ok(new)) => (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino),
                _ => false,
            };
            if is_there_still {
                let _ = remove_file(to, new_name);
            }
            Err(error)
        }
    }
}

/// Who has the lock of a file after [`lock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// This descriptor, and it goes with it.
    Ours,
    Another,
    /// Nobody ever: NFS without a service for locks, many a FUSE.
    NoLocks,
}

/// Locks a file, unless somebody else has.
pub(super) fn lock(file: &OwnedFd) -> Result<Lock, Errno> {
    match retry_on_intr(|| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(Lock::Ours),
        Err(Errno::WOULDBLOCK) => Ok(Lock::Another),
        Err(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => Ok(Lock::NoLocks),
        Err(error) => Err(error),
    }
}

pub(super) fn write_at(
    file: &OwnedFd,
    slices: &[IoSlice<'_>],
    offset: u64,
) -> Result<usize, Errno> {
    let slices = &slices[..slices.len().min(SLICES_MAX)];
    retry_on_intr(|| rustix::io::pwritev(file, slices, offset))
}

/// Has the file system copy, which may share what both files have. Not every one can, nor from every other one.
pub(super) fn copy_at(
    from: &File,
    mut from_offset: u64,
    file: &OwnedFd,
    mut offset: u64,
    length: usize,
) -> Result<usize, Errno> {
    retry_on_intr(|| {
        let (from_offset, offset) = (Some(&mut from_offset), Some(&mut offset));
        rustix::fs::copy_file_range(from, from_offset, file, offset, length)
    })
}

/// Has what follows go past the page cache, or through it again. Not every file system can.
pub(super) fn set_direct(file: &OwnedFd, direct: bool) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    let flags = if direct { flags | OFlags::DIRECT } else { flags.difference(OFlags::DIRECT) };
    rustix::fs::fcntl_setfl(file, flags)
}

/// Waits until the content is on the disk.
pub(super) fn sync_content(file: &OwnedFd) -> Result<(), Errno> {
    match retry_on_intr(|| rustix::fs::fdatasync(file)) {
        // Some FUSE have nothing to wait for.
        Err(Errno::NOSYS | Errno::INVAL) => Ok(()),
        result => result,
    }
}

/// Waits until the names in a folder are on the disk.
pub(super) fn sync_folder(folder: &OwnedFd) -> Result<(), Errno> {
    // The descriptors that names are looked up with cannot be waited for.
    let folder =
        match retry_on_intr(|| rustix::fs::openat(folder, c".", READ_FOLDER, Mode::empty())) {
            Ok(folder) => folder,
            // A folder that we may write to and not read: there is no way to wait for it.
            Err(Errno::ACCESS) => return Ok(()),
            Err(error) => return Err(error),
        };
    match retry_on_intr(|| rustix::fs::fsync(&folder)) {
        // Not every file system has something to wait for.
        Err(Errno::NOSYS | Errno::INVAL) => Ok(()),
        result => result,
    }
}

/// What is free for us; `None` where the file system does not tell.
pub(super) fn space(file: impl AsFd) -> Result<Option<Space>, Errno> {
    let stat = match rustix::fs::fstatvfs(file) {
        Ok(stat) if stat.f_blocks > 0 => stat,
        Ok(_) | Err(Errno::NOSYS) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(Space {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        files: stat.f_files,
        free_files: stat.f_favail,
    }))
}

/// Gives `file` the mode and the access list of the file `name`, and its owner and group where the system allows that.
pub(super) fn hand_on_mode(file: &OwnedFd, folder: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    let old = stat_name(folder, name)?;
    let own = rustix::fs::fstat(file)?;
    // One may be allowed where the other is not.
    if own.st_gid != old.st_gid {
        let _ = rustix::fs::fchown(file, None, Some(rustix::fs::Gid::from_raw(old.st_gid)));
    }
    if own.st_uid != old.st_uid {
        let _ = rustix::fs::fchown(file, Some(rustix::fs::Uid::from_raw(old.st_uid)), None);
    }
    // SECURITY: the bits that give rights to whoever runs a file were not given to this content.
    let mut mode = old.st_mode & 0o777;
    let has_list = hand_on_list(file, folder, name);
    if !has_list || rustix::fs::fstat(file)?.st_gid != old.st_gid {
        mode = without_group(mode);
    }
    set_mode(file, mode)
}

/// The mode of `from`, for a file that has no access list of it.
#[cfg(feature = "uploads")]
pub(super) fn mode_for(file: &OwnedFd, from: &File) -> Result<u32, Errno> {
    let (own, old) = (fstat(file)?, fstat(from)?);
    let mode = old.st_mode & 0o777;
    let has_list = !matches!(
        rustix::fs::fgetxattr(from, LIST, &mut [0_u8; 0]),
        Err(Errno::NODATA | Errno::OPNOTSUPP)
    );
    Ok(if has_list || own.st_gid != old.st_gid { without_group(mode) } else { mode })
}

/// SECURITY: what the group of a file might, or those of its list, is not for whatever group another file has.
fn without_group(mode: u32) -> u32 {
    (mode & !0o070) | ((mode & 0o007) << 3)
}

/// Gives `file` the access list of the file `name` (acl(5)), of which the bits of the group are but the most that it allows
/// others; `false` where that cannot be.
fn hand_on_list(file: &OwnedFd, folder: &OwnedFd, name: &[u8]) -> bool {
    let folder = format!("{PROC_SELF_FD}/{}/", folder.as_raw_fd());
    let path = [folder.as_bytes(), name].concat();
    let mut list = vec![0; LIST_BYTES];
    match rustix::fs::lgetxattr(&*path, LIST, &mut list) {
        Ok(length) => {
            rustix::fs::fsetxattr(file, LIST, &list[..length], XattrFlags::empty()).is_ok()
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => {
            // That of the folder is for files that are new.
            let _ = rustix::fs::fremovexattr(file, LIST);
            true
        }
        Err(_) => false,
    }
}

pub(super) fn set_mode(file: &OwnedFd, mode: u32) -> Result<(), Errno> {
    match rustix::fs::fchmod(file, Mode::from_raw_mode(mode)) {
        // vfat has one mode for all.
        Err(Errno::PERM | Errno::OPNOTSUPP) => Ok(()),
        result => result,
    }
}

pub(super) fn set_modified(file: &OwnedFd, modified_ns: i128) -> Result<(), Errno> {
    rustix::fs::futimens(file, &modified_at(modified_ns)?)
}

/// The same of a name; a link is meant itself.
pub(super) fn set_modified_at(
    folder: &OwnedFd,
    name: &[u8],
    modified_ns: i128,
) -> Result<(), Errno> {
    rustix::fs::utimensat(folder, name, &modified_at(modified_ns)?, AtFlags::SYMLINK_NOFOLLOW)
}

fn modified_at(modified_ns: i128) -> Result<Timestamps, Errno> {
    let seconds = modified_ns.div_euclid(1_000_000_000);
    let nanoseconds = modified_ns.rem_euclid(1_000_000_000);
    let modified = Timespec {
        tv_sec: i64::try_from(seconds).map_err(|_| Errno::RANGE)?,
        tv_nsec: nanoseconds as _,
    };
    let untouched = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    Ok(Timestamps { last_access: untouched, last_modification: modified })
}

/// Files that can still be made where bytes have to stay free: so many, or a hundredth of all.
const KEEP_FREE_FILES: u64 = 1024;

/// Less what the umask takes.
const NEW_FILE: Mode = Mode::from_raw_mode(0o666);

const PROC_SELF_FD: &str = "/proc/self/fd";

/// Where Linux keeps an access list, and the most bytes of one.
const LIST: &str = "system.posix_acl_access";
const LIST_BYTES: usize = 64 * 1024;

/// The most slices that Linux takes in one call (`UIO_MAXIOV`).
const SLICES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sys::{LOOK_FOLDER, openat};

    /// The move of a file that another process takes away meanwhile, by names and links alone.
    #[test]
    fn f10_the_last_name_of_a_file_is_never_taken_away() {
        let temp = tempfile::tempdir().unwrap();
        let folder: OwnedFd = std::fs::File::open(temp.path()).unwrap().into();
        let path = |name: &str| temp.path().join(name);
        std::fs::write(path("new"), "content").unwrap();
        // The old name is gone by now.
        assert_eq!(end_move(&folder, b"old", &folder, b"new"), Ok(()));
        assert!(path("new").exists());
        // The old name is another's by now, and cannot be removed: it is a folder.
        std::fs::create_dir(path("old")).unwrap();
        assert_eq!(end_move(&folder, b"old", &folder, b"new"), Err(Errno::ISDIR));
        assert!(path("new").exists());
    }

    #[test]
    fn a_folder_that_names_are_looked_up_with_can_be_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let parent: OwnedFd = std::fs::File::open(temp.path()).unwrap().into();
        std::fs::create_dir(temp.path().join("folder")).unwrap();
        let folder = openat(&parent, b"folder", LOOK_FOLDER).unwrap();
        assert_eq!(rustix::fs::fsync(&folder), Err(Errno::BADF));
        assert_eq!(sync_folder(&folder), Ok(()));
    }
}
