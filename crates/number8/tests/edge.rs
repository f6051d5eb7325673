//! The rest of the ecosystem: types of `http`, services of tower.

use std::io;

use axum::Router;
use axum::extract::Path;
use axum::routing;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use number8::{App, Body, Caller, Error, Request, Tower};
use tower_http::set_header::SetResponseHeaderLayer;

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
