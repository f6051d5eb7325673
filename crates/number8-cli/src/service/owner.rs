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
pub(super) fn cannot_write(user: Option<u32>, folder: &str) -> Option<String> {
    // What is not there yet, the start of the service tells of.
    let metadata = fs::metadata(folder).ok()?;
    if may(user, &metadata, 0o2) {
        return None;
    }
    Some(format!(
        "warning: the service runs as {} and cannot write to {folder}, which belongs to uid {}: \
         give it to somebody (chown) and install again",
        whose(user),
        metadata.uid()
    ))
}

/// What to say of a file or folder, named from the root, that the service needs, if its user cannot get there or read it.
pub(super) fn cannot_read(user: Option<u32>, path: &Path) -> Option<String> {
    let real = path.canonicalize().ok()?;
    let mut on_the_way: Vec<&Path> = [path, &real].iter().flat_map(|it| it.ancestors()).collect();
    on_the_way.sort_by_key(|folder| folder.components().count());
    let closed = on_the_way.into_iter().find(|&step| {
        let needed = if step != path && *step != real { 0o1 } else { 0o4 };
        fs::metadata(step).is_ok_and(|metadata| !may(user, &metadata, needed))
    })?;
    let metadata = fs::metadata(closed).ok()?;
    Some(format!(
        "warning: the service runs as {} and cannot read {}, as {} belongs to uid {} and has the mode {:o}: \
         allow it (chmod, setfacl) and install again",
        whose(user),
        path.display(),
        closed.display(),
        metadata.uid(),
        metadata.mode() & 0o7777
    ))
}

fn whose(user: Option<u32>) -> String {
    match user {
        Some(uid) => format!("uid {uid}, whose the folder served is,"),
        None => "a user of its own".to_owned(),
    }
}

/// Whether a user, or one that owns nothing, may do this (one of the three bits). Of a group it may be a member.
fn may(user: Option<u32>, metadata: &Metadata, bit: u32) -> bool {
    let owner = if user == Some(metadata.uid()) { bit << 6 } else { 0 };
    let group = if user.is_some() { bit << 3 } else { 0 };
    metadata.mode() & (owner | group | bit) != 0
}
