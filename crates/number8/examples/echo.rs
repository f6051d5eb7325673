//! Tells a client what it has sent (row H14): `cargo run --example echo [PORT]`, then
//!
//! - `curl -d 'name=Ada&dish=pie' 'localhost:8080/post?page=2'` shows form, query, fields and URL as JSON;
//! - `curl --json '[8]' localhost:8080/post` shows the JSON as well as the text;
//! - `curl localhost:8080/get` shows what there is to a request without content.
//!
//! What comes to `ws://localhost:8080/ws` over a WebSocket goes back, too.

use std::error::Error;

use number8::{App, Request, Server, SocketError, WebSocket};
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let socket = WebSocket::new(async |mut socket| {
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok::<(), SocketError>(())
    })
    // The test suites send messages of that length.
    .message_bytes_max(16 << 20);
    let app = App::new()
        .mount("/ws", socket)
        .get("/get", echo)
        .post("/post", echo)
        .any("/anything/{*path}", echo);

    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/get"));
    Ok(server.run()?)
}

async fn echo(request: Request) -> Result<Value, number8::Error> {
    let fields = request.head().fields().map(|(name, value)| (text(name), text(value)));
    let headers = together(fields.collect());
    let args = request.queries().into_iter().map(|(key, value)| (key, value.unwrap_or_default()));
    let args = together(args.collect());
    let url = format!("http://{}{}", request.field("host").unwrap_or_default(), request.target());
    let origin = request.caller().ip;
    let is_form = request
        .field("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));

    let content = request.into_body().bytes().await?;
    let form = if is_form { serde_html_form::from_bytes(&content)? } else { Vec::new() };
    Ok(json!({
        "args": args,
        "data": if is_form { String::new() } else { text(&content) },
        "form": together(form),
        "headers": headers,
        "json": serde_json::from_slice::<Value>(&content).ok(),
        "origin": origin,
        "url": url,
    }))
}

/// An object; what stands several times under one key becomes a list.
fn together(pairs: Vec<(String, String)>) -> Map<String, Value> {
    let mut object = Map::new();
    for (key, value) in pairs {
        match object.get_mut(&key) {
            None => drop(object.insert(key, value.into())),
            Some(Value::Array(values)) => values.push(value.into()),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    object
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
