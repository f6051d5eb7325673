//! A control group for each program, where this process may make one (cgroup v2): what is in it ends at once with one write,
//! and its use of memory and its processes are counted by the kernel.
//!
//! Everything here may be absent; the supervisor manages without.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A group of our own, removed with this value once it is empty.
#[derive(Debug)]
pub(super) struct Group {
    folder: PathBuf,
}

impl Group {
    /// Makes a group below that of this process; `None` where that is not possible.
    pub(super) fn new(memory_max: Option<u64>, tasks_max: Option<u64>) -> Option<Self> {
        let ours = own_folder()?;
        sweep(&ours);
        let (own, number) = (std::process::id(), super::random_number());
        let group = Self { folder: ours.join(format!("{PREFIX}{own}-{number:016x}")) };
        fs::create_dir(&group.folder).ok()?;
        // A group that cannot be killed as a whole (before Linux 5.14) is of no use.
        group.open("cgroup.kill").ok()?;
        // These are there only where the controllers have been handed down to us.
        for (name, most) in [("memory.max", memory_max), ("pids.max", tasks_max)] {
            if let Some(most) = most
                && let Ok(mut file) = OpenOptions::new().write(true).open(group.folder.join(name))
            {
                let _ = write!(file, "{most}");
            }
        }
        Some(group)
    }

    /// Where a process writes `0` to be in the group, and where `1` kills all that are.
    ///
    /// # Errors
    /// As for open(2).
    pub(super) fn descriptors(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        Ok((self.open("cgroup.procs")?.into(), self.open("cgroup.kill")?.into()))
    }

    /// Kills all that are in it.
    pub(super) fn kill(&self) {
        if let Ok(mut file) = self.open("cgroup.kill") {
            let _ = file.write_all(b"1");
        }
    }

    /// Whether the kernel has ended a process because the group had no more memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.is_some_and(|count| count.trim() != "0")
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.folder.join(name))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Where somebody is still in it, this fails, and the next program's sweep sees to it.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Removes groups of servers that were killed. One in which somebody still is cannot be removed.
fn sweep(ours: &Path) {
    let Ok(entries) = fs::read_dir(ours) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if let Some((server, _)) = rest.and_then(|rest| rest.split_once('-'))
            && !Path::new("/proc").join(server).exists()
        {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The folder of the group of this process.
fn own_folder() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then_some(place)
    })?;
    Some(Path::new(mount).join(path))
}

const PREFIX: &str = "number8-run-";
