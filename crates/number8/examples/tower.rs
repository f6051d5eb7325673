//! A router of axum below a path of ours: `cargo run --features tower --example tower [PORT]`, then
//!
//! - `curl localhost:8080/` shows `ours`,
//! - `curl localhost:8080/axum/theirs/8` shows `theirs, number 8`.

use std::error::Error;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use number8::{App, Server, Tower};

fn main() -> Result<(), Box<dyn Error>> {
    let theirs = Router::new().route("/theirs/{number}", get(number));
    let app = App::new().get("/", async || "ours\n").mount("/axum", Tower::new(theirs));

    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    Ok(server.run()?)
}

async fn number(Path(number): Path<u32>) -> String {
    format!("theirs, number {number}\n")
}
