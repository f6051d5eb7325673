//! Removing a folder with all that it holds.

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::{Clash, DEPTH_MAX, RACES_MAX, WriteError, sys};
use crate::store::sys::{file_type, openat, read_dir, stat_name};

/// A folder on the way to the one that is emptied.
struct Level {
    folder: OwnedFd,
    name: Vec<u8>,
    /// Folders in it that are still to be removed, as far as it has been read.
    below: Vec<Vec<u8>>,
}

impl Level {
    fn open(parent: &OwnedFd, name: Vec<u8>) -> Result<Self, Errno> {
        Ok(Self { folder: openat(parent, &name, sys::READ_FOLDER)?, name, below: Vec::new() })
    }
}

/// Removes the folder `name` and all that is in it. Links are removed, never followed: every folder is opened by its name
/// in one that is open.
pub(super) fn tree(parent: &OwnedFd, name: &[u8]) -> Result<(), WriteError> {
    let mut open = vec![Level::open(parent, name.to_vec())?];
    let mut races = 0;
    while let Some(level) = open.last_mut() {
        if let Some(below) = level.below.pop() {
            match Level::open(&level.folder, below) {
                Ok(_) if open.len() == DEPTH_MAX => {
                    return Err(WriteError::Clash(Clash::TooDeep));
                }
                Ok(below) => open.push(below),
                // Somebody has removed it, or put something else there.
                Err(Errno::NOENT) => {}
                Err(Errno::NOTDIR | Errno::LOOP) if races < RACES_MAX => races += 1,
                Err(error) => return Err(error.into()),
            }
            continue;
        }
        level.below = empty(&level.folder)?;
        if !level.below.is_empty() {
            continue;
        }
        let name = std::mem::take(&mut level.name);
        let parent = open.len().checked_sub(2).map_or(parent, |above| &open[above].folder);
        match sys::remove_folder(parent, &name) {
            // Somebody has put something there meanwhile.
            Err(Errno::NOTEMPTY) if races < RACES_MAX => {
                races += 1;
                if let Some(level) = open.last_mut() {
                    level.name = name;
                }
            }
            Ok(()) | Err(Errno::NOENT) => {
                open.pop();
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Removes the files of a folder; returns the names of folders that are left, of some where there are many.
fn empty(folder: &OwnedFd) -> Result<Vec<Vec<u8>>, WriteError> {
    loop {
        // Removing while reading may hide entries, so this goes by batches, each read from the start.
        let (mut files, mut below) = (Vec::new(), Vec::new());
        let again = openat(folder, b"", sys::READ_FOLDER)?;
        read_dir(&again, |name, kind| {
            let kind = match kind {
                FileType::Unknown => stat_name(folder, name).map_or(kind, |stat| file_type(&stat)),
                kind => kind,
            };
            match kind {
                FileType::Directory => below.push(name.to_vec()),
                _ => files.push(name.to_vec()),
            }
            match files.len() + below.len() < BATCH_NAMES {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        for name in &files {
            match sys::remove_file(folder, name) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if files.is_empty() || !below.is_empty() {
            return Ok(below);
        }
    }
}

/// Names that are read before what they stand for is removed.
const BATCH_NAMES: usize = 256;
