//! Who may do what: `cargo run --all-features --example auth [FOLDER [PORT]]`, then
//!
//! - `curl localhost:8080/files/` lists the folder: everyone may read;
//! - `curl -i -T song.wav localhost:8080/files/` is a 401: somebody who logs in may do that;
//! - `curl -i -T song.wav -u ada:shear8 localhost:8080/files/` is a 201: Ada may add files;
//! - `curl -i -X DELETE -u ada:shear8 localhost:8080/files/song.wav` is a 403: she may not remove any;
//! - `curl -i -X DELETE -H 'Authorization: Bearer keys-to-the-shed' localhost:8080/files/song.wav` is a 204;
//! - `curl -i -u ada:wrong localhost:8080/files/` is a 401, and after a few of them a 429 that says how long to wait;
//! - `curl -u ada:shear8 localhost:8080/me` shows `You are ada.`

use std::error::Error;

use number8::access::{Access, Rights, Rule};
use number8::accounts::Accounts;
use number8::layers::auth::Auth;
use number8::{App, ByMethod, Files, Request, Server, Uploads};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let port = arguments.next().unwrap_or_else(|| "8080".to_owned());

    // A real service reads them from a file: Accounts::new()?.file("accounts").
    let accounts = Accounts::new()?.password("ada", "shear8")?.token("bot", "keys-to-the-shed")?;
    let rules = [
        Rule::everyone("/", Rights::RO)?,
        Rule::user("ada", "/files", Rights::UP)?,
        Rule::user("bot", "/files", Rights::RW)?,
    ];
    let app = App::new()
        .access(Access::new(rules))
        .layer(Auth::accounts(accounts))
        .get("/me", me)
        .mount("/files", ByMethod::new().with(Files::new(&folder)?).with(Uploads::new(&folder)?));

    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/files/"));
    Ok(server.run()?)
}

async fn me(request: Request) -> String {
    format!(
        "You are {}.\n",
        request.caller().user.as_deref().unwrap_or("nobody that is known here")
    )
}
