//! A folder for one run of a program: its code and its temporary files, gone when nothing of it is left.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::user::User;

/// A folder that belongs to the user of programs and that nobody else may look into. It goes with this value.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    /// Says that the folder is in use.
    _lock: File,
}

impl Scratch {
    /// Makes a folder in `parent` with these files in it, each alone in a folder where its name has a slash; removes those that killed servers have left there.
    ///
    /// # Errors
    /// The disk is full, or the folder may not be written to.
    pub(crate) fn new(parent: &Path, user: &User, files: &[(&str, &[u8])]) -> io::Result<Self> {
        sweep(parent);
        let folder = parent.join(format!("{PREFIX}{:016x}", super::random_number()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let lock = File::open(&folder)?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let scratch = Self { folder, _lock: lock };
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
        remove(&self.folder);
    }
}

/// SECURITY: no link is followed, whatever a program has put there (`remove_dir_all` promises it).
fn remove(folder: &Path) {
    if fs::remove_dir_all(folder).is_err() {
        // Without root, a folder that a program has closed to us has to be opened first.
        open_up(folder, 0);
        let _ = fs::remove_dir_all(folder);
    }
}

fn open_up(folder: &Path, depth: usize) {
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    if depth > DEPTH_MAX || !is_folder(folder) {
        return;
    }
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        open_up(&entry.path(), depth + 1);
    }
}

/// Removes the folders that killed servers have left: those of ours, or of users that we act for, that nobody has locked.
fn sweep(parent: &Path) {
    let is_root = rustix::process::geteuid().is_root();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let is_named_so = number.is_some_and(|number| {
            number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        // SECURITY: anybody can make such a folder in /tmp, and lose it so. A link is none.
        let is_ours = || {
            fs::symlink_metadata(entry.path()).is_ok_and(|meta| {
                meta.is_dir() && (is_root || meta.uid() == rustix::process::geteuid().as_raw())
            })
        };
        if is_named_so
            && is_ours()
            && let Ok(lock) = File::open(entry.path())
            && rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            remove(&entry.path());
        }
    }
}

const PREFIX: &str = "number8-run-";

/// How deep folders are opened that are closed to us.
const DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

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
        let Scratch { folder: _, _lock } = &other;
        rustix::fs::flock(_lock, FlockOperation::Unlock).unwrap();
        std::mem::forget(other);
        drop(Scratch::new(parent.path(), &user, &[]).unwrap());
        assert!(!left.exists());
    }
}
