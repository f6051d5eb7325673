//! Room on a disk, of which all that is written at once takes no more than there is.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use super::WriteError;
use super::sys;
use crate::store::sys::fstat;
use crate::sync::{Mutex, lock};

/// What those that write may write, disk by disk, before they look again: it is as good as written.
static GRANTED: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());

/// How much is written between two looks at the free space, at most; and where little is free.
const STEP_MAX: u64 = 4 * 1024 * 1024;
const STEP_MIN: u64 = 256 * 1024;

/// The part of what is free that one of them may have at once.
const STEPS: u64 = 256;

/// What one of them may write before it looks at the free space again. It gives back what is left when it is dropped.
#[derive(Debug)]
pub(super) struct Allowance {
    disk: u64,
    left: u64,
}

impl Allowance {
    /// Of the disk that has this file; nothing yet.
    pub(super) fn new(file: &OwnedFd) -> Result<Self, WriteError> {
        Ok(Self { disk: fstat(file)?.st_dev, left: 0 })
    }

    /// Makes sure that what is about to be written has room.
    ///
    /// # Errors
    /// [`WriteError::NoSpace`].
    pub(super) fn cover(
        &mut self,
        length: u64,
        keep_free: u64,
        file: &OwnedFd,
    ) -> Result<(), WriteError> {
        match self.left >= length {
            true => Ok(()),
            false => self.renew(length, None, keep_free, file),
        }
    }

    /// Looks at the disk: `now` bytes are about to be written, of `total` in all where that is known. All of it has to have
    /// room and leave `keep_free` bytes free; as long as it does not come, others may have the most of it.
    ///
    /// # Errors
    /// [`WriteError::NoSpace`].
    pub(super) fn renew(
        &mut self,
        now: u64,
        total: Option<u64>,
        keep_free: u64,
        file: &OwnedFd,
    ) -> Result<(), WriteError> {
        self.give_back();
        // Before it is looked, so that two that look at once see each other.
        let wanted = now.max(STEP_MAX);
        let others = self.take(wanted);
        let Some(space) = sys::space(file)? else { return Ok(()) };
        let usable = space.free_bytes.saturating_sub(keep_free).saturating_sub(others);
        let is_short = keep_free > 0 && (usable == 0 || space.is_short_of_files());
        if usable < now.max(total.unwrap_or(0)) || is_short {
            self.give_back();
            return Err(WriteError::NoSpace);
        }
        let step = (usable / STEPS).clamp(STEP_MIN, STEP_MAX).max(now).min(usable);
        self.used(wanted - step.min(total.unwrap_or(u64::MAX)));
        Ok(())
    }

    /// So many bytes have been written, or need not be.
    pub(super) fn used(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        if let Some(granted) = lock(&GRANTED).get_mut(&self.disk) {
            *granted = granted.saturating_sub(bytes);
        }
    }

    /// Takes so many; returns what others have.
    fn take(&mut self, bytes: u64) -> u64 {
        let mut all = lock(&GRANTED);
        let granted = all.entry(self.disk).or_default();
        let others = *granted;
        *granted = granted.saturating_add(bytes);
        self.left = bytes;
        others
    }

    fn give_back(&mut self) {
        self.used(self.left);
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.give_back();
    }
}
