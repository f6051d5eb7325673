//! A file of passwords as htpasswd writes it, read again when it has changed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::costs::Costs;
use super::secret::Secret;
use super::{AccountError, rule_name};

/// What a look at a file without reading it tells: another file in its place shows, and so does a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A name and what proves to be it, for each line.
type Users = Vec<(String, Secret)>;

pub(super) fn stamp(path: &Path) -> io::Result<Stamp> {
    let seen = fs::metadata(path)?;
    Ok(Stamp {
        inode: seen.ino(),
        bytes: seen.size(),
        modified: (seen.mtime(), seen.mtime_nsec()),
        changed: (seen.ctime(), seen.ctime_nsec()),
    })
}

/// Reads a file, whose hashes add to the costs; the stamp is from before, so that a change meanwhile is found next time.
pub(super) fn read(path: &Path, costs: &mut Costs) -> Result<(Stamp, Users), FileError> {
    let problem = |line, error| FileError { path: path.to_owned(), line, error };
    let unreadable = |error: io::Error| problem(None, AccountError::Unreadable(error.to_string()));
    let stamp = stamp(path).map_err(unreadable)?;
    if stamp.bytes > BYTES_MAX {
        return Err(problem(None, AccountError::TooLong));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    Ok((stamp, users(&text, costs).map_err(|(line, error)| problem(Some(line), error))?))
}

/// The users of a text; else the line that is wrong, counted from 1.
fn users(text: &str, costs: &mut Costs) -> Result<Users, (usize, AccountError)> {
    let mut users = Users::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, hash) = line.split_once(':').ok_or((number, AccountError::NoHash))?;
        let user = rule_name(name)
            .and_then(|()| Secret::of_hash(hash))
            .map_err(|error| (number, error))?;
        if users.iter().any(|(other, _)| other == name) {
            return Err((number, AccountError::Twice(name.to_owned())));
        }
        costs.add(name, &user).map_err(|error| (number, error))?;
        users.push((name.to_owned(), user));
    }
    Ok(users)
}

/// What is wrong with a file of passwords, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    path: PathBuf,
    line: Option<usize>,
    error: AccountError,
}

impl FileError {
    /// What is wrong, wherever it is.
    #[must_use]
    pub fn error(&self) -> &AccountError {
        &self.error
    }
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, line, error } = self;
        match line {
            Some(line) => write!(f, "{}:{line}: {error}", path.display()),
            None => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for FileError {}

/// A file of passwords holds a line for each person; one beyond this was meant for something else.
const BYTES_MAX: u64 = 1 << 20;
