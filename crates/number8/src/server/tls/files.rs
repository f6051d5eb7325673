//! The files with a certificate and its key, and whether they have changed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::{Pem, Source, TlsError};

/// Where a certificate and its key are, and what they looked like when they were read.
#[derive(Debug)]
pub(super) struct Files {
    certificate: (PathBuf, Option<Stamp>),
    key: (PathBuf, Option<Stamp>),
}

/// What a look at a file without reading it tells: another file in its place shows, and so does a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    pub(super) mode: u32,
}

/// A chain of certificates has some KiB; a file beyond this was meant for something else.
const BYTES_MAX: u64 = 1 << 20;

/// The right of everybody to read a file.
const READ_BY_ALL: u32 = 0o004;

impl Files {
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<(Self, Pem), TlsError> {
        let (at_certificate, certificate_pem) = read(certificate, false)?;
        let (at_key, key_pem) = read(key, true)?;
        let files = Self {
            certificate: (certificate.to_owned(), Some(at_certificate)),
            key: (key.to_owned(), Some(at_key)),
        };
        Ok((files, Pem { certificate: certificate_pem, key: key_pem }))
    }

    /// True as long as one of them is missing, too: it may be about to be replaced.
    fn have_changed(&self) -> bool {
        [&self.certificate, &self.key].iter().any(|(path, seen)| stamp(path).ok() != *seen)
    }
}

impl Source for Files {
    fn changed(&mut self) -> Result<Option<Pem>, TlsError> {
        if !self.have_changed() {
            return Ok(None);
        }
        let (read, pem) = Self::read(&self.certificate.0, &self.key.0)?;
        // Also where they are wrong: that is said once, not every second.
        *self = read;
        Ok(Some(pem))
    }

    fn certificate(&self) -> &Path {
        &self.certificate.0
    }

    fn key(&self) -> &Path {
        &self.key.0
    }

    fn is_key_exposed(&self) -> bool {
        self.key.1.is_some_and(|stamp| stamp.mode & READ_BY_ALL != 0)
    }
}

/// Reads a file; the stamp is from before, so that a change meanwhile is found next time.
pub(super) fn read(path: &Path, is_of_key: bool) -> Result<(Stamp, Vec<u8>), TlsError> {
    let unreadable =
        |error: io::Error| TlsError::at(path, is_of_key, format!("cannot be read: {error}"));
    let stamp = stamp(path).map_err(unreadable)?;
    if stamp.bytes > BYTES_MAX {
        return Err(TlsError::at(
            path,
            is_of_key,
            "a file of certificates or keys is at most 1 MiB",
        ));
    }
    Ok((stamp, content(path).map_err(unreadable)?))
}

/// A named pipe into which nobody writes is not waited for.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = File::options();
    let file = options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    let flags = fcntl_getfl(&file)? - OFlags::NONBLOCK;
    fcntl_setfl(&file, flags)?;
    let mut content = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut content)?;
    Ok(content)
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let seen = fs::metadata(path)?;
    Ok(Stamp {
        inode: (seen.dev(), seen.ino()),
        bytes: seen.size(),
        modified: (seen.mtime(), seen.mtime_nsec()),
        changed: (seen.ctime(), seen.ctime_nsec()),
        mode: seen.mode(),
    })
}
