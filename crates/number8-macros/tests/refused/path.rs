use number8::{App, get, route};

#[get("songs")]
async fn no_slash() {}

#[get("/songs/{id")]
async fn open(id: u32) {
    let _ = id;
}

#[get("/{*rest}/songs")]
async fn rest_first(rest: String) {
    let _ = rest;
}

#[get("/songs/<int:id>")]
async fn as_flask(id: u32) {
    let _ = id;
}

#[get("/{artist}-{song}")]
async fn two_in_one(artist: String, song: String) {
    let _ = (artist, song);
}

#[get("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}/{r}/{s}/{t}/{u}/{v}/{w}/{x}/{y}/{z}")]
async fn too_many() {}

#[get("/100%")]
async fn no_escape() {}

#[get(songs)]
async fn no_text() {}

#[route(GET, BREW, "/coffee")]
async fn no_method() {}

#[route("/coffee")]
async fn which_method() {}

fn main() {
    let app =
        App::new().add((no_slash, open, rest_first, as_flask, two_in_one, too_many, no_escape));
    let _ = app.add([no_text, no_method, which_method]);
}
