//! Files that are written, over both ways of finding folders and both kinds of temporary files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use number8::store::{
    Clash, DEPTH_MAX, OnClash, Refusal, Root, RootOptions, StageOptions, WriteError, Written,
};

use super::{Folders, path};

const PLAIN: StageOptions = StageOptions { keep_free_bytes: 0, sync: false, named: false };

/// Every way in which a file can be written.
fn each_way(check: impl Fn(&Folders, &Root, StageOptions)) {
    for walk in [false, true] {
        for named in [false, true] {
            let folders = Folders::new();
            let root = folders.open(RootOptions { walk, ..RootOptions::default() });
            check(&folders, &root, StageOptions { named, ..PLAIN });
        }
    }
}

fn put(
    root: &Root,
    url: &str,
    content: &str,
    options: StageOptions,
    on_clash: OnClash,
) -> Result<Written, WriteError> {
    let mut staged = root.stage(&path(root, url), Some(content.len() as u64), options)?;
    for part in content.as_bytes().chunks(3) {
        staged.write(&[Bytes::copy_from_slice(part)])?;
    }
    staged.finish()?;
    let claim = staged.claim()?;
    staged.commit(claim, on_clash)
}

/// Every name below the folder, hidden or not.
fn names(folders: &Folders, relative: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open = vec![folders.path(relative)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
            let name = entry.path().strip_prefix(folders.path(relative)).unwrap().to_owned();
            all.insert(name.into_os_string().into_string().unwrap());
        }
    }
    all
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn f9_u22_a_file_is_made_with_its_folders() {
    each_way(|folders, root, options| {
        let written = put(root, "/a/b/new.txt", "content", options, OnClash::Refuse).unwrap();
        assert!(written.created);
        assert_eq!(written.meta.size, 7);
        assert_eq!(fs::read_to_string(folders.path("root/a/b/new.txt")).unwrap(), "content");
        assert_eq!(names(folders, "root"), set(&["hello.txt", "a", "a/b", "a/b/new.txt"]));
    });
}

#[test]
fn f9_u22_a_folder_that_is_removed_while_a_file_comes_is_made_again() {
    each_way(|folders, root, options| {
        let mut staged = root.stage(&path(root, "/a/b/new.txt"), Some(7), options).unwrap();
        staged.write(&[Bytes::from_static(b"content")]).unwrap();
        let claim = staged.claim().unwrap();
        fs::remove_dir_all(folders.path("root/a")).unwrap();
        assert!(staged.commit(claim, OnClash::Replace).unwrap().created);
        assert_eq!(fs::read_to_string(folders.path("root/a/b/new.txt")).unwrap(), "content");
    });
}

#[test]
fn f9_what_is_not_committed_leaves_nothing() {
    each_way(|folders, root, options| {
        let mut staged = root.stage(&path(root, "/a/b/new.txt"), None, options).unwrap();
        staged.write(&[Bytes::from_static(b"half of it")]).unwrap();
        assert_eq!(staged.len(), 10);
        // A claim makes the folders; without a commit they go again.
        drop(staged.claim().unwrap());
        drop(staged);
        assert_eq!(names(folders, "root"), set(&["hello.txt"]));
    });
}

#[test]
fn f9_a_file_is_replaced_whole_and_keeps_its_mode() {
    each_way(|folders, root, options| {
        let file = folders.path("root/hello.txt");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o4640)).unwrap();
        let old = fs::File::open(&file).unwrap();
        let written = put(root, "/hello.txt", "the new", options, OnClash::Replace).unwrap();
        assert!(!written.created);
        assert_eq!(fs::read_to_string(&file).unwrap(), "the new");
        // The bits that give rights to whoever runs it are gone.
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(std::io::read_to_string(old).unwrap(), "inside", "a reader keeps the old file");
        assert_eq!(names(folders, "root"), set(&["hello.txt"]));
    });
}

/// The bits of the group are, where there is an access list (acl(5)), the most that it allows others.
#[test]
fn f9_a_file_hands_on_its_access_list() {
    const LIST: &str = "system.posix_acl_access";
    // user::rw-, user:1000:rw-, group::---, mask::rw-, other::---
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 6, 1000), (4, 0, u32::MAX), (16, 6, u32::MAX), (32, 0, u32::MAX)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        list.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    each_way(|folders, root, options| {
        let file = folders.path("root/hello.txt");
        if rustix::fs::setxattr(&file, LIST, &list, rustix::fs::XattrFlags::empty()).is_err() {
            return eprintln!("skipped: no access lists here");
        }
        put(root, "/hello.txt", "the new", options, OnClash::Replace).unwrap();
        let mut now = vec![0; 1024];
        let length = rustix::fs::getxattr(&file, LIST, &mut now).unwrap();
        assert_eq!(&now[..length], list);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o660);
        // And one that has none gets none.
        let plain = folders.path("root/plain.txt");
        fs::write(&plain, "old").unwrap();
        put(root, "/plain.txt", "new", options, OnClash::Replace).unwrap();
        assert!(rustix::fs::getxattr(&plain, LIST, &mut now).is_err());
    });
}

/// What is on its way is nobody else's yet.
#[test]
fn f9_what_is_not_whole_is_read_by_nobody_else() {
    each_way(|folders, root, options| {
        let mut staged = root.stage(&path(root, "/new.txt"), None, options).unwrap();
        staged.write(&[Bytes::from_static(b"secret")]).unwrap();
        for entry in fs::read_dir(folders.path("root")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "hello.txt" {
                assert_eq!(entry.metadata().unwrap().mode() & 0o077, 0, "{entry:?}");
            }
        }
        staged.finish().unwrap();
        let claim = staged.claim().unwrap();
        staged.commit(claim, OnClash::Refuse).unwrap();
        folders.write("root/other", "");
        let mode = |name: &str| fs::metadata(folders.path(name)).unwrap().mode() & 0o777;
        assert_eq!(mode("root/new.txt"), mode("root/other"), "as any new file");
    });
}

#[test]
fn f9_each_replacement_can_be_told_from_the_last() {
    each_way(|_, root, options| {
        let mut seen = BTreeSet::new();
        for _ in 0..100 {
            let written = put(root, "/hello.txt", "same", options, OnClash::Replace).unwrap();
            assert!(seen.insert(written.meta.modified_ns), "two versions with one time");
        }
    });
}

/// As from an archive: the same time and the same length.
#[test]
fn f10_what_is_moved_over_a_file_can_be_told_from_it() {
    let folders = Folders::new();
    let root = folders.open(RootOptions::default());
    let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (name, content) in [("root/old", "one"), ("root/new", "two")] {
        folders.write(name, content);
        let file = fs::File::options().write(true).open(folders.path(name)).unwrap();
        file.set_modified(time).unwrap();
    }
    let (from, to) = root.claim_two(&path(&root, "/new"), &path(&root, "/old")).unwrap();
    let written = from.rename(to, OnClash::Replace).unwrap();
    assert_eq!(fs::read_to_string(folders.path("root/old")).unwrap(), "two");
    assert_ne!(fs::metadata(folders.path("root/old")).unwrap().modified().unwrap(), time);
    assert_ne!(written.meta.modified_ns, 1_700_000_000_000_000_000);
}

#[test]
fn f9_a_taken_name_is_refused_or_both_are_kept() {
    each_way(|folders, root, options| {
        let refused = put(root, "/hello.txt", "x", options, OnClash::Refuse);
        assert!(matches!(refused, Err(WriteError::Clash(Clash::Exists))), "{refused:?}");
        for (content, name) in [("two", "hello (2).txt"), ("three", "hello (3).txt")] {
            let written = put(root, "/hello.txt", content, options, OnClash::KeepBoth).unwrap();
            assert!(written.created);
            assert_eq!(written.path.as_bytes(), name.as_bytes());
            assert_eq!(fs::read_to_string(folders.path("root").join(name)).unwrap(), content);
        }
        assert_eq!(fs::read_to_string(folders.path("root/hello.txt")).unwrap(), "inside");
        assert_eq!(names(folders, "root"), set(&["hello.txt", "hello (2).txt", "hello (3).txt"]));
    });
}

#[test]
fn nothing_but_a_file_is_ever_replaced() {
    each_way(|folders, root, options| {
        folders.write("root/folder/x", "");
        folders.link("root/inner", "hello.txt");
        folders.link("root/dangling", "nowhere");
        folders.link("root/out", folders.path("outside/secret.txt"));
        folders.link("root/outdir", folders.path("outside"));
        let fifo = folders.path("root/fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let before = names(folders, "root");

        for (url, clash) in [
            ("/folder", Clash::Folder),
            ("/inner", Clash::Special),
            ("/dangling", Clash::Special),
            ("/out", Clash::Special),
            ("/outdir", Clash::Special),
            ("/fifo", Clash::Special),
            ("/hello.txt/below", Clash::NotFolder),
            ("/fifo/below", Clash::NotFolder),
            ("/dangling/below", Clash::NotFolder),
            ("/new/", Clash::NotFolder),
            ("/", Clash::Root),
        ] {
            let result = put(root, url, "x", options, OnClash::Replace);
            let Err(WriteError::Clash(found)) = result else { panic!("{url}: {result:?}") };
            assert_eq!(found, clash, "{url}");
        }
        // Through a link that leads out nothing is written, one that stays inside may be used.
        let result = put(root, "/outdir/new.txt", "x", options, OnClash::Replace);
        assert!(
            matches!(result, Err(WriteError::Refused(Refusal::Outside))),
            "upload through a linked folder: {result:?}"
        );
        assert_eq!(names(folders, "root"), before);
        assert_eq!(names(folders, "outside"), set(&["secret.txt"]));
        assert_eq!(fs::read_to_string(folders.path("outside/secret.txt")).unwrap(), "outside");

        folders.link("root/insidedir", "folder");
        put(root, "/insidedir/new.txt", "x", options, OnClash::Refuse).unwrap();
        assert!(folders.path("root/folder/new.txt").exists());
    });
}

#[test]
fn u23_a_folder_is_made_once() {
    each_way(|folders, root, _| {
        assert!(root.make_folder(&path(root, "/a/b/")).unwrap().created);
        assert!(folders.path("root/a/b").is_dir());
        for url in ["/a/b/", "/a/b", "/hello.txt"] {
            let result = root.make_folder(&path(root, url));
            assert!(matches!(result, Err(WriteError::Clash(Clash::Exists))), "{url}: {result:?}");
        }
        let result = root.make_folder(&path(root, "/"));
        assert!(matches!(result, Err(WriteError::Clash(Clash::Root))), "{result:?}");
    });
}

#[test]
fn u24_u25_files_and_folders_are_removed() {
    each_way(|folders, root, _| {
        folders.write("root/full/deep/er/x", "");
        folders.write("root/full/.hidden", "");
        folders.link("root/full/out", folders.path("outside"));
        folders.link("root/link", "hello.txt");
        fs::create_dir(folders.path("root/empty")).unwrap();
        let remove = |url: &str, recursive| root.claim(&path(root, url), false)?.remove(recursive);

        for (url, recursive, clash) in [
            ("/full/", false, Clash::NotEmpty),
            ("/hello.txt/x", true, Clash::NotFolder),
            ("/", true, Clash::Root),
        ] {
            let result = remove(url, recursive);
            let Err(WriteError::Clash(found)) = result else { panic!("{url}: {result:?}") };
            assert_eq!(found, clash, "{url}");
        }
        for url in ["/missing", "/missing/below", "/hello.txt/"] {
            let result = remove(url, true);
            assert!(matches!(result, Err(WriteError::NotFound)), "{url}: {result:?}");
        }
        remove("/link", true).unwrap();
        remove("/empty/", false).unwrap();
        remove("/full/", true).unwrap();
        assert_eq!(names(folders, "root"), set(&["hello.txt"]));
        assert_eq!(names(folders, "outside"), set(&["secret.txt"]));
        remove("/hello.txt", false).unwrap();
        assert_eq!(names(folders, "root"), set(&[]));
    });
}

#[test]
fn u25_many_files_are_removed_and_what_is_too_deep_is_not() {
    let folders = Folders::new();
    let root = folders.open(RootOptions::default());
    for number in 0..3000 {
        folders.write(&format!("root/many/{number}"), "");
    }
    // More folders than are read at once, some of them with something in them.
    for number in 0..1000 {
        fs::create_dir(folders.path(&format!("root/many/f{number}"))).unwrap();
    }
    for number in (0..1000).step_by(100) {
        folders.write(&format!("root/many/f{number}/below/x"), "");
    }
    root.claim(&path(&root, "/many"), false).unwrap().remove(true).unwrap();
    assert_eq!(names(&folders, "root"), set(&["hello.txt"]));

    fs::create_dir_all(folders.path(&format!("root/deep{}", "/d".repeat(200)))).unwrap();
    let result = root.claim(&path(&root, "/deep"), false).unwrap().remove(true);
    assert!(matches!(result, Err(WriteError::Clash(Clash::TooDeep))), "{result:?}");
    let half = format!("/deep{}", "/d".repeat(100));
    root.claim(&path(&root, &half), false).unwrap().remove(true).unwrap();
    root.claim(&path(&root, "/deep"), false).unwrap().remove(true).unwrap();
    assert_eq!(names(&folders, "root"), set(&["hello.txt"]));
}

#[test]
fn u22_u23_u25_no_folder_is_made_that_is_too_deep_to_be_removed() {
    let folders = Folders::new();
    let root = folders.open(RootOptions::default());
    let folder = |depth| format!("/deep{}", "/d".repeat(depth - 1));
    let file = |depth| path(&root, &format!("{}/x", folder(depth)));
    let is_too_deep = |error| matches!(error, Some(WriteError::Clash(Clash::TooDeep)));
    let deeper = file(DEPTH_MAX + 1);
    assert!(is_too_deep(root.stage(&deeper, None, StageOptions::default()).err()));
    assert!(is_too_deep(root.claim(&deeper, true).err()));
    assert!(is_too_deep(root.make_folder(&path(&root, &folder(DEPTH_MAX + 1))).err()));
    assert!(root.claim(&file(DEPTH_MAX), true).is_ok());
    root.make_folder(&path(&root, &folder(DEPTH_MAX))).unwrap();
    root.claim(&path(&root, "/deep"), false).unwrap().remove(true).unwrap();
    // What others have made takes files all the same.
    fs::create_dir_all(folders.path(&format!("root{}", folder(200)))).unwrap();
    assert!(root.claim(&file(200), true).is_ok());
}

#[test]
fn f10_files_and_folders_are_moved() {
    each_way(|folders, root, _| {
        folders.write("root/folder/x", "x");
        folders.write("root/other", "other");
        let rename = |from: &str, to: &str, on_clash| {
            let (from, to) = root.claim_two(&path(root, from), &path(root, to))?;
            from.rename(to, on_clash)
        };
        let moved = rename("/hello.txt", "/new/place.txt", OnClash::Refuse).unwrap();
        assert!(moved.created);
        assert_eq!(
            names(folders, "root"),
            set(&["folder", "folder/x", "other", "new", "new/place.txt"])
        );
        for (from, to, on_clash, clash) in [
            ("/new/place.txt", "/other", OnClash::Refuse, Clash::Exists),
            ("/new/place.txt", "/folder", OnClash::Replace, Clash::Folder),
            ("/new/place.txt", "/free/", OnClash::Replace, Clash::NotFolder),
            ("/folder", "/other", OnClash::Replace, Clash::Exists),
            ("/folder", "/new", OnClash::Replace, Clash::Folder),
            ("/folder", "/folder/a/b", OnClash::Replace, Clash::Inside),
            ("/other", "/other", OnClash::Replace, Clash::Inside),
            ("/other", "/other/x", OnClash::Replace, Clash::NotFolder),
            ("/", "/x", OnClash::Replace, Clash::Root),
            ("/other", "/", OnClash::Replace, Clash::Root),
        ] {
            let result = rename(from, to, on_clash);
            let Err(WriteError::Clash(found)) = result else { panic!("{from} {to}: {result:?}") };
            assert_eq!(found, clash, "{from} {to}");
        }
        let result = rename("/missing", "/made/x", OnClash::Replace);
        assert!(matches!(result, Err(WriteError::NotFound)), "{result:?}");
        assert!(!folders.path("root/made").exists());

        let moved = rename("/new/place.txt", "/other", OnClash::KeepBoth).unwrap();
        assert_eq!(moved.path.as_bytes(), b"other (2)");
        assert!(!rename("/other (2)", "/other", OnClash::Replace).unwrap().created);
        assert_eq!(fs::read_to_string(folders.path("root/other")).unwrap(), "inside");
        rename("/folder", "/new/folder", OnClash::Refuse).unwrap();
        assert_eq!(names(folders, "root"), set(&["other", "new", "new/folder", "new/folder/x"]));
    });
}

#[test]
fn design_11_two_uploads_to_one_name_end_as_one_of_them() {
    each_way(|folders, root, options| {
        let start = Barrier::new(8);
        let made: usize = thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|number| {
                    let start = &start;
                    scope.spawn(move || {
                        let content = number.to_string().repeat(5000);
                        start.wait();
                        put(root, "/one/name", &content, options, OnClash::Refuse).is_ok()
                    })
                })
                .collect();
            writers.into_iter().map(|writer| usize::from(writer.join().unwrap())).sum()
        });
        assert_eq!(made, 1, "exactly one is the first");
        let content = fs::read(folders.path("root/one/name")).unwrap();
        assert_eq!(content.len(), 5000);
        assert!(content.iter().all(|byte| *byte == content[0]), "a mixture of two");
        assert_eq!(names(folders, "root"), set(&["hello.txt", "one", "one/name"]));
    });
}

#[test]
fn a_claim_keeps_others_from_the_name() {
    each_way(|_, root, options| {
        let claim = root.claim(&path(root, "/counter"), false).unwrap();
        drop(claim);
        put(root, "/counter", "0", options, OnClash::Refuse).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let mut staged =
                            root.stage(&path(root, "/counter"), None, options).unwrap();
                        let claim = staged.claim().unwrap();
                        // As long as the old value by its length: what was seen is what is replaced.
                        let length = claim.current().unwrap().unwrap().size + 1;
                        let content = vec![b'0'; usize::try_from(length).unwrap()];
                        staged.write(&[content.into()]).unwrap();
                        staged.commit(claim, OnClash::Replace).unwrap();
                    }
                });
            }
        });
        assert_eq!(root.stat_blocking(&path(root, "/counter")).unwrap().size, 101);
    });
}

#[test]
fn two_moves_against_each_other_do_not_wait_for_each_other() {
    let folders = Folders::new();
    folders.write("root/a", "a");
    folders.write("root/b", "b");
    let root = &folders.open(RootOptions::default());
    thread::scope(|scope| {
        for (from, to) in [("/a", "/b"), ("/b", "/a")] {
            scope.spawn(move || {
                for _ in 0..200 {
                    if let Ok((from, to)) = root.claim_two(&path(root, from), &path(root, to)) {
                        let _ = from.rename(to, OnClash::Replace);
                    }
                }
            });
        }
    });
    assert_eq!(names(&folders, "root").len(), 2, "one of the two, and hello.txt");
}

#[test]
fn f18_space_is_kept_free() {
    each_way(|folders, root, options| {
        let all = StageOptions { keep_free_bytes: u64::MAX, ..options };
        let result = root.stage(&path(root, "/new"), Some(1), all);
        assert!(matches!(result, Err(WriteError::NoSpace)));
        let result = root.stage(&path(root, "/new"), Some(u64::MAX), options);
        assert!(matches!(result, Err(WriteError::NoSpace)));
        assert_eq!(names(folders, "root"), set(&["hello.txt"]));
    });
}

#[test]
fn our_changes_are_counted() {
    each_way(|_, root, options| {
        let before = number8::store::changes();
        put(root, "/new", "x", options, OnClash::Refuse).unwrap();
        assert!(number8::store::changes() > before);
    });
}

#[test]
fn f9_a_large_file_goes_past_memory_and_arrives_whole() {
    each_way(|folders, root, options| {
        let options = StageOptions { sync: true, ..options };
        // Around the place where it begins to, in pieces that fit no block, and with a tail.
        for (piece, length) in [
            (512 * 1024, 34 * 1024 * 1024 + 77),
            (256 * 1024, 33 * 1024 * 1024),
            (300_000, 36_000_000),
        ] {
            let content: Vec<u8> = (0..length).map(|at: usize| (at / 7 % 253) as u8).collect();
            let mut staged = root.stage(&path(root, "/large"), None, options).unwrap();
            for chunk in content.chunks(piece) {
                staged.write(&[Bytes::copy_from_slice(chunk)]).unwrap();
            }
            assert_eq!(staged.len(), length as u64);
            staged.finish().unwrap();
            let claim = staged.claim().unwrap();
            let written = staged.commit(claim, OnClash::Replace).unwrap();
            assert_eq!(written.meta.size, length as u64);
            assert!(fs::read(folders.path("root/large")).unwrap() == content, "{piece} {length}");
        }
    });
}
