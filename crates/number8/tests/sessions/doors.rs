//! How people find the page for logging in and the way out, and servers that share a host name.

use number8::Files;
use tempfile::TempDir;

use super::*;

/// Everybody may read, Joe may write; below `prefix`.
fn reading_is_public(folder: &TempDir, prefix: &str) -> TestServer {
    let auth = Auth::accounts(accounts("pw"));
    let auth = auth.login(Login::new(Sessions::new().unwrap()).under(prefix));
    let rules = [Rule::everyone("/", Rights::RO), Rule::user("joe", "/", Rights::RW)];
    let rules: Result<Vec<_>, _> = rules.into_iter().collect();
    App::new()
        .access(Access::new(rules.unwrap()))
        .layer(SameOrigin::new().host("pi"))
        .layer(auth)
        .mount(&format!("{prefix}/"), Files::new(folder.path()).unwrap().forms(true))
        .test()
}

/// The value of the attribute after that text.
fn attribute<'a>(page: &'a str, before: &str) -> Option<&'a str> {
    page.split_once(before)?.1.split('"').next()
}

#[tokio::test]
async fn a5_a_listing_leads_to_the_login_and_out_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = reading_is_public(&folder, "/farm");
    let page = ask(&server, "GET /farm/?list", HTML, "").await;
    let login = attribute(page.content(), "<a href=\"/farm/.number8/login").unwrap();
    assert_eq!(login, "?to=/farm/%3Flist");
    assert!(!page.content().contains("<form"), "{}", page.0);

    let told = ask(&server, "POST /farm/.number8/login", OURS, "name=joe&password=pw").await;
    let cookie = told.cookie();
    let page = ask(&server, "GET /farm/", &format!("{HTML}{cookie}"), "").await;
    assert!(page.content().contains("<bdi>joe</bdi>"), "{}", page.0);
    assert!(!page.content().contains("/login"), "{}", page.0);
    // A page of another site could show the button under something else.
    assert_eq!(page.field("Content-Security-Policy"), "frame-ancestors 'self'");
    let logout = attribute(page.content(), "action=\"/farm/.number8/logout").unwrap();
    let out = ask(&server, &format!("POST /farm/.number8/logout{logout}"), &cookie, "").await;
    assert_eq!(out.status(), 303, "{}", out.0);
    let page = ask(&server, "GET /farm/", &format!("{HTML}{cookie}"), "").await;
    assert!(attribute(page.content(), "/login").is_some(), "{}", page.0);

    // Who is known without a session has nothing to leave.
    let page = ask(&server, "GET /farm/", &format!("{HTML}{JOE}"), "").await;
    assert!(!page.content().contains("/log"), "{}", page.0);
}

#[tokio::test]
async fn a5_servers_of_one_host_name_leave_each_others_logins_alone() {
    // One port each, or one path each behind a proxy; cookies know neither.
    let places = [("pi", ""), ("pi:8081", ""), ("pi:8082", ""), ("pi", "/a"), ("pi", "/b/c")];
    let mut jar: Vec<(String, String)> = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    let servers = places.map(|(_, prefix)| reading_is_public(&folder, prefix));
    for (server, (host, prefix)) in servers.iter().zip(places) {
        let form = "name=joe&password=pw";
        let told = ask_host(server, host, &format!("POST {prefix}/.number8/login"), "", form).await;
        let cookie = told.cookie();
        let (name, value) = cookie.trim()["Cookie: ".len()..].split_once('=').unwrap();
        jar.retain(|(other, _)| other != name);
        jar.push((name.to_owned(), value.to_owned()));
    }
    let cookies: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cookies = format!("Cookie: {}\r\n{HTML}", cookies.join("; "));
    for (server, (host, prefix)) in servers.iter().zip(places) {
        let page = ask_host(server, host, &format!("GET {prefix}/"), &cookies, "").await;
        assert!(page.content().contains("<bdi>joe</bdi>"), "{host}{prefix}: {}", page.0);
    }
}

async fn ask_host(
    server: &TestServer,
    host: &str,
    request: &str,
    fields: &str,
    form: &str,
) -> Told {
    let client = server.connect();
    let length = form.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Origin: http://{host}\r\n{fields}\r\n{form}"
    );
    client.write_all(text.as_bytes()).await.unwrap();
    Told(String::from_utf8(client.read_to_end().await.unwrap()).unwrap())
}
