//! `number8 board`: pages for people, as they are without scripts, and who may open them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::{Served, sandbox};

/// A board for `site`, and its password.
fn board(folder: &std::path::Path, arguments: &[&str]) -> (Served, String) {
    let mut command = crate::number8(folder);
    command.args(["board", "site", "-b", "127.0.0.1:0"]).args(arguments);
    let mut served = Served::run(command);
    served.address = Some(served.url());
    let line = served.message("log in as admin");
    let password = line.split("the password ").nth(1).unwrap().split(' ').next().unwrap();
    let password = password.to_owned();
    (served, password)
}

/// The whole answer to a request of a browser.
fn ask(served: &Served, request: &str, fields: &str, form: &str) -> String {
    let length = form.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: text/html\r\n\
         Content-Length: {length}\r\n{fields}\r\n{form}"
    );
    served.connect().send(&text).rest()
}

fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let mut values = answer.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    values.next().unwrap_or_default()
}

fn log_in(served: &Served, password: &str) -> String {
    let answer =
        ask(served, "POST /.number8/login", "", &format!("name=admin&password={password}"));
    let cookie = field(&answer, "Set-Cookie").split(';').next().unwrap_or_default();
    format!("Cookie: {cookie}\r\n")
}

#[test]
fn u11_pages_say_which_methods_would_do() {
    let folder = sandbox();
    let (served, _) = board(folder.path(), &[]);
    for (method, status) in [("POST", 405), ("OPTIONS", 204)] {
        let answer = ask(&served, &format!("{method} /.number8/board"), "", "");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method}: {answer}");
        assert_eq!(field(&answer, "Allow"), "GET, HEAD, OPTIONS", "{method}");
    }
}

#[test]
fn issue_4_a_board_makes_a_password_and_keeps_it_over_a_reload() {
    let folder = sandbox();
    let (served, password) = board(folder.path(), &[]);
    assert_eq!(password.len(), 12);
    let told = served.messages().iter().filter(|line| line.contains(&password)).count();
    assert_eq!(told, 1, "{:?}", served.messages());
    let page = ask(&served, "GET /.number8/board", "", "");
    assert_eq!(field(&page, "Location"), "/.number8/login?to=/.number8/board");
    let cookie = log_in(&served, &password);
    served.signal(Signal::HUP);
    served.message("loaded again");
    assert!(ask(&served, "GET /", &cookie, "").starts_with("HTTP/1.1 200 "));
    assert!(log_in(&served, &password).contains("number8_session"));
    let (other, another) = board(folder.path(), &[]);
    assert_ne!(another, password);
    assert!(!log_in(&other, &password).contains("number8_session"));
}

#[test]
fn issue_4_without_scripts_forms_add_and_remove_files() {
    let folder = sandbox();
    let (served, password) = board(folder.path(), &[]);
    let login = ask(&served, "GET /.number8/login", "", "");
    for part in ["name=\"name\"", "name=\"password\"", "/.number8/assets/style.css"] {
        assert!(login.contains(part), "{part}: {login}");
    }
    let policy = field(&login, "Content-Security-Policy");
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let cookie = log_in(&served, &password);
    let list = ask(&served, "GET /?list", &cookie, "");
    let action = |start: &str| {
        let from = list.find(&format!("action=\"{start}")).unwrap_or_else(|| panic!("{list}"));
        list[from + 8..].split('"').next().unwrap().replace("&amp;", "&")
    };
    let upload = format!("POST /{}", action("./?list").trim_start_matches("./"));
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"new.txt\"\r\n\r\nnew\r\n--b--\r\n";
    let multipart = format!("{cookie}Content-Type: multipart/form-data; boundary=b\r\n");
    let answer = ask(&served, &upload, &multipart, form);
    assert_eq!(field(&answer, "Location"), "/?list", "{answer}");
    assert_eq!(fs::read(folder.path().join("site/new.txt")).unwrap(), b"new");
    // Without the token, from a browser that does not say where the form was, nothing happens.
    let answer = ask(&served, "POST /?list", &multipart, &form.replace("new.txt", "other.txt"));
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let remove = format!("POST /{}", action("model.glb"));
    let urlencoded = format!("{cookie}Content-Type: application/x-www-form-urlencoded\r\n");
    let answer = ask(&served, &remove, &urlencoded, "");
    assert_eq!(field(&answer, "Location"), "./?list", "{answer}");
    assert!(!folder.path().join("site/model.glb").exists());
    let logout =
        ask(&served, "POST /.number8/logout", &format!("{cookie}Origin: http://localhost\r\n"), "");
    assert_eq!(field(&logout, "Location"), "/.number8/login");
    assert!(ask(&served, "GET /?list", &cookie, "").starts_with("HTTP/1.1 303 "));
}

/// The address that is printed leads people to what they may see.
#[test]
fn issue_4_who_may_not_run_programs_gets_the_files() {
    let folder = sandbox();
    let mut command = crate::number8(folder.path());
    command.args(["board", "site", "-b", "127.0.0.1:0", "--run", "sh=sh"]);
    command.args(["-a", "joe:pw@/:rw", "-a", "up:pw@/:create", "-a", "boss:pw@/:all"]);
    command.args(["-a", "in:pw@/in:up", "-a", "bell:pw@/:events"]);
    let mut served = Served::run(command);
    served.address = Some(served.url());
    let accounts = [
        ("am9lOnB3", "303 "),
        ("dXA6cHc=", "303 "),
        ("aW46cHc=", "303 "),
        ("YmVsbDpwdw==", "403 "),
    ];
    for (account, want) in accounts {
        let login = format!("Authorization: Basic {account}\r\n");
        let answer = ask(&served, "GET /.number8/board", &login, "");
        assert!(answer.starts_with(&format!("HTTP/1.1 {want}")), "{answer}");
        let to = field(&answer, "Location");
        assert_eq!(to, if want == "303 " { "/.number8/files" } else { "" });
        if !to.is_empty() {
            let files = ask(&served, &format!("GET {to}"), &login, "");
            assert!(
                files.starts_with("HTTP/1.1 200 ")
                    || ["/?list", "/in/?list"].contains(&field(&files, "Location")),
                "{files}"
            );
        }
    }
    let stranger = ask(&served, "GET /.number8/board", "", "");
    assert_eq!(field(&stranger, "Location"), "/.number8/login?to=/.number8/board");
}

/// It is nothing without its script, which is part of the command where `make web` has built it.
#[test]
fn issue_4_a_terminal_is_promised_where_its_page_is() {
    let folder = sandbox();
    let (served, password) = board(folder.path(), &["--run", "sh=sh", "--repl=sh"]);
    let cookie = log_in(&served, &password);
    let page = ask(&served, "GET /.number8/terminal", &cookie, "");
    let told = served.message("may run programs on this machine: ");
    assert_eq!(told.contains("a terminal"), page.starts_with("HTTP/1.1 200 "), "{told}: {page}");
    let without = served.messages().iter().any(|line| line.contains("without scripts"));
    assert_eq!(without, !told.contains("a terminal"));
}

#[test]
fn issue_4_the_first_page_is_the_index_or_the_board() {
    let folder = sandbox();
    let (served, password) = board(folder.path(), &[]);
    let cookie = log_in(&served, &password);
    assert!(ask(&served, "GET /", &cookie, "").ends_with("\r\n\r\nhello"));
    fs::remove_file(folder.path().join("site/index.html")).unwrap();
    super::until("the index is gone", || !ask(&served, "GET /", &cookie, "").ends_with("hello"));
    let page = ask(&served, "GET /", &cookie, "");
    let is_page = field(&page, "Location") == "/?list" || page.contains("aria-label=\"Pages\"");
    assert!(is_page, "{page}");
    // A program gets the listing.
    let json = served.get_with("/", &format!("{cookie}Accept: application/json\r\n"));
    assert!(json.contains("\"total\":"), "{json}");
}

#[test]
fn a10_a_board_refuses_to_be_wide_open() {
    let folder = sandbox();
    let run = |arguments: &[&str]| {
        let mut command = crate::number8(folder.path());
        command.args(["board", "site", "-p", "0"]).args(arguments).output().unwrap()
    };
    let output = run(&["--allow", "all", "-b", "0.0.0.0"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(crate::complaint(&output).contains("--insecure"), "{}", crate::complaint(&output));
    let output = run(&["--print-config"]);
    let text = crate::stdout(&output);
    for line in ["board = true # from --board", "auth = [\"admin:***@/:all\"]"] {
        assert!(text.contains(line), "{text}");
    }
    // An account of one's own needs none that is made.
    let mut command = crate::number8(folder.path());
    command.args(["board", "site", "-b", "127.0.0.1:0", "-a", "joe:pw@/:all"]);
    let served = Served::run(command);
    served.message("log in with an account of yours");
    assert!(!served.messages().iter().any(|line| line.contains("password ")));
}

/// A request of a page that is ours, for JSON.
fn json(served: &Served, request: &str, fields: &str, form: &str) -> String {
    let length = form.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: application/json\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n{fields}\r\n{form}"
    );
    served.connect().send(&text).rest()
}

const OURS: &str = "Origin: http://localhost\r\n";

#[test]
fn a10_without_a_session_of_ours_nothing_runs() {
    let folder = sandbox();
    let (served, password) = board(folder.path(), &["--run", "sh=sh", "--repl=sh"]);
    let cookie = log_in(&served, &password);
    let revoked = log_in(&served, &password);
    ask(&served, "POST /.number8/logout", &format!("{revoked}{OURS}"), "");
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for request in [
        "POST /.number8/run",
        "POST /.number8/run/stop",
        "POST /.number8/run/input",
        "PUT /.number8/run/programs/a.sh",
        "DELETE /.number8/run/programs/a.sh",
        "GET /.number8/repl",
        "PUT /evil.txt",
        "DELETE /start.html",
        "POST /.number8/events",
    ] {
        let more = if request == "GET /.number8/repl" { upgrade } else { "" };
        for (who, fields, status) in [
            ("nobody", OURS.to_owned(), "401"),
            ("a revoked session", format!("{revoked}{OURS}"), "401"),
            ("another site", format!("{cookie}Origin: http://evil.example\r\n"), "403"),
            ("another site that says so", format!("{cookie}Sec-Fetch-Site: cross-site\r\n"), "403"),
            ("a sandbox", format!("{cookie}Origin: null\r\n"), "403"),
            ("a form that says nothing", cookie.clone(), "403"),
        ] {
            let answer = json(&served, request, &format!("{fields}{more}"), "");
            assert_eq!(&answer[9..12], status, "{request} by {who}: {answer}");
        }
        // A name of somebody else's that leads here.
        let rebound = format!(
            "{request} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nContent-Length: 0\r\n{cookie}\
             Origin: http://evil.example\r\n{more}\r\n"
        );
        let answer = served.connect().send(&rebound).rest();
        assert_eq!(&answer[9..12], "421", "{request}: {answer}");
    }
    assert!(folder.path().join("site/start.html").exists());
    let started = json(&served, "POST /.number8/run", &format!("{cookie}{OURS}"), "code=true");
    assert_eq!(&started[9..12], "201", "{started}");
}

#[test]
fn x2_run_options_have_an_effect() {
    let folder = sandbox();
    let run = |arguments: &[&str], form: &str| -> String {
        let (served, password) = board(folder.path(), arguments);
        let own = format!("{}{OURS}", log_in(&served, &password));
        let started = json(&served, "POST /.number8/run", &own, form);
        if !started.starts_with("HTTP/1.1 201 ") {
            return started;
        }
        let mut state = String::new();
        super::until("the program has ended", || {
            state = json(&served, "GET /.number8/run", &own, "");
            !state.contains("\"running\"")
        });
        state
    };
    for (arguments, form, want) in [
        (&["--run", "off"][..], "code=true", "HTTP/1.1 403 "),
        (&["--run", "sh=sh"], "code=true&language=py", "HTTP/1.1 422 "),
        (&["--run", "sh=sh"], "code=exit+7", "\"exit\":{\"code\":7}"),
        (&["--run", "sh=sh", "--run-time", "50ms"], "code=sleep+600", "\"stopped\":\"time\""),
        (&["--run", "sh=sh", "--run-output", "1K"], "code=yes", "\"stopped\":\"output\""),
        // [ "$(ulimit -d)" = 65536 ] && exit 7
        (
            &["--run", "sh=sh", "--run-memory", "64M"],
            "code=%5B+%22%24(ulimit+-d)%22+%3D+65536+%5D+%26%26+exit+7",
            "\"exit\":{\"code\":7}",
        ),
    ] {
        let state = run(arguments, form);
        assert!(state.contains(want), "{arguments:?} {form}: {state}");
    }
    // Either the shell cannot start that many, or it is ended when it has.
    let many = "code=for+n+in+1+2+3+4+5+6+7+8%3B+do+sleep+600+%26+done%3B+wait";
    let state = run(&["--run", "sh=sh", "--run-processes", "2"], many);
    let is_held = state.contains("\"stopped\":\"processes\"") || state.contains("\"code\":2}");
    assert!(is_held, "{state}");
    for (arguments, want) in [
        (&["--run", "sh="][..], "sh="),
        (&["--run", "sh=sh", "--run-time", "soon"], "--run-time soon"),
        (&["--run", "sh=sh", "--run-processes", "x"], "this is a number from 0"),
        (&["--run", "sh=sh", "--run-user", "no-such-user-here"], "programs cannot be run"),
        (&["--run", "sh=sh", "-a", "joe:pw@/:rw"], "nobody has the right run"),
        (&["--run", "off", "--run-at-start", "a.sh"], "this needs --run, or --board"),
        (&["--run", "sh=sh", "--run-at-start", "a/b"], "write the name of a file"),
        (
            &["--run", "sh=sh", "--programs", "outside.txt"],
            "programs cannot be kept in outside.txt",
        ),
    ] {
        let mut command = crate::number8(folder.path());
        let output = command.args(["board", "site", "-p", "0"]).args(arguments).output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{arguments:?}");
        let line = crate::complaint(&output);
        assert!(line.contains(want), "{arguments:?}: {line}");
    }
}

#[test]
fn b22_x4_a_saved_program_runs_from_the_start() {
    let folder = sandbox();
    let kept = folder.path().join("kept/programs");
    fs::create_dir_all(&kept).unwrap();
    fs::write(kept.join("hello.sh"), "echo hello; exit 3\n").unwrap();
    let start = |name: &str| {
        let options = ["--run", "sh=sh", "--programs", "kept", "--run-at-start", name];
        let (served, password) = board(folder.path(), &options);
        let own = format!("{}{OURS}", log_in(&served, &password));
        (served, own)
    };
    let (served, own) = start("hello.sh");
    let mut state = String::new();
    super::until("the program has ended", || {
        state = json(&served, "GET /.number8/run", &own, "");
        state.contains("\"ended\"")
    });
    for want in ["\"name\":\"hello.sh\"", "\"language\":\"sh\"", "\"exit\":{\"code\":3}"] {
        assert!(state.contains(want), "{want}: {state}");
    }
    assert!(json(&served, "GET /.number8/run/output", &own, "").ends_with("hello\n"));
    // It is run once: not again by a reload.
    served.signal(Signal::HUP);
    served.message("loaded again");
    assert!(json(&served, "GET /.number8/run", &own, "").contains("\"id\":1,"), "{state}");
    // That there is none such is no reason not to serve.
    let (served, own) = start("none.sh");
    served.message("run-at-start none.sh: no program of that name is saved");
    assert!(json(&served, "GET /.number8/run", &own, "").ends_with("{\"state\":\"idle\"}"));
}

#[test]
fn issue_4_programs_cannot_read_the_secrets_of_the_server() {
    if !super::has_landlock() {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    let folder = sandbox();
    for (name, content) in [
        ("password", "cow\n"),
        ("webrepl", "hay\n"),
        ("conf.toml", "token = [\"bob:straw@/:ro\"]\n"),
        ("open", "grass\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut command = crate::number8(folder.path());
    command.args(["board", "site", "-b", "127.0.0.1:0", "--run", "sh=sh", "--repl=sh"]);
    command.args(["--config", "conf.toml", "--webrepl=127.0.0.1:0"]);
    command.arg("--auth").arg(format!("admin:@{}@/:all", path("password")));
    command.arg("--webrepl-password").arg(format!("admin:@{}", path("webrepl")));
    // A terminal of the tests' own user: root would become somebody else, who may read none of it.
    let own = rustix::process::getuid().is_root().then_some(["--run-user", "root"]);
    command.args(own.into_iter().flatten());
    let mut served = Served::run(command);
    served.address = Some(served.url());
    let own = format!("{}{OURS}", log_in(&served, "cow"));
    let names = ["password", "webrepl", "conf.toml", "open"].map(&path).join("+");
    let started = json(&served, "POST /.number8/run", &own, &format!("code=cat+{names}"));
    assert!(started.starts_with("HTTP/1.1 201 "), "{started}");
    super::until("the program has ended", || {
        !json(&served, "GET /.number8/run", &own, "").contains("\"running\"")
    });
    let output = json(&served, "GET /.number8/run/output", &own, "");
    assert!(output.contains("grass"), "{output}");
    for secret in ["cow", "hay", "straw"] {
        assert!(!output.contains(secret), "{secret}: {output}");
    }
}

#[test]
fn issue_4_who_keeps_secrets_where_programs_write_is_told() {
    let folder = sandbox();
    for file in ["site/.users", "users"] {
        fs::write(folder.path().join(file), "cow\n").unwrap();
    }
    let run = ["--run", "sh=sh"];
    for (arguments, file, is_told) in [
        (&run[..], "site/.users", true),
        (&run, "users", false),
        (&["--run", "sh=sh", "--run-write", "."], "users", true),
        // The folders of tests are below /tmp.
        (&["--repl"], "users", std::env::temp_dir().starts_with("/tmp")),
        (&[], "site/.users", false),
    ] {
        let auth = format!("joe:@{file}@/:all");
        let served = Served::start(folder.path(), &[&["--auth", &auth], arguments].concat());
        let told = served.messages().iter().any(|line| line.contains("keep secrets elsewhere"));
        assert_eq!(told, is_told, "{arguments:?} {file}: {:?}", served.messages());
    }
}

/// A board of the admin's whose configuration may be written anew.
fn configured(folder: &std::path::Path, configuration: &str) -> (Served, String) {
    fs::write(folder.join("conf.toml"), configuration).unwrap();
    let mut command = crate::number8(folder);
    command.args(["board", "site", "-b", "127.0.0.1:0", "--config", "conf.toml"]);
    command.args(["--run", "py=python3 -u", "--run", "sh=sh"]);
    // Programs of the tests' own user: root would become somebody else, who may read nothing of the tests'.
    let own = rustix::process::getuid().is_root().then_some(["--run-user", "root"]);
    command.args(own.into_iter().flatten());
    let mut served = Served::run(command);
    served.address = Some(served.url());
    let own = format!("{}{OURS}", log_in(&served, "cow"));
    (served, own)
}

/// What a program writes until its end.
fn output(served: &Served, own: &str, form: &str) -> String {
    let started = json(served, "POST /.number8/run", own, form);
    assert!(started.starts_with("HTTP/1.1 201 "), "{started}");
    super::until("the program has ended", || {
        !json(served, "GET /.number8/run", own, "").contains("\"running\"")
    });
    json(served, "GET /.number8/run/output", own, "")
}

#[test]
fn issue_4_who_may_add_files_and_not_run_programs_runs_none() {
    let folder = sandbox();
    for (name, content) in [
        ("usercustomize.py", "print('JOE RUNS')"),
        ("random.py", "print('JOE RUNS')"),
        ("own.py", "name = 'imported'"),
    ] {
        fs::write(folder.path().join("site").join(name), content).unwrap();
    }
    let program = "code=import+own%0Aprint(own.name)&language=py";
    let alone = "auth = [\"admin:cow@/:all\"]\n";
    let joe = "auth = [\"admin:cow@/:all\", \"joe:hay@/:up\"]\n";
    let (served, own) = configured(folder.path(), joe);
    let shown = output(&served, &own, "code=import+random%0Aprint(1)&language=py");
    assert!(shown.ends_with("\r\n\r\n1\n"), "{shown}");
    assert!(output(&served, &own, program).contains("No module named 'own'"));
    for (configuration, want) in [(alone, "imported"), (joe, "No module named 'own'")] {
        fs::write(folder.path().join("conf.toml"), configuration).unwrap();
        let loaded = |served: &Served| {
            served.messages().iter().filter(|line| line.contains("loaded again")).count()
        };
        let before = loaded(&served);
        served.signal(Signal::HUP);
        super::until("it is loaded again", || loaded(&served) > before);
        let shown = output(&served, &own, program);
        assert!(shown.contains(want), "{configuration}: {shown}");
    }
}

#[test]
fn issue_4_programs_cannot_read_the_secrets_that_a_reload_brings() {
    if !super::has_landlock() {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    let folder = sandbox();
    fs::write(folder.path().join("a"), "cow\n").unwrap();
    fs::write(folder.path().join("b"), "hay\n").unwrap();
    let conf = |second: &str| format!("auth = [\"admin:@a@/:all\"{second}]\n");
    let (served, own) = configured(folder.path(), &conf(""));
    let path = folder.path().display();
    let program = format!("code=cat+{path}/a+{path}/b&language=sh");
    let shown = output(&served, &own, &program);
    assert!(shown.contains("hay") && !shown.contains("cow"), "{shown}");
    fs::write(folder.path().join("conf.toml"), conf(", \"bob:@b@/:ro\"")).unwrap();
    served.signal(Signal::HUP);
    served.message("loaded again");
    let shown = output(&served, &own, &program);
    assert!(!shown.contains("hay") && !shown.contains("cow"), "{shown}");
}

/// A client hears nothing of it.
#[test]
fn why_an_answer_fails_is_told_on_standard_error() {
    let folder = sandbox();
    let interpreter = folder.path().join("interpreter");
    fs::write(&interpreter, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&interpreter, Permissions::from_mode(0o755)).unwrap();
    let mut command = crate::number8(folder.path());
    command.args(["site", "-b", "127.0.0.1:0", "--allow", "ro,run", "--run"]);
    command.arg(format!("xx={}", interpreter.display()));
    let mut served = Served::run(command);
    served.address = Some(served.url());
    fs::remove_file(&interpreter).unwrap();
    let request = "POST /.number8/run?language=xx HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\
        Content-Type: text/plain\r\nConnection: close\r\n\r\nx";
    for _ in 0..3 {
        let answer = served.connect().send(request).rest();
        assert!(answer.starts_with("HTTP/1.1 501 "), "{answer}");
        assert!(!answer.contains("os error 2"), "{answer}");
    }
    let line = served.message("number8: a handler failed: ");
    assert!(line.ends_with(", status 501: No such file or directory (os error 2)"), "{line}");
    // The same again is no news.
    let told = served.messages().iter().filter(|line| line.contains("a handler failed")).count();
    assert_eq!(told, 1);
}
