//! A request told back as httpbin does, and pages for whatever is refused.

use std::collections::BTreeMap;

use number8::server::transport::Transport;
use number8::{
    Answer, App, Argument, Call, Error, ErrorPage, Form, Handler, Json, Request, Response, Taken,
};
use serde_json::{Value, json};

/// What the head says, for handlers that take the content in another way.
struct Told(Value);

impl Argument for Told {
    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields = call.head.fields().map(|(name, value)| (lossy(name), lossy(value)));
        let headers: BTreeMap<_, _> = fields.collect();
        let host = lossy(call.head.host().unwrap_or_default());
        let url = format!("http://{host}{}", lossy(call.head.target()));
        Ok(Taken::Now(Self(json!({ "headers": headers, "url": url }))))
    }
}

#[tokio::test]
async fn h14_h13_b9_l10_a_form_is_told_back_as_httpbin_does() {
    type Fields = BTreeMap<String, String>;
    let app = App::new().post("/post", async |Told(mut told): Told, form: Form<Fields>| {
        told["form"] = json!(*form);
        Json(told)
    });
    let kind = "application/x-www-form-urlencoded";
    let server = app.test();
    let request = server.post("/post?x=1").field("Content-Type", kind);
    let answer = request.body("name=John&surname=Doe+%26+co").send().await.unwrap();
    assert_eq!(answer.field("content-type"), Some("application/json"));
    let told: Value = answer.json();
    assert_eq!(told["form"], json!({ "name": "John", "surname": "Doe & co" }));
    assert_eq!(told["url"], "http://localhost/post?x=1");
    assert_eq!(told["headers"]["Content-Type"], kind);
    let refused = server.post("/post").field("Content-Type", "text/plain").body("a=b");
    assert_eq!(refused.send().await.unwrap().status(), 415);
}

/// RFC 9112 §3.2.2: whatever the Host field says.
#[tokio::test]
async fn b6_the_host_of_the_target_is_the_only_one_that_a_handler_sees() {
    let app = App::new()
        .get("/head", async |Told(told): Told| Json(told))
        .get("/request", async |request: Request| request.field("Host").unwrap().to_owned())
        .hosts(["good.example".to_owned()]);
    let server = app.test();
    for (path, want) in [
        ("/head", r#"{"headers":{"Connection":"close","hOST":"good.example:80"},"url":"#),
        ("/request", "good.example:80"),
    ] {
        let client = server.connect();
        let request = format!(
            "GET http://good.example:80{path} HTTP/1.1\r\nhOST: evil.example\r\nConnection: close\r\n\r\n"
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let answer = String::from_utf8(client.read_to_end().await.unwrap()).unwrap();
        let content = answer.lines().last().unwrap();
        assert!(content.starts_with(want), "{answer}");
    }
}

#[tokio::test]
async fn h10_every_refusal_has_the_page_for_its_status() {
    struct Panics;
    impl Handler for Panics {
        fn handle(&self, _: Call<'_>) -> Answer {
            panic!("as the test wants it")
        }
    }
    let page = |text: &'static str| ErrorPage {
        content_type: "text/plain".to_owned(),
        content: text.into(),
    };
    let app = App::new()
        .mount("/panics", Panics)
        .post("/", async |request: Request| request.into_body().bytes().await)
        .get("/busy", async || Response::error(503, "not now"));
    let statuses = [400, 404, 405, 413, 414, 431, 500, 501, 503, 505];
    let app = statuses.iter().fold(app, |app, &status| app.error_page(status, page("our page")));
    let server = app.test();
    let long = "x".repeat(100_000);
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /none HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 404),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n".to_owned(), 413),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431),
        ("GET /panics HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 500),
        ("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 503),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(), 505),
    ];
    for (request, status) in cases {
        let client = server.connect();
        let write = async {
            // Refused before it is whole, perhaps.
            let _ = client.write_all(request.as_bytes()).await;
            let _ = client.shutdown_write();
        };
        let (_, answer) = tokio::join!(write, client.read_to_end());
        let answer = String::from_utf8(answer.unwrap()).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
        assert!(answer.ends_with("\r\n\r\nour page"), "{status}: {answer}");
    }
}

/// A browser shows a page, a program reads JSON, and who uses curl a line.
#[tokio::test]
async fn h10_a_refusal_is_told_in_the_form_that_is_asked_for() {
    let app = App::new().get("/", async || Response::error(409, "no \"such\" <b>\n\\"));
    let server = app.test();
    let line = ("text/plain; charset=utf-8", "409 Conflict: no \"such\" <b>\n\\\n");
    let page = ("text/html; charset=utf-8", "<p>no &quot;such&quot; &lt;b&gt;\n\\.</p>");
    let problem = (
        "application/problem+json",
        "{\"title\":\"Conflict\",\"status\":409,\"detail\":\"no \\\"such\\\" <b>\\u000a\\\\\"}\n",
    );
    for (accept, (content_type, content)) in [
        (None, line),
        (Some("*/*"), line),
        (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), page),
        (Some("application/json"), problem),
        (Some("application/json, text/plain, */*"), problem),
        (Some("application/json;q=0.5, text/html"), page),
        (Some("image/avif,image/*,*/*;q=0.8"), line),
    ] {
        let request = server.get("/");
        let request = match accept {
            Some(accept) => request.field("Accept", accept),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 409);
        assert_eq!(answer.field("content-type"), Some(content_type), "{accept:?}");
        assert!(answer.text().contains(content), "{accept:?}: {}", answer.text());
        assert_eq!(answer.field("vary"), Some("Accept"), "{accept:?}");
    }
}

/// The page says what it is, whatever was said of the content that it takes the place of.
#[tokio::test]
async fn h10_a_page_for_a_refusal_has_one_type() {
    let json = [("Content-Type", "application/json"), ("Content-Encoding", "br")];
    let problem =
        async || Response::error(422, "no").with("Content-Type", "application/problem+json");
    let inner = App::new().after(|_, response| {
        response.replacing("Content-Type", "text/csv").unwrap_or_else(|_| Response::error(500, ""))
    });
    let app = App::new()
        .get("/option", move || (json, None::<String>))
        .get("/status", move || (json, 404))
        .get("/error", problem)
        .get("/page", move || (json, 410))
        .nest("/in", inner)
        .error_page(
            410,
            ErrorPage { content_type: "text/plain".to_owned(), content: "gone".into() },
        );
    let server = app.test();
    for (target, status, content_type) in [
        ("/option", 404, "text/plain; charset=utf-8"),
        ("/status", 404, "text/plain; charset=utf-8"),
        ("/error", 422, "text/plain; charset=utf-8"),
        ("/page", 410, "text/plain"),
        ("/in/none", 404, "text/plain; charset=utf-8"),
    ] {
        let answer = server.get(target).send().await.unwrap();
        let types = answer.fields().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let types: Vec<_> = types.map(|(_, value)| String::from_utf8_lossy(value)).collect();
        assert_eq!(
            (answer.status(), types.as_slice()),
            (status, &[content_type.into()][..]),
            "{target}"
        );
        assert_eq!(answer.field("content-encoding"), None, "{target}");
    }
}
