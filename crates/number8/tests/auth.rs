//! Who somebody is: by password, token, field or function; how often they may be wrong, and what an unknown name shows.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use number8::accounts::{Accounts, hash_password};
use number8::layers::access_log::Sink;
use number8::layers::auth::{Auth, AuthLimits};
use number8::server::Options;
use number8::testing::TestServer;
use number8::{AccessLog, Answer, App, Call, Handler, Response};
use rustix::time::{ClockId, clock_gettime};

/// Made by others: "password" of argon2's own tests, "abc" of bcrypt's, "42" by `openssl passwd -6`.
pub(crate) const ARGON2: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
pub(crate) const BCRYPT: &str = "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";
const SHA512: &str = "$6$saltsalt$aHjH/5eU8.TNwCG1ESLJioJx2NxeAKhCdu6P9tpoHt1q16bptbHBvBwuba9D1yxJMB/kM0omXsD8aPFA4hlZC0";

/// Answers with the name of whoever asks.
struct WhoAmI;

impl Handler for WhoAmI {
    fn handle(&self, call: Call<'_>) -> Answer {
        Response::new(200, call.caller.user.as_deref().unwrap_or("nobody").to_owned()).into()
    }
}

fn serve(auth: Auth) -> TestServer {
    App::new().mount("/", WhoAmI).layer(auth).test()
}

/// The status of the answer to a request with these fields, and its last line.
async fn ask(server: &TestServer, fields: &str) -> (u16, String) {
    let answer = answer(server, fields).await;
    (answer[9..12].parse().unwrap(), answer.lines().last().unwrap_or_default().to_owned())
}

async fn answer(server: &TestServer, fields: &str) -> String {
    let client = server.connect();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    String::from_utf8(client.read_to_end().await.unwrap()).unwrap()
}

fn basic(name: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", base64(format!("{name}:{password}").as_bytes()))
}

/// RFC 4648 §4, spelt out: the tests share nothing with what they test.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn accounts() -> Accounts {
    Accounts::new().unwrap()
}

/// Replaces a file as an editor does; the stamp of the new one differs by its inode, whatever the clock says.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    let old = fs::metadata(path).map(|seen| seen.ino()).ok();
    assert_ne!(old, Some(fs::metadata(&new).unwrap().ino()));
    fs::rename(new, path).unwrap();
}

#[test]
fn a2_passwords_are_checked_whatever_they_are_kept_as() {
    let fresh = hash_password("pässword").unwrap();
    let accounts = accounts()
        .password("plain", "a:b@c $x")
        .and_then(|all| all.password("argon2", ARGON2))
        .and_then(|all| all.password("fresh", &fresh))
        .and_then(|all| all.password("bcrypt", BCRYPT))
        .and_then(|all| all.password("sha512", SHA512))
        .and_then(|all| all.password("dollar", "$ecret"))
        .unwrap();
    for (name, password) in [
        ("plain", "a:b@c $x"),
        ("argon2", "password"),
        ("fresh", "pässword"),
        ("bcrypt", "abc"),
        ("sha512", "42"),
        ("dollar", "$ecret"),
    ] {
        assert!(accounts.verify(name, password), "{name}");
        for wrong in ["", "x", &format!("{password} "), &password[1..], ARGON2, BCRYPT, SHA512] {
            assert!(!accounts.verify(name, wrong), "{name} {wrong:?}");
        }
        assert!(!accounts.verify(&name.to_uppercase(), password), "{name}");
    }
    assert!(!accounts.verify("", "") && !accounts.verify("nobody", "42"));
    assert!(hash_password("").is_err());
    assert_ne!(hash_password("a").unwrap(), hash_password("a").unwrap());
    assert!(!format!("{accounts:?}").contains("a:b"), "{accounts:?}");
    assert!(!format!("{accounts:?}").contains("$2a$"), "{accounts:?}");
}

#[test]
fn a2_what_cannot_be_an_account_is_refused() {
    for (name, secret, want) in [
        ("", "x", "the name of a user is not empty"),
        ("a:b", "x", "no colon"),
        ("a\nb", "x", "no control characters"),
        ("joe", "", "the password is empty"),
        ("joe", "$apr1$salt$hash", "no argon2id, bcrypt or $6$ hash"),
        ("joe", "$1$salt$hash", "no argon2id, bcrypt or $6$ hash"),
        ("joe", "{SHA}hash", "no argon2id, bcrypt or $6$ hash"),
        ("joe", "$argon2id$v=19$m=256", "not whole"),
        ("joe", &BCRYPT[..50], "not whole"),
        ("joe", "$6$saltsalt$short", "not whole"),
        ("joe", "$6$", "not whole"),
    ] {
        let error = accounts().password(name, secret).unwrap_err().to_string();
        assert!(error.contains(want), "{name} {secret}: {error}");
    }
    let twice = accounts().password("joe", "a").and_then(|all| all.password("joe", "b"));
    assert_eq!(twice.unwrap_err().to_string(), "there are two users called joe");
    for token in ["", "a b", "a\r\n", "ü"] {
        assert!(accounts().token("joe", token).is_err(), "{token:?}");
    }
}

/// Hashes that nobody has to check: `rounds` of `$6$`, and the costs of the others.
fn dear(rounds: &str, cost: &str, memory_and_passes: &str) -> [String; 3] {
    [
        SHA512.replace("$6$", &format!("$6$rounds={rounds}$")),
        BCRYPT.replace("$06$", &format!("${cost}$")),
        ARGON2.replace("m=256,t=2", memory_and_passes),
    ]
}

#[test]
fn a2_a_hash_that_is_too_much_work_is_refused_and_not_tried() {
    let says = |error: String, user: &str, secret: &str| {
        let want = format!("with the hash of {user} each login takes about ");
        assert!(
            error.contains(&want) && error.ends_with("make a new hash, or allow more"),
            "{error}"
        );
        assert!(!error.contains(&secret[secret.len() - 20..]), "{error}");
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    for secret in dear("999999999", "31", "m=4294967295,t=4294967295").iter().chain(&dear(
        "10001000",
        "17",
        "m=2097152,t=3",
    )) {
        says(accounts().password("joe", secret).unwrap_err().to_string(), "joe", secret);
        fs::write(&path, format!("# x\nann:{BCRYPT}\njoe:{secret}\n")).unwrap();
        let error = accounts().file(&path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:3: ", path.display())), "{error}");
        says(error, "joe", secret);
    }
    // What people have; the most that may be; and more, where somebody says so.
    for secret in
        dear("656000", "12", "m=19456,t=2").iter().chain(&dear("10000000", "16", "m=2097152,t=2"))
    {
        assert!(accounts().password("joe", secret).is_ok(), "{secret}");
    }
    for secret in dear("10001000", "17", "m=2097152,t=3") {
        let patient = accounts().work_max(Duration::from_secs(9));
        assert!(patient.password("joe", &secret).is_ok(), "{secret}");
    }
    // A login takes one hash of each kind.
    let [one, other, _] = dear("5000000", "15", "");
    let both = accounts().password("joe", &one).unwrap().password("ann", &other);
    assert!(both.is_ok());
    let [more, _, _] = dear("4000000", "15", "");
    says(both.unwrap().password("bob", &more).unwrap_err().to_string(), "bob", &more);
    // And no cost that there is not.
    for secret in dear("999", "03", "m=7,t=1") {
        let error = accounts().password("joe", &secret).unwrap_err().to_string();
        assert!(error.contains("not whole"), "{secret}: {error}");
    }
}

#[test]
fn a2_a_password_has_an_end() {
    let longest = "x".repeat(511);
    let accounts = accounts()
        .password("joe", &longest)
        .and_then(|all| all.password("ann", &hash_password(&longest).unwrap()))
        .unwrap();
    assert!(accounts.verify("joe", &longest) && accounts.verify("ann", &longest));
    let longer = "x".repeat(512);
    assert!(!accounts.verify("ann", &longer));
    for error in
        [hash_password(&longer).unwrap_err(), accounts.password("bob", &longer).unwrap_err()]
    {
        assert_eq!(error.to_string(), "a password is at most 511 bytes");
    }
}

#[tokio::test]
async fn a1_without_a_credential_a_request_goes_on_and_with_a_wrong_one_it_does_not() {
    let limits = AuthLimits { failures_free: 1000, ..AuthLimits::default() };
    let accounts =
        accounts().password("joe", "a:b").and_then(|all| all.token("ci", "t0ken=")).unwrap();
    let server = serve(Auth::with_limits(accounts, limits, |_| {}));
    let joe = basic("joe", "a:b");
    for (fields, status, line) in [
        ("", 200, "nobody"),
        (&*joe, 200, "joe"),
        ("Authorization: Bearer t0ken=\r\n", 200, "ci"),
        ("Authorization: bearer   t0ken=\r\n", 200, "ci"),
        ("Authorization: Bearer t0ken\r\n", 401, ""),
        ("Authorization: Bearer\r\n", 401, ""),
        (&*basic("joe", "a"), 401, ""),
        (&*basic("joe", ""), 401, ""),
        (&*basic("", "a:b"), 401, ""),
        (&*basic("ann", "a:b"), 401, ""),
        ("Authorization: Basic\r\n", 401, ""),
        ("Authorization: Basic !\r\n", 401, ""),
        ("Authorization: Digest username=\"joe\"\r\n", 401, ""),
        ("Authorization:\r\n", 401, ""),
        (&*format!("{joe}{joe}"), 401, ""),
    ] {
        let (found, last) = ask(&server, fields).await;
        assert_eq!(found, status, "{fields}");
        assert!(status != 200 || last == line, "{fields}: {last}");
    }
    let refusal = answer(&server, "Authorization: Bearer x\r\n").await;
    assert!(refusal.ends_with("the token is wrong\n"), "{refusal}");
    let refusal = answer(&server, &basic("joe", "x")).await;
    assert!(refusal.ends_with("the name or the password is wrong\n"), "{refusal}");
    let challenges = refusal.matches("WWW-Authenticate: Basic realm=\"number8\"").count();
    assert_eq!(challenges, 1, "{refusal}");
}

#[tokio::test]
async fn u4_u7_the_whole_value_of_the_field_is_compared() {
    let server = serve(Auth::header("Basic YW5zd2VyOjQy"));
    for (fields, status) in [
        ("Authorization: Basic YW5zd2VyOjQy\r\n", 200),
        ("Authorization:   Basic YW5zd2VyOjQy  \r\n", 200),
        ("", 401),
        ("Authorization: basic YW5zd2VyOjQy\r\n", 401),
        ("Authorization: Basic YW5zd2VyOjQyx\r\n", 401),
        ("Authorization: Basic YW5zd2VyOjQ\r\n", 401),
        ("Authorization:\r\n", 401),
        // Only the first counts.
        ("Authorization: x\r\nAuthorization: Basic YW5zd2VyOjQy\r\n", 401),
    ] {
        assert_eq!(ask(&server, fields).await.0, status, "{fields}");
    }
    assert!(answer(&server, "").await.contains("WWW-Authenticate: Basic"));
}

#[tokio::test]
async fn a7_u7_whoever_guesses_the_value_of_the_field_has_to_wait() {
    let server = serve(Auth::header("Basic YW5zd2VyOjQy"));
    for _ in 0..10 {
        assert_eq!(ask(&server, "").await.0, 401, "nothing is no guess");
    }
    for _ in 0..6 {
        assert_eq!(ask(&server, "Authorization: x\r\n").await.0, 401);
    }
    let refusal = answer(&server, "Authorization: Basic YW5zd2VyOjQy\r\n").await;
    assert!(
        refusal.starts_with("HTTP/1.1 429 ") && refusal.contains("Retry-After: 1\r\n"),
        "{refusal}"
    );
}

#[tokio::test]
async fn u4_u8_a_function_is_asked_once_for_each_request() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let server = serve(Auth::function(move |call| {
        seen.fetch_add(1, Ordering::Relaxed);
        let is_right = call.head.named("X-Key") == Some(b"8");
        call.caller.user = is_right.then(|| "farmer".into());
        is_right
    }));
    assert_eq!(ask(&server, "X-Key: 8\r\n").await, (200, "farmer".to_owned()));
    assert_eq!(ask(&server, "X-Key: 9\r\n").await.0, 403);
    assert_eq!(ask(&server, "").await.0, 403);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a7_whoever_guesses_has_to_wait() {
    let accounts =
        accounts().password("joe", "right").and_then(|all| all.token("ci", "t0ken")).unwrap();
    let limits = AuthLimits { failures_free: 2, ..AuthLimits::default() };
    let server = serve(Auth::with_limits(accounts, limits, |_| {}));
    assert_eq!(ask(&server, &basic("joe", "right")).await.0, 200);
    for _ in 0..2 {
        assert_eq!(ask(&server, &basic("joe", "wrong")).await.0, 401);
    }
    assert_eq!(ask(&server, "Authorization: Bearer wrong\r\n").await.0, 401);
    // Now even a right guess is not looked at.
    let refusal = answer(&server, "Authorization: Bearer t0ken\r\n").await;
    assert!(refusal.starts_with("HTTP/1.1 429 "), "{refusal}");
    assert!(refusal.contains("\r\nRetry-After: 1\r\n"), "{refusal}");
    assert_eq!(ask(&server, &basic("joe", "guess")).await.0, 429);
    // Who has logged in before goes on, and so does who does not try.
    assert_eq!(ask(&server, &basic("joe", "right")).await, (200, "joe".to_owned()));
    assert_eq!(ask(&server, "").await.0, 200);
}

/// Who knows one password guesses at another no faster.
#[tokio::test]
async fn a7_an_account_of_ones_own_gives_no_more_guesses() {
    let accounts =
        accounts().password("joe", "right").and_then(|all| all.password("ann", "secret"));
    let limits = AuthLimits { failures_free: 2, ..AuthLimits::default() };
    let server = serve(Auth::with_limits(accounts.unwrap(), limits, |_| {}));
    let right = basic("joe", "right");
    // One's own mistakes are forgiven.
    for _ in 0..3 {
        for _ in 0..2 {
            assert_eq!(ask(&server, &basic("joe", "wrong")).await.0, 401);
        }
        assert_eq!(ask(&server, &right).await, (200, "joe".to_owned()));
    }
    for guesses in 1..=3 {
        assert_eq!(ask(&server, &basic("ann", "guess")).await.0, 401);
        if guesses < 3 {
            assert_eq!(ask(&server, &right).await, (200, "joe".to_owned()));
        }
    }
    assert_eq!(ask(&server, &basic("ann", "guess")).await.0, 429);
}

#[tokio::test]
async fn hashes_that_wait_have_a_limit() {
    let accounts = accounts().password("joe", &hash_password("right").unwrap()).unwrap();
    let limits = AuthLimits { waiting_max: 0, ..AuthLimits::default() };
    let server = serve(Auth::with_limits(accounts, limits, |_| {}));
    let refusal = answer(&server, &basic("joe", "right")).await;
    assert!(refusal.starts_with("HTTP/1.1 503 "), "{refusal}");
    assert!(refusal.contains("\r\nRetry-After: 1\r\n"), "{refusal}");
    assert_eq!(ask(&server, "").await.0, 200);
}

/// SWS commit 7bf0fd4: who there is could be told by how long the refusal took.
#[test]
fn an_unknown_name_takes_as_long_as_a_known_one() {
    // One account of each kind, so that a name is told from no name by none of their times.
    let accounts = accounts()
        .password("plain", "x")
        .and_then(|all| all.password("argon2", &hash_password("x").unwrap()))
        .and_then(|all| all.password("bcrypt", BCRYPT))
        .unwrap();
    let quickest = |name: &str| {
        let time = |_| {
            let begun = clock_gettime(ClockId::ThreadCPUTime);
            assert!(!accounts.verify(name, "wrong"));
            let ended = clock_gettime(ClockId::ThreadCPUTime);
            (ended.tv_sec - begun.tv_sec) * 1_000_000_000 + ended.tv_nsec - begun.tv_nsec
        };
        (0..5).map(time).min().unwrap()
    };
    let unknown = quickest("nobody");
    for name in ["plain", "argon2", "bcrypt", ""] {
        let known = quickest(name);
        let (less, more) = (known.min(unknown), known.max(unknown));
        // Other work on the machine makes both vary; without the precaution one would be thousands of times the other.
        assert!(less * 4 > more, "{name} {known} ns, nobody {unknown} ns");
    }
}

#[tokio::test]
async fn wish31_a_file_of_passwords_is_read_again_when_it_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    fs::write(&path, format!("# who may\n\njoe:{BCRYPT}\nann:{SHA512}\n")).unwrap();
    let problems = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&problems);
    let accounts = accounts().file(&path).unwrap();
    assert_eq!(accounts.names().collect::<Vec<_>>(), ["joe", "ann"]);
    let limits = AuthLimits { failures_free: 1_000_000, ..AuthLimits::default() };
    let auth = Auth::with_limits(accounts, limits, move |problem| {
        told.lock().unwrap().push(problem.to_string());
    });
    let server = TestServer::new(App::new().mount("/", WhoAmI).layer(auth), Options::default());
    assert_eq!(ask(&server, &basic("joe", "abc")).await, (200, "joe".to_owned()));
    assert_eq!(ask(&server, &basic("ann", "42")).await.0, 200);

    // A wrong file changes nothing, and is told of once.
    replace(&path, "joe\n");
    until(async || !problems.lock().unwrap().is_empty(), &server).await;
    assert_eq!(ask(&server, &basic("joe", "abc")).await.0, 200);
    let want = format!("{}:1: a line is name:hash", path.display());
    assert_eq!(*problems.lock().unwrap(), [want]);

    // Joe is gone, though his password is remembered; Ann has another one.
    replace(&path, &format!("ann:{ARGON2}\n"));
    until(async || ask(&server, &basic("joe", "abc")).await.0 == 401, &server).await;
    assert_eq!(ask(&server, &basic("ann", "42")).await.0, 401);
    assert_eq!(ask(&server, &basic("ann", "password")).await.0, 200);

    // So is the file: the accounts stay.
    fs::remove_file(&path).unwrap();
    until(async || problems.lock().unwrap().len() == 2, &server).await;
    assert_eq!(ask(&server, &basic("ann", "password")).await.0, 200);
}

/// Asks until it is so: a file is looked at once a second.
async fn until(mut is_so: impl AsyncFnMut() -> bool, server: &TestServer) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never was");
        ask(server, &basic("nobody", "")).await;
    }
}

#[test]
fn a_wrong_file_of_passwords_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    for (text, want) in [
        ("joe:plain\n", ":1: this is no argon2id, bcrypt or $6$ hash"),
        ("# x\njoe:$apr1$a$b\n", ":2: this is no argon2id"),
        (":x\n", ":1: the name of a user"),
        ("joe\n", ":1: a line is name:hash"),
    ] {
        fs::write(&path, text).unwrap();
        let error = accounts().file(&path).unwrap_err().to_string();
        assert!(error.contains(want), "{text:?}: {error}");
    }
    fs::write(&path, format!("a:{BCRYPT}\na:{BCRYPT}\n")).unwrap();
    assert!(accounts().file(&path).unwrap_err().to_string().contains(":2: there are two users"));
    fs::write(&path, "#".repeat(2 << 20)).unwrap();
    assert!(accounts().file(&path).unwrap_err().to_string().contains("at most 1 MiB"));
    assert!(
        accounts()
            .file(folder.path().join("none"))
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}

#[tokio::test]
async fn the_log_names_no_user_for_what_is_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let sink = Arc::new(Sink::file(&path).unwrap());
    let log = AccessLog { format: "$user $status".parse().unwrap(), sink: Arc::clone(&sink) };
    let accounts = accounts().password("joe", "pw").unwrap();
    let server =
        App::new().mount("/", WhoAmI).access_log(log).layer(Auth::accounts(accounts)).test();
    let client = server.connect();
    let joe = basic("joe", "pw");
    let requests = [
        &*format!("GET / HTTP/1.1\r\nHost: a\r\n{joe}\r\n"),
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &*format!("GET / HTTP/1.1\r\nHost: a\r\n{joe}\r\n"),
        "what is this\r\n\r\n",
    ];
    client.write_all(requests.concat().as_bytes()).await.unwrap();
    client.read_to_end().await.unwrap();
    sink.finish(Duration::from_secs(10));
    assert_eq!(fs::read_to_string(&path).unwrap(), "joe 200\n- 200\njoe 200\n- 400\n");
}
