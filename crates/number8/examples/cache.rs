//! Answers that need not be made again (row L11): `cargo run --example cache [PORT]`, then
//!
//! - `curl -i localhost:8080/logo.svg` may be kept for a year: its name changes when it does;
//! - `curl -i localhost:8080/news` may be kept, but has to be asked for: it has an ETag;
//! - `curl -i -H 'If-None-Match: "news-1"' localhost:8080/news` is a 304 without content;
//! - `curl -i localhost:8080/account` is kept nowhere;
//! - `curl localhost:8080/weather` twice within ten seconds shows one report: it is kept here, so that whoever makes it is
//!   asked once.

#![allow(clippy::needless_pass_by_value, reason = "a handler is given its arguments")]

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use number8::{App, Body, Caller, Head, IntoResponse, Layer, Response, Server, State};

const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 2 2\"><circle cx=\"1\" cy=\"1\" r=\"1\"/></svg>\n";
const YEAR: &str = "public, max-age=31536000, immutable";

/// Answers 304 where the client has what would be sent (RFC 9110 §13.1.2).
struct Revalidate;

impl Layer for Revalidate {
    fn after(&self, head: &Head<'_>, _: &Caller, response: Response) -> Response {
        let (Some(known), Some(tag)) = (head.named("if-none-match"), response.field("etag")) else {
            return response;
        };
        match known.split(|&byte| byte == b',').any(|known| known.trim_ascii() == tag) {
            true => response.with_body(Body::empty()).with_status(304),
            false => response,
        }
    }
}

/// The last report, and when it was made.
type Report = Mutex<Option<(Instant, String)>>;
const GOOD_FOR: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let app = App::new()
        .state(Report::default())
        .layer(Revalidate)
        .get("/logo.svg", async || {
            ([("Cache-Control", YEAR), ("Content-Type", "image/svg+xml")], LOGO)
        })
        .get("/news", async || ([("Cache-Control", "no-cache"), ("ETag", "\"news-1\"")], "Rain.\n"))
        .get("/account", async || ([("Cache-Control", "no-store")], "You owe 8 sheep.\n"))
        .get("/weather", weather);

    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/news"));
    Ok(server.run()?)
}

/// Plain, because it may wait: for whoever makes the report, and for the lock.
fn weather(kept: State<Report>) -> impl IntoResponse {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let report = match &*kept {
        Some((made, report)) if made.elapsed() < GOOD_FOR => report.clone(),
        _ => kept.insert((Instant::now(), observe())).1.clone(),
    };
    ([("Cache-Control", "public, max-age=10")], report)
}

/// Stands for something slow.
fn observe() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("Observed {} s after the start of 1970: rain.\n", now.as_secs_f64())
}
