//! Preconditions: what a client may keep, and what it must not take for something else.

use super::Site;

const MODIFIED: &str = "Tue, 02 Jan 2024 03:04:05 GMT";

#[test]
pub(crate) fn f4_l11_preconditions_in_the_order_of_rfc_9110() {
    let site = Site::new(&[("a.txt", "0123456789")]);
    let served = site.serve();
    let tag = served.get("/a.txt").etag().to_owned();
    let none_match = format!("If-None-Match: \"x\", {tag}");
    let weak_none_match = format!("If-None-Match: W/{tag}");
    let matches = format!("If-Match: {tag}");
    let weak_match = format!("If-Match: W/{tag}");
    let since = format!("If-Modified-Since: {MODIFIED}");
    let unmodified = format!("If-Unmodified-Since: {MODIFIED}");
    let before = "If-Modified-Since: Tue, 02 Jan 2024 03:04:04 GMT";
    let unmodified_before = "If-Unmodified-Since: Tue, 02 Jan 2024 03:04:04 GMT";
    let other_match = "If-Match: \"x\"";
    let other_none = "If-None-Match: \"x\"";
    let cases: [(&[&str], u16); 19] = [
        (&[&none_match], 304),
        (&[&weak_none_match], 304),
        (&["If-None-Match: *"], 304),
        (&[other_none], 200),
        (&[other_none, &since], 200),
        (&["If-None-Match: \"x\"", &format!("If-None-Match: {tag}")], 304),
        (&[&since], 304),
        (&[before], 200),
        (&["If-Modified-Since: nonsense"], 200),
        (&[&matches], 200),
        (&["If-Match: *"], 200),
        (&[&weak_match], 412),
        (&[other_match], 412),
        (&[other_match, &none_match], 412),
        (&[&unmodified], 200),
        (&[unmodified_before], 412),
        (&[&matches, unmodified_before], 200),
        (&[&matches, &none_match], 304),
        // Preconditions come before the range.
        (&[&none_match, "Range: bytes=0-1"], 304),
    ];
    for (fields, status) in cases {
        for method in ["GET", "HEAD"] {
            assert_eq!(served.ask(method, "/a.txt", fields).status, status, "{method} {fields:?}");
        }
    }
    // Without a file there is nothing to compare with.
    assert_eq!(served.get_with("/none.txt", &["If-None-Match: *"]).status, 404);
    assert_eq!(served.get_with("/none.txt", &["If-Match: *"]).status, 404);
}

/// RFC 9110 §15.4.5: the fields that a cache needs, and none of the content.
#[test]
pub(crate) fn l11_a_304_has_the_fields_that_caches_need() {
    let site = Site::new(&[("a.txt", &super::prose(1000))]);
    let files = site.files().header("Cache-Control", "max-age=60").unwrap();
    let files = files.header("Expires", "Wed, 03 Jan 2024 03:04:05 GMT").unwrap();
    let served = super::serve(files);
    let whole = served.get("/a.txt");
    assert_eq!(whole.field("Last-Modified"), Some(MODIFIED));
    let answer = served.get_with("/a.txt", &[&format!("If-None-Match: {}", whole.etag())]);
    assert_eq!(answer.status, 304);
    for name in ["Cache-Control", "Expires", "ETag", "Vary"] {
        assert_eq!(answer.field(name), whole.field(name), "{name}");
        assert!(answer.field(name).is_some(), "{name}");
    }
    assert!(answer.field("Date").is_some());
    for name in ["Content-Length", "Content-Type", "Transfer-Encoding", "Content-Encoding"] {
        assert_eq!(answer.field(name), None, "{name}");
    }
}

#[test]
pub(crate) fn f4_a_412_and_a_416_tell_about_themselves() {
    let site = Site::new(&[("a.txt", "0123456789")]);
    let served = site.serve();
    let failed = served.get_with("/a.txt", &["If-Match: \"x\""]);
    assert_eq!(failed.field("Content-Type"), Some("text/plain; charset=utf-8"));
    assert!(failed.text().contains("412 Precondition Failed"));
    let unsatisfiable = served.get_with("/a.txt", &["Range: bytes=10-"]);
    assert_eq!(unsatisfiable.field("Content-Range"), Some("bytes */10"));
    assert_eq!(unsatisfiable.field("Content-Type"), Some("text/plain; charset=utf-8"));
}
