//! Parts of files.

use std::os::unix::fs::FileExt;

use super::{Answer, Site, prose, serve};

/// The parts of a `multipart/byteranges` content: head and bytes of each.
fn parts(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let boundary = answer
        .field("Content-Type")
        .and_then(|value| value.strip_prefix("multipart/byteranges; boundary="))
        .expect("multipart");
    let text = String::from_utf8_lossy(&answer.body);
    let (text, end) = text.split_once(&format!("\r\n--{boundary}--")).expect("an end");
    assert_eq!(end.trim(), "");
    let text = format!("\r\n{}", text.trim_start_matches("\r\n"));
    text.split(&format!("\r\n--{boundary}\r\n"))
        .skip(1)
        .map(|part| part.split_once("\r\n\r\n").expect("a head"))
        .map(|(head, content)| (head.to_owned(), content.as_bytes().to_vec()))
        .collect()
}

#[test]
pub(crate) fn f4_one_range() {
    let small = "0123456789".to_owned();
    // A large one is sent from its descriptor, not from memory.
    let large = prose(200_000);
    let site = Site::new(&[("small.txt", &small), ("large.txt", &large), ("empty.txt", "")]);
    let served = site.serve();
    for (target, content) in [("/small.txt", &small), ("/large.txt", &large)] {
        let size = content.len();
        for (range, first, last) in [
            ("bytes=0-0".to_owned(), 0, 0),
            ("bytes=2-5".to_owned(), 2, 5),
            ("bytes=5-".to_owned(), 5, size - 1),
            ("bytes=-3".to_owned(), size - 3, size - 1),
            (format!("bytes=0-{size}"), 0, size - 1),
            ("bytes=0-99999999999999999999999".to_owned(), 0, size - 1),
            (format!("bytes=-{}", size + 1), 0, size - 1),
            ("BYTES=1-2".to_owned(), 1, 2),
        ] {
            let answer = served.get_with(target, &[&format!("Range: {range}")]);
            assert_eq!(answer.status, 206, "{target} {range}");
            assert_eq!(answer.text(), &content[first..=last], "{target} {range}");
            let content_range = format!("bytes {first}-{last}/{size}");
            assert_eq!(answer.field("Content-Range"), Some(content_range.as_str()));
            assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
            assert_eq!(answer.field("Accept-Ranges"), Some("bytes"));
            assert_eq!(answer.field("Last-Modified"), Some("Tue, 02 Jan 2024 03:04:05 GMT"));
            assert_eq!(answer.etag(), served.get(target).etag());
        }
    }
    for (target, range, status) in [
        ("/small.txt", "bytes=10-", 416),
        ("/small.txt", "bytes=-0", 416),
        ("/small.txt", "bytes=5-2", 200),
        ("/small.txt", "lines=0-1", 200),
        ("/small.txt", "bytes=a-b", 200),
        ("/empty.txt", "bytes=0-", 416),
        ("/empty.txt", "bytes=-1", 200),
    ] {
        let answer = served.get_with(target, &[&format!("Range: {range}")]);
        assert_eq!(answer.status, status, "{target} {range}");
    }
    let head = served.ask("HEAD", "/small.txt", &["Range: bytes=2-5"]);
    assert_eq!((head.status, head.field("Content-Length")), (200, Some("10")));
}

/// What 32 bits cannot count: on a processor that has no more, each number would come out 4 GiB less.
#[test]
pub(crate) fn f4_a_file_of_more_than_4_gib() {
    const PLACE: u64 = (1 << 32) + 3;
    const SIZE: u64 = PLACE + 10;
    let site = Site::new(&[("large.bin", "start")]);
    // Nearly all of it is a hole, which takes no space.
    let file = std::fs::File::options().write(true).open(site.path("large.bin")).unwrap();
    file.set_len(SIZE).unwrap();
    file.write_all_at(b"0123456789", PLACE).unwrap();
    let served = site.serve();
    let head = served.ask("HEAD", "/large.bin", &[]);
    assert_eq!(head.field("Content-Length"), Some(SIZE.to_string().as_str()));
    for (range, first, last, text) in [
        (format!("bytes={PLACE}-{}", PLACE + 4), PLACE, PLACE + 4, "01234"),
        (format!("bytes={}-", PLACE + 7), PLACE + 7, SIZE - 1, "789"),
        ("bytes=-4".to_owned(), SIZE - 4, SIZE - 1, "6789"),
        (format!("bytes={PLACE}-{}", u64::MAX), PLACE, SIZE - 1, "0123456789"),
    ] {
        let answer = served.get_with("/large.bin", &[&format!("Range: {range}")]);
        assert_eq!((answer.status, answer.text()), (206, text), "{range}");
        let content_range = format!("bytes {first}-{last}/{SIZE}");
        assert_eq!(answer.field("Content-Range"), Some(content_range.as_str()));
    }
    let beyond = served.get_with("/large.bin", &[&format!("Range: bytes={SIZE}-")]);
    assert_eq!(
        (beyond.status, beyond.field("Content-Range")),
        (416, Some(format!("bytes */{SIZE}").as_str()))
    );
    let several = format!("Range: bytes=0-4,{PLACE}-{}", PLACE + 1);
    let several = served.get_with("/large.bin", &[&several]);
    let found: Vec<_> = parts(&several).into_iter().map(|(_, content)| content).collect();
    assert_eq!(found, [b"start".to_vec(), b"01".to_vec()]);
}

#[test]
pub(crate) fn f4_several_ranges() {
    let large = prose(200_000);
    let site = Site::new(&[("small.txt", "0123456789"), ("large.txt", &large)]);
    let served = site.serve();
    for (target, content) in [("/small.txt", "0123456789"), ("/large.txt", large.as_str())] {
        let answer = served.get_with(target, &["Range: bytes=0-1, 4-5 ,-2"]);
        assert_eq!(answer.status, 206);
        assert_eq!(answer.field("Content-Range"), None, "each part has its own");
        let size = content.len();
        let expected = [(0, 1), (4, 5), (size - 2, size - 1)];
        let found = parts(&answer);
        assert_eq!(found.len(), 3);
        for ((head, body), (first, last)) in found.iter().zip(expected) {
            assert!(head.contains("Content-Type: text/plain; charset=utf-8"), "{head}");
            assert!(head.contains(&format!("Content-Range: bytes {first}-{last}/{size}")));
            assert_eq!(body, &content.as_bytes()[first..=last]);
        }
    }
    // Of those that are there, one is left: no multipart.
    let one = served.get_with("/small.txt", &["Range: bytes=0-1,20-30"]);
    assert_eq!((one.status, one.text()), (206, "01"));
}

/// What costs more than the whole file gets the whole file.
#[test]
pub(crate) fn f4_too_many_ranges_are_ignored() {
    let site = Site::new(&[("a.txt", &prose(1000))]);
    let served = site.serve();
    let singles = |count: usize| {
        let all: Vec<String> = (0..count).map(|at| format!("{}-{}", at * 2, at * 2)).collect();
        all.join(",")
    };
    for (range, status) in [
        (singles(16), 206),
        (singles(17), 200),
        ("0-,0-,0-".to_owned(), 200),
        ("0-10,5-15,7-20".to_owned(), 200),
    ] {
        let answer = served.get_with("/a.txt", &[&format!("Range: bytes={range}")]);
        assert_eq!(answer.status, status, "{range}");
    }
}

#[test]
fn f4_a_part_is_never_of_a_file_that_has_changed_in_place() {
    let site = Site::new(&[]);
    site.write("a.bin", vec![b'a'; 200_000]);
    // It is open, and nobody looks at its name for an hour.
    let served = serve(site.files().freshness(std::time::Duration::from_secs(3600)));
    let tag = served.get("/a.bin").etag().to_owned();
    site.write("a.bin", vec![b'b'; 100_000]);
    site.change_time("a.bin", super::at(super::LONG_AGO + 1));
    let if_range = format!("If-Range: {tag}");
    let answer = served.get_with("/a.bin", &["Range: bytes=50000-", &if_range]);
    assert_eq!((answer.status, answer.body.len()), (200, 100_000));
    assert_ne!(answer.etag(), tag);
}

#[test]
pub(crate) fn f4_if_range_continues_only_the_same_file() {
    let site = Site::new(&[("a.txt", "0123456789")]);
    let served = site.serve();
    let tag = served.get("/a.txt").etag().to_owned();
    for (value, status) in [
        (tag.clone(), 206),
        ("Tue, 02 Jan 2024 03:04:05 GMT".to_owned(), 206),
        (format!("W/{tag}"), 200),
        ("\"x\"".to_owned(), 200),
        ("Tue, 02 Jan 2024 03:04:06 GMT".to_owned(), 200),
        ("nonsense".to_owned(), 200),
    ] {
        let if_range = format!("If-Range: {value}");
        let answer = served.get_with("/a.txt", &["Range: bytes=2-3", &if_range]);
        assert_eq!(answer.status, status, "{value}");
        // It holds for the whole question, also for parts that are not there.
        let answer = served.get_with("/a.txt", &["Range: bytes=20-", &if_range]);
        assert_eq!(answer.status, if status == 206 { 416 } else { 200 }, "{value}");
    }
    // Resuming a download that changed meanwhile starts it anew.
    site.write("a.txt", "abcdefghij");
    site.change_time("a.txt", super::at(super::LONG_AGO + 1));
    let if_range = format!("If-Range: {tag}");
    let answer = served.get_with("/a.txt", &["Range: bytes=2-3", &if_range]);
    assert_eq!((answer.status, answer.text()), (200, "abcdefghij"));
}
