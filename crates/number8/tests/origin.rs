//! Which pages may do what: those of this server, those of invited sites, those that have a name lead here.

use number8::layers::cors::Cors;
use number8::layers::same_origin::SameOrigin;
use number8::{Answer, App, Call, Handler, Method, Response};

async fn ask(app: App, request: &str, fields: &str) -> String {
    let server = app.test();
    let client = server.connect();
    let text = format!("{request} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n");
    client.write_all(text.as_bytes()).await.unwrap();
    String::from_utf8(client.read_to_end().await.unwrap()).unwrap()
}

fn lamp() -> App {
    App::new().get("/lamp", async || "off").post("/lamp", async || "on")
}

const CROSS: &str = "Sec-Fetch-Site: cross-site\r\n";
const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: websocket\r\n";

#[tokio::test]
async fn a10_pages_of_other_sites_may_not_do_anything_here() {
    let cases: &[(&str, &str, u16)] = &[
        // Programs.
        ("POST /lamp", "Host: localhost:8080\r\n", 200),
        ("POST /lamp", "Host: 127.0.0.1\r\n", 200),
        ("POST /lamp", "Host: [::1]:8080\r\n", 200),
        ("POST /lamp", "Host: farm.local\r\n", 200),
        ("POST /lamp", "Host: FARM.local.:8080\r\n", 200),
        // Our own pages.
        (
            "POST /lamp",
            "Host: farm.local:8080\r\nOrigin: http://farm.local:8080\r\nSec-Fetch-Site: same-origin\r\n",
            200,
        ),
        ("POST /lamp", "Host: farm.local\r\nOrigin: https://farm.local\r\n", 200),
        ("POST /lamp", "Host: localhost\r\nSec-Fetch-Site: none\r\n", 200),
        // Pages of others.
        ("POST /lamp", "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403),
        ("POST /lamp", "Host: localhost\r\nSec-Fetch-Site: same-site\r\n", 403),
        ("POST /lamp", "Host: localhost\r\nSec-Fetch-Site: what\r\n", 403),
        ("POST /lamp", "Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
        ("POST /lamp", "Host: localhost\r\nOrigin: null\r\n", 403),
        ("POST /lamp", "Host: localhost:8080\r\nOrigin: http://localhost:3000\r\n", 403),
        ("POST /lamp", "Host: 192.0.2.1\r\nOrigin: http://192.0.2.2\r\n", 403),
        ("POST /lamp", "Host: localhost\r\nOrigin: http://localhost.evil.example\r\n", 403),
        ("POST /lamp", "Host: localhost\r\nOrigin: ftp://localhost\r\n", 403),
        ("DELETE /lamp", "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403),
        // A name that leads here and is not ours: Origin and Host agree.
        (
            "POST /lamp",
            "Host: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n",
            421,
        ),
        ("POST /lamp", "Host: evil.example\r\n", 421),
        ("POST /lamp", "Host: farm.local.evil.example\r\n", 421),
        // Invited.
        (
            "POST /lamp",
            "Host: localhost\r\nOrigin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n",
            200,
        ),
        ("POST /lamp", "Host: evil.example\r\nOrigin: https://app.example\r\n", 421),
        ("POST /lamp", "Host: localhost\r\nOrigin: http://app.example\r\n", 403),
        // Reading is another matter.
        ("GET /lamp", "Host: evil.example\r\nOrigin: http://evil.example\r\n", 200),
        ("HEAD /lamp", "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 200),
        ("OPTIONS /lamp", "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 204),
    ];
    for (request, fields, status) in cases {
        let layer = SameOrigin::new().host("farm.local").origin("https://app.example");
        let layer = layer.hint("ask ann");
        let answer = ask(lamp().layer(layer), request, fields).await;
        let found: u16 = answer[9..12].parse().unwrap();
        assert_eq!(found, *status, "{request} {fields}: {answer}");
        assert_eq!(found >= 400, answer.contains("; ask ann"), "{answer}");
        assert!(!answer.contains("--"), "the library has no flags: {answer}");
    }
}

/// Whoever is on the way can write pages that came without TLS.
#[tokio::test]
async fn a10_a_page_without_tls_may_do_nothing_by_tls() {
    for (is_secure, origin, status) in [
        (true, "https://localhost", "200"),
        (true, "http://localhost", "403"),
        (true, "http://localhost:443", "403"),
        (false, "http://localhost", "200"),
        // What ends TLS in front of us may not be known.
        (false, "https://localhost", "200"),
    ] {
        let app = lamp().before(move |call| {
            call.caller.is_secure = is_secure;
            None
        });
        let app = app.layer(SameOrigin::new());
        let host = if origin.ends_with(":443") { "localhost:443" } else { "localhost" };
        let fields = format!("Host: {host}\r\nOrigin: {origin}\r\n");
        let answer = ask(app, "POST /lamp", &fields).await;
        assert_eq!(&answer[9..12], status, "{is_secure} {origin}: {answer}");
    }
}

#[tokio::test]
async fn a_websocket_is_no_mere_reading() {
    for (fields, status) in [
        (format!("Host: localhost\r\n{CROSS}{UPGRADE}"), "403"),
        (format!("Host: evil.example\r\nOrigin: http://evil.example\r\n{UPGRADE}"), "421"),
        (format!("Host: localhost\r\nOrigin: http://localhost\r\n{UPGRADE}"), "200"),
    ] {
        let answer = ask(lamp().layer(SameOrigin::new()), "GET /lamp", &fields).await;
        assert_eq!(&answer[9..12], status, "{fields}");
    }
}

/// The CORS fields of an answer, sorted, without their common beginning.
fn shared(answer: &str) -> Vec<&str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let mut fields: Vec<_> =
        head.lines().filter_map(|line| line.strip_prefix("Access-Control-")).collect();
    fields.sort_unstable();
    fields
}

#[tokio::test]
async fn u5_every_answer_may_be_read_by_any_page() {
    for (request, fields, status) in [
        ("GET /lamp", "", "200"),
        ("GET /lamp", "Origin: http://a.example\r\n", "200"),
        ("GET /none", "", "404"),
        ("PUT /lamp", "", "405"),
        ("OPTIONS /lamp", "", "2"),
        ("GET /fails", "", "500"),
        ("GET /kept", "", "403"),
    ] {
        let app = lamp()
            .get("/fails", async || Response::error(500, "no"))
            .before(|call| (call.head.path() == b"/kept").then(|| Response::error(403, "no")))
            .layer(Cors::any());
        let answer = ask(app, request, &format!("Host: a\r\n{fields}")).await;
        assert!(answer[9..].starts_with(status), "{answer}");
        assert_eq!(shared(&answer), ["Allow-Origin: *"], "{request} {fields}");
    }
}

#[tokio::test]
async fn r10_an_answer_that_says_it_itself_is_left_alone() {
    let app = App::new().get("/", async || {
        Response::new(200, "x").with("access-control-allow-origin", "http://a.example").unwrap()
    });
    let answer = ask(app.layer(Cors::any()), "GET /", "Host: a\r\n").await;
    assert_eq!(answer.to_ascii_lowercase().matches("access-control-allow-origin").count(), 1);
}

#[tokio::test]
async fn g12_only_the_named_sites_may_read() {
    let cors = || Cors::origins(["https://app.example", "http://localhost:3000"]).unwrap();
    for (origin, want) in [
        ("https://app.example", Some("https://app.example")),
        ("http://localhost:3000", Some("http://localhost:3000")),
        ("http://app.example", None),
        ("https://app.example.evil.example", None),
        ("https://app.exampl", None),
        ("null", None),
        ("", None),
    ] {
        let fields = format!("Host: a\r\nOrigin: {origin}\r\n");
        let answer = ask(lamp().layer(cors()), "GET /lamp", &fields).await;
        let want: Vec<_> =
            want.map(|origin| format!("Allow-Origin: {origin}")).into_iter().collect();
        assert_eq!(shared(&answer), want, "{origin}");
        assert!(answer.contains("\r\nVary: Origin\r\n"), "caches are told: {answer}");
    }
    let answer = ask(
        lamp().layer(cors().credentials()),
        "GET /lamp",
        "Host: a\r\nOrigin: https://app.example\r\n",
    )
    .await;
    assert_eq!(shared(&answer), ["Allow-Credentials: true", "Allow-Origin: https://app.example"]);
    // Credentials and any site do not go together.
    let answer = ask(lamp().layer(Cors::any().credentials()), "GET /lamp", "Host: a\r\n").await;
    assert_eq!(shared(&answer), ["Allow-Origin: *"]);
}

#[tokio::test]
async fn g12_a_preflight_names_what_may_be_sent() {
    let asked = "Host: a\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n\
        Access-Control-Request-Headers: content-type,x-a\r\nAccess-Control-Request-Private-Network: true\r\n";
    let answer = ask(lamp().layer(Cors::any()), "OPTIONS /lamp", asked).await;
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    let fields = shared(&answer);
    assert_eq!(fields[0], "Allow-Headers: content-type,x-a");
    assert!(
        fields[1].contains("GET") && fields[1].contains("POST"),
        "the methods of the route: {fields:?}"
    );
    assert_eq!(fields[2..], ["Allow-Origin: *", "Max-Age: 600"]);

    let cors = Cors::origins(["https://app.example"])
        .and_then(|cors| cors.methods("GET"))
        .and_then(|cors| cors.headers("x-only"))
        .and_then(|cors| cors.exposed("ETag"))
        .unwrap()
        .private_network()
        .max_age(std::time::Duration::from_secs(5));
    let answer = ask(lamp().layer(cors.clone()), "OPTIONS /lamp", asked).await;
    let want = [
        "Allow-Headers: x-only",
        "Allow-Methods: GET",
        "Allow-Origin: https://app.example",
        "Allow-Private-Network: true",
        "Expose-Headers: ETag",
        "Max-Age: 5",
    ];
    assert_eq!(shared(&answer), want);
    // Others learn nothing.
    let other = asked.replace("app.example", "evil.example");
    assert!(shared(&ask(lamp().layer(cors), "OPTIONS /lamp", &other).await).is_empty());
}

/// Browsers ask beforehand without credentials.
#[tokio::test]
async fn a_preflight_needs_no_login() {
    let asked = "Host: a\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\n";
    let app = lamp().layer(Cors::any()).before(|_| Some(Response::error(401, "log in")));
    let answer = ask(app, "OPTIONS /lamp", asked).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert_eq!(shared(&answer), ["Allow-Methods: PUT", "Allow-Origin: *", "Max-Age: 600"]);
}

/// A handler that does not know the question is not asked; browsers would take its refusal, or its deed, for an answer.
#[tokio::test]
async fn g12_a_preflight_calls_no_handler_that_is_not_for_it() {
    struct Says(&'static str);
    impl Handler for Says {
        fn handle(&self, _: Call<'_>) -> Answer {
            Response::new(418, "called").into()
        }

        fn allow(&self) -> &str {
            self.0
        }
    }
    let said =
        async || Response::new(200, "called").with("Access-Control-Allow-Origin", "http://b");
    let cors = || Cors::origins(["https://a.example"]).unwrap();
    let app = || {
        App::new()
            .any("/any", async || "called")
            .post("/both", async || "called")
            .any("/both", async || "called")
            .route(Method::Options, "/own", said)
            .mount("/silent", Says(""))
            .mount("/knows", Says("GET, OPTIONS"))
            .nest("/in", App::new().any("/any", async || "called").get("/get", async || "called"))
            .layer(cors())
    };
    for (path, methods, is_called) in [
        ("/any", Some("OPTIONS"), false),
        ("/both", Some("OPTIONS, POST"), false),
        ("/own", None, true),
        ("/silent", Some("PUT"), false),
        ("/silent/below", Some("PUT"), false),
        // Its answer says no: a browser would hear nothing else.
        ("/knows", Some("PUT"), false),
        ("/in/any", Some("OPTIONS"), false),
        ("/in/get", Some("GET, HEAD, OPTIONS"), false),
        ("/none", Some("PUT"), false),
    ] {
        let asked = "Access-Control-Request-Method: PUT\r\n";
        let fields = format!("Host: a\r\nOrigin: https://a.example\r\n{asked}");
        let answer = ask(app(), &format!("OPTIONS {path}"), &fields).await;
        assert!(answer.starts_with("HTTP/1.1 20"), "{path}: {answer}");
        let told =
            answer.lines().find_map(|line| line.strip_prefix("Access-Control-Allow-Methods: "));
        assert_eq!(told, methods, "{path}: {answer}");
        assert_eq!(answer.contains("called"), is_called, "{path}: {answer}");
    }
    // Who may not read asks like anybody else, and so does who asks nothing beforehand.
    for fields in [
        "Origin: https://b.example\r\nAccess-Control-Request-Method: PUT\r\n",
        "Origin: https://a.example\r\n",
    ] {
        let answer = ask(app(), "OPTIONS /any", &format!("Host: a\r\n{fields}")).await;
        assert!(answer.ends_with("called"), "{answer}");
    }
}

#[test]
fn origins_that_cannot_be_sent_are_refused() {
    assert!(Cors::origins(["https://a.example\r\nX: y"]).is_err());
    assert!(Cors::any().methods("GET\n").is_err());
    assert!(Cors::any().headers("\0").is_err());
    assert!(Cors::any().exposed("\r").is_err());
}
