//! A page that hears of what happens: `cargo run --example events [PORT]`, then open the printed address in two windows and
//! ring the bell in one of them, or
//!
//! - `curl -d '' localhost:8080/bell` shows `nobody is there` while no page listens, and rings in all that do.

use std::error::Error;

use number8::{App, Events, Html, Server, State, inline};

const PAGE: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Bell</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<h1>Bell</h1>
<p><button id="bell">Ring</button></p>
<ol id="heard" aria-live="polite"></ol>
<script>
bell.onclick = () => fetch("/bell", { method: "POST" });
new EventSource("/events").onmessage = (event) => {
  heard.append(Object.assign(document.createElement("li"), { textContent: event.data }));
};
</script></html>
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let events = Events::new();
    let app = App::new()
        .state(events.clone())
        .get("/", inline(|| Html(PAGE)))
        .post("/bell", ring)
        .mount("/events", events);

    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    Ok(server.run()?)
}

async fn ring(events: State<Events>) -> &'static str {
    match events.dispatch("ding") {
        true => "somebody heard it\n",
        false => "nobody is there\n",
    }
}
