//! Who may list and read what.

use number8::access::{Access, FileAcl, Rights, Rule};

use super::*;

/// Names the user, so that no password stands in the way.
fn serve_to_named_users(site: &Site, access: Access) -> App {
    App::new().access(access).mount("/", site.files()).before(|call| {
        let user = call.head.named("x-user").map(|name| String::from_utf8_lossy(name).into());
        call.caller.user = user;
        None
    })
}

async fn status(app: App, target: &str, user: &str) -> (u16, String) {
    let server = app.test();
    let request = server.get(target);
    let request = if user.is_empty() { request } else { request.field("X-User", user) };
    let answer = request.send().await.unwrap();
    if answer.status() == 401 {
        assert!(answer.field("www-authenticate").unwrap().starts_with("Basic "), "{answer:?}");
    }
    (answer.status(), answer.text().to_owned())
}

#[tokio::test]
async fn a3_rules_decide_about_listing_and_reading() {
    let rule = |path, rights| Rule::everyone(path, rights).unwrap();
    let access = || {
        Access::new([
            rule("/", Rights::RO),
            rule("/none", Rights::NONE),
            rule("/names", Rights::LIST),
            rule("/bodies", Rights::READ),
            Rule::user("ada", "/none", Rights::RO).unwrap(),
            Rule::user("ada", "/none/box", Rights::WO).unwrap(),
        ])
    };
    let site = Site::new(&[
        ("a.txt", "a"),
        ("none/a.txt", "secret"),
        ("none/box/a.txt", "secret"),
        ("names/index.html", "secret"),
        ("bodies/index.html", "index"),
        ("bodies/below/a.txt", "a"),
    ]);
    let cases: &[(&str, &str, u16, &str)] = &[
        ("/a.txt", "", 200, "a"),
        ("/", "", 200, "a.txt"),
        // Rows of everyone and of a user at one path: `none` there refuses.
        ("/none/a.txt", "ada", 403, "read"),
        ("/none/a.txt", "", 403, "read"),
        ("/none/", "", 403, ""),
        ("/none", "", 403, ""),
        ("/none/missing", "", 403, ""),
        ("//none//a.txt", "", 403, ""),
        ("/%6eone/a.txt", "", 403, ""),
        ("/none%2Fa.txt", "", 403, ""),
        ("/none/box/a.txt", "ada", 403, ""),
        ("/names/", "", 200, "index.html"),
        ("/names/index.html", "", 403, ""),
        ("/bodies/", "", 200, "index"),
        ("/bodies/?json", "", 403, "list"),
        ("/bodies/below/", "", 403, "list"),
        ("/bodies/below/a.txt", "", 200, "a"),
    ];
    for &(target, user, expected, text) in cases {
        // Twice: the second answer may come from memory.
        let app = serve_to_named_users(&site, access());
        let server = app.test();
        for _ in 0..2 {
            let request = server.get(target);
            let request = if user.is_empty() { request } else { request.field("X-User", user) };
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), expected, "{target} {user}: {}", answer.text());
            assert!(answer.text().contains(text), "{target} {user}: {}", answer.text());
            assert!(!answer.text().contains("secret"), "{target} {user}");
        }
    }
}

#[tokio::test]
async fn a3_a_listing_shows_no_name_that_its_reader_may_not_open() {
    let rule = |path, rights| Rule::everyone(path, rights).unwrap();
    let rules = || {
        [
            rule("/", Rights::RO),
            rule("/none", Rights::NONE),
            rule("/drop", Rights::WO),
            rule("/names", Rights::LIST),
            rule("/bodies", Rights::READ),
            rule("/secret.txt", Rights::NONE),
            Rule::user("ada", "/", Rights::RO).unwrap(),
            Rule::user("ada", "/open/ada", Rights::RO).unwrap(),
            rule("/open/ada", Rights::NONE),
            rule("/open/bob.txt", Rights::NONE),
            Rule::user("bob", "/open/bob.txt/", Rights::RO).unwrap(),
        ]
    };
    let site = Site::new(&[
        ("none/a.txt", "a"),
        ("drop/a.txt", "a"),
        ("names/a.txt", "a"),
        ("bodies/a.txt", "a"),
        ("secret.txt", "a"),
        ("secret.txt.zip", "a"),
        ("open/ada/a.txt", "a"),
        ("open/bob.txt", "a"),
        ("open/c.txt", "a"),
    ]);
    let by_function = Access::default().file_acl(|path| match path {
        b"/none/" | b"/secret.txt" => FileAcl::of_code(404),
        b"/drop/" => FileAcl::WriteOnly,
        _ => FileAcl::ReadOnly,
    });
    let root: &[&str] = &["bodies", "names", "open", "secret.txt.zip"];
    for (access, target, user, shown) in [
        (Access::new(rules()), "/", "", root),
        (Access::new(rules()), "//", "", root),
        (Access::new(rules()), "/", "ada", root),
        (Access::new(rules()), "/?sort=size", "", &["bodies", "names", "open", "secret.txt.zip"]),
        (Access::new(rules()), "/open/", "", &["c.txt"]),
        (Access::new(rules()), "/%6fpen/", "", &["c.txt"]),
        (Access::new(rules()), "/names/", "", &["a.txt"]),
        (by_function, "/", "", root),
        (Access::default(), "/open/", "", &["ada", "bob.txt", "c.txt"]),
    ] {
        let app = serve_to_named_users(&site, access);
        let server = app.test();
        let get = |accept: &'static str| {
            let request = server.get(target).field("Accept", accept);
            let request = if user.is_empty() { request } else { request.field("X-User", user) };
            request.send()
        };
        let document: serde_json::Value = get("application/json").await.unwrap().json();
        let list = document["list"].as_array().unwrap().iter();
        let names: Vec<_> = list
            .map(|entry| entry["path"].as_str().unwrap())
            .filter(|&name| name != "..")
            .collect();
        assert_eq!(names, shown, "{target} {user}");
        assert_eq!(document["total"], shown.len(), "{target} {user}");
        let page = get("text/html").await.unwrap().text().to_owned();
        for name in [
            "none",
            "drop",
            "names",
            "bodies",
            "secret.txt",
            "secret.txt.zip",
            "ada",
            "bob.txt",
            "c.txt",
        ] {
            let link = |end| page.contains(&format!("href=\"{name}{end}\""));
            assert_eq!(
                link("/") || link(""),
                shown.contains(&name),
                "{target} {user} {name}: {page}"
            );
        }
    }
}

#[tokio::test]
async fn a4_u31_a_function_decides_about_files() {
    let site = Site::new(&[("a.txt", "a"), ("in/a.txt", "a"), ("gone/a.txt", "a")]);
    let access = || {
        Access::default().file_acl(|path| match path {
            path if path.starts_with(b"/in/") => FileAcl::WriteOnly,
            path if path.starts_with(b"/gone/") => FileAcl::of_code(410),
            path if path.starts_with(b"/odd/") => FileAcl::of_code(7),
            _ => FileAcl::ReadOnly,
        })
    };
    for (target, expected) in
        [("/a.txt", 200), ("/in/a.txt", 403), ("/gone/a.txt", 410), ("/odd/a.txt", 403), ("/", 200)]
    {
        let (seen, text) = status(serve_to_named_users(&site, access()), target, "").await;
        assert_eq!(seen, expected, "{target}: {text}");
    }
}

#[tokio::test]
async fn a2_whoever_has_not_logged_in_is_asked_to_where_that_helps() {
    let site = Site::new(&[("a.txt", "a")]);
    let access = || Access::new([Rule::user("ada", "/", Rights::RO).unwrap()]);
    for (user, expected) in [("", 401), ("ada", 200), ("bob", 403)] {
        let (seen, _) = status(serve_to_named_users(&site, access()), "/a.txt", user).await;
        assert_eq!(seen, expected, "{user}");
    }
}

#[tokio::test]
async fn a3_the_document_of_a_folder_says_what_its_reader_may_do_there() {
    let everyone = |path, rights| Rule::everyone(path, rights).unwrap();
    let user = |name, rights| Rule::user(name, "/", rights).unwrap();
    let open = || Access::new([everyone("/", Rights::ALL)]);
    let ruled = || {
        Access::new([
            user("reader", Rights::RO),
            user("uploader", Rights::UP),
            user("owner", Rights::ALL),
            everyone("/lib", Rights::RO),
        ])
    };
    let all: &[&str] = &["list", "read", "create", "overwrite", "delete", "move"];
    let site = Site::new(&[("sub/a.txt", "a"), ("lib/a.txt", "a")]);
    for (access, target, user, rights) in [
        (open(), "/sub/?json", "", all),
        (Access::default(), "/sub/?json", "", &["list", "read"]),
        (ruled(), "/sub/?json", "reader", &["list", "read"]),
        (ruled(), "/sub/?json", "uploader", &["list", "read", "create"]),
        (ruled(), "/sub/?json", "owner", all),
        (ruled(), "/?json", "owner", all),
        // Where nobody may change a thing, the owner of all rights elsewhere may not either.
        (ruled(), "/lib/?json", "owner", &["list", "read"]),
    ] {
        let (seen, text) = status(serve_to_named_users(&site, access), target, user).await;
        assert_eq!(seen, 200, "{target} {user}: {text}");
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["rights"], serde_json::json!(rights), "{target} {user}");
    }
}
