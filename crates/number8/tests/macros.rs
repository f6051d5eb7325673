//! Routes as attributes of functions do what the same routes without them do.

use std::thread;

use number8::{App, Error, IntoResponse, Request, State, delete, get, patch, post, put, route};

/// Greets.
#[get("/")]
async fn hello() -> &'static str {
    "Hello, world."
}

#[get("/users/{id}")]
async fn user(id: u32) -> Result<String, Error> {
    match id {
        0 => Err(Error::new(404, "nobody")),
        // A route does not keep its name from anyone.
        user => Ok(format!("user {user}")),
    }
}

#[post("/users/{id}/songs/{name}")]
async fn add_song(id: u32, name: String, plays: State<u8>, request: Request) -> String {
    format!("{name} by {id}, {} plays, {:?}", *plays, request.method())
}

#[put("/{type}/{_spare}")]
async fn raw(r#type: String, _spare: String) -> String {
    r#type
}

#[patch("/point/{x}/{y}")]
async fn point(Even(x): Even, mut y: u8) -> String {
    y += x;
    y.to_string()
}

#[delete("/nothing/{*_rest}")]
async fn nothing(_: String) {}

#[get("/app")]
async fn app() -> &'static str {
    "app"
}

#[get("/argument")]
async fn argument() -> &'static str {
    "argument"
}

#[get("/opaque")]
async fn opaque() -> impl IntoResponse {
    (202, "opaque")
}

#[get("/lane")]
fn on_the_lane(server: State<thread::ThreadId>) -> String {
    (thread::current().id() != *server).to_string()
}

#[get("/inline", inline)]
fn inline(server: State<thread::ThreadId>) -> String {
    (thread::current().id() == *server).to_string()
}

#[route(PUT, PATCH, "/several")]
async fn several(request: Request) -> String {
    format!("{:?}", request.method())
}

#[get("/none")]
#[cfg(any())]
async fn not_built() -> NoSuchType {}

mod elsewhere {
    #[number8::get("/elsewhere")]
    #[allow(clippy::unused_async, reason = "lints go where the function goes")]
    pub(crate) async fn there() -> &'static str {
        super::HERE
    }
}

const HERE: &str = "there";

struct Even(u8);

impl std::str::FromStr for Even {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse().ok().filter(|value| value % 2 == 0).map(Self).ok_or(())
    }
}

#[tokio::test]
async fn n2_attributes_are_routes() {
    let made = || {
        App::new()
            .state(8u8)
            .state(thread::current().id())
            .add(hello)
            .add((user, add_song, raw, (point, nothing)))
            .add([opaque, on_the_lane, inline, several, elsewhere::there, app, argument])
    };
    assert_eq!(made().check(), Ok(()));
    let cases: &[(&str, &str, u16, &str)] = &[
        ("GET", "/", 200, "Hello, world."),
        ("HEAD", "/", 200, ""),
        ("POST", "/", 405, "Method Not Allowed"),
        ("GET", "/users/8", 200, "user 8"),
        ("GET", "/users/0", 404, "nobody"),
        ("GET", "/users/x", 404, "nothing"),
        ("POST", "/users/8/songs/a%20b", 200, "a b by 8, 8 plays, Post"),
        ("PUT", "/kind/spare", 200, "kind"),
        ("PATCH", "/point/4/5", 200, "9"),
        ("PATCH", "/point/3/5", 404, ""),
        ("DELETE", "/nothing/at/all", 204, ""),
        ("GET", "/opaque", 202, "opaque"),
        ("GET", "/app", 200, "app"),
        ("GET", "/argument", 200, "argument"),
        ("GET", "/lane", 200, "true"),
        ("GET", "/inline", 200, "true"),
        ("PUT", "/several", 200, "Put"),
        ("PATCH", "/several", 200, "Patch"),
        ("GET", "/several", 405, ""),
        ("GET", "/elsewhere", 200, "there"),
    ];
    for &(method, target, status, text) in cases {
        let answer = made().test().request(method, target).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {target}: {}", answer.text());
        assert!(answer.text().contains(text), "{method} {target}: {}", answer.text());
    }
}

#[test]
fn d3_n2_mistakes_beside_the_attribute_are_found_by_the_app() {
    #[get("/users/{id}")]
    async fn too_many(id: u32, more: u32) -> String {
        format!("{id} {more}")
    }
    let error = App::new().add(too_many).check().unwrap_err();
    assert!(error.to_string().contains("takes 2 values of the path, which has 1"), "{error}");
    let twice = App::new().add((hello, hello)).check().unwrap_err();
    assert!(twice.to_string().contains("GET / and GET / can never be told apart"), "{twice}");
}
