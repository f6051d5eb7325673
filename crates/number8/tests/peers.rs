//! Faults that other servers had (docs/security.md): those that no other module tests.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use number8::access::{Access, Rights, Rule};
use number8::layers::access_log::{Format, Sink};
use number8::testing::TestServer;
use number8::{AccessLog, Answer, App, Call, Files, Handler, IntoResponse, Response};

async fn ask(server: &TestServer, request: &[u8]) -> String {
    let client = server.connect();
    let text = [request, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat();
    client.write_all(&text).await.unwrap();
    String::from_utf8_lossy(&client.read_to_end().await.unwrap()).into_owned()
}

async fn status(server: &TestServer, request: &str) -> u16 {
    ask(server, request.as_bytes()).await[9..12].parse().unwrap()
}

/// Answers whatever follows in the path, which it never decodes.
struct Room;

impl Handler for Room {
    fn handle(&self, call: Call<'_>) -> Answer {
        match call.may(Rights::READ) {
            Ok(()) => Response::new(200, "the secret").into(),
            Err(refusal) => refusal.into_response().into(),
        }
    }
}

/// copyparty CVE-2025-58753 and dufs 325, 521: one spelling of a path was checked and another was served.
#[tokio::test]
async fn every_spelling_of_a_path_is_decided_alike() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("private/deep")).unwrap();
    fs::create_dir(folder.path().join("public")).unwrap();
    fs::write(folder.path().join("private/secret.txt"), "the secret").unwrap();
    fs::write(folder.path().join("private/deep/secret.txt"), "the secret").unwrap();
    fs::write(folder.path().join("private/index.html"), "the secret").unwrap();
    fs::write(folder.path().join("public/a.txt"), "public").unwrap();
    let rules = [
        Rule::everyone("/", Rights::RO).unwrap(),
        Rule::everyone("/private", Rights::NONE).unwrap(),
        Rule::everyone("/pre/private", Rights::NONE).unwrap(),
    ];
    let server = App::new()
        .access(Access::new(rules))
        .mount("/", Files::new(folder.path()).unwrap())
        .mount("/pre", Files::new(folder.path()).unwrap())
        .mount("/private/room", Room)
        .mount("/room%25", Room)
        .test();
    assert_eq!(status(&server, "GET /public/a.txt").await, 200);
    assert!(ask(&server, b"GET /room%25/%zz").await.contains("the secret"));
    for path in [
        "/private",
        "/private/",
        "/private/?json",
        "/private/index.html",
        "/private/secret.txt",
        "/private/deep/secret.txt",
        "//private/secret.txt",
        "/private//secret.txt",
        "/%70rivate/secret.txt",
        "/%70%72%69%76%61%74%65/secret.txt",
        "/private%2fsecret.txt",
        "/private%2Fsecret.txt",
        "/./private/secret.txt",
        "/public/../private/secret.txt",
        "/public/%2e%2e/private/secret.txt",
        "/public/..%2fprivate/secret.txt",
        "/public/..%5cprivate/secret.txt",
        "/public/.%2e/private/secret.txt",
        "/private/secret.txt/",
        "/private/secret.txt?x=/public/a.txt",
        "/pre/private/secret.txt",
        "/pre//private/secret.txt",
        "/pre/../private/secret.txt",
        "http://a/private/secret.txt",
        // What is no escape is none alone: those around it are undone all the same.
        "/private/room/%zz",
        "/priv%61te/room/%zz",
        "/priv%61te/%72oom/%",
        "/priv%61te/room%zz/",
        "/priv%61te/%zz",
    ] {
        // A second time, too: what is kept in memory is no way round.
        for method in ["GET", "HEAD", "GET"] {
            let answer = ask(&server, format!("{method} {path}").as_bytes()).await;
            let found: u16 = answer[9..12].parse().unwrap();
            assert!((400..500).contains(&found), "{method} {path}: {answer}");
            assert!(!answer.contains("the secret"), "{method} {path}: {answer}");
        }
    }
}

/// An index file is served under two names, and a rule for either counts.
#[tokio::test]
async fn an_index_file_is_kept_from_those_who_may_not_read_it_under_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::write(folder.path().join("docs/index.html"), "the secret").unwrap();
    fs::write(folder.path().join("docs/a.txt"), "a").unwrap();
    for (rights, listed) in [(Rights::RO, true), (Rights::READ, false)] {
        let rules = [
            Rule::everyone("/", rights).unwrap(),
            Rule::everyone("/docs/index.html", Rights::NONE).unwrap(),
        ];
        let files = Files::new(folder.path()).unwrap();
        let server = App::new().access(Access::new(rules)).mount("/", files).test();
        assert_eq!(status(&server, "GET /docs/a.txt").await, 200);
        for path in ["/docs/", "/docs/index.html", "//docs//"] {
            let answer = ask(&server, format!("GET {path}").as_bytes()).await;
            assert!(!answer.contains("the secret"), "{path}: {answer}");
            let is_listing = answer.starts_with("HTTP/1.1 200 ");
            assert_eq!(is_listing, listed && path.ends_with('/'), "{path}: {answer}");
        }
    }
}

/// A page is served without its extension, and one in place of what is missing: a rule for its own name counts there, too.
#[tokio::test]
async fn a_page_is_kept_from_those_who_may_not_read_it_under_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["plan.html", "app.html"] {
        fs::write(folder.path().join(name), "the secret").unwrap();
    }
    fs::write(folder.path().join("open.html"), "open").unwrap();
    for prefix in ["", "/in"] {
        let rule = |path: &str, rights| Rule::everyone(&format!("{prefix}{path}"), rights).unwrap();
        let rules = [
            rule("/", Rights::RO),
            rule("/app.html", Rights::NONE),
            rule("/plan.html", Rights::LIST),
            Rule::user("ann", &format!("{prefix}/plan.html"), Rights::RO).unwrap(),
        ];
        let files = Files::new(folder.path()).unwrap().single_page("app.html");
        let server = App::new()
            .access(Access::new(rules))
            .mount(prefix, files)
            .before(|call| {
                call.caller.user =
                    call.head.query().map(|name| String::from_utf8_lossy(name).into());
                None
            })
            .test();
        for (path, expected) in [
            ("/open", 200),
            ("/plan", 401),
            ("/pl%61n", 401),
            ("//plan", 401),
            ("/plan?ann", 200),
            ("/missing", 403),
            ("/missing/?ann", 403),
        ] {
            // Twice: what was looked up on the disk may be found without waiting.
            for _ in 0..2 {
                let answer = ask(&server, format!("GET {prefix}{path}").as_bytes()).await;
                assert_eq!(answer[9..12], expected.to_string(), "{prefix}{path}: {answer}");
                let is_told = answer.contains("the secret");
                assert_eq!(is_told, path == "/plan?ann", "{prefix}{path}: {answer}");
            }
        }
    }
}

/// What is mounted decides about all that is below, however the path is spelled: rules know one spelling of it.
#[tokio::test]
async fn every_spelling_of_a_path_leads_to_the_same_mount() {
    let (site, music, other) = (tempfile::tempdir(), tempfile::tempdir(), tempfile::tempdir());
    let (site, music, other) = (site.unwrap(), music.unwrap(), other.unwrap());
    fs::create_dir_all(site.path().join("music/deep")).unwrap();
    for name in ["music/a.txt", "music/deep/a.txt", "b.txt"] {
        fs::write(site.path().join(name), "below").unwrap();
    }
    fs::write(music.path().join("a.txt"), "mounted").unwrap();
    fs::write(other.path().join("a.txt"), "another").unwrap();
    let files = |folder: &tempfile::TempDir| Files::new(folder.path()).unwrap();
    let inner = App::new().mount("/deep", files(&other)).mount("/", files(&music));
    let server = App::new()
        .mount("/", files(&site))
        .nest("/music", inner)
        .mount("/café", files(&other))
        .mount("/a%20b", files(&other))
        .test();
    for (path, expected) in [
        ("/b.txt", "below"),
        ("/musica.txt", ""),
        ("/music/a.txt", "mounted"),
        ("/%6dusic/a.txt", "mounted"),
        ("/music//a.txt", "mounted"),
        ("/%6Dusic///a.txt", "mounted"),
        ("/music/deep/a.txt", "another"),
        ("/music/%64eep//a.txt", "another"),
        // A slash that is escaped, or one too many, leads into no mount, and past none.
        ("//music/a.txt", ""),
        ("/music//deep/a.txt", ""),
        ("/music%2Fa.txt", ""),
        ("/%2Fmusic/a.txt", ""),
        ("/music/deep%2fa.txt", ""),
        ("/caf%C3%A9/a.txt", "another"),
        ("/caf%c3%A9/a.txt", "another"),
        ("/a%20b/a.txt", "another"),
    ] {
        let answer = ask(&server, format!("GET {path}").as_bytes()).await;
        let content = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        match expected {
            "" => assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}"),
            _ => assert_eq!(content, expected, "{path}: {answer}"),
        }
    }
}

/// What is kept in memory for one who may read is kept from one who may not.
#[tokio::test]
async fn a_kept_file_is_for_those_who_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.txt");
    fs::write(&path, "the secret").unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
    fs::File::open(&path).unwrap().set_modified(long_ago).unwrap();
    let server = App::new()
        .access(Access::new([Rule::user("joe", "/", Rights::RO).unwrap()]))
        .before(|call| {
            call.caller.user = call.head.named("X-User").map(|_| "joe".into());
            None
        })
        .mount("/", Files::new(folder.path()).unwrap())
        .test();
    for _ in 0..3 {
        let joe = server.connect();
        let text = "GET /secret.txt HTTP/1.1\r\nHost: a\r\nX-User: joe\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        joe.write_all(text.as_bytes()).await.unwrap();
        let answers = String::from_utf8(joe.read_to_end().await.unwrap()).unwrap();
        // The second request of the same connection is from nobody.
        assert!(
            answers.starts_with("HTTP/1.1 200 ") && answers.contains("the secret"),
            "{answers}"
        );
        assert_eq!(answers.matches("the secret").count(), 1, "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 401 ").count(), 1, "{answers}");
        assert!(!answers.split("HTTP/1.1 401 ").nth(1).unwrap().contains("ETag"), "{answers}");
    }
}

/// dufs 691, 669, 328, miniserve 1294.
#[tokio::test]
async fn control_characters_reach_neither_log_nor_listing() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let site = folder.path().join("site");
    fs::create_dir(&site).unwrap();
    for name in
        [&b"a\nb"[..], b"a\x1b[2Jb", b"<img src=x onerror=alert(1)>", b"\"><script>", b"plain\r"]
    {
        fs::write(site.join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    let sink = std::sync::Arc::new(Sink::file(&log).unwrap());
    let format: Format = "$method $target $user_agent $status".parse().unwrap();
    let server = App::new()
        .access_log(AccessLog { format, sink: std::sync::Arc::clone(&sink) })
        .mount("/", Files::new(&site).unwrap())
        .test();
    let page = ask(&server, b"GET /").await;
    let json = ask(&server, b"GET /?json").await;
    for listing in [&page, &json] {
        let content = listing.split("\r\n\r\n").nth(1).unwrap();
        assert!(
            !content.contains("\x1b") && !content.contains("a\nb") && !content.contains("plain\r"),
            "{content}"
        );
    }
    assert!(!page.contains("<img src=x") && !page.contains("\"><script>"), "{page}");
    for target in ["/a%0ab", "/a%1b[2Jb", "/a%0d%0aX-Evil:%201", "/a\x7fb"] {
        let answer = ask(&server, format!("GET {target}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert!(!answer.contains("X-Evil: 1\r\n") && !answer.contains('\x1b'), "{answer}");
    }
    sink.finish(std::time::Duration::from_secs(10));
    let lines = fs::read_to_string(&log).unwrap();
    assert!(lines.lines().count() >= 5, "{lines}");
    assert!(!lines.contains(|c: char| c.is_control() && c != '\n'), "{lines:?}");
    assert!(
        lines.lines().all(|line| line.starts_with("GET ") || line.starts_with("- ")),
        "{lines:?}"
    );
}

/// SWS 714: metrics stood before the login.
#[tokio::test]
async fn the_health_check_tells_nothing_and_metrics_are_none() {
    let server = App::new().health("/health".to_owned()).access(Access::new([])).test();
    let answer = ask(&server, b"GET /health").await;
    let content = answer.split("\r\n\r\n").nth(1).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && content.len() <= 3, "{answer}");
    for path in ["/metrics", "/status", "/.number8/metrics"] {
        assert_eq!(status(&server, &format!("GET {path}")).await, 404, "{path}");
    }
}

/// miniserve 0.19.5, SWS 639: a link is no way round a rule, nor out of the folder.
#[tokio::test]
async fn links_lead_out_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    fs::create_dir_all(site.join(".hidden")).unwrap();
    fs::write(site.join(".hidden/a.txt"), "the secret").unwrap();
    fs::write(folder.path().join("outside.txt"), "the secret").unwrap();
    symlink("../outside.txt", site.join("out.txt")).unwrap();
    symlink("..", site.join("up")).unwrap();
    symlink(folder.path(), site.join("absolute")).unwrap();
    let server = App::new().mount("/", Files::new(&site).unwrap()).test();
    for path in [
        "/out.txt",
        "/up/outside.txt",
        "/absolute/outside.txt",
        "/.hidden/a.txt",
        "/up/",
        "/absolute/",
    ] {
        let answer = ask(&server, format!("GET {path}").as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 4") && !answer.contains("the secret"),
            "{path}: {answer}"
        );
    }
    let listing = ask(&server, b"GET /").await;
    assert!(!listing.contains("hidden"), "{listing}");
}

/// miniserve 0.20: an upload went through a linked folder.
#[cfg(feature = "uploads")]
#[tokio::test]
async fn an_upload_goes_through_no_link_out_of_the_folder() {
    use number8::{ByMethod, Uploads};

    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    fs::create_dir(&site).unwrap();
    symlink("..", site.join("up")).unwrap();
    fs::write(folder.path().join("outside.txt"), "as it was").unwrap();
    symlink("../outside.txt", site.join("out.txt")).unwrap();
    let both = ByMethod::new()
        .with(Files::new(&site).unwrap())
        .with(Uploads::new(&site).unwrap().sync(false).keep_free(0));
    let everything = Access::new([Rule::everyone("/", Rights::ALL).unwrap()]);
    let server = App::new().access(everything).mount("/", both).test();
    for request in ["PUT /up/evil.txt", "PUT /up/outside.txt", "DELETE /up/outside.txt"] {
        assert!((400..500).contains(&status(&server, request).await), "{request}");
    }
    // A link itself may be replaced; what it leads to stays.
    status(&server, "PUT /out.txt").await;
    assert_eq!(fs::read_to_string(folder.path().join("outside.txt")).unwrap(), "as it was");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
