//! Files that keep the date that they have had elsewhere.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, UNIX_EPOCH};

use super::{Shared, read, set};

/// Tue, 02 Jan 2024 03:04:05 GMT.
const DAY: u64 = 1_704_164_645;

impl Shared {
    /// The last change, in seconds and nanoseconds.
    fn modified(&self, name: &str) -> (i64, i64) {
        let meta = fs::metadata(self.path(name)).unwrap();
        (meta.mtime(), meta.mtime_nsec())
    }
}

#[test]
pub(crate) fn f9_a_file_keeps_its_date() {
    let shared = Shared::new();
    for (method, field, seconds, milliseconds) in [
        ("PUT", "X-OC-Mtime: 1704164645", 1_704_164_645, None),
        ("PUT", "X-OC-Mtime: 1704164645.123", 1_704_164_645, Some(123)),
        ("POST", "X-OC-Mtime: 1704164646.500", 1_704_164_646, Some(500)),
        ("PUT", "X-Timestamp: 1704164647.250", 1_704_164_647, Some(250)),
        ("PUT", "X-OC-Mtime: 1704164648\r\nX-Timestamp: 1", 1_704_164_648, None),
        ("PUT", "X-OC-Mtime: -86400", -86_400, None),
    ] {
        let fields: Vec<&str> = field.split("\r\n").collect();
        let answer = shared.send(method, "/in/photo", &fields, field.as_bytes());
        assert_eq!(answer.status / 100, 2, "{field}: {answer:?}");
        assert_eq!(answer.field("X-OC-Mtime"), Some("accepted"), "{field}");
        let (found, nanoseconds) = shared.modified("in/photo");
        assert_eq!(found, seconds, "{field}");
        if let Some(milliseconds) = milliseconds {
            assert_eq!(nanoseconds / 1_000_000, milliseconds, "{field}");
        }
        // What is from long ago is no young file: readers get the tag that the writer got.
        let got = shared.server.get("/in/photo");
        assert_eq!((got.text(), got.etag()), (field, answer.etag()));
        if seconds == 1_704_164_645 {
            assert_eq!(got.field("Last-Modified"), Some("Tue, 02 Jan 2024 03:04:05 GMT"));
        }
    }
    let answer = shared.put("/in/photo", "new");
    assert_eq!(answer.field("X-OC-Mtime"), None);
    assert!(shared.modified("in/photo").0 > 1_704_164_648);
}

#[test]
pub(crate) fn f9_what_is_no_time_is_refused_before_it_is_sent() {
    let shared = Shared::new();
    for value in ["", "yesterday", "1e9", "0x10", "1.", "99999999999999999999"] {
        for name in ["X-OC-Mtime", "X-Timestamp"] {
            let field = format!("{name}: {value}");
            let fields = ["Content-Length: 5", "Expect: 100-continue", &field];
            let answer = read(&mut shared.server.send("PUT", "/photo", &fields));
            assert_eq!(answer.status, 400, "{field}");
        }
    }
    assert_eq!(shared.names(), set(&[]));
}

/// What counts is the photo; the date is the nearest that the disk knows, and is only said to be taken where it is.
#[test]
pub(crate) fn f9_a_time_that_no_disk_knows_costs_no_file() {
    let shared = Shared::new();
    for seconds in [i64::MAX, 253_402_300_800, -62_135_596_801, i64::MIN + 1] {
        let field = format!("X-OC-Mtime: {seconds}");
        let answer = shared.send("PUT", "/photo", &[&field], field.as_bytes());
        assert_eq!(answer.status / 100, 2, "{field}: {answer:?}");
        let is_taken = shared.modified("photo").0 == seconds;
        assert_eq!(answer.field("X-OC-Mtime"), is_taken.then_some("accepted"), "{field}");
        assert_eq!(shared.server.get("/photo").text(), field);
        assert_eq!(shared.server.get("/?json").status, 200, "{field}");
        assert_eq!(shared.server.get("/?list").status, 200, "{field}");
    }
}

/// One date and one length are no reason to take a file for another one: not for who keeps it here, nor for who asks again by its tag.
#[test]
pub(crate) fn f4_f9_files_of_one_date_and_length_are_told_apart() {
    let shared = Shared::new();
    let date = format!("X-OC-Mtime: {DAY}");
    let mut tags = BTreeSet::new();
    for round in 0..12 {
        let content = format!("round {round:02}");
        let put = |target| shared.send("PUT", target, &[&date], content.as_bytes()).status;
        match round % 4 {
            // In the place of the one before, or where there is none.
            0 | 1 => assert_eq!(put("/a") / 100, 2),
            2 => {
                assert_eq!(shared.send("DELETE", "/a", &[], b"").status, 204);
                assert_eq!(put("/a"), 201);
            }
            _ => {
                assert_eq!(put("/b"), 201);
                assert_eq!(shared.send("MOVE", "/b", &["Destination: /a"], b"").status, 204);
            }
        }
        assert_eq!(shared.modified("a").0, i64::try_from(DAY).unwrap());
        let got = shared.server.get("/a");
        assert_eq!(got.text(), content);
        assert_eq!(shared.server.get("/a").text(), content);
        for tag in &tags {
            let field = format!("If-None-Match: {tag}");
            assert_eq!(shared.server.get_with("/a", &[&field]).status, 200, "{round}");
        }
        assert!(tags.insert(got.etag().to_owned()), "{round}: {tags:?}");
    }
}

/// A copy in a coding is one of the file if it is not older: what is written now is never said to be from before it.
#[test]
pub(crate) fn f6_f9_no_compressed_copy_is_taken_for_that_of_another_version() {
    let gzip = "Accept-Encoding: gzip";
    let shared = Shared::new();
    let date = format!("X-OC-Mtime: {DAY}");
    for (name, seconds) in [("page.js", DAY + 1), ("page.js.gz", DAY + 2)] {
        shared.write(name, "old");
        let file = File::options().write(true).open(shared.path(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }
    assert_eq!(shared.server.get_with("/page.js", &[gzip]).field("Content-Encoding"), Some("gzip"));
    let answer = shared.send("PUT", "/page.js", &[&date], b"new");
    assert_eq!((answer.status, answer.field("X-OC-Mtime")), (204, None));
    let got = shared.server.get_with("/page.js", &[gzip]);
    assert_eq!((got.text(), got.field("Content-Encoding")), ("new", None));

    // The copy that comes after it is its own.
    let answer = shared.send("PUT", "/page.js.gz", &[&date], b"copy");
    assert_eq!((answer.status, answer.field("X-OC-Mtime")), (204, None));
    let got = shared.server.get_with("/page.js", &[gzip]);
    assert_eq!((got.text(), got.field("Content-Encoding")), ("copy", Some("gzip")));
}
