//! Nothing but regular files and folders of the root is opened, and nothing makes us wait.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use number8::store::{Hidden, OpenError, Opened, PathError, Refusal, Root, RootOptions};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use super::{Folders, content, describe, in_time, open, open_file, path};

#[derive(Debug, PartialEq)]
enum Verdict {
    Inside,
    Outside,
    Folder,
    BadPath(PathError),
    NotFound,
    NotServable,
    Refused(Refusal),
}
use Verdict::{BadPath, Folder, Inside, NotFound, NotServable, Outside, Refused};

fn judge(root: &Root, url: &[u8]) -> Verdict {
    let path = match root.path(url) {
        Ok(path) => path,
        Err(error) => return BadPath(error),
    };
    match open(root, &path) {
        Ok(Opened::Dir(_)) => Folder,
        Ok(Opened::File(file)) => match content(&file).as_str() {
            "inside" => Inside,
            "outside" => Outside,
            other => panic!("read {other:?}"),
        },
        Err(OpenError::NotFound) => NotFound,
        Err(OpenError::NotServable) => NotServable,
        Err(OpenError::Refused(why)) => Refused(why),
        Err(error) => panic!("{}: {error:?}", url.escape_ascii()),
    }
}

/// A root with every kind of trap in it.
fn trapped() -> Folders {
    let folders = Folders::new();
    for file in ["sub/inner.txt", "sub/deep/er/x.txt", ".env", ".git/config", "sub/.htpasswd"] {
        folders.write(&format!("root/{file}"), "inside");
    }
    folders.write("root/.well-known/security.txt", "inside");
    folders.write("root/.number8-upload", "inside");

    let inside = folders.path("root/hello.txt");
    let outside = folders.path("outside");
    let links: &[(&str, &str)] = &[
        ("to-file", "hello.txt"),
        ("to-folder", "sub"),
        ("to-hidden", ".env"),
        ("sub/up", "../hello.txt"),
        ("sub/deep/er/far-up", "../../../sub/./inner.txt"),
        ("to-link", "sub/up"),
        ("to-file-slash", "hello.txt/"),
        ("nowhere", "no-such-file"),
        ("out-file", "../outside/secret.txt"),
        ("out-folder", "../outside"),
        ("out-of-sub", "sub/../../outside/secret.txt"),
        ("sub/out", "../../outside"),
        ("sub/deep/out", "../../../outside/secret.txt"),
        ("out-via-link", "out-folder/secret.txt"),
        ("out-and-back", "../root/hello.txt"),
        ("parent", ".."),
        ("grandparent", "../.."),
        ("absolute-in", inside.to_str().unwrap()),
        ("absolute-out", outside.to_str().unwrap()),
        ("slash", "/"),
        ("etc", "/etc"),
        ("proc", "/proc"),
        ("proc-self", "/proc/self"),
        ("proc-root", "/proc/self/root"),
        ("proc-cwd", "/proc/self/cwd"),
        ("proc-fd", "/proc/self/fd/0"),
        ("dev", "/dev"),
        ("dev-null", "/dev/null"),
        ("dev-zero", "/dev/zero"),
        ("dev-stdin", "/dev/stdin"),
        ("self", "self"),
        ("ring-a", "ring-b"),
        ("ring-b", "ring-a"),
        ("loop-folder", "loop-folder/x"),
    ];
    for (name, target) in links {
        folders.link(&format!("root/{name}"), target);
    }
    folders.link("root/chain0", "hello.txt");
    for n in 1..=45 {
        folders.link(&format!("root/chain{n}"), format!("chain{}", n - 1));
    }
    let make = |name, kind| mknodat(CWD, folders.path(name), kind, Mode::RWXU, 0);
    make("root/fifo", FileType::Fifo).unwrap();
    drop(UnixListener::bind(folders.path("root/socket")).unwrap());
    folders
}

/// The cases that have the same answer whether links may leave the root or not.
fn same_either_way() -> Vec<(Vec<u8>, Verdict)> {
    let dots = || BadPath(PathError::DotSegment);
    let byte = || BadPath(PathError::Byte);
    let hidden = || BadPath(PathError::Hidden);
    let cases: Vec<(&[u8], Verdict)> = vec![
        (b"/", Folder),
        (b"/hello.txt", Inside),
        (b"//sub///inner.txt", Inside),
        (b"/sub", Folder),
        (b"/sub/", Folder),
        (b"/to-file", Inside),
        (b"/to-folder/inner.txt", Inside),
        (b"/to-folder/up", Inside),
        (b"/to-hidden", Inside),
        (b"/sub/deep/er/far-up", Inside),
        (b"/to-link", Inside),
        (b"/chain39", Inside),
        (b"/.well-known/security.txt", Inside),
        (b"/hello.txt/", NotFound),
        (b"/hello.txt/x", NotFound),
        (b"/to-file-slash", NotFound),
        (b"/to-file/", NotFound),
        (b"/nowhere", NotFound),
        (b"/fifo/x", NotFound),
        (b"/%2e%2e/outside/secret.txt", NotFound),
        (b"/%252e%252e%252foutside", NotFound),
        (b"/..%2foutside", hidden()),
        (b"/\xc0\xae\xc0\xae/outside", NotFound),
        (b"/..;/outside", hidden()),
        (b"/~root", NotFound),
        (b"/C:/boot.ini", NotFound),
        (b"/hello.txt::$DATA", NotFound),
        (b"/CON", NotFound),
        (b"/$HOME", NotFound),
        (b"/file:/etc/passwd", NotFound),
        (b"/../outside/secret.txt", dots()),
        (b"/sub/../../outside/secret.txt", dots()),
        (b"/sub/../hello.txt", dots()),
        (b"/./hello.txt", dots()),
        (b"/sub/..", dots()),
        (b"/..", dots()),
        (b"../outside/secret.txt", BadPath(PathError::NotAbsolute)),
        (b"etc/passwd", BadPath(PathError::NotAbsolute)),
        (b"", BadPath(PathError::NotAbsolute)),
        (b"/..\\outside\\secret.txt", byte()),
        (b"\\..\\outside", BadPath(PathError::NotAbsolute)),
        (b"/hello.txt\0", byte()),
        (b"/hello.txt\0.png", byte()),
        (b"/\0", byte()),
        (b"/hello.txt\n", byte()),
        (b"/\x1b]0;x\x07", byte()),
        (b"/.env", hidden()),
        (b"/.git/config", hidden()),
        (b"/sub/.htpasswd", hidden()),
        (b"/to-folder/.htpasswd", hidden()),
        (b"/.number8-upload", hidden()),
        (b"/fifo", NotServable),
        (b"/fifo/", NotServable),
        (b"/socket", NotServable),
        (b"/self", Refused(Refusal::Link)),
        (b"/ring-a", Refused(Refusal::Link)),
        (b"/ring-b/x", Refused(Refusal::Link)),
        (b"/loop-folder", Refused(Refusal::Link)),
        (b"/chain45", Refused(Refusal::Link)),
    ];
    let mut cases: Vec<_> =
        cases.into_iter().map(|(url, verdict)| (url.to_vec(), verdict)).collect();
    cases.push((b"/a".repeat(2000), NotFound));
    cases.push((b"/a".repeat(3000), BadPath(PathError::TooLong)));
    cases.push(([b"/", &[b'x'; 255][..]].concat(), NotFound));
    cases.push(([b"/", &[b'x'; 256][..]].concat(), BadPath(PathError::TooLong)));
    cases
}

#[test]
fn f3_nothing_outside_the_root_is_opened() {
    in_time(|| {
        let folders = trapped();
        let outside = [
            "/out-file",
            "/out-folder",
            "/out-folder/",
            "/out-folder/secret.txt",
            "/out-of-sub",
            "/sub/out/secret.txt",
            "/to-folder/out/secret.txt",
            "/sub/deep/out",
            "/out-via-link",
            "/out-and-back",
            "/parent",
            "/parent/outside/secret.txt",
            "/parent/root/hello.txt",
            "/grandparent",
            "/absolute-in",
            "/absolute-out/secret.txt",
            "/slash",
            "/slash/etc/passwd",
            "/etc/passwd",
            "//etc//passwd",
            "/proc/self/environ",
            "/proc-self/environ",
            "/proc-root/etc/passwd",
            "/proc-cwd",
            "/proc-fd",
            "/dev/null",
            "/dev-null",
            "/dev-zero",
            "/dev-stdin",
        ];
        for root in folders.both_roots(RootOptions::default()) {
            for (url, verdict) in same_either_way() {
                assert_eq!(judge(&root, &url), verdict, "{} {root:?}", url.escape_ascii());
            }
            for url in outside {
                assert_eq!(
                    judge(&root, url.as_bytes()),
                    Refused(Refusal::Outside),
                    "{url} {root:?}"
                );
            }
        }
    });
}

#[test]
fn links_may_leave_the_root_when_allowed_but_not_by_procfs_or_to_devices() {
    in_time(|| {
        let folders = trapped();
        let cases = [
            ("/out-file", Outside),
            ("/out-folder", Folder),
            ("/out-folder/secret.txt", Outside),
            ("/out-of-sub", Outside),
            ("/sub/out/secret.txt", Outside),
            ("/out-via-link", Outside),
            ("/out-and-back", Inside),
            ("/parent/outside/secret.txt", Outside),
            ("/parent/root/hello.txt", Inside),
            ("/grandparent", Folder),
            ("/absolute-in", Inside),
            ("/absolute-out/secret.txt", Outside),
            ("/slash", Folder),
            ("/etc", Folder),
            ("/proc-root/etc/passwd", Refused(Refusal::Link)),
            ("/proc-cwd", Refused(Refusal::Link)),
            ("/proc-fd", Refused(Refusal::Link)),
            ("/dev-stdin", Refused(Refusal::Link)),
            ("/dev-null", NotServable),
            ("/dev-zero", NotServable),
            ("/dev/null", NotServable),
        ];
        for root in folders.both_roots(RootOptions { follow_links: true, ..Default::default() }) {
            for (url, verdict) in same_either_way() {
                assert_eq!(judge(&root, &url), verdict, "{} {root:?}", url.escape_ascii());
            }
            for (url, verdict) in &cases {
                assert_eq!(judge(&root, url.as_bytes()), *verdict, "{url} {root:?}");
            }
        }
    });
}

#[test]
fn a_device_in_the_root_is_not_served() {
    let folders = Folders::new();
    let zero = rustix::fs::makedev(1, 5);
    let made = mknodat(CWD, folders.path("root/zero"), FileType::CharacterDevice, Mode::RWXU, zero);
    if made.is_err() {
        return; // Only root may make one.
    }
    in_time(move || {
        for root in folders.both_roots(RootOptions::default()) {
            assert_eq!(judge(&root, b"/zero"), NotServable);
        }
    });
}

#[test]
fn hidden_files_are_served_when_asked_for_but_never_temporary_ones() {
    let folders = trapped();
    for root in folders.both_roots(RootOptions { hidden: Hidden::Serve, ..Default::default() }) {
        assert_eq!(judge(&root, b"/.git/config"), Inside);
        assert_eq!(judge(&root, b"/.number8-upload"), BadPath(PathError::Hidden));
        assert_eq!(judge(&root, b"/../outside/secret.txt"), BadPath(PathError::DotSegment));
    }
}

#[test]
fn well_known_is_not_written_where_hidden_files_are_served_either() {
    let folders = trapped();
    for root in folders.both_roots(RootOptions { hidden: Hidden::Serve, ..Default::default() }) {
        assert!(root.path_to_write(b"/.git/config").is_ok());
        assert!(root.path_to_write(b"/a/.well-known/x").is_ok());
        // A disk may ignore case.
        for path in ["/.well-known", "/.well-known/acme-challenge/x", "/.Well-Known/x"] {
            assert_eq!(
                root.path_to_write(path.as_bytes()).err(),
                Some(PathError::Hidden),
                "{path}"
            );
        }
    }
}

/// Repeats `check`, which says whether it found the file, while another thread repeats `disturb`, until both answers came
/// often.
fn race(disturb: impl Fn() + Send + 'static, check: impl Fn() -> bool) {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            disturb();
        }
    });
    let (mut found, mut refused) = (0, 0);
    let end = Instant::now() + Duration::from_secs(30);
    while (found < 300 || refused < 300) && Instant::now() < end {
        if check() { found += 1 } else { refused += 1 }
    }
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    assert!(found >= 300 && refused >= 300, "no race: {found} found, {refused} refused");
}

/// Whether the file is there; it must not be the one outside.
fn found_inside(root: &Root, url: &str) -> bool {
    let path = path(root, url);
    [root.try_open(&path), root.open_blocking(&path)].into_iter().any(|result| match result {
        Ok(Opened::File(file)) => {
            assert_eq!(content(&file), "inside");
            true
        }
        Ok(Opened::Dir(_)) => panic!("a folder"),
        Err(OpenError::WouldBlock | OpenError::NotFound | OpenError::Refused(_)) => false,
        result => panic!("{}", describe(&result)),
    })
}

#[test]
fn a_folder_swapped_for_a_link_does_not_lead_outside() {
    for walk in [false, true] {
        let folders = Folders::new();
        folders.write("root/folder/secret.txt", "inside");
        folders.link("root/link", "../outside");
        let root = folders.open(RootOptions { walk, ..Default::default() });
        let (folder, link) = (folders.path("root/folder"), folders.path("root/link"));
        race(
            move || renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).unwrap(),
            || found_inside(&root, "/folder/secret.txt"),
        );
    }
}

#[test]
fn a_folder_moved_outside_does_not_lead_its_links_there() {
    for walk in [false, true] {
        let folders = Folders::new();
        folders.write("root/secret.txt", "inside");
        folders.link("root/folder/up", "../secret.txt");
        let root = folders.open(RootOptions { walk, ..Default::default() });
        let (here, there) = (folders.path("root/folder"), folders.path("outside/folder"));
        race(
            move || {
                std::fs::rename(&here, &there).unwrap();
                std::fs::rename(&there, &here).unwrap();
            },
            || found_inside(&root, "/folder/up"),
        );
    }
}

#[test]
fn a_file_swapped_for_a_fifo_does_not_make_us_wait() {
    in_time(|| {
        for walk in [false, true] {
            let folders = Folders::new();
            let (file, fifo) = (folders.path("root/hello.txt"), folders.path("root/fifo"));
            mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
            let root = folders.open(RootOptions { walk, ..Default::default() });
            let path = path(&root, "/hello.txt");
            race(
                move || renameat_with(CWD, &file, CWD, &fifo, RenameFlags::EXCHANGE).unwrap(),
                || match root.open_blocking(&path) {
                    Ok(Opened::File(file)) => content(&file) == "inside",
                    Err(OpenError::NotServable) => false,
                    result => panic!("{}", describe(&result)),
                },
            );
        }
    });
}

#[test]
fn a_single_file_is_found_whatever_its_name_or_link() {
    let folders = trapped();
    for walk in [false, true] {
        for name in ["hello.txt", ".env", "absolute-in", "out-and-back"] {
            let options = RootOptions { walk, ..Default::default() };
            let file = folders.path("root").join(name);
            let (root, path) = Root::open_file(&file, options).unwrap();
            match open(&root, &path) {
                Ok(Opened::File(file)) => assert_eq!(content(&file), "inside"),
                result => panic!("{name}: {}", describe(&result)),
            }
        }
    }
    let missing = Root::open_file(&folders.path("root/nope"), RootOptions::default());
    assert_eq!(missing.unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_root_is_a_folder_and_follows_its_rename() {
    let folders = Folders::new();
    let kind =
        |path: &str| Root::open(&folders.path(path), RootOptions::default()).unwrap_err().kind();
    assert_eq!(kind("nope"), std::io::ErrorKind::NotFound);
    assert_eq!(kind("root/hello.txt"), std::io::ErrorKind::NotADirectory);

    let root = folders.open(RootOptions::default());
    std::fs::rename(folders.path("root"), folders.path("moved")).unwrap();
    assert_eq!(content(&open_file(&root, "/hello.txt")), "inside");
}
