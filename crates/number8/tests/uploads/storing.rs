//! PUT and POST of content as it is, and folders that are made.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;

use number8::Uploads;
use number8::store::OnClash;

use super::{Shared, read, set};
use crate::files::noise;

#[test]
pub(crate) fn f9_u22_content_is_stored_as_it_is() {
    let shared = Shared::new();
    for method in ["PUT", "POST"] {
        let target = format!("/a/b/{method}%20%C3%A9.txt");
        let fields = ["Content-Type: application/x-www-form-urlencoded"];
        let answer = shared.send(method, &target, &fields, b"a=1&b=%20");
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.field("Location"), Some(target.as_str()));
        assert_eq!(shared.read(&format!("a/b/{method} é.txt")), "a=1&b=%20");
        let got = shared.server.get(&target);
        assert_eq!((got.status, got.text()), (200, "a=1&b=%20"));
        // The second time it is replaced.
        let answer = shared.send(method, &target, &[], b"");
        assert_eq!((answer.status, answer.field("Location")), (204, None));
        assert_eq!(shared.read(&format!("a/b/{method} é.txt")), "");
    }
}

#[test]
pub(crate) fn u22_content_can_be_stored_as_it_is_whatever_it_is() {
    let shared = Shared::with(Uploads::verbatim);
    shared.write("old.txt", "old");
    for (target, kind) in [
        ("/form", "multipart/form-data; boundary=b"),
        ("/old.txt?delete", "application/x-www-form-urlencoded"),
    ] {
        let content =
            b"--b\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nc\r\n--b--\r\n";
        let answer = shared.send("POST", target, &[&format!("Content-Type: {kind}")], content);
        assert_eq!(answer.status / 100, 2, "{target}: {answer:?}");
        let name = target[1..].split('?').next().unwrap();
        assert_eq!(fs::read(shared.path(name)).unwrap(), content);
    }
    assert_eq!(shared.names(), set(&["form", "old.txt"]));
}

#[test]
pub(crate) fn f9_content_of_any_length_arrives_whole() {
    let shared = Shared::new();
    for length in [0, 1, 65_535, 262_144, 262_145, 5_000_000] {
        let content = noise(length);
        assert_eq!(shared.send("PUT", "/file", &[], &content).status / 100, 2);
        assert!(fs::read(shared.path("file")).unwrap() == content, "{length} bytes");
        assert_eq!(shared.put_in_chunks("/chunked", &content).status / 100, 2);
        assert!(fs::read(shared.path("chunked")).unwrap() == content, "{length} bytes in chunks");
    }
    assert_eq!(shared.names(), set(&["file", "chunked"]));
}

#[test]
pub(crate) fn u23_a_path_with_a_slash_at_its_end_makes_a_folder() {
    let shared = Shared::new();
    let answer = shared.send("POST", "/new/folder/", &[], b"");
    assert_eq!((answer.status, answer.field("Location")), (201, Some("/new/folder/")));
    assert!(shared.path("new/folder").is_dir());
    // The body is ignored.
    assert_eq!(shared.send("POST", "/other/", &[], b"not transmitted, please").status, 201);
    shared.write("file", "");
    for target in ["/new/folder/", "/file/", "/"] {
        assert_eq!(shared.send("POST", target, &[], b"").status, 409, "{target}");
    }
    assert_eq!(shared.names(), set(&["new", "new/folder", "other", "file"]));
}

#[test]
pub(crate) fn f9_what_cannot_be_stored_is_refused() {
    let shared = Shared::with(|uploads| uploads.max_bytes(10));
    let outside = tempfile::tempdir().unwrap();
    shared.write("file", "content");
    fs::create_dir(shared.path("folder")).unwrap();
    symlink(outside.path(), shared.path("out")).unwrap();
    symlink("file", shared.path("link")).unwrap();
    let before = shared.names();
    for (target, fields, status) in [
        ("/folder", &[][..], 409),
        ("/folder/", &[], 409),
        ("/new/", &[], 409),
        ("/", &[], 409),
        ("/file/below", &[], 409),
        ("/link", &[], 409),
        // Security faults of peers: uploads through a linked folder.
        ("/out/x", &[], 403),
        ("/.hidden", &[], 403),
        ("/.hidden/x", &[], 403),
        // Whoever answers a challenge there gets a certificate for our name.
        ("/.well-known/acme-challenge/token", &[], 403),
        ("/.well-known", &[], 403),
        ("/.number8-upload-0123456789abcdef", &[], 403),
        ("/../x", &[], 400),
        ("/%2e%2e/x", &[], 400),
        ("/a%00b", &[], 400),
        // Security faults of peers: a path with a line end.
        ("/a%0ab", &[], 400),
        ("/a%5cb", &[], 400),
        ("/100%", &[], 400),
        ("/part", &["Content-Range: bytes 0-1/10"], 400),
        ("/coded", &["Content-Encoding: gzip"], 415),
        ("/large", &["Content-Length: 11"], 413),
        // In 32 bits it would be 5.
        ("/large", &["Content-Length: 4294967301"], 413),
    ] {
        let mut fields = fields.to_vec();
        if status != 413 {
            fields.push("Content-Length: 2");
        }
        let mut stream = shared.server.send("PUT", target, &fields);
        let _ = stream.write_all(b"xx");
        let answer = read(&mut stream);
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
    }
    // Where the length is not told, it shows.
    let mut stream = shared.server.send("PUT", "/large", &["Transfer-Encoding: chunked"]);
    stream.write_all(b"6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n").unwrap();
    assert_eq!(read(&mut stream).status, 413);
    assert_eq!(shared.send("PUT", "/just", &[], b"0123456789").status, 201);
    fs::remove_file(shared.path("just")).unwrap();
    assert_eq!(shared.names(), before);
    assert_eq!(shared.read("file"), "content");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn f9_what_is_refused_is_refused_before_it_is_sent() {
    let shared = Shared::with(|uploads| uploads.max_bytes(10).on_clash(OnClash::Refuse));
    shared.write("there", "");
    for (target, fields, status) in [
        ("/large", &["Content-Length: 11"][..], 413),
        ("/there", &["Content-Length: 5"], 409),
        ("/there/x", &["Content-Length: 5"], 409),
        ("/x", &["Content-Length: 5", "If-Match: *"], 412),
    ] {
        let fields = [fields, &["Expect: 100-continue"]].concat();
        let answer = read(&mut shared.server.send("PUT", target, &fields));
        assert_eq!(answer.status, status, "{target}");
    }
    let fields = ["Content-Length: 5", "Expect: 100-continue"];
    let mut stream = shared.server.send("PUT", "/x", &fields);
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").unwrap();
    assert_eq!(read(&mut stream).status, 201);
    assert_eq!(shared.read("x"), "hello");
}

#[test]
pub(crate) fn f9_a_taken_name_goes_by_the_policy() {
    for (on_clash, status, names) in [
        (OnClash::Refuse, 409, &["a.txt"][..]),
        (OnClash::Replace, 204, &["a.txt"]),
        (OnClash::KeepBoth, 201, &["a.txt", "a (2).txt"]),
    ] {
        let shared = Shared::with(|uploads| uploads.on_clash(on_clash));
        assert_eq!(shared.put("/a.txt", "old").status, 201);
        let answer = shared.put("/a.txt", "new");
        assert_eq!(answer.status, status, "{on_clash:?}");
        assert_eq!(shared.names(), set(names));
        let want = if on_clash == OnClash::Replace { "new" } else { "old" };
        assert_eq!(shared.read("a.txt"), want);
        if on_clash == OnClash::KeepBoth {
            assert_eq!(answer.field("Location"), Some("/a%20(2).txt"));
            assert_eq!(shared.read("a (2).txt"), "new");
        }
    }
}

#[test]
pub(crate) fn f9_what_we_write_shows_at_once() {
    let shared = Shared::new();
    shared.write("page.txt", "old");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let file = fs::File::options().write(true).open(shared.path("page.txt")).unwrap();
    file.set_modified(long_ago).unwrap();
    for round in 0..20 {
        // The file is kept by whoever serves it, and would be believed for a second.
        let old = shared.server.get("/page.txt");
        assert_eq!(shared.server.get("/page.txt").text(), old.text());
        let content = format!("round {round}");
        assert_eq!(shared.put("/page.txt", &content).status, 204);
        let file = fs::File::options().write(true).open(shared.path("page.txt")).unwrap();
        file.set_modified(long_ago + std::time::Duration::from_secs(round)).unwrap();
        assert_eq!(shared.server.get("/page.txt").text(), content);
    }
    assert_eq!(shared.send("DELETE", "/page.txt", &[], b"").status, 204);
    assert_eq!(shared.server.get("/page.txt").status, 404);
}

#[test]
pub(crate) fn u11_other_methods_are_told_what_would_do() {
    let shared = Shared::new();
    let all = "GET, HEAD, OPTIONS, PUT, POST, DELETE, MOVE, COPY, MKCOL";
    for (method, status) in [("PATCH", 405), ("FOO", 405), ("OPTIONS", 204)] {
        let answer = shared.send(method, "/x", &[], b"");
        assert_eq!((answer.status, answer.field("Allow")), (status, Some(all)), "{method}");
    }
}

#[test]
pub(crate) fn f18_a_disk_that_is_full_is_507() {
    let shared = Shared::with(|uploads| uploads.keep_free(u64::MAX));
    let mut stream =
        shared.server.send("PUT", "/x", &["Content-Length: 5", "Expect: 100-continue"]);
    assert_eq!(read(&mut stream).status, 507);
    assert_eq!(shared.names(), set(&[]));
}
