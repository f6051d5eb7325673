//! As whom programs run.

use std::ffi::CString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Gid, Uid, geteuid};

use crate::sys::children as sys;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// All groups, that of [`User::gid`] among them: on a board they open the devices.
    pub(crate) groups: Vec<Gid>,
    pub(crate) home: PathBuf,
}

impl User {
    /// As whom programs run that work on `folder`: the user of that name; else, where we are root, the owner of the folder,
    /// and `nobody` where root owns it; else ourselves.
    ///
    /// # Errors
    /// There is no such user, or only root could run programs as that one.
    pub(crate) fn for_programs(name: Option<&str>, folder: &Path) -> io::Result<Self> {
        let user = match name {
            Some(name) => named(name)?,
            None if !geteuid().is_root() => ourselves()?,
            None => {
                let owner = Uid::from_raw(std::fs::metadata(folder)?.uid());
                if owner.is_root() { named("nobody")? } else { of(owner)? }
            }
        };
        if user.uid != geteuid() && !geteuid().is_root() {
            let why = format!("only root can run programs as another user, such as {}", user.name);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(user)
    }

    /// Whether a process has to change its user to become this one.
    pub(crate) fn is_another(&self) -> bool {
        self.uid != geteuid()
    }
}

fn named(name: &str) -> io::Result<User> {
    let found = CString::new(name).ok().map(|name| sys::user_named(&name)).transpose()?.flatten();
    found.ok_or_else(|| {
        let why = format!("there is no user {name:?} to run programs as");
        io::Error::new(io::ErrorKind::NotFound, why)
    })
}

/// A user by number, which may have no name.
fn of(uid: Uid) -> io::Result<User> {
    let nameless = || {
        let gid = Gid::from_raw(uid.as_raw());
        let name = uid.as_raw().to_string();
        User { name, uid, gid, groups: vec![gid], home: PathBuf::from("/") }
    };
    Ok(sys::user_of(uid)?.unwrap_or_else(nameless))
}

/// The user that we are, with the groups that we have.
fn ourselves() -> io::Result<User> {
    let gid = rustix::process::getegid();
    let groups = rustix::process::getgroups()?;
    Ok(User { gid, groups, ..of(geteuid())? })
}
