//! A place in a page of the user's, filled in.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use number8::access::{Access, Rights, Rule};
use number8::{App, Files, Prefilled, Sandboxed};

#[tokio::test]
async fn b18_a_place_in_a_page_is_filled_in() {
    let temp = tempfile::tempdir().unwrap();
    let large = format!("{{{{code}}}}{}", " ".repeat(1 << 20));
    for (name, content) in [
        ("page.html", "<textarea>{{code}}</textarea><p title=\"{{code}}\">{{other}}"),
        ("plain.html", "<p>nothing"),
        ("text.txt", "{{code}}"),
        ("large.html", &large),
    ] {
        fs::write(temp.path().join(name), content).unwrap();
    }
    let code: Arc<str> = "</textarea>\"&{{code}}".into();
    let filled = "&lt;/textarea&gt;&quot;&amp;{{code}}";
    for (text, path, want, is_kept) in [
        (
            Some(&code),
            "/page.html",
            format!("<textarea>{filled}</textarea><p title=\"{filled}\">{{{{other}}}}"),
            false,
        ),
        (None, "/page.html", "<textarea></textarea><p title=\"\">{{other}}".to_owned(), false),
        (Some(&code), "/plain.html", "<p>nothing".to_owned(), true),
        (Some(&code), "/text.txt", "{{code}}".to_owned(), true),
        (Some(&code), "/large.html", large.clone(), true),
    ] {
        let text = text.cloned();
        let files = Prefilled::new(Files::new(temp.path()).unwrap(), "code", move || text.clone());
        let server = App::new().mount("/", files).test();
        let client = server.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let answer = String::from_utf8(client.read_to_end().await.unwrap()).unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(content, want, "{path}");
        assert_eq!(head.contains("\r\nETag: "), is_kept, "{path}: {head}");
        assert_eq!(head.contains("Cache-Control: no-store"), !is_kept, "{path}: {head}");
    }
}

/// What is not looked for is not promised: the length and the tag are those of the page as it is filled.
#[tokio::test]
async fn b18_a_head_promises_nothing_that_the_page_does_not_keep() {
    let temp = tempfile::tempdir().unwrap();
    for (name, content) in [("page.html", "<p>{{code}}"), ("text.txt", "{{code}}")] {
        fs::write(temp.path().join(name), content).unwrap();
        let file = fs::File::options().write(true).open(temp.path().join(name)).unwrap();
        // The tag of a file that is young is of one moment.
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    }
    let files = Files::new(temp.path()).unwrap();
    let files = Prefilled::new(files, "code", || Some("a longer text than was there".into()));
    let server = App::new().mount("/", files).test();
    for (path, is_file) in [("/page.html", false), ("/text.txt", true)] {
        let get = server.get(path).send().await.unwrap();
        let head = server.request("HEAD", path).send().await.unwrap();
        assert_eq!((head.status(), head.text()), (200, ""), "{path}");
        for name in ["content-type", "etag", "last-modified", "accept-ranges"] {
            assert_eq!(head.field(name), get.field(name), "{path} {name}");
        }
        assert_eq!(head.field("content-length").is_some(), is_file, "{path}");
    }
}

#[tokio::test]
async fn b18_the_text_is_for_those_who_may_see_it() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("page.html"), "<p>{{code}}").unwrap();
    for (rights, want) in [(Rights::RO, "<p>"), (Rights::RO | Rights::RUN, "<p>print(8)")] {
        let access = Access::new([Rule::everyone("/", rights).unwrap()]);
        let files =
            Prefilled::new(Files::new(temp.path()).unwrap(), "code", || Some("print(8)".into()));
        let app = App::new().access(access).mount("/", files.needs(Rights::RUN, "/run"));
        let server = app.test();
        let answer = server.get("/page.html").send().await.unwrap();
        assert_eq!(answer.text(), want, "{rights}");
    }
}

#[tokio::test]
async fn b18_nothing_is_filled_into_a_page_of_strangers() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("page.html"), "<p>{{code}}").unwrap();
    let run = || Rule::everyone("/run", Rights::RUN).unwrap();
    for (rights, want) in [(Rights::RO, "<p>print(8)"), (Rights::RW, "<p>")] {
        // Joe may not run programs; where he may write, the page may be his, and send away what stands in it.
        let joe = Rule::user("joe", "/", rights).unwrap();
        let none = Rule::user("joe", "/run", Rights::NONE).unwrap();
        let access = Access::new([run(), Rule::everyone("/", Rights::RO).unwrap(), joe, none]);
        let files = Files::new(temp.path()).unwrap();
        let files = Sandboxed::new(files, &access, Rights::RUN, "/run");
        let files = Prefilled::new(files, "code", || Some("print(8)".into()));
        let app = App::new().access(access).mount("/", files.needs(Rights::RUN, "/run"));
        let answer = app.test().get("/page.html").send().await.unwrap();
        assert_eq!(answer.text(), want, "{rights}");
    }
}
