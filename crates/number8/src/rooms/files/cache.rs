//! Files that were served lately, in memory: small ones whole, large ones as open descriptors.
//!
//! Evicted by the clock algorithm: a hit sets one flag, so readers share a lock and write nothing else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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
}

#[derive(Debug, Default)]
struct Table {
    /// Keyed, as the standard one is, and quicker: a client chooses what is looked up, though not what is in here.
    places: HashMap<Arc<[u8]>, usize, foldhash::fast::RandomState>,
    /// The clock's face; a place that was given up is empty.
    slots: Vec<Option<Slot>>,
    vacant: Vec<usize>,
    hand: usize,
    /// Contents, heads and keys of all entries.
    bytes: usize,
    descriptors: usize,
}

#[derive(Debug)]
struct Slot {
    path: Arc<[u8]>,
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
        }
    }

    /// The entry for a path as it stood in a request.
    pub(super) fn get(&self, path: &[u8]) -> Option<Arc<Entry>> {
        let table = self.read();
        let slot = table.slots[*table.places.get(path)?].as_ref()?;
        if !slot.was_used.load(Ordering::Relaxed) {
            slot.was_used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&slot.entry))
    }

    /// Keeps an entry, unless it alone is larger than the cache may be. Returns the one to serve: that
    /// which is here already where both are the same, since it may have compressed copies.
    pub(super) fn keep(&self, path: &[u8], entry: Arc<Entry>) -> Arc<Entry> {
        let bytes = ENTRY_BYTES + path.len() + entry.bytes();
        let mut table = self.write();
        if let Some(&place) = table.places.get(path)
            && let Some(slot) = &table.slots[place]
        {
            if slot.entry.is_same_as(&entry) {
                slot.entry.renew(&entry);
                return Arc::clone(&slot.entry);
            }
            table.vacate(place);
        }
        if bytes > self.bytes_max {
            return entry;
        }
        table.occupy(Slot {
            path: path.into(),
            entry: Arc::clone(&entry),
            // It was asked for once: files that are asked for again stay longer.
            was_used: AtomicBool::new(false),
            bytes,
        });
        self.evict(&mut table);
        entry
    }

    /// True when an entry with that many bytes of content, and a copy of them, would be kept.
    pub(super) fn may_hold_twice(&self, bytes: u64) -> bool {
        bytes <= (self.bytes_max / 2).saturating_sub(ENTRY_BYTES) as u64
    }

    /// Drops an entry that is out of date.
    pub(super) fn remove(&self, path: &[u8], entry: &Arc<Entry>) {
        let mut table = self.write();
        if let Some(place) = table.place_of(path, entry) {
            table.vacate(place);
        }
    }

    /// An entry has grown by a compressed copy.
    pub(super) fn grown(&self, path: &[u8], entry: &Arc<Entry>, bytes: usize) {
        let mut table = self.write();
        if let Some(place) = table.place_of(path, entry)
            && let Some(slot) = &mut table.slots[place]
        {
            slot.bytes += bytes;
            table.bytes += bytes;
            self.evict(&mut table);
        }
    }

    fn evict(&self, table: &mut Table) {
        while table.bytes > self.bytes_max || table.descriptors > self.descriptors_max {
            let hand = table.hand;
            table.hand = (hand + 1) % table.slots.len();
            let Some(slot) = &table.slots[hand] else { continue };
            // Where descriptors alone are too many, files in memory may stay.
            if table.bytes <= self.bytes_max && slot.entry.descriptors() == 0 {
                continue;
            }
            if !slot.was_used.swap(false, Ordering::Relaxed) {
                table.vacate(hand);
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Where this very entry is; another request may have put a newer one there.
    fn place_of(&self, path: &[u8], entry: &Arc<Entry>) -> Option<usize> {
        let place = *self.places.get(path)?;
        let slot = self.slots[place].as_ref()?;
        Arc::ptr_eq(&slot.entry, entry).then_some(place)
    }

    fn occupy(&mut self, slot: Slot) {
        self.bytes += slot.bytes;
        self.descriptors += slot.entry.descriptors();
        let place = self.vacant.pop().unwrap_or(self.slots.len());
        self.places.insert(Arc::clone(&slot.path), place);
        if place == self.slots.len() {
            self.slots.push(Some(slot));
        } else {
            self.slots[place] = Some(slot);
        }
    }

    fn vacate(&mut self, place: usize) {
        if let Some(slot) = self.slots[place].take() {
            self.bytes -= slot.bytes;
            self.descriptors -= slot.entry.descriptors();
            self.places.remove(&slot.path);
            self.vacant.push(place);
        }
    }
}
