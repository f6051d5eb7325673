//! Who may do what: the rights of the rules are verbs, and each request needs its own.

use std::fs;
use std::sync::{Arc, Mutex};

use number8::access::{Access, FileAcl, Rights, Rule};
use number8::{App, ByMethod, Consulted, Files, Uploads};

use super::send;
use crate::files::serve_app;

#[test]
pub(crate) fn wish_1_each_change_needs_its_own_right() {
    let away = Rights::MOVE | Rights::DELETE;
    let requests: &[(&str, &str, &str, Rights)] = &[
        ("PUT", "/new", "", Rights::CREATE),
        ("PUT", "/a/b/new", "", Rights::CREATE),
        ("PUT", "/file", "", Rights::OVERWRITE),
        ("POST", "/folder/", "", Rights::CREATE),
        ("DELETE", "/file", "", Rights::DELETE),
        ("DELETE", "/full/?force=1", "", Rights::DELETE),
        ("MOVE", "/file", "/moved", away | Rights::CREATE),
        ("MOVE", "/file", "/other", away | Rights::OVERWRITE),
        ("COPY", "/file", "/copied", Rights::READ | Rights::CREATE),
        ("COPY", "/file", "/other", Rights::READ | Rights::OVERWRITE),
        ("MKCOL", "/folder", "", Rights::CREATE),
    ];
    let all = [Rights::READ, Rights::CREATE, Rights::OVERWRITE, Rights::DELETE, Rights::MOVE];
    for (method, target, destination, needed) in requests {
        for granted in 0..1 << all.len() {
            let rights = (0..all.len())
                .filter(|bit| granted & (1 << bit) != 0)
                .fold(Rights::LIST, |rights, bit| rights | all[bit]);
            let temp = tempfile::tempdir().unwrap();
            fs::create_dir(temp.path().join("full")).unwrap();
            for name in ["file", "other", "full/x"] {
                fs::write(temp.path().join(name), name).unwrap();
            }
            let access = Access::new([Rule::everyone("/", rights).unwrap()]);
            let uploads = Uploads::new(temp.path()).unwrap().sync(false).keep_free(0);
            let server = serve_app(App::new().access(access).mount("/", uploads));
            let field = format!("Destination: {destination}");
            let answer = send(&server, method, target, &[&field], b"");
            let want = if rights.contains(*needed) { 2 } else { 4 };
            assert_eq!(answer.status / 100, want, "{method} {target} with {rights}: {answer:?}");
            if want == 4 {
                assert_eq!(answer.status, 403);
                assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"file");
                assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 3);
            }
        }
    }
}

#[test]
pub(crate) fn wish_2_who_could_log_in_is_asked_to() {
    let temp = tempfile::tempdir().unwrap();
    let access = Access::new([
        Rule::everyone("/", Rights::RO).unwrap(),
        Rule::user("joe", "/", Rights::UP).unwrap(),
    ]);
    let uploads = Uploads::new(temp.path()).unwrap();
    let server = serve_app(App::new().access(access).mount("/", uploads));
    let answer = send(&server, "PUT", "/new", &[], b"x");
    assert_eq!(answer.status, 401);
    assert!(answer.field("WWW-Authenticate").is_some());
}

/// A rule below refuses the whole, and no spelling of a path gets around it.
#[test]
pub(crate) fn design_7_a_rule_below_refuses_the_whole() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir_all(temp.path().join("in/private")).unwrap();
    fs::write(temp.path().join("in/private/x"), "x").unwrap();
    fs::write(temp.path().join("in/y"), "y").unwrap();
    let access = Access::new([
        Rule::everyone("/", Rights::RW).unwrap(),
        Rule::everyone("/s/in/private", Rights::RO).unwrap(),
    ]);
    let uploads = Uploads::new(temp.path()).unwrap();
    let server = serve_app(App::new().access(access).mount("/s", uploads));
    for (method, target, destination) in [
        ("PUT", "/s/in/private/z", ""),
        ("PUT", "/s/in//private/z", ""),
        ("PUT", "/s//in/%70rivate/z", ""),
        ("POST", "/s/in/private/folder/", ""),
        ("DELETE", "/s/in/private/x", ""),
        ("DELETE", "/s/in/?force=1", ""),
        ("DELETE", "/s/in/private/?force=1", ""),
        ("MOVE", "/s/in/", "/s/out"),
        ("MOVE", "/s/in/private/x", "/s/x"),
        ("MOVE", "/s/in/y", "/s/in/private/y"),
        ("MOVE", "/s/in/y", "/s/in//%70rivate/y"),
        ("COPY", "/s/in/y", "/s/in//%70rivate/y"),
    ] {
        let field = format!("Destination: {destination}");
        let answer = send(&server, method, target, &[&field], b"z");
        assert_eq!(answer.status, 403, "{method} {target} {destination}: {answer:?}");
    }
    assert_eq!(fs::read_dir(temp.path().join("in/private")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(temp.path().join("in")).unwrap().count(), 2);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}

#[cfg(feature = "multipart")]
#[test]
pub(crate) fn design_7_the_files_of_a_form_need_rights_by_their_own_names() {
    let temp = tempfile::tempdir().unwrap();
    let access = Access::new([
        Rule::everyone("/", Rights::UP).unwrap(),
        Rule::everyone("/secret.txt", Rights::NONE).unwrap(),
    ]);
    let uploads = Uploads::new(temp.path()).unwrap();
    let server = serve_app(App::new().access(access).mount("/", uploads));
    for (name, status) in [("open.txt", 201), ("open.txt", 403), ("secret.txt", 403)] {
        let form = format!(
            "--XX\r\nContent-Disposition: form-data; name=f; filename=\"{name}\"\r\n\r\nx\r\n--XX--\r\n"
        );
        let content_type = "Content-Type: multipart/form-data; boundary=XX";
        let answer = send(&server, "POST", "/", &[content_type], form.as_bytes());
        assert_eq!(answer.status, status, "{name}: {answer:?}");
    }
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}

/// Row U31 for functions that have to wait.
/// However often it is asked for: the first time the disk is looked at, later what is kept.
#[test]
pub(crate) fn u31_a_page_that_stands_in_for_a_path_is_decided_by_its_own_name() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["open.html", "secret.html", "app.html"] {
        fs::write(temp.path().join(name), name).unwrap();
    }
    let files = Files::new(temp.path()).unwrap().single_page("app.html");
    let files =
        Consulted::new(files, async |path: Vec<u8>| match path.ends_with(b"/secret.html") {
            true => FileAcl::Refuse(451),
            false => FileAcl::ReadOnly,
        });
    let server = serve_app(App::new().access(Access::new([])).mount("/files", files));
    for _ in 0..3 {
        for (path, status, content) in [
            ("/files/secret", 451, ""),
            ("/files/secret.html", 451, ""),
            ("/files/open", 200, "open.html"),
            ("/files/nothing", 200, "app.html"),
        ] {
            let answer = server.get(path);
            assert_eq!(answer.status, status, "{path}");
            assert!(content.is_empty() || answer.text() == content, "{path}: {}", answer.text());
        }
    }
}

#[test]
pub(crate) fn u31_a_function_that_waits_is_asked_about_each_path() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("old.txt"), "old").unwrap();
    fs::write(temp.path().join("secret.key"), "key").unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let uploads = Uploads::new(temp.path()).unwrap().sync(false).keep_free(0);
    let both = ByMethod::new().with(Files::new(temp.path()).unwrap().index([])).with(uploads);
    let both = Consulted::new(both, move |path: Vec<u8>| {
        let path = String::from_utf8(path).unwrap();
        log.lock().unwrap().push(path.clone());
        async move {
            tokio::task::yield_now().await;
            match path.as_str() {
                "/files/ro.txt" | "/files/" => FileAcl::ReadOnly,
                "/files/secret.key" => FileAcl::Refuse(451),
                _ => FileAcl::ReadWrite,
            }
        }
    });
    // What the rules say does not count.
    let server = serve_app(App::new().access(Access::new([])).mount("/files", both));
    let cases = [
        ("GET", "/files/old.txt", "", 200, vec!["/files/old.txt"]),
        ("GET", "/files/", "", 200, vec!["/files/"]),
        ("GET", "/files/secret.key", "", 451, vec!["/files/secret.key"]),
        ("PUT", "/files/ro.txt", "new", 403, vec!["/files/ro.txt"]),
        ("PUT", "/files/a/new.txt", "new", 201, vec!["/files/a/new.txt"]),
        ("POST", "/files/b/", "", 201, vec!["/files/b/"]),
        ("DELETE", "/files/b/", "", 204, vec!["/files/b/"]),
        ("DELETE", "/files/secret.key", "", 451, vec!["/files/secret.key"]),
        ("GET", "/files/%2e%2e/x", "", 400, vec!["/files/../x"]),
        ("OPTIONS", "/files/old.txt", "", 204, vec![]),
    ];
    for (method, target, content, status, paths) in cases {
        asked.lock().unwrap().clear();
        let answer = send(&server, method, target, &[], content.as_bytes());
        assert_eq!(answer.status, status, "{method} {target}");
        assert_eq!(*asked.lock().unwrap(), paths, "{method} {target}");
    }
    assert_eq!(fs::read_to_string(temp.path().join("a/new.txt")).unwrap(), "new");
    let listing = server.get("/files/?json");
    assert!(listing.text().contains("secret.key"), "names may be seen: {}", listing.text());
    // A move is about two places.
    for (to, status) in [("/files/secret.key", 451), ("/files/moved.txt", 201)] {
        let answer = send(&server, "MOVE", "/files/old.txt", &[&format!("Destination: {to}")], b"");
        assert_eq!(answer.status, status, "{to}");
    }
}

/// A sibling is sent in place of its file: who may add files and replace none changes no file so.
#[test]
pub(crate) fn a3_f6_a_sibling_is_not_sent_where_somebody_may_write_it_who_may_not_replace_the_file()
{
    let everyone = |path, rights| Rule::everyone(path, rights).unwrap();
    let joe = |path, rights| Rule::user("joe", path, rights).unwrap();
    for (rules, is_sent) in [
        (vec![everyone("/s", Rights::RO)], true),
        (vec![everyone("/s", Rights::RW)], true),
        (vec![everyone("/s", Rights::RO), joe("/s", Rights::RW)], true),
        (vec![everyone("/", Rights::UP)], false),
        (vec![everyone("/s", Rights::UP)], false),
        (vec![everyone("/s", Rights::RO), joe("/s", Rights::UP)], false),
        (vec![everyone("/s", Rights::RW), everyone("/s/a.js", Rights::RO)], false),
        (vec![everyone("/s", Rights::RO), joe("/s/a.js.gz", Rights::RW)], false),
    ] {
        let temp = tempfile::tempdir().unwrap();
        for name in ["a.js", "a.js.gz"] {
            fs::write(temp.path().join(name), name).unwrap();
        }
        let app = App::new().access(Access::new(rules.clone()));
        let server = serve_app(app.mount("/s", Files::new(temp.path()).unwrap()));
        for _ in 0..2 {
            let answer = send(&server, "GET", "/s/a.js", &["Accept-Encoding: gzip"], b"");
            let expected = if is_sent { "a.js.gz" } else { "a.js" };
            assert_eq!(answer.text(), expected, "{rules:?}");
            assert_eq!(send(&server, "GET", "/s/a.js.gz", &[], b"").text(), "a.js.gz");
        }
    }
}

/// Where a function decides about files, what it says of both does.
#[test]
pub(crate) fn a3_u31_a_function_says_whether_a_sibling_is_sent() {
    use FileAcl::{ReadOnly, ReadWrite, Refuse, WriteOnly};
    for (of_file, of_sibling, is_sent) in [
        (ReadOnly, ReadOnly, true),
        (ReadOnly, Refuse(404), true),
        (ReadWrite, ReadWrite, true),
        (ReadOnly, ReadWrite, false),
        (ReadOnly, WriteOnly, false),
    ] {
        let temp = tempfile::tempdir().unwrap();
        for name in ["a.js", "a.js.gz"] {
            fs::write(temp.path().join(name), name).unwrap();
        }
        let access = Access::default().file_acl(move |path| match path {
            b"/s/a.js" => of_file,
            b"/s/a.js.gz" => of_sibling,
            _ => Refuse(403),
        });
        let app = App::new().access(access);
        let server = serve_app(app.mount("/s", Files::new(temp.path()).unwrap()));
        for _ in 0..2 {
            let answer = send(&server, "GET", "/s/a.js", &["Accept-Encoding: gzip"], b"");
            let expected = if is_sent { "a.js.gz" } else { "a.js" };
            assert_eq!(answer.text(), expected, "{of_file:?} {of_sibling:?}");
        }
    }
}

/// It is so, too, for one that is added while its file is kept in memory.
#[test]
pub(crate) fn a3_f6_a_sibling_that_is_added_is_not_sent_in_place_of_its_file() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("a.js"), "plain").unwrap();
    let uploads = Uploads::new(temp.path()).unwrap().sync(false).keep_free(0);
    let files = Files::new(temp.path()).unwrap();
    let both = ByMethod::new().with(files).with(uploads);
    let access = Access::new([Rule::everyone("/", Rights::UP).unwrap()]);
    let server = serve_app(App::new().access(access).mount("/", both));
    let ask = || send(&server, "GET", "/a.js", &["Accept-Encoding: gzip"], b"");
    assert_eq!(ask().text(), "plain");
    assert_eq!(send(&server, "PUT", "/a.js", &[], b"another").status, 403);
    assert_eq!(send(&server, "PUT", "/a.js.gz", &[], b"another").status, 201);
    for _ in 0..3 {
        assert_eq!(ask().text(), "plain");
    }
}
