//! From a request's path to what is there: a file, a folder, or nothing.
//!
//! The same code runs twice at most: first where the request was parsed, with calls that never wait for a
//! disk; where one of them would, again on the lane.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use number8_proto::negotiate::Coding;
use number8_proto::uri;

use super::Inner;
use super::entry::{Content, Entry, Source};
use crate::handler::Now;
use crate::store::{Dir, File, OpenError, Opened, PathError, SafePath};

/// Files up to this size are served from memory.
const MEMORY_BYTES_MAX: u64 = 64 * 1024;

/// Siblings that are looked for, best first.
const SIBLINGS: [(&[u8], Coding); 3] =
    [(b".zst", Coding::Zstd), (b".br", Coding::Br), (b".gz", Coding::Gzip)];

/// Whether calls may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Never,
    Waits,
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
    Open(OpenError),
    /// A field that cannot be sent; the settings were checked, so this is a name of a type.
    Unsendable,
}

impl From<OpenError> for Missing {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

/// What decides between an index file and a listing, and whether a missing page may be the app's own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) listing: bool,
    pub(super) page: bool,
}

impl Inner {
    /// Finds what a path leads to. `raw` is as it stood in the request, percent-encoded.
    pub(super) fn find(
        &self,
        raw: &[u8],
        wish: Wish,
        patience: Patience,
    ) -> Result<Found, Missing> {
        let decoded = uri::decode_path(raw).map_err(|_| Missing::BadEscape)?;
        if let Some(only) = &self.only {
            return self.only_file(only, &decoded, patience);
        }
        let path = self.root.path(&decoded).map_err(Missing::BadPath)?;
        match self.open(&path, patience) {
            Ok(Opened::File(file)) => {
                let entry = self.load(path, file, patience)?;
                Ok(Found::File { entry, by_path: true })
            }
            Ok(Opened::Dir(_)) if !decoded.ends_with(b"/") => Ok(Found::NeedsSlash),
            Ok(Opened::Dir(dir)) => self.folder(&path, decoded.into_owned(), dir, wish, patience),
            Err(OpenError::NotFound) => self.elsewhere(&path, wish, patience),
            Err(error) => Err(error.into()),
        }
    }

    fn only_file(
        &self,
        only: &SafePath,
        decoded: &[u8],
        patience: Patience,
    ) -> Result<Found, Missing> {
        let is_it = decoded == b"/" || decoded.strip_prefix(b"/") == only.file_name();
        match self.open(only, patience) {
            Ok(Opened::File(file)) if is_it => {
                let entry = self.load(only.clone(), file, patience)?;
                Ok(Found::File { entry, by_path: true })
            }
            Err(error) if is_it => Err(error.into()),
            _ => Err(OpenError::NotFound.into()),
        }
    }

    fn open(&self, path: &SafePath, patience: Patience) -> Result<Opened, OpenError> {
        match patience {
            Patience::Never => self.root.try_open(path),
            Patience::Waits => self.root.open_blocking(path),
        }
    }

    /// A folder's index file, or the folder itself.
    fn folder(
        &self,
        path: &SafePath,
        decoded: Vec<u8>,
        dir: Dir,
        wish: Wish,
        patience: Patience,
    ) -> Result<Found, Missing> {
        for (place, name) in self.settings.index.iter().enumerate() {
            if wish.listing {
                break;
            }
            let Ok(index) = path.join(name.as_bytes(), self.root.hidden()) else { continue };
            match self.open(&index, patience) {
                Ok(Opened::File(file)) => {
                    let entry = self.load(index, file, patience)?;
                    // One that stands behind others would hide them if they came later.
                    return Ok(Found::File { entry, by_path: place == 0 });
                }
                Ok(Opened::Dir(_)) | Err(OpenError::NotFound | OpenError::NotServable) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.settings.listing {
            Ok(Found::Folder { dir, path: decoded })
        } else {
            Err(OpenError::NotFound.into())
        }
    }

    /// There is no such file: the page without its extension, or the one page of a single-page app.
    fn elsewhere(&self, path: &SafePath, wish: Wish, patience: Patience) -> Result<Found, Missing> {
        let name = path.file_name().unwrap_or_default();
        let has_extension = name.contains(&b'.');
        if !has_extension && !path.names_folder() && !name.is_empty() {
            if let Ok(page) = path.with_suffix(b".html") {
                match self.open(&page, patience) {
                    Ok(Opened::File(file)) => {
                        let entry = self.load(page, file, patience)?;
                        return Ok(Found::File { entry, by_path: false });
                    }
                    Ok(Opened::Dir(_)) | Err(OpenError::NotFound | OpenError::NotServable) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if let Some(app) = &self.settings.spa
            && (!has_extension || wish.page)
            && let Ok(page) = self.root.path(format!("/{app}").as_bytes())
            && let Opened::File(file) = self.open(&page, patience)?
        {
            let entry = self.load(page, file, patience)?;
            return Ok(Found::File { entry, by_path: false });
        }
        Err(OpenError::NotFound.into())
    }

    /// Makes an entry of an open file and its siblings.
    fn load(&self, path: SafePath, file: File, patience: Patience) -> Result<Arc<Entry>, Missing> {
        let mut siblings = Vec::new();
        for (suffix, coding) in SIBLINGS {
            let Ok(path) = path.with_suffix(suffix) else { continue };
            match self.open(&path, patience) {
                // An older one is of an older version of the file.
                Ok(Opened::File(sibling))
                    if sibling.meta().modified_ns >= file.meta().modified_ns =>
                {
                    siblings.push(source(sibling, coding, patience)?);
                }
                Err(OpenError::WouldBlock) => return Err(OpenError::WouldBlock.into()),
                // A sibling is an extra: whatever is wrong with it, the file is there.
                _ => {}
            }
        }
        let file = source(file, Coding::Identity, patience)?;
        let content_type = self.settings.types.of(path.file_name().unwrap_or_default());
        let now_ns = unix_ns();
        let entry = Entry::new(
            path.clone(),
            file,
            siblings,
            &content_type,
            &self.common,
            Now::read().monotonic_ms,
            now_ns,
        );
        entry.map(Arc::new).map_err(|_| Missing::Unsendable)
    }

    /// True when a file is still what the entry says.
    pub(super) fn is_unchanged(
        &self,
        entry: &Entry,
        patience: Patience,
    ) -> Result<bool, OpenError> {
        let meta = match patience {
            Patience::Never => self.root.try_stat(&entry.path),
            Patience::Waits => self.root.stat_blocking(&entry.path),
        };
        match meta {
            Ok(meta) => Ok(meta == entry.meta),
            Err(OpenError::WouldBlock) => Err(OpenError::WouldBlock),
            Err(_) => Ok(false),
        }
    }
}

/// Reads a small file, keeps a large one open.
fn source(file: File, coding: Coding, patience: Patience) -> Result<Source, OpenError> {
    let meta = *file.meta();
    let content = if meta.size > MEMORY_BYTES_MAX {
        Content::File(file, meta.size)
    } else {
        Content::Memory(read(&file, meta.size, patience)?)
    };
    Ok(Source { meta, content, coding })
}

/// Reads a whole file. One that became shorter meanwhile is served as it is now; its tag is of before, but
/// so young that it is weak.
fn read(file: &File, size: u64, patience: Patience) -> Result<Bytes, OpenError> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        let read = match patience {
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

pub(super) fn unix_ns() -> i128 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 makes every file one from the future: nothing is kept, which is safe.
    since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
}
