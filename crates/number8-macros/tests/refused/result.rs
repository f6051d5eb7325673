use number8::{App, get};

struct Song;

#[get("/songs/{id}")]
async fn song(id: u32) -> Result<Song, number8::Error> {
    let _ = id;
    Ok(Song)
}

#[get("/plain")]
fn plain() -> Song {
    Song
}

fn main() {
    let _ = App::new().add([song, plain]);
}
