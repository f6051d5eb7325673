//! New content on its way into a folder: a file without a name that gets one when it is whole.

use std::io::IoSlice;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::io::Errno;

use super::blocks::{BLOCK_BYTES, Blocks};
use super::claim::{Claim, Look, Written, check_depth};
use super::space::Allowance;
use super::sys;
use super::temporary::Temporary;
use super::{Clash, LATER_NS, OnClash, RACES_MAX, WriteError, wait_for_removal};
use crate::store::descriptors::Held;
use crate::store::kept::{self, LetGo};
use crate::store::sys::fstat;
use crate::store::{File, Meta, Root, SafePath};

/// How content is written.
#[derive(Clone, Copy, Debug)]
pub struct StageOptions {
    /// Bytes that have to stay free on the disk. Default 64 MiB.
    pub keep_free_bytes: u64,
    /// Whether content has to be on the disk before it is seen, and its name before the commit ends, so that a power cut
    /// leaves no part of a file, and takes none that was told to be there. Default yes.
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
    /// It is open for as long as the client takes.
    _held: Held,
    /// Where the file system has no files without a name.
    name: Option<Temporary>,
    /// The mode of a new file here.
    mode: u32,
    root: Root,
    path: SafePath,
    options: StageOptions,
    /// Bytes in the file.
    written: u64,
    direct: Direct,
    allowance: Allowance,
}

/// Whether content goes past the page cache.
#[derive(Debug)]
enum Direct {
    /// Not yet: the file may stay small.
    NotYet,
    /// By whole blocks.
    Blocks(Blocks),
    /// This file system cannot, or the file is whole.
    No,
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
        let held = Held::new()?;
        let (parent, _) = path.split().ok_or(WriteError::Clash(Clash::Root))?;
        let (file, name) = self.create_near(parent, options.named)?;
        let mode = fstat(&file)?.st_mode & 0o777;
        if name.is_some() {
            // SECURITY: whom it will be for is not known before it takes a place.
            sys::set_mode(&file, mode & 0o600)?;
        }
        let (root, path) = (self.clone(), path.clone());
        // Whoever does not wait for the disk at the end does not want to on the way either.
        let direct = if options.sync { Direct::NotYet } else { Direct::No };
        let mut allowance = Allowance::new(&file)?;
        allowance.renew(0, length, options.keep_free_bytes, &file)?;
        Ok(Staged {
            file,
            _held: held,
            name,
            mode,
            root,
            path,
            options,
            written: 0,
            direct,
            allowance,
        })
    }

    /// Makes a file in the folder `parent`, or in the nearest above it: folders that are missing are made when the file is
    /// whole, and until then that one will do, on the same disk.
    fn create_near(
        &self,
        parent: &[u8],
        named: bool,
    ) -> Result<(OwnedFd, Option<Temporary>), WriteError> {
        for _ in 0..RACES_MAX {
            let (folder, missing) = self.nearest_folder(parent)?;
            if !missing.is_empty() {
                check_depth(parent)?;
            }
            let unnamed = if named { Ok(None) } else { sys::create_unnamed(&folder) };
            let created = match unnamed {
                Ok(Some(file)) => Ok((file, None)),
                Ok(None) => Temporary::create(folder),
                Err(error) => Err(error),
            };
            match created {
                Ok(created) => return Ok(created),
                // The folder was removed meanwhile.
                Err(Errno::NOENT) => wait_for_removal(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(WriteError::NotFound)
    }
}

impl Staged {
    /// Appends content; waits for the disk.
    ///
    /// # Errors
    /// [`WriteError::NoSpace`], [`WriteError::TooLarge`]: nothing will come of this file.
    pub fn write(&mut self, chunks: &[Bytes]) -> Result<(), WriteError> {
        let length = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        self.allowance.cover(length, self.options.keep_free_bytes, &self.file)?;
        if matches!(self.direct, Direct::NotYet) && self.written >= DIRECT_AFTER_BYTES {
            self.begin_direct();
        }
        match std::mem::replace(&mut self.direct, Direct::No) {
            Direct::Blocks(blocks) => self.write_blocks(blocks, chunks)?,
            direct => {
                self.direct = direct;
                self.write_all(chunks.iter().map(|chunk| &**chunk))?;
            }
        }
        self.allowance.used(length);
        Ok(())
    }

    /// Appends what `from` has at `offset`, at most `length` bytes of it; waits for the disk. Returns how many they were, which is
    /// none only at its end. The file system does it, and both files share what they have, where it can.
    ///
    /// # Errors
    /// As for [`write`](Self::write), and those of reading.
    pub fn copy(&mut self, from: &File, offset: u64, length: u64) -> Result<u64, WriteError> {
        if !matches!(self.direct, Direct::Blocks(_)) {
            self.allowance.cover(length, self.options.keep_free_bytes, &self.file)?;
            let most = usize::try_from(length).unwrap_or(usize::MAX);
            // None at all is what some say that cannot.
            match sys::copy_at(from, offset, &self.file, self.written, most) {
                Ok(count @ 1..) => {
                    self.written += count as u64;
                    self.allowance.used(count as u64);
                    return Ok(count as u64);
                }
                Err(full @ (Errno::NOSPC | Errno::DQUOT)) => return Err(full.into()),
                Ok(0) | Err(_) => {}
            }
        }
        let mut content = vec![0; length.min(BLOCK_BYTES as u64) as usize];
        let count = from.read_at(&mut content, offset).map_err(WriteError::Io)?;
        content.truncate(count);
        if count > 0 {
            self.write(&[content.into()])?;
        }
        Ok(count as u64)
    }

    /// Gives a file that will be new the mode of this other one, as far as new files here may have it: it is as private.
    ///
    /// # Errors
    /// The file system refuses.
    #[cfg(feature = "uploads")]
    pub(crate) fn set_mode_of(&mut self, from: &File) -> Result<(), WriteError> {
        let may_run = (self.mode & 0o444) >> 2;
        self.mode = sys::mode_for(&self.file, from)? & (self.mode | may_run);
        if self.name.is_none() {
            sys::set_mode(&self.file, self.mode)?;
        }
        Ok(())
    }

    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        match &self.direct {
            Direct::Blocks(blocks) => self.written + blocks.bytes().len() as u64,
            Direct::NotYet | Direct::No => self.written,
        }
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until the content is on the disk, unless that was not asked for; then it may be committed.
    ///
    /// # Errors
    /// The disk could not take the content.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        self.end_direct()?;
        if self.options.sync {
            sys::sync_content(&self.file)?;
        }
        Ok(())
    }

    /// Has the file be from that time, in nanoseconds since 1970-01-01T00:00Z, once it is finished. Returns whether it is now, to
    /// the two seconds that the coarsest file system knows; where that knows no such time, it takes the nearest or none.
    ///
    /// # Errors
    /// It cannot be found out.
    pub fn set_modified(&self, modified_ns: i128) -> Result<bool, WriteError> {
        let _ = sys::set_modified(&self.file, modified_ns);
        let now = Meta::from_stat(&fstat(&self.file)?)?.modified_ns;
        Ok(now.abs_diff(modified_ns) <= TWO_SECONDS_NS)
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
        self.end_direct()?;
        let mut lost = WriteError::Clash(Clash::Exists);
        for _ in 0..RACES_MAX {
            match (claim.look()?, on_clash) {
                (Look::Nothing, _) if claim.is_free_beside(on_clash)? => {
                    match self.put_in(&claim.folder, &claim.name) {
                        Ok(()) => return self.committed(claim, true),
                        // Somebody outside of this process was faster.
                        Err(Errno::EXIST) => {}
                        // The folder was removed meanwhile.
                        Err(Errno::NOENT) => {
                            wait_for_removal();
                            claim = claim.again()?;
                            lost = WriteError::NotFound;
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                (Look::File(old), OnClash::Replace) => {
                    self.replace(&claim, &old)?;
                    return self.committed(claim, false);
                }
                (_, OnClash::KeepBoth) => {
                    claim.take_free_name(|folder, name| self.put_in(folder, name))?;
                    return self.committed(claim, true);
                }
                (look, _) => return Err(look.clash()),
            }
        }
        Err(lost)
    }

    /// The file has its name. That a power cut takes neither from it is waited for, where that was asked for.
    fn committed(&self, claim: Claim, created: bool) -> Result<Written, WriteError> {
        let synced = if self.options.sync { claim.sync_names() } else { Ok(()) };
        // By the file, not by its name: somebody may have taken that away again.
        let written = claim.written(created, Meta::from_stat(&fstat(&self.file)?)?);
        synced.map(|()| written)
    }

    fn write_all<'a>(&mut self, content: impl Iterator<Item = &'a [u8]>) -> Result<(), WriteError> {
        let mut slices: Vec<IoSlice<'_>> = content.map(IoSlice::new).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let count = sys::write_at(&self.file, rest, self.written)?;
            if count == 0 {
                return Err(WriteError::NoSpace);
            }
            self.written += count as u64;
            IoSlice::advance_slices(&mut rest, count);
        }
        Ok(())
    }

    /// Writes what follows past the page cache, from the next even place on.
    fn begin_direct(&mut self) {
        if self.written.is_multiple_of(BLOCK_BYTES as u64) {
            self.direct = match sys::set_direct(&self.file, true) {
                Ok(()) => Direct::Blocks(Blocks::new()),
                Err(_) => Direct::No,
            };
        }
    }

    fn write_blocks(&mut self, mut blocks: Blocks, chunks: &[Bytes]) -> Result<(), WriteError> {
        for chunk in chunks {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                rest = blocks.take(rest);
                if blocks.is_full() {
                    self.write_block(&blocks)?;
                    blocks.clear();
                }
            }
        }
        self.direct = Direct::Blocks(blocks);
        Ok(())
    }

    fn write_block(&mut self, block: &Blocks) -> Result<(), WriteError> {
        match self.write_all([block.bytes()].into_iter()) {
            // The file system takes the flag and not the write: what is left of the block goes through memory, as all
            // that follows will as soon as the flag is off.
            Err(WriteError::BadName) => {
                sys::set_direct(&self.file, false)?;
                let left = (self.written % BLOCK_BYTES as u64) as usize;
                self.write_all([&block.bytes()[left..]].into_iter())
            }
            result => result,
        }
    }

    /// Writes what is gathered; it is no whole block, so it goes through memory.
    fn end_direct(&mut self) -> Result<(), WriteError> {
        if let Direct::Blocks(blocks) = std::mem::replace(&mut self.direct, Direct::No) {
            sys::set_direct(&self.file, false)?;
            self.write_all([blocks.bytes()].into_iter().filter(|bytes| !bytes.is_empty()))?;
        }
        Ok(())
    }

    /// Gives the file a name that is free.
    fn put_in(&mut self, folder: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        match self.name.take() {
            None => sys::link(&self.file, folder, name),
            Some(temporary) => {
                sys::set_mode(&self.file, self.mode)?;
                match temporary.rename_new(folder, name) {
                    Ok(()) => Ok(()),
                    Err((temporary, error)) => {
                        self.name = Some(temporary);
                        Err(error)
                    }
                }
            }
        }
    }

    /// Puts the file in the place of another one.
    fn replace(&mut self, claim: &Claim, old: &Meta) -> Result<(), WriteError> {
        // SECURITY: before it has a name by which others could open it.
        sys::hand_on_mode(&self.file, &claim.folder, &claim.name)?;
        let temporary = match self.name.take() {
            Some(temporary) => temporary,
            // Only a file with a name can replace another at once.
            None => Temporary::link(&self.file, claim.folder.try_clone().map_err(WriteError::Io)?)?,
        };
        self.tell_apart(old);
        temporary.rename(&claim.folder, &claim.name)?;
        kept::let_go(LetGo::File(*old));
        Ok(())
    }

    /// Makes sure that the file's time or length differs from the old one's, so that its entity-tag does, also where both
    /// were written between two ticks of the file system's clock.
    fn tell_apart(&self, old: &Meta) {
        for later_ns in LATER_NS {
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
}

/// A tick of the clock of vfat.
const TWO_SECONDS_NS: u128 = 2_000_000_000;

/// What stays free unless said otherwise: enough to log in and tidy up.
const KEEP_FREE_BYTES: u64 = 64 * 1024 * 1024;

/// How much of a file goes through memory, where it stays for those who read it next. A larger one would push out what
/// others read.
const DIRECT_AFTER_BYTES: u64 = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RootOptions;

    #[test]
    fn a_large_file_that_is_waited_for_goes_past_the_page_cache() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path(), RootOptions::default()).unwrap();
        let path = root.path(b"/large").unwrap();
        let piece = [Bytes::from(vec![1; BLOCK_BYTES])];
        for sync in [false, true] {
            let options = StageOptions { sync, ..StageOptions::default() };
            let mut staged = root.stage(&path, None, options).unwrap();
            for _ in 0..=DIRECT_AFTER_BYTES / BLOCK_BYTES as u64 {
                staged.write(&piece).unwrap();
            }
            // Not every file system can.
            let can = sys::set_direct(&staged.file, true).is_ok();
            assert_eq!(matches!(staged.direct, Direct::Blocks(_)), sync && can);
        }
    }
}
