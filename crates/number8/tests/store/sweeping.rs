//! What killed processes leave, and who removes it.

use std::fs;

use bytes::Bytes;
use number8::store::{Hidden, Opened, RootOptions, SafePath, StageOptions, TEMPORARY_PREFIX};

use super::{Folders, path};

fn temporaries(folders: &Folders) -> Vec<String> {
    let names = fs::read_dir(folders.path("root/a")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let prefix = std::str::from_utf8(TEMPORARY_PREFIX).unwrap();
    let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

#[test]
fn litter_is_swept_and_what_is_being_written_is_not() {
    for walk in [false, true] {
        let folders = Folders::new();
        folders.write("root/a/.number8-upload-0123456789abcdef", "left by a killed process");
        folders.write("root/a/.number8-upload-0123", "not of ours");
        folders.write("root/a/.number8-notes", "not of ours");
        folders.write("root/a/b/c/.number8-upload-ffffffffffffffff", "deep");
        folders.link("root/out", folders.path("outside"));
        folders.write("outside/.number8-upload-ffffffffffffffff", "behind a link");
        let root = folders.open(RootOptions { walk, hidden: Hidden::Serve, ..Default::default() });
        let options = StageOptions { named: true, ..StageOptions::default() };
        let mut staged = root.stage(&path(&root, "/a/new"), None, options).unwrap();
        staged.write(&[Bytes::from_static(b"half")]).unwrap();
        assert_eq!(temporaries(&folders).len(), 4);

        assert_eq!(root.sweep().unwrap(), 2);
        let left = temporaries(&folders);
        assert_eq!(left.len(), 3);
        assert!(left.contains(&".number8-notes".to_owned()), "{left:?}");
        assert!(left.contains(&".number8-upload-0123".to_owned()), "{left:?}");
        assert!(folders.path("outside/.number8-upload-ffffffffffffffff").exists());

        // Neither opened nor listed, even where hidden names are served.
        for name in &left {
            assert!(SafePath::parse(format!("/a/{name}").as_bytes(), Hidden::Serve).is_err());
        }
        let Opened::Dir(dir) = root.open_blocking(&path(&root, "/a")).unwrap() else { panic!() };
        let listing = dir.list(&Default::default()).unwrap();
        assert_eq!(listing.total, 1, "{listing:?}");

        drop(staged);
        assert_eq!(temporaries(&folders).len(), 2);
    }
}
