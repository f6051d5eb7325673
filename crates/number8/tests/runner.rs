//! Programs that clients post: one at a time, with all that they say, and gone when they have ended.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use number8::access::{Access, Rights, Rule};
use number8::{App, Interpreter, Runner, Server};
use serde_json::{Value, json};

use crate::serving::{Answer, Client, Running, Setup, has_landlock, until};

/// A server with a runner at `/run`, whose folder and temporary files are its own.
struct Board {
    server: Running,
    runner: Runner,
    top: tempfile::TempDir,
}

impl Board {
    fn new() -> Self {
        Self::with(|runner, _| runner)
    }

    fn with(change: impl FnOnce(Runner, &PathBuf) -> Runner) -> Self {
        Self::on(Setup::CurrentThread, change)
    }

    fn on(setup: Setup, change: impl FnOnce(Runner, &PathBuf) -> Runner) -> Self {
        let top = tempfile::tempdir().unwrap();
        // The user of programs has to get in.
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["folder", "tmp", "state"] {
            fs::create_dir(top.path().join(name)).unwrap();
        }
        let path = top.path().to_owned();
        let runner = Runner::new(path.join("folder")).unwrap().temporary(path.join("tmp"));
        let runner = change(runner.grace(Duration::from_millis(400)), &path);
        let access = Access::new([Rule::everyone("/run", Rights::RUN).unwrap()]);
        // Who asks is whom a field names.
        let app = App::new().access(access).mount("/run", runner.clone()).before(|call| {
            let user = call.head.named("User").map(String::from_utf8_lossy);
            call.caller.user = user.map(|name| name.as_ref().into());
            None
        });
        let server = Running::start(setup, app);
        Self { server, runner, top }
    }

    fn ask(&self, request: &str) -> Answer {
        let mut client = self.server.connect();
        client.send(request);
        client.answer()
    }

    fn state(&self) -> Value {
        json(&self.ask(&get("/run", JSON)))
    }

    fn post(&self, path: &str, content: &str) -> Answer {
        self.ask(&post_text(path, content))
    }

    fn start(&self, code: &str) -> Value {
        let answer = self.post("/run", code);
        assert_eq!(answer.status, 201, "{}", answer.text());
        json(&answer)
    }

    fn listen(&self, fields: &str) -> Listener {
        let mut client = self.server.connect();
        client.send(get("/run/events", fields));
        assert_eq!(client.head().status, 200);
        Listener { client, id: String::new() }
    }

    /// Runs a program to its end; returns its state, and what it has written to each stream.
    fn run(&self, code: &str) -> (Value, String, String) {
        self.start(code);
        let mut listener = self.listen("");
        let (mut output, mut errors) = (String::new(), String::new());
        loop {
            let (name, data) = listener.event();
            match (&*name, data["stream"].as_str()) {
                ("output", Some("stdout")) => output.push_str(data["text"].as_str().unwrap()),
                ("output", _) => errors.push_str(data["text"].as_str().unwrap()),
                ("exit", _) => return (data, output, errors),
                _ => {}
            }
        }
    }

    /// What is left of programs in the file system.
    fn litter(&self) -> usize {
        fs::read_dir(self.top.path().join("tmp")).unwrap().count()
    }
}

struct Listener {
    client: Client,
    id: String,
}

impl Listener {
    fn event(&mut self) -> (String, Value) {
        let begun = Instant::now();
        loop {
            // Comments come for ever.
            assert!(begun.elapsed() < Duration::from_secs(60), "no event comes");
            let chunk = String::from_utf8(self.client.chunk().expect("it goes on")).unwrap();
            let field = |name: &str| chunk.lines().find_map(|line| line.strip_prefix(name));
            let (Some(name), Some(data)) = (field("event: "), field("data: ")) else { continue };
            self.id = field("id: ").unwrap().to_owned();
            return (name.to_owned(), serde_json::from_str(data).unwrap());
        }
    }

    fn until(&mut self, name: &str) -> Value {
        loop {
            let (other, data) = self.event();
            if other == name {
                return data;
            }
        }
    }

    /// Waits until so much was written, to one stream.
    fn hears(&mut self, text: &str) {
        self.hears_all(&[text]);
    }

    fn hears_all(&mut self, texts: &[&str]) {
        // A program may write a line in two pieces, and what it writes to the other stream comes between them.
        let mut heard = HashMap::<String, String>::new();
        while !texts.iter().all(|text| heard.values().any(|heard| heard.contains(text))) {
            let data = self.until("output");
            let [stream, text] = ["stream", "text"].map(|name| data[name].as_str().unwrap());
            heard.entry(stream.to_owned()).or_default().push_str(text);
        }
    }
}

const JSON: &str = "Accept: application/json\r\n";

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn send(method: &str, path: &str, fields: &str, content: &str) -> String {
    let length = content.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {length}\r\n\r\n{content}"
    )
}

fn post_text(path: &str, content: &str) -> String {
    send("POST", path, &format!("{JSON}Content-Type: text/plain\r\n"), content)
}

fn post_form(path: &str, content: &str) -> String {
    send("POST", path, "Content-Type: application/x-www-form-urlencoded\r\n", content)
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(answer.text()).unwrap_or_else(|_| panic!("{}", answer.text()))
}

fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn b9_b14_a_form_starts_a_process_from_a_temporary_file() {
    let board = Board::new();
    let answer = board.ask(&post_form(
        "/run",
        "code=import+os%2C+sys%0D%0Aprint%28__name__%2C+__file__%2C+os.getpid%28%29%29",
    ));
    assert_eq!((answer.status, answer.field("location")), (303, Some("/run")));
    let exit = board.listen("").until("exit");
    let output = board.ask(&get("/run/output", ""));
    let words: Vec<&str> = output.text().split_whitespace().collect();
    assert_eq!((words[0], words[1]), ("__main__", exit["file"].as_str().unwrap()));
    assert!(words[1].starts_with(board.top.path().join("tmp").to_str().unwrap()), "{words:?}");
    assert_ne!(words[2], std::process::id().to_string(), "another process");
    assert_eq!(exit["code"], "import os, sys\nprint(__name__, __file__, os.getpid())");
    assert_eq!((exit["exit"]["code"].as_i64(), &exit["stopped"]), (Some(0), &Value::Null));
    assert_eq!(board.litter(), 0);
}

#[test]
fn b15_b16_b17_a_browser_waits_on_a_page_and_goes_back_to_the_index() {
    let board = Board::with(|runner, _| runner.index("/index.html"));
    let idle = board.ask(&get("/run", ""));
    assert_eq!((idle.status, idle.field("location")), (303, Some("/index.html")));

    board.start("print('<so far>'); input()");
    board.listen("").hears("<so far>");
    // As browsers and curl ask.
    for accept in ["", "Accept: */*\r\n", "Accept: text/html,application/xml;q=0.9,*/*;q=0.8\r\n"] {
        let page = board.ask(&get("/run", accept));
        assert_eq!((page.status, page.field("cache-control")), (200, Some("no-store")));
        assert!(page.text().contains("<h1>Running...</h1>"), "{page:?}");
        assert!(page.text().contains("<meta http-equiv=\"refresh\" content=\"5\">"));
        assert!(page.text().contains("&lt;so far&gt;"));
        assert!(page.text().contains("<form method=\"post\" action=\"/run/stop\">"));
    }
    let stopped = board.ask(&post_form("/run/stop", ""));
    assert_eq!((stopped.status, stopped.field("location")), (303, Some("/run")));
    board.listen("").until("exit");
    let ended = board.ask(&get("/run", ""));
    assert_eq!((ended.status, ended.field("location")), (303, Some("/index.html")));
}

#[test]
fn b18_the_last_program_is_remembered() {
    let board = Board::with(|runner, top| runner.programs(top.join("state")).unwrap());
    assert_eq!(board.runner.code(), None);
    board.run("print('first')");
    board.run("print('<last>')");
    assert_eq!(board.runner.code().as_deref(), Some("print('<last>')"));

    // Also by the next server.
    let path = board.top.path();
    let history = path.join("state/history");
    until("it is on the disk", || fs::read_dir(&history).unwrap().count() == 2);
    let next = Runner::new(path.join("folder")).unwrap().programs(path.join("state")).unwrap();
    assert_eq!(next.code().as_deref(), Some("print('<last>')"));
}

#[test]
fn b20_what_is_not_there_is_404_and_what_is_not_done_405() {
    let board = Board::new();
    for (request, status) in [
        (get("/run/elsewhere", ""), 404),
        (get("/run/stop/now", ""), 404),
        (get("/run/stop", ""), 405),
        (send("PUT", "/run", "", ""), 405),
        (send("POST", "/run/output", "", ""), 405),
        (send("POST", "/run/programs/", "", ""), 405),
        (send("OPTIONS", "/run", "", ""), 204),
        (get("/run/programs/a.py", ""), 404),
        (get("/run/programs/history/1", ""), 404),
    ] {
        assert_eq!(board.ask(&request).status, status, "{request}");
    }
}

#[test]
fn b21_one_program_at_a_time() {
    let board = Board::new();
    assert_eq!(board.state(), json!({"state": "idle"}));
    let first = board.start("print('ready'); input()");
    assert_eq!(
        (&first["state"], &first["id"], &first["language"]),
        (&json!("running"), &json!(1), &json!("py"))
    );
    let refused = board.post("/run", "print('second')");
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(board.post("/run/input", "\n").status, 200);
    let exit = board.listen("").until("exit");
    assert_eq!((&exit["state"], &exit["id"]), (&json!("ended"), &json!(1)));
    assert_eq!(board.start("pass")["id"], 2);
}

#[test]
fn b21_w10_w12_many_in_a_row_leave_nothing() {
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let zombies = || {
        let children = fs::read_dir("/proc/self/task").unwrap().flat_map(|task| {
            let children = fs::read_to_string(task.unwrap().path().join("children"));
            let pids = children.unwrap_or_default();
            pids.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        });
        children.filter(|pid| !is_alive(pid)).count()
    };
    let board = Board::with(|runner, _| runner.interpreters(["sh=sh".parse().unwrap()]));
    let mut listener = board.listen("");
    let mut before = 0;
    for number in 0..128 {
        board.start("echo $$; read line; exit 7");
        listener.until("output");
        assert_eq!(board.post("/run", "echo no").status, 409);
        assert_eq!(board.post("/run/input?end", "go\n").status, 200);
        let exit = listener.until("exit");
        assert_eq!(
            (exit["id"].as_i64(), exit["exit"]["code"].as_i64()),
            (Some(number + 1), Some(7))
        );
        assert_eq!(board.litter(), 0);
        if number == 9 {
            before = descriptors();
        }
    }
    // Other tests of this process have some too: what grows is what counts.
    until("descriptors are given back", || descriptors() < before + 64);
    until("all are collected", || zombies() == 0);
}

#[test]
fn x2_what_is_printed_before_an_error_stands_before_it() {
    let board = Board::new();
    let code = "
import os
for n in range(500):
    os.write(1, b'o%d\\n' % n)
    os.write(2, b'e%d\\n' % n)
";
    board.run(code);
    let output = board.ask(&get("/run/output", "")).text().to_owned();
    let lines: Vec<&str> = output.lines().collect();
    let at = |line: &str| lines.iter().position(|other| *other == line);
    for n in 0..500 {
        let (printed, error) = (at(&format!("o{n}")), at(&format!("e{n}")));
        assert!(printed.is_some() && printed < error, "{n}: {output}");
    }
}

#[test]
fn x2_both_streams_arrive_while_it_runs_and_again_for_those_who_come_back() {
    let board = Board::new();
    let mut live = board.listen("");
    board.start(
        "import sys\nprint('är', end=''); print('no', file=sys.stderr)\ninput('? ')\nprint('end')",
    );
    let start = live.event();
    assert_eq!((&*start.0, &start.1["state"]), ("start", &json!("running")));
    live.hears_all(&["är", "no\n", "? "]);
    let id = live.id.clone();
    assert_eq!(board.post("/run/input", "x\n").status, 200);
    let exit = live.until("exit");
    assert!(exit["seconds"].as_f64().unwrap() > 0.0 && exit["started"].as_f64().unwrap() > 1.7e9);

    let mut back = board.listen(&format!("Last-Event-ID: {id}\r\n"));
    let rest: String = std::iter::from_fn(|| Some(back.event()))
        .take_while(|(name, _)| name != "exit")
        .filter(|(name, _)| name == "output")
        .map(|(_, data)| data["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(rest, "end\n");
    // Who comes without an id hears the last program from its start.
    assert_eq!(board.listen("").event().0, "start");
    let output = board.ask(&get("/run/output", ""));
    assert_eq!(output.field("content-type"), Some("text/plain; charset=utf-8"));
    assert!(output.text().contains("är") && output.text().ends_with("end\n"), "{output:?}");
}

#[test]
fn x2_exit_status_and_traceback_are_those_of_the_program() {
    let board = Board::new();
    let (exit, _, errors) = board.run("def f():\n    1 / 0\n\nf()");
    let file = exit["file"].as_str().unwrap();
    assert_eq!(exit["exit"], json!({"code": 1}));
    let wanted = format!(
        "Traceback (most recent call last):\n  File \"{file}\", line 4, in <module>\n    f()\n  \
         File \"{file}\", line 2, in f\n    1 / 0\nZeroDivisionError: division by zero\n"
    );
    // Python 3.11 and later point at places in lines, 3.13 at more of them.
    let points = |line: &&str| line.trim_matches([' ', '~', '^', '\n']).is_empty();
    assert_eq!(
        errors.split_inclusive('\n').filter(|line| !points(line)).collect::<String>(),
        wanted
    );
    assert_eq!(board.run("import sys; sys.exit('why')").0["exit"], json!({"code": 1}));
    assert_eq!(board.run("raise SystemExit(3)").0["exit"], json!({"code": 3}));
    assert_eq!(board.run("import os; os.abort()").0["exit"], json!({"signal": 6}));
}

#[test]
fn x2_input_is_bounded_and_has_an_end() {
    let board = Board::with(|runner, _| runner.input_max(200_000));
    assert_eq!(board.post("/run/input", "x").status, 409, "nothing runs");
    board.start(
        "import sys, time\nprint('ready')\nsys.stdin.readline()\nprint(len(sys.stdin.read()))",
    );
    let mut listener = board.listen("");
    listener.hears("ready");
    assert_eq!(board.post("/run/input", &"x".repeat(200_001)).status, 413);
    assert_eq!(board.post("/run/input?end", "line\nrest").status, 200);
    listener.hears("4\n");
    listener.until("exit");

    board.start("import time\nprint('ready'); time.sleep(60)");
    board.listen("").hears("ready");
    // A pipe takes some; what follows waits, and then there is no more room.
    let statuses: Vec<u16> =
        (0..4).map(|_| board.post("/run/input", &"x".repeat(150_000)).status).collect();
    assert!(statuses.starts_with(&[200]) && statuses.ends_with(&[503]), "{statuses:?}");
    board.runner.stop();
    assert_eq!(board.listen("").until("exit")["stopped"], "asked");
}

#[test]
fn x2_stopping_lets_a_program_tidy_up_and_kills_one_that_does_not() {
    let board = Board::new();
    for (code, exit) in [
        (
            // Again and again: a signal that comes just before a sleep does not wake it.
            "import time\ntry:\n    print('ready')\n    while True: time.sleep(0.01)\nfinally: print('tidy')",
            json!({"signal": 2}),
        ),
        (
            "import signal, time\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)\nprint('ready'); time.sleep(60)",
            json!({"signal": 9}),
        ),
    ] {
        board.start(code);
        let mut listener = board.listen("");
        listener.hears("ready");
        let answer = board.ask(&send("DELETE", "/run", JSON, ""));
        assert_eq!(answer.status, 200);
        let ended = listener.until("exit");
        assert_eq!((&ended["stopped"], &ended["exit"]), (&json!("asked"), &exit));
    }
    // There is nothing to stop, which is what was wanted.
    assert_eq!(board.post("/run/stop", "").status, 200);
}

#[test]
fn x2_what_it_has_started_ends_with_it() {
    let board = Board::new();
    let daemon = "
import os, time, signal
signal.signal(15, signal.SIG_IGN)
told, tells = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        print(os.getpid(), flush=True)
        os.write(tells, b'x')
        time.sleep(60)
    os._exit(0)
os.wait()
os.read(told, 1)
";
    let (exit, output, _) = board.run(&format!("{daemon}raise SystemExit(5)"));
    assert_eq!(exit["exit"], json!({"code": 5}));
    assert!(!is_alive(output.trim()), "{output}");
}

#[test]
fn x2_limits_end_a_program_and_say_so() {
    let board = Board::with(|runner, _| {
        runner
            .time_max(Duration::from_secs(8))
            .memory_max(200 << 20)
            .processes_max(12)
            .output_max(100_000)
            .kept_output_max(20_000)
    });
    let bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass";
    for (code, stopped) in [
        ("x = bytearray(10 << 30)", "memory"),
        ("x = []\nwhile True: x.append(bytes(1 << 20))", "memory"),
        (bomb, "processes"),
        ("while True: print('y' * 50)", "output"),
        ("while True: pass", "time"),
    ] {
        board.start(code);
        // Whoever listens to one that says too much is cut off.
        until("it is ended", || board.state()["state"] == "ended");
        let exit = board.state();
        assert_eq!(exit["stopped"], stopped, "{code}: {exit}");
        assert_eq!(board.litter(), 0);
    }
    assert!(board.ask(&get("/run/output", "")).text().len() <= 20_000);
    // And the next one is as good as any.
    assert_eq!(board.run("print(1)").0["exit"], json!({"code": 0}));
}

#[test]
fn x2_limits_hold_while_a_program_is_asked_to_end() {
    let board = Board::with(|runner, _| runner.processes_max(6).grace(Duration::from_secs(600)));
    board.start(
        "import os, signal, time
def multiply(*_):
    for _ in range(12):
        if os.fork() == 0: break
    while True: time.sleep(60)
signal.signal(signal.SIGINT, multiply)
print('begun', flush=True)
while True: time.sleep(60)",
    );
    until("it has begun", || board.ask(&get("/run/output", "")).text() == "begun\n");
    assert_eq!(board.post("/run/stop", "").status, 200);
    until("it is ended", || board.state()["state"] == "ended");
    assert_eq!(board.litter(), 0);
}

#[test]
fn x2_a_limit_of_time_may_be_beyond_all_clocks() {
    let board = Board::with(|runner, _| runner.time_max(Duration::MAX).grace(Duration::MAX));
    assert_eq!(board.run("print(1)").0["exit"], json!({"code": 0}));
}

#[test]
fn x2_each_process_has_the_limits_that_were_set() {
    let board = Board::with(|runner, _| {
        runner.cpu_max(Duration::from_secs(5)).file_max(60_000).open_files_max(70)
    });
    let code = "import resource as r\nprint(*(r.getrlimit(of)[0] for of in (r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_NOFILE)))";
    let (_, output, errors) = board.run(code);
    assert_eq!(output, "5 60000 70\n", "{errors}");
}

#[test]
fn x2_content_is_bounded_and_has_to_be_a_program() {
    let board = Board::with(|runner, _| runner.code_max(100));
    for (request, status) in [
        (post_text("/run", &"#".repeat(101)), 413),
        (post_form("/run", &format!("code={}", "#".repeat(101))), 413),
        (post_form("/run", "no=code"), 400),
        (post_text("/run?language=cobol", "pass"), 422),
        (post_text("/run?pace=x", "pass"), 422),
        (send("POST", "/run", "Content-Type: multipart/form-data; boundary=x\r\n", "--x--"), 415),
        (post_form("/run", &format!("code={}", "%23".repeat(100))), 303),
    ] {
        assert_eq!(board.ask(&request).status, status, "{request}");
    }
}

#[test]
fn x2_a_server_that_goes_takes_its_program_along() {
    for setup in [Setup::CurrentThread, Setup::MultiThread, Setup::Workers] {
        let board = Board::on(setup, |runner, _| runner);
        board.start("import os, time; print(os.getpid()); time.sleep(60)");
        board.listen("").until("output");
        let pid = board.ask(&get("/run/output", "")).text().trim().to_owned();
        assert!(is_alive(&pid));
        let Board { server, runner, top } = board;
        server.handle().shutdown();
        server.ended().unwrap();
        let folders = || fs::read_dir(top.path().join("tmp")).unwrap().count();
        if matches!(setup, Setup::Workers) {
            // A process that ends after `run` leaves nothing.
            assert!(!is_alive(&pid));
            assert_eq!(folders(), 0);
        }
        until("the program ends", || !is_alive(&pid));
        until("its folder is removed", || folders() == 0);
        assert!(!runner.is_running());
    }
}

#[test]
fn x2_whoever_listens_by_another_server_hears_that_a_program_has_gone() {
    let board = Board::new();
    let access = Access::new([Rule::everyone("/run", Rights::RUN).unwrap()]);
    let app = App::new().access(access).mount("/run", board.runner.clone());
    let other = Running::start(Setup::CurrentThread, app);
    let mut client = other.connect();
    client.send(get("/run/events", ""));
    assert_eq!(client.head().status, 200);
    let mut listener = Listener { client, id: String::new() };
    board.start("import time; time.sleep(60)");
    listener.until("start");
    board.server.handle().shutdown();
    board.server.ended().unwrap();
    let exit = listener.until("exit");
    assert_eq!((&exit["state"], &exit["stopped"]), (&json!("ended"), &json!("server")));
}

/// The runtime is the user's, and goes on.
#[tokio::test]
async fn x2_a_server_in_a_runtime_of_the_users_takes_its_program_along() {
    for is_dropped in [false, true] {
        let top = tempfile::tempdir().unwrap();
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let state = top.path().join("state");
        fs::create_dir_all(state.join("programs")).unwrap();
        fs::create_dir(top.path().join("tmp")).unwrap();
        fs::write(state.join("programs/long.sh"), "sleep 600").unwrap();
        let runner = Runner::new(top.path()).unwrap().temporary(top.path().join("tmp"));
        let runner = runner.programs(&state).unwrap();
        let server = Server::bind(App::new().mount("/run", runner.clone()), "127.0.0.1:0").unwrap();
        let handle = server.handle();
        let serving = tokio::spawn(server.serve());
        runner.run_saved("long.sh", &handle).await.unwrap();
        if is_dropped {
            serving.abort();
            assert!(serving.await.unwrap_err().is_cancelled());
            while runner.is_running() {
                tokio::task::yield_now().await;
            }
        } else {
            handle.shutdown();
            serving.await.unwrap().unwrap();
        }
        assert!(!runner.is_running());
        assert_eq!(fs::read_dir(top.path().join("tmp")).unwrap().count(), 0);
    }
}

#[test]
fn b19_x3_the_running_line_is_told_and_nothing_else_changes() {
    let board = Board::with(|runner, _| runner.imports(true));
    let code = "import time\n\ndef wait():\n    time.sleep(60)\n\nprint('ready')\nwait()\n";
    board.start(code);
    let mut listener = board.listen("");
    let line = listener.until("line");
    // It may still have been in line 1, 6 or 7.
    let line = if line["line"] == 4 { line } else { listener.until("line") };
    assert_eq!(line["line"], 4, "{line}");
    assert!(line["heat"]["4"].as_u64().unwrap() >= 1, "{line}");
    board.runner.stop();
    let exit = listener.until("exit");
    assert_eq!(exit["exit"], json!({"signal": 2}), "as without us");

    let (exit, output, errors) = board.run(
        "import os, sys, threading\n\
         print(sys.argv == [__file__], sys.path[0] == os.path.dirname(__file__), __name__)\n\
         print([name for name in os.environ if 'NUMBER8' in name], threading.active_count(), sys.excepthook is sys.__excepthook__)\n\
         print(any('lines' in entry for entry in sys.path), sys.gettrace())\n\
         print(os.environ['PYTHONPATH'] == os.getcwd(), sorted(map(int, os.listdir('/proc/self/fd')))[:3])\n\
         import subprocess\n\
         print(subprocess.run(['ls', '/proc/self/fd'], capture_output=True, text=True, close_fds=False).stdout.split())\n\
         plain = subprocess.run([sys.executable, '-c', 'import sitecustomize; print(sitecustomize)'], capture_output=True, text=True).stdout\n\
         print(not plain or plain == f'{sys.modules[\"sitecustomize\"]}\\n')\n\
         threading.Thread(target=lambda: print('thread')).start()\n",
    );
    assert_eq!(
        output,
        "True True __main__\n[] 1 True\nFalse None\nTrue [0, 1, 2]\n['0', '1', '2', '3']\nTrue\nthread\n",
        "{errors} {exit}"
    );
}

/// Each interpreter that a program makes (`concurrent.interpreters`) imports our module, too; nobody may look at its frames.
#[test]
fn b19_x3_interpreters_of_a_program_know_nothing_of_it() {
    let board = Board::new();
    let (_, output, errors) = board.run(
        "try: import _interpreters as interpreters\n\
         except ImportError: import _xxsubinterpreters as interpreters\n\
         code = '''import json, sys\n\
         def count(): return sum(number for number in range(100_000))\n\
         for _ in range(5): count()\n\
         print(any('lines' in entry for entry in sys.path), flush=True)'''\n\
         for _ in range(5):\n    \
             other = interpreters.create()\n    \
             interpreters.run_string(other, code)\n    \
             interpreters.destroy(other)\n\
         print('end')\n",
    );
    assert_eq!((&*output, &*errors), (&*("False\n".repeat(5) + "end\n"), ""));
}

/// Python 3.12 and later warn who forks where there are threads: of those of the program, not of ours.
#[test]
fn b19_x3_a_program_that_forks_hears_nothing_of_our_thread() {
    let board = Board::new();
    let (_, output, errors) = board.run(
        "import os, sys, threading\n\
         if os.fork() == 0: os._exit(0)\n\
         stop = threading.Event()\n\
         threading.Thread(target=stop.wait).start()\n\
         if os.fork() == 0: os._exit(0)\n\
         stop.set()\n\
         print(int(sys.version_info >= (3, 12)))\n",
    );
    let warnings = errors.lines().filter(|line| line.contains("DeprecationWarning"));
    assert_eq!(format!("{}\n", warnings.clone().count()), output, "{errors}");
    assert!(warnings.clone().all(|line| line.contains("program.py:5: ")), "{errors}");
}

/// What is told when the program has ended already is not lost. This one tells lines itself, more than are read at once.
#[test]
fn b19_the_last_lines_are_told_when_it_has_ended() {
    let board = Board::new();
    let mut listener = board.listen("");
    board.start(
        "import os
# Line 2, which never runs.
for fd in os.listdir('/proc/self/fd'):
    path = '/proc/self/fd/' + fd
    if int(fd) > 2 and os.path.islink(path) and os.readlink(path).startswith('pipe:'):
        os.write(int(fd), b'2\\n' * 20_000)
os._exit(0)
",
    );
    let mut count = 0;
    loop {
        let (name, data) = listener.event();
        match &*name {
            "line" => count += data["heat"]["2"].as_u64().unwrap_or(0),
            "exit" => {
                assert_eq!(data["exit"], json!({"code": 0}));
                break;
            }
            _ => {}
        }
    }
    assert_eq!(count, 20_000);
}

/// Python cannot import from such a folder, and tells its lines nevertheless.
#[test]
fn b19_the_running_line_is_told_in_a_folder_with_a_colon() {
    let board = Board::with(|_, top| {
        let folder = top.join("a:b");
        fs::create_dir(&folder).unwrap();
        Runner::new(folder).unwrap().temporary(top.join("tmp")).imports(true)
    });
    board.start("import time\ntime.sleep(60)\n");
    board.listen("").until("line");
    board.runner.stop();
}

#[test]
fn b19_x3_slow_motion_runs_so_many_lines_a_second() {
    let board = Board::new();
    let answer = board.ask(&post_text(
        "/run?pace=100",
        "a = 1\nb = 2\nfor i in range(3):\n    c = i\nprint('end')\n",
    ));
    assert_eq!(answer.status, 201);
    let mut listener = board.listen("");
    let mut lines = 0;
    loop {
        let (name, data) = listener.event();
        match &*name {
            "line" => {
                let heat = data["heat"].as_object().unwrap();
                lines += heat.values().map(|count| count.as_u64().unwrap()).sum::<u64>();
            }
            "exit" => break,
            _ => {}
        }
    }
    // Two, four times the loop, three times its body, and the last.
    assert_eq!(lines, 10);
    // Ctrl-C works there, and shows no line of ours.
    board.ask(&post_text("/run?pace=0.5", "print('ready')\nprint('more')\n"));
    let mut listener = board.listen("");
    listener.hears("ready");
    board.runner.stop();
    let exit = listener.until("exit");
    assert_eq!(exit["exit"], json!({"signal": 2}));
    let output = board.ask(&get("/run/output", "")).text().to_owned();
    assert!(output.contains("KeyboardInterrupt") && !output.contains("sitecustomize"), "{output}");
}

#[tokio::test]
async fn b22_x4_a_saved_program_is_started_without_a_request() {
    let top = tempfile::tempdir().unwrap();
    fs::set_permissions(top.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state = top.path().join("state");
    fs::create_dir(&state).unwrap();
    let without = Runner::new(top.path()).unwrap();
    let runner = without.clone().programs(&state).unwrap();
    for (name, content) in [
        ("hello.sh", &b"echo hello\r\nexit 7\n"[..]),
        ("first", b"print('py')"),
        ("long.sh", b"sleep 600"),
        ("no.rb", b"puts 1"),
        ("binary.py", b"\xff"),
    ] {
        fs::write(state.join("programs").join(name), content).unwrap();
    }
    let access = Access::new([Rule::everyone("/run", Rights::RUN).unwrap()]);
    let server = App::new().access(access).mount("/run", runner.clone()).test();
    let handle = server.handle();
    for (name, status) in
        [("none.sh", 404), ("a/b", 404), (".a", 404), ("no.rb", 422), ("binary.py", 400)]
    {
        let error = runner.run_saved(name, &handle).await.unwrap_err();
        assert_eq!(error.status(), status, "{name}: {error}");
    }
    assert_eq!(without.run_saved("hello.sh", &handle).await.unwrap_err().status(), 404);
    for (name, language, code) in [("hello.sh", "sh", 7), ("first", "py", 0)] {
        runner.run_saved(name, &handle).await.unwrap();
        while runner.is_running() {
            tokio::task::yield_now().await;
        }
        let answer = server.get("/run").field("Accept", "application/json").send().await;
        let state: Value = answer.unwrap().json();
        let told = (&state["name"], &state["language"], &state["exit"]["code"]);
        assert_eq!(told, (&json!(name), &json!(language), &json!(code)), "{state}");
        assert_eq!((&state["by"], &state["at_start"]), (&Value::Null, &json!(true)), "{state}");
    }
    runner.run_saved("long.sh", &handle).await.unwrap();
    assert_eq!(runner.run_saved("hello.sh", &handle).await.unwrap_err().status(), 409);
}

#[test]
fn x2_who_has_started_what_runs_is_told() {
    let board = Board::new();
    for (field, by, page) in [
        ("User: a<b\r\n", json!("a<b"), "<p>Started by a&lt;b, "),
        ("", Value::Null, "<p>Started, "),
    ] {
        let program = post_text("/run", "input()");
        board.ask(&program.replacen("\r\n", &format!("\r\n{field}"), 1));
        let state = board.state();
        assert_eq!((&state["state"], &state["by"]), (&json!("running"), &by), "{state}");
        assert_eq!(state["at_start"], json!(false), "{state}");
        let text = board.ask(&get("/run", "")).text().to_owned();
        assert!(text.contains(page), "{text}");
        board.post("/run/input?end", "");
        until("the program ends", || board.state()["state"] == "ended");
    }
}

#[test]
fn x4_programs_are_saved_by_name_and_earlier_ones_are_remembered() {
    let board = Board::with(|runner, top| {
        runner.programs(top.join("state")).unwrap().programs_max(2).history_max(2)
    });
    let put = |name: &str, content: &str| {
        board.ask(&send("PUT", &format!("/run/programs/{name}"), "", content)).status
    };
    assert_eq!((put("blink.py", "on()"), put("blink.py", "off()")), (201, 204));
    assert_eq!((put("%C3%A4%20b.py", "x"), put("third.py", "x")), (201, 507));
    for name in ["a%2Fb", "..", "%2e%2e", ".hidden", "a%00b", "%ff", &"x".repeat(101)] {
        assert!(put(name, "x") >= 300, "{name}");
    }
    let got = board.ask(&get("/run/programs/blink.py", ""));
    assert_eq!((got.status, got.text()), (200, "off()"));
    assert_eq!(got.field("content-type"), Some("text/plain; charset=utf-8"));
    for number in 1..=3 {
        board.ask(&post_text("/run?name=n.py", &format!("print({number})")));
        board.listen("").until("exit");
    }
    let all = json(&board.ask(&get("/run/programs/", "")));
    let names: Vec<&str> = all["programs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["blink.py", "ä b.py"]);
    assert_eq!(
        (&all["programs"][0]["size"], all["programs"][0]["modified"].as_f64() > Some(1.7e9)),
        (&json!(5), true)
    );
    let ids: Vec<i64> =
        all["history"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [3, 2], "the newest first");
    assert_eq!(
        (&all["history"][0]["name"], &all["history"][0]["exit"]),
        (&json!("n.py"), &json!({"code": 0}))
    );
    assert_eq!(board.ask(&get("/run/programs/history/3", "")).text(), "print(3)");
    assert_eq!(board.ask(&get("/run/programs/history/1", "")).status, 404);
    let delete =
        |name: &str| board.ask(&send("DELETE", &format!("/run/programs/{name}"), "", "")).status;
    assert_eq!((delete("blink.py"), delete("blink.py")), (204, 404));

    // A program reaches none of it.
    let state = board.top.path().join("state");
    let code = format!("import os\ntry: print(os.listdir({state:?}))\nexcept OSError: print('no')");
    if has_landlock() {
        assert_eq!(board.run(&code).1, "no\n");
    } else {
        eprintln!("skipped: this kernel has no Landlock");
    }
}

#[test]
fn x5_other_interpreters_run_other_languages() {
    let interpreters = ["py=python3", "sh=sh", "none=no-such-interpreter"];
    let interpreters = interpreters.map(|text| text.parse::<Interpreter>().unwrap());
    let board = Board::with(|runner, _| runner.interpreters(interpreters));
    assert_eq!(board.run("print('python')").1, "python\n");
    let answer = board.ask(&post_text("/run?language=sh", "echo $0 >&2; echo shell $PWD"));
    assert_eq!(answer.status, 201);
    let exit = board.listen("").until("exit");
    assert_eq!((&exit["language"], &exit["exit"]), (&json!("sh"), &json!({"code": 0})));
    let output = board.ask(&get("/run/output", "")).text().to_owned();
    let folder = board.top.path().join("folder").canonicalize().unwrap();
    assert!(output.contains(&format!("shell {}\n", folder.display())), "{output}");
    assert!(output.contains("/program.sh\n"), "{output}");
    let missing = board.ask(&post_text("/run?language=none", "x"));
    assert_eq!(missing.status, 501);
    // It was never started: what ran before is what ran last.
    assert_eq!(
        (&board.state()["state"], &board.state()["language"]),
        (&json!("ended"), &json!("sh"))
    );
    assert_eq!(board.ask(&get("/run/output", "")).text(), output);
    assert_eq!(board.litter(), 0);
}

/// In /tmp it may be another user's.
#[test]
fn x5_a_package_beside_the_folder_of_a_program_says_nothing_of_its_javascript() {
    if !std::process::Command::new("node")
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success())
    {
        eprintln!("skipped: there is no node");
        return;
    }
    let board =
        Board::with(|runner, _| runner.interpreters(["js=node".parse::<Interpreter>().unwrap()]));
    for package in ["no JSON", r#"{"type": "module"}"#] {
        fs::write(board.top.path().join("tmp/package.json"), package).unwrap();
        let code = "console.log(typeof require('fs'))";
        assert_eq!(board.ask(&post_text("/run?language=js", code)).status, 201);
        board.listen("").until("exit");
        assert_eq!(board.ask(&get("/run/output", "")).text(), "object\n", "{package}");
    }
}

#[test]
fn x5_a_folder_that_is_gone_is_no_missing_interpreter() {
    for name in ["folder", "tmp"] {
        let board = Board::new();
        fs::remove_dir_all(board.top.path().join(name)).unwrap();
        let answer = board.ask(&post_text("/run", "print(8)"));
        assert_eq!(answer.status, 500, "{name}");
        fs::create_dir(board.top.path().join(name)).unwrap();
        fs::set_permissions(board.top.path().join(name), fs::Permissions::from_mode(0o777))
            .unwrap();
        assert_eq!(board.run("print(8)").1, "8\n", "{name}");
    }
}

#[test]
fn a5_without_the_right_nothing_is_answered() {
    let top = tempfile::tempdir().unwrap();
    let runner = Runner::new(top.path()).unwrap().programs(top.path()).unwrap();
    let rules =
        [Rule::everyone("/", Rights::RW).unwrap(), Rule::user("ada", "/run", Rights::RUN).unwrap()];
    let board = Running::start(
        Setup::CurrentThread,
        App::new().access(Access::new(rules)).mount("/run", runner),
    );
    for path in [
        "",
        "/",
        "/stop",
        "/events",
        "/input",
        "/output",
        "/programs",
        "/programs/",
        "/programs/a.py",
        "/programs/history/1",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"] {
            let mut client = board.connect();
            client.send(send(method, &format!("/run{path}"), "", "print(1)"));
            let status = client.head().status;
            assert!([401, 403, 405].contains(&status), "{method} {path}: {status}");
        }
    }
}

#[test]
fn x2_as_many_listen_as_may() {
    let board = Board::with(|runner, _| runner.listeners_max(2));
    let _two = (board.listen(""), board.listen(""));
    assert_eq!(board.ask(&get("/run/events", "")).status, 503);
}
