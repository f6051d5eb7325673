//! Pages and words of your own for what goes wrong: `cargo run --example error_page [PORT]`, then
//!
//! - open the printed address with `nowhere` behind it, or `curl -i localhost:8080/nowhere`: a 404 with our page;
//! - `curl -i localhost:8080/halves/eight` is a 422 with a sentence of ours, for a person;
//! - `curl -i localhost:8080/broken` is a 503 with a sentence; the reason is only for the log;
//! - `curl -i localhost:8080/panic` is a 500 that tells nothing, and the server lives.

use std::error::Error as StdError;

use number8::{App, Error, ErrorPage, Server};

const LOST: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Lost</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<h1>You have left the paddock</h1>
<p>There is nothing here. The gate is <a href="/">back there</a>.</p></html>
"#;

fn main() -> Result<(), Box<dyn StdError>> {
    let lost =
        ErrorPage { content_type: "text/html; charset=utf-8".to_owned(), content: LOST.into() };
    let app = App::new()
        .error_page(404, lost)
        .get("/", async || "Try /nowhere, /halves/8, /halves/eight, /broken and /panic.\n")
        .get("/halves/{number}", halves)
        .get("/broken", broken)
        .get("/panic", async || -> &'static str { panic!("this was to be expected") });

    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    Ok(server.run()?)
}

async fn halves(number: String) -> Result<String, Error> {
    let number: i64 =
        number.parse().map_err(|_| Error::new(422, "only numbers have halves here"))?;
    Ok(format!("{}\n", number / 2))
}

/// Any error becomes a 500 by `?`; `because` gives one of ours a reason that only the log tells.
fn broken() -> Result<String, Error> {
    let key = std::env::var("KEY_TO_THE_SHED");
    key.map_err(|source| Error::new(503, "the shed is locked").because(source))
}
