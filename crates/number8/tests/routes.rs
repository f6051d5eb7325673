//! From a path to a function: routes, arguments, results.

use std::io;
use std::sync::Arc;
use std::thread;

use number8::access::Access;
use number8::testing::TestResponse;
use number8::{
    App, Body, ByMethod, Call, Error, Form, Handler, Html, Json, Layer, Method, Query, Redirect,
    Request, Response, ServeError, Server, State, inline,
};
use serde::{Deserialize, Serialize};

use crate::serving::{PATIENCE, patient};

async fn get(app: App, target: &str) -> TestResponse {
    app.test().get(target).send().await.unwrap()
}

#[tokio::test]
async fn n2_the_most_specific_route_wins() {
    let cases: &[(&str, u16, &str)] = &[
        ("/", 200, "root"),
        ("/users/me", 200, "me"),
        ("/users/8", 200, "user 8"),
        ("/users/008", 200, "user 8"),
        // A value that does not parse is no such place.
        ("/users/eight", 404, ""),
        ("/users/-1", 404, ""),
        ("/users/", 404, ""),
        ("/users", 404, ""),
        ("/users/8/songs/a%20b", 200, "song a b of 8"),
        // An encoded slash stays inside its segment.
        ("/users/8/songs/a%2Fb", 200, "song a/b of 8"),
        ("/users/8/songs/100%25", 200, "song 100% of 8"),
        ("/users/8/songs/%252F", 200, "song %2F of 8"),
        ("/users/8/songs/%E9", 404, ""),
        ("/docs/a/b/c.html", 200, "a/b/c.html"),
        ("/caf%C3%A9", 200, "coffee"),
        ("/%75sers/me", 200, "me"),
    ];
    for &(target, status, text) in cases {
        let app = App::new()
            .get("/", async || "root")
            .get("/users/{id}", async |id: u32| format!("user {id}"))
            .get("/users/me", async || "me")
            .get("/users/{id}/songs/{name}", async |id: u32, name: String| {
                format!("song {name} of {id}")
            })
            .get("/docs/{*page}", async |page: String| page)
            .get("/caf\u{e9}", async || "coffee");
        let answer = get(app, target).await;
        assert_eq!(answer.status(), status, "{target}");
        if status == 200 {
            assert_eq!(answer.text(), text, "{target}");
        }
    }
}

/// The longer text behind a placeholder is more specific, and where nothing fits behind it, the others do.
#[tokio::test]
async fn n2_text_behind_a_placeholder_that_leads_nowhere_hides_no_other_route() {
    let cases: &[(&str, Option<&str>)] = &[
        ("/song-y/c", Some("1 [\"song\"]")),
        ("/song-y/d", Some("2 [\"song-\"]")),
        ("/song-y/e", Some("3 [\"song-y\", \"e\"]")),
        ("/song-y/e.gz", Some("4 [\"song-y\", \"e\"]")),
        ("/song-y/e/f", None),
    ];
    let routes = ["/{x}.png", "/{x}-y/c", "/{x}y/d", "/{a}/{b}", "/{a}/{b}.gz"];
    let app = routes.iter().enumerate().fold(App::new(), |app, (number, route)| {
        app.get(route, move |request: Request| {
            let values: Vec<_> = request.values().map(|(_, value)| value.to_owned()).collect();
            std::future::ready(format!("{number} {values:?}"))
        })
    });
    let server = app.test();
    for &(target, expected) in cases {
        let answer = server.get(target).send().await.unwrap();
        assert_eq!((answer.status() == 200).then(|| answer.text()), expected, "{target}");
    }
}

/// A part of an escape is no text: what is compared is what the path means.
#[tokio::test]
async fn n2_text_beside_a_placeholder_is_compared_with_what_the_path_means() {
    let cases: &[(&str, &str, Option<&str>)] = &[
        ("/{x}F", "/aF", Some("a")),
        ("/{x}F", "/a%46", Some("a")),
        ("/{x}F", "/a%2F", None),
        ("/{x}F", "/a%2FF", Some("a/")),
        ("/{x}2F", "/a%2F", None),
        ("/{x}2F", "/a%252F", Some("a%")),
        ("/{x}5", "/a%25", None),
        ("/{x}%25", "/a%25", Some("a")),
        ("/{x}%2F", "/a%2f", Some("a")),
        ("/{x}%2F", "/a%252F", None),
        ("/{x}/b", "/a%2Fb", None),
        ("/%2F{x}", "/%2fa", Some("a")),
        ("/%25{x}", "/%2F", None),
        ("/{x}", "/%25%2F%2B", Some("%/+")),
        ("/{*x}", "/a%2Fb/c", Some("a/b/c")),
        // A character that means nothing in any text.
        ("/{x}", "/a%EF%BF%BFb", None),
        ("/{x}", "/a%EF%BF%BEb", Some("a\u{fffe}b")),
    ];
    for &(route, target, value) in cases {
        let answer = get(App::new().get(route, async |x: String| x), target).await;
        let seen = (answer.status() == 200).then(|| answer.text().to_owned());
        assert_eq!(seen.as_deref(), value, "{route} {target}: {}", answer.status());
    }
    let stars: &[(&str, &str, Option<&str>)] = &[
        ("/*F", "/a%2F", None),
        ("/*F", "/a%2FF", Some("a/")),
        ("/*5", "/a%25", None),
        ("/*%25", "/100%25", Some("100")),
        ("/a%2F*", "/a%2fb", Some("b")),
        ("/a%2F*", "/a/b", None),
    ];
    for &(pattern, target, value) in stars {
        let app = App::new().pattern(&[Method::Get], pattern, async |x: String| x);
        let answer = get(app, target).await;
        let seen = (answer.status() == 200).then(|| answer.text().to_owned());
        assert_eq!(seen.as_deref(), value, "{pattern} {target}: {}", answer.status());
    }
}

#[test]
fn d3_mistakes_in_routes_are_found_before_they_are_served() {
    async fn user(id: u32) -> String {
        id.to_string()
    }
    let cases: &[(App, &str)] = &[
        (App::new().get("users", async || ""), "begin with a slash"),
        (App::new().get("/a", async || "1").get("/a", async || "2"), "GET /a and GET /a can never"),
        (
            App::new().get("/users/{id}", user).get("/users/{name}", user),
            "/users/{name} and /users/{id} can never be told apart",
        ),
        (App::new().get("/users/{id", user), "not understood"),
        // As Flask, microdot and Express write them.
        (App::new().get("/users/<int:id>", user), "a placeholder is {name}"),
        (App::new().get("/users/:id", user), "a placeholder is {name}"),
        (App::new().get("/{*rest}/more", async |rest: String| rest), "not understood"),
        (
            App::new().get(&"/{a}".repeat(26), async |_: Request| ""),
            "has 26 placeholders: 25 at most",
        ),
        (App::new().get("/users", user), "takes 1 values of the path, which has 0"),
        (
            App::new().get("/{a}/{b}", user),
            "the handler of GET /{a}/{b} takes 1 values of the path, which has 2",
        ),
        (App::new().post("/", async |_: Body, _: Request| ""), "can be read once"),
        (App::new().get("/", async |_: State<u8>| ""), "needs a u8: give the app one"),
        (App::new().nest("/a", App::new().get("b", async || "")), "begin with a slash"),
        // Its rules would not be asked, and everybody would be let in.
        (
            App::new().nest("/a", App::new().access(Access::new([]))),
            "nested at /a has access rules of its own",
        ),
        (App::new().nest("/users/{id}", App::new()), "has a placeholder"),
        // The first would never be asked, or the second.
        (App::new().nest("/a", App::new()).nest("/a/", App::new()), "at \"/a/\" already"),
        (App::new().nest("/", App::new()).nest("", App::new()), "already"),
        (App::new().nest("/a%20b", App::new()).nest("//a b", App::new()), "already"),
    ];
    for (app, message) in cases {
        let error = app.check().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let fine = App::new()
        .get("/{a}/{b}", async |_: Request| "")
        .get("/%3Aa/b:c/%3Cd%3E", async || "")
        .state(8u8)
        .get("/", async |_: State<u8>| "")
        .get(&("/{{b}}".repeat(9) + &"/{a}".repeat(25)), async |_: Request| "")
        .get(&"/{a}".repeat(25), async |_: Request| "");
    assert_eq!(fine.check(), Ok(()));
    // A running server keeps the app that it has.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = App::new().get("/", async || "old").test();
        let served = Server::bind(App::new().get("x", async || ""), "127.0.0.1:0").unwrap().serve();
        let error = served.await.unwrap_err();
        let ServeError::App(mistake) = &error else { panic!("{error}") };
        assert_eq!(error.to_string(), mistake.to_string());
        server.handle().replace(App::new().get("x", async || "new")).unwrap_err();
        assert_eq!(server.get("/").send().await.unwrap().text(), "old");
    });
}

#[tokio::test]
async fn g12_methods_that_are_not_there_are_told_what_is() {
    let app = || {
        App::new()
            .get("/a", async || "get")
            .post("/a", async || "post")
            .delete("/a", async || "delete")
            .route(Method::Options, "/own", async || "own options")
            .any("/any", async |request: Request| format!("{:?}", request.method()))
            .put("/any", async || "put")
            .patch("/any", async || "patch")
            .route(Method::Other, "/dav", async || "dav")
            .get("/dav", async || "get")
    };
    let cases: &[(&str, &str, u16, Option<&str>, &str)] = &[
        ("GET", "/a", 200, None, "get"),
        ("HEAD", "/a", 200, None, ""),
        ("POST", "/a", 200, None, "post"),
        ("DELETE", "/a", 200, None, "delete"),
        ("PUT", "/a", 405, Some("DELETE, GET, HEAD, OPTIONS, POST"), ""),
        ("BREW", "/a", 405, Some("DELETE, GET, HEAD, OPTIONS, POST"), ""),
        ("OPTIONS", "/a", 204, Some("DELETE, GET, HEAD, OPTIONS, POST"), ""),
        ("OPTIONS", "/own", 200, None, "own options"),
        ("PUT", "/any", 200, None, "put"),
        ("PATCH", "/any", 200, None, "patch"),
        ("BREW", "/any", 200, None, "Other"),
        ("PROPFIND", "/dav", 200, None, "dav"),
        ("PUT", "/dav", 405, Some("GET, HEAD, OPTIONS"), ""),
        ("GET", "/b", 404, None, ""),
        ("OPTIONS", "*", 204, Some("GET, HEAD, OPTIONS"), ""),
    ];
    for &(method, target, status, allow, text) in cases {
        let answer = app().test().request(method, target).send().await.unwrap();
        assert_eq!((answer.status(), answer.field("allow")), (status, allow), "{method} {target}");
        if status == 200 {
            assert_eq!(answer.text(), text, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn u11_u12_u14_the_first_pattern_that_fits_wins() {
    let both = [Method::Get, Method::Post];
    let cases: &[(&str, &str, u16, &str)] = &[
        ("GET", "/fs/a/b.txt", 200, "files a/b.txt"),
        ("POST", "/fs/a/b.txt", 200, "upload a/b.txt"),
        ("GET", "/fs/late", 200, "files late"),
        ("DELETE", "/fs/a", 405, ""),
        ("GET", "/api/x/state", 200, "api x"),
        ("GET", "/exact", 200, "a route"),
        ("GET", "/other", 200, "the rest"),
        ("POST", "/other", 405, ""),
    ];
    for &(method, target, status, text) in cases {
        let app = App::new()
            .pattern(&[Method::Get], "/fs/*", async |path: String| format!("files {path}"))
            .pattern(&[Method::Post], "/fs/*", async |path: String| format!("upload {path}"))
            .pattern(&both, "/fs/late", async || "too late")
            .pattern(&both, "/api/*/state", async |what: String| format!("api {what}"))
            .pattern(&[Method::Get], "*", async || "the rest")
            .get("/exact", async || "a route");
        let answer = app.test().request(method, target).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {target}");
        if status == 200 {
            assert_eq!(answer.text(), text, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn u12_g12_allow_names_the_methods_of_every_pattern_that_fits() {
    let app = || {
        App::new()
            .pattern(&[Method::Get], "/u", async || "get")
            .pattern(&[Method::Post], "/u", async || "post")
            .pattern(&[Method::Delete], "*", async || "delete")
            .pattern(&[Method::Options], "/own*", async || "own options")
    };
    let all = Some("DELETE, GET, HEAD, OPTIONS, POST");
    for (method, target, status, allow) in [
        ("OPTIONS", "/u", 204, all),
        ("PUT", "/u", 405, all),
        ("PUT", "/other", 405, Some("DELETE, OPTIONS")),
        ("OPTIONS", "/own", 200, None),
    ] {
        let answer = app().test().request(method, target).send().await.unwrap();
        assert_eq!((answer.status(), answer.field("allow")), (status, allow), "{method} {target}");
    }
}

/// What is around a handler asks it what it answers, also where it is behind a pointer.
#[tokio::test]
async fn a_handler_behind_a_pointer_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let files = || number8::Files::new(folder.path()).unwrap();
    let pointers: [Box<dyn Handler>; 3] = [
        Box::new(files()),
        Box::new(Arc::new(files())),
        Box::new(Box::new(files()) as Box<dyn Handler>),
    ];
    for files in pointers {
        let app = App::new().mount("/", ByMethod::new().with(files));
        let answer = app.test().put("/x").send().await.unwrap();
        assert_eq!(answer.field("allow"), Some("GET, HEAD, OPTIONS"));
    }
}

#[derive(Serialize, Deserialize)]
struct Person {
    name: String,
    surname: String,
}

#[derive(Deserialize)]
struct Search {
    q: String,
    #[serde(default)]
    tag: Vec<String>,
}

#[tokio::test]
async fn h13_b9_l10_arguments_are_values_of_types() {
    let app = || {
        App::new()
            .post("/form", async |Form(person): Form<Person>| Json(person))
            .post("/json/{times}", async |times: usize, Json(person): Json<Person>| {
                person.name.repeat(times)
            })
            .get("/search", async |search: Query<Search>| {
                format!("{} {}", search.q, search.tag.join("+"))
            })
            .post("/plain", |Form(person): Form<Person>| person.surname)
            .post("/inline", inline(|Form(person): Form<Person>| person.surname))
    };
    const FORM: &str = "application/x-www-form-urlencoded";
    let form = "name=John&surname=D%C3%B6e+x";
    let cases: &[(&str, &str, &str, u16, &str)] = &[
        ("/form", FORM, form, 200, r#"{"name":"John","surname":"Döe x"}"#),
        ("/form", "Application/X-WWW-Form-Urlencoded; charset=utf-8", form, 200, ""),
        ("/form", FORM, "name=John", 422, "surname"),
        ("/form", "multipart/form-data; boundary=x", form, 415, "form"),
        ("/form", "", form, 415, ""),
        ("/json/2", "application/json", r#"{"name":"ab","surname":""}"#, 200, "abab"),
        ("/json/2", "application/hal+json", r#"{"name":"ab","surname":""}"#, 200, "abab"),
        ("/json/2", "application/json", r#"{"name":"ab""#, 400, "line 1"),
        ("/json/2", "application/json", r#"{"name":8,"surname":""}"#, 422, "a string"),
        ("/json/x", "application/json", r#"{"name":"ab","surname":""}"#, 404, ""),
        ("/json/2", "text/plain", "{}", 415, "JSON"),
        ("/plain", FORM, form, 200, "Döe x"),
        ("/inline", FORM, form, 200, "Döe x"),
    ];
    for &(target, kind, body, status, text) in cases {
        let server = app().test();
        let answer =
            server.post(target).field("Content-Type", kind).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{target} {kind} {body}: {}", answer.text());
        assert!(answer.text().contains(text), "{target} {kind} {body}: {}", answer.text());
    }
    for (target, status, text) in [
        ("/search?q=a+b&tag=x&tag=%79", 200, "a b x+y"),
        ("/search?q=", 200, " "),
        ("/search", 400, "q"),
    ] {
        let answer = get(app(), target).await;
        assert_eq!(answer.status(), status, "{target}");
        assert!(answer.text().contains(text), "{}", answer.text());
    }
}

/// Old clients send Latin-1 as it is, and nobody is served by an empty text.
#[tokio::test]
async fn r3_a_target_that_is_no_utf8_is_told_as_far_as_it_is() {
    let server =
        App::new().get("/m", async |request: Request| request.target().into_owned()).test();
    let client = server.connect();
    let request = b"GET /m?q=M\xfcller HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let answer = client.read_to_end().await.unwrap();
    assert!(answer.ends_with("/m?q=M\u{fffd}ller".as_bytes()), "{}", answer.escape_ascii());
}

#[tokio::test]
async fn r3_r4_r6_r7_a_request_tells_everything() {
    let app = App::new().get("/a%20b/{id}", async |request: Request| {
        assert_eq!(request.target(), "/a%20b/8?k=1&k=2&flag&empty=&pl=a+b%21&b=%FF");
        assert_eq!(request.path(), "/a%20b/8");
        assert_eq!(request.value("id"), Some("8"));
        assert_eq!(request.query("k"), Some(Some("1".to_owned())), "the first one");
        assert_eq!(request.query("flag"), Some(None), "a key without a value");
        assert_eq!(request.query("empty"), Some(Some(String::new())));
        assert_eq!(request.query("pl"), Some(Some("a b!".to_owned())));
        assert_eq!(request.query("nothing"), None);
        assert_eq!(request.queries().len(), 6);
        assert_eq!(request.queries()[1], ("k".to_owned(), Some("2".to_owned())));
        assert_eq!(request.query_bytes(b"pl"), Some(Some(b"a b!".to_vec())));
        assert_eq!(request.query_bytes(b"flag"), Some(None));
        assert_eq!(request.query_bytes(b"nothing"), None);
        assert_eq!(request.query_bytes(b"b"), Some(Some(b"\xff".to_vec())), "bytes as they are");
        assert_eq!(request.queries_bytes()[2], (b"flag".to_vec(), None));
        assert_eq!(request.content_length(), None);
        assert_eq!(request.field("x-farm"), Some("8"));
        assert_eq!(request.method(), Method::Get);
        "seen"
    });
    let server = app.test();
    let target = "/a%20b/8?k=1&k=2&flag&empty=&pl=a+b%21&b=%FF";
    let answer = server.get(target).field("X-Farm", "8").send().await.unwrap();
    assert_eq!(answer.text(), "seen");
}

#[tokio::test]
async fn r5_the_announced_length_of_the_content_is_told() {
    let told = async |request: Request| format!("{:?}", request.content_length());
    let server = App::new().get("/", told).post("/", told).test();
    for (content, length) in [("", "Some(0)"), ("kiwi", "Some(4)")] {
        assert_eq!(server.post("/").body(content).send().await.unwrap().text(), length);
    }
    // A stream announces none, and a request without content neither.
    let client = server.connect();
    let stream = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nkiwi\r\n0\r\n\r\n";
    client.write_all(stream.as_bytes()).await.unwrap();
    let answer = client.read_to_end().await.unwrap();
    assert!(answer.ends_with(b"None"), "{}", answer.escape_ascii());
    assert_eq!(server.get("/").send().await.unwrap().text(), "None");
}

#[tokio::test]
async fn l6_l10_results_are_answers() {
    let text = "text/plain; charset=utf-8";
    let cases: Vec<(Response, u16, Option<&str>, &str)> = vec![
        (respond("text"), 200, Some(text), "text"),
        (respond(String::from("text")), 200, Some(text), "text"),
        (respond(vec![98u8]), 200, Some("application/octet-stream"), "b"),
        (respond(b"bytes"), 200, Some("application/octet-stream"), "bytes"),
        (respond(&b"bytes"[1..]), 200, Some("application/octet-stream"), "ytes"),
        (respond(Response::new(200, b"bytes")), 200, None, "bytes"),
        (respond(Html("<p>")), 200, Some("text/html; charset=utf-8"), "<p>"),
        (respond(Json(vec![1, 2])), 200, Some("application/json"), "[1,2]"),
        (
            respond(serde_json::json!({"key": "value"})),
            200,
            Some("application/json"),
            r#"{"key":"value"}"#,
        ),
        (respond(()), 204, None, ""),
        (respond(404), 404, Some(text), "Not Found"),
        (respond(202), 202, Some(text), "Accepted"),
        (respond(205), 205, None, ""),
        (respond((201, "made")), 201, Some(text), "made"),
        (respond(([("Content-Type", "text/csv")], "a,b")), 200, Some("text/csv"), "a,b"),
        (respond((202, [("X-A", "b")], "fine")), 202, Some(text), "fine"),
        (respond(([("X-A", "a\r\nb: c")], "")), 500, Some(text), "failed"),
        (respond(Some("some")), 200, Some(text), "some"),
        (respond(None::<String>), 404, Some(text), "nothing"),
        (respond(Redirect::to("/next")), 303, None, ""),
        (respond(Redirect::permanent("/a\nb")), 500, Some(text), "failed"),
        (respond(Ok::<_, Error>("fine")), 200, Some(text), "fine"),
        (respond(Err::<(), _>(Error::new(418, "a teapot"))), 418, Some(text), "a teapot"),
        (
            respond(Err::<(), _>(Error::from(io::Error::other("the password is 42")))),
            500,
            Some(text),
            "the handler failed",
        ),
    ];
    for (response, status, kind, text) in cases {
        let response = std::sync::Mutex::new(Some(response));
        let app = App::new().get("/", inline(move || response.lock().unwrap().take()));
        let answer = get(app, "/").await;
        assert_eq!((answer.status(), answer.field("content-type")), (status, kind), "{answer:?}");
        assert!(answer.text().contains(text), "{answer:?}");
        assert!(!answer.text().contains("password"), "{answer:?}");
    }
}

fn respond(value: impl number8::IntoResponse) -> Response {
    value.into_response()
}

#[tokio::test]
async fn n2_apps_inside_apps_have_their_own_layers_states_and_pages() {
    struct Stamp(&'static str);

    impl Layer for Stamp {
        fn after(
            &self,
            _: &number8::Head<'_>,
            _: &number8::Caller,
            response: Response,
        ) -> Response {
            response.with("X-Passed", self.0).unwrap()
        }
    }

    let inner = || {
        App::new()
            .state(8u32)
            .layer(Stamp("inner"))
            .get("/", async || "inner root")
            .get("/{id}", async |id: u32, state: State<u32>| format!("{id} {}", *state))
            .get("/later", async |_: State<u32>| {
                tokio::task::yield_now().await;
                "later"
            })
            .before(|call: &mut Call<'_>| {
                (call.head.named("x-closed").is_some()).then(|| Response::error(410, "closed"))
            })
    };
    let app = || {
        App::new()
            .layer(Stamp("outer"))
            .nest("/inner", inner())
            .nest("/deep", App::new().nest("/er", inner()))
            .get("/own", async || "own")
    };
    for (target, status, text, passed) in [
        ("/inner/", 200, "inner root", 2),
        ("/inner", 200, "inner root", 2),
        ("/deep/er", 200, "inner root", 2),
        ("/deep", 404, "nothing", 1),
        ("/inner/7", 200, "7 8", 2),
        ("/inner/later", 200, "later", 2),
        ("/inner/none/such", 404, "nothing", 2),
        ("/deep/er/7", 200, "7 8", 2),
        ("/deep/7", 404, "nothing", 1),
        ("/own", 200, "own", 1),
        ("/innerer", 404, "nothing", 1),
    ] {
        let answer = get(app(), target).await;
        assert_eq!(answer.status(), status, "{target}");
        assert!(answer.text().contains(text), "{target}: {}", answer.text());
        let seen = answer.fields().filter(|(name, _)| *name == "X-Passed").count();
        assert_eq!(seen, passed, "{target}");
    }
    let closed = app().test().get("/inner/7").field("X-Closed", "1").send().await.unwrap();
    assert_eq!(closed.status(), 410);
}

/// Plain functions may block: they run elsewhere, and never keep a connection waiting.
#[tokio::test]
async fn b2_plain_functions_run_on_the_lane() {
    let here = thread::current().id();
    let app = App::new()
        .get("/plain", move || (thread::current().id() != here).to_string())
        .get("/inline", inline(move || (thread::current().id() == here).to_string()))
        .get("/panic", || -> &'static str { panic!("as the test wants it") });
    let server = app.test();
    for (target, status) in [("/plain", 200), ("/inline", 200), ("/panic", 500)] {
        let answer = server.get(target).send().await.unwrap();
        assert_eq!(answer.status(), status, "{target}");
        assert_eq!(answer.text() == "true", status == 200, "{target}: {}", answer.text());
    }
}

#[tokio::test]
async fn w8_a_full_lane_is_503_and_a_quick_route_beside_it_answers() {
    const CLIENTS: usize = 4;
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let app = App::new().get("/quick", async || "quick").get("/slow", move || {
        let _ = held.lock().unwrap().recv_timeout(PATIENCE);
        "slow"
    });
    let mut options = patient();
    options.lane.threads_max = 1;
    options.lane.queue_max = 1;
    let server = Arc::new(number8::testing::TestServer::new(app, options));
    // One runs and one waits at most, so the first to come back was refused.
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let server = Arc::clone(&server);
        answers.spawn(async move { server.get("/slow").send().await.unwrap() });
    }
    let refused = answers.join_next().await.unwrap().unwrap();
    assert_eq!((refused.status(), refused.field("retry-after")), (503, Some("1")));
    assert_eq!(server.get("/quick").send().await.unwrap().text(), "quick");
    (0..CLIENTS).for_each(|_| release.send(()).unwrap());
    let mut served = 0;
    while let Some(answer) = answers.join_next().await {
        served += usize::from(answer.unwrap().status() == 200);
    }
    assert!((1..=2).contains(&served), "{served}");
}
