//! Finding a file name by name, for kernels and sandboxes without `openat2`.
//!
//! Every folder on the way stays open, so `..` in a link goes back to the folder that we came through, whatever was renamed
//! meanwhile, and never above the first one.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::sys::{self, LOOK, Scope};

/// Walks `path`, relative names joined by `/`, from `root` and opens what is at its end with `flags`. Errors are those of
/// `openat2`: XDEV for a link out of the root, LOOP for too many links or one of procfs.
pub(super) fn walk(
    root: impl AsFd,
    path: &[u8],
    scope: Scope,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let mut folders = Folders { scope, first: sys::openat(root, b"", LOOK)?, below: Vec::new() };
    let mut names = Vec::new();
    push_names(&mut names, path);
    let mut links = 0;

    while let Some(name) = names.pop() {
        match name.as_slice() {
            b"" | b"." => continue,
            b".." => {
                folders.step_up()?;
                continue;
            }
            _ => {}
        }
        let fd = sys::openat(folders.last(), &name, LOOK)?;
        match sys::file_type(&sys::fstat(&fd)?) {
            FileType::Directory => folders.below.push(fd),
            FileType::Symlink => {
                links += 1;
                // SECURITY: links of procfs are refused whole; from here the magic ones look like the others.
                if links > LINKS_MAX || sys::on_procfs(&fd)? {
                    return Err(Errno::LOOP);
                }
                let target = sys::read_link(&fd)?;
                if target.starts_with(b"/") {
                    folders.step_to_top()?;
                }
                push_names(&mut names, &target);
            }
            _ if names.is_empty() => return sys::openat(folders.last(), &name, flags),
            _ => return Err(Errno::NOTDIR),
        }
    }
    sys::openat(folders.last(), b"", flags)
}

/// The folders that the walk came through.
struct Folders {
    scope: Scope,
    first: OwnedFd,
    below: Vec<OwnedFd>,
}

impl Folders {
    fn last(&self) -> &OwnedFd {
        self.below.last().unwrap_or(&self.first)
    }

    fn step_up(&mut self) -> Result<(), Errno> {
        if self.below.pop().is_none() {
            if self.scope == Scope::Beneath {
                return Err(Errno::XDEV);
            }
            self.first = sys::openat(&self.first, b"..", LOOK)?;
        }
        Ok(())
    }

    fn step_to_top(&mut self) -> Result<(), Errno> {
        if self.scope == Scope::Beneath {
            return Err(Errno::XDEV);
        }
        self.below.clear();
        self.first = sys::openat(rustix::fs::CWD, b"/", LOOK)?;
        Ok(())
    }
}

/// Puts the names of `path` on the stack, the first on top.
fn push_names(names: &mut Vec<Vec<u8>>, path: &[u8]) {
    names.extend(path.split(|&byte| byte == b'/').rev().map(<[u8]>::to_vec));
}

/// MAXSYMLINKS of Linux.
const LINKS_MAX: u32 = 40;
