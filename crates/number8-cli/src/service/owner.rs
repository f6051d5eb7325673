//! Whom a service runs as, and what that user may do.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::problem::Problem;

/// Whose the first thing served is, unless it is root's: then the service gets a user of its own.
pub(super) fn of(served: &[&Path]) -> Result<Option<u32>, Problem> {
    let Some(path) = served.first() else { return Ok(None) };
    let metadata = fs::metadata(path)
        .map_err(|error| Problem::failure(format!("{}: {error}", path.display())))?;
    Ok(Some(metadata.uid()).filter(|&uid| uid != 0))
}

/// What to say of a folder that the service is to write to, if its user cannot.
pub(super) fn warning(user: Option<u32>, folder: &str) -> Option<String> {
    // What is not there yet, the start of the service tells of.
    let metadata = fs::metadata(folder).ok()?;
    if may_write(user, &metadata) {
        return None;
    }
    let whose = match user {
        Some(uid) => format!("uid {uid}, whose the folder served is,"),
        None => "a user of its own".to_owned(),
    };
    let uid = metadata.uid();
    Some(format!(
        "warning: the service runs as {whose} and cannot write to {folder}, which belongs to uid {uid}: \
         give it to somebody (chown) and install again"
    ))
}

/// Whether a user, or one that owns nothing, may write to a folder. Of a group it may be a member.
fn may_write(user: Option<u32>, folder: &Metadata) -> bool {
    let owner = if user == Some(folder.uid()) { 0o200 } else { 0 };
    let group = if user.is_some() { 0o020 } else { 0 };
    folder.mode() & (owner | group | 0o002) != 0
}
