//! Why nothing was written.

use std::{fmt, io};

use rustix::io::Errno;

use crate::store::{OpenError, Refusal};

/// Why a write has changed nothing, but for [`WriteError::Unsynced`].
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteError {
    /// There is nothing of that name to remove or move, or the folder has gone meanwhile.
    NotFound,
    /// What is there does not go with what is wanted.
    Clash(Clash),
    /// It is not for the client.
    Refused(Refusal),
    /// The file system is read-only.
    ReadOnly,
    /// This file system cannot hold such a name.
    BadName,
    /// The disk or the quota is full, or would have less left than has to stay free.
    NoSpace,
    /// This file system cannot hold a file of that length.
    TooLarge,
    /// It is done, but the disk failed as that was to outlive a power cut.
    Unsynced(io::Error),
    /// Anything else, such as a disk that fails.
    Io(io::Error),
}

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clash {
    /// The name is taken, and what has it is to stay.
    Exists,
    /// A folder has the name.
    Folder,
    /// A file stands where the path needs a folder.
    NotFolder,
    /// The name is a link, a device or the like: none of them is ever replaced.
    Special,
    /// The folder to remove is not empty.
    NotEmpty,
    /// The folder to remove holds folders more than [`DEPTH_MAX`](super::DEPTH_MAX) deep, or one to make would be.
    TooDeep,
    /// A folder was to be moved into itself, or something to where it is.
    Inside,
    /// From one disk to another nothing is moved at once.
    OtherDisk,
    /// The folder that is served is no entry of itself, and a mounted disk is none to remove.
    Root,
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for WriteError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::STALE => Self::NotFound,
            Errno::EXIST => Self::Clash(Clash::Exists),
            Errno::ISDIR => Self::Clash(Clash::Folder),
            Errno::NOTDIR => Self::Clash(Clash::NotFolder),
            Errno::NOTEMPTY => Self::Clash(Clash::NotEmpty),
            Errno::BUSY => Self::Clash(Clash::Root),
            Errno::XDEV => Self::Refused(Refusal::Outside),
            Errno::LOOP => Self::Refused(Refusal::Link),
            Errno::ACCESS | Errno::PERM => Self::Refused(Refusal::Permission),
            Errno::ROFS => Self::ReadOnly,
            // vfat answers INVAL, a casefolded ext4 ILSEQ to bytes that cannot be a name there.
            Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ => Self::BadName,
            Errno::NOSPC | Errno::DQUOT => Self::NoSpace,
            Errno::FBIG => Self::TooLarge,
            _ => Self::Io(errno.into()),
        }
    }
}

impl From<OpenError> for WriteError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NotFound => Self::NotFound,
            OpenError::Refused(refusal) => Self::Refused(refusal),
            OpenError::NotServable => Self::Clash(Clash::Special),
            OpenError::WouldBlock => Self::Io(io::ErrorKind::WouldBlock.into()),
            OpenError::Io(error) => Self::Io(error),
        }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is nothing of that name"),
            Self::Clash(clash) => clash.fmt(f),
            Self::Refused(refusal) => OpenError::Refused(*refusal).fmt(f),
            Self::ReadOnly => f.write_str("the disk is read-only"),
            Self::BadName => f.write_str("the disk cannot hold such a name"),
            Self::NoSpace => f.write_str("the disk is full"),
            Self::TooLarge => f.write_str("the disk cannot hold a file of that length"),
            Self::Unsynced(error) | Self::Io(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exists => "something of that name is there already",
            Self::Folder => "a folder has that name",
            Self::NotFolder => "a file stands where the path needs a folder",
            Self::Special => "what has that name is neither a file nor a folder",
            Self::NotEmpty => "the folder is not empty",
            Self::TooDeep => "folders may be 128 deep at most, and here are more",
            Self::Inside => "it cannot be moved to where it is, or into itself",
            Self::OtherDisk => "the two places are on different disks",
            Self::Root => "the folder that is served cannot be removed or moved",
        })
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unsynced(error) | Self::Io(error) => error.source(),
            _ => None,
        }
    }
}
