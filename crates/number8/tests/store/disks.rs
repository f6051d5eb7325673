//! Disks that are full, and disks without what Linux has: mounted for the test, where the test may do that.

use std::fs;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use number8::store::{OnClash, Root, RootOptions, StageOptions, WriteError};
use tempfile::TempDir;

use super::path;

/// A mounted disk, unmounted at the end.
struct Disk(TempDir);

impl Disk {
    /// `None`, and the reason is printed, where this process cannot mount it.
    fn mount(arguments: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let output = mount.args(arguments).arg(folder.path()).output();
        match output {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                eprintln!("skipped: mount {}: {}", arguments.join(" "), why.trim());
                None
            }
            Err(error) => {
                eprintln!("skipped: mount {}: {error}", arguments.join(" "));
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn fill(root: &Root, url: &str, options: StageOptions) -> Result<(), WriteError> {
    let mut staged = root.stage(&path(root, url), None, options)?;
    let piece = Bytes::from(vec![7; 64 * 1024]);
    for _ in 0..1024 {
        staged.write(std::slice::from_ref(&piece))?;
    }
    staged.finish()?;
    let claim = staged.claim()?;
    staged.commit(claim, OnClash::Replace).map(|_| ())
}

#[test]
fn design_6_a_full_disk_keeps_what_it_has() {
    let Some(disk) = Disk::mount(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"]) else { return };
    fs::write(disk.path().join("old"), "as it was").unwrap();
    let root = Root::open(disk.path(), RootOptions::default()).unwrap();
    for keep_free_bytes in [0, 1024 * 1024] {
        for named in [false, true] {
            let options = StageOptions { keep_free_bytes, named, ..StageOptions::default() };
            for url in ["/old", "/new", "/made/new"] {
                let result = fill(&root, url, options);
                assert!(matches!(result, Err(WriteError::NoSpace)), "{url}: {result:?}");
            }
            assert_eq!(disk.names(), ["old"], "{options:?}");
            assert_eq!(fs::read(disk.path().join("old")).unwrap(), b"as it was");
        }
    }
    drop(root);
}

/// As many as bytes do not show.
#[test]
fn design_6_empty_files_leave_some_for_others() {
    let Some(disk) = Disk::mount(&["-t", "tmpfs", "-o", "size=12m,nr_inodes=1000", "tmpfs"]) else {
        return;
    };
    let root = Root::open(disk.path(), RootOptions::default()).unwrap();
    let store = |number: usize, keep_free_bytes| {
        let options = StageOptions { keep_free_bytes, sync: false, ..StageOptions::default() };
        let staged = root.stage(&path(&root, &format!("/{number}")), Some(0), options)?;
        let claim = staged.claim()?;
        staged.commit(claim, OnClash::Replace)
    };
    let refused = (0..2000).find_map(|number| store(number, 1).err().map(|error| (number, error)));
    let (stored, error) = refused.unwrap();
    assert!(matches!(error, WriteError::NoSpace) && stored > 900, "{error} after {stored}");
    fs::write(disk.path().join("of another"), "").unwrap();
    // Who wants nothing to stay free has all.
    store(stored, 0).unwrap();
}

/// Each looks at the disk before it writes, and none has written yet what the others will.
#[test]
fn design_6_files_that_come_at_once_leave_free_what_is_to_stay_free() {
    let Some(disk) = Disk::mount(&["-t", "tmpfs", "-o", "size=12m", "tmpfs"]) else { return };
    let root = Root::open(disk.path(), RootOptions::default()).unwrap();
    let options = StageOptions { keep_free_bytes: 4 << 20, ..StageOptions::default() };
    let free = || {
        let space = rustix::fs::statvfs(disk.path()).unwrap();
        space.f_bavail * space.f_frsize
    };
    for length in [None, Some(1 << 20)] {
        let begun = (0..20).map(|n| root.stage(&path(&root, &format!("/{n}")), length, options));
        let mut begun: Vec<_> = begun.filter_map(Result::ok).collect();
        let piece = Bytes::from(vec![7; 64 * 1024]);
        for _ in 0..16 {
            begun.retain_mut(|staged| staged.write(std::slice::from_ref(&piece)).is_ok());
        }
        assert!(!begun.is_empty() && free() >= options.keep_free_bytes, "{length:?}: {}", free());
        // What was not written is for others again.
        drop(begun);
        fill(&root, "/one", options).unwrap_err();
        let all = root.stage(&path(&root, "/all"), Some(7 << 20), options);
        assert!(all.is_ok(), "{length:?}: {all:?}");
    }
    drop(root);
}

#[test]
fn design_6_a_vfat_disk_takes_files_whole() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    fs::File::create(&image).unwrap().set_len(16 * 1024 * 1024).unwrap();
    match Command::new("mkfs.vfat").arg(&image).output() {
        Ok(output) if output.status.success() => {}
        other => return eprintln!("skipped: no mkfs.vfat (Debian: dosfstools): {other:?}"),
    }
    let Some(disk) = Disk::mount(&["-t", "vfat", "-o", "loop", &image.to_string_lossy()]) else {
        return;
    };
    let root = Root::open(disk.path(), RootOptions::default()).unwrap();
    let options = StageOptions { keep_free_bytes: 0, ..StageOptions::default() };
    let put = |url: &str, on_clash| {
        let mut staged = root.stage(&path(&root, url), None, options)?;
        staged.write(&[Bytes::from_static(b"content")])?;
        staged.finish()?;
        let claim = staged.claim()?;
        staged.commit(claim, on_clash)
    };
    let first = put("/a.txt", OnClash::Refuse).unwrap();
    let second = put("/a.txt", OnClash::Replace).unwrap();
    assert_ne!(first.meta.modified_ns, second.meta.modified_ns);
    assert!(put("/A.TXT", OnClash::Refuse).is_err(), "vfat knows no case");
    assert!(matches!(put("/a:b", OnClash::Refuse), Err(WriteError::BadName)));
    put("/a.txt", OnClash::KeepBoth).unwrap();
    assert!(matches!(fill(&root, "/big", options), Err(WriteError::NoSpace)));
    assert_eq!(disk.names(), ["a (2).txt", "a.txt"]);
    drop(root);
}
