//! From a request's path to what is there: a file, a folder, or nothing.
//!
//! The same code runs twice at most: first where the request was parsed, with calls that never wait for a
//! disk; where one of them would, again on the lane.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use number8_proto::negotiate::Coding;
use number8_proto::uri;

use super::asker::Asker;
use super::entry::{Entry, Looks};
use super::representation::{Content, Source};
use super::{Inner, encode};
use crate::etag::SIBLINGS;
use crate::media;
use crate::server::clock;
use crate::store::{self, Dir, File, Kind, Meta, OpenError, Opened, PathError, SafePath};

/// Files up to this size are served from memory.
const MEMORY_BYTES_MAX: u64 = 64 * 1024;

/// What follows the name of a file in the name of its sibling with that coding.
pub(super) fn suffix(coding: Coding) -> &'static str {
    let sibling = SIBLINGS.iter().find(|(_, other)| *other == coding);
    sibling.and_then(|(suffix, _)| std::str::from_utf8(suffix).ok()).unwrap_or_default()
}

/// New siblings of a kept file are looked for every so many times that the file itself is looked at: one
/// that is not served yet costs time, never correctness.
const CHECKS_PER_SEARCH: u64 = 10;

/// Whether calls may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Never,
    Waits,
}

/// One moment on the two clocks that files need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// As [`clock::monotonic_ms`].
    pub(super) ms: u64,
    /// Nanoseconds since 1970.
    pub(super) unix_ns: i128,
    /// As [`store::changes`].
    pub(super) changes: u64,
}

/// What a path leads to.
pub(super) enum Found {
    File {
        entry: Arc<Entry>,
        /// The path alone decides what is served, so the entry may be kept under it.
        by_path: bool,
    },
    /// A folder without index file, or one whose listing was asked for.
    Folder { dir: Dir, path: Vec<u8> },
    /// A folder that was asked for without its slash.
    NeedsSlash,
}

/// Why nothing is served.
#[derive(Debug)]
pub(super) enum Missing {
    /// The path is not one that names a file.
    BadPath(PathError),
    /// A percent sign without two digits.
    BadEscape,
    /// There is nothing that may be served.
    Open(OpenError),
    /// There is nothing for this client; another Accept would have brought the page of a single-page app.
    ByAccept,
}

impl From<OpenError> for Missing {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

/// What the request says beside its path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// A folder's listing even where there is an index file.
    pub(super) listing: bool,
    /// A page: Accept names HTML.
    pub(super) page: bool,
}

impl Inner {
    /// Finds what a path leads to. `raw` is as it stood in the request, percent-encoded.
    pub(super) fn find(
        &self,
        raw: &[u8],
        wish: Wish,
        asker: Option<&Asker>,
        patience: Patience,
    ) -> Result<Found, Missing> {
        Search { files: self, wish, asker, patience, now: Moment::now() }.find(raw)
    }

    /// True when a kept file is still what the entry says, and was so when this was called.
    ///
    /// # Errors
    /// It cannot be told: `WouldBlock`, or the system is short of something.
    pub(super) fn still_holds(&self, entry: &Entry, patience: Patience) -> Result<bool, OpenError> {
        let (now_ms, changes) = (clock::monotonic_ms(), store::changes());
        let look = |path: &SafePath| {
            let looked = match patience {
                Patience::Never => self.root.try_stat(path),
                Patience::Waits => self.root.stat_blocking(path),
            };
            match looked {
                Ok(meta) => Ok(Some(meta)),
                Err(error @ (OpenError::WouldBlock | OpenError::Io(_))) => Err(error),
                Err(_) => Ok(None),
            }
        };
        if look(&entry.path)? != Some(entry.meta) {
            return Ok(false);
        }
        let search_ms = self.settings.fresh_ms.saturating_mul(CHECKS_PER_SEARCH);
        let is_search = entry.needs_search(now_ms, search_ms);
        for (suffix, coding) in SIBLINGS {
            let known = entry.beside(coding);
            if known.is_none() && !is_search {
                continue;
            }
            let Ok(path) = entry.path.with_suffix(suffix) else { continue };
            if look(&path)?.filter(|meta| is_sibling(meta, &entry.meta)) != known {
                return Ok(false);
            }
        }
        entry.checked(now_ms, changes);
        if is_search {
            entry.searched(now_ms);
        }
        Ok(true)
    }
}

/// One look for what a request asks for.
struct Search<'a> {
    files: &'a Inner,
    wish: Wish,
    asker: Option<&'a Asker>,
    patience: Patience,
    /// When it began: whatever is read was so at this moment or later.
    now: Moment,
}

impl Search<'_> {
    fn find(&self, raw: &[u8]) -> Result<Found, Missing> {
        let decoded = uri::decode_path(raw).map_err(|_| Missing::BadEscape)?;
        let by_path = is_usual(raw);
        if let Some(only) = &self.files.only {
            return self.only_file(only, &decoded, by_path);
        }
        if decoded.is_empty() {
            return Ok(Found::NeedsSlash);
        }
        let path = self.files.root.path(&decoded).map_err(Missing::BadPath)?;
        match self.open(&path) {
            Ok(Opened::File(file)) => self.file(path, file, by_path),
            Ok(Opened::Dir(_)) if !decoded.ends_with(b"/") => Ok(Found::NeedsSlash),
            Ok(Opened::Dir(dir)) => self.folder(&path, decoded.into_owned(), dir, by_path),
            Err(OpenError::NotFound) => self.elsewhere(&path),
            Err(error) => Err(error.into()),
        }
    }

    fn only_file(&self, only: &SafePath, decoded: &[u8], by_path: bool) -> Result<Found, Missing> {
        let name = decoded.strip_prefix(b"/").unwrap_or(decoded);
        if !name.is_empty() && Some(name) != only.file_name() {
            return Err(OpenError::NotFound.into());
        }
        match self.open(only)? {
            Opened::File(file) => self.file(only.clone(), file, by_path),
            Opened::Dir(_) => Err(OpenError::NotFound.into()),
        }
    }

    /// A folder's index file, or the folder itself.
    fn folder(
        &self,
        path: &SafePath,
        decoded: Vec<u8>,
        dir: Dir,
        by_path: bool,
    ) -> Result<Found, Missing> {
        let names = if self.wish.listing { &[] } else { self.files.settings.index.as_slice() };
        for (place, name) in names.iter().enumerate() {
            let Ok(index) = path.join(name.as_bytes(), self.files.root.hidden()) else { continue };
            if let Some(file) = self.open_file(&index)? {
                // One that stands behind others would hide them if they came later.
                return self.file(index, file, by_path && place == 0);
            }
        }
        if self.files.settings.listing {
            Ok(Found::Folder { dir, path: decoded })
        } else {
            Err(OpenError::NotFound.into())
        }
    }

    /// There is no such file: the page without its extension, or the one page of a single-page app.
    fn elsewhere(&self, path: &SafePath) -> Result<Found, Missing> {
        let name = path.file_name().unwrap_or_default();
        let has_extension = name.contains(&b'.');
        if !has_extension
            && !self.files.settings.documents
            && !path.names_folder()
            && !name.is_empty()
            && let Ok(page) = path.with_suffix(b".html")
            && let Some(file) = self.open_file(&page)?
        {
            return self.file(page, file, false);
        }
        let Some(app) = &self.files.settings.spa else { return Err(OpenError::NotFound.into()) };
        // A missing picture is not answered with a page, unless a browser navigates to it.
        if has_extension && !self.wish.page {
            return Err(Missing::ByAccept);
        }
        let page = self.files.root.path(app).map_err(Missing::BadPath)?;
        match self.open_file(&page)? {
            Some(file) => {
                let entry = self.load(page, file, has_extension)?;
                Ok(Found::File { entry, by_path: false })
            }
            None => Err(OpenError::NotFound.into()),
        }
    }

    fn open(&self, path: &SafePath) -> Result<Opened, OpenError> {
        match self.patience {
            Patience::Never => self.files.root.try_open(path),
            Patience::Waits => self.files.root.open_blocking(path),
        }
    }

    /// Opens a file that is one of several choices; `None` where there is none.
    fn open_file(&self, path: &SafePath) -> Result<Option<File>, OpenError> {
        match self.open(path) {
            Ok(Opened::File(file)) => Ok(Some(file)),
            Ok(Opened::Dir(_)) | Err(OpenError::NotFound | OpenError::NotServable) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn file(&self, path: SafePath, file: File, by_path: bool) -> Result<Found, Missing> {
        Ok(Found::File { entry: self.load(path, file, false)?, by_path })
    }

    /// Makes an entry of an open file and its siblings.
    fn load(&self, path: SafePath, file: File, by_accept: bool) -> Result<Arc<Entry>, OpenError> {
        let (mut siblings, mut strange) = (Vec::new(), Vec::new());
        for (suffix, coding) in SIBLINGS {
            let Ok(beside) = path.with_suffix(suffix) else { continue };
            let source = match self.open(&beside) {
                Ok(Opened::File(sibling)) if is_sibling(sibling.meta(), file.meta()) => {
                    if self.asker.is_some_and(|asker| !asker.trusts(&beside, &path)) {
                        strange.push((coding, *sibling.meta()));
                        continue;
                    }
                    self.source(file.meta(), sibling, coding)
                }
                Ok(_) => continue,
                Err(error) => Err(error),
            };
            match source {
                Ok(source) => siblings.push(source),
                Err(OpenError::WouldBlock) => return Err(OpenError::WouldBlock),
                // A sibling is an extra: whatever is wrong with it, the file is there.
                Err(_) => {}
            }
        }
        let settings = &self.files.settings;
        let content_type = settings.types.of(path.file_name().unwrap_or_default());
        let is_compressible =
            media::is_compressible(&content_type) && encode::SIZES.contains(&file.meta().size);
        let looks = Looks { content_type: content_type.into(), by_accept, is_compressible };
        let meta = *file.meta();
        let file = self.source(&meta, file, Coding::Identity)?;
        Ok(Arc::new(Entry::new(path, file, siblings, strange, &looks, settings, self.now)))
    }

    /// Reads a small file, or sibling of `of`, keeps a large one open.
    fn source(&self, of: &Meta, file: File, coding: Coding) -> Result<Source, OpenError> {
        let meta = *file.meta();
        if meta.size > MEMORY_BYTES_MAX {
            let content = Content::File(file, meta.size);
            return Ok(Source::new(*of, meta, content, coding, true, self.now));
        }
        let content = Content::Memory(self.read(&file, meta.size)?);
        Ok(Source::new(*of, meta, content, coding, file.is_unchanged(), self.now))
    }

    /// Reads a whole file; one that became shorter meanwhile, as it is now.
    fn read(&self, file: &File, size: u64) -> Result<Bytes, OpenError> {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while filled < bytes.len() {
            let rest = &mut bytes[filled..];
            let read = match self.patience {
                Patience::Never => file.try_read_at(rest, filled as u64),
                Patience::Waits => file.read_at(rest, filled as u64),
            };
            match read {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Err(OpenError::WouldBlock);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(OpenError::Io(error)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes.into())
    }
}

impl Moment {
    fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A clock before 1970 is wrong, and so is every age it gives.
        let unix_ns =
            since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(i128::MAX));
        Self { ms: clock::monotonic_ms(), unix_ns, changes: store::changes() }
    }
}

/// Whether what was found beside a file is that file in another coding; an older one is of an older version.
fn is_sibling(meta: &Meta, file: &Meta) -> bool {
    meta.kind == Kind::File && meta.modified_ns >= file.modified_ns
}

/// Whether a path is spelled as a browser spells it.
///
/// SECURITY: the same file has endless other spellings, with slashes doubled and letters escaped. Each kept
/// under its own would fill the cache, and have the file compressed once more.
fn is_usual(raw: &[u8]) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let digit = |b: &u8| b.is_ascii_digit() || (b'A'..=b'F').contains(b);
    let is_needed = |escape: &[u8]| {
        escape.len() == 3
            && escape[1..].iter().all(digit)
            && uri::decode_path(escape).is_ok_and(|decoded| !is_plain(decoded[0]))
    };
    let mut escapes = raw.iter().enumerate().filter(|(_, b)| **b == b'%');
    escapes.all(|(at, _)| is_needed(raw.get(at..at + 3).unwrap_or_default()))
        && !raw.windows(2).any(|two| two == b"//")
}
