//! A page with a program, and the button that runs it: `cargo run --example runner [FOLDER] [PORT]`, then open the printed
//! address, or
//!
//! - `curl -d 'code=print(6 * 7)' localhost:8080/run` starts a program,
//! - `curl localhost:8080/run/output` shows what it has printed, and
//! - `curl -X POST localhost:8080/run/stop` ends one that takes too long.

use std::error::Error;

use number8::access::{Access, Rights, Rule};
use number8::layers::same_origin::SameOrigin;
use number8::{App, Html, Runner, Server, State};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let port = arguments.next().unwrap_or_else(|| "8080".to_owned());

    let runner = Runner::new(folder)?;
    // Everyone may run programs, who gets here: the address is this machine's own, and pages of other sites are kept out.
    let app = App::new()
        .access(Access::new([Rule::everyone("/", Rights::READ | Rights::RUN)?]))
        .layer(SameOrigin::new())
        .state(runner.clone())
        .get("/", editor)
        .mount("/run", runner);

    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    Ok(server.run()?)
}

async fn editor(runner: State<Runner>) -> Html<String> {
    let code = runner.code();
    let code = code.as_deref().unwrap_or("print(6 * 7)");
    let code = code.replace('&', "&amp;").replace('<', "&lt;");
    Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Runner</title><h1>Runner</h1>\
         <form method=post action=/run><textarea name=code rows=20 cols=80 aria-label=Program>\n{code}</textarea>\
         <p><button>Run</button></form><p><a href=/run/output>Output</a></html>"
    ))
}
