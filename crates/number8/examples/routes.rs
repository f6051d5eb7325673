//! Paths that lead to functions: `cargo run --example routes [PORT]`, then
//!
//! - `curl localhost:8080/users/8` shows `user 8`: the text between the slashes is the function's argument;
//! - `curl localhost:8080/users/me` shows `you`: the more specific path wins;
//! - `curl -i localhost:8080/users/eight` is a 404, because `eight` is no number;
//! - `curl localhost:8080/wiki/a/b/c` shows `page a/b/c`: `{*page}` takes all that is left;
//! - `curl -X DELETE localhost:8080/users/8` shows `user 8 is gone`;
//! - `curl -i -X PUT localhost:8080/users/8` is a 405 that tells which methods would do;
//! - `curl localhost:8080/admin/folder` is answered by an app inside the app.

use std::error::Error;
use std::io;

use number8::{App, Server, inline};

fn main() -> Result<(), Box<dyn Error>> {
    let admin = App::new().get("/folder", folder);
    let app = App::new()
        .get("/", inline(|| "Try /users/8, /users/me, /wiki/a/b/c and /admin/folder.\n"))
        .get("/users/{id}", user)
        .get("/users/me", async || "you\n")
        .delete("/users/{id}", async |id: u32| format!("user {id} is gone\n"))
        .get("/wiki/{*page}", async |page: String| format!("page {page}\n"))
        .nest("/admin", admin);

    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    Ok(server.run()?)
}

/// An `async fn` is called where the request was parsed, so it must not block.
async fn user(id: u32) -> String {
    format!("user {id}\n")
}

/// A plain `fn` is called on a thread where it may.
fn folder() -> io::Result<String> {
    Ok(format!("{}\n", std::env::current_dir()?.display()))
}
