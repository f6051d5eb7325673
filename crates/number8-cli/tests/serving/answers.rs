//! What each option changes in the answers and in what is printed.

use std::fs;

use rustix::process::Signal;

use super::{Served, last, sandbox, until};

/// Arguments, the path that is asked for, and what of each text is or (`!`) is not in the answer.
type Case = (&'static [&'static str], &'static str, &'static [&'static str]);

#[test]
fn options_change_answers() {
    let cases: &[Case] = &[
        (&[], "/", &["HTTP/1.1 200 OK", "Server: number8", "hello"]),
        (&["--no-server-header"], "/", &["200", "!Server:"]),
        (&["--header", "X-A: b", "--header", "X-C: d e"], "/", &["X-A: b\r\n", "X-C: d e\r\n"]),
        (&["--header", "X-A: b"], "/none", &["404", "X-A: b\r\n"]),
        (&["--cache-control", "max-age=60"], "/", &["Cache-Control: max-age=60\r\n"]),
        (&["--mime", "glb=model/x-test"], "/model.glb", &["Content-Type: model/x-test"]),
        (&["--index", "start.html"], "/", &["start"]),
        (&["--index", "none.html,start.html"], "/", &["start"]),
        (&[], "/plain/", &["a.txt", "b.txt"]),
        (&["--no-listing"], "/plain/", &["!a.txt", "404"]),
        (&["--max-listing", "1"], "/plain/", &["a.txt", "!b.txt"]),
        (&[], "/.hidden", &["404"]),
        (&["--hidden"], "/.hidden", &["200", "hidden"]),
        (&[], "/out.txt", &["404"]),
        (&["--follow-symlinks"], "/out.txt", &["200", "outside"]),
        (&["--error-page", "404=404.html"], "/none", &["404", "text/html", "<h1>gone</h1>"]),
        (&["--spa"], "/a/b", &["200", "hello"]),
        (&["--spa=start.html"], "/a/b", &["200", "start"]),
        (&["--mount", "/m=site/plain"], "/m/a.txt", &["200", "\r\n\r\na"]),
        (&["--mount", "/m=404.html"], "/m", &["200", "gone"]),
        (&["--path-prefix", "/x"], "/x/plain/a.txt", &["200"]),
        (&["--path-prefix", "/x"], "/plain/a.txt", &["404"]),
        (&["--path-prefix", "/x", "--mount", "/m=site"], "/x/m/", &["hello"]),
        (&["--cache-size", "0"], "/", &["200", "hello"]),
        (&[], "/.number8/health", &["200", "ok"]),
        (&["--health", "/up"], "/up", &["200", "ok"]),
        (&["--health", "off"], "/.number8/health", &["404"]),
        (&["--events", "/ev"], "/ev/%ff", &["404", "name of a topic"]),
        (&["--path-prefix", "/x", "--events", "/ev"], "/x/ev/%ff", &["404", "name of a topic"]),
        (&["--host", "board.local"], "/", &["200", "hello"]),
        (&["--io-threads", "1"], "/", &["200", "hello"]),
        (&["--lane-threads", "1", "--lane-queue", "1"], "/plain/b.txt", &["200"]),
    ];
    let folder = sandbox();
    for (arguments, path, wanted) in cases {
        let answer = Served::start(folder.path(), arguments).get(path);
        for want in *wanted {
            match want.strip_prefix('!') {
                Some(want) => assert!(!answer.contains(want), "{arguments:?} {path}: {answer}"),
                None => assert!(answer.contains(want), "{arguments:?} {path}: {want} {answer}"),
            }
        }
    }
}

#[test]
fn only_our_hosts_are_answered() {
    let folder = sandbox();
    let served = Served::start(folder.path(), &["--host", "board.local"]);
    for (host, status) in [
        ("board.local", "200"),
        ("BOARD.local:80", "200"),
        ("localhost:8080", "200"),
        ("127.0.0.1", "200"),
        ("[::1]:80", "200"),
        ("evil.example", "421"),
        ("board.local.evil.example", "421"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = served.connect().send(&request).rest();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{host}: {answer}");
        assert_eq!(answer.contains("--host"), status == "421", "it names the option: {answer}");
    }
}

#[test]
fn b11_h16_typed_requests_need_lenient() {
    let folder = sandbox();
    for (arguments, status) in [(&["--lenient"][..], "200"), (&[], "400")] {
        let served = Served::start(folder.path(), arguments);
        let answer = served.connect().send("GET / HTTP/1.0\n\n").rest();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{arguments:?}: {answer}");
    }
}

#[test]
fn each_format_of_the_log_is_written_and_health_is_not() {
    let folder = sandbox();
    for (format, want) in [
        ("short", "GET /plain/a.txt?q 200 1 "),
        ("combined", "\"GET /plain/a.txt?q HTTP/1.1\" 200 1 \"-\" \"test/1\""),
        ("json", "\"target\":\"/plain/a.txt?q\""),
        ("$status of $method $path", "200 of GET /plain/a.txt"),
    ] {
        let mut served = Served::start(folder.path(), &["--log", format]);
        let greeting = served.messages().len();
        served.get("/.number8/health");
        served.get_with("/plain/a.txt?q", "User-Agent: test/1\r\n");
        let line = served.message(want);
        served.signal(Signal::TERM);
        served.ended();
        assert_eq!(served.messages()[greeting..], [line], "{format}");
    }
    let mut served = Served::start(folder.path(), &["--log", "off"]);
    let greeting = served.messages().len();
    served.get("/");
    served.signal(Signal::TERM);
    served.ended();
    assert_eq!(served.messages().len(), greeting);
}

#[test]
fn o3_slow_requests_are_told_of_and_answers_name_their_requests() {
    let folder = sandbox();
    let served = Served::start(
        folder.path(),
        &["--log-slow", "1ms", "--request-id", "--log", "$request_id of $path"],
    );
    let answer = served.get("/plain/a.txt");
    let id = answer.lines().find_map(|line| line.strip_prefix("X-Request-Id: ")).unwrap();
    served.message(&format!("{id} of /plain/a.txt"));
    // A password is checked in more than a millisecond, on any machine.
    let hash = "name:$2y$10$WJ.C7DzqyjMeVgrFs4UBcOXBtE6yl6zHYvVCi2S9zTZQ6ZQ5PMgJm@/:ro";
    let served = Served::start(folder.path(), &["--log-slow", "1ms", "--auth", hash]);
    served.get_with("/plain/a.txt", "Authorization: Basic bmFtZTp4\r\n");
    served.message("number8: slow: GET /plain/a.txt 401 after ");
}

#[test]
fn o4_metrics_have_an_address_of_their_own_and_ready_a_path() {
    let folder = sandbox();
    let mut served = Served::start(folder.path(), &["--metrics", "0", "--log", "off"]);
    assert!(served.get("/.number8/ready").ends_with("ready\n"));
    assert!(served.get("/metrics").starts_with("HTTP/1.1 404 "));
    served.get("/plain/a.txt");
    let place = served.message("Metrics: http://127.0.0.1:");
    let address = place.rsplit("http://").next().unwrap().strip_suffix("/metrics").unwrap();
    let ask = |host: &str| {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let stream = std::net::TcpStream::connect(address).unwrap();
        super::Client(stream).send(&request).rest()
    };
    let line = "number8_requests_total{method=\"GET\",status=\"2xx\"} 1\n";
    until("the requests are counted", || ask(address).contains(line));
    // The reference has every metric and every reason.
    let (text, reference) = (ask(address), include_str!("../../../../docs/cli.md"));
    let named = |line: &str| {
        let of = |before: &str, end: char| {
            Some(line.split_once(before)?.1.split(end).next().unwrap().to_owned())
        };
        of("# TYPE ", ' ').or_else(|| of("{reason=\"", '"'))
    };
    for name in text.lines().filter_map(named) {
        let is_there = [format!("`{name}`"), format!("`{name}{{")];
        assert!(is_there.iter().any(|name| reference.contains(name)), "docs/cli.md lacks {name}");
    }
    // A page of another site that has its name lead here.
    assert!(ask("evil.example").starts_with("HTTP/1.1 421 "));
    served.signal(Signal::TERM);
    assert!(served.ended().success());
    // Only a whole address is open to others.
    for (given, wrong) in [("nonsense:x", true), (":0", false)] {
        let mut command = crate::number8(folder.path());
        command.args(["site", "--metrics", given, "--print-config"]);
        assert_eq!(command.output().unwrap().status.success(), !wrong, "{given}");
    }
}

#[test]
fn h4_w6_heads_are_dumped_with_their_direction() {
    let folder = sandbox();
    let served = Served::start(folder.path(), &["--dump", "--log", "off"]);
    served.get_with("/", "X-Odd: a\x1b[2J\tb\r\n");
    served.get_with("/", "X-Odd: tab\tis-fine\r\n");
    for line in
        ["< GET / HTTP/1.1", "< X-Odd: tab\\tis-fine", "> HTTP/1.1 200 OK", "> Content-Length: 5"]
    {
        served.message(line);
    }
    assert!(!served.messages().iter().any(|line| line.contains('\x1b')));
}

#[test]
fn quiet_says_nothing_and_verbose_says_why_connections_close() {
    let folder = sandbox();
    let socket = folder.path().join("n8.sock");
    let mut command = crate::number8(folder.path());
    command.args(["site", "-q", "-b", "unix:n8.sock"]);
    let mut served = Served::run(command);
    until("it listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let mut client = super::Client(std::os::unix::net::UnixStream::connect(&socket).unwrap());
    assert!(client.send(&last("/none", "")).rest().contains("404"));
    served.signal(Signal::TERM);
    assert_eq!(served.ended().code(), Some(0));
    assert_eq!(served.messages(), [""; 0]);

    let served = Served::start(folder.path(), &["-v", "--timeout-idle", "100ms"]);
    served.get("/");
    served.message("closed: the client asked for it");
    drop(served.connect());
    served.message("closed: the client closed it");
    served.connect().send("GET\r\n\r\n").rest();
    served.message("closed: the request was at fault: the request line is not");
    served.connect().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").rest();
    let line = served.message("closed: no next request came");
    assert!(line.starts_with("number8: 127.0.0.1:"), "{line}");
}

#[test]
fn b4_files_show_as_they_are_now() {
    let folder = sandbox();
    let served = Served::start(folder.path(), &[]);
    assert!(served.get("/new.txt").contains("404"));
    fs::write(folder.path().join("site/new.txt"), "new").unwrap();
    until("the file is there", || served.get("/new.txt").ends_with("\r\n\r\nnew"));
}

/// Who listens goes on listening when the configuration is loaded again.
#[test]
fn x12_events_are_sent_by_who_may_to_all_who_listen() {
    let folder = sandbox();
    let served = Served::start(
        folder.path(),
        &["--events", "/events", "--allow", "ro", "--auth", "joe:pw@/:ro,events"],
    );
    let mut listener = served.connect();
    listener.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").until("\r\n\r\n");
    let post = |fields: &str| {
        let head = "POST /events?event=call HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        let request = format!("{head}{fields}Content-Length: 6\r\n\r\ndinner");
        served.connect().send(&request).rest()
    };
    assert!(post("").starts_with("HTTP/1.1 401 "));
    served.signal(Signal::HUP);
    served.message("loaded again");
    let answer = post("Authorization: Basic am9lOnB3\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n1\n"), "{answer}");
    assert!(listener.until("data: dinner\n").contains("event: call\n"));
}
