//! The smallest service: `cargo run --release --example hello [PORT]`, then
//!
//! - open the printed address, or `curl localhost:8080/`: `Hello, world.`;
//! - `curl -i localhost:8080/elsewhere` is a 404: there is nothing else.

use std::error::Error;

use number8::{App, Server, get};

fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let app = App::new().add(hello);
    let options = number8::Options { workers: 1, ..number8::Options::default() };
    let listeners = number8::server::bind(&[format!("127.0.0.1:{port}").parse()?], 8080)?;
    let server = Server::new(app, options, listeners);
    for address in server.local_addrs() {
        eprintln!("http://{address}/");
    }
    Ok(server.run()?)
}

#[get("/")]
async fn hello() -> &'static str {
    "Hello, world."
}
