//! A folder to serve from, and how its files are found.
//!
//! The fast way is one `openat2` and one `fstat`, and answers only from what the kernel has in memory and on the root's own
//! mount. All else takes the slow way, on a thread that may wait.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::sys::{self, LOOK, READ, Scope};
use super::walk::walk;
use super::{Dir, File, Hidden, Kind, Meta, OpenError, Opened, PathError, SafePath};

/// How a [`Root`] treats links and hidden files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RootOptions {
    /// Whether symbolic links may lead out of the root. Magic links of procfs are refused either way.
    pub follow_links: bool,
    /// Whether names with a dot in front are served.
    pub hidden: Hidden,
    /// Whether to find files name by name even where the kernel has `openat2`; slower, and as safe.
    pub walk: bool,
}

/// What of a folder may be seen at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Serve names that begin with a dot.
    pub hidden: bool,
    /// Follow links that lead out of the folder.
    pub follow_links: bool,
}

impl From<Reach> for RootOptions {
    fn from(reach: Reach) -> Self {
        let hidden = if reach.hidden { Hidden::Serve } else { Hidden::Refuse };
        Self { hidden, follow_links: reach.follow_links, walk: false }
    }
}

/// An open folder to serve from. A clone is the same folder and costs nothing.
///
/// The folder is held, not its name: if it is renamed, the root moves with it.
#[derive(Clone, Debug)]
pub struct Root(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: OwnedFd,
    scope: Scope,
    hidden: Hidden,
    lookup: Lookup,
}

#[derive(Clone, Copy, Debug)]
enum Lookup {
    /// `cached`: whether the kernel knows RESOLVE_CACHED (Linux 5.12).
    Openat2 {
        cached: bool,
    },
    Walk,
}

impl Root {
    /// Opens the folder `dir`.
    ///
    /// # Errors
    /// Those of open(2); `NotADirectory` if it is something else.
    pub fn open(dir: &Path, options: RootOptions) -> io::Result<Self> {
        let flags = LOOK | OFlags::DIRECTORY;
        let dir = rustix::fs::openat(rustix::fs::CWD, dir, flags, Mode::empty())?;
        let lookup = if options.walk { Lookup::Walk } else { Lookup::detect(&dir)? };
        let scope = if options.follow_links { Scope::Anywhere } else { Scope::Beneath };
        Ok(Self(Arc::new(Inner { dir, scope, hidden: options.hidden, lookup })))
    }

    /// Opens the folder that holds `file`, and the path to that file in it: for serving just this one. The file may be
    /// hidden or a link, since whoever named it meant it.
    ///
    /// # Errors
    /// Those of open(2); `InvalidInput` if the name cannot be a [`SafePath`].
    pub fn open_file(file: &Path, options: RootOptions) -> io::Result<(Self, SafePath)> {
        let file = file.canonicalize()?;
        let name = file.file_name().map_or(&b""[..], OsStr::as_bytes);
        let path = SafePath::parse(&[b"/", name].concat(), Hidden::Serve)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let root = Self::open(file.parent().unwrap_or(&file), options)?;
        Ok((root, path))
    }

    /// Reads a percent-decoded URL path under this root's rule for hidden names.
    ///
    /// # Errors
    /// As [`SafePath::parse`].
    pub fn path(&self, decoded: &[u8]) -> Result<SafePath, PathError> {
        SafePath::parse(decoded, self.0.hidden)
    }

    /// As [`path`](Self::path), for what is to be made, changed or removed.
    ///
    /// SECURITY: `/.well-known` is refused in any case, also where hidden names are served: who puts the answer to a challenge
    /// below it gets a certificate for our name (RFC 8555 §8.3), and a disk may ignore case.
    ///
    /// # Errors
    /// As [`SafePath::parse`].
    pub fn path_to_write(&self, decoded: &[u8]) -> Result<SafePath, PathError> {
        let path = self.path(decoded)?;
        let first = path.as_bytes().split(|&byte| byte == b'/').next().unwrap_or_default();
        let is_hidden = match self.0.hidden {
            Hidden::Refuse => first.starts_with(b"."),
            Hidden::Serve => first.eq_ignore_ascii_case(b".well-known"),
        };
        match is_hidden {
            true => Err(PathError::Hidden),
            false => Ok(path),
        }
    }

    /// Whether names with a dot in front are served.
    pub fn hidden(&self) -> Hidden {
        self.0.hidden
    }

    /// Opens a file or folder if that needs no waiting.
    ///
    /// SECURITY: what is neither is closed again at once, but it was open for a moment, and some devices and the writers
    /// of a FIFO notice. That takes a special file on the root's own mount; all of /dev is on another.
    ///
    /// # Errors
    /// [`OpenError::WouldBlock`] asks for [`open_blocking`](Self::open_blocking); any other is final.
    pub fn try_open(&self, path: &SafePath) -> Result<Opened, OpenError> {
        let fd = self.try_find(path, READ)?;
        self.opened(path, fd)
    }

    /// Opens a file or folder; may wait for the disk.
    ///
    /// # Errors
    /// Any [`OpenError`] but `WouldBlock`.
    pub fn open_blocking(&self, path: &SafePath) -> Result<Opened, OpenError> {
        // SECURITY: opening a device may do something (a watchdog starts, a terminal resets its board), so look first.
        self.stat_blocking(path)?;
        self.opened(path, self.find(path.as_bytes(), READ)?)
    }

    /// What [`try_open`](Self::try_open) would find now, without opening it: for checking that a copy is still fresh.
    ///
    /// # Errors
    /// As [`try_open`](Self::try_open), but a file without read permission is none.
    pub fn try_stat(&self, path: &SafePath) -> Result<Meta, OpenError> {
        found(path, &self.try_find(path, LOOK)?)
    }

    /// As [`try_stat`](Self::try_stat); may wait for the disk.
    ///
    /// # Errors
    /// As [`open_blocking`](Self::open_blocking), but a file without read permission is none.
    pub fn stat_blocking(&self, path: &SafePath) -> Result<Meta, OpenError> {
        found(path, &self.find(path.as_bytes(), LOOK)?)
    }

    /// Whether the folder is there that holds this, or would.
    ///
    /// # Errors
    /// As for [`stat_blocking`](Self::stat_blocking).
    #[cfg(feature = "uploads")]
    pub(crate) fn has_parent(&self, path: &SafePath) -> Result<bool, OpenError> {
        let (parent, _) = path.split().unwrap_or_default();
        match self.find(parent, sys::LOOK_FOLDER) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn try_find(&self, path: &SafePath, flags: OFlags) -> Result<OwnedFd, OpenError> {
        let Lookup::Openat2 { cached: true } = self.0.lookup else {
            return Err(OpenError::WouldBlock);
        };
        // Another mount may be a slow disk, a network, or /dev: not here.
        let resolve = ResolveFlags::CACHED | ResolveFlags::NO_XDEV;
        match sys::openat2(&self.0.dir, path.as_bytes(), flags, self.0.scope, resolve) {
            Err(Errno::AGAIN | Errno::XDEV | Errno::INTR) => Err(OpenError::WouldBlock),
            result => Ok(result?),
        }
    }

    /// Opens what is at `path`, names of a [`SafePath`] joined by slashes.
    pub(super) fn find(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let Inner { dir, scope, lookup, .. } = &*self.0;
        if matches!(lookup, Lookup::Openat2 { .. }) {
            for _ in 0..RENAME_RACES_MAX {
                match sys::openat2(dir, path, flags, *scope, ResolveFlags::empty()) {
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    result => return result,
                }
            }
        }
        walk(dir, path, *scope, flags)
    }

    fn opened(&self, path: &SafePath, fd: OwnedFd) -> Result<Opened, OpenError> {
        let meta = found(path, &fd)?;
        Ok(match meta.kind {
            Kind::File => Opened::File(File::new(fd, meta)),
            Kind::Directory => Opened::Dir(Dir::new(fd, meta, self.clone(), path.clone())),
        })
    }
}

impl Lookup {
    fn detect(dir: &OwnedFd) -> Result<Self, Errno> {
        match sys::openat2(dir, b"", LOOK, Scope::Beneath, ResolveFlags::CACHED) {
            Ok(_) | Err(Errno::AGAIN) => Ok(Self::Openat2 { cached: true }),
            Err(Errno::INVAL) => Ok(Self::Openat2 { cached: false }),
            // Linux before 5.6, or a sandbox that does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => Ok(Self::Walk),
            Err(error) => Err(error),
        }
    }
}

/// Looks at what was found, and refuses what is not served.
fn found(path: &SafePath, fd: &OwnedFd) -> Result<Meta, OpenError> {
    let meta = Meta::from_stat(&sys::fstat(fd)?)?;
    if meta.kind == Kind::File && path.names_folder() {
        return Err(OpenError::NotFound);
    }
    Ok(meta)
}

/// A rename anywhere while `openat2` passes a `..` in a link makes it answer AGAIN; after so many the walk, which
/// renames do not disturb, has its turn.
const RENAME_RACES_MAX: u32 = 16;
