//! Which files a program may see and change: Landlock, where the kernel has it (Linux 5.13).
//!
//! Landlock can only allow, and what it allows of a folder it allows of all below. So "everything but this folder" is the
//! neighbours of the folder, of its parent, and so on up to the root.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Once;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope, path_beneath_rules,
};

/// The files that a program may use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Confine {
    /// What it may change, and all below.
    pub(crate) writable: Vec<PathBuf>,
    /// What it may not even read, and all below. The rest may be read.
    pub(crate) hidden: Vec<PathBuf>,
}

impl Confine {
    /// A ruleset of the kernel for it; `None` where the kernel has none.
    ///
    /// # Errors
    /// The kernel refuses the ruleset.
    pub(super) fn ruleset(&self) -> io::Result<Option<OwnedFd>> {
        let ruleset = self.build().map_err(io::Error::other)?;
        if ruleset.is_none() {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
                tracing::warn!(
                    "this kernel has no Landlock: programs may change whatever their user may"
                );
            });
        }
        Ok(ruleset)
    }

    fn build(&self) -> Result<Option<OwnedFd>, RulesetError> {
        // What an older kernel does not know of these it leaves out.
        let abi = ABI::V6;
        let read = AccessFs::from_read(abi);
        let device = AccessFs::from_file(abi);
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            // It can signal its own processes, and not those of a user who happens to be the same.
            .scope(Scope::Signal)?
            .create()?
            .add_rules(path_beneath_rules(self.readable(), read))?
            .add_rules(path_beneath_rules(devices(), read | device))?
            .add_rules(path_beneath_rules(["/dev/shm"], AccessFs::from_all(abi)))?
            .add_rules(path_beneath_rules(&self.writable, AccessFs::from_all(abi)))?;
        Ok(ruleset.into())
    }

    /// The topmost folders and files that hold nothing hidden.
    fn readable(&self) -> Vec<PathBuf> {
        let hidden: Vec<PathBuf> =
            self.hidden.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
        let mut readable = Vec::new();
        let mut pending = vec![PathBuf::from("/")];
        while let Some(path) = pending.pop() {
            if hidden.contains(&path) {
                continue;
            }
            if !hidden.iter().any(|hidden| hidden.starts_with(&path)) {
                readable.push(path);
                continue;
            }
            pending.extend(names_in(&path));
        }
        readable
    }
}

/// GPIO, LEDs, serial ports, cameras: who may open one is said by its owner and mode.
///
/// SECURITY: of /sys not the control groups and the kernel's own settings: where a group is its user's, a program would kill the
/// server by it, or lift its limits. /dev as a whole, as what is plugged in later is to be found.
fn devices() -> Vec<PathBuf> {
    let is_of_devices = |path: &PathBuf| !path.ends_with("fs") && !path.ends_with("kernel");
    let of_sys = names_in(Path::new("/sys")).into_iter().filter(is_of_devices);
    of_sys.chain([PathBuf::from("/dev")]).collect()
}

/// What is in a folder, links left out: what they lead to counts.
fn names_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let is_no_link =
        |entry: &fs::DirEntry| entry.file_type().is_ok_and(|file_type| !file_type.is_symlink());
    entries.flatten().filter(is_no_link).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_write_to_devices_and_not_to_control_groups() {
        let devices = devices();
        assert!(devices.contains(&PathBuf::from("/dev")));
        for (path, is_one) in
            [("/sys/class", true), ("/sys/devices", true), ("/sys/fs", false), ("/sys", false)]
        {
            let is_there = Path::new(path).exists();
            assert_eq!(devices.contains(&PathBuf::from(path)), is_one && is_there, "{path}");
        }
    }

    #[test]
    fn neighbours_of_what_is_hidden_stay_readable() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        for path in ["a/secret", "a/open", "b"] {
            fs::create_dir_all(top.join(path)).unwrap();
        }
        let none = Confine::default().readable();
        assert_eq!(none, [PathBuf::from("/")]);

        let confine = Confine {
            hidden: vec![top.join("a/secret"), top.join("missing")],
            ..Confine::default()
        };
        let readable = confine.readable();
        for (path, is_readable) in
            [("b", true), ("a/open", true), ("a/secret", false), ("a", false), ("", false)]
        {
            let path = top.join(path);
            let path = if path.ends_with("") { path.components().collect() } else { path };
            assert_eq!(readable.contains(&path), is_readable, "{path:?}");
        }
    }
}
