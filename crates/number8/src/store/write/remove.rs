//! Removing a folder with all that it holds.

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::{Clash, DEPTH_MAX, RACES_MAX, WriteError, sys};
use crate::store::sys::{file_type, openat, read_dir, stat_name};

/// Removes the folder `name` and all that is in it. Links are removed, never followed: every folder is opened by its name
/// in one that is open.
pub(super) fn tree(parent: &OwnedFd, name: &[u8]) -> Result<(), WriteError> {
    let mut open = vec![(openat(parent, name, sys::READ_FOLDER)?, name.to_vec())];
    let mut races = 0;
    while let Some((folder, name)) = open.last() {
        match empty(folder)? {
            Some(below) => {
                if open.len() == DEPTH_MAX {
                    return Err(WriteError::Clash(Clash::TooDeep));
                }
                let folder = openat(folder, &below, sys::READ_FOLDER)?;
                open.push((folder, below));
            }
            None => {
                let parent = open.len().checked_sub(2).map_or(parent, |above| &open[above].0);
                match sys::remove_folder(parent, name) {
                    // Somebody has put something there meanwhile.
                    Err(Errno::NOTEMPTY) if races < RACES_MAX => {
                        races += 1;
                        continue;
                    }
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
                open.pop();
            }
        }
    }
    Ok(())
}

/// Removes the files of a folder; returns the name of a folder that is left, if there is one.
fn empty(folder: &OwnedFd) -> Result<Option<Vec<u8>>, WriteError> {
    loop {
        // Removing while reading may hide entries, so this goes by batches, each read from the start.
        let mut files = Vec::new();
        let mut below = None;
        let again = openat(folder, b"", sys::READ_FOLDER)?;
        read_dir(&again, |name, kind| {
            let kind = match kind {
                FileType::Unknown => stat_name(folder, name).map_or(kind, |stat| file_type(&stat)),
                kind => kind,
            };
            if kind == FileType::Directory {
                below.get_or_insert_with(|| name.to_vec());
            } else {
                files.push(name.to_vec());
            }
            match files.len() < BATCH_NAMES {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        if files.is_empty() {
            return Ok(below);
        }
        for name in files {
            match sys::remove_file(folder, &name) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Names that are read before their files are removed.
const BATCH_NAMES: usize = 1024;
