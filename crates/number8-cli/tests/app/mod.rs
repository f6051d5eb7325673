//! `number8 app` as it is typed: what is said before Python is asked for anything, and how Python is started.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{complaint, effective, number8, sandbox, stdout};

#[test]
fn w1_without_an_app_it_says_how_to_name_one() {
    let folder = sandbox();
    let output = number8(folder.path()).arg("app").output().unwrap();
    let line = complaint(&output);
    assert!(line.contains("Provide a WSGI application object as module:callable"), "{line}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_wrong_command_line_of_an_app_is_one_line_and_exit_code_2() {
    let folder = sandbox();
    let cases: &[(&[&str], &str)] = &[
        (&["shop.py"], "this is the name of a module, not of its file: package.module:app"),
        (&["./shop:app"], "this is the name of a module, not of its file"),
        (&["shop:"], "write MODULE:ATTRIBUTE, such as package.module:app"),
        (&[":app"], "write MODULE:ATTRIBUTE"),
        (&["shop:make()"], "write MODULE:ATTRIBUTE"),
        (&["shop", "--interface", "cgi"], "--interface cgi: this is one of auto, wsgi, asgi"),
        (&["shop", "--loop", "trio"], "--loop trio: this is one of auto, asyncio, uvloop"),
        (&["shop", "--workers", "0"], "--workers 0: this is a number from 1 to 1024"),
        (&["shop", "--threads", "many"], "--threads many: this is a number from 0 to 1024"),
        (&["shop", "--max-requests", "few"], "--max-requests few: this is a number from 0"),
        (&["shop", "--max-workers", "0"], "--max-workers 0: this is a number from 1 to 1024"),
        (&["shop", "--max-rss", "big"], "--max-rss big: "),
        (&["shop", "--max-message", "0"], "--max-message 0: this is at least 1 bytes"),
        (&["shop", "--websocket-ping", "often"], "--websocket-ping often: "),
        (&["shop", "--app-dir", "nope"], "--app-dir nope: there is no such folder"),
        (&["shop", "--root-path", "x"], "--root-path x: a path starts with a slash"),
        (&["shop", "--mount", "/m=nope"], "--mount /m=nope: nope: there is no such folder"),
        // What would promise a protection that an app does not have.
        (&["shop", "--auth", "joe:x@/:ro"], "unexpected argument '--auth' found"),
        (&["shop", "--redirect-http", ":80"], "; see number8 app --help"),
    ];
    for (arguments, want) in cases {
        let output = number8(folder.path()).arg("app").args(*arguments).output().unwrap();
        let line = complaint(&output);
        assert!(line.contains(want), "{arguments:?}: {line}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
    }
}

#[test]
fn an_app_has_settings_of_its_own() {
    let folder = sandbox();
    let print = |arguments: &[&str], variables: &[(&str, &str)]| {
        let command = &mut number8(folder.path());
        let arguments = ["app", "--print-config"].iter().chain(arguments);
        command.args(arguments).envs(variables.iter().copied()).output().unwrap()
    };
    let everybody = r#"["0.0.0.0/0", "::/0", "unix"]"#;
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: &[Case<'_>] = &[
        (&["shop"], &[], "app", r#""shop""#),
        (&[], &[("NUMBER8_APP", "shop:app")], "app", r#""shop:app""#),
        (&["shop"], &[], "workers", "1"),
        (&["shop"], &[("WEB_CONCURRENCY", "3")], "workers", "3"),
        (&["shop"], &[("WEB_CONCURRENCY", "3"), ("NUMBER8_WORKERS", "2")], "workers", "2"),
        (&["shop", "--workers=4"], &[("WEB_CONCURRENCY", "3")], "workers", "4"),
        (&["shop"], &[], "threads", "1"),
        (&["shop"], &[], "max-workers", "64"),
        (&["shop"], &[], "max-rss", "0"),
        (&["shop"], &[], "max-message", r#""1MiB""#),
        (&["shop"], &[], "websocket-ping", r#""30s""#),
        (&["shop"], &[], "io-threads", "1"),
        (&["shop"], &[], "max-body", r#""1GiB""#),
        (&["shop", "--no-respawn"], &[], "no-respawn", "true"),
        (&["shop", "--no-respawn", "--respawn"], &[], "no-respawn", "unset"),
        (&["shop"], &[("FORWARDED_ALLOW_IPS", "*")], "trusted-proxy", everybody),
        (
            &["shop"],
            &[("FORWARDED_ALLOW_IPS", "10.0.0.1, 10.1.0.0/16")],
            "trusted-proxy",
            r#"["10.0.0.1", "10.1.0.0/16"]"#,
        ),
        (&["shop"], &[], "allow", "unset"),
        (&["shop"], &[], "path", "unset"),
    ];
    for (arguments, variables, name, want) in cases {
        let printed = print(arguments, variables);
        assert_eq!(effective(&printed, name), *want, "{arguments:?} {variables:?}");
    }
}

#[test]
fn what_is_not_for_an_app_is_told_and_ignored() {
    let folder = sandbox();
    let file = folder.path().join("n8.toml");
    fs::write(&file, "app = 'shop'\nauth = ['joe:secret@/:rw']\n").unwrap();
    let print = |arguments: &[&str]| {
        let command = &mut number8(folder.path());
        command.args(arguments).args(["--config", "n8.toml", "--print-config"]).output().unwrap()
    };
    let of_app = print(&["app"]);
    let said = String::from_utf8_lossy(&of_app.stderr).into_owned();
    assert!(said.contains("auth of n8.toml:2 is ignored: it is not for an app"), "{said}");
    assert!(!stdout(&of_app).contains("auth ="));
    let of_files = print(&["site"]);
    let said = String::from_utf8_lossy(&of_files.stderr).into_owned();
    assert!(said.contains("app of n8.toml:1 is ignored: it is not for files"), "{said}");
    assert!(!stdout(&of_files).contains("workers ="));
}

/// Something called `python3` that is run in place of it.
fn python(folder: &Path, script: &str) {
    let path = folder.join("bin/python3");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn it_becomes_python_with_the_same_arguments_or_says_what_is_missing() {
    let folder = sandbox();
    let app = || {
        let mut command = number8(folder.path());
        command.env("PATH", "bin").args(["app", "shop:app", "--workers", "2"]).output().unwrap()
    };
    let without = app();
    assert!(complaint(&without).contains("number8 app needs python3, which cannot be run"));
    assert_eq!(without.status.code(), Some(1));

    python(folder.path(), "echo /bin/python3: it has none >&2; exit 1");
    let without = app();
    let want = "number8 app needs the Python package (/bin/python3: it has none): make wheel";
    assert!(complaint(&without).contains(want));
    assert_eq!(without.status.code(), Some(1));

    python(folder.path(), r#"[ "$1" = -c ] && exit 0; echo "$@"; exit 7"#);
    let with = app();
    assert_eq!(stdout(&with), "-m number8 app shop:app --workers 2\n");
    assert_eq!(with.status.code(), Some(7));
}
