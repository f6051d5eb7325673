//! DELETE.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Shared, set};

#[test]
fn u24_u25_files_and_folders_are_removed() {
    let shared = Shared::new();
    shared.write("file", "");
    shared.write("full/deep/x", "");
    shared.write("full/.hidden", "");
    fs::create_dir(shared.path("empty")).unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "").unwrap();
    symlink(outside.path(), shared.path("full/out")).unwrap();
    for (target, status) in [
        ("/missing", 404),
        ("/missing/x", 404),
        ("/file/", 404),
        ("/file/x", 409),
        ("/", 409),
        ("/?force=1", 409),
        ("/.hidden", 403),
        // A folder needs its slash, and force where it is not empty; only 1 forces.
        ("/empty", 409),
        ("/full?force=1", 409),
        ("/full/", 409),
        ("/full/?force=true", 409),
        ("/full/?force", 409),
        ("/full/?force=10", 409),
        ("/full/out/precious", 403),
        ("/file", 204),
        ("/file", 404),
        ("/empty/", 204),
        ("/full/?x=y&force=1", 204),
    ] {
        let answer = shared.send("DELETE", target, &[], b"");
        assert_eq!(answer.status, status, "{target}: {answer:?}");
    }
    assert_eq!(shared.names(), set(&[]));
    assert!(outside.path().join("precious").exists());
}
