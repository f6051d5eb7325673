use number8::{App, get};

#[get("/users/{user}/songs/{song}")]
async fn song(song: u32, user: String) -> String {
    format!("song {song} of {user}")
}

#[get("/users/{id}")]
async fn user(name: String) -> String {
    name
}

fn main() {
    let _ = App::new().add([song, user]);
}
