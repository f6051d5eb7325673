//! A folder that people may add to: `cargo run --all-features --example upload [FOLDER [PORT]]`, then open the printed address and send a
//! few files, or
//!
//! - `curl -i -T song.wav localhost:8080/files/` stores a file: 201, and where it is;
//! - `curl -i -F file=@tune.wav localhost:8080/files/` does so with a form, as the page does;
//! - `curl localhost:8080/files/song.wav` gets it, `curl -i -r 0-1 localhost:8080/files/song.wav` the first two bytes;
//! - sending another file of that name keeps both: the second is called `song (2).wav`;
//! - `curl -i -X DELETE localhost:8080/files/song.wav` is a 403: there is no right to remove anything.

use std::error::Error;

use number8::access::{Access, Rights, Rule};
use number8::store::OnClash;
use number8::{App, ByMethod, Files, Html, Server, Uploads, inline};

const PAGE: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Files</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<h1>Add files</h1>
<form action="/files/" method="post" enctype="multipart/form-data">
<p><label>Files <input type="file" name="file" multiple required></label></p>
<p><button>Send</button> <a href="/files/">What is there</a></p>
</form></html>
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let port = arguments.next().unwrap_or_else(|| "8080".to_owned());

    let uploads = Uploads::new(&folder)?.max_bytes(64 << 20).on_clash(OnClash::KeepBoth);
    let app = App::new()
        .access(Access::new([Rule::everyone("/files", Rights::UP)?]))
        .get("/", inline(|| Html(PAGE)))
        .mount("/files", ByMethod::new().with(Files::new(&folder)?).with(uploads));

    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    Ok(server.run()?)
}
