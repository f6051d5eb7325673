//! A box that plays a song for each token laid on it (row N13). Its page is for putting songs in, listening to them,
//! giving them other names, and saying which token stands for which song.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /` | the page, built into this program |
//! | `GET /songs/?json`, `GET /songs/NAME` | the songs; one of them, whole or a range |
//! | `PUT /songs/NAME` | stores a song; one of that name gets a number |
//! | `PATCH /api/songs/NAME` with `{"name": "…"}` | gives it another name; its tokens go with it |
//! | `DELETE /api/songs/NAME` | removes it, and what its tokens stood for |
//! | `GET /api/tokens` | which token stands for which song |
//! | `PUT /api/tokens/TOKEN` with `{"song": "…"}` | binds a token |
//! | `DELETE /api/tokens/TOKEN` | frees it |
//! | `GET /api/tokens/TOKEN` | what a reader of tokens asks: leads to the song |
//! | `GET /events` | an event for every change, so that every open page shows it |

#![allow(clippy::needless_pass_by_value, reason = "a handler is given its arguments")]

mod shelf;

use std::error::Error as StdError;
use std::path::Path;

use number8::access::{Access, Rights, Rule};
use number8::layers::same_origin::SameOrigin;
use number8::store::OnClash;
use number8::{
    App, ByMethod, Call, Error, Events, Files, Head, Json, Method, Redirect, Response, Server,
    State, Uploads, inline, media_type,
};
use serde::Deserialize;
use shelf::{Shelf, Tokens};

/// More than a story of ten hours needs.
const SONG_BYTES_MAX: u64 = 1 << 30;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    media-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn main() -> Result<(), Box<dyn StdError>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: audio-box FOLDER [PORT]")?;
    let port = arguments.next().unwrap_or_else(|| "8080".to_owned());
    let server = Server::bind(app(Path::new(&folder))?, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    Ok(server.run()?)
}

fn app(folder: &Path) -> Result<App, Box<dyn StdError>> {
    let songs = folder.join("songs");
    std::fs::create_dir_all(&songs)?;
    let uploads = Uploads::new(&songs)?.max_bytes(SONG_BYTES_MAX).on_clash(OnClash::KeepBoth);
    uploads.sweep()?;
    let events = Events::new();
    let app = App::new()
        .state(Shelf::open(folder)?)
        .access(Access::new([
            Rule::everyone("/songs", Rights::UP)?,
            Rule::everyone("/events", Rights::READ)?,
        ]))
        .header("Content-Security-Policy", POLICY)?
        .header("X-Content-Type-Options", "nosniff")?
        .header("Referrer-Policy", "no-referrer")?
        .layer(SameOrigin::new())
        .before(only_audio)
        .mount(
            "/songs",
            ByMethod::new().with(Files::new(&songs)?.listing_page(10_000)).with(uploads),
        )
        .mount("/events", events.clone())
        .patch("/api/songs/{name}", rename)
        .delete("/api/songs/{name}", remove)
        .get("/api/tokens", inline(tokens))
        .get("/api/tokens/{token}", inline(find))
        .put("/api/tokens/{token}", bind)
        .delete("/api/tokens/{token}", free)
        .after(move |head, response| tell(&events, head, response));
    Ok(page(app))
}

/// The page and its parts.
fn page(app: App) -> App {
    const PARTS: [(&str, &str, &str); 4] = [
        ("/", "text/html; charset=utf-8", include_str!("../page/index.html")),
        ("/style.css", "text/css; charset=utf-8", include_str!("../page/style.css")),
        ("/app.js", "text/javascript; charset=utf-8", include_str!("../page/app.js")),
        ("/icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
    ];
    PARTS.into_iter().fold(app, |app, (path, kind, content)| {
        app.get(
            path,
            inline(move || ([("Content-Type", kind), ("Cache-Control", "no-cache")], content)),
        )
    })
}

/// SECURITY: a page or script that somebody uploads would be one of ours.
fn only_audio(call: &mut Call<'_>) -> Option<Response> {
    let path = call.url_path();
    let adds =
        matches!(call.head.method(), Method::Put | Method::Post) && path.starts_with(b"/songs");
    let refused = adds && !media_type(&path).starts_with("audio/");
    refused.then(|| Response::error(415, "this box takes songs only, by the ending of their name"))
}

/// Tells every page about what has changed.
fn tell(events: &Events, head: &Head<'_>, response: Response) -> Response {
    let changes = !matches!(head.method(), Method::Get | Method::Head | Method::Options);
    if changes && response.status() < 300 {
        events.dispatch("changed");
    }
    response
}

#[derive(Deserialize)]
struct NewName {
    name: String,
}

#[derive(Deserialize)]
struct Binding {
    song: String,
}

fn rename(shelf: State<Shelf>, old: String, new: Json<NewName>) -> Result<(), Error> {
    if !media_type(new.name.as_bytes()).starts_with("audio/") {
        return Err(Error::new(422, "a song keeps an ending such as .mp3"));
    }
    shelf.rename(&old, &new.name)
}

fn remove(shelf: State<Shelf>, name: String) -> Result<(), Error> {
    shelf.remove(&name)
}

fn tokens(shelf: State<Shelf>) -> Json<Tokens> {
    Json(shelf.tokens())
}

fn find(shelf: State<Shelf>, token: String) -> Result<Redirect, Error> {
    let song =
        shelf.song_of(&token).ok_or_else(|| Error::new(404, "no song is bound to this token"))?;
    Ok(Redirect::temporary(format!("/songs/{}", shelf::encoded(&song))))
}

fn bind(shelf: State<Shelf>, token: String, binding: Json<Binding>) -> Result<(), Error> {
    shelf.bind(token, &binding.song)
}

fn free(shelf: State<Shelf>, token: String) -> Result<(), Error> {
    shelf.free(&token)
}
