//! Logging in by a page: sessions, their cookie, and what keeps pages of others from using it.

mod doors;

use std::time::Duration;

use number8::access::{Access, Rights, Rule};
use number8::accounts::Accounts;
use number8::layers::auth::{Auth, AuthLimits};
use number8::layers::same_origin::SameOrigin;
use number8::layers::sessions::{Login, SessionLimits, Sessions};
use number8::server::memory::End;
use number8::testing::TestServer;
use number8::{Answer, App, Call, Events, Handler, Response, Runner, Uploads};
use tokio::time::timeout;

use crate::auth::{ARGON2, BCRYPT, replace};
use crate::serving::PATIENCE;

/// `joe:pw`, as it is sent.
const JOE: &str = "Authorization: Basic am9lOnB3\r\n";
const HTML: &str = "Accept: text/html,*/*;q=0.8\r\n";
const OURS: &str = "Origin: http://localhost\r\n";

/// Only for those who may run programs; answers with their name and what their forms send back.
struct Lamp;

impl Handler for Lamp {
    fn handle(&self, call: Call<'_>) -> Answer {
        if let Err(refusal) = call.may(Rights::RUN) {
            return number8::IntoResponse::into_response(refusal).into();
        }
        let user = call.caller.user.as_deref().unwrap_or("nobody");
        let token = call.caller.form_token.as_deref().unwrap_or("none");
        Response::new(200, format!("{user} {token}")).into()
    }
}

fn accounts(password: &str) -> Accounts {
    Accounts::new().and_then(|all| all.password("joe", password)).unwrap()
}

fn app(accounts: Accounts, sessions: &Sessions) -> App {
    let limits = AuthLimits { failures_free: 2, ..AuthLimits::default() };
    let auth = Auth::with_limits(accounts, limits, |_| {}).login(Login::new(sessions.clone()));
    let rights = Rights::RUN | Rights::READ;
    let rules = [Rule::user("joe", "/", rights), Rule::user("ann", "/", rights)];
    let rules: Result<Vec<_>, _> = rules.into_iter().collect();
    App::new()
        .access(Access::new(rules.unwrap()))
        .layer(SameOrigin::new())
        .layer(auth)
        .mount("/lamp", Lamp)
}

fn serve() -> TestServer {
    app(accounts("pw"), &Sessions::new().unwrap()).test()
}

/// What the server says to a request with these fields and this form.
async fn ask(server: &TestServer, request: &str, fields: &str, form: &str) -> Told {
    let client = server.connect();
    let length = form.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n{form}"
    );
    client.write_all(text.as_bytes()).await.unwrap();
    Told(String::from_utf8(client.read_to_end().await.unwrap()).unwrap())
}

struct Told(String);

impl Told {
    fn status(&self) -> u16 {
        self.0[9..12].parse().unwrap()
    }

    fn field(&self, name: &str) -> &str {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .unwrap_or_default()
    }

    fn content(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, content)| content)
    }

    /// The Cookie field that sends back what was set.
    fn cookie(&self) -> String {
        let set = self.field("Set-Cookie");
        format!("Cookie: {}\r\n", set.split(';').next().unwrap_or_default())
    }
}

async fn log_in(server: &TestServer, fields: &str, form: &str) -> Told {
    ask(server, "POST /.number8/login", fields, form).await
}

/// The Cookie field of a new session of Joe's.
async fn session(server: &TestServer) -> String {
    log_in(server, OURS, "name=joe&password=pw").await.cookie()
}

#[tokio::test]
async fn a5_who_logs_in_is_known_until_the_logout() {
    let server = serve();
    let form = ask(&server, "GET /.number8/login?to=/lamp", "", "").await;
    assert_eq!(form.status(), 200);
    assert_eq!(form.field("Cache-Control"), "no-store");
    assert!(form.content().contains("name=\"to\" value=\"/lamp\""), "{}", form.0);

    let told = log_in(&server, OURS, "name=joe&password=pw&to=/lamp").await;
    assert_eq!((told.status(), told.field("Location")), (303, "/lamp"));
    let set = told.field("Set-Cookie").to_owned();
    assert!(set.starts_with("number8_session="), "{set}");
    assert!(set.ends_with("; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict"), "{set}");
    let cookie = told.cookie();
    let lamp = ask(&server, "GET /lamp", &cookie, "").await;
    assert_eq!(lamp.status(), 200);
    assert!(lamp.content().starts_with("joe "), "{}", lamp.0);
    // No cache gives it to somebody else, or to who has logged out.
    assert_eq!(lamp.field("Cache-Control"), "private, no-cache");
    assert_eq!(ask(&server, "GET /lamp", JOE, "").await.field("Cache-Control"), "");

    let gone = ask(&server, "POST /.number8/logout", &format!("{OURS}{cookie}"), "").await;
    assert_eq!((gone.status(), gone.field("Location")), (303, "/.number8/login"));
    assert!(gone.field("Set-Cookie").starts_with("number8_session=; Path=/; Max-Age=0"));
    // A revoked session is none, though the browser may still have it.
    assert_eq!(ask(&server, "GET /lamp", &cookie, "").await.status(), 401);
    for (request, status) in [("GET", 405), ("OPTIONS", 204), ("POST", 303)] {
        let told = ask(&server, &format!("{request} /.number8/logout"), "", "").await;
        assert_eq!(told.status(), status, "{request}");
    }
}

#[tokio::test]
async fn a5_every_session_of_a_user_ends_at_once() {
    let sessions = Sessions::new().unwrap();
    let server = app(accounts("pw"), &sessions).test();
    let (one, two, three) =
        (session(&server).await, session(&server).await, session(&server).await);
    let fields = format!("{OURS}{one}");
    ask(&server, "POST /.number8/logout", &fields, "everywhere=1").await;
    for cookie in [&one, &two, &three] {
        assert_eq!(ask(&server, "GET /lamp", cookie, "").await.status(), 401);
    }
    let four = session(&server).await;
    assert_eq!(
        (sessions.end_all_of("ann"), sessions.end_all_of("joe"), sessions.count()),
        (0, 1, 0)
    );
    assert_eq!(ask(&server, "GET /lamp", &four, "").await.status(), 401);
}

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Logout,
    All,
    Unused,
    /// Joe logs in elsewhere, and may have one session.
    GivesWay,
    /// Joe has another password from now on.
    Password,
}

#[tokio::test]
async fn a5_wish_30_a_stream_ends_with_the_session_that_opened_it() {
    let endings = [Ending::Logout, Ending::All, Ending::Unused, Ending::GivesWay, Ending::Password];
    for ending in endings {
        let idle = if ending == Ending::Unused { 500 } else { 60_000 };
        let sessions = Sessions::with_limits(SessionLimits {
            idle: Duration::from_millis(idle),
            sessions_per_user_max: if ending == Ending::GivesWay { 1 } else { 2 },
            ..SessionLimits::default()
        });
        let (sessions, events) = (sessions.unwrap(), Events::new().heartbeat(None));
        let folder = tempfile::tempdir().unwrap();
        let runner = Runner::new(folder.path()).unwrap();
        let server = app(accounts("pw"), &sessions)
            .mount("/events", events.clone())
            .mount("/run", runner.clone())
            .test();
        let cookie = session(&server).await;
        let listen = async |path: &str, fields: &str| {
            let client = server.connect();
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            let told = read(&client, "\r\n\r\n").await;
            assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
            client
        };
        let with_session = [listen("/events", &cookie).await, listen("/run/events", &cookie).await];
        let without = listen("/events", JOE).await;
        events.dispatch("before");
        read(&with_session[0], "data: before\n").await;
        let fields = format!("{OURS}{cookie}");
        match ending {
            Ending::Logout => drop(ask(&server, "POST /.number8/logout", &fields, "").await),
            Ending::All => assert_eq!(sessions.end_all_of("joe"), 1),
            Ending::Unused => {}
            Ending::GivesWay => drop(session(&server).await),
            Ending::Password => {
                let changed = app(accounts("other"), &sessions).mount("/events", events.clone());
                server.handle().replace(changed).unwrap();
            }
        }
        if ending != Ending::Unused {
            events.dispatch("after");
        }
        for client in &with_session {
            let rest = timeout(PATIENCE, client.read_to_end()).await.expect("it ends").unwrap();
            assert!(rest.ends_with(b"0\r\n\r\n"), "{ending:?}: it ends as it should");
            assert!(!String::from_utf8_lossy(&rest).contains("after"), "{ending:?}");
        }
        assert_eq!(ask(&server, "GET /lamp", &cookie, "").await.status(), 401);
        events.dispatch("for the other");
        read(&without, "data: for the other\n").await;
    }
}

#[tokio::test]
async fn a5_wish_31_a_stream_ends_when_the_file_has_another_password() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    std::fs::write(&path, format!("joe:{BCRYPT}\n")).unwrap();
    let accounts = Accounts::new().unwrap().file(&path).unwrap();
    let sessions = Sessions::new().unwrap();
    let server = app(accounts, &sessions).mount("/events", Events::new()).test();
    let cookie = log_in(&server, OURS, "name=joe&password=abc").await.cookie();
    let client = server.connect();
    let request = format!("GET /events HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    read(&client, "\r\n\r\n").await;
    replace(&path, &format!("joe:{ARGON2}\n"));
    // Whoever asks for something has the file looked at, once a second.
    let others = async {
        loop {
            ask(&server, "GET /lamp", JOE, "").await;
        }
    };
    tokio::select! {
        rest = timeout(PATIENCE, client.read_to_end()) => drop(rest.expect("it ends").unwrap()),
        () = others => {}
    }
    assert_eq!(sessions.count(), 0);
}

/// However somebody is known: what other rules take away ends, and nothing else does.
#[tokio::test]
async fn a3_a_stream_ends_when_other_rules_take_the_right_away() {
    let sessions = Sessions::new().unwrap();
    let (events, folder) = (Events::new().heartbeat(None), tempfile::tempdir().unwrap());
    let runner = Runner::new(folder.path()).unwrap();
    let with = |rules: &[(&str, Rights)]| {
        let rules = rules.iter().map(|(path, rights)| Rule::user("joe", path, *rights).unwrap());
        app(accounts("pw"), &sessions)
            .access(Access::new(rules))
            .mount("/events", events.clone())
            .mount("/run", runner.clone())
    };
    let server = with(&[("/", Rights::READ | Rights::RUN)]).test();
    let cookie = session(&server).await;
    let listen = async |path: &str, fields: &str| {
        let client = server.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        assert!(read(&client, "\r\n\r\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
        client
    };
    let ended = async |client: &End| {
        let rest = timeout(PATIENCE, client.read_to_end()).await.expect("it ends").unwrap();
        assert!(rest.ends_with(b"0\r\n\r\n") && !String::from_utf8_lossy(&rest).contains("data:"));
    };
    let news = [listen("/events", &cookie).await, listen("/events", JOE).await];
    let runs = [listen("/run/events", &cookie).await, listen("/run/events", JOE).await];
    // Other rules that say the same of them, twice: what goes on goes by those that hold now.
    for path in ["/other", "/another"] {
        let others = with(&[("/", Rights::READ | Rights::RUN), (path, Rights::NONE)]);
        server.handle().replace(others).unwrap();
    }
    events.dispatch("for both");
    for client in &news {
        read(client, "data: for both\n").await;
    }
    server.handle().replace(with(&[("/", Rights::READ)])).unwrap();
    for client in &runs {
        ended(client).await;
    }
    events.dispatch("for both again");
    for client in &news {
        read(client, "data: for both again\n").await;
    }
    server.handle().replace(with(&[("/", Rights::LIST)])).unwrap();
    events.dispatch("for nobody");
    for client in &news {
        ended(client).await;
    }
}

/// Who has them because everybody has loses them, too, and who logs in keeps them.
#[tokio::test]
async fn a3_a_stream_of_everybodys_ends_when_other_rules_ask_for_an_account() {
    let sessions = Sessions::new().unwrap();
    let (events, folder) = (Events::new().heartbeat(None), tempfile::tempdir().unwrap());
    let runner = Runner::new(folder.path()).unwrap();
    let with = |rule| {
        app(accounts("pw"), &sessions)
            .access(Access::new([rule]))
            .mount("/events", events.clone())
            .mount("/run", runner.clone())
    };
    let rights = Rights::READ | Rights::RUN;
    let server = with(Rule::everyone("/", rights).unwrap()).test();
    let listen = async |path: &str, fields: &str| {
        let client = server.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        assert!(read(&client, "\r\n\r\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
        client
    };
    let anybodys = [listen("/events", "").await, listen("/run/events", "").await];
    let joes = listen("/events", JOE).await;
    server.handle().replace(with(Rule::user("joe", "/", rights).unwrap())).unwrap();
    events.dispatch("for joe");
    read(&joes, "data: for joe\n").await;
    for client in &anybodys {
        let rest = timeout(PATIENCE, client.read_to_end()).await.expect("it ends").unwrap();
        assert!(rest.ends_with(b"0\r\n\r\n") && !String::from_utf8_lossy(&rest).contains("data:"));
    }
}

/// What was begun while there was a right to it is not stored once there is none.
#[tokio::test]
async fn a3_a5_an_upload_ends_with_the_right_to_it() {
    let form = "Content-Type: multipart/form-data; boundary=XX\r\n";
    let part = "--XX\r\nContent-Disposition: form-data; name=f; filename=b\r\n\r\n";
    for way in ["nothing", "logout", "other rules", "another password"] {
        let (sessions, folder) = (Sessions::new().unwrap(), tempfile::tempdir().unwrap());
        let with = |password, rights| {
            let uploads = Uploads::new(folder.path()).unwrap().sync(false).keep_free(0);
            app(accounts(password), &sessions)
                .access(Access::new([Rule::user("joe", "/", rights).unwrap()]))
                .mount("/in", uploads)
        };
        let server = with("pw", Rights::RW).test();
        let cookie = session(&server).await;
        let mut under_way = Vec::new();
        for (request, fields, first, rest) in
            [("PUT /in/a", "", "one, ", "two"), ("POST /in/", form, part, "two\r\n--XX--\r\n")]
        {
            let length = first.len() + rest.len();
            let client = server.connect();
            let head = format!(
                "{request} HTTP/1.1\r\nHost: localhost\r\n{cookie}{OURS}{fields}Content-Length: {length}\r\n\
                 Expect: 100-continue\r\nConnection: close\r\n\r\n"
            );
            client.write_all(head.as_bytes()).await.unwrap();
            assert_eq!(read(&client, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
            client.write_all(first.as_bytes()).await.unwrap();
            under_way.push((client, rest));
        }
        match way {
            "logout" => drop(ask(&server, "POST /.number8/logout", &(cookie + OURS), "").await),
            "other rules" => server.handle().replace(with("pw", Rights::RO)).unwrap(),
            "another password" => server.handle().replace(with("new", Rights::RW)).unwrap(),
            _ => {}
        }
        for (client, rest) in under_way {
            client.write_all(rest.as_bytes()).await.unwrap();
            let answer = timeout(PATIENCE, client.read_to_end()).await.expect("it ends").unwrap();
            let want = if way == "nothing" { "HTTP/1.1 201 " } else { "HTTP/1.1 403 " };
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with(want), "{way}: {answer}");
        }
        let stored = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(stored, if way == "nothing" { 2 } else { 0 }, "{way}");
    }
}

/// Reads up to there.
async fn read(client: &End, until: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 1024]);
    while !text.contains(until) {
        let count = timeout(PATIENCE, client.read(&mut buffer)).await.expect("it comes").unwrap();
        assert_ne!(count, 0, "{text} is all");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}

#[tokio::test]
async fn a5_a7_a_wrong_password_begins_nothing_and_costs_time() {
    let server = serve();
    for form in ["name=joe&password=no", "name=ann&password=pw", ""] {
        let told = log_in(&server, OURS, form).await;
        assert_eq!((told.status(), told.field("Set-Cookie")), (403, ""), "{form}");
        assert_eq!(told.field("WWW-Authenticate"), "");
        assert!(told.content().contains("The name or the password is wrong"), "{}", told.0);
    }
    // The count is that of Basic.
    let told = log_in(&server, OURS, "name=joe&password=pw").await;
    assert_eq!((told.status(), told.field("Retry-After")), (429, "1"));
    assert!(told.content().contains("try again in 1 s"), "{}", told.0);
    assert_eq!(ask(&server, "GET /lamp", JOE, "").await.status(), 429);
    let long = format!("name=joe&password={}", "x".repeat(20_000));
    assert_eq!(log_in(&server, OURS, &long).await.status(), 413);
}

#[tokio::test]
async fn what_was_typed_is_shown_again_as_text() {
    let told = log_in(&serve(), OURS, "name=%22%3E%3Cb%3E&password=x&to=%22%3E").await;
    assert!(told.content().contains("value=\"&quot;&gt;&lt;b&gt;\""), "{}", told.0);
    assert!(told.content().contains("name=\"to\" value=\"/\""), "{}", told.0);
}

#[tokio::test]
async fn a5_the_login_leads_to_no_other_site() {
    let server = serve();
    for (to, location) in [
        ("/lamp?x=1", "/lamp?x=1"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("https://evil.example/", "/"),
        ("", "/"),
    ] {
        let to = to.replace('\\', "%5C").replace('\t', "%09");
        let told = log_in(&server, OURS, &format!("name=joe&password=pw&to={to}")).await;
        assert_eq!(told.field("Location"), location, "{to}");
    }
}

#[tokio::test]
async fn a5_the_id_is_a_new_one_at_each_login() {
    let server = serve();
    // What somebody else gave the browser is no session, and becomes none.
    let planted = "Cookie: number8_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n";
    let told = log_in(&server, &format!("{OURS}{planted}"), "name=joe&password=pw").await;
    let first = told.cookie();
    assert_ne!(first, planted);
    assert_eq!(ask(&server, "GET /lamp", planted, "").await.status(), 401);
    // A session that was there ends.
    let told = log_in(&server, &format!("{OURS}{first}"), "name=joe&password=pw").await;
    assert_ne!(told.cookie(), first);
    assert_eq!(ask(&server, "GET /lamp", &first, "").await.status(), 401);
    assert_eq!(ask(&server, "GET /lamp", &told.cookie(), "").await.status(), 200);
    // Of two, none counts.
    let both = format!("{}{planted}", told.cookie());
    assert_eq!(ask(&server, "GET /lamp", &both, "").await.status(), 401);
}

#[tokio::test]
async fn a5_a_session_ends_in_time() {
    for (idle, life) in [(0, 1000), (1000, 0)] {
        let (idle, life) = (Duration::from_secs(idle), Duration::from_secs(life));
        let limits = SessionLimits { idle, life, ..SessionLimits::default() };
        let server = app(accounts("pw"), &Sessions::with_limits(limits).unwrap()).test();
        let cookie = session(&server).await;
        assert_eq!(ask(&server, "GET /lamp", &cookie, "").await.status(), 401, "{idle:?} {life:?}");
    }
}

#[tokio::test]
async fn a5_a_session_goes_with_the_password_and_outlives_the_app() {
    let sessions = Sessions::new().unwrap();
    let cookie = session(&app(accounts("pw"), &sessions).test()).await;
    let again = app(accounts("pw"), &sessions).test();
    assert_eq!(ask(&again, "GET /lamp", &cookie, "").await.status(), 200);
    let changed = app(accounts("other"), &sessions).test();
    assert_eq!(ask(&changed, "GET /lamp", &cookie, "").await.status(), 401);
    // It does not come back with the old one.
    assert_eq!(ask(&again, "GET /lamp", &cookie, "").await.status(), 401);
    let other = app(accounts("pw"), &Sessions::new().unwrap()).test();
    let cookie = session(&again).await;
    assert_eq!(ask(&other, "GET /lamp", &cookie, "").await.status(), 401);
}

#[tokio::test]
async fn a5_a_page_of_another_site_cannot_use_the_session() {
    let server = serve();
    let cookie = session(&server).await;
    let token = ask(&server, "GET /lamp", &cookie, "").await;
    let token = token.content().split(' ').nth(1).unwrap().to_owned();
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    let cases: &[(&str, &str, u16)] = &[
        // A form of another site, and a WebSocket.
        ("POST /lamp", "Origin: http://evil.example\r\n", 403),
        ("POST /lamp", "Origin: null\r\n", 403),
        ("POST /lamp", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("POST /.number8/logout", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("POST /.number8/login", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("GET /lamp", &format!("Origin: http://evil.example\r\n{upgrade}"), 403),
        ("GET /lamp", &format!("{OURS}{upgrade}"), 200),
        // Our own.
        ("POST /lamp", OURS, 200),
        ("POST /lamp", "Sec-Fetch-Site: same-origin\r\n", 200),
        ("DELETE /lamp", OURS, 200),
        // One that does not say.
        ("POST /lamp", "", 403),
        ("DELETE /lamp", "", 403),
        ("GET /lamp", upgrade, 403),
        ("POST /.number8/logout", "", 403),
        ("POST /lamp?token=", "", 403),
        ("POST /lamp?token=AAAA", "", 403),
        (&format!("POST /lamp?token={token}"), "", 200),
        (&format!("POST /lamp?a=b&token={token}"), "", 200),
        ("POST /lamp", &format!("X-Number8-Token: {token}\r\n"), 200),
        // The token excuses no page of another site.
        (&format!("POST /lamp?token={token}"), "Origin: http://evil.example\r\n", 403),
        ("GET /lamp", "", 200),
    ];
    for (request, fields, status) in cases {
        let told = ask(&server, request, &format!("{cookie}{fields}"), "").await;
        assert_eq!(told.status(), *status, "{request} {fields}: {}", told.0);
    }
    // Of another session it is worth nothing.
    let other = session(&server).await;
    let told = ask(&server, &format!("POST /lamp?token={token}"), &other, "").await;
    assert_eq!(told.status(), 403);
}

#[tokio::test]
async fn a1_a5_basic_works_beside_it() {
    let server = serve();
    let cookie = session(&server).await;
    // A program needs no token, and says itself who it is.
    assert_eq!(ask(&server, "POST /lamp", JOE, "").await.status(), 200);
    let both = format!("{cookie}{JOE}");
    assert_eq!(ask(&server, "POST /lamp", &both, "").await.content(), "joe none");
    let wrong = format!("{cookie}Authorization: Basic YW5uOng=\r\n");
    assert_eq!(ask(&server, "GET /lamp", &wrong, "").await.status(), 401);
}

#[tokio::test]
async fn a5_who_may_not_is_shown_the_way_to_another_login() {
    let accounts = accounts("pw").password("ann", "pw").unwrap();
    let auth = Auth::with_limits(accounts, AuthLimits::default(), |_| {})
        .login(Login::new(Sessions::new().unwrap()).under("/farm"));
    let rule = Rule::user("ann", "/", Rights::READ).unwrap();
    let app = App::new().access(Access::new([rule])).layer(SameOrigin::new()).layer(auth);
    let server = app.mount("/lamp", Lamp).test();
    let form = "name=ann&password=pw";
    let ann = ask(&server, "POST /farm/.number8/login", OURS, form).await.cookie();
    const BASIC: &str = "Authorization: Basic YW5uOnB3\r\n";
    const JSON: &str = "Accept: application/json\r\n";

    let to_lamp = "<p>You are ann here: <a href=\"/farm/.number8/login?to=/lamp%3Fx%3D1\">log in";
    let to_start = "<p>You are ann here: <a href=\"/farm/.number8/login\">log in";
    for (request, fields, link) in [
        ("GET /lamp?x=1", [HTML, &ann, ""], Some(to_lamp)),
        // What was sent is gone: only a page can be come back to.
        ("POST /lamp?x=1", [HTML, &ann, OURS], Some(to_start)),
        ("GET /lamp?x=1", [JSON, &ann, ""], None),
        ("GET /lamp?x=1", ["", &ann, ""], None),
        // A program says by itself who it is, and no session of it can be replaced.
        ("GET /lamp?x=1", [HTML, BASIC, ""], None),
        ("GET /lamp?x=1", [HTML, BASIC, &ann], None),
    ] {
        let told = ask(&server, request, &fields.concat(), "").await;
        assert_eq!(told.status(), 403, "{request} {fields:?}");
        let is_there = told.content().contains("log in as somebody else");
        assert_eq!(is_there, link.is_some(), "{request} {fields:?}: {}", told.0);
        assert!(link.is_none_or(|link| told.content().contains(link)), "{}", told.0);
    }
    // Another fault has no such way on.
    let told = ask(&server, "GET /none", &format!("{HTML}{ann}"), "").await;
    assert_eq!((told.status(), told.content().contains("log in")), (404, false), "{}", told.0);
}

#[tokio::test]
async fn a5_a_browser_is_shown_the_form_and_a_program_the_challenge() {
    let server = serve();
    let script = "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n";
    let stale = "Cookie: number8_session=AAAA\r\n";
    let cases: &[(&str, &str, u16, &str)] = &[
        ("GET /lamp?x=1", HTML, 303, "/.number8/login?to=/lamp%3Fx%3D1"),
        ("GET /lamp", "Sec-Fetch-Mode: navigate\r\n", 303, "/.number8/login?to=/lamp"),
        ("GET //evil.example/../lamp", HTML, 404, ""),
        ("POST /lamp", &format!("{OURS}{HTML}"), 303, "/.number8/login"),
        ("GET /lamp", "", 401, "Basic realm=\"number8\", charset=\"UTF-8\""),
        ("GET /lamp", "Accept: */*\r\n", 401, "Basic realm=\"number8\", charset=\"UTF-8\""),
        ("POST /lamp", "", 401, "Basic realm=\"number8\", charset=\"UTF-8\""),
        // A script, at which a browser shall not ask for a password of its own accord.
        ("GET /lamp", &format!("{script}{HTML}"), 401, "Session realm=\"number8\""),
        ("GET /lamp", stale, 401, "Session realm=\"number8\""),
        ("GET /lamp", &format!("{HTML}Authorization: Basic YW5uOng=\r\n"), 401, "Basic realm"),
    ];
    for (request, fields, status, want) in cases {
        let told = ask(&server, request, fields, "").await;
        assert_eq!(told.status(), *status, "{request} {fields}");
        let found = [told.field("Location"), told.field("WWW-Authenticate")].concat();
        assert!(found.starts_with(want), "{request} {fields}: {found}");
    }
}

#[tokio::test]
async fn the_cookie_is_secure_and_the_page_is_elsewhere_where_the_app_is() {
    let login = Login::new(Sessions::new().unwrap())
        .under("/farm")
        .page(|page| Response::new(200, format!("{} {} {:?}", page.action, page.to, page.user)));
    let secure = |call: &mut Call<'_>| {
        call.caller.is_secure = true;
        None
    };
    let server =
        App::new().before(secure).layer(Auth::accounts(accounts("pw")).login(login)).test();
    let page = ask(&server, "GET /farm/.number8/login", "", "").await;
    assert_eq!(page.content(), "/farm/.number8/login /farm/ None");
    assert_eq!(ask(&server, "GET /.number8/login", "", "").await.status(), 404);
    let told = ask(&server, "POST /farm/.number8/login", "", "name=joe&password=pw").await;
    assert_eq!(told.field("Location"), "/farm/");
    let set = told.field("Set-Cookie");
    assert!(set.starts_with("__Host-number8_session.farm=") && set.contains("; Path=/; "), "{set}");
    assert!(set.contains("; Secure; HttpOnly"), "{set}");
    // What another host below ours has set does not count beside it.
    let planted = "Cookie: number8_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n";
    let cookies = format!("{}{planted}", told.cookie());
    let again = ask(&server, "GET /farm/.number8/login", &cookies, "").await;
    assert!(again.content().ends_with("Some(\"joe\")"), "{}", again.0);
    let gone = ask(&server, "POST /farm/.number8/logout", &format!("{OURS}{cookies}"), "").await;
    assert!(
        gone.field("Set-Cookie").starts_with("__Host-number8_session.farm=; Path=/; Max-Age=0")
    );
    let again = ask(&server, "GET /farm/.number8/login", &cookies, "").await;
    assert!(again.content().ends_with("None"), "{}", again.0);
}
