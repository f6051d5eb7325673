//! Files that were served lately, in memory: small ones whole, large ones as open descriptors.
//!
//! Evicted by the clock algorithm: a hit sets one flag, so readers share a lock and write nothing else.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::entry::Entry;

/// Open descriptors kept, at most; and no more than this share of what the process may open.
const DESCRIPTORS_MAX: usize = 512;
const DESCRIPTORS_SHARE: u64 = 8;

/// What an entry costs beside its contents.
const ENTRY_BYTES: usize = 1024;

/// The cache of one [`Files`](super::Files).
#[derive(Debug)]
pub(super) struct Cache {
    bytes_max: usize,
    descriptors_max: usize,
    table: RwLock<Table>,
    /// Contents, heads and keys of all entries.
    bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Box<[u8]>, Slot>,
    /// Every key once, in the order in which the hand comes by.
    clock: VecDeque<Box<[u8]>>,
    descriptors: usize,
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    was_used: AtomicBool,
    /// What was counted for it.
    bytes: usize,
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let share = descriptors.map_or(DESCRIPTORS_MAX as u64, |all| all / DESCRIPTORS_SHARE);
        Self {
            bytes_max,
            descriptors_max: usize::try_from(share)
                .map_or(DESCRIPTORS_MAX, |share| share.min(DESCRIPTORS_MAX)),
            table: RwLock::default(),
            bytes: AtomicUsize::new(0),
        }
    }

    /// The entry for a path as it stood in a request.
    pub(super) fn get(&self, path: &[u8]) -> Option<Arc<Entry>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let slot = table.entries.get(path)?;
        if !slot.was_used.load(Ordering::Relaxed) {
            slot.was_used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&slot.entry))
    }

    /// Keeps an entry, unless it alone is larger than the cache may be.
    pub(super) fn insert(&self, path: &[u8], entry: &Arc<Entry>) {
        let bytes = ENTRY_BYTES + path.len() + entry.bytes();
        if bytes > self.bytes_max {
            return;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let slot = Slot { entry: Arc::clone(entry), was_used: AtomicBool::new(true), bytes };
        table.descriptors += usize::from(entry.is_open());
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        match table.entries.insert(path.into(), slot) {
            Some(old) => self.forget(&mut table, &old),
            None => table.clock.push_back(path.into()),
        }
        self.evict(&mut table);
    }

    /// Drops an entry that is out of date.
    pub(super) fn remove(&self, path: &[u8], entry: &Arc<Entry>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        // Another request may have put a newer one there.
        if table.entries.get(path).is_some_and(|slot| Arc::ptr_eq(&slot.entry, entry))
            && let Some(slot) = table.entries.remove(path)
        {
            self.forget(&mut table, &slot);
            table.clock.retain(|key| **key != *path);
        }
    }

    /// An entry has grown by a compressed copy.
    pub(super) fn grown(&self, path: &[u8], entry: &Arc<Entry>, bytes: usize) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = table.entries.get_mut(path)
            && Arc::ptr_eq(&slot.entry, entry)
        {
            slot.bytes += bytes;
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.evict(&mut table);
        }
    }

    fn forget(&self, table: &mut Table, slot: &Slot) {
        table.descriptors -= usize::from(slot.entry.is_open());
        self.bytes.fetch_sub(slot.bytes, Ordering::Relaxed);
    }

    fn evict(&self, table: &mut Table) {
        while self.bytes.load(Ordering::Relaxed) > self.bytes_max
            || table.descriptors > self.descriptors_max
        {
            let Some(path) = table.clock.pop_front() else { return };
            let Some(slot) = table.entries.get(&path) else { continue };
            if slot.was_used.swap(false, Ordering::Relaxed) {
                table.clock.push_back(path);
            } else if let Some(slot) = table.entries.remove(&path) {
                self.forget(table, &slot);
            }
        }
    }
}
