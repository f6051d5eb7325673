//! Content codings: precompressed siblings, and copies that are compressed once.

use std::fs;
use std::io::Read;

use super::{Answer, Served, Site, eventually, noise, prose};

const ALL: &str = "Accept-Encoding: gzip, deflate, br, zstd";

fn coding(answer: &Answer) -> Option<&str> {
    answer.field("Content-Encoding")
}

fn decoded(answer: &Answer) -> String {
    let mut text = String::new();
    let body = answer.body.as_slice();
    match coding(answer) {
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_string(&mut text),
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_string(&mut text),
        Some("zstd") => zstd::Decoder::new(body).unwrap().read_to_string(&mut text),
        _ => return answer.text().to_owned(),
    }
    .unwrap();
    text
}

#[test]
pub(crate) fn f6_siblings_are_served_to_those_who_take_them() {
    // Siblings are believed, not read: here they are not even compressed.
    let site = Site::new(&[
        ("a.js", "plain"),
        ("a.js.zst", "by zstd"),
        ("a.js.br", "by br"),
        ("a.js.gz", "by gzip"),
        ("b.bin", "plain"),
        ("b.bin.gz", "by gzip"),
        ("sub/index.html", "plain"),
        ("sub/index.html.br", "by br"),
    ]);
    let served = site.serve();
    for (target, accept, expected, body) in [
        ("/a.js", "gzip, deflate, br, zstd", Some("zstd"), "by zstd"),
        ("/a.js", "gzip, deflate, br", Some("br"), "by br"),
        ("/a.js", "gzip", Some("gzip"), "by gzip"),
        ("/a.js", "x-gzip", Some("gzip"), "by gzip"),
        ("/a.js", "*", Some("zstd"), "by zstd"),
        ("/a.js", "br;q=0.5, gzip", Some("gzip"), "by gzip"),
        ("/a.js", "br;q=0, zstd;q=0, *", Some("gzip"), "by gzip"),
        ("/a.js", "deflate", None, "plain"),
        ("/a.js", "identity", None, "plain"),
        ("/a.js", "", None, "plain"),
        ("/b.bin", "br, zstd", None, "plain"),
        ("/b.bin", "br, gzip", Some("gzip"), "by gzip"),
        ("/sub/", "br", Some("br"), "by br"),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = served.ask(method, target, &[&format!("Accept-Encoding: {accept}")]);
            let what = format!("{method} {target} {accept}");
            assert_eq!((answer.status, coding(&answer)), (200, expected), "{what}");
            assert_eq!(answer.field("Vary"), Some("Accept-Encoding"), "{what}");
            assert_eq!(answer.field("Content-Length"), Some(&*body.len().to_string()), "{what}");
            if let Some(coding) = expected {
                assert!(answer.etag().ends_with(&format!("-{coding}\"")), "{what}");
            }
            if method == "GET" {
                assert_eq!(answer.text(), body, "{what}");
            }
        }
    }
    let plain = served.get("/a.js");
    assert_eq!((coding(&plain), plain.text()), (None, "plain"));
    assert_eq!(plain.field("Vary"), Some("Accept-Encoding"));
    // Asked for by its own name, a sibling is a file like any other.
    let itself = served.get("/a.js.gz");
    assert_eq!((coding(&itself), itself.text()), (None, "by gzip"));
    assert_eq!(itself.field("Content-Type"), Some("application/gzip"));
}

#[test]
pub(crate) fn f6_siblings_come_change_grow_old_and_go() {
    let site = Site::new(&[("a.bin", "plain")]);
    let served = site.serve();
    let get = || served.get_with("/a.bin", &["Accept-Encoding: gzip"]);
    assert_eq!(get().text(), "plain");
    assert_eq!(get().field("Vary"), None, "there is nothing to choose from");
    site.write("a.bin.gz", "first");
    assert_eq!(get().text(), "first");
    site.write("a.bin.gz", "second");
    assert_eq!(get().text(), "second");
    // The file is newer than its sibling.
    site.change_time("a.bin", super::at(super::LONG_AGO + 1));
    assert_eq!(get().text(), "plain");
    site.change_time("a.bin.gz", super::at(super::LONG_AGO + 1));
    assert_eq!(get().text(), "second");
    fs::remove_file(site.path("a.bin.gz")).unwrap();
    assert_eq!(get().text(), "plain");
    // Whatever else bears the name is no sibling.
    fs::create_dir(site.path("a.bin.gz")).unwrap();
    assert_eq!(get().text(), "plain");
    std::os::unix::fs::symlink("/etc/passwd", site.path("a.bin.br")).unwrap();
    assert_eq!(served.get_with("/a.bin", &[ALL]).text(), "plain");
}

#[test]
pub(crate) fn f6_text_is_compressed_once_and_the_first_answer_does_not_wait() {
    for bytes in [2_000, 100_000] {
        let site = Site::new(&[]);
        let text = prose(bytes);
        site.write("a.txt", &text);
        let served = site.serve();
        for (accept, expected) in [
            ("gzip", "gzip"),
            // One that is there is better than one to come.
            ("gzip, deflate, br, zstd", "gzip"),
            ("br", "br"),
            ("gzip, deflate, br", "br"),
            ("zstd;q=0.5, deflate", "zstd"),
            ("gzip", "gzip"),
        ] {
            let field = format!("Accept-Encoding: {accept}");
            let get = || served.get_with("/a.txt", &[&field]);
            eventually(|| coding(&get()) == Some(expected));
            let answer = get();
            assert_eq!(decoded(&answer), text);
            assert!(answer.body.len() < text.len() / 4);
            assert_eq!(answer.field("Vary"), Some("Accept-Encoding"));
            assert!(answer.etag().ends_with(&format!("-{expected}\"")));
            assert_eq!(answer.field("Last-Modified"), Some("Tue, 02 Jan 2024 03:04:05 GMT"));
            // It stays, and stays the same, though the file is looked at each time.
            let again = get();
            assert_eq!((again.etag(), coding(&again)), (answer.etag(), Some(expected)));
        }
        let plain = served.get("/a.txt");
        assert_eq!((coding(&plain), plain.text()), (None, text.as_str()));
        site.write("a.txt", "changed");
        assert_eq!(decoded(&served.get_with("/a.txt", &[ALL])), "changed");
    }
}

#[test]
pub(crate) fn f6_the_first_answer_is_the_file_as_it_is() {
    let site = Site::new(&[("a.txt", &prose(3_000_000))]);
    let served = site.serve();
    let first = served.get_with("/a.txt", &[ALL]);
    assert_eq!((coding(&first), first.body.len()), (None, 3_000_000));
    // Who comes back with that file's tag still holds the file.
    let held = format!("If-None-Match: {}", first.etag());
    let get = || served.get_with("/a.txt", &[ALL]);
    eventually(|| coding(&get()).is_some());
    let coded = get();
    assert_eq!(served.get_with("/a.txt", &[ALL, &held]).status, 304);
    let held = format!("If-None-Match: {}", coded.etag());
    assert_eq!(served.get_with("/a.txt", &[ALL, &held]).status, 304);
    assert_eq!(served.get_with("/a.txt", &[&held]).status, 200, "it takes no coding now");
    // Whoever asks for that very file gets it, though there is a smaller one by now.
    for (asked, expected) in [(&first, None), (&coded, coding(&coded))] {
        let answer = served.get_with("/a.txt", &[ALL, &format!("If-Match: {}", asked.etag())]);
        assert_eq!((answer.status, coding(&answer)), (200, expected), "{}", asked.etag());
    }
    assert_eq!(served.get_with("/a.txt", &[ALL, "If-Match: \"other\""]).status, 412);
}

/// Each is asked for until another file, asked for later, has come compressed: the lane takes jobs in turn.
#[test]
pub(crate) fn f6_what_is_not_worth_it_is_not_compressed() {
    let site = Site::new(&[("tiny.txt", &prose(500)), ("last.txt", &prose(5_000))]);
    site.write("photo.jpg", prose(5_000));
    site.write("noise.txt", noise(5_000));
    site.write("sealed.txt", prose(5_000));
    site.write("sealed.txt.gz", "sealed");
    let served = site.serve();
    let targets = ["/tiny.txt", "/photo.jpg", "/noise.txt", "/sealed.txt", "/young.txt"];
    let ask = |served: &Served| {
        for target in targets {
            site.write_young("young.txt", prose(5_000));
            let answer = served.get_with(target, &["Accept-Encoding: br"]);
            assert_eq!((answer.status, coding(&answer)), (200, None), "{target}");
        }
    };
    for _ in 0..3 {
        ask(&served);
    }
    eventually(|| coding(&served.get_with("/last.txt", &[ALL])).is_some());
    ask(&served);
    for (target, vary) in [
        ("/tiny.txt", None),
        ("/photo.jpg", None),
        ("/noise.txt", Some("Accept-Encoding")),
        ("/sealed.txt", Some("Accept-Encoding")),
    ] {
        assert_eq!(served.get(target).field("Vary"), vary, "{target}");
    }
}

/// RFC 9110 §15.4.5 and §12.5.5: who was answered by choice is told by what, whatever the status.
#[test]
pub(crate) fn f6_every_answer_about_a_negotiated_file_says_vary() {
    let site = Site::new(&[("a.js", "plain file"), ("a.js.br", "by br")]);
    let served = site.serve();
    let tag = format!("If-None-Match: {}", served.get_with("/a.js", &[ALL]).etag());
    for (fields, status) in [
        (&[ALL][..], 200),
        (&[], 200),
        (&[ALL, &tag], 304),
        (&[ALL, "Range: bytes=0-3"], 206),
        (&[ALL, "Range: bytes=0-1,4-5"], 206),
        (&[ALL, "Range: bytes=99-"], 416),
        (&[ALL, "If-Match: \"other\""], 412),
    ] {
        let answer = served.get_with("/a.js", fields);
        assert_eq!(answer.status, status, "{fields:?}");
        assert_eq!(answer.field("Vary"), Some("Accept-Encoding"), "{fields:?}");
    }
}

/// A part of a file is a part of the file itself, unless the client refuses that.
#[test]
pub(crate) fn f6_a_range_is_of_the_file_itself() {
    let site = Site::new(&[("a.js", "0123456789"), ("a.js.br", "abcdefghij")]);
    let served = site.serve();
    for (method, accept, expected, body) in [
        ("GET", "br", None, "234"),
        ("GET", "br, identity;q=0", Some("br"), "cde"),
        // Range means nothing to HEAD: it tells what GET without it gets.
        ("HEAD", "br", Some("br"), ""),
    ] {
        let accept = format!("Accept-Encoding: {accept}");
        let answer = served.ask(method, "/a.js", &[&accept, "Range: bytes=2-4"]);
        assert_eq!((coding(&answer), answer.text()), (expected, body), "{method} {accept}");
    }
    // A tag of one coding does not continue another.
    let coded = served.get_with("/a.js", &[ALL]);
    let if_range = format!("If-Range: {}", coded.etag());
    let answer = served.get_with("/a.js", &[ALL, "Range: bytes=2-4", &if_range]);
    assert_eq!((answer.status, answer.text()), (200, "0123456789"));
}
