//! A chat over WebSocket: `cargo run --example chat [PORT]`, then open the printed address in two windows and say something in
//! one of them: both show it.
//!
//! - `curl -i localhost:8080/chat` shows `HTTP/1.1 426`: there is a WebSocket, and nothing else.

use std::error::Error;
use std::sync::{Arc, Mutex};

use number8::{App, CloseCode, Html, Server, Socket, SocketError, SocketSender, WebSocket, inline};

const PAGE: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Chat</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<h1>Chat</h1>
<ol id="said" aria-live="polite"></ol>
<form id="form"><label>Say <input id="words" autocomplete="off" autofocus></label> <button>Send</button></form>
<script>
const socket = new WebSocket(`ws://${location.host}/chat`);
socket.onmessage = (event) => {
  said.append(Object.assign(document.createElement("li"), { textContent: event.data }));
};
form.onsubmit = (event) => {
  event.preventDefault();
  socket.send(words.value);
  words.value = "";
};
</script></html>
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let everyone: Arc<Mutex<Vec<SocketSender>>> = Arc::default();
    let chat = WebSocket::new(move |mut socket: Socket| {
        let everyone = Arc::clone(&everyone);
        async move {
            let lock = || everyone.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            lock().push(socket.sender());
            while let Ok(Some(message)) = socket.receive().await {
                lock().retain(|one| match one.try_send(message.clone()) {
                    Err(SocketError::Full) => {
                        one.close(CloseCode::TRY_AGAIN, "too slow");
                        false
                    }
                    // Those who have left are no longer sent to.
                    result => result.is_ok(),
                });
            }
        }
    });
    let app = App::new().get("/", inline(|| Html(PAGE))).mount("/chat", chat);

    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    Ok(server.run()?)
}
