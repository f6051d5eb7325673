//! Files that were served lately, in memory: small ones whole, large ones as open descriptors.
//!
//! Evicted by the clock algorithm: a hit sets one flag, so readers share a lock and write nothing else.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use super::entry::Entry;
use crate::metrics::{Count, Sheet};
use crate::store::kept::{self, Keeper, LetGo};

/// What an entry costs beside its contents.
const ENTRY_BYTES: usize = 1024;

/// The cache of one [`Files`](super::Files).
#[derive(Debug)]
pub(super) struct Cache {
    bytes_max: usize,
    table: RwLock<Table>,
    hits: Count,
    misses: Count,
}

#[derive(Debug, Default)]
struct Table {
    /// Keyed, as the standard one is, and quicker: a client chooses what is looked up, though not what is in here. What a
    /// hit needs stands in the map itself: among many files each step aside is a wait for memory.
    kept: HashMap<Arc<[u8]>, Kept, foldhash::fast::RandomState>,
    /// The clock's face: the path of each entry; a place that was given up is empty.
    face: Vec<Option<Arc<[u8]>>>,
    vacant: Vec<usize>,
    hand: usize,
    /// Contents, heads and keys of all entries.
    bytes: usize,
    descriptors: usize,
    /// The paths of those entries that hold some.
    open: HashSet<Arc<[u8]>, foldhash::fast::RandomState>,
}

#[derive(Debug)]
struct Kept {
    entry: Arc<Entry>,
    was_used: AtomicBool,
    /// On the clock's face.
    place: usize,
    /// What was counted for it.
    bytes: usize,
    _open: kept::Kept,
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        let cache = Arc::new(Self {
            bytes_max,
            table: RwLock::default(),
            hits: Count::default(),
            misses: Count::default(),
        });
        let keeper = Arc::downgrade(&cache);
        kept::add(keeper as Weak<dyn Keeper>);
        cache
    }

    /// The entry for a path as it stood in a request.
    pub(super) fn get(&self, path: &[u8]) -> Option<Arc<Entry>> {
        let table = self.read();
        let Some(kept) = table.kept.get(path) else {
            drop(table);
            self.misses.add(1);
            return None;
        };
        if !kept.was_used.load(Ordering::Relaxed) {
            kept.was_used.store(true, Ordering::Relaxed);
        }
        let entry = Arc::clone(&kept.entry);
        drop(table);
        self.hits.add(1);
        Some(entry)
    }

    pub(super) fn measure(&self, sheet: &mut Sheet) {
        let (bytes, files) = {
            let table = self.read();
            (table.bytes as f64, table.kept.len() as f64)
        };
        let help = "Requests for files that were in memory.";
        sheet.counter("number8_cache_hits_total", help, &[], self.hits.sum());
        let help = "Requests that had to look at the disk.";
        sheet.counter("number8_cache_misses_total", help, &[], self.misses.sum());
        sheet.gauge("number8_cache_bytes", "Memory of files that are kept.", &[], bytes);
        let max = self.bytes_max as f64;
        sheet.gauge("number8_cache_max_bytes", "Memory that these may take.", &[], max);
        sheet.gauge("number8_cache_files", "Files that are kept.", &[], files);
    }

    /// Keeps an entry, unless it alone is larger than the cache may be. Returns the one to serve: that
    /// which is here already where both are the same, since it may have compressed copies.
    pub(super) fn keep(&self, path: &[u8], entry: Arc<Entry>) -> Arc<Entry> {
        let bytes = ENTRY_BYTES + path.len() + entry.bytes();
        let mut table = self.write();
        if let Some(kept) = table.kept.get(path) {
            if kept.entry.is_same_as(&entry) {
                kept.entry.renew(&entry);
                return Arc::clone(&kept.entry);
            }
            table.remove(path);
        }
        if bytes > self.bytes_max {
            return entry;
        }
        table.insert(path.into(), &entry, bytes);
        self.evict(&mut table, usize::MAX);
        drop(table);
        kept::shrink();
        entry
    }

    /// True when an entry with that many bytes of content, and a copy of them, would be kept.
    pub(super) fn may_hold_twice(&self, bytes: u64) -> bool {
        bytes <= (self.bytes_max / 2).saturating_sub(ENTRY_BYTES) as u64
    }

    /// Drops an entry that is out of date.
    pub(super) fn remove(&self, path: &[u8], entry: &Arc<Entry>) {
        let mut table = self.write();
        if table.holds(path, entry).is_some() {
            table.remove(path);
        }
    }

    /// An entry has grown by a compressed copy.
    pub(super) fn grown(&self, path: &[u8], entry: &Arc<Entry>, bytes: usize) {
        let mut table = self.write();
        if let Some(kept) = table.holds(path, entry) {
            kept.bytes += bytes;
            table.bytes += bytes;
            self.evict(&mut table, usize::MAX);
        }
    }

    fn evict(&self, table: &mut Table, descriptors_max: usize) {
        while table.bytes > self.bytes_max || table.descriptors > descriptors_max {
            let hand = table.hand;
            table.hand = (hand + 1) % table.face.len();
            let Some(path) = table.face[hand].clone() else { continue };
            let Some(kept) = table.kept.get(&path) else { continue };
            // Where descriptors alone are too many, files in memory may stay.
            if table.bytes <= self.bytes_max && kept.entry.descriptors() == 0 {
                continue;
            }
            if !kept.was_used.swap(false, Ordering::Relaxed) {
                table.remove(&path);
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

impl Keeper for Cache {
    fn count(&self) -> usize {
        self.read().descriptors
    }

    fn let_go_of_one(&self) {
        let mut table = self.write();
        let fewer = table.descriptors.saturating_sub(1);
        self.evict(&mut table, fewer);
    }

    fn let_go(&self, which: LetGo) {
        let gone: Vec<_> = {
            let table = self.read();
            let is_gone = |kept: &Kept| {
                let was_used = match which {
                    LetGo::Idle => kept.was_used.swap(false, Ordering::Relaxed),
                    LetGo::File(_) | LetGo::Deleted => true,
                };
                kept.entry.is_let_go(which, was_used)
            };
            let is_gone = |path: &&Arc<[u8]>| table.kept.get(*path).is_some_and(is_gone);
            table.open.iter().filter(is_gone).cloned().collect()
        };
        if gone.is_empty() {
            return;
        }
        let mut table = self.write();
        let closed: Vec<_> = gone.iter().filter_map(|path| table.remove(path)).collect();
        // To close a deleted file may take its time, and others need the table.
        drop(table);
        drop(closed);
    }
}

impl Table {
    /// What is kept of this very entry; another request may have put a newer one in its place.
    fn holds(&mut self, path: &[u8], entry: &Arc<Entry>) -> Option<&mut Kept> {
        self.kept.get_mut(path).filter(|kept| Arc::ptr_eq(&kept.entry, entry))
    }

    /// Adds an entry; there is none for the path.
    fn insert(&mut self, path: Arc<[u8]>, entry: &Arc<Entry>, bytes: usize) {
        self.bytes += bytes;
        let descriptors = entry.descriptors();
        self.descriptors += descriptors;
        if descriptors > 0 {
            self.open.insert(Arc::clone(&path));
        }
        let place = self.vacant.pop().unwrap_or(self.face.len());
        if place == self.face.len() {
            self.face.push(None);
        }
        self.face[place] = Some(Arc::clone(&path));
        // It was asked for once: files that are asked for again stay longer.
        let was_used = AtomicBool::new(false);
        let (entry, _open) = (Arc::clone(entry), kept::Kept::new(descriptors));
        self.kept.insert(path, Kept { entry, was_used, place, bytes, _open });
    }

    fn remove(&mut self, path: &[u8]) -> Option<Kept> {
        let kept = self.kept.remove(path)?;
        self.bytes -= kept.bytes;
        self.descriptors -= kept.entry.descriptors();
        self.open.remove(path);
        self.face[kept.place] = None;
        self.vacant.push(kept.place);
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::{Found, Patience, Wish};
    use super::*;
    use crate::Files;

    /// However many folders are served, so many are kept open in all, and each has its share.
    #[test]
    fn f2_w10_the_files_that_are_kept_open_are_counted_together() {
        let folder = tempfile::tempdir().unwrap();
        let name = |number| folder.path().join(format!("{number}"));
        let file = std::fs::File::create(name(0)).unwrap();
        file.set_len(100_000).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        let each = *kept::MOST * 2 / 3;
        (1..each).for_each(|number| std::fs::hard_link(name(0), name(number)).unwrap());
        let all: Vec<_> = (0..3).map(|_| Files::new(folder.path()).unwrap()).collect();
        for files in &all {
            (0..each).for_each(|number| drop(keep(files, format!("/{number}").as_bytes())));
        }
        let counts: Vec<_> = all.iter().map(|files| files.inner.cache.count()).collect();
        assert!(counts.iter().sum::<usize>() <= *kept::MOST, "{counts:?}");
        assert!(counts.iter().all(|count| *count >= *kept::MOST / 4), "{counts:?}");
    }

    fn keep(files: &Files, path: &[u8]) -> Arc<Entry> {
        let wish = Wish { listing: false, page: false };
        match files.inner.find(path, wish, None, Patience::Waits) {
            Ok(Found::File { entry, .. }) => files.inner.cache.keep(path, entry),
            _ => panic!("it is there"),
        }
    }

    /// A text that was compressed stays, unless it is deleted: to compress it again would cost more.
    #[test]
    fn f2_what_nobody_asks_for_is_not_kept_open() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["used", "idle", "compressed", "deleted"] {
            std::fs::write(folder.path().join(name), vec![b'a'; 100_000]).unwrap();
        }
        let files = Files::new(folder.path()).unwrap();
        let (cache, settings) = (&files.inner.cache, &files.inner.settings);
        for path in [&b"/used"[..], b"/idle"] {
            keep(&files, path);
        }
        for path in [&b"/compressed"[..], b"/deleted"] {
            let copy = bytes::Bytes::from_static(b"copy");
            keep(&files, path).add_copy(copy, number8_proto::negotiate::Coding::Gzip, settings);
        }
        std::fs::remove_file(folder.path().join("deleted")).unwrap();
        cache.get(b"/used");
        cache.let_go(LetGo::Idle);
        let is_kept = |path: &[u8]| cache.read().kept.contains_key(path);
        assert!(is_kept(b"/used") && is_kept(b"/compressed"));
        assert!(!is_kept(b"/idle") && !is_kept(b"/deleted"));
        cache.let_go(LetGo::Idle);
        assert!(!is_kept(b"/used"));
    }
}
