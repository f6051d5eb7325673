//! The files that are served: the only code that touches them, and no HTTP in it.
//!
//! ```text
//! URL path ──▶ SafePath ──▶ Root::try_open ──▶ Opened::File ──▶ try_read_at, sendfile
//!                              │ WouldBlock       Opened::Dir  ──▶ list
//!                              ▼
//!                           Root::open_blocking, on a thread that may wait
//! ```
//!
//! What is promised, also while somebody renames folders and plants links under our feet:
//!
//! - Nothing outside the root is opened, unless [`RootOptions::follow_links`] allows it.
//! - Only regular files and folders come back from an open. A FIFO, a socket or a device never makes it wait.
//! - Functions named `try_…` do not wait for a disk: they answer "would block" instead.
//!
//! How files are written is told in `write`.

mod descriptors;
mod file;
#[cfg_attr(not(feature = "files"), allow(dead_code, reason = "who serves files keeps them"))]
pub(crate) mod kept;
mod list;
mod path;
mod root;
mod sys;
mod walk;
mod write;

use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, io};

use rustix::io::Errno;

pub use file::File;
pub use list::{Dir, Entry, ListOptions, Listing, Sort};
pub use path::{Hidden, PathError, SafePath, TEMPORARY_PREFIX};
pub use root::{Reach, Root, RootOptions};
pub use write::{Claim, Clash, DEPTH_MAX, OnClash, StageOptions, Staged, WriteError, Written};

/// How many changes this process has made to served files. Whoever keeps a copy of a file looks at it again when this has
/// grown, so that what we write shows at once.
pub fn changes() -> u64 {
    CHANGES.load(Ordering::Acquire)
}

/// A change has been made: to be called after it, and before anybody is told.
fn note_change() {
    CHANGES.fetch_add(1, Ordering::AcqRel);
}

static CHANGES: AtomicU64 = AtomicU64::new(0);

/// What a path led to.
#[derive(Debug)]
pub enum Opened {
    /// A regular file, open for reading.
    File(File),
    /// A folder, open for listing.
    Dir(Dir),
}

/// The two kinds of things that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Directory,
    /// A regular file.
    File,
}

/// What the file system says about a file or folder. Two equal values mean that nothing was changed in between, as far
/// as the clock of the file system can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// File or folder.
    pub kind: Kind,
    /// Length in bytes; 0 for a folder.
    pub size: u64,
    /// Time of the last change of the content, in nanoseconds since 1970-01-01T00:00Z.
    pub modified_ns: i128,
    /// Time of the last change of content, name, owner or permissions, likewise.
    pub changed_ns: i128,
    /// Number of the file on its device.
    pub inode: u64,
    /// Number of the device.
    pub device: u64,
}

impl Meta {
    /// Whether both are of the same file, whatever has changed.
    #[cfg_attr(not(feature = "files"), allow(dead_code, reason = "who keeps files"))]
    pub(crate) fn is_same_inode(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// Why nothing was opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such file, or a path with a slash at its end named a file.
    NotFound,
    /// There may be such a file, but it is not for the client.
    Refused(Refusal),
    /// It is neither a regular file nor a folder.
    NotServable,
    /// The answer needs a disk, or a file system other than the root's: ask again with the function named `…_blocking`,
    /// on a thread that may wait.
    WouldBlock,
    /// Anything else, such as a full descriptor table (EMFILE).
    Io(io::Error),
}

/// Why a file that may exist is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A link leads out of the root.
    Outside,
    /// Links go in circles, or one is a magic link of procfs.
    Link,
    /// The process lacks the permission.
    Permission,
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> Self {
        match errno {
            // vfat and casefolded ext4 answer INVAL or ILSEQ to bytes that cannot be a name there.
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ => {
                Self::NotFound
            }
            Errno::XDEV => Self::Refused(Refusal::Outside),
            Errno::LOOP => Self::Refused(Refusal::Link),
            Errno::ACCESS | Errno::PERM => Self::Refused(Refusal::Permission),
            // A socket, or a device without a driver.
            Errno::NXIO | Errno::NODEV => Self::NotServable,
            _ => Self::Io(errno.into()),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such file"),
            Self::Refused(Refusal::Outside) => f.write_str("a link leads out of the root"),
            Self::Refused(Refusal::Link) => f.write_str("a link that cannot be followed"),
            Self::Refused(Refusal::Permission) => f.write_str("permission denied"),
            Self::NotServable => f.write_str("neither a regular file nor a folder"),
            Self::WouldBlock => f.write_str("the answer has to wait for a disk"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => error.source(),
            _ => None,
        }
    }
}

/// Has the log tell why a file is not what it should be; clients hear only that it failed.
#[cfg(any(feature = "files", feature = "uploads"))]
pub(crate) fn tell_of_disk(what: &'static str, error: &io::Error) {
    tracing::error!(cause = error as &dyn std::error::Error, "{what}");
}

/// EMFILE, ENFILE, ENOMEM: it may work in a moment.
#[cfg(any(feature = "files", feature = "uploads"))]
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM]
        .iter()
        .any(|shortage| error.raw_os_error() == Some(shortage.raw_os_error()))
}
