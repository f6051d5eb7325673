//! Hidden names for files that are not whole yet, and what a killed process leaves of them.
//!
//! Whoever writes such a file holds its lock, so one whose lock is free belongs to nobody any more. Where there are no locks, nobody
//! can tell, and it stays.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::sys::Lock;
use super::{DEPTH_MAX, RACES_MAX, sys};
use crate::store::sys::{fstat, openat, read_dir, stat_name};
use crate::store::{Root, TEMPORARY_PREFIX};

/// A hidden name, which goes with this value.
#[derive(Debug)]
pub(super) struct Temporary {
    folder: OwnedFd,
    name: Vec<u8>,
    is_gone: bool,
}

impl Temporary {
    /// Makes a file with a hidden name and locks it.
    pub(super) fn create(folder: OwnedFd) -> Result<(OwnedFd, Option<Self>), Errno> {
        let mut temporary = Self::new(folder);
        for _ in 0..RACES_MAX {
            temporary.name = random_name();
            match sys::create_named(&temporary.folder, &temporary.name) {
                Ok(file) => {
                    temporary.is_gone = false;
                    if sys::lock(&file)? != Lock::Another && temporary.is(&file) {
                        return Ok((file, Some(temporary)));
                    }
                    // A sweep of another process took it for litter before it was locked.
                    temporary.is_gone = true;
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::EXIST)
    }

    /// Gives a file without a name a hidden one.
    pub(super) fn link(file: &OwnedFd, folder: OwnedFd) -> Result<Self, Errno> {
        sys::lock(file)?;
        let mut temporary = Self::new(folder);
        for _ in 0..RACES_MAX {
            temporary.name = random_name();
            match sys::link(file, &temporary.folder, &temporary.name) {
                Ok(()) => {
                    temporary.is_gone = false;
                    return Ok(temporary);
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::EXIST)
    }

    fn new(folder: OwnedFd) -> Self {
        Self { folder, name: Vec::new(), is_gone: true }
    }

    /// Takes a name that is free.
    pub(super) fn rename_new(mut self, folder: &OwnedFd, name: &[u8]) -> Result<(), (Self, Errno)> {
        match sys::rename_new(&self.folder, &self.name, folder, name) {
            Ok(()) => {
                self.is_gone = true;
                Ok(())
            }
            Err(error) => Err((self, error)),
        }
    }

    /// Takes a name from whatever file has it.
    pub(super) fn rename(mut self, folder: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        sys::rename(&self.folder, &self.name, folder, name)?;
        self.is_gone = true;
        Ok(())
    }

    /// Whether the name still leads to this file.
    fn is(&self, file: &OwnedFd) -> bool {
        match (fstat(file), stat_name(&self.folder, &self.name)) {
            (Ok(file), Ok(named)) => (file.st_dev, file.st_ino) == (named.st_dev, named.st_ino),
            _ => false,
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_gone {
            let _ = sys::remove_file(&self.folder, &self.name);
        }
    }
}

impl Root {
    /// Removes the hidden files that killed processes have left anywhere in the folder, and returns how many. Those that
    /// somebody writes just now stay. It reads every folder down to [`DEPTH_MAX`], so it is for a thread that may wait.
    ///
    /// # Errors
    /// The folder cannot be read. What fails below it is left alone.
    pub fn sweep(&self) -> io::Result<usize> {
        let top = self.find(b"", sys::READ_FOLDER)?;
        let mut swept = 0;
        let mut open = vec![(sweep_folder(&top, &mut swept)?, top)];
        while let Some((below, folder)) = open.last_mut() {
            let Some(name) = below.pop() else {
                open.pop();
                continue;
            };
            if let Ok(folder) = openat(&*folder, &name, sys::READ_FOLDER)
                && open.len() < DEPTH_MAX
                && let Ok(below) = sweep_folder(&folder, &mut swept)
            {
                open.push((below, folder));
            }
        }
        Ok(swept)
    }
}

/// Sweeps one folder and returns the names of the folders in it.
fn sweep_folder(folder: &OwnedFd, swept: &mut usize) -> Result<Vec<Vec<u8>>, Errno> {
    let (mut below, mut litter) = (Vec::new(), Vec::new());
    read_dir(folder, |name, file_type| {
        match file_type {
            FileType::Directory => below.push(name.to_vec()),
            FileType::RegularFile | FileType::Unknown if is_temporary(name) => {
                litter.push(name.to_vec());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    for name in litter {
        *swept += usize::from(remove_unlocked(folder, &name).unwrap_or(false));
    }
    Ok(below)
}

/// Removes a file unless somebody holds its lock.
fn remove_unlocked(folder: &OwnedFd, name: &[u8]) -> Result<bool, Errno> {
    let file = openat(folder, name, crate::store::sys::READ)?;
    let (opened, named) = (fstat(&file)?, stat_name(folder, name)?);
    if (opened.st_dev, opened.st_ino) != (named.st_dev, named.st_ino)
        || sys::lock(&file)? != Lock::Ours
    {
        return Ok(false);
    }
    sys::remove_file(folder, name)?;
    Ok(true)
}

fn random_name() -> Vec<u8> {
    // Keyed by the system's randomness, anew each time.
    let number = RandomState::new().build_hasher().finish();
    [TEMPORARY_PREFIX, INFIX, format!("{number:016x}").as_bytes()].concat()
}

/// Whether a name is one of [`random_name`].
fn is_temporary(name: &[u8]) -> bool {
    let digits = name.strip_prefix(TEMPORARY_PREFIX).and_then(|rest| rest.strip_prefix(INFIX));
    digits.is_some_and(|digits| digits.len() == 16 && digits.iter().all(u8::is_ascii_hexdigit))
}

/// Tells the files of uploads from whatever else may begin with our prefix.
const INFIX: &[u8] = b"upload-";
