//! New content on its way into a folder: a file without a name that gets one when it is whole.

use std::io::IoSlice;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::io::Errno;

use super::claim::{Claim, Look, Written};
use super::sys::{self, Space};
use super::temporary::Temporary;
use super::{Clash, OnClash, RACES_MAX, WriteError};
use crate::store::sys::fstat;
use crate::store::{Meta, Root, SafePath};

/// How content is written.
#[derive(Clone, Copy, Debug)]
pub struct StageOptions {
    /// Bytes that have to stay free on the disk. Default 64 MiB.
    pub keep_free_bytes: u64,
    /// Whether content has to be on the disk before it is seen, so that not even a power cut leaves a part of a file.
    /// Default yes.
    pub sync: bool,
    /// Whether to use a hidden name even where the file system has files without one; slower, and as safe.
    pub named: bool,
}

impl Default for StageOptions {
    fn default() -> Self {
        Self { keep_free_bytes: KEEP_FREE_BYTES, sync: true, named: false }
    }
}

/// Content that nobody sees yet. Dropping it leaves nothing behind; of a process that is killed neither, or a hidden file
/// that [`Root::sweep`] removes.
#[derive(Debug)]
pub struct Staged {
    file: OwnedFd,
    /// Where the file system has no files without a name.
    name: Option<Temporary>,
    root: Root,
    path: SafePath,
    options: StageOptions,
    written: u64,
    /// How much may be written before the free space is looked at again.
    unchecked: u64,
}

impl Root {
    /// Begins to write a file that will be at `path`; may wait for the disk. `length` is what is known of its length.
    ///
    /// # Errors
    /// [`WriteError::NoSpace`] where it would not fit; others as for what follows.
    pub fn stage(
        &self,
        path: &SafePath,
        length: Option<u64>,
        options: StageOptions,
    ) -> Result<Staged, WriteError> {
        let (parent, _) = path.split().ok_or(WriteError::Clash(Clash::Root))?;
        // Folders that are missing are made when the file is whole: until then this one will do, on the same disk.
        let (folder, _) = self.nearest_folder(parent)?;
        let (file, name) = match options.named {
            false => match sys::create_unnamed(&folder) {
                Ok(Some(file)) => (file, None),
                Ok(None) => Temporary::create(folder)?,
                Err(error) => return Err(error.into()),
            },
            true => Temporary::create(folder)?,
        };
        let (root, path) = (self.clone(), path.clone());
        let mut staged = Staged { file, name, root, path, options, written: 0, unchecked: 0 };
        staged.check_space(length.unwrap_or(0))?;
        Ok(staged)
    }
}

impl Staged {
    /// Appends content; waits for the disk.
    ///
    /// # Errors
    /// [`WriteError::NoSpace`], [`WriteError::TooLarge`]: nothing will come of this file.
    pub fn write(&mut self, chunks: &[Bytes]) -> Result<(), WriteError> {
        let length = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        if self.unchecked < length {
            self.check_space(length)?;
        }
        let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let count = sys::write_at(&self.file, rest, self.written)?;
            if count == 0 {
                return Err(WriteError::NoSpace);
            }
            self.written += count as u64;
            IoSlice::advance_slices(&mut rest, count);
        }
        self.unchecked = self.unchecked.saturating_sub(length);
        Ok(())
    }

    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.written
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// Waits until the content is on the disk, unless that was not asked for; then it may be committed.
    ///
    /// # Errors
    /// The disk could not take the content.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        if self.options.sync {
            sys::sync_content(&self.file)?;
        }
        Ok(())
    }

    /// Claims the name that the file is to have; folders that are missing on the way are made.
    ///
    /// # Errors
    /// As for [`Root::claim`].
    pub fn claim(&self) -> Result<Claim, WriteError> {
        self.root.claim(&self.path, true)
    }

    /// Gives the file its name: from one moment to the next the whole of it is there. A file that it replaces hands on its
    /// mode, and its owner where the system allows that.
    ///
    /// # Errors
    /// [`Clash`] where the name is taken and `on_clash` does not help.
    pub fn commit(mut self, mut claim: Claim, on_clash: OnClash) -> Result<Written, WriteError> {
        if claim.names_folder() {
            return Err(WriteError::Clash(Clash::NotFolder));
        }
        for _ in 0..RACES_MAX {
            match (claim.look()?, on_clash) {
                (Look::Nothing, _) => match self.put_in(&claim.folder, &claim.name) {
                    Ok(()) => return claim.written(true),
                    // Somebody outside of this process was faster.
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                },
                (Look::File(old), OnClash::Replace) => {
                    self.replace(&claim, &old)?;
                    return claim.written(false);
                }
                (_, OnClash::KeepBoth) => {
                    claim.take_free_name(|folder, name| self.put_in(folder, name))?;
                    return claim.written(true);
                }
                (look, _) => return Err(look.clash()),
            }
        }
        Err(WriteError::Clash(Clash::Exists))
    }

    /// Gives the file a name that is free.
    fn put_in(&mut self, folder: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        match self.name.take() {
            None => sys::link(&self.file, folder, name),
            Some(temporary) => match temporary.rename_new(folder, name) {
                Ok(()) => Ok(()),
                Err((temporary, error)) => {
                    self.name = Some(temporary);
                    Err(error)
                }
            },
        }
    }

    /// Puts the file in the place of another one.
    fn replace(&mut self, claim: &Claim, old: &Meta) -> Result<(), WriteError> {
        let temporary = match self.name.take() {
            Some(temporary) => temporary,
            // Only a file with a name can replace another at once.
            None => Temporary::link(&self.file, claim.folder.try_clone().map_err(WriteError::Io)?)?,
        };
        sys::hand_on_mode(&self.file, &claim.folder, &claim.name)?;
        self.tell_apart(old);
        temporary.rename(&claim.folder, &claim.name)?;
        Ok(())
    }

    /// Makes sure that the file's time or length differs from the old one's, so that its entity-tag does, also where both
    /// were written between two ticks of the file system's clock.
    fn tell_apart(&self, old: &Meta) {
        for later_ns in [1, COARSEST_TICK_NS] {
            let Some(new) = fstat(&self.file).ok().and_then(|stat| Meta::from_stat(&stat).ok())
            else {
                return;
            };
            if (new.modified_ns, new.size) != (old.modified_ns, old.size) {
                return;
            }
            // A file system that cannot leaves us no worse off.
            let _ = sys::set_modified(&self.file, old.modified_ns + later_ns);
        }
    }

    fn check_space(&mut self, length: u64) -> Result<(), WriteError> {
        let mut usable = u64::MAX;
        if let Some(Space { free_bytes }) = sys::space(&self.file)? {
            let keep_free = self.options.keep_free_bytes;
            usable = free_bytes.saturating_sub(keep_free);
            if usable < length || (usable == 0 && keep_free > 0) {
                return Err(WriteError::NoSpace);
            }
        }
        // Others write too: not all that is free now will be free later.
        self.unchecked = usable.min(SPACE_CHECK_BYTES);
        Ok(())
    }
}

/// What stays free unless said otherwise: enough to log in and tidy up.
const KEEP_FREE_BYTES: u64 = 64 * 1024 * 1024;

/// How much is written between two looks at the free space.
const SPACE_CHECK_BYTES: u64 = 4 * 1024 * 1024;

/// The clock of vfat.
const COARSEST_TICK_NS: i128 = 2_000_000_000;
