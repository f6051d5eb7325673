//! Which file a path leads to, and which paths lead nowhere.

use number8::{App, Files, Reach};

use super::{Site, serve, serve_app};

#[test]
pub(crate) fn h7_h8_b5_b18_a_path_leads_to_its_file() {
    let site = Site::new(&[
        ("index.html", "home"),
        ("about.html", "about"),
        ("docs/index.html", "docs"),
        ("docs/a b+c.txt", "spaced"),
        ("docs/\u{fc}ber.txt", "over"),
        ("100%.txt", "all"),
        (".well-known/security.txt", "contact"),
        ("empty.txt", ""),
    ]);
    let served = site.serve();
    for (target, body) in [
        ("/", "home"),
        ("/index.html", "home"),
        ("/about.html", "about"),
        // Pretty: a page without its extension.
        ("/about", "about"),
        ("/docs/", "docs"),
        ("/docs/index", "docs"),
        // Row H12: the query is no part of the name, escapes are.
        ("/about.html?x=/../../etc/passwd", "about"),
        ("/docs/a%20b+c.txt", "spaced"),
        ("/docs/%C3%BCber.txt", "over"),
        ("/docs/%c3%bcber.txt", "over"),
        ("/100%25.txt", "all"),
        ("/%69ndex.html", "home"),
        ("//docs///index.html", "docs"),
        ("/.well-known/security.txt", "contact"),
        ("/empty.txt", ""),
        // Row B6: the absolute form.
        ("http://a/about.html", "about"),
        ("http://a", "home"),
    ] {
        // Twice: found, and kept.
        for _ in 0..2 {
            let answer = served.get(target);
            assert_eq!((answer.status, answer.text()), (200, body), "{target}");
        }
    }
}

#[test]
pub(crate) fn h9_b20_h12_other_paths_lead_nowhere() {
    let site = Site::new(&[
        ("index.html", "home"),
        (".secret", "secret"),
        (".git/config", "secret"),
        ("docs/readme.txt", "read me"),
    ]);
    std::os::unix::fs::symlink("/etc/passwd", site.path("out.txt")).unwrap();
    std::os::unix::fs::symlink("docs/readme.txt", site.path("in.txt")).unwrap();
    let served = site.serve();
    let long = format!("/{}", "a".repeat(300));
    for (target, status) in [
        ("/missing", 404),
        ("/missing/", 404),
        ("/index.html/", 404),
        ("/docs/readme.txt/more", 404),
        ("/.secret", 404),
        ("/.git/config", 404),
        ("/out.txt", 404),
        (long.as_str(), 404),
        ("/../etc/passwd", 400),
        ("/docs/../index.html", 400),
        ("/docs/./readme.txt", 400),
        ("/%2e%2e/etc/passwd", 400),
        ("/docs/..%2f..%2fetc/passwd", 400),
        ("/docs%5c..%5cindex.html", 400),
        ("/index.html%00.txt", 400),
        ("/100%", 400),
        ("/%zz", 400),
        // Decoded once, not twice.
        ("/%252e%252e/etc/passwd", 404),
    ] {
        let answer = served.get(target);
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"), "{target}");
    }
    assert_eq!(served.get("/in.txt").text(), "read me", "a link within the folder");
}

#[test]
pub(crate) fn f3_hidden_names_and_outward_links_are_served_on_request() {
    let outside = Site::new(&[("shared.txt", "shared")]);
    let site = Site::new(&[(".secret", "secret")]);
    std::os::unix::fs::symlink(outside.path("shared.txt"), site.path("out.txt")).unwrap();
    let reach = Reach { hidden: true, follow_links: true };
    let served = serve(Files::with_reach(site.path(""), reach).unwrap());
    assert_eq!(served.get("/.secret").text(), "secret");
    assert_eq!(served.get("/out.txt").text(), "shared");
}

#[test]
pub(crate) fn h12_a_folder_without_its_slash_is_redirected() {
    let site = Site::new(&[
        ("docs/index.html", "docs"),
        ("docs/sub dir/x.txt", "x"),
        ("docs/http:/x.txt", "x"),
        ("evil.example/x.txt", "x"),
    ]);
    let app = App::new().mount("/", site.files()).mount("/base/music", site.files());
    let served = serve_app(app);
    for (target, location) in [
        ("/docs", "./docs/"),
        ("/docs?a=b&c=%20d", "./docs/?a=b&c=%20d"),
        ("/docs?", "./docs/?"),
        ("/docs/sub%20dir", "./sub%20dir/"),
        ("/docs//sub%20dir", "./sub%20dir/"),
        // No scheme.
        ("/docs/http:", "./http:/"),
        ("/base/music/docs", "./docs/"),
        ("/base/music/docs?x", "./docs/?x"),
        // A mount is a folder too: relative links in it need the slash.
        ("/base/music", "./music/"),
        ("/base/music?json", "./music/?json"),
        // Two slashes in front would name another host.
        ("//evil.example", "/evil.example/"),
        ("///evil.example?x", "/evil.example/?x"),
        ("/%2Fevil.example", "./%2Fevil.example/"),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = served.ask(method, target, &[]);
            assert_eq!(answer.status, 301, "{target}");
            assert_eq!(answer.field("Location"), Some(location), "{target}");
        }
    }
    // The index file of a mount may be kept: without the slash it is a redirect all the same.
    let app = App::new().mount("/docs", Files::new(site.path("docs")).unwrap());
    let served = serve_app(app);
    assert_eq!(served.get("/docs/").text(), "docs");
    assert_eq!(served.get("/docs").field("Location"), Some("./docs/"));
}

#[test]
pub(crate) fn f1_single_page_app() {
    let site = Site::new(&[
        ("index.html", "app"),
        ("real.html", "real"),
        ("logo.png", "png"),
        ("docs/a.txt", "a"),
    ]);
    let served = serve(site.files().single_page("index.html"));
    let html = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";
    for (target, fields, expected) in [
        ("/", &[][..], Some("app")),
        ("/users/7", &[], Some("app")),
        ("/users/7?tab=x", &[html], Some("app")),
        ("/users/", &["Accept: */*"], Some("app")),
        ("/real", &[html], Some("real")),
        ("/logo.png", &[html], Some("png")),
        // A missing picture is no page, but somebody who goes there gets the app.
        ("/missing.png", &["Accept: image/*,*/*;q=0.8"], None),
        ("/missing.png", &[], None),
        ("/users/john.doe", &[html], Some("app")),
        ("/.hidden", &[html], None),
    ] {
        let answer = served.get_with(target, fields);
        match expected {
            Some(body) => assert_eq!((answer.status, answer.text()), (200, body), "{target}"),
            None => assert_eq!(answer.status, 404, "{target} {fields:?}"),
        }
    }
    // Where Accept decides, caches have to know.
    for (fields, status) in [(&[html][..], 200), (&["Accept: image/*"], 404)] {
        let answer = served.get_with("/users/john.doe", fields);
        assert_eq!(answer.status, status);
        assert!(answer.field("Vary").unwrap().starts_with("Accept"), "{answer:?}");
        assert_ne!(answer.field("Vary"), Some("Accept-Encoding"));
    }
    let missing = serve(site.files().single_page("/gone.html"));
    assert_eq!(missing.get("/users/7").status, 404);
}

#[test]
pub(crate) fn f1_index_files_by_preference() {
    let site = Site::new(&[
        ("both/index.html", "html"),
        ("both/index.htm", "htm"),
        ("one/index.htm", "htm"),
        ("folder/index.html/x.txt", "x"),
    ]);
    let index = || ["index.html", "index.htm"].map(str::to_owned);
    let served = serve(site.files().index(index()));
    assert_eq!(served.get("/both/").text(), "html");
    assert_eq!(served.get("/one/").text(), "htm");
    assert!(served.get("/folder/").text().contains("index.html/"), "a folder is no index file");
    // One that is better comes, and goes.
    site.write("one/index.html", "html");
    assert_eq!(served.get("/one/").text(), "html");
    std::fs::remove_file(site.path("one/index.html")).unwrap();
    assert_eq!(served.get("/one/").text(), "htm");

    let none = serve(site.files().index([]));
    assert!(none.get("/both/").text().contains("index.htm"), "a listing");
    let neither = serve(site.files().index([]).listing(false));
    assert_eq!(neither.get("/both/").status, 404);
}

#[test]
pub(crate) fn f1_one_file_alone() {
    let site = Site::new(&[("only.txt", "only"), ("other.txt", "other")]);
    let file = || Files::new(site.path("only.txt")).unwrap();
    let served = serve_app(App::new().mount("/", file()).mount("/here", file()));
    for target in ["/", "/only.txt", "/here", "/here/", "/here/only.txt"] {
        for _ in 0..2 {
            let answer = served.get(target);
            assert_eq!((answer.status, answer.text()), (200, "only"), "{target}");
            assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
        }
    }
    for target in ["/other.txt", "/only.txt/", "/only", "/here/other.txt", "/x/only.txt"] {
        assert_eq!(served.get(target).status, 404, "{target}");
    }
}

#[test]
pub(crate) fn f17_the_longest_mount_decides() {
    let site = |name| Site::new(&[("name.txt", name), ("music/name.txt", "shadowed")]);
    let (root, music, rock) = (site("root"), site("music"), site("rock"));
    let app = App::new()
        .mount("/music/", music.files())
        .mount("/", root.files())
        .mount("/music/rock", rock.files())
        .get("/music/route", async || "route");
    let served = serve_app(app);
    for (target, body) in [
        ("/name.txt", "root"),
        ("/music/name.txt", "music"),
        ("/music/music/name.txt", "shadowed"),
        ("/music/rock/name.txt", "rock"),
        ("/music/route", "route"),
    ] {
        assert_eq!(served.get(target).text(), body, "{target}");
    }
    assert_eq!(served.get("/musical/name.txt").status, 404);
    let apart = serve_app(App::new().mount("/music", music.files()));
    assert_eq!(apart.get("/name.txt").status, 404);
}
