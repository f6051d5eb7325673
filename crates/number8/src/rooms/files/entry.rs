//! One file, ready to be served: its heads encoded, its content in memory or open, its codings beside it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use number8_proto::date;
use number8_proto::headers::{FieldError, Fields};
use number8_proto::http1::{BodySize, Prepared};
use number8_proto::negotiate::{Coding, Encodings};

use crate::body::{Body, FileRange, Part};
use crate::store::{File, Meta, SafePath};

/// Nanoseconds in a second.
const SECOND_NS: i128 = 1_000_000_000;

/// A file younger than this may change again without a new time: its tag is weak, and it is not kept.
const YOUNG_NS: i128 = 2 * SECOND_NS;

/// How long an entry is served before the file is looked at again.
const FRESH_MS: u64 = 1000;

/// How long before everything about the file is found out again, such as new siblings.
const KEPT_MS: u64 = 10_000;

/// Files up to this size are asked once a second whether they are in memory, not at each request.
const WARM_BYTES_MAX: u64 = 1024 * 1024;

/// One file as it was when it was opened.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: SafePath,
    pub(super) meta: Meta,
    pub(super) identity: Representation,
    /// The same in other codings: siblings of the file, or compressed here.
    coded: RwLock<Vec<Arc<Representation>>>,
    /// The content is worth compressing.
    pub(super) is_compressible: bool,
    /// Somebody compresses it, or has.
    compressing: AtomicBool,
    is_young: bool,
    loaded_ms: u64,
    checked_ms: AtomicU64,
    /// Until when the pages are taken to be in memory.
    warm_until_ms: AtomicU64,
}

/// A file in one coding (RFC 9110 §8.4).
#[derive(Debug)]
pub(super) struct Representation {
    pub(super) coding: Coding,
    /// The value of ETag, quotes and all.
    pub(super) etag: Vec<u8>,
    /// In seconds since 1970; `None` where the file claims to be from the future.
    pub(super) modified: Option<i64>,
    pub(super) content_type: Arc<str>,
    pub(super) content: Content,
    /// The fields of a 200, for those answers whose head is not prepared.
    pub(super) fields: Fields,
    pub(super) ok: Arc<Prepared>,
    pub(super) not_modified: Arc<Prepared>,
}

/// Where the content is.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Memory(Bytes),
    File(File, u64),
}

/// What all files of a folder have in common.
#[derive(Debug, Default)]
pub(super) struct Common {
    /// Cache-Control and the user's own fields.
    pub(super) fields: Vec<(String, Vec<u8>)>,
    /// Compressed copies are made, so every answer of a compressible type depends on Accept-Encoding.
    pub(super) compress: bool,
}

/// A file's content, before it is known how it is served.
pub(super) struct Source {
    pub(super) meta: Meta,
    pub(super) content: Content,
    pub(super) coding: Coding,
}

impl Entry {
    /// Makes an entry of a file, and of the siblings that hold it in other codings.
    ///
    /// # Errors
    /// A field of `common` or the type cannot be sent.
    pub(super) fn new(
        path: SafePath,
        file: Source,
        siblings: Vec<Source>,
        content_type: &str,
        common: &Common,
        now_ms: u64,
        now_ns: i128,
    ) -> Result<Self, FieldError> {
        let meta = file.meta;
        let is_compressible = super::mime::is_compressible(content_type);
        let varies = !siblings.is_empty() || (common.compress && is_compressible);
        let content_type: Arc<str> = content_type.into();
        let make = |source: Source| {
            Representation::new(source, &meta, &content_type, varies, common, now_ns)
        };
        let identity = make(file)?;
        let coded = siblings
            .into_iter()
            .map(|source| make(source).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            path,
            meta,
            identity,
            // A file that has siblings is compressed already, by somebody who took the time.
            is_compressible: common.compress && is_compressible && coded.is_empty(),
            coded: RwLock::new(coded),
            compressing: AtomicBool::new(false),
            is_young: now_ns - meta.modified_ns < YOUNG_NS,
            loaded_ms: now_ms,
            checked_ms: AtomicU64::new(now_ms),
            warm_until_ms: AtomicU64::new(0),
        })
    }

    /// True when the file may be kept: its time would show another change.
    pub(super) fn may_be_kept(&self) -> bool {
        !self.is_young
    }

    /// True while nobody has to look at the file again.
    pub(super) fn is_fresh(&self, now_ms: u64) -> bool {
        now_ms < self.checked_ms.load(Ordering::Relaxed) + FRESH_MS
    }

    /// True when everything has to be found out again.
    pub(super) fn is_old(&self, now_ms: u64) -> bool {
        now_ms >= self.loaded_ms + KEPT_MS
    }

    /// The file has been looked at and is unchanged.
    pub(super) fn checked(&self, now_ms: u64) {
        self.checked_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.identity.content, Content::File(..))
    }

    /// Bytes of memory that this holds.
    pub(super) fn bytes(&self) -> usize {
        let coded = self.coded.read().unwrap_or_else(PoisonError::into_inner);
        self.identity.bytes() + coded.iter().map(|coded| coded.bytes()).sum::<usize>()
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

    /// True for the one caller who is to compress the content.
    pub(super) fn begin_compressing(&self) -> bool {
        self.is_compressible && !self.compressing.swap(true, Ordering::Relaxed)
    }

    /// Adds a compressed copy; returns what it holds in memory.
    pub(super) fn add_coded(&self, representation: Representation) -> usize {
        let bytes = representation.bytes();
        self.coded.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(representation));
        bytes
    }

    /// True when the pages of a file of moderate size are in memory, as of at most a second ago.
    fn is_warm(&self, file: &File, size: u64, now_ms: u64) -> bool {
        if size > WARM_BYTES_MAX {
            return false;
        }
        if now_ms < self.warm_until_ms.load(Ordering::Relaxed) {
            return true;
        }
        let is_warm = file.is_cached(0, size);
        if is_warm {
            self.warm_until_ms.store(now_ms + FRESH_MS, Ordering::Relaxed);
        }
        is_warm
    }

    /// A part of the content: the bytes from `start` up to and without `end`.
    pub(super) fn part(&self, content: &Content, start: u64, end: u64, now_ms: u64) -> Part {
        match content {
            // What is in memory is far smaller than the address space.
            Content::Memory(bytes) => Part::Bytes(bytes.slice(start as usize..end as usize)),
            Content::File(file, size) => Part::File(FileRange {
                warm: self.is_warm(file, *size, now_ms),
                file: file.clone(),
                start,
                end,
            }),
        }
    }

    /// The whole content.
    pub(super) fn body(&self, content: &Content, now_ms: u64) -> Body {
        match content {
            Content::Memory(bytes) => bytes.clone().into(),
            Content::File(_, size) => Body::parts([self.part(content, 0, *size, now_ms)]),
        }
    }
}

impl Representation {
    pub(super) fn new(
        source: Source,
        file: &Meta,
        content_type: &Arc<str>,
        varies: bool,
        common: &Common,
        now_ns: i128,
    ) -> Result<Self, FieldError> {
        let Source { meta, content, coding } = source;
        let is_young = now_ns - file.modified_ns.max(meta.modified_ns) < YOUNG_NS;
        let etag = etag(&meta, content.len(), coding, is_young);
        // RFC 9110 §8.8.2.1: never later than Date. A file from the future has no usable time.
        let modified = (meta.modified_ns <= now_ns)
            .then(|| i64::try_from(meta.modified_ns.div_euclid(SECOND_NS)).ok())
            .flatten();

        let mut always = Fields::new();
        always.push("ETag", &etag)?;
        if varies {
            always.push("Vary", b"Accept-Encoding")?;
        }
        for (name, value) in &common.fields {
            always.push(name, value)?;
        }
        let mut fields = Fields::new();
        fields.push("Content-Type", content_type.as_bytes())?;
        if coding != Coding::Identity {
            fields.push("Content-Encoding", coding.name().as_bytes())?;
        }
        if let Some(modified) = modified {
            fields.push("Last-Modified", &date::format(modified))?;
        }
        fields.push("Accept-Ranges", b"bytes")?;
        for (name, value) in always.iter() {
            fields.push(name, value)?;
        }
        Ok(Self {
            coding,
            etag,
            modified,
            content_type: Arc::clone(content_type),
            ok: Arc::new(Prepared::new(200, &fields, BodySize::Known(content.len()))),
            // RFC 9110 §15.4.5: what a 200 would have said and a cache needs; no length.
            not_modified: Arc::new(Prepared::new(304, &always, BodySize::Unknown)),
            fields,
            content,
        })
    }

    fn bytes(&self) -> usize {
        let content = match &self.content {
            Content::Memory(bytes) => bytes.len(),
            Content::File(..) => 0,
        };
        content + self.ok.wire_len() + self.not_modified.wire_len()
    }
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
        }
    }
}

/// `"<mtime in ns>-<size>[-coding]"` in hexadecimal digits, weak while the file may still change unseen
/// (RFC 9110 §8.8.3).
fn etag(meta: &Meta, size: u64, coding: Coding, is_weak: bool) -> Vec<u8> {
    let weak = if is_weak { "W/" } else { "" };
    let (modified, size) = (meta.modified_ns, size);
    match coding {
        Coding::Identity => format!("{weak}\"{modified:x}-{size:x}\""),
        coding => format!("{weak}\"{modified:x}-{size:x}-{}\"", coding.name()),
    }
    .into_bytes()
}
