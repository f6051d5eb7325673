//! What is told of requests: to their clients, to handlers, in logs.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use number8::layers::access_log::Sink;
use number8::layers::proxies::Proxies;
use number8::{AccessLog, Answer, App, Call, Content, Handler, Response, SlowLog};

/// Answers with what its request is called.
struct Name;

impl Handler for Name {
    fn handle(&self, call: Call<'_>) -> Answer {
        let id = call.caller.request_id.as_ref();
        Response::new(200, id.map_or("none".to_owned(), ToString::to_string)).into()
    }
}

/// What a client at `peer` gets for a request that ends the connection.
async fn ask(app: App, peer: &str, request: &str) -> String {
    let server = app.test();
    let client = server.connect_from(SocketAddr::new(peer.parse().unwrap(), 4711));
    client.write_all(request.as_bytes()).await.unwrap();
    String::from_utf8(client.read_to_end().await.unwrap()).unwrap()
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("{name}: ");
    answer.lines().find_map(|line| line.strip_prefix(&start))
}

#[tokio::test]
async fn o3_a_trusted_proxy_names_requests_and_nobody_else_does() {
    let (proxy, other) = ("10.0.0.1", "192.0.2.1");
    let made = None;
    // Who asks, with what, and what the request is called then: `None` for a name of ours.
    for (peer, fields, want) in [
        (proxy, "X-Request-Id: abc-1\r\n", Some("abc-1")),
        (proxy, "X-Request-Id: two words\r\n", made),
        (proxy, "X-Request-Id: \r\n", made),
        (proxy, "", made),
        (other, "X-Request-Id: abc-1\r\n", made),
    ] {
        let app = App::new().mount("/", Name).request_ids(true);
        let app = app.proxies(Proxies::new(["10.0.0.0/8".parse().unwrap()]));
        let answer = ask(app, peer, &get(fields)).await;
        let (told, seen) = (field(&answer, "X-Request-Id"), answer.lines().last());
        assert_eq!(told, seen, "{peer} {fields}");
        match want {
            Some(want) => assert_eq!(told, Some(want), "{peer} {fields}"),
            None => assert!(
                told.is_some_and(|id| {
                    id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())
                }),
                "{peer} {fields}: {told:?}"
            ),
        }
    }
}

#[tokio::test]
async fn o3_requests_have_no_name_where_nobody_asks() {
    let answer = ask(App::new().mount("/", Name), "192.0.2.1", &get("")).await;
    assert_eq!((field(&answer, "X-Request-Id"), answer.lines().last()), (None, Some("none")));
}

#[tokio::test]
async fn o3_an_answer_keeps_the_name_that_a_handler_gives() {
    let named = async || Response::new(200, "").with("X-Request-Id", "mine");
    let answer = ask(App::new().get("/", named).request_ids(true), "192.0.2.1", &get("")).await;
    assert_eq!(answer.matches("X-Request-Id").count(), 1);
    assert_eq!(field(&answer, "X-Request-Id"), Some("mine"));
}

/// The lines that an app writes to a log until its server ends.
async fn logged(app: impl FnOnce(AccessLog) -> App, format: &str, request: &str) -> String {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let sink = Arc::new(Sink::descriptor(writer).unwrap());
    let app = app(AccessLog { format: format.parse().unwrap(), sink: Arc::clone(&sink) });
    ask(app, "192.0.2.1", request).await;
    assert!(sink.finish(Duration::from_secs(20)));
    drop(sink);
    let mut lines = String::new();
    // The server's last worker holds the app, and with it the sink, until its task has ended.
    while !lines.ends_with('\n') {
        let mut some = [0; 1024];
        let count = reader.read(&mut some).unwrap();
        lines.push_str(str::from_utf8(&some[..count]).unwrap());
        if count == 0 {
            break;
        }
    }
    lines
}

#[tokio::test]
async fn o3_a_line_tells_what_came_what_went_and_the_name_of_the_request() {
    let echo = async |content: Content| content.repeat(2);
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let known = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd";
    for (request, want) in [(chunked, "5 10"), (known, "4 8"), (&get(""), "0 3")] {
        let app = |log| App::new().get("/", async || "get").post("/", echo).access_log(log);
        let line = logged(app, "$bytes_received $bytes_sent $request_id", request).await;
        let (bytes, id) = line.trim_end().rsplit_once(' ').unwrap();
        assert_eq!((bytes, id.len()), (want, 16), "{line}");
    }
}

#[tokio::test]
async fn o3_a_line_has_its_time_in_milliseconds() {
    const DAY_MS: u128 = 86_400_000;
    // The kernel's coarse clock is behind by up to a tick.
    const TICK_MS: u128 = 10;
    let before = UNIX_EPOCH.elapsed().unwrap().as_millis();
    let app = |log| App::new().get("/", async || "get").access_log(log);
    let line = logged(app, "$time_iso8601", &get("")).await;
    let (_, time) = line.trim_end().strip_suffix('Z').unwrap().split_once('T').unwrap();
    let digits: Vec<u128> = time.split([':', '.']).map(|part| part.parse().unwrap()).collect();
    let &[hours, minutes, seconds, millis] = &*digits else { panic!("{line}") };
    let told = ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis;
    let passed = UNIX_EPOCH.elapsed().unwrap().as_millis() - before;
    let later = (told + DAY_MS + TICK_MS - before % DAY_MS) % DAY_MS;
    assert!(later <= passed + TICK_MS, "{line} is {later} ms after {before} - {TICK_MS}");
}

#[tokio::test]
async fn o3_a_slow_request_is_told_of() {
    let format = "slow: $method $target $status $request_id";
    let slow = |after| move |log| App::new().mount("/", Name).slow_log(SlowLog { after, log });
    let line = logged(slow(Duration::ZERO), format, &get("")).await;
    assert!(line.starts_with("slow: GET / 200 "), "{line}");
}

/// Answers one request of a client, and keeps the connection.
async fn answer(client: &number8::server::memory::End, request: &str, end: &str) -> String {
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let mut some = [0; 4096];
        let count = client.read(&mut some).await.unwrap();
        assert!(count > 0, "it ends with {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&some[..count]);
    }
    String::from_utf8(answer).unwrap()
}

/// Waits until a sheet has all these lines: what a connection counts it may count after its client has its answer.
pub(crate) async fn measured(handle: &number8::Handle, wanted: &[&str]) -> String {
    let text = || handle.measure().text();
    let all = async {
        while !wanted.iter().all(|line| text().lines().any(|other| other == *line)) {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), all).await.is_err() {
        let text = text();
        let missing: Vec<_> =
            wanted.iter().filter(|line| !text.lines().any(|other| other == **line)).collect();
        panic!("{missing:#?} is not in\n{text}");
    }
    text()
}

#[tokio::test]
async fn o4_what_happens_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "abc").unwrap();
    // What has just changed is not kept.
    let file = std::fs::File::options().append(true).open(folder.path().join("a.txt")).unwrap();
    let before = std::time::SystemTime::now() - Duration::from_secs(60);
    file.set_modified(before).unwrap();
    let files = number8::Files::new(folder.path()).unwrap();
    let uploads = number8::Uploads::new(folder.path()).unwrap();
    let joined = number8::ByMethod::new().with(files).with(uploads);
    let rules = number8::access::Rule::everyone("/", number8::access::Rights::UP).unwrap();
    let lossy = Arc::new(Sink::file("/dev/full").unwrap());
    lossy.push(b"one\ntwo\n");
    assert!(lossy.finish(Duration::from_secs(20)));
    let events = number8::Events::new();
    let app = App::new()
        .access(number8::access::Access::new([rules]))
        .mount("/", joined)
        .mount("/events", events.clone())
        .access_log(AccessLog { format: "$status".parse().unwrap(), sink: lossy })
        .get("/bad", async || Response::error(503, "bad"));
    let limits = number8::server::Limits { connections_max: 2, ..Default::default() };
    let long = Duration::from_secs(600);
    let timeouts = number8::server::Timeouts { idle: long, ..Default::default() };
    let options = number8::Options { metrics: true, limits, timeouts, ..Default::default() };
    let server = number8::testing::TestServer::new(app, options);
    let client = server.connect();
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    answer(&client, &get("/a.txt"), "abc").await;
    answer(&client, &get("/a.txt"), "abc").await;
    let page = "GET /bad HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n";
    answer(&client, page, "</html>\n").await;
    let put = "PUT /b.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    answer(&client, put, "\r\n\r\n").await;
    let listener = server.connect();
    answer(&listener, &get("/events"), "\r\n\r\n").await;
    // A third one is one too many.
    let refused = server.connect().read_to_end().await.unwrap();
    assert!(refused.starts_with(b"HTTP/1.1 503 "));
    let text = measured(
        &server.handle(),
        &[
            "number8_requests_total{method=\"GET\",status=\"2xx\"} 3",
            "number8_requests_total{method=\"GET\",status=\"5xx\"} 1",
            "number8_requests_total{method=\"PUT\",status=\"2xx\"} 1",
            "number8_requests_total{method=\"other\",status=\"5xx\"} 1",
            "number8_request_duration_seconds_count 6",
            "number8_received_bytes_total 5",
            "number8_connections_accepted_total 3",
            "number8_connections_refused_total{limit=\"connections\"} 1",
            "number8_connections_closed_total{reason=\"too_many\"} 1",
            "number8_connections{state=\"idle\"} 1",
            "number8_connections{state=\"busy\"} 1",
            "number8_connections_max 2",
            "number8_event_subscribers 1",
            "number8_websockets 0",
            "number8_ready 0",
            "number8_cache_hits_total 1",
            "number8_uploads_begun_total 1",
            "number8_uploads_stored_total 1",
            "number8_lane_rejected_total 0",
        ],
    )
    .await;
    assert!(text.contains("number8_worker_beat_age_seconds{worker=\"0\"} "), "{text}");
    let lost = text.lines().find_map(|line| line.strip_prefix("number8_log_lines_lost_total "));
    assert!(lost.unwrap().parse::<u64>().unwrap() >= 2, "{text}");
    drop((client, listener));
    let gone = ["number8_event_subscribers 0", "number8_ready 1"];
    let text = measured(&server.handle(), &gone).await;
    check_exposition(&text);
}

/// What the text format demands: each metric once, with its type before it; counters end in `_total`, units are base units.
fn check_exposition(text: &str) {
    let mut names = std::collections::HashSet::new();
    let (mut name, mut kind) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            name = rest.split(' ').next().unwrap().to_owned();
            assert!(rest.len() > name.len() + 1, "no help: {line}");
            assert!(names.insert(name.clone()), "{name} stands in two places");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (of, told) = rest.split_once(' ').unwrap();
            assert_eq!(of, name, "{line}");
            kind = told.to_owned();
            assert!(["counter", "gauge", "histogram"].contains(&told), "{line}");
            assert_eq!(told == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let of = sample.split('{').next().unwrap();
            let of = match kind.as_str() {
                "histogram" => of
                    .trim_end_matches("_bucket")
                    .trim_end_matches("_sum")
                    .trim_end_matches("_count"),
                _ => of,
            };
            assert_eq!(of, name, "{line}");
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        }
    }
    assert!(names.len() > 20, "{text}");
}

#[tokio::test]
async fn o4_nothing_is_counted_unless_asked() {
    let server = App::new().get("/", async || "hi").test();
    let client = server.connect();
    answer(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "hi").await;
    let text = server.handle().measure().text();
    assert!(!text.contains("number8_requests_total"), "{text}");
}

#[tokio::test]
async fn o4_metrics_are_read_like_any_page() {
    let server = App::new().test();
    let metrics = server.handle().metrics();
    let answer = ask(metrics, "192.0.2.1", "GET /metrics HTTP/1.0\r\nHost: a\r\n\r\n").await;
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(text.starts_with("# HELP number8_build_info "), "{text}");
}

#[tokio::test]
async fn o4_ready_is_not_the_same_as_alive() {
    let probe = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let new = || App::new().health("/health".to_owned()).ready("/ready".to_owned());
    // Limits that are exhausted by the one that asks; and what is said then.
    let limits = number8::server::Limits { connections_max: 1, ..Default::default() };
    let lane = number8::server::LaneOptions { queue_max: 0, ..Default::default() };
    let (one, none) = (
        number8::Options { limits, ..Default::default() },
        number8::Options { lane, ..Default::default() },
    );
    for (options, status, says) in [
        (number8::Options::default(), "200", "ready\n"),
        (one, "503", "there are as many connections as there may be\n"),
        (none, "503", "the lane is full\n"),
    ] {
        let server = number8::testing::TestServer::new(new(), options);
        let client = server.connect();
        assert!(answer(&client, &probe("/health"), "ok\n").await.starts_with("HTTP/1.1 200"));
        let told = answer(&client, &probe("/ready"), says).await;
        assert_eq!(told.split(' ').nth(1), Some(status), "{told}");
    }
}
