//! Which entries a listing shows, and in which order.

use std::fs::{self, FileTimes};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime};

use number8::store::{Entry, Hidden, Kind, ListOptions, Listing, Root, RootOptions, Sort};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{Folders, open_dir};

fn list(root: &Root, url: &str, options: ListOptions) -> Listing {
    open_dir(root, url).list(&options).unwrap()
}

fn names(listing: &Listing) -> Vec<String> {
    listing.entries.iter().map(|entry| String::from_utf8_lossy(&entry.name).into()).collect()
}

/// A folder with these files, as name, size and seconds since 1970, and the folders `Docs` and `art`.
fn shelf(files: &[(&str, usize, u64)]) -> Folders {
    let folders = Folders::new();
    for folder in ["Docs", "art"] {
        fs::create_dir_all(folders.path("root/shelf").join(folder)).unwrap();
    }
    for (name, size, seconds) in files {
        let path = format!("root/shelf/{name}");
        folders.write(&path, &"x".repeat(*size));
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds);
        let file = fs::File::options().append(true).open(folders.path(&path)).unwrap();
        file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    }
    folders
}

#[test]
fn u17_entries_have_kind_size_and_time() {
    let folders = shelf(&[("hello.txt", 42, 1_000_000_000)]);
    for root in folders.both_roots(RootOptions::default()) {
        let listing = list(&root, "/shelf/", ListOptions::default());
        assert_eq!(names(&listing), ["art", "Docs", "hello.txt"]);
        assert_eq!((listing.total, listing.offset, listing.truncated), (3, 0, false));
        assert_eq!((listing.entries[0].kind, listing.entries[0].size), (Kind::Directory, 0));
        let hello = Entry {
            name: (*b"hello.txt").into(),
            kind: Kind::File,
            size: 42,
            modified_ns: 1_000_000_000_000_000_000,
        };
        assert_eq!(listing.entries[2], hello);
    }
}

#[test]
fn entries_come_in_the_order_asked_for() {
    let folders = shelf(&[
        ("a10.txt", 3, 50),
        ("A2.txt", 3, 40),
        ("a02.txt", 1, 30),
        ("b.txt", 0, 90),
        ("Z", 20, 10),
        ("10", 7, 20),
        ("9", 8, 60),
    ]);
    let by_name = ["9", "10", "A2.txt", "a02.txt", "a10.txt", "b.txt", "Z"];
    let cases: &[(Sort, bool, &[&str])] = &[
        (Sort::Name, false, &by_name),
        (Sort::Name, true, &["Z", "b.txt", "a10.txt", "a02.txt", "A2.txt", "10", "9"]),
        (Sort::Size, false, &["b.txt", "a02.txt", "A2.txt", "a10.txt", "10", "9", "Z"]),
        (Sort::Size, true, &["Z", "9", "10", "A2.txt", "a10.txt", "a02.txt", "b.txt"]),
        (Sort::Modified, false, &["Z", "10", "a02.txt", "A2.txt", "a10.txt", "9", "b.txt"]),
        (Sort::Modified, true, &["b.txt", "9", "a10.txt", "A2.txt", "a02.txt", "10", "Z"]),
    ];
    let root = folders.open(RootOptions::default());
    for &(sort, descending, expected) in cases {
        let options = ListOptions { sort, descending, ..Default::default() };
        let files = &names(&list(&root, "/shelf", options))[2..];
        assert_eq!(files, expected, "{sort:?} {descending}");
    }

    let mixed = ListOptions { dirs_first: false, ..Default::default() };
    let expected =
        ["9", "10", "A2.txt", "a02.txt", "a10.txt", "art", "b.txt", "Docs", "Z"].map(String::from);
    assert_eq!(names(&list(&root, "/shelf", mixed)), expected);
}

#[test]
fn pages_join_to_the_whole() {
    let files: Vec<String> = (0..57).map(|n| format!("{n}.txt")).collect();
    let files: Vec<_> = files.iter().map(|name| (name.as_str(), name.len() * 7 % 5, 0)).collect();
    let folders = shelf(&files);
    let root = folders.open(RootOptions::default());
    for sort in [Sort::Name, Sort::Size] {
        let options = ListOptions { sort, ..Default::default() };
        let whole = list(&root, "/shelf", options);
        assert_eq!(whole.total, 59);
        let mut joined = Vec::new();
        for offset in (0..70).step_by(10) {
            let page = list(&root, "/shelf", ListOptions { offset, limit: 10, ..options });
            assert_eq!((page.total, page.offset), (59, offset));
            joined.extend(page.entries);
        }
        assert_eq!(joined, whole.entries);
    }
}

#[test]
fn only_what_can_be_opened_is_shown() {
    let folders = Folders::new();
    for file in ["a.txt", ".env", ".number8-x", "back\\slash", "new\nline"] {
        folders.write(&format!("root/d/{file}"), "inside");
    }
    folders.write("root/.well-known/x", "inside");
    for (name, target) in [
        ("link", "../hello.txt"),
        ("folder-link", ".."),
        ("out", "../../outside"),
        ("dangling", "nope"),
        ("ring", "ring"),
        ("null", "/dev/null"),
    ] {
        folders.link(&format!("root/d/{name}"), target);
    }
    mknodat(CWD, folders.path("root/d/fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let odd_name = std::ffi::OsStr::from_bytes(b"\xff");
    let odd_name_made = fs::write(folders.path("root/d").join(odd_name), "").is_ok();

    let expected = |shown: &[&str]| {
        let odd = odd_name_made.then(|| String::from_utf8_lossy(b"\xff").into_owned());
        shown.iter().map(|name| String::from(*name)).chain(odd).collect::<Vec<_>>()
    };
    for root in folders.both_roots(RootOptions::default()) {
        let listing = list(&root, "/d", ListOptions::default());
        assert_eq!(names(&listing), expected(&["folder-link", "a.txt", "link"]));
        assert_eq!(listing.total, listing.entries.len());
        assert_eq!(listing.entries[2].size, 6, "a link has the size of its target");
        assert_eq!(names(&list(&root, "/", ListOptions::default())), ["d", "hello.txt"]);
    }
    for root in folders.both_roots(RootOptions { hidden: Hidden::Serve, ..Default::default() }) {
        let listing = list(&root, "/d", ListOptions::default());
        assert_eq!(names(&listing), expected(&["folder-link", ".env", "a.txt", "link"]));
    }
    for root in folders.both_roots(RootOptions { follow_links: true, ..Default::default() }) {
        let listing = list(&root, "/d", ListOptions::default());
        assert_eq!(names(&listing), expected(&["folder-link", "out", "a.txt", "link"]));
    }
}

#[test]
fn a_huge_folder_is_cut_off() {
    let folders = shelf(&[("1", 0, 0), ("2", 0, 0), ("3", 0, 0)]);
    let root = folders.open(RootOptions::default());
    for (entries_max, total, truncated) in [(4, 4, true), (5, 5, false), (6, 5, false)] {
        let listing = list(&root, "/shelf", ListOptions { entries_max, ..Default::default() });
        assert_eq!((listing.total, listing.truncated), (total, truncated), "{entries_max}");
    }
}

#[test]
fn an_empty_folder_has_an_empty_listing() {
    let folders = Folders::new();
    fs::create_dir(folders.path("root/empty")).unwrap();
    let root = folders.open(RootOptions::default());
    let listing = list(&root, "/empty/", ListOptions::default());
    assert_eq!((listing.entries.len(), listing.total, listing.truncated), (0, 0, false));
}
