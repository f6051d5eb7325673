//! One file to copy: the page is inside the program. `cargo run --example embed [PORT]`, then open the printed address,
//! or
//!
//! - `curl localhost:8080/` shows the page, `curl localhost:8080/style.css` its style;
//! - `curl -i localhost:8080/fence.svg` has the type of a picture, and may be kept for an hour.

use std::error::Error;

use number8::{App, Response, Server, inline, media_type};

/// Name and content of every file, read when this program was built.
const FILES: [(&str, &[u8]); 4] = [
    ("index.html", include_bytes!("../../../examples/site/index.html")),
    ("style.css", include_bytes!("../../../examples/site/style.css")),
    ("weigh.js", include_bytes!("../../../examples/site/weigh.js")),
    ("fence.svg", include_bytes!("../../../examples/site/fence.svg")),
];

fn main() -> Result<(), Box<dyn Error>> {
    let app = App::new()
        .get("/", inline(|| asset("index.html")))
        .get("/{name}", inline(|name: String| asset(&name)));

    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    Ok(server.run()?)
}

fn asset(name: &str) -> Result<Response, number8::Error> {
    let (name, content) = FILES
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| number8::Error::new(404, "nothing of that name was built in"))?;
    let response = Response::new(200, bytes::Bytes::from_static(content))
        .with("Content-Type", media_type(name.as_bytes()))?
        .with("Cache-Control", "public, max-age=3600")?;
    Ok(response)
}
