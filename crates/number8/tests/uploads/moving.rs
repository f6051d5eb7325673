//! MOVE.

use number8::layers::proxies::{Proxies, Proxy};
use number8::store::OnClash;
use number8::{App, Uploads};

use super::{Shared, send, set, writable};
use crate::files::serve_app;

#[test]
pub(crate) fn f10_files_and_folders_are_moved() {
    let shared = Shared::new();
    shared.write("a", "a");
    shared.write("b", "b");
    shared.write("folder/x", "x");
    for (from, fields, status, location) in [
        ("/a", &["Destination: /new/c%20d"][..], 201, Some("/new/c%20d")),
        ("/new/c%20d", &["X-Destination: /a"], 201, Some("/a")),
        // Our own host, in any case; another one is not ours to write to.
        ("/a", &["Destination: http://A/c"], 201, Some("/c")),
        ("/c", &["Destination: http://other/c2"], 502, None),
        ("/c", &["Destination: c2"], 400, None),
        ("/c", &["Destination: /c2?x"], 400, None),
        ("/c", &["Destination: /../c2"], 400, None),
        ("/c", &["Destination: /.c2"], 403, None),
        ("/c", &[], 400, None),
        ("/c", &["Destination: /c"], 409, None),
        ("/missing", &["Destination: /c2"], 404, None),
        ("/c", &["Destination: /b", "Overwrite: F"], 412, None),
        ("/c", &["Destination: /b", "Overwrite: maybe"], 400, None),
        ("/c", &["Destination: /b", "Overwrite: T"], 204, None),
        ("/folder/", &["Destination: /b"], 409, None),
        ("/b", &["Destination: /folder"], 409, None),
        ("/folder/", &["Destination: /folder/in/itself"], 409, None),
        ("/folder/", &["Destination: /moved/"], 201, Some("/moved/")),
        ("/", &["Destination: /x"], 409, None),
    ] {
        let answer = shared.send("MOVE", from, fields, b"");
        assert_eq!(answer.status, status, "{from} {fields:?}: {answer:?}");
        assert_eq!(answer.field("Location"), location, "{from} {fields:?}");
    }
    assert_eq!(shared.read("b"), "a");
    assert_eq!(shared.names(), set(&["b", "moved", "moved/x", "new"]));
}

/// What is moved to where something else answers could be had by nobody any more.
#[tokio::test]
async fn f10_nothing_is_moved_to_where_something_else_answers() {
    let (outer, inner) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let apps = |prefix: &str| {
        let uploads = |folder: &tempfile::TempDir| Uploads::new(folder.path()).unwrap();
        let parts = |app: App| {
            let app = app.mount("/", uploads(&outer)).mount("/in", uploads(&inner));
            app.get("/route", async || "this")
        };
        match prefix.is_empty() {
            true => parts(writable()),
            false => writable().nest(prefix, parts(App::new())),
        }
    };
    for prefix in ["", "/below"] {
        let server = apps(prefix).test();
        for (to, status) in [
            ("/in/b", 409),
            ("/in", 409),
            ("/%69n/b", 409),
            ("/route", 409),
            ("/inn", 201),
            ("/out/b", 201),
        ] {
            std::fs::write(outer.path().join("a"), "a").unwrap();
            let request = server.request("MOVE", &format!("{prefix}/a"));
            let answer =
                request.field("Destination", format!("{prefix}{to}")).send().await.unwrap();
            assert_eq!(answer.status(), status, "{prefix} {to}");
            assert_eq!(outer.path().join("a").exists(), status == 409, "{prefix} {to}");
        }
        std::fs::remove_file(outer.path().join("inn")).unwrap();
        std::fs::remove_dir_all(outer.path().join("out")).unwrap();
    }
}

/// The host that the client has asked for is the one that its Destination names.
#[tokio::test]
async fn f10_g11_a_destination_is_ours_by_the_name_that_a_proxy_tells() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("a"), "a").unwrap();
    let uploads = Uploads::new(temp.path()).unwrap();
    let proxies = Proxies::new(["10.0.0.0/8".parse::<Proxy>().unwrap()]);
    let server = writable().mount("/", uploads).proxies(proxies).test();
    for (host, status) in [("inner:8080", 502), ("b.example", 502), ("a.example", 201)] {
        let request = server
            .request("MOVE", "/a")
            .from("10.0.0.1:80".parse().unwrap())
            .field("Host", "inner:8080")
            .field("X-Forwarded-Host", "a.example")
            .field("X-Forwarded-For", "192.0.2.9")
            .field("Destination", format!("https://{host}/b"));
        assert_eq!(request.send().await.unwrap().status(), status, "{host}");
    }
}

#[test]
pub(crate) fn f10_a_taken_name_goes_by_the_policy() {
    for (on_clash, status, names) in [
        (OnClash::Refuse, 409, &["a", "b"][..]),
        (OnClash::Replace, 204, &["b"]),
        (OnClash::KeepBoth, 201, &["b", "b (2)"]),
    ] {
        let shared = Shared::with(|uploads| uploads.on_clash(on_clash));
        shared.write("a", "a");
        shared.write("b", "b");
        let answer = shared.send("MOVE", "/a", &["Destination: /b"], b"");
        assert_eq!((answer.status, shared.names()), (status, set(names)), "{on_clash:?}");
    }
}

#[test]
pub(crate) fn f10_a_move_stays_below_its_mount() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("a"), "").unwrap();
    let uploads = Uploads::new(temp.path()).unwrap();
    let server = serve_app(writable().mount("/in", uploads));
    for (destination, status) in [("/b", 409), ("/inside", 409), ("/in/b", 201)] {
        let field = format!("Destination: {destination}");
        let answer = send(&server, "MOVE", "/in/a", &[&field], b"");
        assert_eq!(answer.status, status, "{destination}");
    }
    assert!(temp.path().join("b").exists());
}

/// Where the disk knows case, two names that differ in it alone are two names.
#[test]
pub(crate) fn f10_a_name_that_differs_in_case_is_another_one() {
    let shared = Shared::new();
    shared.write("a", "a");
    shared.write("A", "A");
    shared.write("link", "link");
    shared.write("folder/x", "x");
    std::fs::create_dir(shared.path("FOLDER")).unwrap();
    std::os::unix::fs::symlink("a", shared.path("LINK")).unwrap();
    for (from, to, status) in [
        ("/folder/", "/FOLDER", 409),
        ("/link", "/LINK", 409),
        ("/link", "/Link", 201),
        ("/a", "/A", 204),
    ] {
        let answer = shared.send("MOVE", from, &[&format!("Destination: {to}")], b"");
        assert_eq!(answer.status, status, "{from} {to}: {answer:?}");
    }
    assert_eq!(shared.read("A"), "a");
    let names = ["A", "folder", "folder/x", "FOLDER", "LINK", "Link"];
    assert_eq!(shared.names(), set(&names));
}
