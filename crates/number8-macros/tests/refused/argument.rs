use number8::{App, Request, get};

struct Song;

#[get("/songs/{id}")]
async fn song(id: u32, song: Song, _request: Request) -> String {
    let Song = song;
    format!("song {id}")
}

#[get("/named", inline)]
fn named(name: &str) -> String {
    name.to_owned()
}

fn main() {
    let _ = App::new().add((song, named));
}
