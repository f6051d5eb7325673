//! Runs the built command and looks at what it prints and how it ends.
#![allow(clippy::unwrap_used, reason = "a test stops where something is wrong")]

// An app of Python's.
mod app;
// The configuration file beside the flags.
mod configuration;
// Services of systemd.
mod services;
// The command as it serves: signals, where it listens, what it answers, how much it takes.
mod serving;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use number8_cli::options::{self, Default, Kind, Opt};
use tempfile::TempDir;

/// A folder to run in, with `site/index.html`, `site/404.html` and a FIFO-free home without a configuration file.
fn sandbox() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("site")).unwrap();
    fs::write(folder.path().join("site/index.html"), "hello").unwrap();
    fs::write(folder.path().join("site/404.html"), "gone").unwrap();
    folder
}

/// The command in that folder, with nothing of our own environment and nothing on standard input.
fn number8(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_number8"));
    command.env_clear().env("HOME", folder).current_dir(folder).stdin(Stdio::null());
    command
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// The one line on standard error; nothing may be on standard output.
fn complaint(output: &Output) -> String {
    assert_eq!(stdout(output), "");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let line = text.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {text:?}"));
    assert!(!line.contains('\n') && line.starts_with("number8: "), "not one line: {text:?}");
    line.to_owned()
}

#[test]
fn a_wrong_command_line_is_one_line_and_exit_code_2() {
    let folder = sandbox();
    let cases: &[(&[&str], &str)] = &[
        (&[], "say which folder to serve: number8 PATH"),
        (&["nope"], "PATH nope: there is no such folder or file: check the spelling, or create it"),
        (&[""], "PATH : it is empty"),
        (&["/dev/null"], "only folders and regular files are served"),
        (&["site", "more"], "one argument too many, more: PATH is one folder or file; use --mount"),
        (
            &["bord", "site"],
            "PATH bord: there is no such folder or file; did you mean number8 board?",
        ),
        (
            &["baord", "-p", "80"],
            "PATH baord: there is no such folder or file; did you mean number8 board?",
        ),
        (&["paswd"], "did you mean number8 passwd?"),
        (&["help"], "did you mean number8 --help?"),
        (&["a\nb\x1b[2J"], "PATH a\\nb\\u{1b}[2J: there is no such"),
        (
            &["site", "--prot", "1"],
            "unexpected argument '--prot' found; tip: a similar argument exists: '--port'",
        ),
        (&["site", "-p"], "a value is required for '--port <PORT>'"),
        (&["site", "-p", "http"], "--port http: a port is a number from 0 to 65535"),
        (&["site", "-p", "65536"], "from 0 to 65535"),
        (&["site", "-b", ""], "--bind : it is empty"),
        (
            &["site", "-b", "foo"],
            "--bind foo: \"foo\" is no address to listen on: it is no IP address",
        ),
        (
            &["site", "--host", "http://x"],
            "--host http://x: write a host name without scheme and port",
        ),
        (&["site", "--host", "x:80"], "without scheme and port"),
        (&["site", "--path-prefix", "x"], "--path-prefix x: a path starts with a slash"),
        (
            &["site", "--path-prefix", "/"],
            "--path-prefix /: a path starts with a slash and names something",
        ),
        (&["site", "--path-prefix", "/a//b"], "a path has no empty part"),
        (&["site", "--path-prefix", "/a/../b"], "no . or .. in it"),
        (&["site", "--path-prefix", "/a?b"], "'?' cannot be in a path"),
        (&["site", "--mount", "music"], "write /URL=DIR, such as /music=/srv/music"),
        (&["site", "--mount", "/m=nope"], "--mount /m=nope: nope: there is no such folder"),
        (&["site", "--mount", "/=site"], "something is served under / already"),
        (
            &["site", "--mount", "/a=site", "--mount", "/a/=site"],
            "something is served under /a already",
        ),
        (&["site", "--index", "a/b"], "--index a/b: write the name of a file, without a folder"),
        (&["site", "--spa=/etc/passwd"], "--spa /etc/passwd: write a path below the served folder"),
        (&["site", "--spa=../x"], "write a path below the served folder"),
        (&["site", "--error-page", "404"], "write CODE=FILE"),
        (&["site", "--error-page", "200=site/404.html"], "the code is a number from 400 to 599"),
        (&["site", "--error-page", "404=404.html"], "404.html: there is no such folder or file"),
        (&["site", "--error-page", "404=site"], "site is a folder: name a file"),
        (&["site", "--mime", "glb"], "write EXT=TYPE"),
        (&["site", "--mime", "glb=model"], "a media type is two words with a slash between"),
        (&["site", "--mime", "a/b=text/plain"], "an extension is what follows the last dot"),
        (&["site", "--header", "X-A"], "write 'Name: value' with a colon"),
        (&["site", "--header", "X A: b"], "the name of a field is letters"),
        (&["site", "--header", "X-A: b\r\nX-B: c"], "the value of a field is one line of text"),
        (&["site", "--header", "content-length: 3"], "number8 writes content-length itself"),
        (&["site", "--cache-control", ""], "--cache-control : the value of a field is one line"),
        (&["site", "--events", "/"], "--events /: a path starts with a slash"),
        (&["site", "--health", "up"], "--health up: a path starts with a slash"),
        (
            &["site", "--log", "combine"],
            "'combine' is neither short, combined, json, off nor a template",
        ),
        (&["site", "--log", "$satus"], "unknown variable $satus; known are $remote_addr"),
        (
            &["site", "--log-file", "no/a.log"],
            "--log-file no/a.log: there is no folder no: create it",
        ),
        (&["site", "--log-file", "site"], "this is a folder: name a file in it"),
        (&["site", "-qv"], "--verbose: this does not go with quiet"),
        (&["site", "--io-threads", "0"], "--io-threads 0: this is a number from 1 to 1024"),
        (&["site", "--grace", "10"], "--grace 10: a duration is a number and ms, s, m, h or d"),
        (&["site", "--timeout-idle", "0s"], "--timeout-idle 0s: give clients some time"),
        (&["site", "--max-head", "lots"], "--max-head lots: a size is a number and K, M or G"),
        (&["site", "--max-head", "1"], "this is at least 256 bytes"),
        (&["site", "--max-upload", "-3"], "--max-upload -3: a size is a number and K, M or G"),
        (&["explain", "GET", "/", "-H", "Foo"], "-H, --request-header: write 'Name: value' with"),
        (&["site", "--max-uri", "64K"], "--max-uri 64K: max-uri cannot be more than max-head"),
        (&["site", "--max-head", "1K"], "--max-head 1K: max-uri cannot be more than max-head"),
        (&["--print-completions", "tcsh"], "invalid value 'tcsh'"),
        (
            &["board", "site/404.html", "--run", "sh=sh"],
            "PATH site/404.html: programs are run in it, so it has to be a",
        ),
        (&["passwd", "a:b"], "a name is not empty, has no colon"),
        (&["passwd", "a\nb"], "and no control characters"),
        (&["passwd", "#a"], "begins with no #"),
        (
            &["service", "install", "site", "--dry-run"],
            "--dry-run stands before what is to be served",
        ),
        (&["app", "shop", "--mount", "/=site"], "--mount /=site: / is that of app already"),
        (&["site", "--health", "/x", "--ready", "/x"], "--ready /x: /x is that of health already"),
        (
            &["site", "--events", "/x", "--mount", "/x=site"],
            "--mount /x=site: /x is that of events already",
        ),
        (
            &["site", "--tls-self-signed", "--tls-key", "k"],
            "--tls-self-signed: this does not go with",
        ),
        (&["board", "bord"], "PATH bord: there is no such folder or file: check the spelling"),
        (&["config"], "requires a subcommand"),
        (&["config", "check"], "<FILE>"),
        (&["config", "chek"], "'chek'"),
    ];
    for (arguments, want) in cases {
        let output = number8(folder.path()).args(*arguments).output().unwrap();
        let line = complaint(&output);
        assert!(line.contains(want), "{arguments:?}: {line}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
    }
}

#[test]
fn a_wrong_configuration_file_is_one_line_with_its_number_and_exit_code_78() {
    let folder = sandbox();
    let cases = [
        ("path = 'site'\nprot = 80", ":2: there is no option prot; did you mean port?"),
        ("zzz = 1", ":1: there is no option zzz"),
        ("[limits]\nmax-head = '1K'", ":1: there is no option limits"),
        ("config = 'x'", "there is no option config"),
        ("port = ", ":1: "),
        ("\n\nport = 1\nport = 2", ":4: "),
        ("port = '80'", ":1: port takes a number, not a text"),
        ("hidden = 'yes'", "hidden takes true or false, not a text"),
        ("grace = 10", "grace takes a text in quotes, not a number"),
        (
            "max-head = 1.5",
            "max-head takes a number of bytes or a text such as \"64K\", not a number with a point",
        ),
        ("index = [1]", "index takes a list of texts in quotes, not a list like this one"),
        ("mount = 'x'", "mount takes a table or a list"),
        ("\nmount = { '/m' = 'nope' }", ":2: mount = /m=nope: nope: there is no such folder"),
        ("header = { 'X A' = 'b' }", ":1: header = X A: b: the name of a field"),
        ("port = 70000", ":1: port = 70000: a port is a number from 0 to 65535"),
        ("path = 'nope'", ":1: path = nope: there is no such folder"),
        ("timeout-head = '30'", ":1: timeout-head = 30: a duration is"),
        (
            "\nbind = ['foo']",
            ":2: bind = foo: \"foo\" is no address to listen on: it is no IP address (one of",
        ),
        ("quiet = true\nverbose = true", ":2: verbose = true: this does not go with quiet"),
    ];
    let path = folder.path().join("n8.toml");
    for (text, want) in cases {
        fs::write(&path, text).unwrap();
        for arguments in [["config", "check", "n8.toml"], ["site", "--config", "n8.toml"]] {
            if arguments[0] == "site" && text.starts_with("path") {
                continue; // The argument wins, so the file's path is never looked at.
            }
            let output = number8(folder.path()).args(arguments).output().unwrap();
            let line = complaint(&output);
            assert!(line.contains("number8: n8.toml:") && line.contains(want), "{text:?}: {line}");
            assert_eq!(output.status.code(), Some(78), "{text:?}: {line}");
        }
    }
}

#[test]
fn config_check_says_that_a_file_is_right() {
    let folder = sandbox();
    fs::write(
        folder.path().join("n8.toml"),
        "path = 'site'\nmime = { glb = 'model/gltf-binary' }\n",
    )
    .unwrap();
    let output = number8(folder.path()).args(["config", "check", "n8.toml"]).output().unwrap();
    assert_eq!(complaint(&output), "number8: n8.toml: no mistake found");
    assert_eq!(output.status.code(), Some(0));

    fs::write(folder.path().join("empty.toml"), "").unwrap();
    let output = number8(folder.path()).args(["config", "check", "empty.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "a service may give the path as an argument");

    fs::write(folder.path().join("open.toml"), "allow = 'rw'\nbind = ['::1', '0.0.0.0']").unwrap();
    let output = number8(folder.path()).args(["config", "check", "open.toml"]).output().unwrap();
    assert!(
        complaint(&output)
            .contains("everyone who reaches 0.0.0.0:8080 could do more there than read")
    );
    assert_eq!(output.status.code(), Some(78));

    let output = number8(folder.path()).args(["config", "check", "none.toml"]).output().unwrap();
    assert!(complaint(&output).contains("none.toml: the configuration file cannot be read"));
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn a_wrong_variable_is_one_line_and_exit_code_78() {
    let folder = sandbox();
    let cases = [
        ("NUMBER8_PORT", "http", "NUMBER8_PORT=http: a port is a number"),
        ("PORT", "x", "PORT=x: a port is a number"),
        ("NUMBER8_HIDDEN", "maybe", "NUMBER8_HIDDEN=maybe: use true or false"),
        ("NUMBER8_HEADER", "X-A: b\nbroken", "NUMBER8_HEADER=broken: write 'Name: value'"),
        ("NUMBER8_CONFIG", "none.toml", "none.toml: the configuration file cannot be read"),
    ];
    for (name, value, want) in cases {
        let output = number8(folder.path()).arg("site").env(name, value).output().unwrap();
        let line = complaint(&output);
        assert!(line.contains(want), "{name}: {line}");
        assert_eq!(output.status.code(), Some(78), "{name}: {line}");
    }
}

#[test]
fn a_variable_that_is_no_option_is_only_a_warning() {
    let folder = sandbox();
    let print = |arguments: &[&str]| {
        let command = &mut number8(folder.path());
        command
            .args(["site", "--print-config"])
            .args(arguments)
            .env("NUMBER8_PROT", "1")
            .output()
            .unwrap()
    };
    let output = print(&[]);
    assert_eq!(output.stderr, b"number8: NUMBER8_PROT is ignored: there is no such option\n");
    assert_eq!(output.status.code(), Some(0));
    assert!(print(&["-q"]).stderr.is_empty());
}

#[test]
fn what_nobody_can_do_is_a_warning() {
    let folder = sandbox();
    fs::write(folder.path().join("users"), "").unwrap();
    for (arguments, want) in [
        (
            &["--events", "/e"][..],
            "number8: nobody has the right events, so nobody can send to /e: --allow",
        ),
        (&["--events", "/e", "--allow", "ro,events"], ""),
        (
            &["--run", "py=nosuchpython", "--repl=nosuchprogram", "-a", "a:b@/:all"],
            "number8: run: there is no program nosuchpython in PATH\nnumber8: repl: there is no program nosuchprogram in",
        ),
        (
            &["--auth-file", "users"],
            "number8: nobody can log in yet: the file of auth-file is empty",
        ),
        (&["--token", "ci:0123456789abcdef@/:rw"], ""),
        (
            &["--spa=app.html"],
            "number8: spa: there is no app.html in site now, so what is missing is answered 404\n",
        ),
        (&["--spa"], ""),
        (
            &["-b", "unix:socket", "--tls-self-signed=keys"],
            "number8: nobody is shown the certificate: Unix sockets speak no TLS,",
        ),
        (&["-b", "unix:socket", "-b", ":0", "--tls-self-signed=keys"], ""),
    ] {
        let output = number8(folder.path())
            .args(["site", "--print-config"])
            .args(arguments)
            .env("PATH", "/usr/bin")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.starts_with(want) && said.is_empty() == want.is_empty(),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn a_folder_that_may_not_be_read_is_refused_with_a_hint() {
    let folder = sandbox();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(&closed).is_ok() {
        return; // root may read everything
    }
    let output = number8(folder.path()).arg("closed").output().unwrap();
    assert!(complaint(&output).contains("allow it (chmod), or run as a user who may"));
    assert_eq!(output.status.code(), Some(2));
}

/// What `--print-config` says of one option.
fn effective(output: &Output, name: &str) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let line = stdout(output).lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
    line.unwrap_or("unset").split(" #").next().unwrap_or_default().to_owned()
}

/// Files and listings do not wait for those who log in.
#[test]
fn a2_password_hashes_leave_a_thread_to_the_rest() {
    let folder = sandbox();
    let terminal =
        ["--repl", "--webrepl=127.0.0.1:0", "--webrepl-password", "joe:pw", "-a", "joe:pw@/:all"];
    for (arguments, least) in [
        (&[][..], 3),
        (&["--login-hashes", "500"], 501),
        (&["--login-hashes", "18446744073709551615"], 1024),
        (&[&["--login-hashes", "500"], &terminal[..]].concat(), 503),
    ] {
        let command = &mut number8(folder.path());
        let output = command.args(["site", "--print-config"]).args(arguments).output().unwrap();
        let threads: usize = effective(&output, "lane-threads").parse().unwrap();
        assert!(threads >= least, "{arguments:?}: {threads}");
    }
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let folder = sandbox();
    let config = folder.path().join(".config/number8/number8.toml");
    let print = |arguments: &[&str], variables: &[(&str, &str)]| {
        let command = &mut number8(folder.path());
        command
            .args(["site", "--print-config"])
            .args(arguments)
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    };
    assert_eq!(effective(&print(&[], &[]), "port"), "8080");

    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, "port = 1\nhidden = true\nindex = ['a', 'b']\n").unwrap();
    assert_eq!(effective(&print(&[], &[]), "port"), "1");
    assert_eq!(effective(&print(&[], &[("PORT", "2")]), "port"), "2");
    assert_eq!(effective(&print(&[], &[("PORT", "2"), ("NUMBER8_PORT", "3")]), "port"), "3");
    assert_eq!(effective(&print(&["-p4"], &[("NUMBER8_PORT", "3")]), "port"), "4");
    assert_eq!(effective(&print(&["-p4", "--port=5"], &[]), "port"), "5", "the last one counts");
    assert_eq!(
        effective(&print(&[], &[("NUMBER8_PORT", "")]), "port"),
        "1",
        "an empty variable is none"
    );

    assert_eq!(effective(&print(&[], &[]), "hidden"), "true");
    assert_eq!(effective(&print(&[], &[("NUMBER8_HIDDEN", "0")]), "hidden"), "false");
    // The same words with options that may have a value.
    for (word, want) in ["0", "no", "off", "false"]
        .map(|off| (off, "false"))
        .iter()
        .chain(&[("1", "true"), ("on", "true")])
    {
        let flag = format!("--repl={word}");
        assert_eq!(effective(&print(&["-a", "a:b@/:all", &flag], &[]), "repl"), *want, "{word}");
        let made = print(&[], &[("NUMBER8_TLS_SELF_SIGNED", word), ("NUMBER8_MDNS", word)]);
        assert_eq!(effective(&made, "tls-self-signed"), *want, "{word}");
        assert_eq!(effective(&made, "mdns"), *want, "{word}");
    }
    let board =
        number8(folder.path()).args(["board", "site", "--webrepl=off", "--print-config"]).output();
    assert_eq!(effective(&board.unwrap(), "webrepl"), "false");
    assert_eq!(effective(&print(&[], &[]), "index"), r#"["a", "b"]"#);
    assert_eq!(
        effective(&print(&["--index", "c,d", "--index", "e"], &[]), "index"),
        r#"["c", "d", "e"]"#
    );
    assert_eq!(
        effective(&print(&[], &[("NUMBER8_HEADER", "A: 1\nB: 2")]), "header"),
        r#"["A: 1", "B: 2"]"#
    );

    let other = folder.path().join("xdg/number8/number8.toml");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, "port = 6\n").unwrap();
    let xdg = folder.path().join("xdg");
    assert_eq!(effective(&print(&[], &[("XDG_CONFIG_HOME", xdg.to_str().unwrap())]), "port"), "6");
    assert_eq!(
        effective(&print(&[], &[("NUMBER8_CONFIG", "xdg/number8/number8.toml")]), "port"),
        "6"
    );
    assert_eq!(effective(&print(&["--config", "/dev/null"], &[]), "port"), "8080");
}

#[test]
fn defaults_follow_what_is_set() {
    let folder = sandbox();
    let print = |arguments: &[&str]| {
        number8(folder.path()).arg("--print-config").args(arguments).output().unwrap()
    };
    let cases: &[(&[&str], &str, &str)] = &[
        (&["site"], "timeout-head", r#""30s""#),
        (&["site", "--lenient"], "timeout-head", r#""120s""#),
        (&["site", "--lenient", "--timeout-head", "5s"], "timeout-head", r#""5s""#),
        (&["site"], "log", r#""short""#),
        (&["site", "-q"], "log", r#""off""#),
        (&["site", "-q", "--log-file", "a.log"], "log", r#""short""#),
        (&["site", "--spa"], "spa", "true"),
        (&["site", "--spa=app.html"], "spa", r#""app.html""#),
        (&["site", "--route-prefix", "/x"], "path-prefix", r#""/x""#),
        (&["--mount", "/a=site"], "path", "unset"),
    ];
    for (arguments, name, want) in cases {
        assert_eq!(effective(&print(arguments), name), *want, "{arguments:?}");
    }
    fs::create_dir(folder.path().join("public")).unwrap();
    assert_eq!(effective(&print(&[]), "path"), r#""./public""#);
}

#[test]
fn print_config_can_be_read_back() {
    let folder = sandbox();
    let arguments = [
        "site",
        "-p",
        "0",
        "-b",
        "::1",
        "-b",
        "unix:/run/n8.sock,mode=660",
        "--host",
        "Board.local",
        "--path-prefix",
        "/x",
        "--mount",
        "/m=site",
        "--index",
        "a,b",
        "--spa=app.html",
        "--error-page",
        "404=site/404.html",
        "--no-listing",
        "--hidden",
        "--follow-symlinks",
        "--mime",
        ".GLB=model/gltf-binary",
        "--header",
        "X-A: \"b\" 'c' \\d#e",
        "--cache-control",
        "max-age=60",
        "--cache-size",
        "1M",
        "--log",
        "$status \"$target\" $$",
        "--log-file",
        "a.log",
        "--dump",
        "--qr",
        "--lenient",
        "--no-server-header",
        "--health",
        "off",
        "--events",
        "/events",
        "--max-connections-per-ip",
        "3",
        "--min-body-rate",
        "1K",
    ];
    let first = number8(folder.path()).args(arguments).arg("--print-config").output().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
    fs::write(folder.path().join("n8.toml"), &first.stdout).unwrap();
    let second =
        number8(folder.path()).args(["--config", "n8.toml", "--print-config"]).output().unwrap();
    assert_eq!(second.status.code(), Some(0), "{}", String::from_utf8_lossy(&second.stderr));

    let without_comments = |output: &Output| -> toml::Table { stdout(output).parse().unwrap() };
    assert_eq!(without_comments(&first), without_comments(&second));
    assert!(stdout(&first).contains("port = 0 # from --port\n"));
    assert!(stdout(&second).contains("port = 0 # from n8.toml:"));
}

#[test]
fn what_is_asked_for_goes_to_standard_output() {
    let folder = sandbox();
    let cases: &[(&[&str], &str)] = &[
        (&["--help"], "Examples:"),
        (&["-h"], "--path-prefix </PREFIX>"),
        (&["--version"], concat!("number8 ", env!("CARGO_PKG_VERSION"), "\n")),
        (&["--print-completions", "bash"], "complete -F _number8"),
        (&["--print-completions", "zsh"], "#compdef number8"),
        (&["--print-completions", "fish"], "complete -c number8"),
        (&["--print-completions", "elvish"], "edit:completion:arg-completer[number8]"),
        (&["--print-completions", "powershell"], "Register-ArgumentCompleter"),
        (&["--print-manpage"], ".TH number8 1"),
        (&["site", "--print-config"], "path = \"site\""),
    ];
    for (arguments, want) in cases {
        let output = number8(folder.path()).args(*arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(stdout(&output).contains(want), "{arguments:?}: {}", stdout(&output));
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_manual_page_has_every_option_and_says_whose_it_is() {
    let folder = sandbox();
    let output = number8(folder.path()).arg("--print-manpage").output().unwrap();
    let page = stdout(&output);
    let (all, apps) = page.split_once(".SH \"OPTIONS OF NUMBER8 APP\"").unwrap();
    let (apps, others) = apps.split_once(".SH \"OPTIONS OF NUMBER8 PASSWD\"").unwrap();
    for option in options::SECTIONS.iter().flat_map(|section| section.options) {
        let written = match option.is_positional {
            true => format!("\\fI{}\\fR", option.value.replace('-', "\\-")),
            false => format!("\\fB\\-\\-{}\\fR", option.name.replace('-', "\\-")),
        };
        let found = [all, apps].map(|part| part.contains(&written));
        let is_apps = option.of == options::Use::App;
        assert_eq!(found, [!is_apps, is_apps], "{written} in {page}");
    }
    for heading in ["EXPLAIN", "SERVICE INSTALL", "CONFIG CHECK"] {
        assert!(others.contains(&format!(".SH \"OPTIONS OF NUMBER8 {heading}\"")), "{page}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let folder = sandbox();
    for arguments in [
        &["--help"][..],
        &["--print-completions", "bash"],
        &["--print-manpage"],
        &["site", "--print-config"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = number8(folder.path()).args(arguments).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            output.stderr.is_empty(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );

        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = number8(folder.path()).args(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(complaint(&output).contains("standard output: "), "{arguments:?}");
    }
}

/// The table of one section of docs/cli.md.
fn table(section: &options::Section) -> String {
    let mut table = String::from("| flag | default | what it does |\n|---|---|---|\n");
    for option in section.options {
        let default = match option.default {
            Default::Unset if option.kind == Kind::Switch => "off".to_owned(),
            Default::Unset => "–".to_owned(),
            Default::Fixed(value) => format!("`{value}`"),
            Default::Computed(how) => how.to_owned(),
        };
        table.push_str(&format!("| {} | {default} | {} |\n", flag(option), option.help));
    }
    table
}

fn flag(option: &Opt) -> String {
    if option.is_positional {
        return format!("`{}`", option.value);
    }
    let short = option.short.map_or_else(String::new, |short| format!("`-{short}`, "));
    match option.kind {
        Kind::Switch => format!("{short}`--{}`", option.name),
        Kind::OptionalText => format!("{short}`--{}[={}]`", option.name, option.value),
        _ => format!("{short}`--{} {}`", option.name, option.value),
    }
}

/// Run with `UPDATE_DOCS=1` to write the tables.
#[test]
fn the_reference_has_every_option() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let text = fs::read_to_string(&path).unwrap();
    let mut want = text.clone();
    for section in options::SECTIONS {
        let heading = format!("\n### {}\n\n", section.heading);
        let start = want
            .find(&heading)
            .unwrap_or_else(|| panic!("docs/cli.md has no heading {}", section.heading))
            + heading.len();
        let end = want[start..].find("\n\n").map_or(want.len(), |end| start + end + 1);
        want.replace_range(start..end, &table(section));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &want).unwrap();
    } else {
        assert!(
            text == want,
            "docs/cli.md is out of date: run UPDATE_DOCS=1 cargo test -p number8-cli"
        );
    }
    for argument in number8_cli::args::command().get_arguments() {
        let flag =
            argument.get_long().map_or_else(|| "`PATH`".to_owned(), |long| format!("`--{long}"));
        assert!(want.contains(&flag), "docs/cli.md lacks {flag}");
    }
}
