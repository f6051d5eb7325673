//! The terminal in a page: one session, several viewers.

use std::{fs, thread};

use number8::access::{Access, Rights, Rule};
use number8::accounts::Accounts;
use number8::layers::auth::Auth;
use number8::layers::sessions::{Login, Sessions};
use number8::testing::TestServer;
use number8::{App, Repl, WebRepl};
use tempfile::TempDir;
use tokio::runtime::Builder;

use super::{Client, folder};
use crate::serving::{has_landlock, patient};

const TEXT: u8 = 1;
const BINARY: u8 = 2;

fn head(query: &str, fields: &str) -> String {
    format!(
        "GET /repl{query} HTTP/1.1\r\nHost: board.local\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}

fn serve(repl: Repl) -> TestServer {
    let access = Access::new([Rule::everyone("/", Rights::REPL).unwrap()]);
    TestServer::new(App::new().access(access).mount("/repl", repl), patient())
}

/// Python in a folder.
fn python() -> (TestServer, TempDir) {
    let folder = folder();
    (serve(Repl::new(folder.path()).unwrap()), folder)
}

async fn page(server: &TestServer, query: &str) -> Client {
    let (client, head) = Client::ask(server, &head(query, "")).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client
}

async fn status(server: &TestServer, query: &str, fields: &str) -> u16 {
    let (_, head) = Client::ask(server, &head(query, fields)).await;
    head[9..12].parse().unwrap()
}

impl Client {
    async fn keys(&mut self, keys: &str) {
        self.send(BINARY, keys.as_bytes()).await;
    }

    async fn shows(&mut self, end: &str) -> String {
        self.until(BINARY, end).await
    }

    /// Waits for a message of this kind that says this.
    async fn says(&mut self, part: &str) {
        loop {
            let mut said = self.said.iter();
            if let Some(at) = said.position(|said| String::from_utf8_lossy(said).contains(part)) {
                self.said.drain(..=at);
                return;
            }
            match self.frame().await {
                Some((BINARY, payload)) => {
                    self.shown.push_str(std::str::from_utf8(&payload).unwrap());
                }
                Some((_, payload)) => self.said.push(payload),
                None => panic!("it ends without {part}"),
            }
        }
    }
}

#[tokio::test]
async fn u32_x8_python_answers() {
    let (server, _folder) = python();
    let mut page = page(&server, "").await;
    assert!(page.shows(">>> ").await.starts_with("MicroPython "));
    page.says(r#""viewers":1,"writer":true"#).await;
    page.keys("print('hé', 6 * 7)\r").await;
    assert_eq!(page.shows("42\r\n>>> ").await, "print('hé', 6 * 7)\r\nhé 42\r\n>>> ");
    page.keys("while True: pass\r\r").await;
    page.shows("... \r\n").await;
    page.keys("\x03").await;
    page.shows("KeyboardInterrupt").await;
    page.shows(">>> ").await;
}

#[tokio::test]
async fn x8_an_interrupt_is_heard_as_soon_as_the_line_has_ended() {
    let (server, _folder) = python();
    let mut page = page(&server, "").await;
    page.shows(">>> ").await;
    for keys in ["while True: pass\r\r\x03", "while True: pass\r\rfor its input\r\x03"] {
        page.keys(keys).await;
        page.shows("KeyboardInterrupt\r\n>>> ").await;
    }
    page.keys("\r\x03\x03print(6 * 7)\r").await;
    let shown = page.shows("42\r\n>>> ").await;
    assert!(!shown.contains("KeyboardInterrupt"), "an empty line is no code: {shown}");
    page.keys("\x01").await;
    page.shows("raw REPL; CTRL-B to exit\r\n>").await;
    page.keys("while True: pass\x04\x03").await;
    page.shows("KeyboardInterrupt\r\n\x04>").await;
}

#[tokio::test]
async fn x8_a_long_job_survives_its_viewers() {
    let (server, folder) = python();
    let mut first = page(&server, "").await;
    first.shows(">>> ").await;
    first.keys("import os, time\rx = 8\r").await;
    first.shows("x = 8\r\n>>> ").await;
    first.keys("while not os.path.exists('go'): time.sleep(0.01)\r\r").await;
    first.shows("... \r\n").await;
    first.keys("print('job', 'done', x)\r").await;
    drop(first);
    std::fs::write(folder.path().join("go"), "").unwrap();
    let mut second = page(&server, "").await;
    let shown = second.shows("job done 8\r\n>>> ").await;
    // What was shown before is there, too.
    assert!(shown.starts_with("MicroPython "), "{shown}");
    assert!(shown.contains(">>> x = 8\r\n"), "{shown}");
}

#[tokio::test]
async fn x8_two_viewers_see_the_same_screen_and_one_types() {
    let (server, _folder) = python();
    let mut first = page(&server, "").await;
    let mut seen = first.shows(">>> ").await;
    let mut watching = page(&server, "?view").await;
    watching.says(r#""viewers":2,"writer":false"#).await;
    watching.keys("print('from the back')\r").await;
    watching.send(TEXT, br#"{"resize":[40,10]}"#).await;
    watching.send(TEXT, br#"{"restart":true}"#).await;
    first.keys("print(1)\r").await;
    seen += &first.shows("\r\n1\r\n>>> ").await;
    assert_eq!(watching.shows("\r\n1\r\n>>> ").await, seen);

    // Whoever comes last types.
    let mut second = page(&server, "").await;
    second.says(r#""viewers":3,"writer":true"#).await;
    first.says(r#""viewers":3,"writer":false"#).await;
    first.keys("print('too late')\r").await;
    second.send(TEXT, br#"{"resize":[132,50]}"#).await;
    first.says(r#""cols":132,"rows":50"#).await;
    second.keys("import os; os.get_terminal_size().columns\r").await;
    for client in [&mut second, &mut first, &mut watching] {
        let shown = client.shows("132\r\n>>> ").await;
        assert!(!shown.contains("too late") && !shown.contains("back"), "{shown}");
    }
    drop(second);
    first.says(r#""viewers":2,"writer":true"#).await;
    first.keys("2\r").await;
    watching.shows("2\r\n2\r\n>>> ").await;
}

#[tokio::test]
async fn x8_what_ends_says_how_and_can_begin_again() {
    let folder = folder();
    let script = "echo run >> runs; [ $(wc -l < runs) -lt 3 ] && exit 3; kill -9 $$";
    let server = serve(Repl::new(folder.path()).unwrap().command("sh", ["-c", script]));
    let mut page = page(&server, "").await;
    page.says(r#"{"exit":{"code":3}}"#).await;
    page.send(TEXT, b"{\"restart\":true}").await;
    page.says(r#"{"exit":{"code":3}}"#).await;
    page.send(TEXT, b"{\"restart\":true}").await;
    page.says(r#"{"exit":{"signal":9}}"#).await;
    for nonsense in
        ["", "{", "[]", "8", r#"{"resize":[0,5]}"#, r#"{"resize":"x"}"#, r#"{"restart":8}"#]
    {
        page.send(TEXT, nonsense.as_bytes()).await;
    }
    let server = serve(Repl::new(folder.path()).unwrap().command("/no/such/program", [""; 0]));
    let mut page = self::page(&server, "").await;
    page.shows("cannot be started").await;
    page.says(r#"{"exit":null}"#).await;
}

#[tokio::test]
async fn x8_a_program_that_waits_for_keys_gets_them() {
    let folder = folder();
    // What a program writes last may be lost with it, as the kernel hangs its terminal up: so it waits.
    let script = "read x; echo got $x; read x";
    let server = serve(Repl::new(folder.path()).unwrap().command("sh", ["-c", script]));
    let mut page = page(&server, "").await;
    page.says(r#""viewers":1"#).await;
    page.keys("it\r").await;
    page.shows("got it\r\n").await;
    page.keys("\r").await;
    page.says(r#"{"exit":{"code":0}}"#).await;
}

#[tokio::test]
async fn x8_what_runs_is_started_anew() {
    let (server, _folder) = python();
    let mut page = page(&server, "").await;
    page.shows(">>> ").await;
    page.keys("x = 8\r").await;
    page.shows(">>> ").await;
    page.send(TEXT, b"{\"restart\":true}").await;
    page.shows("MicroPython ").await;
    page.shows(">>> ").await;
    page.keys("x\r").await;
    page.shows("NameError").await;
}

/// A terminal that takes no more of it is not ready for ever when nobody has it open.
#[tokio::test]
async fn x8_a_program_may_end_while_much_waits_to_be_typed() {
    let folder = folder();
    let script = "echo ready; read x; exit 3";
    let server = serve(Repl::new(folder.path()).unwrap().command("sh", ["-c", script]));
    let mut page = page(&server, "").await;
    page.shows("ready\r\n").await;
    page.keys(&"what is pasted\r".repeat(10_000)).await;
    page.says(r#"{"exit":{"code":3}}"#).await;
}

#[tokio::test]
async fn x8_what_takes_no_keys_is_started_anew_and_gets_none_that_came_before() {
    let folder = folder();
    let script = "[ -e ran ] && { echo again; read x; echo \"got $x\"; read x; }
        echo ran > ran; echo ready; exec sleep 600";
    let server = serve(Repl::new(folder.path()).unwrap().command("sh", ["-c", script]));
    let mut page = page(&server, "").await;
    page.shows("ready\r\n").await;
    for _ in 0..16 {
        page.keys(&"before\r".repeat(4_000)).await;
    }
    page.send(TEXT, b"{\"restart\":true}").await;
    page.keys("after\r").await;
    page.shows("again\r\n").await;
    page.shows("got after\r\n").await;
}

#[tokio::test]
async fn x8_what_was_typed_before_a_page_left_is_typed() {
    let folder = folder();
    let script = "stty -echo; echo ready; n=0; while [ $n -lt 20000 ]; do read x; n=$((n + 1)); done; echo \"last $x\"";
    let server = serve(Repl::new(folder.path()).unwrap().command("sh", ["-c", script]));
    let mut watching = page(&server, "?view").await;
    let mut page = page(&server, "").await;
    page.shows("ready\r\n").await;
    for number in 0..20 {
        page.keys(&format!("a line of {number}\r").repeat(1_000)).await;
    }
    page.send(8, &1000_u16.to_be_bytes()).await;
    watching.shows("last a line of 19\r\n").await;
}

#[tokio::test]
async fn x8_a_slow_viewer_begins_again_with_what_is_kept() {
    let folder = folder();
    let repl = Repl::new(folder.path()).unwrap().scroll_back_bytes(1);
    let server = serve(repl);
    let mut slow = page(&server, "?view").await;
    let mut page = page(&server, "").await;
    page.shows(">>> ").await;
    page.keys("for n in range(100000): print('éé line', n)\r\r").await;
    page.shows("line 99999\r\n").await;
    page.keys("print('the', 'end')\r").await;
    page.shows("the end\r\n").await;
    let shown = slow.shows("the end\r\n").await;
    assert!(shown.contains("\x1bc"));
    // What a connection holds, and what is kept; not the megabyte that was written.
    assert!(shown.len() < 900_000, "{}", shown.len());
}

#[tokio::test]
async fn x8_as_many_look_as_may_and_who_may() {
    let folder = folder();
    let server = serve(Repl::new(folder.path()).unwrap().viewers_max(1));
    let _first = page(&server, "").await;
    assert_eq!(status(&server, "", "").await, 503);
    assert_eq!(status(&server, "", "Origin: http://board.local\r\n").await, 503);
    assert_eq!(status(&server, "", "Origin: http://evil.example\r\n").await, 403);
    assert_eq!(status(&server, "/elsewhere", "").await, 404);
    let app = App::new().mount("/repl", Repl::new(folder.path()).unwrap());
    assert_eq!(status(&TestServer::new(app, patient()), "", "").await, 403);
}

#[tokio::test]
async fn a10_wish_30_a_terminal_ends_with_the_session_that_opened_it() {
    let folder = folder();
    let sessions = Sessions::new().unwrap();
    let accounts = Accounts::new().unwrap().password("joe", "cow").unwrap();
    let app = App::new()
        .access(Access::new([Rule::user("joe", "/", Rights::REPL).unwrap()]))
        .layer(Auth::accounts(accounts).login(Login::new(sessions.clone())))
        .mount("/repl", Repl::new(folder.path()).unwrap());
    let server = TestServer::new(app, patient());
    let form = "name=joe&password=cow";
    let login = format!(
        "POST /.number8/login HTTP/1.1\r\nHost: board.local\r\nOrigin: http://board.local\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let (_, answer) = Client::ask(&server, &login).await;
    let cookie = answer.split("Set-Cookie: ").nth(1).unwrap().split(';').next().unwrap();
    let fields = format!("Origin: http://board.local\r\nCookie: {cookie}\r\n");
    assert_eq!(status(&server, "", "").await, 401);
    let (mut page, answer) = Client::ask(&server, &head("", &fields)).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    page.shows(">>> ").await;
    page.keys("1 + 1\r").await;
    page.shows("2\r\n>>> ").await;
    assert_eq!(sessions.end_all_of("joe"), 1);
    page.keys("open('written', 'w')\r").await;
    loop {
        match page.frame().await {
            Some((8, code)) => break assert_eq!(code, 1008u16.to_be_bytes()),
            Some(_) => {}
            None => panic!("it ends without a close frame"),
        }
    }
    assert!(!folder.path().join("written").exists());
    assert_eq!(status(&server, "", &fields).await, 401);
}

/// Also one that no session has opened.
#[tokio::test]
async fn a3_a_terminal_ends_when_other_rules_take_the_right_away() {
    let folder = folder();
    let repl = Repl::new(folder.path()).unwrap();
    let with = |rights| {
        let accounts = Accounts::new().unwrap().password("joe", "cow").unwrap();
        App::new()
            .access(Access::new([Rule::user("joe", "/", rights).unwrap()]))
            .layer(Auth::accounts(accounts))
            .mount("/repl", repl.clone())
    };
    let server = TestServer::new(with(Rights::REPL), patient());
    let fields = "Origin: http://board.local\r\nAuthorization: Basic am9lOmNvdw==\r\n";
    let (mut page, answer) = Client::ask(&server, &head("", fields)).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    page.shows(">>> ").await;
    server.handle().replace(with(Rights::ALL)).unwrap();
    page.keys("1 + 1\r").await;
    page.shows("2\r\n>>> ").await;
    server.handle().replace(with(Rights::RO)).unwrap();
    page.keys("open('written', 'w')\r").await;
    loop {
        match page.frame().await {
            Some((8, code)) => break assert_eq!(code, 1008u16.to_be_bytes()),
            Some(_) => {}
            None => panic!("it ends without a close frame"),
        }
    }
    assert!(!folder.path().join("written").exists());
    assert_eq!(status(&server, "", fields).await, 403);
}

/// What Landlock refuses is what goes where it does not stand in the way.
#[tokio::test]
async fn design_8_a_terminal_changes_and_reads_only_what_it_may() {
    if !has_landlock() {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    const CODE: &str = "
import os
def attempt(what, do):
    try: do(); print(what, 'yes')
    except OSError: print(what, 'no')
attempt('write here', lambda: open('new', 'w'))
attempt('write more', lambda: open('../more/new', 'w'))
attempt('device', lambda: open('/dev/null', 'w').write('x'))
attempt('read other', lambda: open('../other/file').read())
attempt('write other', lambda: open('../other/file', 'w'))
attempt('create other', lambda: open('../other/new', 'w'))
attempt('move other', lambda: os.rename('../other/file', 'file'))
attempt('read secret', lambda: open('../secret').read())
attempt('move secret', lambda: os.rename('../secret', '../more/secret'))
attempt('read state', lambda: open('../state/file').read())
attempt('list state', lambda: os.listdir('../state'))
";
    // Not below /tmp, where it may do anything.
    let top = tempfile::tempdir_in("/var/tmp").unwrap();
    for name in ["here", "more", "other", "state"] {
        fs::create_dir(top.path().join(name)).unwrap();
    }
    for name in ["other/file", "secret", "state/file"] {
        fs::write(top.path().join(name), "text").unwrap();
    }
    fs::write(top.path().join("here/code.py"), CODE).unwrap();
    let refused = ["write other", "create other", "move other", "read secret", "move secret"];
    let refused = [&refused[..], &["read state", "list state"]].concat();
    for is_confined in [true, false] {
        let mut repl = Repl::new(top.path().join("here"))
            .unwrap()
            .writable(top.path().join("more"))
            .hidden(top.path().join("secret"))
            .hidden(top.path().join("state"));
        // As another user there would be other reasons to refuse it.
        if rustix::process::geteuid().is_root() {
            repl = repl.run_user("root");
        }
        if !is_confined {
            repl = repl.unconfined();
        }
        let server = serve(repl);
        let mut page = page(&server, "").await;
        page.shows(">>> ").await;
        page.keys("exec(open('code.py').read())\r").await;
        page.shows("code.py').read())\r\n").await;
        let shown = page.shows(">>> ").await;
        let told = shown.lines().filter_map(|line| line.strip_suffix(" no"));
        let want: &[&str] = if is_confined { &refused } else { &[] };
        assert_eq!(told.collect::<Vec<_>>(), want, "{shown}");
        assert_eq!(shown.lines().filter(|line| line.ends_with(" yes")).count(), 11 - want.len());
    }
}

/// What runs lives in the runtime of the server by which it was started.
#[tokio::test]
async fn x8_a_terminal_can_be_restarted_when_the_server_has_gone_that_started_it() {
    let folder = folder();
    let repl = Repl::new(folder.path()).unwrap();
    let server = serve(repl.clone());
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = serve(repl);
            page(&server, "").await.shows(">>> ").await;
        });
    })
    .join()
    .unwrap();
    let mut page = page(&server, "").await;
    page.says(r#"{"exit":null}"#).await;
    page.send(TEXT, br#"{"restart":true}"#).await;
    page.shows(">>> ").await;
    page.keys("print(6 * 7)\r").await;
    page.shows("42\r\n>>> ").await;
}

/// SECURITY: a user or a limit that nobody heeds is none.
#[test]
fn x8_no_setting_is_lost_that_comes_after_a_clone() {
    let folder = folder();
    let settings: [fn(Repl) -> Repl; 4] = [
        |repl| repl.run_user("guest"),
        |repl| repl.viewers_max(1),
        |repl| repl.origin("https://app.example"),
        |repl| repl.command("sh", [""; 0]),
    ];
    for setting in settings {
        let repl = Repl::new(folder.path()).unwrap();
        let _webrepl = WebRepl::new(&repl);
        let set = thread::spawn(move || setting(repl).hidden("/etc"));
        assert!(set.join().is_err());
    }
    let shared = Repl::new(folder.path()).unwrap().viewers_max(1);
    let _later = shared.clone().hidden("/etc").imports(false);
}
