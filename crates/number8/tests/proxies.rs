//! Who a client is that comes by a proxy, and who only says so.

use std::net::SocketAddr;

use number8::layers::proxies::{Proxies, Proxy};
use number8::{Answer, App, Call, Handler, Response};

/// Answers with what is known of the client, and which of the fields about it are left.
struct Seen;

impl Handler for Seen {
    fn handle(&self, call: Call<'_>) -> Answer {
        let caller = &*call.caller;
        let ip = caller.ip.map_or("-".to_owned(), |ip| ip.to_string());
        let scheme = if caller.is_secure { "https" } else { "http" };
        let host = caller.host.as_deref().unwrap_or("-");
        let left = call.head.fields().filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            name.starts_with(b"x-") || name == b"forwarded"
        });
        Response::new(200, format!("{ip} {scheme} {host} {}", left.count())).into()
    }
}

async fn ask(proxies: &[&str], peer: Option<&str>, fields: &str) -> String {
    let proxies: Vec<Proxy> = proxies.iter().map(|text| text.parse().unwrap()).collect();
    let server = App::new().mount("/", Seen).proxies(Proxies::new(proxies)).test();
    let client = match peer {
        Some(peer) => server.connect_from(SocketAddr::new(peer.parse().unwrap(), 4711)),
        None => server.connect(),
    };
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = String::from_utf8(client.read_to_end().await.unwrap()).unwrap();
    match &answer[9..12] {
        "200" => answer.lines().last().unwrap().to_owned(),
        status => status.to_owned(),
    }
}

#[tokio::test]
async fn g11_wish26_trusted_proxies_are_believed() {
    let trusted = &["10.0.0.0/8", "2001:db8::/32", "unix"];
    let from = Some("10.0.0.1");
    for (peer, fields, want) in [
        (from, "", "10.0.0.1 http - 0"),
        (from, "X-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9 http - 1"),
        (
            from,
            "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n",
            "192.0.2.9 https a.example 3",
        ),
        (
            from,
            "Forwarded: for=192.0.2.9;proto=https;host=a.example:81\r\n",
            "192.0.2.9 https a.example:81 1",
        ),
        (from, "Forwarded: FOR=\"[2001:db9::1]:80\" ; Proto=HTTPS\r\n", "2001:db9::1 https - 1"),
        // What stands before an address that is not trusted may be made up.
        (from, "X-Forwarded-For: 1.2.3.4, 192.0.2.9\r\n", "192.0.2.9 http - 1"),
        (from, "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9 http - 2"),
        (
            from,
            "Forwarded: for=1.2.3.4;host=evil.example, for=192.0.2.9;host=a\r\n",
            "192.0.2.9 http a 1",
        ),
        // A chain of trusted ones.
        (from, "X-Forwarded-For: 192.0.2.9, 10.9.9.9\r\n", "192.0.2.9 http - 1"),
        (
            from,
            "X-Forwarded-For: 1.2.3.4, 192.0.2.9, 10.9.9.9, 2001:db8::1\r\n",
            "192.0.2.9 http - 1",
        ),
        (from, "X-Forwarded-For: 10.1.1.1, 10.9.9.9\r\n", "10.1.1.1 http - 1"),
        // Hidden, or nothing that is an address.
        (from, "X-Forwarded-For: unknown\r\n", "- http - 1"),
        (from, "X-Forwarded-For: 1.2.3.4, what\r\n", "- http - 1"),
        (from, "Forwarded: for=_secret\r\n", "- http - 1"),
        (from, "X-Forwarded-Host: a b\r\n", "10.0.0.1 http - 1"),
        // Both, and one of them made up.
        (from, "Forwarded: for=192.0.2.9\r\nX-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9 http - 2"),
        (from, "Forwarded: for=1.2.3.4\r\nX-Forwarded-For: 192.0.2.9\r\n", "400"),
        (from, "Forwarded: for=192.0.2.9;for=1.2.3.4\r\n", "400"),
        (from, "Forwarded: for=\"192.0.2.9\r\n", "400"),
        (None, "X-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9 http - 1"),
        (Some("::ffff:10.0.0.1"), "X-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9 http - 1"),
    ] {
        assert_eq!(ask(trusted, peer, fields).await, want, "{peer:?} {fields}");
    }
}

#[tokio::test]
async fn g11_nobody_else_is_and_their_fields_are_taken_away() {
    let fields = "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4;proto=https\r\nX-Real-IP: 1.2.3.4\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nX-Other: 1\r\n";
    for (proxies, peer, ip) in [
        (&[][..], Some("192.0.2.1"), "192.0.2.1"),
        (&["10.0.0.0/8"], Some("11.0.0.1"), "11.0.0.1"),
        (&["10.0.0.0/8"], None, "-"),
        (&["unix"], Some("127.0.0.1"), "127.0.0.1"),
        (&["::/0"], Some("127.0.0.1"), "127.0.0.1"),
    ] {
        assert_eq!(
            ask(proxies, peer, fields).await,
            format!("{ip} http - 1"),
            "{proxies:?} {peer:?}"
        );
    }
}

#[test]
fn proxies_are_addresses_and_networks() {
    let trusts = |text: &str, peer: &str| {
        let proxies = Proxies::new([text.parse::<Proxy>().unwrap()]);
        proxies.trust(Some(SocketAddr::new(peer.parse().unwrap(), 1)))
    };
    for (network, peer, want) in [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.1.2.3/8", "10.0.0.1", true),
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("0.0.0.0/0", "255.0.0.1", true),
        ("0.0.0.0/0", "::1", false),
        ("fd00::/8", "fdff::1", true),
        ("fd00::/8", "fe00::1", false),
        ("::1", "::1", true),
        ("::/0", "2001:db8::1", true),
        ("192.0.2.0/31", "192.0.2.1", true),
        ("192.0.2.0/31", "192.0.2.2", false),
    ] {
        assert_eq!(trusts(network, peer), want, "{network} {peer}");
    }
    for text in [
        "",
        "10",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "unix:",
        "a.example",
    ] {
        assert!(text.parse::<Proxy>().is_err(), "{text}");
    }
}
