//! Preconditions: what was seen is what is changed.

use std::fs;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use number8::access::Rights;
use number8::store::OnClash;

use super::{Shared, read, set};

#[test]
pub(crate) fn f9_preconditions_decide() {
    let shared = Shared::new();
    let tag = shared.put("/file", "one").etag().to_owned();
    let match_it = format!("If-Match: {tag}");
    let not_it = format!("If-None-Match: {tag}");
    for (method, target, field, status) in [
        ("PUT", "/file", "If-None-Match: *", 412),
        ("PUT", "/new", "If-None-Match: *", 201),
        ("PUT", "/absent", "If-Match: *", 412),
        ("PUT", "/file", "If-Match: \"other\"", 412),
        ("PUT", "/file", "If-Match: W/\"weak\"", 412),
        ("PUT", "/file", &not_it, 412),
        ("PUT", "/file", "If-Unmodified-Since: Tue, 02 Jan 2024 03:04:05 GMT", 412),
        ("PUT", "/absent", "If-Unmodified-Since: Tue, 02 Jan 2024 03:04:05 GMT", 201),
        ("DELETE", "/file", "If-Match: \"other\"", 412),
        ("DELETE", "/absent2", "If-Match: \"other\"", 404),
        ("MOVE", "/file", "If-Match: \"other\"", 412),
        ("PUT", "/file", &match_it, 204),
        // It has changed by now.
        ("DELETE", "/file", &match_it, 412),
    ] {
        let fields = [field, "Destination: /elsewhere"];
        assert_eq!(shared.send(method, target, &fields, b"x").status, status, "{method} {field}");
    }
    let tag = shared.put("/file", "two").etag().to_owned();
    assert_eq!(shared.send("DELETE", "/file", &[&format!("If-Match: {tag}")], b"").status, 204);
    assert_eq!(shared.names(), set(&["new", "absent"]));
}

#[test]
pub(crate) fn f9_a_tag_that_was_read_is_one_to_write_with() {
    let shared = Shared::new();
    shared.write("file", "old");
    let file = fs::File::options().write(true).open(shared.path("file")).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
    let seen = shared.server.get("/file").etag().to_owned();
    let field = format!("If-Match: {seen}");
    let answer = shared.send("PUT", "/file", &[&field], b"new");
    assert_eq!(answer.status, 204);
    let now = shared.server.get("/file");
    // What is young is tagged weakly for whoever reads it: the same version otherwise.
    let version = answer.etag().trim_end_matches('"');
    assert!(now.etag().trim_start_matches("W/").starts_with(version), "{}", now.etag());
    assert_eq!(shared.send("PUT", "/file", &[&field], b"late").status, 412);
    assert_eq!(shared.read("file"), "new");
}

/// Whoever has read a file in a coding has read this version of it: compressed on the way, or from a sibling.
#[test]
pub(crate) fn f9_a_tag_of_a_coding_is_one_to_write_with() {
    let gzip = "Accept-Encoding: gzip";
    for has_sibling in [false, true] {
        for method in ["PUT", "DELETE"] {
            let shared = Shared::new();
            shared.write("page.txt", &"some text of a page\n".repeat(100));
            if has_sibling {
                shared.write("page.txt.gz", "whatever it holds");
            }
            for name in ["page.txt", "page.txt.gz"] {
                let Ok(file) = fs::File::options().write(true).open(shared.path(name)) else {
                    continue;
                };
                file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
            }
            let coded = || {
                let answer = shared.server.get_with("/page.txt", &[gzip]);
                answer.field("Content-Encoding").map(|_| answer.etag().to_owned())
            };
            let tag = std::iter::repeat_with(coded).flatten().next().unwrap();
            let none = format!("If-None-Match: {tag}");
            assert_eq!(shared.server.get_with("/page.txt", &[gzip, &none]).status, 304);
            let field = format!("If-Match: {tag}");
            assert_eq!(shared.send("PUT", "/page.txt", &[&none], b"x").status, 412, "{tag}");
            assert_eq!(shared.send(method, "/page.txt", &[&field], b"new").status, 204, "{tag}");
            shared.put("/page.txt", "newer");
            assert_eq!(shared.send(method, "/page.txt", &[&field], b"late").status, 412, "{tag}");
        }
    }
}

/// Such as an editor that saves what it has read, whatever becomes of files that are new.
#[test]
pub(crate) fn f9_whoever_names_the_file_that_is_there_replaces_it() {
    for (on_clash, without) in [(OnClash::Refuse, 409), (OnClash::KeepBoth, 201)] {
        let shared = Shared::with(|uploads| uploads.on_clash(on_clash));
        let tag = format!("If-Match: {}", shared.put("/file", "one").etag());
        assert_eq!(shared.send("PUT", "/file", &[&tag], b"two").status, 204, "{on_clash:?}");
        assert_eq!(shared.read("file"), "two");
        assert_eq!(shared.send("PUT", "/file", &[&tag], b"late").status, 412, "{on_clash:?}");
        for field in ["If-Match: *", "If-Unmodified-Since: Fri, 01 Jan 2100 00:00:00 GMT"] {
            let answer = shared.send("PUT", "/file", &[field], field.as_bytes());
            assert_eq!(answer.status, 204, "{on_clash:?} {field}");
            assert_eq!(shared.read("file"), field);
        }
        assert_eq!(shared.names(), set(&["file"]), "{on_clash:?}");
        assert_eq!(shared.put("/file", "new").status, without);

        // That takes the right to.
        let shared = Shared::ruled(Rights::UP, |uploads| uploads.on_clash(on_clash));
        let tag = format!("If-Match: {}", shared.put("/file", "one").etag());
        assert_eq!(shared.send("PUT", "/file", &[&tag], b"two").status, 403, "{on_clash:?}");
        assert_eq!(shared.read("file"), "one");
    }
}

#[test]
fn design_11_a_precondition_is_asked_again_at_the_commit() {
    let shared = Shared::new();
    let tag = shared.put("/file", "one").etag().to_owned();
    // Both hold when the heads come; the first to be whole wins.
    let begin = |target: &str, field: &str, first: &[u8]| {
        let mut stream = shared.server.send("PUT", target, &["Content-Length: 8", field]);
        stream.write_all(first).unwrap();
        stream
    };
    for (target, field) in
        [("/file", format!("If-Match: {tag}")), ("/new", "If-None-Match: *".to_owned())]
    {
        let mut first = begin(target, &field, b"aaaa");
        let mut second = begin(target, &field, b"bbbb");
        second.write_all(b"BBBB").unwrap();
        assert_eq!(read(&mut second).status / 100, 2, "{field}");
        first.write_all(b"AAAA").unwrap();
        assert_eq!(read(&mut first).status, 412, "{field}");
        assert_eq!(shared.read(&target[1..]), "bbbbBBBB");
    }
    assert_eq!(shared.names(), set(&["file", "new"]));
}

#[test]
pub(crate) fn f9_counters_do_not_lose_an_increment() {
    let shared = Shared::new();
    shared.put("/counter", "0");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut done = 0;
                while done < 10 {
                    let now = shared.server.get("/counter");
                    let tag = format!("If-Match: {}", now.etag().trim_start_matches("W/"));
                    let next = (now.text().parse::<u32>().unwrap() + 1).to_string();
                    done += u32::from(
                        shared.send("PUT", "/counter", &[&tag], next.as_bytes()).status == 204,
                    );
                }
            });
        }
    });
    assert_eq!(shared.read("counter"), "40");
}
