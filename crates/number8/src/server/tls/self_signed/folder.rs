//! The folder that keeps an authority: written by one process at a time, each file whole, and read by nobody else.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::super::TlsError;
use super::super::files;

/// A folder that no other process changes meanwhile, where the file system has locks.
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
}

const NOT_FOR_OTHERS: u32 = 0o077;
const NOT_WRITTEN_BY_OTHERS: u32 = 0o022;

impl Folder {
    /// Opens the folder, which is made where it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, TlsError> {
        let unwritable = |error: io::Error| unwritable(path, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unwritable)?;
        let lock = File::open(path).map_err(unwritable)?;
        let mode = lock.metadata().map_err(unwritable)?.mode();
        if mode & NOT_WRITTEN_BY_OTHERS != 0 {
            let why = "others on this machine may write in this folder: chmod 700 takes that away";
            return Err(TlsError::at(path, true, why));
        }
        // Some file systems have no locks; two that start at once are seldom there.
        let _ = flock(&lock, FlockOperation::LockExclusive);
        Ok(Self { path: path.to_owned(), lock })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file with a key in it; `None` where there is none.
    pub(super) fn read_key(&self, name: &str) -> Result<Option<Vec<u8>>, TlsError> {
        let path = self.path(name);
        if matches!(fs::symlink_metadata(&path), Err(error) if error.kind() == ErrorKind::NotFound)
        {
            return Ok(None);
        }
        let (stamp, text) = files::read(&path, true)?;
        if stamp.mode & NOT_FOR_OTHERS != 0 {
            let why = "others on this machine may read this key: chmod 600 takes that away; where somebody may have read it, \
                       remove the folder, and have devices trust the authority that is made then";
            return Err(TlsError::at(&path, true, why));
        }
        Ok(Some(text))
    }

    /// Puts a file there that its owner alone may read.
    pub(super) fn write_key(&self, name: &str, content: &str) -> Result<(), TlsError> {
        self.write(name, content.as_bytes(), 0o600)
    }

    /// Puts a file there that others may read, unless it is there.
    pub(super) fn write_public(&self, name: &str, content: &[u8]) -> Result<(), TlsError> {
        if fs::read(self.path(name)).is_ok_and(|found| found == content) {
            return Ok(());
        }
        self.write(name, content, 0o644)
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) -> Result<(), TlsError> {
        let path = self.path(name);
        let unfinished = self.path(&format!(".{name}.new"));
        let written = || -> io::Result<()> {
            match fs::remove_file(&unfinished) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                // Of a process that was killed.
                _ => {}
            }
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(mode).open(&unfinished)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            // A power cut is not to take an authority that devices trust already.
            self.lock.sync_all()
        };
        written().map_err(|error| unwritable(&path, &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> TlsError {
    let why = format!("cannot be written: {error}; name a folder where that is allowed");
    TlsError::at(path, true, why)
}
