//! Content that comes from another file.

use std::fs;

use number8::store::{OnClash, Opened, Root, RootOptions, StageOptions};

use super::path;

/// Copies by steps that are no even part of the whole.
fn copy(from: &Root, to: &Root, options: StageOptions) {
    let Ok(Opened::File(file)) = from.open_blocking(&path(from, "/a")) else { panic!("no file") };
    let mut staged = to.stage(&path(to, "/b"), Some(file.meta().size), options).unwrap();
    loop {
        match staged.copy(&file, staged.len(), 5_000_003).unwrap() {
            0 => break,
            _ => continue,
        }
    }
    staged.finish().unwrap();
    let claim = staged.claim().unwrap();
    staged.commit(claim, OnClash::Replace).unwrap();
}

/// On one disk the file system may do it; from one of another kind nobody does but us, and what follows 32 MiB goes past memory.
#[test]
fn f10_a_file_is_copied_by_the_file_system_or_by_hand() {
    let disk = tempfile::tempdir().unwrap();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let [on_disk, in_memory] =
        [&disk, &memory].map(|folder| Root::open(folder.path(), RootOptions::default()).unwrap());
    for length in [0, 1, 100_000, (36 << 20) + 7] {
        let content = crate::files::noise(length);
        for folder in [&disk, &memory] {
            fs::write(folder.path().join("a"), &content).unwrap();
        }
        for (from, to, folder) in [
            (&on_disk, &on_disk, &disk),
            (&on_disk, &in_memory, &memory),
            (&in_memory, &on_disk, &disk),
        ] {
            for named in [false, true] {
                for sync in [false, true] {
                    copy(from, to, StageOptions { named, sync, keep_free_bytes: 0 });
                    let copied = fs::read(folder.path().join("b")).unwrap();
                    assert!(copied == content, "{length} bytes to {folder:?}, {named} {sync}");
                }
            }
        }
    }
}
