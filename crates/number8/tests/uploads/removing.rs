//! DELETE.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Shared, set};
use crate::files::open_below;

#[test]
pub(crate) fn u24_u25_files_and_folders_are_removed() {
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

/// A large file that was served is kept open: what is deleted or replaced gives back its place on the disk at once.
#[test]
fn f2_a_file_that_is_removed_or_replaced_is_not_kept_open() {
    let shared = Shared::new();
    let folder = shared.temp.path().canonicalize().unwrap().join("d");
    for (method, target, fields) in [
        ("DELETE", "/d/large", &[][..]),
        ("DELETE", "/d/?force=1", &[]),
        ("PUT", "/d/large", &[]),
        ("MOVE", "/other", &["Destination: /d/large"]),
    ] {
        shared.write("other", "");
        shared.write("d/large", &"a".repeat(100_000));
        let file = fs::File::options().write(true).open(shared.path("d/large")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        drop(file);
        assert_eq!(shared.send("GET", "/d/large", &[], b"").body.len(), 100_000);
        let answer = shared.send(method, target, fields, b"");
        assert_eq!(answer.status, 204, "{method} {target}: {answer:?}");
        assert_eq!(open_below(&folder), 0, "{method} {target}");
    }
}

/// Without scripts a browser has no DELETE.
#[test]
pub(crate) fn u24_a_form_removes_a_file_and_shows_the_listing() {
    let shared = Shared::new();
    for name in ["index.html", "a b", "b", "sub/x"] {
        shared.write(name, "");
    }
    let form = "Content-Type: application/x-www-form-urlencoded";
    // What `fetch` sends for URLSearchParams; and any way of writing the same.
    let with_charset = "Content-Type: application/x-www-form-urlencoded;charset=UTF-8";
    let spelled = "Content-Type: Application/X-WWW-Form-Urlencoded ; charset=UTF-8";
    let page = shared.send("GET", "/?list", &[], b"");
    let html = String::from_utf8_lossy(&page.body).into_owned();
    // No page of another site shows these buttons under something else.
    assert_eq!(page.field("Content-Security-Policy"), Some("frame-ancestors 'self'"));
    for part in [
        "<form method=\"post\" action=\"a%20b?delete\">",
        "<form method=\"post\" action=\"sub/?delete\">",
        "<form method=\"post\" enctype=\"multipart/form-data\" action=\"./?list\">",
        "<a href=\"sub/?list\">",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let html = "Accept: text/html";
    for (target, fields, status, location) in [
        ("/a%20b?delete", &[form, html][..], 303, Some("./?list")),
        ("/a%20b?delete", &[form, html], 404, None),
        ("/sub/?delete", &[form, html], 409, None),
        ("/b?delete", &[with_charset], 204, None),
        ("/b?delete", &[spelled], 404, None),
        ("/sub/x?delete", &[form], 204, None),
        ("/sub/?delete", &[form, html], 303, Some("../?list")),
        // Content that is named so is content.
        ("/y?delete", &["Content-Type: text/plain"], 201, Some("/y")),
        ("/z?delete", &["Content-Type: application/x-www-form-urlencodedx"], 201, Some("/z")),
        // Nor is it a form of parts if its type only begins like that.
        ("/form", &["Content-Type: multipart/form-datax; boundary=b"], 201, Some("/form")),
    ] {
        let answer = shared.send("POST", target, fields, b"");
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert_eq!(answer.field("Location"), location, "{target}");
    }
    assert_eq!(shared.names(), set(&["form", "index.html", "y", "z"]));
}
