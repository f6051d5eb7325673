//! One file, ready to be served, with its codings beside it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use number8_proto::negotiate::{Coding, Encodings};

use super::Settings;
use super::load::Moment;
use super::representation::{Content, Representation, Source};
use crate::body::{Body, FileRange, Part, Whose};
use crate::server::clock;
use crate::store::kept::LetGo;
use crate::store::{self, File, Meta, SafePath};

/// Files up to this size are asked once a second whether they are in memory, not at each request.
const WARM_BYTES_MAX: u64 = 1024 * 1024;
const WARM_MS: u64 = 1000;

/// One file as it was when it was opened.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: SafePath,
    pub(super) meta: Meta,
    pub(super) identity: Representation,
    /// What the siblings were like that hold the file in other codings.
    siblings: Vec<(Coding, Meta)>,
    /// What those were like that are not sent, whatever they hold.
    strange: Vec<(Coding, Meta)>,
    /// The file in other codings: from siblings, or compressed here.
    coded: RwLock<Vec<Arc<Representation>>>,
    is_compressible: bool,
    /// The codings in which a compressed copy was made, or is being made; a bit each.
    compressed: AtomicU8,
    is_settled: bool,
    /// When it was opened, in nanoseconds since 1970.
    read_ns: i128,
    /// When the file was last seen to be unchanged.
    checked_ms: AtomicU64,
    /// How many changes this process had made then: after another one, it has to be looked at again.
    checked_changes: AtomicU64,
    /// When new siblings were last looked for.
    searched_ms: AtomicU64,
    is_being_checked: AtomicBool,
    /// Until when the pages are taken to be in memory.
    warm_until_ms: AtomicU64,
}

/// What the answers with a file say about it.
#[derive(Debug, Clone)]
pub(super) struct Looks {
    pub(super) content_type: Arc<str>,
    /// Whether Accept decided that this file is the answer.
    pub(super) by_accept: bool,
    /// Whether compressed copies may be made.
    pub(super) is_compressible: bool,
}

impl Entry {
    /// Makes an entry of a file, and of the siblings that hold it in other codings.
    pub(super) fn new(
        path: SafePath,
        file: Source,
        siblings: Vec<Source>,
        strange: Vec<(Coding, Meta)>,
        looks: &Looks,
        settings: &Settings,
        now: Moment,
    ) -> Self {
        let vary = match (looks.by_accept, !siblings.is_empty() || looks.is_compressible) {
            (false, false) => None,
            (false, true) => Some("Accept-Encoding"),
            (true, false) => Some("Accept"),
            (true, true) => Some("Accept, Accept-Encoding"),
        };
        let make = |source| Representation::new(source, &looks.content_type, vary, settings);
        Self {
            path,
            meta: file.meta,
            is_settled: file.is_settled && siblings.iter().all(|source| source.is_settled),
            read_ns: now.unix_ns,
            // A file that has siblings is compressed already, by somebody who took the time.
            is_compressible: looks.is_compressible && siblings.is_empty(),
            identity: make(file),
            siblings: siblings.iter().map(|source| (source.coding, source.meta)).collect(),
            strange,
            coded: RwLock::new(siblings.into_iter().map(make).map(Arc::new).collect()),
            compressed: AtomicU8::new(0),
            checked_ms: AtomicU64::new(now.ms),
            checked_changes: AtomicU64::new(now.changes),
            searched_ms: AtomicU64::new(now.ms),
            is_being_checked: AtomicBool::new(false),
            warm_until_ms: AtomicU64::new(0),
        }
    }

    /// True when the file may be kept: its time would show another change.
    pub(super) fn may_be_kept(&self) -> bool {
        self.is_settled
    }

    /// True when both are the same version of the same file.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.path == other.path
            && self.meta == other.meta
            && self.siblings == other.siblings
            && self.strange == other.strange
    }

    /// What was found out about `newer`, the same version of the file, is true of this one too.
    pub(super) fn renew(&self, newer: &Self) {
        self.checked(
            newer.checked_ms.load(Ordering::Relaxed),
            newer.checked_changes.load(Ordering::Relaxed),
        );
        self.searched(newer.searched_ms.load(Ordering::Relaxed));
    }

    /// True when the file was seen to be unchanged less than so many milliseconds ago, and we have written nothing since.
    pub(super) fn is_fresh(&self, now_ms: u64, fresh_ms: u64) -> bool {
        self.checked_changes.load(Ordering::Relaxed) == store::changes()
            && now_ms < self.checked_ms.load(Ordering::Relaxed).saturating_add(fresh_ms)
    }

    /// The file was unchanged at that time, and after so many changes of ours.
    pub(super) fn checked(&self, at_ms: u64, changes: u64) {
        self.checked_changes.fetch_max(changes, Ordering::Relaxed);
        self.checked_ms.fetch_max(at_ms, Ordering::Relaxed);
    }

    /// True when nobody has looked for new siblings for so long.
    pub(super) fn needs_search(&self, now_ms: u64, after_ms: u64) -> bool {
        now_ms >= self.searched_ms.load(Ordering::Relaxed).saturating_add(after_ms)
    }

    /// New siblings were looked for at that time.
    pub(super) fn searched(&self, at_ms: u64) {
        self.searched_ms.fetch_max(at_ms, Ordering::Relaxed);
    }

    /// True for the one caller who is to check the file on the lane.
    pub(super) fn begin_checking(&self) -> bool {
        !self.is_being_checked.swap(true, Ordering::Relaxed)
    }

    pub(super) fn end_checking(&self) {
        self.is_being_checked.store(false, Ordering::Relaxed);
    }

    /// What the sibling with that coding was like; `None` when there was none worth serving.
    pub(super) fn sibling(&self, coding: Coding) -> Option<Meta> {
        self.siblings.iter().find(|(of, _)| *of == coding).map(|(_, meta)| *meta)
    }

    /// As [`sibling`](Self::sibling), or what the one was like that is not sent.
    pub(super) fn beside(&self, coding: Coding) -> Option<Meta> {
        let strange = self.strange.iter().find(|(of, _)| *of == coding);
        self.sibling(coding).or_else(|| strange.map(|(_, meta)| *meta))
    }

    /// Whether the file stands beside it in other codings.
    pub(super) fn has_siblings(&self) -> bool {
        !self.siblings.is_empty()
    }

    /// True when it is time to close what this holds open.
    pub(super) fn is_let_go(&self, which: LetGo, was_used: bool) -> bool {
        match which {
            LetGo::File(gone) => self.any_file(|file| file.meta().is_same_inode(&gone)),
            LetGo::Deleted => self.any_file(File::is_deleted),
            LetGo::Idle if was_used => false,
            // Copies that were made of it are worth more than a descriptor.
            LetGo::Idle => !self.has_memory() || self.any_file(File::is_deleted),
        }
    }

    /// True when what is open has not been changed in place; what is in memory never is.
    pub(super) fn is_as_opened(&self) -> bool {
        !self.any_file(|file| !file.is_unchanged())
    }

    /// Whether some open file of this is so.
    fn any_file(&self, is_so: impl Fn(&File) -> bool) -> bool {
        let is_so = |of: &Representation| of.file().is_some_and(&is_so);
        is_so(&self.identity) || self.with_coded(|coded| coded.iter().any(|coded| is_so(coded)))
    }

    fn has_memory(&self) -> bool {
        self.with_coded(|coded| coded.iter().any(|coded| coded.file().is_none()))
    }

    /// Open descriptors that this holds.
    pub(super) fn descriptors(&self) -> usize {
        // Compressed copies are in memory, so the count stays the same as long as the entry lives.
        usize::from(self.identity.file().is_some())
            + self.with_coded(|coded| coded.iter().filter(|coded| coded.file().is_some()).count())
    }

    /// Bytes of memory that this holds.
    pub(super) fn bytes(&self) -> usize {
        self.identity.bytes()
            + self.with_coded(|coded| coded.iter().map(|coded| coded.bytes()).sum::<usize>())
    }

    /// Calls `with` with the representations in other codings.
    pub(super) fn with_coded<R>(&self, with: impl FnOnce(&[Arc<Representation>]) -> R) -> R {
        with(&self.coded.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The best representation for a client; `None` when it is that of the file itself.
    pub(super) fn best(&self, accepted: Encodings) -> Option<Arc<Representation>> {
        self.with_coded(|coded| {
            if coded.is_empty() {
                return None;
            }
            let mut available = [Coding::Identity; 4];
            let count = coded.len().min(available.len());
            for (place, coded) in available.iter_mut().zip(coded) {
                *place = coded.coding;
            }
            let best = accepted.best(&available[..count])?;
            coded.iter().find(|coded| coded.coding == best).cloned()
        })
    }

    /// True while there may be a coding in which a compressed copy is worth making.
    pub(super) fn is_compressible(&self) -> bool {
        self.is_compressible
    }

    /// True for the one caller who is to make the compressed copy in that coding.
    pub(super) fn begin_compressing(&self, coding: Coding) -> bool {
        self.compressed.fetch_or(bit(coding), Ordering::Relaxed) & bit(coding) == 0
    }

    /// True when nobody has begun a copy in that coding.
    pub(super) fn lacks(&self, coding: Coding) -> bool {
        self.compressed.load(Ordering::Relaxed) & bit(coding) == 0
    }

    /// The copy could not be made: somebody else may try.
    pub(super) fn failed_compressing(&self, coding: Coding) {
        self.compressed.fetch_and(!bit(coding), Ordering::Relaxed);
    }

    /// One copy was hardly smaller than the file: no other will be.
    pub(super) fn forgo_compressing(&self) {
        self.compressed.store(u8::MAX, Ordering::Relaxed);
    }

    /// Adds a compressed copy; returns what it holds in memory.
    pub(super) fn add_copy(&self, content: Bytes, coding: Coding, settings: &Settings) -> usize {
        let Representation { modified, content_type, vary, .. } = &self.identity;
        let source = Source {
            file: self.meta,
            meta: self.meta,
            read_ns: self.read_ns,
            modified: *modified,
            content: Content::Memory(content),
            coding,
            is_settled: self.is_settled,
        };
        let copy = Arc::new(Representation::new(source, content_type, *vary, settings));
        let bytes = copy.bytes();
        self.coded.write().unwrap_or_else(PoisonError::into_inner).push(copy);
        bytes
    }

    /// True when the pages of a file of moderate size are in memory, as of at most a second ago.
    fn is_warm(&self, file: &File, size: u64) -> bool {
        if size > WARM_BYTES_MAX {
            return false;
        }
        let now_ms = clock::monotonic_ms();
        if now_ms < self.warm_until_ms.load(Ordering::Relaxed) {
            return true;
        }
        let is_warm = file.is_cached(0, size);
        if is_warm {
            self.warm_until_ms.store(now_ms + WARM_MS, Ordering::Relaxed);
        }
        is_warm
    }

    /// A part of the content: the bytes from `start` up to and without `end`.
    pub(super) fn part(&self, content: &Content, start: u64, end: u64) -> Part {
        match content {
            // What is in memory is far smaller than the address space.
            Content::Memory(bytes) => {
                Part::Bytes(bytes.slice(start as usize..end as usize), Whose::Kept)
            }
            Content::File(file, size) => Part::File(FileRange {
                warm: self.is_warm(file, *size),
                file: file.clone(),
                start,
                end,
            }),
        }
    }

    /// The whole content.
    pub(super) fn body(&self, content: &Content) -> Body {
        match content {
            Content::Memory(bytes) => Body::kept(bytes.clone()),
            Content::File(_, size) => Body::parts([self.part(content, 0, *size)]),
        }
    }
}

fn bit(coding: Coding) -> u8 {
    1 << coding as u8
}
