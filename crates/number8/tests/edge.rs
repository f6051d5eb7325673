//! The rest of the ecosystem: types of `http`, services of tower.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Path;
use axum::routing;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use number8::access::{Access, Rights, Rule};
use number8::layers::compress::Compress;
use number8::store::File;
use number8::{App, Body, Caller, Error, Files, Request, Response, Tower, Uploads};
use tokio::time::timeout;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::serving::PATIENCE;

#[tokio::test]
async fn n_types_of_http_come_and_go() {
    async fn echo(request: Request) -> Result<http::Response<Body>, Error> {
        let request = http::Request::<Body>::try_from(request)?;
        let (parts, body) = request.into_parts();
        let response = http::Response::builder()
            .status(StatusCode::IM_A_TEAPOT)
            .header("X-Seen", format!("{} {}", parts.method, parts.uri))
            .header("X-Caller", parts.extensions.get::<Caller>().is_some().to_string())
            .header("X-Twice", &parts.headers["x-twice"])
            .header("X-Twice", "2")
            // The server writes those itself.
            .header("Content-Length", "999")
            .header("Connection", "upgrade")
            .body(body);
        Ok(response?)
    }
    let mut headers = HeaderMap::new();
    headers.append("x-a", HeaderValue::from_static("1"));
    headers.append("x-a", HeaderValue::from_static("2"));
    let fields = headers.clone();
    let app = App::new()
        .post("/echo", echo)
        .get("/status", async || StatusCode::ACCEPTED)
        .get("/fields", move || (StatusCode::CREATED, fields.clone(), "made"))
        .get("/text", async || http::Response::new("known".to_owned()));
    let server = app.test();

    let request = server.post("/echo?a=%20b").field("X-Twice", "1").body("content");
    let answer = request.send().await.unwrap();
    assert_eq!((answer.status(), answer.text()), (418, "content"));
    assert_eq!(answer.field("x-seen"), Some("POST /echo?a=%20b"));
    assert_eq!(answer.field("x-caller"), Some("true"));
    assert_eq!(answer.fields().filter(|(name, _)| *name == "x-twice").count(), 2);

    let answer = server.get("/status").send().await.unwrap();
    assert_eq!((answer.status(), answer.text()), (202, "Accepted"));
    let answer = server.get("/fields").send().await.unwrap();
    assert_eq!((answer.status(), answer.text()), (201, "made"));
    assert_eq!(answer.fields().filter(|(name, _)| *name == "x-a").count(), 2);
    let answer = server.get("/text").send().await.unwrap();
    assert_eq!((answer.text(), answer.field("content-length")), ("known", Some("5")));
}

#[tokio::test]
async fn a_router_of_axum_behind_a_layer_of_tower_http_is_mounted() {
    let layer = SetResponseHeaderLayer::overriding(
        HeaderName::from_static("x-layer"),
        HeaderValue::from_static("seen"),
    );
    let router = Router::new()
        .route("/", routing::get(async || "root"))
        .route("/users/{id}", routing::get(async |Path(id): Path<u32>| format!("user {id}")))
        .route("/echo", routing::post(async |body: String| body))
        .layer(layer);
    let app = App::new().get("/own", async || "own").mount("/axum", Tower::new(router));
    let server = app.test();
    let cases = [
        ("GET", "/own", "", 200, "own"),
        ("GET", "/axum", "", 200, "root"),
        ("GET", "/axum/", "", 200, "root"),
        ("GET", "/axum/users/8?x=1", "", 200, "user 8"),
        ("GET", "/axum/users/eight", "", 400, "Invalid URL: Cannot parse `eight` to a `u32`"),
        ("GET", "/axum/none", "", 404, ""),
        ("POST", "/axum/echo", "caf\u{e9}", 200, "caf\u{e9}"),
        ("GET", "/axum/echo", "", 405, ""),
        ("HEAD", "/axum/", "", 200, ""),
    ];
    for (method, target, content, status, text) in cases {
        let request = server.request(method, target).body(content);
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status(), answer.text()), (status, text), "{method} {target}");
        let through_layer = target.starts_with("/axum").then_some("seen");
        assert_eq!(answer.field("x-layer"), through_layer, "{method} {target}");
    }
    let head = server.request("HEAD", "/axum/").send().await.unwrap();
    assert_eq!(head.field("content-length"), Some("4"));
}

#[tokio::test]
async fn a_service_that_fails_or_wants_the_connection_is_500() {
    let fails = tower::service_fn(async |_: http::Request<Body>| {
        Err::<http::Response<String>, _>(io::Error::other("secret"))
    });
    let upgrades = tower::service_fn(async |_: http::Request<Body>| {
        let mut response = http::Response::new(String::new());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        io::Result::Ok(response)
    });
    let app =
        App::new().mount("/fails", Tower::new(fails)).mount("/upgrades", Tower::new(upgrades));
    let server = app.test();
    for target in ["/fails", "/upgrades"] {
        let answer = server.get(target).send().await.unwrap();
        assert_eq!(answer.status(), 500, "{target}");
        assert!(!answer.text().contains("secret"));
    }
}

/// What an app can do that is served by somebody else.
fn ours(folder: &std::path::Path) -> App {
    let hold = async |session: number8::Content| session.len().to_string();
    App::new()
        .header("X-Ours", "8")
        .unwrap()
        .get("/users/{id}", async |id: u32| format!("user {id}"))
        .get("/plain", || "from the lane")
        .get("/panic", async || {
            tokio::task::yield_now().await;
            panic!("as the test wants it");
            #[allow(unreachable_code, reason = "it says what the handler would return")]
            "never"
        })
        .get("/panic/plain", || -> &'static str { panic!("as the test wants it") })
        .get("/host", async |request: Request| request.field("host").unwrap_or("none").to_owned())
        .get("/client", async |request: Request| format!("{:?}", request.caller().ip))
        .get("/forwarded", async |request: Request| {
            request.field("forwarded").is_some().to_string()
        })
        .get("/raw", async || number8::Response::raw("HTTP/1.1 200 OK\r\n\r\n"))
        .post("/length", hold)
        .post("/more", number8::content_limit(3_000_000, hold))
        .post("/echo", async |body: Body| body)
        .mount("/files", number8::Files::new(folder).unwrap())
        .mount("/events", number8::Events::new())
        .mount(
            "/socket",
            number8::WebSocket::new(async |_: number8::Socket| Ok::<(), number8::SocketError>(())),
        )
        .layer(Knocks)
}

/// Waits before each request, and says who asks.
struct Knocks;

impl number8::Layer for Knocks {
    fn before(&self, call: &mut number8::Call<'_>) -> number8::Before {
        let is_refused = call.head.named("x-refuse").is_some();
        number8::Before::wait(async move {
            tokio::task::yield_now().await;
            match is_refused {
                true => number8::Waited::Answer(number8::Response::error(403, "no entry")),
                false => number8::Waited::go(None),
            }
        })
    }
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Asks a service as tower's users do.
async fn oneshot<S, B>(service: S, request: http::Request<axum::body::Body>) -> Answered
where
    S: tower::Service<http::Request<axum::body::Body>, Response = http::Response<B>>,
    S::Error: std::fmt::Debug,
    B: axum::body::HttpBody<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body =
        axum::body::to_bytes(axum::body::Body::new(body), usize::MAX).await.unwrap().to_vec();
    Answered { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn request(
    method: &str,
    target: &str,
    content: impl Into<axum::body::Body>,
) -> http::Request<axum::body::Body> {
    http::Request::builder().method(method).uri(target).body(content.into()).unwrap()
}

#[tokio::test]
async fn d6_an_app_is_a_service_of_tower() {
    let folder = tempfile::tempdir().unwrap();
    let large = b"0123456789abcde\n".repeat(20_000);
    std::fs::write(folder.path().join("large.txt"), &large).unwrap();
    std::fs::write(folder.path().join("small.txt"), "small").unwrap();
    let service = ours(folder.path()).into_service().unwrap();
    let long = "8".repeat(2_000_000);
    for (method, target, content, status, body) in [
        ("GET", "/users/8?x=1", "", 200, &b"user 8"[..]),
        ("HEAD", "/users/8", "", 200, b""),
        ("GET", "/users/eight", "", 404, b"nothing at this address"),
        ("DELETE", "/users/8", "", 405, b"not"),
        ("GET", "/plain", "", 200, b"from the lane"),
        ("GET", "/panic", "", 500, b"the handler failed"),
        ("GET", "/panic/plain", "", 500, b"the handler failed"),
        ("GET", "/host", "", 200, b"none"),
        ("GET", "http://farm.example/host", "", 200, b"farm.example"),
        ("GET", "/client", "", 200, b"None"),
        ("POST", "/length", "12345678", 200, b"8"),
        ("POST", "/length", &long, 413, b"larger than is allowed"),
        ("POST", "/more", &long, 200, b"2000000"),
        ("POST", "/echo", "there and back", 200, b"there and back"),
        ("GET", "/files/small.txt", "", 200, b"small"),
        ("GET", "/files/large.txt", "", 200, &large),
        ("HEAD", "/files/large.txt", "", 200, b""),
        // What needs the connection.
        ("GET", "/raw", "", 501, b"needs the connection itself"),
        ("GET", "/events", "", 501, b"needs the connection itself"),
    ] {
        let answer = oneshot(service.clone(), request(method, target, content.to_owned())).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{method} {target}: {text}");
        let is_right = match status {
            200 => answer.body == body,
            _ => text.contains(&*String::from_utf8_lossy(body)),
        };
        assert!(is_right, "{method} {target}: {text}");
        assert_eq!(answer.headers["x-ours"], "8", "{method} {target}");
        if target == "/files/large.txt" {
            assert_eq!(answer.headers["content-length"], "320000");
        }
    }
    // Row B6: the host of the target goes before the field.
    let mut both = request("GET", "http://farm.example/host", "");
    both.headers_mut().insert("host", "evil.example".parse().unwrap());
    assert_eq!(oneshot(service, both).await.body, b"farm.example");
}

#[tokio::test]
async fn d6_fields_layers_and_callers_pass_through_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.txt");
    std::fs::write(&large, b"0123456789").unwrap();
    let large = std::fs::File::options().write(true).open(large).unwrap();
    large.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    let service = ours(folder.path()).into_service().unwrap();
    let with = |target: &str, fields: &[(&str, &str)]| {
        let mut request = request("GET", target, "");
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        request
    };
    let part = oneshot(service.clone(), with("/files/large.txt", &[("range", "bytes=2-4")])).await;
    assert_eq!((part.status, &*part.body), (206, &b"234"[..]));
    assert_eq!(part.headers["content-length"], "3");
    let etag =
        oneshot(service.clone(), with("/files/large.txt", &[])).await.headers["etag"].clone();
    let same = with("/files/large.txt", &[("if-none-match", etag.to_str().unwrap())]);
    let same = oneshot(service.clone(), same).await;
    assert_eq!((same.status, &*same.body), (304, &b""[..]));
    assert_eq!(oneshot(service.clone(), with("/plain", &[("x-refuse", "1")])).await.status, 403);
    // From nobody who is trusted.
    let told =
        oneshot(service.clone(), with("/forwarded", &[("forwarded", "for=192.0.2.8")])).await;
    assert_eq!(told.body, b"false");
    let mut known = with("/client", &[]);
    known.extensions_mut().insert(std::net::SocketAddr::from(([192, 0, 2, 8], 8)));
    assert_eq!(oneshot(service.clone(), known).await.body, b"Some(192.0.2.8)");
    // A WebSocket that is asked for properly is no fault of the client's.
    let upgrade = [
        ("host", "farm.example"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(oneshot(service.clone(), with("/socket", &upgrade)).await.status, 501);
    // Two hosts are one too many, whoever has read the head.
    let two = with("/host", &[("host", "a"), ("host", "b")]);
    assert_eq!(oneshot(service, two).await.status, 400);
}

#[tokio::test]
async fn d6_an_app_is_mounted_in_a_router_of_axum_and_that_in_an_app() {
    let folder = tempfile::tempdir().unwrap();
    let service = ours(folder.path()).into_service().unwrap();
    let router = Router::new()
        .route("/theirs", routing::get(async || "theirs"))
        .nest_service("/ours", service)
        .layer(SetResponseHeaderLayer::overriding(
            HeaderName::from_static("x-layer"),
            HeaderValue::from_static("seen"),
        ));
    for (target, body) in [("/theirs", "theirs"), ("/ours/users/8", "user 8")] {
        let answer = oneshot(router.clone(), request("GET", target, "")).await;
        assert_eq!((answer.status, &*answer.body), (200, body.as_bytes()), "{target}");
        assert_eq!(answer.headers["x-layer"], "seen");
    }
    let server = App::new().mount("/axum", Tower::new(router)).test();
    let answer = server.post("/axum/ours/echo").body("all the way").send().await.unwrap();
    assert_eq!((answer.status(), answer.text()), (200, "all the way"));
    assert_eq!(answer.field("x-ours"), Some("8"));
    // What the router has taken away is still before it.
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("sub/index.html"), "sub").unwrap();
    let files = App::new().mount("/", Files::new(folder.path()).unwrap()).into_service().unwrap();
    let router = Router::new().nest_service("/ours", files);
    let answer = oneshot(router, request("GET", "/ours/sub?x", "")).await;
    assert_eq!(
        (answer.status, &answer.headers["location"]),
        (301, &HeaderValue::from_static("./sub/?x"))
    );
    let mistaken = App::new().get("no slash", async || "").into_service();
    assert!(mistaken.unwrap_err().to_string().contains("slash"));
}

#[tokio::test]
async fn d6_a_service_that_sees_the_whole_path_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let ours = App::new().mount("/files", Uploads::new(folder.path()).unwrap());
    let rules = Access::new([Rule::everyone("/ours/files", Rights::UP).unwrap()]);
    let service = App::new().nest("/ours", ours).access(rules).into_service().unwrap();
    let router = Router::new().route_service("/ours/{*rest}", service);
    let answer = oneshot(router, request("PUT", "/ours/files/new.txt", "new")).await;
    assert_eq!(
        (answer.status, answer.headers["location"].as_bytes()),
        (201, &b"/ours/files/new.txt"[..])
    );
}

/// What a client gets, to the end of the connection.
async fn raw(app: App, request_line: &str, fields: &str) -> io::Result<String> {
    let server = app.test();
    let client = server.connect();
    let request =
        format!("{request_line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
    client.write_all(request.as_bytes()).await?;
    Ok(String::from_utf8_lossy(&client.read_to_end().await?).into_owned())
}

#[tokio::test]
async fn d6_content_of_ours_in_an_answer_of_http_stays_what_it_is() {
    async fn file() -> http::Response<Body> {
        let file = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"a whole file", 0).unwrap();
        http::Response::new(File::adopt(file.into()).unwrap().into())
    }
    async fn summed() -> http::Response<Body> {
        let (mut sender, body) = Body::channel();
        tokio::spawn(async move {
            sender.send("in pieces").await.unwrap();
            let mut trailers = number8::Fields::new();
            trailers.push("X-Sum", b"8").unwrap();
            sender.finish_with(trailers).unwrap();
        });
        http::Response::new(body)
    }
    let service = tower::service_fn(async |_: http::Request<Body>| io::Result::Ok(file().await));
    let app = || {
        App::new().get("/file", file).get("/summed", summed).mount("/service", Tower::new(service))
    };
    for (target, want) in [
        ("/file", "a whole file"),
        ("/service", "a whole file"),
        ("/summed", "9\r\nin pieces\r\n0\r\nX-Sum: 8\r\n\r\n"),
    ] {
        let answer = raw(app(), &format!("GET {target}"), "TE: trailers\r\n").await.unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(content, want, "{target}: {head}");
        let length = format!("\r\nContent-Length: {}", want.len());
        assert_eq!(head.contains(&length), target != "/summed", "{target}: {head}");
    }
    let head = raw(app(), "HEAD /service", "").await.unwrap();
    assert!(head.contains("\r\nContent-Length: 12\r\n"), "{head}");
}

/// Three pieces, of a length that nobody knows.
struct Three(u8);

impl futures_core::Stream for Three {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        Poll::Ready(Some(Ok("abc".into())))
    }
}

/// RFC 9110 §8.6: where content is left out, its length is told if it is known, else nothing is.
#[tokio::test]
async fn d6_a_length_that_nobody_knows_is_not_told() {
    async fn unchanged() -> http::Response<String> {
        http::Response::builder().status(304).header("ETag", "\"a\"").body(String::new()).unwrap()
    }
    let service =
        tower::service_fn(async |_: http::Request<Body>| io::Result::Ok(unchanged().await));
    let stream = async || axum::body::Body::from_stream(Three(3));
    let router = Router::new()
        .route("/stream", routing::get(stream))
        .route("/told", routing::get(async move || ([("Content-Length", "9")], stream().await)))
        .route("/text", routing::get(async || "text"));
    let ours = App::new()
        .get("/text", async || "text")
        .get("/stream", async || Body::stream(Three(3)))
        .into_service();
    let app = App::new()
        .get("/unchanged", unchanged)
        .mount("/service", Tower::new(service))
        .mount("/axum", Tower::new(router))
        .mount("/ours", Tower::new(ours.unwrap()));
    let server = app.test();
    for (request, length) in [
        ("GET /unchanged", None),
        ("GET /service", None),
        ("HEAD /axum/stream", None),
        ("HEAD /axum/told", Some("9")),
        ("HEAD /axum/text", Some("4")),
        ("HEAD /ours/text", Some("4")),
        ("HEAD /ours/stream", None),
    ] {
        let (method, target) = request.split_once(' ').unwrap();
        let answer = server.request(method, target).send().await.unwrap();
        assert_eq!(answer.field("content-length"), length, "{request}");
    }
}

/// Says that it has ten bytes, and has three.
struct Short(bool);

impl http_body::Body for Short {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<http_body::Frame<Bytes>>>> {
        let is_first = std::mem::take(&mut self.0);
        Poll::Ready(is_first.then(|| Ok(http_body::Frame::data("abc".into()))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(10)
    }
}

#[tokio::test]
async fn d6_content_of_a_service_that_ends_early_is_never_taken_for_whole() {
    for is_compressed in [false, true] {
        let service = tower::service_fn(async |_: http::Request<Body>| {
            http::Response::builder().header("Content-Type", "text/plain").body(Short(true))
        });
        let app = App::new().mount("/", Tower::new(service));
        let app = if is_compressed { app.layer(Compress::new()) } else { app };
        let answer = raw(app, "GET /", "Accept-Encoding: gzip\r\n").await;
        let is_whole = answer.is_ok_and(|answer| {
            answer.ends_with("0\r\n\r\n") || answer.contains("\r\nContent-Length: 3\r\n")
        });
        assert!(!is_whole, "compressed: {is_compressed}");
    }
}

#[tokio::test]
async fn d6_a_service_is_told_that_its_client_leaves() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let service = tower::service_fn(move |mut request: http::Request<Body>| {
        let departure = request.extensions_mut().get_mut::<Caller>().unwrap().departure();
        let told = told.clone();
        told.send("asked").unwrap();
        tokio::spawn(async move {
            departure.wait().await;
            told.send("left").unwrap();
        });
        std::future::pending::<io::Result<http::Response<String>>>()
    });
    let server = App::new().mount("/", Tower::new(service)).test();
    let client = server.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut next = async || timeout(PATIENCE, heard.recv()).await.unwrap();
    assert_eq!(next().await, Some("asked"));
    drop(client);
    assert_eq!(next().await, Some("left"));
}

#[tokio::test]
async fn d6_what_a_service_cannot_do_passes_the_layers() {
    let app =
        App::new().mount("/events", number8::Events::new()).after(|head, response| {
            match head.path() {
                b"/late" => Response::raw("too late"),
                _ => response.with("X-Seen", "1").unwrap(),
            }
        });
    let service = app.into_service().unwrap();
    for (target, is_seen) in [("/events", true), ("/late", false)] {
        let answer = oneshot(service.clone(), request("GET", target, "")).await;
        assert_eq!(
            (answer.status, answer.headers.contains_key("x-seen")),
            (501, is_seen),
            "{target}"
        );
        assert!(!answer.body.is_empty(), "{target}");
    }
}
