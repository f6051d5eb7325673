//! A letter with enclosures: `cargo run --all-features --example multipart [FOLDER [PORT]]`, then open the printed address, choose a few
//! files and send them, or
//!
//! - `curl -F from=Ada -F file=@song.wav -F file=@tune.wav localhost:8080/letters` shows `Ada sent song.wav (8 bytes) and
//!   tune.wav (8 bytes)`; the files are in the folder;
//! - `curl -i -F from=Ada localhost:8080/letters` is a 422: there is nothing in it;
//! - `curl -i -d from=Ada localhost:8080/letters` is a 415: that is another kind of form.

#![allow(clippy::needless_pass_by_value, reason = "a handler is given its arguments")]

use std::path::Path;

use number8::server::lane::Lane;
use number8::store::{OnClash, Root, RootOptions};
use number8::{App, Error, Html, Multipart, Server, State, content_limit, inline};

const PAGE: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Letter</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<h1>A letter</h1>
<form action="/letters" method="post" enctype="multipart/form-data">
<p><label>From <input name="from" required></label></p>
<p><label>Enclosed <input type="file" name="file" multiple required></label></p>
<p><button>Send</button></p>
</form></html>
"#;

/// The largest letter.
const BYTES_MAX: u64 = 64 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let port = arguments.next().unwrap_or_else(|| "8080".to_owned());

    let app = App::new()
        .state(Root::open(Path::new(&folder), RootOptions::default())?)
        .get("/", inline(|| Html(PAGE)))
        .post("/letters", content_limit(BYTES_MAX, receive));

    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    Ok(server.run()?)
}

async fn receive(mut form: Multipart, folder: State<Root>, lane: Lane) -> Result<String, Error> {
    let (mut from, mut enclosed) = ("somebody".to_owned(), Vec::new());
    while let Some(part) = form.next().await? {
        match part.file_name().map(str::to_owned) {
            None if part.name() == "from" => from = part.text().await?,
            // A field for files in which none was chosen, or one that the page does not have.
            None => {}
            Some(name) if name.is_empty() => {}
            Some(name) => {
                let written = part.save(&folder, &name, OnClash::KeepBoth, &lane).await?;
                enclosed.push(format!("{name} ({} bytes)", written.meta.size));
            }
        }
    }
    match enclosed.is_empty() {
        true => Err(Error::new(422, "there is nothing in the letter")),
        false => Ok(format!("{from} sent {}\n", enclosed.join(" and "))),
    }
}
