//! A file in one coding, as an answer: its heads encoded, its content in memory or open.

use std::sync::Arc;

use bytes::Bytes;
use number8_proto::date;
use number8_proto::headers::Fields;
use number8_proto::http1::{BodySize, Prepared};
use number8_proto::negotiate::Coding;

use super::Settings;
use super::load::Moment;
use crate::etag::{coded_etag, etag, weak_etag};
use crate::store::{File, Meta};

/// Nanoseconds in a second.
const SECOND_NS: i128 = 1_000_000_000;

/// A file changed less than this ago may change again without a new time, such as on vfat.
const YOUNG_NS: i128 = 2 * SECOND_NS;

/// A file in one coding (RFC 9110 §8.4).
#[derive(Debug)]
pub(super) struct Representation {
    pub(super) coding: Coding,
    /// The value of ETag, quotes and all.
    pub(super) etag: Vec<u8>,
    /// In seconds since 1970; `None` where the file claims to be from the future.
    pub(super) modified: Option<i64>,
    pub(super) content_type: Arc<str>,
    /// The fields of the request that decided about it.
    pub(super) vary: Option<&'static str>,
    pub(super) content: Content,
    /// The fields of a 200 but for the user's own, for answers whose head is not prepared.
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

/// A file's content, before it is known how it is served.
#[derive(Debug)]
pub(super) struct Source {
    /// What stands at the address.
    pub(super) file: Meta,
    /// That, or the sibling whose content this is.
    pub(super) meta: Meta,
    /// When the content was read, in nanoseconds since 1970.
    pub(super) read_ns: i128,
    /// In seconds since 1970; `None` where the file claims to be from the future.
    pub(super) modified: Option<i64>,
    pub(super) content: Content,
    pub(super) coding: Coding,
    /// Another change of the content would show in its time or length. Else the tag is weak, and nothing is kept.
    pub(super) is_settled: bool,
}

impl Source {
    /// The content of a file, or of its sibling `meta`, that was opened at `now`. Whoever reads the content looks afterwards
    /// whether it `is_unchanged`.
    pub(super) fn new(
        file: Meta,
        meta: Meta,
        content: Content,
        coding: Coding,
        is_unchanged: bool,
        now: Moment,
    ) -> Self {
        // A time far ahead tells changes apart just as well as one long past.
        let is_young = (now.unix_ns - meta.modified_ns).abs() < YOUNG_NS;
        // RFC 9110 §8.8.2.1: never later than Date. A file from the future has no usable time.
        let modified = (meta.modified_ns <= now.unix_ns)
            .then(|| i64::try_from(meta.modified_ns.div_euclid(SECOND_NS)).ok())
            .flatten();
        Self {
            file,
            meta,
            read_ns: now.unix_ns,
            modified,
            content,
            coding,
            is_settled: is_unchanged && !is_young,
        }
    }
}

impl Source {
    fn etag(&self) -> Vec<u8> {
        let strong = match self.coding {
            // A file that became shorter while it was read is as long as what was read.
            Coding::Identity => etag(&Meta { size: self.content.len(), ..self.file }),
            coding => coded_etag(&self.file, coding, self.meta.modified_ns, self.content.len()),
        };
        if self.is_settled { strong } else { weak_etag(&strong, self.read_ns) }
    }
}

impl Representation {
    pub(super) fn new(
        source: Source,
        content_type: &Arc<str>,
        vary: Option<&'static str>,
        settings: &Settings,
    ) -> Self {
        let etag = source.etag();
        let Source { modified, content, coding, .. } = source;
        // RFC 9110 §15.4.5: what a 200 would have said and a cache needs.
        let mut kept = Fields::new();
        put(&mut kept, "ETag", &etag);
        if let Some(vary) = vary {
            put(&mut kept, "Vary", vary.as_bytes());
        }
        let mut fields = Fields::new();
        put(&mut fields, "Content-Type", content_type.as_bytes());
        if coding != Coding::Identity {
            put(&mut fields, "Content-Encoding", coding.name().as_bytes());
        }
        if let Some(modified) = modified {
            put(&mut fields, "Last-Modified", &date::format(modified));
        }
        put(&mut fields, "Accept-Ranges", b"bytes");
        put_all(&mut fields, kept.iter());

        let own = || settings.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        put_all(&mut kept, own());
        let mut whole = fields.clone();
        put_all(&mut whole, own());
        Self {
            coding,
            etag,
            modified,
            content_type: Arc::clone(content_type),
            vary,
            ok: Arc::new(Prepared::new(200, &whole, BodySize::Known(content.len()))),
            not_modified: Arc::new(Prepared::new(304, &kept, BodySize::Unknown)),
            fields,
            content,
        }
    }

    /// The file that is open for it.
    pub(super) fn file(&self) -> Option<&File> {
        match &self.content {
            Content::File(file, _) => Some(file),
            Content::Memory(_) => None,
        }
    }

    /// Bytes of memory that this holds.
    pub(super) fn bytes(&self) -> usize {
        let content = match &self.content {
            Content::Memory(bytes) => bytes.len(),
            Content::File(..) => 0,
        };
        content + self.ok.wire_len() + self.not_modified.wire_len()
    }
}

/// Adds a field that is known to be one: names are ours, and what the user gave was checked when it came.
fn put(fields: &mut Fields, name: &str, value: &[u8]) {
    let added = fields.push(name, value);
    debug_assert!(added.is_ok(), "{name} cannot be sent");
}

fn put_all<'a>(fields: &mut Fields, all: impl Iterator<Item = (&'a str, &'a [u8])>) {
    all.for_each(|(name, value)| put(fields, name, value));
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
        }
    }
}
