//! Reading an open file.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;

use super::descriptors::Held;
use super::{Kind, Meta, sys};

/// A regular file, open for reading. A clone shares the descriptor, which no function moves: offsets are arguments.
#[derive(Clone, Debug)]
pub struct File {
    open: Arc<Open>,
    meta: Meta,
}

#[derive(Debug)]
struct Open {
    fd: OwnedFd,
    /// From the first time on that it is sent.
    held: OnceLock<Held>,
}

impl File {
    pub(super) fn new(fd: OwnedFd, meta: Meta) -> Self {
        Self { open: Arc::new(Open { fd, held: OnceLock::new() }), meta }
    }

    /// Takes a file that something else has opened, to send it as [`Body`](crate::Body). The descriptor is this one's alone:
    /// its position is not used.
    ///
    /// # Errors
    /// It is no regular file (`InvalidInput`), or the system does not tell.
    pub fn adopt(fd: OwnedFd) -> io::Result<Self> {
        let stat = sys::fstat(&fd)?;
        match Meta::from_stat(&stat) {
            Ok(meta) if meta.kind == Kind::File => Ok(Self::new(fd, meta)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
        }
    }

    /// To be called before the file is sent: then it stays open for as long as a client likes. To however many it is sent,
    /// it counts as one.
    ///
    /// # Errors
    /// As many are open so as may be (EMFILE).
    #[cfg_attr(not(feature = "files"), allow(dead_code, reason = "who sends files"))]
    pub(crate) fn hold(&self) -> io::Result<()> {
        if self.open.held.get().is_none() {
            // Where another thread was faster, its count is the one.
            let _ = self.open.held.set(Held::new()?);
        }
        Ok(())
    }

    /// What the file was like when it was opened.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Whether the file is still what it was when it was opened, as far as its length and times can tell.
    pub fn is_unchanged(&self) -> bool {
        let now = sys::fstat(&self.open.fd).ok().and_then(|stat| Meta::from_stat(&stat).ok());
        now == Some(self.meta)
    }

    /// The same but for its name, its mode and the like, which may have changed.
    #[cfg(feature = "uploads")]
    pub(crate) fn is_same_content(&self) -> bool {
        let now = sys::fstat(&self.open.fd).ok().and_then(|stat| Meta::from_stat(&stat).ok());
        let of = |meta: &Meta| (meta.size, meta.modified_ns);
        now.is_some_and(|now| of(&now) == of(&self.meta))
    }

    /// Whether the file has no name any more; then it only takes its place on the disk for as long as it is open.
    #[cfg_attr(not(feature = "files"), allow(dead_code, reason = "who keeps files"))]
    pub(crate) fn is_deleted(&self) -> bool {
        sys::fstat(&self.open.fd).is_ok_and(|stat| stat.st_nlink == 0)
    }

    /// Reads at `offset` bytes what is in memory, without waiting. Returns how many bytes, which may be fewer than `buf`
    /// holds; 0 only at the end of the file.
    ///
    /// # Errors
    /// `WouldBlock` when the disk is needed first, and always on a file system that cannot tell (preadv2's RWF_NOWAIT;
    /// vfat and NFS, not ext4, xfs, btrfs, f2fs or tmpfs); others as read(2).
    pub fn try_read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(sys::read_now(&self.open.fd, buf, offset)?)
    }

    /// As [`try_read_at`](Self::try_read_at), but waits for the disk.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(sys::read(&self.open.fd, buf, offset)?)
    }

    /// Reads the `len` bytes at `offset`; may wait for the disk.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file has become shorter than that; others as read(2).
    pub fn read_range(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match self.read_at(&mut bytes[filled..], offset + filled as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(bytes)
    }

    /// Whether sending the `len` bytes at `offset` would most likely not wait for the disk: their first and last page are
    /// in memory, and the kernel reads in long runs.
    pub fn is_cached(&self, offset: u64, len: u64) -> bool {
        let here = |offset| sys::read_now(&self.open.fd, &mut [0], offset) != Err(Errno::AGAIN);
        len == 0 || (here(offset) && here(offset.saturating_add(len - 1)))
    }

    /// Brings the `len` bytes at `offset` into memory, waiting for the disk, so that sending them does not.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn fill(&self, offset: u64, len: u64) -> io::Result<()> {
        let end = offset.saturating_add(len);
        let mut scratch = vec![0; FILL_STEP_BYTES];
        let mut at = offset;
        while at < end {
            let step = usize::try_from(end - at).unwrap_or(usize::MAX).min(FILL_STEP_BYTES);
            match self.read_at(&mut scratch[..step], at)? {
                0 => break,
                count => at += count as u64,
            }
        }
        Ok(())
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.open.fd.as_fd()
    }
}

/// Big enough to make system calls rare, small enough for the processor's cache.
const FILL_STEP_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::descriptors::MOST;

    #[test]
    fn a_file_that_is_sent_to_many_counts_as_one() {
        let file = File::adopt(tempfile::tempfile().unwrap().into()).unwrap();
        let sent: Vec<File> = (0..=(*MOST).min(1_000_000)).map(|_| file.clone()).collect();
        assert!(sent.iter().all(|file| file.hold().is_ok()));
    }
}
