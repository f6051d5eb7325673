//! Files in a sandbox: those that somebody may write who may not run programs.

use std::fs;

use number8::access::{Access, Rights, Rule};
use number8::{App, Call, Files, Handler, IntoResponse, Prefilled, Sandboxed};

/// The head of the answer to GET of this path by anybody.
async fn head(access: &Access, files: impl Handler, path: &str) -> String {
    let files = Sandboxed::new(files, access, Rights::RUN, "/.number8/run");
    let server = App::new().access(access.clone()).mount("/", files).test();
    let client = server.connect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = String::from_utf8(client.read_to_end().await.unwrap()).unwrap();
    answer.split("\r\n\r\n").next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn design_7_files_of_strangers_are_no_pages_of_ours() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir_all(temp.path().join("in/sub")).unwrap();
    fs::create_dir_all(temp.path().join("plain")).unwrap();
    for name in ["index.html", "in/a.html", "in/sub/a.svg", "in/index.html", "b.html", "app.html"] {
        fs::write(temp.path().join(name), "<script>alert(1)</script>").unwrap();
    }
    let ann = || Rule::user("ann", "/", Rights::ALL).unwrap();
    let joe = |path: &str, rights| Rule::user("joe", path, rights).unwrap();
    let all = || Rule::everyone("/", Rights::RO).unwrap();
    let run = || joe("/.number8/run", Rights::RUN);
    let cases = [
        // Only Ann writes, and she may run programs.
        (vec![ann(), all()], "/in/a.html", false),
        (vec![ann(), all(), joe("/", Rights::RO)], "/", false),
        (vec![ann(), all(), joe("/", Rights::RO | Rights::DELETE)], "/", false),
        (vec![ann(), all(), joe("/in", Rights::UP)], "/in/a.html", true),
        (vec![ann(), all(), joe("/in", Rights::UP)], "/in/sub/a.svg", true),
        (vec![ann(), all(), joe("/in", Rights::UP)], "/b.html", false),
        (vec![ann(), all(), joe("/in", Rights::UP)], "/%69n/a.html", true),
        (vec![ann(), all(), joe("/in", Rights::WO)], "/in/", true),
        (vec![ann(), all(), joe("/in", Rights::MOVE)], "/in/a.html", true),
        // What stands for a folder may be theirs.
        (vec![ann(), all(), joe("/in/index.html", Rights::OVERWRITE)], "/in/", true),
        (vec![ann(), all(), joe("/in/index.html", Rights::OVERWRITE)], "/in/a.html", false),
        // So may what stands for a name without an extension.
        (vec![ann(), all(), joe("/b.html", Rights::OVERWRITE)], "/b", true),
        // And what a single-page app has for all that is missing.
        (vec![ann(), all(), joe("/app.html", Rights::OVERWRITE)], "/any/thing", true),
        (vec![ann(), all(), joe("/app.html", Rights::OVERWRITE)], "/b.html", false),
        (vec![ann(), all(), joe("/in", Rights::UP)], "/any/thing", false),
        // Whoever may run programs may do all of it anyway.
        (vec![ann(), all(), joe("/in", Rights::UP), run()], "/in/a.html", false),
        (vec![ann(), Rule::everyone("/", Rights::RW).unwrap()], "/b.html", true),
        // A listing is ours.
        (vec![ann(), Rule::everyone("/", Rights::RW).unwrap()], "/plain/", false),
    ];
    let files = || Files::new(temp.path()).unwrap().single_page("app.html");
    for (rules, path, want) in cases {
        let access = Access::new(rules);
        let head = head(&access, files(), path).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
        let csp = "\r\nContent-Security-Policy: sandbox allow-scripts allow-forms\r\n";
        let found = [format!("{head}\r\n").contains(csp), head.contains("nosniff")];
        assert_eq!(found, [want, want], "{path} {access:?}: {head}");
    }
}

/// A page without fields of its own, as a mounted service may send it.
struct Page;

impl Handler for Page {
    fn handle(&self, _call: Call<'_>) -> number8::Answer {
        number8::Html("<script>alert(1)</script>".to_owned()).into_response().into()
    }
}

#[tokio::test]
async fn design_7_a_page_of_strangers_needs_no_etag_to_be_in_the_sandbox() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("a.html"), "{{code}}<script>alert(1)</script>").unwrap();
    let ann = Rule::user("ann", "/", Rights::ALL).unwrap();
    let access = Access::new([ann, Rule::everyone("/", Rights::RW).unwrap()]);
    let filled = Prefilled::new(Files::new(temp.path()).unwrap(), "code", || Some("1".into()));
    let files = || Files::new(temp.path()).unwrap();
    for (head, status, want) in [
        (head(&access, filled, "/a.html").await, 200, true),
        (head(&access, Page, "/").await, 200, true),
        // What the app explains is ours.
        (head(&access, files(), "/missing").await, 404, false),
        (head(&access, files(), "/").await, 200, false),
    ] {
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_eq!(head.contains("Content-Security-Policy: sandbox "), want, "{head}");
    }
}
