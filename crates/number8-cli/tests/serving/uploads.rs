//! The command as it takes files.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use rustix::process::Signal;

use super::{Served, sandbox, until};

/// A request with content, the last one on its connection.
fn ask(served: &Served, request: &str, content: &str) -> String {
    let length = content.len();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    served.connect().send(&head).send(content).rest()
}

fn status(served: &Served, request: &str, content: &str) -> u16 {
    ask(served, request, content)[9..12].parse().unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder.join("site")).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn f9_rights_say_what_everyone_may_do() {
    let folder = sandbox();
    for (arguments, says, statuses) in [
        (&[][..], "read only", [405, 405, 405]),
        (&["--allow", "up"], "everyone may list, read, create", [201, 403, 403]),
        (&["--allow", "wo"], "everyone may create", [201, 403, 403]),
        (&["--allow", "read,create,overwrite"], "read, create, overwrite", [201, 204, 403]),
        (&["-A"], "everyone may list, read, create, overwrite, delete, move", [201, 204, 204]),
        (&["--allow", "none"], "everyone may do nothing", [405, 405, 405]),
    ] {
        let served = Served::start(folder.path(), arguments);
        served.message(says);
        let got = ["PUT /new.txt", "PUT /new.txt", "DELETE /new.txt"]
            .map(|request| status(&served, request, "x"));
        assert_eq!(got, statuses, "{arguments:?}");
        let _ = fs::remove_file(folder.path().join("site/new.txt"));
    }
}

#[test]
fn f9_options_of_uploads_have_an_effect() {
    let folder = sandbox();
    for (arguments, request, content, want) in [
        (&["--max-upload", "3"][..], "PUT /a", "1234", 413),
        (&["--max-upload", "4"], "PUT /a", "1234", 201),
        (&["--overwrite", "error"], "PUT /index.html", "x", 409),
        (&["--overwrite", "rename"], "PUT /index.html", "x", 201),
        (&["--overwrite", "replace"], "PUT /index.html", "x", 204),
        (&["--keep-free", "1000000G"], "PUT /b", "x", 507),
        (&["--no-fsync"], "PUT /c", "x", 201),
        // Uploads have a limit of their own.
        (&["--max-body", "3"], "PUT /d", "1234", 201),
    ] {
        let served = Served::start(folder.path(), &[&["-A"], arguments].concat());
        assert_eq!(status(&served, request, content), want, "{arguments:?}");
    }
    assert!(names(folder.path()).contains("index (2).html"));
    // A single file takes none, and other mounts do.
    let served = Served::start(folder.path(), &["-A", "--mount", "/one=404.html"]);
    assert_eq!(status(&served, "PUT /one", "x"), 405);
}

/// A browser has a form for it, where who asks may write.
#[test]
fn listings_have_a_form_for_those_who_may_write() {
    let folder = sandbox();
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"new.txt\"\r\n\r\nnew\r\n--b--\r\n";
    for (arguments, adds, removes) in [
        (&["--allow", "up"][..], true, false),
        (&["-A"], true, true),
        (&[], false, false),
        (&["-a", "joe:pw@/:rw", "-a", "@/:ro"], false, false),
    ] {
        let served = Served::start(folder.path(), arguments);
        let list = served.get("/?list");
        assert_eq!(list.contains("type=\"file\""), adds, "{arguments:?}: {list}");
        assert_eq!(list.contains("?delete"), removes, "{arguments:?}: {list}");
        if adds {
            let length = form.len();
            let answer = served.connect().send(&format!(
                "POST /?list HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: http://localhost\r\nAccept: text/html\r\n\
                 Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n{form}"
            )).rest();
            assert!(answer.contains("Location: /?list\r\n"), "{arguments:?}: {answer}");
            assert!(names(folder.path()).contains("new.txt"), "{arguments:?}");
        }
    }
}

#[test]
fn design_7_a_server_that_everyone_may_write_to_is_reached_from_this_machine_only() {
    let folder = sandbox();
    let run = |arguments: &[&str]| {
        let mut command = crate::number8(folder.path());
        command.args(["site", "-p", "0"]).args(arguments);
        command
    };
    let served = Served::run(run(&["-A"]));
    served.message("http://127.0.0.1:");
    assert!(!served.messages().iter().any(|line| line.contains("network")));
    served.message("for this machine alone, since everyone may write: ");
    let asked_for = Served::run(run(&["-A", "-b", "127.0.0.1"]));
    asked_for.message("http://127.0.0.1:");
    assert!(!asked_for.messages().iter().any(|line| line.contains("--insecure")));

    for bind in ["0.0.0.0", "[::]", ":0"] {
        let output = run(&["--allow", "up", "-b", bind]).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{bind}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            text.contains("could do more there than read") && text.contains("--insecure"),
            "{text}"
        );
    }
    let mut served = Served::run(run(&["-A", "-b", "0.0.0.0", "--insecure"]));
    served.message("http://127.0.0.1:");
    served.signal(Signal::TERM);
    assert!(served.ended().success());
    drop(Served::run(run(&["-A", "-b", "unix:n8.sock"])));
}

/// A temporary file has no name, or one of ours.
fn holds_a_temporary_file(served: &Served) -> bool {
    let files = fs::read_dir(format!("/proc/{}/fd", served.child.id())).unwrap();
    files.flatten().filter_map(|file| fs::read_link(file.path()).ok()).any(|path| {
        let path = path.to_string_lossy().into_owned();
        path.contains("/site/") && (path.ends_with(" (deleted)") || path.contains("/.number8-"))
    })
}

#[test]
fn design_6_a_killed_server_leaves_the_old_file_and_no_litter() {
    let folder = sandbox();
    let before = names(folder.path());
    for target in ["/index.html", "/new.bin"] {
        let mut served = Served::start(folder.path(), &["-A"]);
        let mut client = served.connect();
        client.send(&format!(
            "PUT {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n"
        ));
        client.0.write_all(&vec![b'x'; 3_000_000]).unwrap();
        until("it is being written", || holds_a_temporary_file(&served));
        served.signal(Signal::KILL);
        served.ended();
        assert_eq!(names(folder.path()), before, "{target}");

        let served = Served::start(folder.path(), &["-A"]);
        assert!(served.get("/index.html").ends_with("hello"), "{target}");
        assert!(served.get("/new.bin").starts_with("HTTP/1.1 404"), "{target}");
    }
}

#[test]
fn design_6_what_an_older_run_has_left_is_swept_at_the_start() {
    let folder = sandbox();
    let before = names(folder.path());
    let litter = folder.path().join("site/plain/.number8-upload-0123456789abcdef");
    fs::write(&litter, "half of something").unwrap();
    drop(Served::start(folder.path(), &[]));
    assert!(litter.exists(), "a server that takes nothing removes nothing");
    let served = Served::start(folder.path(), &["-A", "--hidden"]);
    served.message("1 unfinished uploads of a killed run are removed");
    assert!(!litter.exists());
    assert_eq!(names(folder.path()), before);
}

#[test]
fn line_7_a_large_upload_takes_little_memory() {
    const BYTES: usize = 300 << 20;
    let folder = sandbox();
    let served = Served::start(folder.path(), &["-A", "--io-threads", "1"]);
    let mut client = served.connect();
    client.send(&format!(
        "PUT /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {BYTES}\r\n\r\n"
    ));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..BYTES / piece.len() {
        client.0.write_all(&piece).unwrap();
    }
    assert!(client.rest().starts_with("HTTP/1.1 201"));
    let status = fs::read_to_string(format!("/proc/{}/status", served.pid().as_raw_pid())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let peak_kib: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak_kib < 24 << 10, "{peak}");
    assert_eq!(fs::metadata(folder.path().join("site/large")).unwrap().len(), BYTES as u64);
}
