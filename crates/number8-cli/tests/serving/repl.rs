//! The live terminal: `--repl`, and `--webrepl` for the clients of MicroPython.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::{Client, PATIENCE, Served, sandbox};

/// As the official client asks: a foreign host, a short key, no version.
const CLI: &str = "GET / HTTP/1.1\r\nHost: echo.websocket.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: foo\r\n\r\n";
const PAGE: &str = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Reads until that has come; gives all of it.
fn until(socket: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let mut byte = [0];
        let count = socket.read(&mut byte);
        assert_eq!(count.ok(), Some(1), "it ends after {}", read.escape_ascii());
        read.push(byte[0]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// What a terminal shows, without the frames that it comes in, up to there.
fn shown(socket: &mut TcpStream, end: &str) -> String {
    let mut shown = Vec::new();
    while !shown.windows(end.len()).any(|part| part == end.as_bytes()) {
        let mut head = [0; 2];
        socket.read_exact(&mut head).unwrap();
        let mut length = [0; 2];
        let length = match head[1] {
            126 => socket.read_exact(&mut length).map(|()| u16::from_be_bytes(length)).unwrap(),
            short => short.into(),
        };
        let mut content = vec![0; length.into()];
        socket.read_exact(&mut content).unwrap();
        if head[0] == 0x82 {
            shown.extend(content);
        }
    }
    String::from_utf8(shown).unwrap()
}

/// The processes below that one.
fn agents(parent: u32) -> Vec<u32> {
    let children = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let of = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<u32>().ok()?;
        (of == parent).then_some(pid)
    });
    children.flat_map(|pid| [vec![pid], agents(pid)].concat()).collect()
}

fn webrepl(served: &Served) -> TcpStream {
    let line = served.message("WebREPL: ws://");
    let address = line.split("ws://").nth(1).unwrap().trim_end_matches('/');
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

#[test]
fn u32_x6_x8_pages_and_webrepl_share_a_terminal() {
    let folder = sandbox();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut served = Served::start(
        folder.path(),
        &[
            "--auth",
            "joe:cow@/:all",
            "--repl",
            "--webrepl=127.0.0.1:0",
            "--webrepl-password",
            "joe:secret",
        ],
    );
    let mut client = webrepl(&served);
    client.write_all(CLI.as_bytes()).unwrap();
    until(&mut client, "Password: ");
    client.write_all(b"\x82\x07secret\r").unwrap();
    until(&mut client, "WebREPL connected\r\n>>> ");
    client.write_all(b"\x81\x0bprint(6*7)\r").unwrap();
    until(&mut client, "42");
    until(&mut client, ">>> ");
    // What it gets is what is served.
    let mut record = vec![0; 82];
    record[..3].copy_from_slice(b"WA\x02");
    record[18..28].copy_from_slice(b"start.html");
    client.write_all(&[&b"\x82\x52"[..], &record].concat()).unwrap();
    until(&mut client, "WB\0\0");
    client.write_all(b"\x82\x01\0").unwrap();
    until(&mut client, "\x05\0start");

    served.signal(Signal::HUP);
    served.message("loaded again");
    let ours = served.address.unwrap();
    client.write_all(b"\x81\x048*8\r").unwrap();
    until(&mut client, "64");
    until(&mut client, ">>> ");
    assert!(served.get("/.number8/repl").starts_with("HTTP/1.1 401 "));
    let login = "Authorization: Basic am9lOmNvdw==\r\n";
    assert!(served.get_with("/.number8/repl", login).starts_with("HTTP/1.1 426 "));
    let mut page = served.connect();
    page.send(&format!(
        "GET /.number8/repl HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n{PAGE}{login}\r\n"
    ));
    // The session of before the reload.
    until(&mut page.0, "print(6*7)\r\n42\r\n>>> 8*8\r\n64\r\n>>> ");
    // Pages of ours are on the other port; here they get as far as those who are told to wait.
    for (origin, status) in [
        ("http://evil.example".to_owned(), 403),
        (format!("http://127.0.0.1:{}", ours.port() ^ 1), 403),
        (format!("http://{ours}"), 503),
    ] {
        let head =
            CLI.replace("echo.websocket.org", &format!("127.0.0.1:8266\r\nOrigin: {origin}"));
        let line = Client::new(webrepl(&served)).send(&head).until("\r\n");
        assert_eq!(line[9..12], status.to_string(), "{origin}");
    }

    // What it started ends with it.
    let running = agents(served.child.id());
    assert!(!running.is_empty());
    served.signal(Signal::TERM);
    assert!(served.ended().success());
    super::until("what ran is gone", || {
        running.iter().all(|pid| !fs::exists(format!("/proc/{pid}")).unwrap())
    });
}

#[test]
fn x7_wish_11_the_port_of_webrepl_has_a_page() {
    let folder = sandbox();
    let options = ["--auth", "joe:cow@/:all", "--webrepl=127.0.0.1:0"];
    let password = ["--webrepl-password", "joe:secret"];
    for (more, has_board) in [(&["--board"][..], true), (&["--repl"], false)] {
        let served = Served::start(folder.path(), &[&options[..], &password, more].concat());
        let get = |path: &str| {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: farm.local:8266\r\nConnection: close\r\n\r\n"
            );
            Client::new(webrepl(&served)).send(&request).rest()
        };
        let page = get("/");
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
        for part in [
            "Content-Type: text/html; charset=utf-8\r\n",
            "Content-Security-Policy: default-src 'none'",
            "<code>ws://farm.local:8266/</code> and are asked for a password",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("<script"), "{page}");
        let link = format!("<a href=\"http://farm.local:{}/\">", served.address.unwrap().port());
        assert_eq!(page.contains(&link), has_board, "{link}: {page}");
        assert!(get("/.number8/assets/style.css").starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn x6_x8_the_limits_of_a_terminal_are_options() {
    let folder = sandbox();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let start = |arguments: &[&str]| {
        let terminal = ["--auth", "joe:cow@/:all", "--repl=sh", "--webrepl=127.0.0.1:0"];
        let password = ["--webrepl-password", "joe:secret"];
        Served::start(folder.path(), &[&terminal[..], &password, arguments].concat())
    };
    let ask = |served: &Served| {
        let mut client = webrepl(served);
        client.write_all(CLI.as_bytes()).unwrap();
        client
    };
    let is_asked = |served: &Served| {
        let mut client = ask(served);
        until(&mut client, "Password: ");
        client
    };
    let log_in = |served: &Served, password: &str, answer: &str| {
        let mut client = is_asked(served);
        let length = u8::try_from(password.len() + 1).unwrap();
        client.write_all(&[&[0x82, length], password.as_bytes(), b"\r"].concat()).unwrap();
        until(&mut client, answer);
        client
    };
    let is = |served: &Served, status: &str| {
        assert_eq!(until(&mut ask(served), "\r\n")[9..12], *status);
    };
    for option in ["--webrepl-waiting", "--webrepl-waiting-per-ip"] {
        let served = start(&[option, "2"]);
        let _silent = [is_asked(&served), is_asked(&served)];
        is(&served, "503");
    }
    // A close frame of two bytes, and 1008 begins so.
    until(&mut is_asked(&start(&["--webrepl-login-time", "20ms"])), "\x02\x03");
    let served = start(&["--login-failures", "0"]);
    log_in(&served, "wrong", "denied\r\n");
    is(&served, "429");
    let served = start(&["--webrepl-idle", "0s"]);
    let _silent = log_in(&served, "secret", "connected\r\n");
    log_in(&served, "secret", "connected\r\n");

    let page = |served: &Served| {
        let mut page = served.connect();
        page.send(&format!(
            "GET /.number8/repl HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n{PAGE}\
             Authorization: Basic am9lOmNvdw==\r\n\r\n"
        ));
        page
    };
    let sees = |served: &Served| {
        let mut page = page(served);
        until(&mut page.0, "\r\n\r\n");
        page
    };
    for (size, has_all) in [("256K", true), ("64K", false)] {
        let served = start(&["--repl-scroll-back", size, "--repl-viewers", "2"]);
        let mut first = sees(&served);
        first.0.write_all(b"\x82\x8a\0\0\0\0seq 30000\r").unwrap();
        // Not the echo of what was typed.
        let end = "\n30000\r\n";
        shown(&mut first.0, end);
        let mut second = sees(&served);
        let shown = shown(&mut second.0, end);
        assert_eq!(shown.contains("\r\n100\r\n"), has_all, "{size}: {} bytes", shown.len());
        assert_eq!(until(&mut page(&served).0, "\r\n")[9..12], *"503");
    }
}

#[test]
fn x6_a_terminal_is_for_somebody() {
    let folder = sandbox();
    let auth = ["--auth", "joe:cow@/:rw"];
    for (arguments, says) in [
        (&["--repl"][..], "nobody has the right repl"),
        (&["--webrepl"], "say with --webrepl-password"),
        (&["--webrepl-password", "joe:x"], "this needs --webrepl"),
        (&["--webrepl", "--webrepl-password", "joe:x"], "joe has not the right repl"),
        (&["--webrepl", "--webrepl-password", "joe"], "write NAME:PASSWORD"),
        (&["--repl-viewers", "0"], "this is a number from 1 to 10000"),
        (&["--repl-scroll-back", "1K"], "this is at least 65536 bytes"),
        (&["--webrepl-waiting", "0"], "this is a number from 1 to 10000"),
        (&["--webrepl-login-time", "soon"], "--webrepl-login-time soon"),
    ] {
        let output = crate::number8(folder.path()).arg("site").args(auth).args(arguments).output();
        let told = String::from_utf8(output.unwrap().stderr).unwrap();
        assert!(told.contains(says), "{arguments:?}: {told}");
    }
}

#[test]
fn issue_4_where_a_terminal_is_open_files_of_strangers_are_no_pages_of_ours() {
    let folder = sandbox();
    let login = "Authorization: Basic am9lOmNvdw==\r\n";
    for (arguments, is_sandboxed) in [
        (&["--repl", "--auth", "ann:calf@/:up"][..], true),
        (&["--repl"], false),
        (&["--auth", "ann:calf@/:up"], false),
    ] {
        let arguments = [&["--auth", "joe:cow@/:all"], arguments].concat();
        let served = Served::start(folder.path(), &arguments);
        let answer = served.get_with("/start.html", login);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let is = answer.contains("Content-Security-Policy: sandbox");
        assert_eq!(is, is_sandboxed, "{arguments:?}: {answer}");
    }
}

#[test]
fn issue_4_a_terminal_cannot_read_the_secrets_of_the_server() {
    if !super::has_landlock() {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    // Not below /tmp, where a terminal may do anything.
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::create_dir(folder.path().join("site")).unwrap();
    for (name, content) in [
        ("a", "cow\n"),
        ("b", "hay\n"),
        ("c", "token = [\"bob:straw@/:ro\"]\n"),
        ("open", "grass\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    // As another user there would be other reasons to refuse it.
    let own = rustix::process::getuid().is_root().then_some(["--run-user", "root"]);
    let options = [
        &["--auth", "joe:@a@/:all", "--repl=sh", "--config", "c"][..],
        &["--webrepl=127.0.0.1:0", "--webrepl-password", "joe:@b"],
        own.as_ref().map_or(&[], |own| &own[..]),
    ];
    let served = Served::start(folder.path(), &options.concat());
    let mut page = served.connect();
    page.send(&format!(
        "GET /.number8/repl HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n{PAGE}\
         Authorization: Basic am9lOmNvdw==\r\n\r\n"
    ));
    until(&mut page.0, "\r\n\r\n");
    let keys = b"cat ../a ../b ../c ../open; echo e''nd\r";
    page.0.write_all(&[&[0x82, 0x80 | keys.len() as u8, 0, 0, 0, 0], &keys[..]].concat()).unwrap();
    let shown = shown(&mut page.0, "end\r\n");
    assert!(shown.contains("grass\r\n"), "{shown}");
    for secret in ["cow", "hay", "straw"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}

/// What the terminal shows of these keys, up to a second prompt.
fn typed(served: &Served, keys: &str, end: &str) -> String {
    let mut page = served.connect();
    page.send(&format!(
        "GET /.number8/repl HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n{PAGE}\
         Authorization: Basic am9lOmNvdw==\r\n\r\n"
    ));
    until(&mut page.0, "\r\n\r\n");
    let head = [0x82, 0x80 | keys.len() as u8, 0, 0, 0, 0];
    page.0.write_all(&[&head, keys.as_bytes()].concat()).unwrap();
    shown(&mut page.0, end)
}

#[test]
fn issue_4_who_may_add_files_and_not_use_the_terminal_runs_nothing_in_it() {
    let folder = sandbox();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for (name, content) in
        [("linecache.py", "print('ANN', 'RUNS')"), ("own.py", "name = 'imp' + 'orted'")]
    {
        fs::write(folder.path().join("site").join(name), content).unwrap();
    }
    // Python 3.13 imports linecache before the agent runs: what the flag says is where it does not look for it.
    let keys = "1/0\rimport own; print(own.name)\rimport sys; print('safe', getattr(sys.flags, 'safe_path', 1))\rprint('e' 'nd')\r";
    for (ann, want) in [("", "imported"), (", \"ann:hay@/:up\"", "No module named 'own'")] {
        // Also where she comes later.
        for first in ["", ann] {
            let conf = |ann| format!("auth = [\"joe:cow@/:all\"{ann}]\n");
            fs::write(folder.path().join("c"), conf(first)).unwrap();
            let served = Served::start(folder.path(), &["--repl", "--config", "c"]);
            fs::write(folder.path().join("c"), conf(ann)).unwrap();
            served.signal(Signal::HUP);
            served.message("loaded again");
            let shown = typed(&served, keys, "\nend\r\n");
            assert!(shown.contains(want) && shown.contains("ZeroDivisionError"), "{shown}");
            assert!(!shown.contains("ANN RUNS") && !shown.contains("safe False"), "{shown}");
        }
    }
}
