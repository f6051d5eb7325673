//! A folder for one run of a program: its code and its temporary files, gone when nothing of it is left.

use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process::Uid;

use super::user::User;

/// A folder that belongs to the user of programs and that nobody else may look into. It goes with this value.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    /// The folder, locked: it is in use.
    lock: OwnedFd,
}

impl Scratch {
    /// Makes a folder in `parent` with these files in it, each alone in a folder where its name has a slash; removes those that killed servers have left there.
    ///
    /// # Errors
    /// The disk is full, or the folder may not be written to.
    pub(crate) fn new(parent: &Path, user: &User, files: &[(&str, &[u8])]) -> io::Result<Self> {
        sweep(parent, user);
        // Whoever else sweeps may take it for litter before it has its lock: rarely once, and not again and again.
        let scratch = loop {
            if let Some(scratch) = Self::locked(parent)? {
                break scratch;
            }
        };
        for (name, content) in files {
            let path = scratch.folder.join(name);
            if let Some(below) = path.parent().filter(|below| *below != scratch.folder) {
                DirBuilder::new().mode(0o700).create(below)?;
                scratch.give(below, user)?;
            }
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(content)?;
            scratch.give(&path, user)?;
        }
        // Last: from now on the user may put links where our files would go.
        scratch.give(&scratch.folder, user)?;
        Ok(scratch)
    }

    /// A new folder; `None` where it was removed before it had its lock.
    fn locked(parent: &Path) -> io::Result<Option<Self>> {
        let folder = parent.join(format!("{PREFIX}{:016x}", super::random_number()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let lock = match rustix::fs::openat(CWD, &folder, FOLDER, Mode::empty()) {
            Ok(lock) => lock,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            // A disk without locks will not have one the next time either.
            Err(error) => {
                let _ = fs::remove_dir(&folder);
                return Err(error.into());
            }
        }
        let inode = rustix::fs::fstat(&lock)?.st_ino;
        let is_there = fs::symlink_metadata(&folder).is_ok_and(|meta| meta.ino() == inode);
        Ok(is_there.then_some(Self { folder, lock }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    fn give(&self, path: &Path, user: &User) -> io::Result<()> {
        if !user.is_another() {
            return Ok(());
        }
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.folder, &self.lock);
    }
}

/// Removes a folder, which is open as `top`, with all that is in it, however deep: what lies deeper is moved up before it is
/// removed, so that neither our stack nor our descriptors are a matter of what a program has made.
///
/// SECURITY: no link is followed; every name is looked up in a folder that is held open.
fn remove(folder: &Path, top: &OwnedFd) {
    let mut moved = 0u64;
    // Each round takes away at least one level, or nothing can be done.
    while let Ok(true) = remove_level(top, &mut moved) {}
    let _ = fs::remove_dir(folder);
}

/// Removes what is in a folder but folders that hold others, whose content becomes its own. Returns whether there may be more.
fn remove_level(top: &OwnedFd, moved: &mut u64) -> Result<bool, Errno> {
    let before = *moved;
    for name in names(top)? {
        if remove_entry(top, &name) {
            continue;
        }
        let Ok(below) = open_below(top, &name) else { continue };
        for inner in names(&below)? {
            if remove_entry(&below, &inner) {
                continue;
            }
            allow_us(&below, &inner);
            let up = format!("{MOVED_UP}{moved}");
            *moved += 1;
            rustix::fs::renameat_with(&below, &inner, top, up, RenameFlags::NOREPLACE)?;
        }
        rustix::fs::unlinkat(top, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(*moved > before)
}

/// Removes what is no folder, or an empty one.
fn remove_entry(folder: &OwnedFd, name: &CStr) -> bool {
    rustix::fs::unlinkat(folder, name, AtFlags::empty()).is_ok()
        || rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR).is_ok()
}

fn open_below(folder: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    allow_us(folder, name);
    rustix::fs::openat(folder, name, FOLDER, Mode::empty())
}

/// Opens a folder to us that a program has closed. Root needs no such thing.
fn allow_us(folder: &OwnedFd, name: &CStr) {
    // SECURITY: this follows links, and as root it would do so for whoever makes one in time.
    if !rustix::process::geteuid().is_root() {
        let _ = rustix::fs::chmodat(folder, name, Mode::RWXU, AtFlags::empty());
    }
}

fn names(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let entries = Dir::read_from(folder)?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_owned()));
    Ok(names.filter(|name| !matches!(name.to_bytes(), b"." | b"..")).collect())
}

/// Removes the folders that killed servers have left: those of ours, or of the user of programs, that nobody has locked.
fn sweep(parent: &Path, user: &User) {
    let owners = [rustix::process::geteuid(), user.uid].map(Uid::as_raw);
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let is_named_so = number.is_some_and(|number| {
            number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        // SECURITY: anybody can make such a name in /tmp, and have it mean another thing at any moment; a FIFO would hold us up.
        if is_named_so
            && let Ok(folder) = rustix::fs::openat(CWD, entry.path(), FOLDER, Mode::empty())
            && rustix::fs::fstat(&folder).is_ok_and(|meta| owners.contains(&meta.st_uid))
            && rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            remove(&entry.path(), &folder);
        }
    }
}

const PREFIX: &str = "number8-run-";

/// Names that folders get on their way up; no program has as many.
const MOVED_UP: &str = ".number8-moved-";

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use rustix::fs::FileType;

    use super::*;

    #[test]
    fn w10_the_depth_of_what_a_program_leaves_is_no_matter() {
        let parent = tempfile::tempdir().unwrap();
        let user = User::for_programs(None, parent.path()).unwrap();
        let scratch = Scratch::new(parent.path(), &user, &[]).unwrap();
        let folder = |at: &OwnedFd, name: &str| {
            rustix::fs::mkdirat(at, name, Mode::RWXU).unwrap();
            rustix::fs::openat(at, name, FOLDER, Mode::empty()).unwrap()
        };
        let mut at = rustix::fs::openat(CWD, scratch.path(), FOLDER, Mode::empty()).unwrap();
        // Deeper than most processes may have files open.
        for depth in 0..5_000 {
            if depth % 100 == 0 {
                let flags = OFlags::CREATE | OFlags::WRONLY;
                rustix::fs::openat(&at, "file", flags, Mode::RWXU).unwrap();
                folder(&at, "beside");
            }
            at = folder(&at, "folder");
        }
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }

    /// In /tmp, where everybody can make such names.
    #[test]
    fn what_is_not_ours_is_neither_removed_nor_waited_for() {
        let parent = tempfile::tempdir().unwrap();
        let user = User::for_programs(None, parent.path()).unwrap();
        let named = |number: u8| parent.path().join(format!("{PREFIX}{number:016x}"));
        let (folder, fifo, link) = (named(1), named(2), named(3));
        let outside = parent.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::create_dir(&folder).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            let another = Some(user.uid.as_raw() + 1);
            chown(&folder, another, None).unwrap();
        }
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        // Names change their meaning while they are looked at.
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let exchange = RenameFlags::EXCHANGE;
                    let _ = rustix::fs::renameat_with(CWD, &fifo, CWD, &link, exchange);
                    let _ = rustix::fs::renameat_with(CWD, &folder, CWD, &fifo, exchange);
                }
            });
            for _ in 0..300 {
                drop(Scratch::new(parent.path(), &user, &[]).unwrap());
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert!(outside.exists());
        let left = fs::read_dir(parent.path()).unwrap().count();
        // Without root that folder was ours.
        assert_eq!(left, if is_root { 4 } else { 3 });
    }

    #[test]
    fn a_new_folder_is_nobodys_litter() {
        let parent = tempfile::tempdir().unwrap();
        let user = User::for_programs(None, parent.path()).unwrap();
        let are_made = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !are_made.load(Ordering::Relaxed) {
                    sweep(parent.path(), &user);
                }
            });
            let made: Vec<_> = (0..500)
                .map(|_| {
                    let scratch = Scratch::new(parent.path(), &user, &[("a", b"a"), ("b/b", b"b")]);
                    scratch.map(|scratch| scratch.path().join("b/b").exists())
                })
                .collect();
            are_made.store(true, Ordering::Relaxed);
            for is_whole in made {
                assert!(is_whole.unwrap());
            }
        });
    }

    #[test]
    fn a_folder_goes_with_all_that_is_in_it_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let user = User::for_programs(None, parent.path()).unwrap();
        let outside = parent.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "").unwrap();

        let scratch = Scratch::new(parent.path(), &user, &[("program.py", b"print()")]).unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(fs::read(path.join("program.py")).unwrap(), b"print()");
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.mode() & 0o777, meta.uid()), (0o700, user.uid.as_raw()));
        std::os::unix::fs::symlink(&outside, path.join("link")).unwrap();
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::set_permissions(path.join("a"), Permissions::from_mode(0o000)).unwrap();

        // Another run does not take it for litter.
        let other = Scratch::new(parent.path(), &user, &[]).unwrap();
        assert!(path.exists());
        drop(scratch);
        assert!(!path.exists() && outside.join("file").exists());

        // What a killed server leaves has no lock.
        let left = other.path().to_owned();
        rustix::fs::flock(&other.lock, FlockOperation::Unlock).unwrap();
        std::mem::forget(other);
        drop(Scratch::new(parent.path(), &user, &[]).unwrap());
        assert!(!left.exists());
    }
}
