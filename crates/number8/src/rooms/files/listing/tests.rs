use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::access::Rights;

fn entry(name: &[u8], size: u64, seconds: i128) -> Entry {
    Entry { name: name.into(), kind: Kind::File, size, modified_ns: seconds * 1_000_000_000 }
}

fn folder(name: &[u8]) -> Entry {
    Entry { kind: Kind::Directory, ..entry(name, 0, 0) }
}

fn listing(entries: Vec<Entry>) -> Listing {
    Listing { total: entries.len(), offset: 0, truncated: false, entries }
}

/// A page out of the middle of 2,500 entries.
fn middle(page: usize) -> Listing {
    let offset = (page - 1) * PAGE_ENTRIES;
    Listing { entries: vec![entry(b"a", 1, 0)], total: 2500, offset, truncated: false }
}

fn view(query: &str) -> View {
    let mut view = View::new(PAGE_ENTRIES);
    view.read(query);
    view
}

fn html(path: &str, query: &str, listing: Listing) -> String {
    let chunks = html::page(path.as_bytes(), view(query), listing, html::Forms::default());
    String::from_utf8(chunks.flatten().collect()).unwrap()
}

fn json(path: &[u8], query: &str, listing: Listing) -> Value {
    let bytes: Vec<u8> = json::document(path, view(query), listing, Rights::UP).flatten().collect();
    serde_json::from_slice(&bytes).unwrap()
}

#[track_caller]
fn assert_has(page: &str, parts: &[impl AsRef<str>]) {
    for part in parts.iter().map(AsRef::as_ref) {
        assert!(page.contains(part), "no {part:?} in {page}");
    }
}

#[test]
fn queries_are_read_and_written() {
    let cases = [
        ("", Sort::Name, false, 1, "./"),
        ("sort=name&order=asc&page=1", Sort::Name, false, 1, "./"),
        ("sort=size&order=desc", Sort::Size, true, 1, "?sort=size&order=desc"),
        ("page=3&sort=modified", Sort::Modified, false, 3, "?sort=modified&order=asc&page=3"),
        ("order=desc", Sort::Name, true, 1, "?sort=name&order=desc"),
        ("json&page=2", Sort::Name, false, 2, "?json&page=2"),
        ("json=1", Sort::Name, false, 1, "?json"),
        ("page=0", Sort::Name, false, 1, "./"),
        ("page=-1&sort=colour&order=up&x=y&&=", Sort::Name, false, 1, "./"),
        ("page=99999999999999999999999", Sort::Name, false, 1, "./"),
    ];
    for (query, sort, descending, page, href) in cases {
        let shown = view(query);
        assert_eq!((shown.sort, shown.descending, shown.page), (sort, descending, page), "{query}");
        assert_eq!(shown.href(), href, "{query}");
        assert_eq!(view(href.trim_start_matches(['.', '/', '?'])), shown, "{query}");
    }
    assert_eq!(view("page=3").options().offset, 2000);
    assert_eq!(view(&format!("page={}", usize::MAX)).options().offset, usize::MAX);
}

#[test]
fn u17_json_is_the_document_of_uhttpd_with_more_keys() {
    let list = vec![folder(b"my_folder"), entry(b"hello.txt", 42, 1_767_322_845)];
    assert_eq!(
        json(b"/var/", "", listing(list)),
        json!({
            "path": "/var/",
            "total": 2,
            "offset": 0,
            "rights": ["list", "read", "create"],
            "list": [
                {"path": "..", "type": "directory", "size": 0},
                {"path": "my_folder", "type": "directory", "size": 0,
                 "modified": "1970-01-01T00:00:00Z", "href": "my_folder/"},
                {"path": "hello.txt", "type": "file", "size": 42,
                 "modified": "2026-01-02T03:00:45Z", "href": "hello.txt"},
            ],
        })
    );
    let root = json(b"/", "", listing(vec![]));
    assert_eq!(root["list"], json!([{"path": "..", "type": "directory", "size": 0}]));
}

#[test]
fn json_pages_link_to_the_next() {
    let next = |page: usize| json(b"/", &format!("page={page}&sort=size"), middle(page));
    assert_eq!(next(1)["next"], "?json&sort=size&order=asc&page=2");
    assert_eq!(next(2)["offset"], 1000);
    assert_eq!(next(2)["total"], 2500);
    assert_eq!(next(3).get("next"), None);
    let cut = Listing { truncated: true, ..listing(vec![]) };
    assert_eq!(json(b"/", "", cut)["truncated"], true);
}

#[test]
fn json_keeps_hostile_names_in_their_strings() {
    let name = b"\"},{\"\\\xff\n\x1b<script>";
    let document = json(b"/\xff\"/", "", listing(vec![entry(name, 0, 0)]));
    assert_eq!(document["path"], "/\u{fffd}\"/");
    assert_eq!(document["list"][1]["path"], "\"},{\"\\\u{fffd}\n\u{1b}<script>");
    assert_eq!(document["list"][1]["href"], "%22%7D%2C%7B%22%5C%FF%0A%1B%3Cscript%3E");
}

#[test]
fn a_page_shows_names_sizes_and_times() {
    let list = vec![folder(b"sub dir"), entry(b"hello.txt", 1_234_567, 1_767_322_845)];
    let page = html("/a&b/c/", "", listing(list));
    assert_has(
        &page,
        &[
            "<html lang=\"en\">",
            "<title>Files in /a&amp;b/c/</title>",
            "name=\"viewport\"",
            "<caption>2 entries</caption>",
            "<a href=\"../\">.. ",
            "<a href=\"../../\"><bdi>Home</bdi></a>",
            "<a href=\"../\"><bdi>a&amp;b</bdi></a>",
            "<h1><bdi>c</bdi></h1>",
            "<a href=\"sub%20dir/\"><bdi>sub dir</bdi>/</a>",
            "<a href=\"hello.txt\"><bdi>hello.txt</bdi></a>",
            "<span title=\"1,234,567 bytes\">1.1 MiB</span>",
            "<time datetime=\"2026-01-02T03:00:45Z\" title=\"2026-01-02 03:00:45 UTC\">2026-01-02<span> 03:00</span>",
        ],
    );
    for absent in ["<script", "http:", "https:", "src=", "Pages"] {
        assert!(!page.contains(absent), "{absent}");
    }
    let root = html("/", "", listing(vec![]));
    assert_has(&root, &["<h1><bdi>Home</bdi></h1>", "This folder is empty.", "No entries"]);
    assert!(!root.contains("../"));
}

#[test]
fn headings_sort_and_turn_the_order_round() {
    let cases = [
        (
            "",
            "name\" aria-sort=\"ascending\"",
            ["?sort=name&amp;order=desc", "?sort=size&amp;order=desc"],
        ),
        ("order=desc", "name\" aria-sort=\"descending\"", ["./", "?sort=size&amp;order=desc"]),
        ("sort=size", "size\" aria-sort=\"ascending\"", ["./", "?sort=size&amp;order=desc"]),
        (
            "sort=size&order=desc",
            "size\" aria-sort=\"descending\"",
            ["?sort=size&amp;order=asc", "?sort=modified&amp;order=desc"],
        ),
        (
            "sort=modified&page=3",
            "modified\" aria-sort=\"ascending\"",
            ["./", "?sort=modified&amp;order=desc"],
        ),
    ];
    for (query, aria, links) in cases {
        let page = html("/x/", query, middle(1));
        let (_, page) = page.split_once("</style>").unwrap();
        assert_has(page, &[aria]);
        assert_has(page, &links.map(|link| format!("<a href=\"{link}\" rel=\"nofollow\">")));
        assert_eq!(page.matches("aria-sort").count(), 1, "{query}");
    }
}

#[test]
fn f7_long_listings_have_pages() {
    let cases: [(usize, &str, &[&str], &[&str]); 4] = [
        (1, "Entries 1 to 1,000 of 2,500", &["page=2\" rel=\"next\">"], &["prev"]),
        (
            2,
            "Entries 1,001 to 2,000 of 2,500",
            &["order=desc\" rel=\"prev\">", "page=3\" rel=\"next\">", "Page 2 of 3"],
            &[],
        ),
        (3, "Entries 2,001 to 2,500 of 2,500", &["page=2\" rel=\"prev\">"], &["\"next\""]),
        (9, "2,500 entries, none on this page", &["page=3\" rel=\"prev\">"], &["\"next\""]),
    ];
    for (page, caption, present, absent) in cases {
        let html = html("/", &format!("sort=size&order=desc&page={page}"), middle(page));
        assert_has(&html, &[caption]);
        assert_has(&html, present);
        for absent in absent {
            assert!(!html.contains(absent), "{absent} on page {page}");
        }
    }
    let cut = Listing { truncated: true, ..middle(1) };
    assert_has(&html("/", "", cut), &["holds more than that"]);
}

#[test]
fn hostile_names_stay_text() {
    let cases: &[(&[u8], &str, &str)] = &[
        (b"<script>alert(1)</script>", "%3Cscript%3Ealert%281%29%3C%2Fscript%3E", "&lt;script&gt;"),
        (b"\"onclick='x'", "%22onclick%3D%27x%27", "&quot;onclick=&#39;x&#39;"),
        (b"javascript:alert(1)", "javascript%3Aalert%281%29", "javascript:alert(1)"),
        (b"&lt;", "%26lt%3B", "&amp;lt;"),
        (b"?a#b%2f", "%3Fa%23b%252f", "?a#b%2f"),
        (b"\xff\xfe", "%FF%FE", "\u{fffd}\u{fffd}"),
        (b"a\nb\x1bc\x7f", "a%0Ab%1Bc%7F", "a\u{fffd}b\u{fffd}c\u{fffd}"),
        ("x\u{202e}gpj.exe".as_bytes(), "x%E2%80%AEgpj.exe", "x\u{fffd}gpj.exe"),
        ("日本 ü".as_bytes(), "%E6%97%A5%E6%9C%AC%20%C3%BC", "日本 ü"),
    ];
    for (name, href, text) in cases {
        let page = html("/", "", listing(vec![entry(name, 0, 0)]));
        assert_has(&page, &[&format!("<a href=\"{href}\"><bdi>{text}")]);
    }
    let path = html("/<script>/'\"/", "", listing(vec![]));
    assert!(!path.contains("<script>"));
    assert_has(&path, &["<bdi>&lt;script&gt;</bdi>", "<h1><bdi>&#39;&quot;</bdi></h1>"]);
}

#[test]
fn sizes_are_short_and_never_too_large() {
    let cases = [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1535, "1.4 KiB"),
        (10_239, "9.9 KiB"),
        (10_240, "10 KiB"),
        (1_048_575, "1023 KiB"),
        (1_048_576, "1.0 MiB"),
        (5_368_709_120, "5.0 GiB"),
        (u64::MAX, "15 EiB"),
    ];
    for (bytes, text) in cases {
        let page = html("/", "", listing(vec![entry(b"a", bytes, 0)]));
        assert_has(&page, &[&format!("bytes\">{text}</span>")]);
    }
}

#[test]
fn times_are_calendar_dates() {
    let cases = [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_251_199, "2024-02-29T23:59:59Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (i128::from(YEAR_0), "0000-01-01T00:00:00Z"),
        (i128::from(YEAR_0) - 1, "0000-01-01T00:00:00Z"),
        (i128::from(YEAR_9999_END), "9999-12-31T23:59:59Z"),
        (i128::from(u64::MAX), "9999-12-31T23:59:59Z"),
    ];
    for (seconds, text) in cases {
        assert_eq!(Utc::from_ns(seconds * 1_000_000_000).to_string(), text);
    }
}

#[test]
fn long_pages_come_in_small_chunks() {
    let entries: Vec<_> = (0..1000).map(|n| entry(format!("{n}").as_bytes(), n, 0)).collect();
    let sizes: Vec<_> = html::page(b"/", view(""), listing(entries), html::Forms::default())
        .map(|chunk| chunk.len())
        .collect();
    assert_eq!(sizes.len(), 2 + 1000_usize.div_ceil(CHUNK_ENTRIES));
    assert!(sizes.iter().all(|&size| size > 0 && size < 32 * 1024), "{sizes:?}");
}

proptest! {
    /// Whatever the names, the page has the tags of a page with harmless names, and the document is JSON.
    #[test]
    fn no_name_changes_the_structure(names in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 1..20), 1..5,
    )) {
        let tags = |page: String| {
            page.split('<').skip(1).map(|tag| tag.split(['>', ' ']).next().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let list = |plain: bool| listing(names.iter()
            .map(|name| entry(if plain { b"a" } else { name }, 1, 0)).collect());
        prop_assert_eq!(tags(html("/", "", list(false))), tags(html("/", "", list(true))));
        let document = json(b"/", "", list(false));
        prop_assert_eq!(document["list"].as_array().unwrap().len(), names.len() + 1);
    }
}
