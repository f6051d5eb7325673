//! COPY and MKCOL (RFC 4918).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use number8::Uploads;
use number8::access::{Access, Rights, Rule};
use number8::store::OnClash;

use super::{Shared, open_to, read, send, set};
use crate::files::{noise, serve_app};

#[test]
pub(crate) fn f10_a_file_is_copied() {
    let shared = Shared::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x"), "x").unwrap();
    shared.write("a", "a");
    shared.write("b", "b");
    shared.write("empty", "");
    fs::create_dir(shared.path("folder")).unwrap();
    symlink("a", shared.path("link")).unwrap();
    symlink(outside.path(), shared.path("out")).unwrap();
    for (from, fields, status, location) in [
        ("/a", &["Destination: /new/c%20d"][..], 201, Some("/new/c%20d")),
        ("/new/c%20d", &["X-Destination: /e"], 201, Some("/e")),
        ("/empty", &["Destination: /nothing"], 201, Some("/nothing")),
        // What is copied of a link is what readers find there.
        ("/link", &["Destination: http://A/f"], 201, Some("/f")),
        ("/a", &["Destination: http://other/g"], 502, None),
        ("/a", &["Destination: /../g"], 400, None),
        ("/a", &["Destination: /.g"], 403, None),
        ("/a", &[], 400, None),
        ("/a", &["Destination: /a"], 403, None),
        ("/a", &["Destination: /a/g"], 409, None),
        ("/a", &["Destination: /folder"], 409, None),
        ("/a", &["Destination: /link"], 409, None),
        ("/a", &["Destination: /out/g"], 403, None),
        ("/out/x", &["Destination: /g"], 403, None),
        ("/missing", &["Destination: /g"], 404, None),
        ("/folder", &["Destination: /g"], 403, None),
        ("/folder/", &["Destination: /g/"], 403, None),
        ("/a/", &["Destination: /g"], 403, None),
        ("/a", &["Destination: /b", "Overwrite: F"], 412, None),
        ("/a", &["Destination: /b", "Overwrite: maybe"], 400, None),
        ("/a", &["Destination: /g", "If-Match: \"other\""], 412, None),
        ("/a", &["Destination: /b", "Overwrite: T"], 204, None),
    ] {
        let answer = shared.send("COPY", from, fields, b"");
        assert_eq!(answer.status, status, "{from} {fields:?}: {answer:?}");
        assert_eq!(answer.field("Location"), location, "{from} {fields:?}");
    }
    for name in ["a", "b", "new/c d", "e", "f"] {
        assert_eq!(shared.read(name), "a", "{name}");
    }
    assert_eq!(shared.read("nothing"), "");
    let there = ["a", "b", "e", "empty", "f", "folder", "link", "new", "new/c d", "nothing", "out"];
    assert_eq!(shared.names(), set(&there));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn f10_a_large_file_is_copied_whole() {
    for sync in [true, false] {
        let shared = Shared::with(|uploads| uploads.sync(sync));
        let content = noise((40 << 20) + 5);
        fs::write(shared.path("a"), &content).unwrap();
        let answer = shared.send("COPY", "/a", &["Destination: /b"], b"");
        assert_eq!(answer.status, 201);
        assert!(fs::read(shared.path("b")).unwrap() == content, "sync: {sync}");
        // The copy is from now: a file of its own, with a tag of its own.
        assert_ne!(answer.etag(), shared.server.get_with("/a", &["Range: bytes=0-0"]).etag());
    }
}

#[test]
pub(crate) fn f10_a_taken_name_goes_by_the_policy() {
    for (on_clash, status, names) in [
        (OnClash::Refuse, 409, &["a", "b"][..]),
        (OnClash::Replace, 204, &["a", "b"]),
        (OnClash::KeepBoth, 201, &["a", "b", "b (2)"]),
    ] {
        let shared = Shared::with(|uploads| uploads.on_clash(on_clash));
        shared.write("a", "a");
        shared.write("b", "b");
        let answer = shared.send("COPY", "/a", &["Destination: /b"], b"");
        assert_eq!((answer.status, shared.names()), (status, set(names)), "{on_clash:?}");
    }
}

/// SECURITY: who shares the machine reads no more of a copy than of the file.
#[test]
fn f10_a_copy_is_as_private_as_the_file() {
    let shared = Shared::new();
    shared.write("b", "");
    let new = fs::metadata(shared.path("b")).unwrap().mode() & 0o777;
    for (mode, want) in [(0o600, 0o600), (0o640, new & 0o640), (0o777, new | (new & 0o444) >> 2)] {
        shared.write("a", "a");
        fs::set_permissions(shared.path("a"), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(shared.send("COPY", "/a", &["Destination: /c"], b"").status, 201);
        let copied = fs::metadata(shared.path("c")).unwrap().mode() & 0o7777;
        assert_eq!(copied, want, "{copied:o} of {mode:o}");
        fs::remove_file(shared.path("c")).unwrap();
    }
}

#[test]
fn f10_a_copy_is_no_larger_than_an_upload_may_be() {
    let shared = Shared::with(|uploads| uploads.max_bytes(4));
    for (content, status) in [("1234", 201), ("12345", 413)] {
        shared.write("a", content);
        assert_eq!(shared.send("COPY", "/a", &["Destination: /b"], b"").status, status);
    }
    assert_eq!(shared.read("b"), "1234");
}

#[test]
fn f10_f18_a_copy_leaves_room_on_the_disk() {
    let shared = Shared::with(|uploads| uploads.keep_free(u64::MAX));
    shared.write("a", "a");
    assert_eq!(shared.send("COPY", "/a", &["Destination: /b"], b"").status, 507);
    assert_eq!(shared.send("MKCOL", "/folder", &[], b"").status, 201, "a folder takes no room");
    assert_eq!(shared.names(), set(&["a", "folder"]));
}

#[test]
pub(crate) fn f10_mkcol_makes_a_folder_in_one_that_is_there() {
    let shared = Shared::new();
    shared.write("file", "");
    for (target, fields, status, location) in [
        ("/a", &[][..], 201, Some("/a/")),
        ("/a/b/", &[], 201, Some("/a/b/")),
        ("/a", &[], 405, None),
        ("/a/", &[], 405, None),
        ("/file", &[], 405, None),
        ("/", &[], 405, None),
        ("/no/c", &[], 409, None),
        ("/file/c", &[], 409, None),
        ("/.c", &[], 403, None),
        ("/..%2fc", &[], 400, None),
    ] {
        let answer = shared.send("MKCOL", target, fields, b"");
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert_eq!(answer.field("Location"), location, "{target}");
        assert_eq!(answer.field("Allow").is_some(), status == 405, "{target}");
    }
    assert_eq!(shared.send("MKCOL", "/c", &[], b"<mkcol/>").status, 415);
    assert_eq!(shared.names(), set(&["a", "a/b", "file"]));
}

/// Readers see both folders of an overlay as one: a file may be copied from one to the other.
#[test]
fn f10_u19_a_copy_goes_to_where_new_files_go() {
    let (internal, external) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(internal.path().join("a"), "a").unwrap();
    fs::create_dir(internal.path().join("folder")).unwrap();
    let uploads = Uploads::new(internal.path()).unwrap().sync(false).keep_free(0);
    let app = open_to(Rights::RW).mount("/", uploads.external(external.path(), false));
    let server = serve_app(app);
    for to in ["/b", "/a2", "/folder/c"] {
        let field = format!("Destination: {to}");
        assert_eq!(send(&server, "COPY", "/a", &[&field], b"").status, 201, "{to}");
        assert_eq!(fs::read(external.path().join(&to[1..])).unwrap(), b"a");
    }
    assert_eq!(send(&server, "MKCOL", "/folder/d", &[], b"").status, 201);
    assert_eq!(send(&server, "MKCOL", "/folder", &[], b"").status, 405);
    assert_eq!(fs::read_dir(internal.path()).unwrap().count(), 2);
}

/// Who may add files and not read them makes no file readable by a copy.
#[test]
fn f10_who_may_not_read_a_file_may_not_copy_it() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("private")).unwrap();
    fs::write(temp.path().join("private/a"), "a").unwrap();
    let rules = [("/", Rights::RW), ("/private", Rights::WO)];
    let access = Access::new(rules.map(|(path, rights)| Rule::everyone(path, rights).unwrap()));
    let uploads = Uploads::new(temp.path()).unwrap().sync(false).keep_free(0);
    let server = serve_app(number8::App::new().access(access).mount("/", uploads));
    for from in ["/private/a", "/private//a", "/%70rivate/a", "/private/./a"] {
        let answer = read(&mut server.send("COPY", from, &["Destination: /b"]));
        assert!(matches!(answer.status, 400 | 403), "{from}: {answer:?}");
    }
    assert!(!temp.path().join("b").exists());
}
