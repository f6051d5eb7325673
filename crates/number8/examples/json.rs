//! JSON in, JSON out, and what all requests share: `cargo run --example json [PORT]`, then
//!
//! - `curl --json '{"title":"Bow-wow","minutes":3}' localhost:8080/songs` is a 201 with the song and its id;
//! - `curl localhost:8080/songs` lists the songs;
//! - `curl localhost:8080/songs?longer_than=5` lists those that are longer;
//! - `curl --json '{"title":"Bow-wow"}' localhost:8080/songs` is a 422 that says which field is missing;
//! - `curl -i -d '{}' localhost:8080/songs` is a 415: a form is no JSON, whatever is in it.

#![allow(clippy::needless_pass_by_value, reason = "a handler is given its arguments")]

use std::error::Error;
use std::sync::{Mutex, PoisonError};

use number8::{App, Json, Query, Server, State, inline};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Song {
    #[serde(default)]
    id: usize,
    title: String,
    minutes: u32,
}

#[derive(Deserialize)]
struct Filter {
    #[serde(default)]
    longer_than: u32,
}

type Songs = Mutex<Vec<Song>>;

fn main() -> Result<(), Box<dyn Error>> {
    let app = App::new()
        .state(Songs::default())
        .get("/songs", inline(list))
        .post("/songs", inline(add))
        .get("/songs/{id}", inline(show));

    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/songs"));
    Ok(server.run()?)
}

fn list(songs: State<Songs>, filter: Query<Filter>) -> Json<Vec<Song>> {
    let songs = songs.lock().unwrap_or_else(PoisonError::into_inner);
    Json(songs.iter().filter(|song| song.minutes > filter.longer_than).cloned().collect())
}

/// `None` is a 404.
fn show(songs: State<Songs>, id: usize) -> Option<Json<Song>> {
    songs.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned().map(Json)
}

fn add(
    songs: State<Songs>,
    Json(song): Json<Song>,
) -> (u16, [(&'static str, String); 1], Json<Song>) {
    let mut songs = songs.lock().unwrap_or_else(PoisonError::into_inner);
    let song = Song { id: songs.len(), ..song };
    songs.push(song.clone());
    (201, [("Location", format!("/songs/{}", song.id))], Json(song))
}
