//! The command with accounts, other people's pages, proxies; `passwd` and `explain`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use rustix::process::Signal;

use super::{Served, sandbox, until};
use crate::number8;

/// `joe:pw`, `joe:a:b` and `ann:42` as they are sent.
const JOE: &str = "Authorization: Basic am9lOnB3\r\n";
const JOE_AB: &str = "Authorization: Basic am9lOmE6Yg==\r\n";
const ANN: &str = "Authorization: Basic YW5uOjQy\r\n";

/// 42, by `openssl passwd -6`.
const HASH_42: &str = "$6$saltsalt$aHjH/5eU8.TNwCG1ESLJioJx2NxeAKhCdu6P9tpoHt1q16bptbHBvBwuba9D1yxJMB/kM0omXsD8aPFA4hlZC0";

fn ask(served: &Served, request: &str, fields: &str) -> u16 {
    let text = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n{fields}\r\n"
    );
    served.connect().send(&text).rest()[9..12].parse().unwrap()
}

#[test]
fn files_of_accounts_that_everybody_may_read_or_change_get_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = sandbox();
    let users = folder.path().join("users");
    fs::write(&users, format!("ann:{HASH_42}\n")).unwrap();
    for (mode, want) in [
        (0o600, None),
        (0o660, None),
        (0o644, Some("everybody on this machine may read")),
        (0o666, Some("everybody on this machine may change")),
    ] {
        fs::set_permissions(&users, fs::Permissions::from_mode(mode)).unwrap();
        let output = number8(folder.path())
            .args(["site", "--print-config", "--auth-file", "users"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match want {
            Some(want) => assert!(said.contains(want), "{mode:o}: {said}"),
            None => assert!(!said.contains("everybody on this machine"), "{mode:o}: {said}"),
        }
    }
}

#[test]
fn a2_a3_accounts_may_do_what_their_rules_say() {
    let folder = sandbox();
    fs::write(folder.path().join("pw"), "a:b\n").unwrap();
    fs::write(folder.path().join("users"), format!("ann:{HASH_42}\n")).unwrap();
    let hashed = format!("ann:{HASH_42}@/:rw");
    // Options, request, credential, status.
    type Case<'a> = (&'a [&'a str], &'a str, &'a str, u16);
    let cases: &[Case<'_>] = &[
        // Wish 2: reading is public, writing takes a login.
        (&["--allow", "ro", "-a", "joe:pw@/:rw"], "GET /", "", 200),
        (&["--allow", "ro", "-a", "joe:pw@/:rw"], "PUT /new", "", 401),
        (&["--allow", "ro", "-a", "joe:pw@/:rw"], "PUT /new", JOE, 201),
        (&["--allow", "ro", "-a", "joe:pw@/:rw"], "DELETE /new", JOE, 204),
        // Without --allow there is only what --auth says.
        (&["-a", "joe:pw@/:ro"], "GET /", "", 401),
        (&["-a", "joe:pw@/:ro"], "GET /", JOE, 200),
        (&["-a", "joe:pw@/:ro"], "GET /", ANN, 401),
        (&["-a", "joe:pw@/:ro"], "PUT /new", JOE, 405),
        // Wish 1: add, and neither replace nor delete.
        (&["-a", "joe:pw@/:up"], "PUT /index.html", JOE, 403),
        (&["-a", "joe:pw@/:up"], "DELETE /index.html", JOE, 403),
        (&["-a", "joe:pw@/:ro,/plain:none"], "GET /plain/a.txt", JOE, 403),
        (&["-a", "joe:pw@/:ro,/plain:none"], "GET //plain//a.txt", JOE, 403),
        (&["-a", "joe:pw@/:ro,/plain:none"], "GET /%70lain/a.txt", JOE, 403),
        (&["-a", "@/plain:ro"], "GET /plain/a.txt", "", 200),
        (&["-a", "@/plain:ro"], "GET /", "", 403),
        // A drop box.
        (&["-a", "@/:ro", "-a", "joe:pw@/plain:wo"], "GET /plain/a.txt", JOE, 403),
        (&["-a", "@/:ro", "-a", "@/plain:wo", "--insecure"], "GET /plain/a.txt", "", 403),
        // Passwords from elsewhere.
        (&["-a", "joe:@pw@/:ro"], "GET /", JOE_AB, 200),
        (&["-a", "joe:@pw@/:ro"], "GET /", JOE, 401),
        (&["-a", &hashed], "GET /", ANN, 200),
        (&["--auth-file", "users"], "GET /", ANN, 200),
        (&["--auth-file", "users"], "GET /", "", 401),
        (&["--auth-file", "users", "-a", "ann@/plain:ro"], "GET /", ANN, 403),
        (&["--auth-file", "users", "-a", "ann@/plain:ro"], "GET /plain/", ANN, 200),
        // Tokens.
        (&["--token", "ci:t0ken@/:rw"], "PUT /index.html", "Authorization: Bearer t0ken\r\n", 204),
        (&["--token", "ci:t0ken@/:rw"], "PUT /index.html", "Authorization: Bearer token\r\n", 401),
    ];
    for (arguments, request, fields, want) in cases {
        let served = Served::start(folder.path(), arguments);
        assert_eq!(ask(&served, request, fields), *want, "{arguments:?} {request} {fields}");
    }
}

const SHA512_DEAR: &str = "$6$rounds=999999999$saltsalt$aHjH/5eU8.TNwCG1ESLJioJx2NxeAKhCdu6P9tpoHt1q16bptbHBvBwuba9D1yxJMB/kM0omXsD8aPFA4hlZC0";

#[test]
fn a_wrong_rule_is_one_line_that_shows_no_secret() {
    let folder = sandbox();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("dear", &format!("# who may\nann:{SHA512_DEAR}\n"));
    write(
        "usual",
        "ann:$argon2id$v=19$m=256,t=200,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4\n",
    );
    for (arguments, want) in [
        (&["-a", "joe:hunter2"][..], "--auth joe:***: write name:password@/path:rights"),
        (&["-a", "joe:hunter2@/:rx"], "--auth joe:***@/:rx: there is no right 'rx'"),
        (&["-a", "joe:hunter2@/"], "say what may be done under /"),
        (&["-a", "joe@/:ro"], "joe has no password"),
        (&["-a", "joe:hunter2@/:ro", "-a", "joe:hunter2@/a:ro"], "two users called joe"),
        (&["-a", "joe:@none@/:ro"], "none: it cannot be read"),
        (&["--token", "hunter2"], "write name:token@/path:rights"),
        (&["--token", "ci@/:ro"], "write name:token@/path:rights"),
        (&["--token", "hunter2@/:all"], "--token ***@/:all: write name:token@/path:rights"),
        (&["--token", "ci:hunter2 x@/:ro"], "a token is letters, digits"),
        (&["--auth-file", "none"], "the file of passwords cannot be read"),
        (&["--auth-file", "site/index.html"], "index.html:1: a line is name:hash"),
        (
            &["-a", &format!("joe:{SHA512_DEAR}@/:ro")],
            "with the hash of joe each login takes about 500 s of work, and 5s are allowed: make a new hash, or allow more (number8 passwd",
        ),
        (
            &["--auth-file", "dear"],
            "--auth-file dear: dear:2: with the hash of ann each login takes about 500 s of work",
        ),
        (&["--login-work", "5"], "--login-work 5: a duration is a number and ms, s, m, h or d"),
        (
            &["--auth-file", "usual", "--login-work", "10ms"],
            "about 1 s of work, and 10ms are allowed: make a new hash, or allow more (number8 passwd, --login-work)",
        ),
        (
            &[
                "--webrepl=127.0.0.1:0",
                "--webrepl-password",
                &format!("me:{SHA512_DEAR}"),
                "--repl",
                "-a",
                "me:hunter2@/:all",
            ],
            "webrepl-password: with the hash of me each login takes about 500 s of work",
        ),
        (&["--proxy-protocol"], "say with trusted-proxy from whom to take it"),
        (&["--trusted-proxy", "me"], "a proxy is an IP address, a network"),
        (&["--cors=app.example"], "an origin is a scheme, a host"),
        (&["--cors=https://a.example/"], "an origin is a scheme, a host"),
        (&["--login-failures", "x"], "this is a number"),
        (&["-A", "-a", "joe:hunter2@/:ro", "-b", "0.0.0.0"], "could do more there than read"),
        (&["-a", "@/in:wo", "-b", "0.0.0.0"], "could do more there than read"),
    ] {
        let output = run(folder.path(), &[&["site", "-p", "0"], arguments].concat(), "");
        assert_ne!(output.status.code(), Some(0), "{arguments:?}");
        let line = crate::complaint(&output);
        assert!(line.contains(want), "{arguments:?}: {line}");
        assert!(!line.contains("hunter2") && !line.contains("aHjH"), "{arguments:?}: {line}");
    }
    let output = run(folder.path(), &["site", "-a", "joe:hunter2@/:ro", "--print-config"], "");
    let text = crate::stdout(&output);
    assert!(text.contains("auth = [\"joe:***@/:ro\"] # from --auth"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("allow ="), "{text}");
    // A password has no rules behind it, whatever it looks like.
    let password = ["--webrepl-password", "joe:pa@/hunter2"];
    let arguments = ["site", "--webrepl", "-a", "joe:x@/:all", "--print-config"];
    let output = run(folder.path(), &[&arguments[..], &password].concat(), "");
    let text = crate::stdout(&output);
    assert!(text.contains("webrepl-password = \"joe:***\" # from"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

pub(super) fn run(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = crate::number8(folder);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a2_passwd_prints_a_line_that_logs_in() {
    let folder = sandbox();
    let output = run(folder.path(), &["passwd", "joe"], "pw\n");
    let line = crate::stdout(&output).to_owned();
    assert!(line.starts_with("joe:$argon2id$v=19$"), "{line}");
    fs::write(folder.path().join("users"), line).unwrap();
    let served = Served::start(folder.path(), &["--auth-file", "users"]);
    assert_eq!(ask(&served, "GET /", JOE), 200);
    assert_eq!(ask(&served, "GET /", JOE_AB), 401);

    let bare = run(folder.path(), &["passwd"], "pw");
    assert!(crate::stdout(&bare).starts_with("$argon2id$"));
    let none = run(folder.path(), &["passwd"], "");
    assert_eq!(none.status.code(), Some(1));
    assert!(crate::complaint(&none).contains("the password is empty"));
}

#[test]
fn a3_explain_says_which_rule_decides() {
    let folder = sandbox();
    let rules = ["--allow", "ro", "-a", "joe:pw@/in:up", "-a", "@/in:delete"];
    let explain = |arguments: &[&str]| {
        let output = run(folder.path(), &[&["explain"], &rules[..], arguments].concat(), "");
        (output.status.code(), crate::stdout(&output).to_owned())
    };
    for (arguments, lines) in [
        (
            &["GET", "/a"][..],
            &[
                "GET /a by anybody",
                "  allowed: read",
                "because",
                "  everyone may list,read under /",
            ][..],
        ),
        (
            &["put", "/in/x", "--user", "joe"],
            &[
                "PUT /in/x by joe",
                "  allowed: create, where nothing is there",
                "  refused (403): overwrite, where something is",
                "because",
                "  joe may list,read,create under /in",
                "  everyone may delete under /in",
            ],
        ),
        (
            &["PUT", "/in/x"],
            &[
                "PUT /in/x by anybody",
                "  needs a login (401): create, where nothing is there",
                "  refused (403): overwrite, where something is",
                "because",
                "  everyone may delete under /in",
            ],
        ),
        (
            &["GET", "/in/x", "--user", "jo"],
            &[
                "GET /in/x by jo",
                "  refused (403): read",
                "because",
                "  there is no account of the name jo",
                "  everyone may delete under /in",
            ],
        ),
    ] {
        let (code, text) = explain(arguments);
        // What answers is told below.
        assert_eq!(
            (code, text.lines().take(lines.len()).collect::<Vec<_>>()),
            (Some(0), lines.to_vec()),
            "{arguments:?}"
        );
    }
    let wrong = run(folder.path(), &["explain", "BREW", "/"], "");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(crate::complaint(&wrong).contains("take GET, HEAD, PUT"));
}

/// What is asked for is what the live server asks for.
#[test]
fn a3_explain_asks_for_the_rights_that_what_is_there_takes() {
    let folder = sandbox();
    let rules = [
        "--board",
        "--events=/events",
        "--run=sh",
        "--allow=ro",
        "-a=ann:pw@/:all",
        "-a=joe:pw@/:rw",
        "-a=eve:pw@/events:ro,events",
        "-a=del:pw@/:list,read,delete",
        "-a=sam:pw@/:rw,/in/kept:none",
    ];
    for (user, method, target, wanted) in [
        ("joe", "POST", "/events", &["  refused (403): events, to send"][..]),
        ("eve", "POST", "/events/kitchen", &["  allowed: events, to send"]),
        ("eve", "GET", "/events", &["  allowed: read, to listen"]),
        ("joe", "POST", "/events.txt", &["  allowed: create, where nothing is there"]),
        ("joe", "PUT", "/.number8/run/programs/x", &["  refused (403): run"]),
        ("ann", "POST", "/.number8/run", &["  allowed: run"]),
        ("joe", "GET", "/.number8/run", &["  refused (403): run", "answered 403 by"]),
        (
            "joe",
            "GET",
            "/.number8/board",
            &["  refused (403): run, to see the page, for /.number8/run"],
        ),
        ("ann", "GET", "/.number8/files", &["  allowed: list, to see the page, for /"]),
        ("del", "POST", "/a.txt?delete", &["  allowed: delete, by an empty form"]),
        (
            "eve",
            "POST",
            "/in/?delete=&force=1",
            &[
                "  refused (403): delete, with all that it holds, by an empty form",
                "  refused (403): create, of content that is no form",
            ],
        ),
        ("sam", "DELETE", "/in/", &["  allowed: delete, of an empty folder"]),
        (
            "sam",
            "DELETE",
            "/in/?force=1",
            &[
                "  refused (403): delete, with all that it holds, for /in/kept",
                "  sam may list,read,create,overwrite,delete,move under /",
                "  sam may do nothing under /in/kept",
            ],
        ),
        (
            "sam",
            "MOVE",
            "/in/",
            &[
                "  refused (403): delete,move, from here, for /in/kept",
                "  refused (403): create, to here, where nothing is, for /in/kept",
            ],
        ),
        ("sam", "MOVE", "/out/", &["  allowed: delete,move, from here"]),
    ] {
        let question = ["explain", "--user", user, method, target, "site"];
        let arguments = [&question[..], &rules];
        let output = run(folder.path(), &arguments.concat(), "");
        let text = crate::stdout(&output);
        for line in wanted {
            let is_told = text.lines().any(|told| told == *line);
            assert!(is_told, "{user} {method} {target}: no {line:?} in {output:?}");
        }
    }
}

#[test]
fn wish31_a_changed_file_of_passwords_counts_without_a_restart() {
    let folder = sandbox();
    let path = folder.path().join("users");
    fs::write(&path, format!("ann:{HASH_42}\n")).unwrap();
    let served = Served::start(folder.path(), &["--auth-file", "users"]);
    assert_eq!(ask(&served, "GET /", ANN), 200);
    fs::write(&path, "ann\n").unwrap();
    until("the wrong file is noticed", || {
        assert_eq!(ask(&served, "GET /", ANN), 200);
        served.messages().iter().any(|line| line.contains("users:1: a line is name:hash"))
    });
    fs::write(&path, format!("joe:{HASH_42}\n")).unwrap();
    until("Ann is gone", || ask(&served, "GET /", ANN) == 401);
}

#[test]
fn accounts_are_loaded_again_on_request() {
    let folder = sandbox();
    let file = folder.path().join("n8.toml");
    fs::write(&file, "auth = [\"joe:pw@/:ro\"]\n").unwrap();
    let served = Served::start(folder.path(), &["--config", "n8.toml"]);
    assert_eq!(ask(&served, "GET /", JOE), 200);
    fs::write(&file, "auth = [\"joe:a:b@/:ro\"]\n").unwrap();
    served.signal(Signal::HUP);
    served.message("loaded again");
    assert_eq!(ask(&served, "GET /", JOE), 401);
    assert_eq!(ask(&served, "GET /", JOE_AB), 200);
}

/// The Cookie field of a new session of Joe's; empty where there is none.
fn log_in(served: &Served, password: &str) -> String {
    let form = format!("name=joe&password={password}");
    let length = form.len();
    let text = format!(
        "POST /.number8/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    let answer = served.connect().send(&text).rest();
    let set = answer.lines().find_map(|line| line.strip_prefix("Set-Cookie: "));
    set.map_or_else(String::new, |set| format!("Cookie: {}\r\n", set.split(';').next().unwrap()))
}

#[test]
fn a5_a_login_outlives_a_reload_and_ends_with_its_password() {
    let folder = sandbox();
    let file = folder.path().join("n8.toml");
    fs::write(&file, "auth = [\"joe:pw@/:ro\"]\n").unwrap();
    let served = Served::start(folder.path(), &["--config", "n8.toml"]);
    assert_eq!(log_in(&served, "no"), "");
    let cookie = log_in(&served, "pw");
    assert_eq!(ask(&served, "GET /", &cookie), 200);
    fs::write(&file, "auth = [\"joe:pw@/:rw\"]\n").unwrap();
    served.signal(Signal::HUP);
    served.message("loaded again");
    assert_eq!(ask(&served, "GET /", &cookie), 200);
    // It changes something only from a page of ours.
    assert_eq!(ask(&served, "PUT /new", &cookie), 403);
    assert_eq!(ask(&served, "PUT /new", &format!("{cookie}Origin: http://localhost\r\n")), 201);
    fs::write(&file, "auth = [\"joe:new@/:rw\"]\n").unwrap();
    served.signal(Signal::HUP);
    until("the password is another", || ask(&served, "GET /", &cookie) == 401);
}

#[test]
fn a5_session_options_have_an_effect() {
    let folder = sandbox();
    let joe = ["-a", "joe:pw@/:ro"];
    for (option, first, second) in [
        (&["--max-sessions", "1"][..], 401, 200),
        (&["--max-sessions-per-user", "1"], 401, 200),
        (&["--session-idle", "0"], 401, 401),
        (&["--session-life", "0"], 401, 401),
        (&[], 200, 200),
    ] {
        let served = Served::start(folder.path(), &[&joe[..], option].concat());
        let cookies = [log_in(&served, "pw"), log_in(&served, "pw")];
        let found = cookies.map(|cookie| ask(&served, "GET /", &cookie));
        assert_eq!(found, [first, second], "{option:?}");
    }
    let html = "Accept: text/html\r\n";
    assert_eq!(ask(&Served::start(folder.path(), &joe), "GET /", html), 303);
    let without = Served::start(folder.path(), &[&joe[..], &["--no-login-page"]].concat());
    assert_eq!(ask(&without, "GET /", html), 401);
    assert!(!without.messages().iter().any(|line| line.contains("log in:")));
    let public = Served::start(folder.path(), &["--allow", "ro", "-a", "joe:pw@/:rw"]);
    let url = format!("To log in: http://{}/.number8/login", public.url());
    assert_eq!(public.message("log in:"), url);
    assert_eq!(ask(&without, "GET /.number8/login", JOE), 404);
}

#[test]
fn a7_login_options_have_an_effect() {
    let folder = sandbox();
    let served = Served::start(folder.path(), &["-a", "joe:pw@/:ro", "--login-failures", "0"]);
    assert_eq!(ask(&served, "GET /", ANN), 401);
    assert_eq!(ask(&served, "GET /", JOE), 429);
    let served = Served::start(folder.path(), &["-a", "joe:pw@/:ro", "--login-remember", "0"]);
    assert_eq!(ask(&served, "GET /", JOE), 200);
    for (option, status) in [
        (["--login-waiting", "0"], 503),
        (["--login-waiting", "1"], 200),
        (["--login-hashes", "1"], 200),
    ] {
        let options = [&["-a", "joe:pw@/:ro"], &option[..]].concat();
        let served = Served::start(folder.path(), &options);
        assert_eq!(ask(&served, "GET /", JOE), status, "{option:?}");
    }
}

#[test]
fn g11_the_log_shows_the_user_and_the_real_client() {
    let folder = sandbox();
    let log = ["--log", "$remote_addr $user $status"];
    let forwarded = format!("X-Forwarded-For: 192.0.2.9\r\n{JOE}");
    let served = Served::start(
        folder.path(),
        &[&["-a", "joe:pw@/:ro", "--trusted-proxy", "127.0.0.0/8"], &log[..]].concat(),
    );
    assert_eq!(ask(&served, "GET /", &forwarded), 200);
    served.message("192.0.2.9 joe 200");
    let served = Served::start(folder.path(), &[&["-a", "joe:pw@/:ro"], &log[..]].concat());
    assert_eq!(ask(&served, "GET /", &forwarded), 200);
    served.message("127.0.0.1 joe 200");
    let announce = ["--trusted-proxy", "127.0.0.1", "--proxy-protocol"];
    let served = Served::start(folder.path(), &[&announce[..], &log[..]].concat());
    let header = "PROXY TCP4 192.0.2.8 127.0.0.1 4711 80\r\n";
    let answer = served.connect().send(&format!("{header}{}", super::last("/", ""))).rest();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    served.message("192.0.2.8 - 200");
    assert_eq!(served.get("/"), "");
}

#[test]
fn a10_g12_other_sites_are_refused_unless_they_are_named() {
    let folder = sandbox();
    let put = |served: &Served, host: &str, origin: &str| -> u16 {
        let text = format!(
            "PUT /new HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\nOrigin: {origin}\r\n\r\n"
        );
        let answer = served.connect().send(&text).rest();
        let status = answer[9..12].parse().unwrap();
        assert_eq!(status >= 400, answer.contains("--host NAME"), "{answer}");
        status
    };
    let served = Served::start(folder.path(), &["-A"]);
    assert_eq!(put(&served, "localhost", "https://app.example"), 403);
    assert_eq!(put(&served, "evil.example", "http://evil.example"), 421);
    let served = Served::start(folder.path(), &["-A", "--cors"]);
    assert_eq!(put(&served, "localhost", "https://app.example"), 403);
    assert!(served.get("/").contains("\r\nAccess-Control-Allow-Origin: *\r\n"));
    let served = Served::start(
        folder.path(),
        &["-A", "--cors=https://app.example", "--host", "farm.example"],
    );
    assert_eq!(put(&served, "farm.example", "https://app.example"), 201);
    assert_eq!(put(&served, "farm.example", "https://other.example"), 403);
    let answer = served.get_with("/", "Origin: https://app.example\r\n");
    assert!(
        answer.contains("\r\nAccess-Control-Allow-Origin: https://app.example\r\n"),
        "{answer}"
    );
    assert!(answer.contains("\r\nAccess-Control-Allow-Credentials: true\r\n"), "{answer}");
    // Where another machine has the name, this one gets the next.
    for host in [&[][..], &["--host", "farm.example"]] {
        let served = Served::start(folder.path(), &[&["-A", "--mdns=pi"], host].concat());
        for (name, is_ours) in [("pi", true), ("pi-2", true), ("pi-30", true), ("pi-x", false)] {
            let name = format!("{name}.local");
            let status = put(&served, &name, &format!("http://{name}"));
            assert_eq!(status != 421, is_ours, "{name} {host:?}: {status}");
        }
    }
}

#[test]
fn secrets_within_what_is_served_are_refused() {
    let folder = sandbox();
    let site = folder.path().join("site");
    fs::create_dir_all(site.join(".keys")).unwrap();
    fs::create_dir_all(site.join(".well-known")).unwrap();
    let configuration = "allow = \"ro\"\nauth = [\"ann:geheim@/:rw\"]\n";
    for (name, text) in [
        ("number8.toml", configuration),
        ("plain.toml", "allow = \"ro\"\n"),
        ("users", &format!("ann:{HASH_42}\n")),
        (".keys/users", &format!("ann:{HASH_42}\n")),
        (".well-known/users", &format!("ann:{HASH_42}\n")),
        ("token", "t0ken-t0ken-t0ken\n"),
        ("key.pem", include_str!("../../../number8/tests/tls/key.pem")),
        ("cert.pem", include_str!("../../../number8/tests/tls/cert.pem")),
    ] {
        fs::write(site.join(name), text).unwrap();
    }
    std::os::unix::fs::symlink("site/users", folder.path().join("link")).unwrap();
    let within = "is within what is served, so clients could get it: keep it in another folder";
    for (arguments, want) in [
        (&["--auth-file", "site/users"][..], within),
        (&["--auth-file", "link"], within),
        (&["--auth-file", "site/.keys/users", "--hidden"], within),
        (&["--auth-file", "site/.well-known/users"], within),
        (&["--token", "ci:@site/token@/:ro"], within),
        (&["--tls-cert", "site/cert.pem", "--tls-key", "site/key.pem"], within),
        (&["--config", "site/number8.toml"], within),
        (
            &["--board", "--run", "sh=sh", "--programs", "site/kept"],
            "clients could get and change what others run: name another folder",
        ),
    ] {
        let mut command = crate::number8(folder.path());
        command.args(["site", "-b", "127.0.0.1:0"]).args(arguments);
        let mut served = Served::run(command);
        served.message(want);
        // What stands in a file is none of whoever types.
        let code = if arguments[0] == "--config" { 78 } else { 2 };
        assert_eq!(served.ended().code(), Some(code), "{arguments:?}");
    }
    for arguments in [["--auth-file", "site/.keys/users"], ["--config", "site/plain.toml"]] {
        drop(Served::start(folder.path(), &arguments));
    }
    // Which folder it is about is a guess here.
    let output = run(&site, &["explain", "--auth-file", "users", "--allow", "ro", "GET", "/"], "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let served = Served::start(folder.path(), &["--log-file", "site/log"]);
    served.message("site/log is within what is served, so clients could read the log");
}
