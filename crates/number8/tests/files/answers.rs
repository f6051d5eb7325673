//! What is true of every answer of the room: methods, fields, types, error pages.

use bytes::Bytes;
use number8::{App, ErrorPage, IntoResponse, Method, Response};

use super::{Site, noise, prose, serve, serve_app};

#[test]
pub(crate) fn b8_f5_the_type_goes_by_the_extension() {
    let site = Site::new(&[]);
    let types = [
        ("a.html", "text/html; charset=utf-8"),
        ("a.CSS", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.tar.gz", "application/gzip"),
        ("README", "application/octet-stream"),
        // Overridden.
        ("a.log", "text/x-log"),
        ("a.md", "text/plain; charset=us-ascii"),
    ];
    for (name, _) in types {
        // Content is never looked at.
        site.write(name, "<html>%PDF-1.4\u{0}");
    }
    let files = site.files().mime("LOG", "text/x-log").unwrap();
    let served = serve(files.mime(".md", "text/plain; charset=us-ascii").unwrap());
    for (name, expected) in types {
        let answer = served.get(&format!("/{name}"));
        assert_eq!(answer.field("Content-Type"), Some(expected), "{name}");
    }
    assert!(site.files().mime("x", "text/x\r\nX: y").is_err());
}

#[test]
pub(crate) fn h11_binary_files_arrive_as_they_are() {
    let site = Site::new(&[]);
    let every_byte: Vec<u8> = (0..=255).collect();
    for (name, content) in [
        ("bytes.bin", every_byte),
        ("small.bin", noise(64 * 1024)),
        ("large.bin", noise(64 * 1024 + 1)),
        ("larger.bin", noise(3_000_001)),
    ] {
        site.write(name, &content);
        let served = site.serve();
        for _ in 0..2 {
            let answer = served.get(&format!("/{name}"));
            assert!(answer.status == 200 && answer.body == content, "{name}");
        }
    }
}

#[test]
pub(crate) fn h12_a_head_is_that_of_the_get() {
    let site = Site::new(&[("a.txt", "a"), ("docs/b.txt", "b"), ("empty.txt", "")]);
    site.write("large.txt", prose(200_000));
    let page = ErrorPage { content_type: "text/html".to_owned(), content: "lost".into() };
    let app = App::new().mount("/", site.files()).error_page(404, page).health("/up".to_owned());
    let served = serve_app(app);
    for (target, status) in [
        ("/a.txt", 200),
        ("/large.txt", 200),
        ("/empty.txt", 200),
        ("/docs/", 200),
        ("/docs/?json", 200),
        ("/docs", 301),
        ("/missing", 404),
        ("/%00", 400),
        ("/up", 200),
    ] {
        let get = served.get(target);
        let head = served.ask("HEAD", target, &[]);
        assert_eq!((get.status, head.status), (status, status), "{target}");
        assert_eq!(get.steady_fields(), head.steady_fields(), "{target}");
    }
}

#[test]
pub(crate) fn g12_other_methods_are_told_what_may_be_asked() {
    let site = Site::new(&[("a.txt", "a")]);
    let app = App::new()
        .mount("/", site.files())
        .get("/get", async || "get")
        .post("/post", async || "post")
        .route(Method::Head, "/get", Fixed);
    let served = serve_app(app);
    let files = Some("GET, HEAD, OPTIONS");
    for (method, target, status, allow) in [
        ("OPTIONS", "/a.txt", 204, files),
        ("OPTIONS", "/missing", 204, files),
        ("OPTIONS", "*", 204, files),
        ("POST", "/a.txt", 405, files),
        ("PUT", "/a.txt", 405, files),
        ("DELETE", "/missing", 405, files),
        ("BREW", "/a.txt", 405, files),
        ("POST", "/get", 405, files),
        ("OPTIONS", "/get", 204, files),
        ("GET", "/post", 405, Some("OPTIONS, POST")),
        ("HEAD", "/post", 405, Some("OPTIONS, POST")),
        ("POST", "/post", 200, None),
    ] {
        let answer = served.ask(method, target, &["Content-Length: 0"]);
        assert_eq!(answer.status, status, "{method} {target}");
        assert_eq!(answer.field("Allow"), allow, "{method} {target}");
    }
}

struct Fixed;

impl number8::Handler for Fixed {
    fn handle(&self, _: number8::Call<'_>) -> number8::Answer {
        Response::new(204, number8::Body::empty()).into()
    }
}

/// For CORS, isolation and the like, a field has to be on every answer; once.
#[test]
pub(crate) fn h15_custom_fields_are_on_every_answer() {
    let site = Site::new(&[("a.txt", "0123456789"), ("docs/b.txt", "b")]);
    let files = site
        .files()
        .header("Access-Control-Allow-Origin", "*")
        .and_then(|files| files.header("Cache-Control", "max-age=3600"))
        .and_then(|files| files.header("expires", "0"))
        .unwrap();
    let served = serve(files);
    let held = format!("If-None-Match: {}", served.get("/a.txt").etag());
    let age = Some("max-age=3600");
    for (method, target, field, status, cache_control) in [
        ("GET", "/a.txt", "", 200, age),
        ("HEAD", "/a.txt", "", 200, age),
        ("GET", "/a.txt", "Range: bytes=0-1", 206, age),
        ("GET", "/a.txt", "Range: bytes=0-1,4-5", 206, age),
        ("GET", "/a.txt", held.as_str(), 304, age),
        // How long to keep is said of files alone.
        ("GET", "/docs", "", 301, None),
        ("GET", "/missing", "", 404, None),
        ("GET", "/%00", "", 400, None),
        ("GET", "/a.txt", "If-Match: \"x\"", 412, None),
        ("GET", "/a.txt", "Range: bytes=10-", 416, None),
        ("POST", "/a.txt", "", 405, None),
        ("OPTIONS", "/a.txt", "", 204, None),
        ("GET", "/docs/", "", 200, Some("no-cache")),
        ("GET", "/docs/?json", "", 200, Some("no-cache")),
    ] {
        let fields: &[&str] = if field.is_empty() { &[] } else { &[field] };
        let answer = served.ask(method, target, fields);
        let what = format!("{method} {target} {field}");
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(answer.field("Access-Control-Allow-Origin"), Some("*"), "{what}");
        assert_eq!(answer.field("Cache-Control"), cache_control, "{what}");
        assert_eq!(answer.field("Expires").is_some(), cache_control == age, "{what}");
    }
}

#[test]
fn h15_fields_that_cannot_be_sent_are_refused_at_once() {
    let site = Site::new(&[]);
    for (name, value) in [
        ("X", "a\r\nSet-Cookie: b"),
        ("X Y", "a"),
        ("", "a"),
        ("Content-Length", "1"),
        ("Connection", "close"),
        // What differs from file to file.
        ("etag", "\"1\""),
        ("Content-Type", "text/html"),
        ("Content-Encoding", "gzip"),
        ("Last-Modified", "now"),
    ] {
        assert!(site.files().header(name, value).is_err(), "{name}: {value}");
    }
}

#[test]
pub(crate) fn l11_fields_for_caches() {
    let site = Site::new(&[("a.txt", "a")]);
    let answer = site.serve().get("/a.txt");
    assert_eq!(answer.field("Last-Modified"), Some("Tue, 02 Jan 2024 03:04:05 GMT"));
    assert_eq!(answer.field("Accept-Ranges"), Some("bytes"));
    assert_eq!(answer.field("Cache-Control"), None, "nobody said how long");
    assert!(answer.etag().starts_with('"') && answer.etag().ends_with("-1\""));
    assert!(answer.field("Date").unwrap().ends_with(" GMT"));
}

#[test]
pub(crate) fn h10_b24_error_pages_by_status() {
    let page = |content: &'static str| ErrorPage {
        content_type: "text/html; charset=utf-8".to_owned(),
        content: Bytes::from_static(content.as_bytes()),
    };
    let site = Site::new(&[("a.txt", "0123456789")]);
    let app = App::new()
        .mount("/files", site.files())
        .error_page(404, page("lost"))
        .error_page(416, page("no such part"));
    let served = serve_app(app);
    for (method, target, field, status, text) in [
        ("GET", "/files/missing", "", 404, "lost"),
        ("GET", "/nowhere", "", 404, "lost"),
        ("HEAD", "/files/missing", "", 404, ""),
        ("GET", "/files/a.txt", "Range: bytes=10-", 416, "no such part"),
    ] {
        let fields: &[&str] = if field.is_empty() { &[] } else { &[field] };
        let answer = served.ask(method, target, fields);
        assert_eq!((answer.status, answer.text()), (status, text), "{method} {target}");
        assert_eq!(answer.field("Content-Type"), Some("text/html; charset=utf-8"));
    }
    // The others have a page of ours, which tells nothing about the machine.
    let own = served.get_with("/files/%00", &["Accept: text/html"]);
    assert!(own.text().contains("<h1>400 Bad Request</h1>"));
    assert!(!own.text().contains(site.temp.path().to_str().unwrap()));
    assert!(own.text().contains("content=\"light dark\""));
    for elsewhere in ["src", "href", "url(", "//", "@import", "<script"] {
        assert!(!own.text().contains(elsewhere), "{elsewhere}");
    }
}

/// An interim status ends no exchange: the client would wait for another.
#[test]
pub(crate) fn l4_every_answer_has_a_final_status() {
    for status in [0, 100, 101, 199, 1000, u16::MAX] {
        assert_eq!(Response::new(status, "x").status(), 500, "{status}");
        assert_eq!((status, "x").into_response().status(), 500, "{status}");
        assert_eq!(status.into_response().status(), 500, "{status}");
    }
    for status in [200, 204, 304, 404, 599, 999] {
        assert_eq!(Response::new(status, "x").status(), status);
        assert_eq!(status.into_response().status(), status);
    }
}

#[test]
fn only_our_hosts_are_answered() {
    let site = Site::new(&[("a.txt", "a")]);
    let app = App::new().mount("/", site.files()).hosts(["files.example".to_owned()]);
    let served = serve_app(app);
    for (host, status) in [
        ("files.example", 200),
        ("FILES.example:8080", 200),
        ("files.example.", 200),
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("other.example", 421),
        ("127.0.0.1.other.example", 421),
    ] {
        // The absolute form names the host in place of the Host field.
        let answer = served.get(&format!("http://{host}/a.txt"));
        assert_eq!(answer.status, status, "{host}");
    }
}
