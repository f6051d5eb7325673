//! Python in a page, and for the clients of MicroPython's WebREPL: `cargo run --all-features --example repl [FOLDER [PORT
//! [WEBREPL_PORT]]]`, then open the printed address in two windows and type a line in one of them: both show it. Thonny and
//! `webrepl_cli.py` take the second address, with the password `shear8`.
//!
//! - `curl -i localhost:8080/repl` shows `HTTP/1.1 426`: there is a WebSocket, and nothing else.

use std::error::Error;
use std::thread;

use number8::access::{Access, Rights, Rule};
use number8::layers::same_origin::SameOrigin;
use number8::{App, Html, Repl, Server, WebRepl, inline};

const PAGE: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Python</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<h1>Python</h1>
<pre id="output" role="log"></pre>
<form id="form"><label>Line <input id="line" autocomplete="off" autocapitalize="off" autofocus></label> <button>Enter</button>
<button type="button" id="interrupt">Ctrl-C</button></form>
<script>
const socket = new WebSocket(`ws://${location.host}/repl`);
socket.binaryType = "arraybuffer";
const bytes = new TextEncoder(), text = new TextDecoder();
socket.onmessage = ({ data }) => {
  // Texts tell how things stand; a terminal that knows escape sequences would be better than this.
  if (data instanceof ArrayBuffer) output.append(text.decode(data).replaceAll("\r", ""));
};
const type = (keys) => socket.send(bytes.encode(keys));
interrupt.onclick = () => type("\x03");
form.onsubmit = (event) => {
  event.preventDefault();
  type(line.value + "\r");
  line.value = "";
};
</script></html>
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let port = arguments.next().unwrap_or_else(|| "8080".to_owned());
    let webrepl_port = arguments.next().unwrap_or_else(|| "8266".to_owned());

    // SECURITY: whoever reaches this runs programs here. It listens on this machine alone, and takes nothing from pages of
    // other sites.
    let repl = Repl::new(&folder)?;
    let webrepl = WebRepl::new(&repl).password("ada", "shear8")?.files(&folder)?;
    let app = App::new()
        .access(Access::new([Rule::everyone("/", Rights::REPL)?]))
        .layer(SameOrigin::new())
        .get("/", inline(|| Html(PAGE)))
        .mount("/repl", repl);
    let access = Access::new([Rule::user("ada", "/", Rights::RW | Rights::REPL)?]);
    let webrepl = App::new().access(access).mount("/", webrepl);

    let webrepl = Server::bind(webrepl, &format!("127.0.0.1:{webrepl_port}"))?;
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    webrepl.local_addrs().for_each(|address| eprintln!("ws://{address}/"));
    thread::spawn(move || webrepl.run());
    Ok(server.run()?)
}
