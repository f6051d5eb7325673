//! What is in a folder, as a page or as a document.

use std::io::Read;
use std::time::Duration;

use number8::server::Limits;
use number8::{App, Options};
use serde_json::Value;

use super::{Answer, Site, eventually, serve, serve_with};

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.field("Content-Type"), Some("application/json"));
    serde_json::from_slice(&answer.body).unwrap()
}

fn names(document: &Value) -> Vec<&str> {
    let list = document["list"].as_array().unwrap();
    list.iter().map(|entry| entry["path"].as_str().unwrap()).collect()
}

#[test]
pub(crate) fn u17_f7_a_document_for_programs() {
    let site = Site::new(&[("var/hello.txt", "42"), ("var/my_folder/x", "x"), ("var/.h", "h")]);
    let served = site.serve();
    let document = json(&served.get("/var/?json"));
    assert_eq!(document["path"], "/var/");
    assert_eq!(document["total"], 2);
    let up = serde_json::json!({"path": "..", "type": "directory", "size": 0});
    assert_eq!(document["list"][0], up);
    let folder = &document["list"][1];
    assert_eq!((&folder["path"], &folder["type"]), (&"my_folder".into(), &"directory".into()));
    assert_eq!(folder["size"], 0);
    let file = serde_json::json!({
        "path": "hello.txt",
        "type": "file",
        "size": 2,
        "modified": "2024-01-02T03:04:05Z",
        "href": "hello.txt",
    });
    assert_eq!(document["list"][2], file);
}

#[test]
pub(crate) fn u15_u17_u20_documents_are_what_uhttpd_sends() {
    let site = Site::new(&[("var/hello.txt", "42"), ("var/my_folder/x", "x"), ("index.html", "i")]);
    let served = serve(site.files().documents());
    let up = serde_json::json!({"path": "..", "type": "directory", "size": 0});
    let folder = serde_json::json!({"path": "my_folder", "type": "directory", "size": 0});
    let file = serde_json::json!({"path": "hello.txt", "type": "file", "size": 2});
    let whole = serde_json::json!({"path": "/var/", "list": [up, folder, file]});
    for target in ["/var/", "/var/?json", "/var/?list", "/var/?page=2"] {
        assert_eq!(json(&served.get_with(target, &[BROWSER])), whole, "{target}");
    }
    for (target, status) in [("/", 200), ("/var", 404), ("/index", 404), ("/index.html", 200)] {
        assert_eq!(served.get(target).status, status, "{target}");
    }
    assert_eq!(serve(site.files().documents().listing(false)).get("/var/").status, 404);
}

#[test]
pub(crate) fn f7_accept_or_the_query_chooses() {
    let site = Site::new(&[("docs/a.txt", "a"), ("home/index.html", "home")]);
    let served = site.serve();
    for (target, fields, mime) in [
        ("/docs/", &[][..], "text/html; charset=utf-8"),
        ("/docs/", &[BROWSER], "text/html; charset=utf-8"),
        ("/docs/", &["Accept: */*"], "text/html; charset=utf-8"),
        ("/docs/", &["Accept: application/json"], "application/json"),
        ("/docs/", &["Accept: application/json, */*;q=0.5"], "application/json"),
        ("/docs/?json", &[BROWSER], "application/json"),
        ("/docs/?sort=size&json", &[], "application/json"),
    ] {
        let answer = served.get_with(target, fields);
        assert_eq!(answer.field("Content-Type"), Some(mime), "{target} {fields:?}");
        assert_eq!(answer.field("Vary"), Some("Accept"), "{target} {fields:?}");
        assert_eq!(answer.field("Cache-Control"), Some("no-cache"));
    }
    // Accept is about looks; the query asks for the folder, also where its index file is kept.
    let served = serve(site.files().freshness(Duration::from_secs(3600)));
    for _ in 0..2 {
        assert_eq!(served.get_with("/home/", &["Accept: application/json"]).text(), "home");
        assert_eq!(names(&json(&served.get("/home/?json"))), ["..", "index.html"]);
    }
    // A file does not mind.
    assert_eq!(served.get("/docs/a.txt?json").text(), "a");
}

#[test]
pub(crate) fn f7_without_listings_there_is_nothing_to_see() {
    let site = Site::new(&[("docs/a.txt", "a"), ("home/index.html", "home")]);
    let served = serve(site.files().listing(false));
    assert_eq!(served.get("/docs/").status, 404);
    assert_eq!(served.get("/docs/?json").status, 404);
    // The query is the page's own then.
    assert_eq!(served.get("/home/?json").text(), "home");
}

#[test]
pub(crate) fn f7_a_page_for_people() {
    let site = Site::new(&[("docs/a b.txt", "abc"), ("docs/<i>.txt", ""), ("docs/sub/x", "x")]);
    let served = site.serve();
    let answer = served.get_with("/docs/", &[BROWSER]);
    let page = answer.text();
    for part in [
        "href=\"a%20b.txt\"",
        "&lt;i&gt;.txt",
        "href=\"sub/\"",
        "href=\"../\"",
        "2024-01-02",
        "3 bytes",
        "name=\"color-scheme\"",
        "name=\"viewport\"",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
    assert!(!served.get("/").text().contains("href=\"../\""), "the top has nothing above it");
}

#[test]
pub(crate) fn f8_pages_follow_one_another() {
    let site = Site::new(&[]);
    for number in 0..25 {
        site.write(&format!("{number}.txt"), "x".repeat(100 - number));
    }
    let served = serve(site.files().listing_page(10));
    let mut target = "/?json".to_owned();
    let mut all = Vec::new();
    let mut pages = 0;
    loop {
        let document = json(&served.get(&target));
        assert_eq!(document["total"], 25);
        assert_eq!(document["offset"], pages * 10);
        all.extend(names(&document)[1..].iter().map(|name| (*name).to_owned()));
        pages += 1;
        match document["next"].as_str() {
            Some(next) => target = format!("/{next}"),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    let by_number: Vec<String> = (0..25).map(|number| format!("{number}.txt")).collect();
    assert_eq!(all, by_number);
    let by_size = json(&served.get("/?json&sort=size&order=asc&page=2"));
    assert_eq!(names(&by_size)[1], "14.txt");
    let page = served.get("/?page=2");
    assert!(page.text().contains("rel=\"prev\"") && page.text().contains("rel=\"next\""));
    assert_eq!(names(&json(&served.get("/?json&page=9"))), [".."]);
}

/// A folder of 100,000 files: others are answered while nobody reads its listing, of which the names count, and the whole of
/// it comes.
#[test]
fn f8_a_huge_folder_holds_nobody_up() {
    const COUNT: usize = 100_000;
    let site = Site::new(&[("small/a.txt", "a"), ("huge/0.txt", "")]);
    let first = site.path("huge/0.txt");
    let mut links = first.clone();
    for number in 1..COUNT {
        // A file has at most 65,000 names.
        if number == COUNT / 2 {
            site.write("huge/half.txt", "");
            links = site.path("huge/half.txt");
            continue;
        }
        std::fs::hard_link(&links, site.path(&format!("huge/{number}.txt"))).unwrap();
    }
    let app = App::new().mount("/", site.files().listing_page(COUNT));
    let limits = Limits { buffered_bytes_max: 16 * 1024 * 1024, ..Limits::default() };
    let served = serve_with(app, Options { workers: 1, limits, ..Options::default() });
    let mut unread = served.send("GET", "/huge/?json", &[]);
    // Its head is here, so it is being written out, as far as the client lets it.
    let mut start = [0; 64];
    unread.read_exact(&mut start).unwrap();
    eventually(|| served.handle.buffered() > 40 * COUNT);
    // The only worker is free for others.
    assert_eq!(served.get("/small/a.txt").text(), "a");
    let mut rest = start.to_vec();
    unread.read_to_end(&mut rest).unwrap();
    let answer = Answer::parse(&rest, false);
    assert!(answer.text().starts_with(&format!(r#"{{"path":"/huge/","total":{COUNT},"#)));
    assert_eq!(answer.text().matches(r#""type":"file""#).count(), COUNT);
    eventually(|| served.handle.buffered() == 0);
}
