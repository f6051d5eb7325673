//! Who a client is that comes by a proxy, and who only says so.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use number8::layers::proxies::{Proxies, Proxy};
use number8::server::{Options, Timeouts};
use number8::testing::TestServer;
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
        // Another address than the proxy tells was made up by the client.
        (from, "X-Forwarded-For: 192.0.2.9\r\nX-Real-IP: 192.0.2.9\r\n", "192.0.2.9 http - 2"),
        (from, "X-Forwarded-For: 192.0.2.9\r\nX-Real-IP: 1.2.3.4\r\n", "192.0.2.9 http - 1"),
        (from, "Forwarded: for=192.0.2.9\r\nX-Real-IP: what\r\n", "192.0.2.9 http - 1"),
        (from, "X-Real-IP: 192.0.2.9\r\n", "10.0.0.1 http - 1"),
        // Hidden, or nothing that is an address.
        (from, "X-Forwarded-For: unknown\r\n", "- http - 1"),
        (from, "X-Forwarded-For: 1.2.3.4, what\r\n", "- http - 1"),
        (from, "Forwarded: for=_secret\r\n", "- http - 1"),
        (from, "X-Forwarded-Host: a b\r\n", "10.0.0.1 http - 1"),
        // Both, and one of them made up.
        (from, "Forwarded: for=192.0.2.9\r\nX-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9 http - 2"),
        (from, "Forwarded: for=1.2.3.4\r\nX-Forwarded-For: 192.0.2.9\r\n", "400"),
        (
            from,
            "Forwarded: for=192.0.2.9;proto=https;host=a.example\r\nX-Forwarded-For: 192.0.2.9\r\n\
             X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: A.example\r\n",
            "192.0.2.9 https a.example 4",
        ),
        (
            from,
            "Forwarded: for=192.0.2.9;proto=https\r\nX-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: http\r\n",
            "400",
        ),
        (
            from,
            "Forwarded: for=192.0.2.9;host=evil.example\r\nX-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Host: a\r\n",
            "400",
        ),
        // Two proxies that write both, each of its own hop.
        (
            from,
            "Forwarded: for=192.0.2.9;proto=https;host=a, for=10.0.0.1;proto=http;host=a\r\n\
             X-Forwarded-For: 192.0.2.9, 10.0.0.1\r\nX-Forwarded-Proto: https, http\r\nX-Forwarded-Host: a, a\r\n",
            "192.0.2.9 https a 4",
        ),
        (
            from,
            "Forwarded: for=192.0.2.9;proto=https, for=10.0.0.1;proto=http\r\n\
             X-Forwarded-For: 192.0.2.9, 10.0.0.1\r\nX-Forwarded-Proto: http, http\r\n",
            "400",
        ),
        (
            from,
            "Forwarded: for=192.0.2.9;proto=https, for=10.0.0.1;proto=http\r\n\
             X-Forwarded-For: 192.0.2.9, 10.0.0.1\r\nX-Forwarded-Proto: http\r\n",
            "192.0.2.9 http - 3",
        ),
        (
            from,
            "Forwarded: for=192.0.2.9;proto=https, for=10.0.0.1;proto=https\r\n\
             X-Forwarded-For: 192.0.2.9, 10.0.0.1\r\nX-Forwarded-Proto: http\r\n",
            "400",
        ),
        // One that tells of its own hop alone, and hands on what the edge says of the client.
        (
            from,
            "Forwarded: for=192.0.2.9;proto=https\r\nX-Forwarded-For: 192.0.2.9, 10.0.0.1\r\nX-Forwarded-Proto: http\r\n",
            "192.0.2.9 http - 3",
        ),
        // The first host is made up, beside a Forwarded that is: the second proxy adds to X-Forwarded-For alone.
        (
            from,
            "Forwarded: for=192.0.2.9;host=evil.example\r\nX-Forwarded-For: 192.0.2.9, 10.0.0.1\r\n\
             X-Forwarded-Host: evil.example, a\r\n",
            "192.0.2.9 http - 3",
        ),
        // Told by one alone, which the client may have made up.
        (
            from,
            "Forwarded: for=192.0.2.9;proto=https;host=evil.example\r\nX-Forwarded-For: 192.0.2.9\r\n",
            "192.0.2.9 http - 2",
        ),
        (
            from,
            "Forwarded: for=192.0.2.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n",
            "192.0.2.9 http - 3",
        ),
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

#[tokio::test]
async fn a_proxy_that_hands_on_what_its_client_makes_up_cannot_tell_a_host_that_is_none_of_ours() {
    let proxies = Proxies::new(["10.0.0.1".parse().unwrap()]);
    let server =
        App::new().mount("/", Seen).proxies(proxies).hosts(["a".to_owned(), "b".to_owned()]).test();
    for (told, status) in [("b", "200"), ("localhost:8080", "200"), ("evil.example", "421")] {
        let client = server.connect_from("10.0.0.1:4711".parse().unwrap());
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-Host: {told}\r\n\r\n"
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let answer = String::from_utf8(client.read_to_end().await.unwrap()).unwrap();
        assert_eq!(&answer[9..12], status, "{told}");
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
        ("::ffff:10.0.0.0/104", "10.255.0.1", true),
        ("::ffff:10.0.0.0/104", "::ffff:10.255.0.1", true),
        ("::ffff:10.0.0.0/104", "11.0.0.0", false),
        ("::ffff:192.0.2.1", "192.0.2.1", true),
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
        "::ffff:10.0.0.0/8",
        "unix:",
        "a.example",
    ] {
        assert!(text.parse::<Proxy>().is_err(), "{text}");
    }
}

/// One number of bits for both families must not make a network of everybody out of the shorter one.
#[test]
fn a_network_has_no_more_bits_than_its_addresses() {
    let (four, six) = ("10.0.0.0".parse::<IpAddr>().unwrap(), "fd00::".parse::<IpAddr>().unwrap());
    for (bits, of_four, of_six) in [
        (0, true, true),
        (32, true, true),
        (33, false, true),
        (64, false, true),
        (128, false, true),
        (129, false, false),
        (255, false, false),
    ] {
        assert_eq!(Proxy::network(four, bits).is_ok(), of_four, "{four}/{bits}");
        assert_eq!(Proxy::network(six, bits).is_ok(), of_six, "{six}/{bits}");
    }
    let one = Proxies::new([Proxy::network(four, 32).unwrap()]);
    assert!(one.trust(Some(SocketAddr::new(four, 1))));
    assert!(!one.trust(Some("203.0.113.9:1".parse().unwrap())));
}

/// What the server answers to these bytes, the last one that a client sends; empty where it just closes.
async fn announced(peer: &str, bytes: &[u8]) -> String {
    let proxies = Proxies::new(["10.0.0.0/8".parse::<Proxy>().unwrap()]).announce();
    let server = App::new().mount("/", Seen).proxies(proxies).test();
    let client = server.connect_from(SocketAddr::new(peer.parse().unwrap(), 4711));
    // In pieces, as a network may bring it.
    for piece in bytes.chunks(7) {
        if client.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let answers = client.read_to_end().await.unwrap_or_default();
    String::from_utf8(answers).unwrap().lines().last().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn g11_a_balancer_announces_its_client() {
    const REFUSED: &str = "400 Bad Request: the HTTP version is not valid";
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n";
    let two = format!("{request}\r\n{request}Connection: close\r\n\r\n");
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x12\x67\0\x50";
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    let cases: &[(&str, &[u8], &str)] = &[
        ("10.0.0.1", b"PROXY TCP4 192.0.2.9 10.0.0.1 4711 80\r\n", "192.0.2.9 http - 0"),
        ("10.0.0.1", b"PROXY TCP6 2001:db8::9 ::1 4711 80\r\n", "2001:db8::9 http - 0"),
        ("10.0.0.1", b"PROXY TCP6 ::ffff:192.0.2.9 ::1 4711 80\r\n", "192.0.2.9 http - 0"),
        ("10.0.0.1", v2, "192.0.2.1 http - 0"),
        // Nobody is named, or one whose address is trusted: the fields are the client's own all the same.
        ("10.0.0.1", local, "10.0.0.1 http - 0"),
        ("10.0.0.1", b"PROXY UNKNOWN\r\n", "10.0.0.1 http - 0"),
        ("10.0.0.1", b"PROXY TCP4 10.0.0.7 10.0.0.1 4711 80\r\n", "10.0.0.7 http - 0"),
        // It has to, and nobody else may.
        ("10.0.0.1", b"", ""),
        ("10.0.0.1", b"PROXY TCP4 192.0.2.9\r\n", ""),
        ("11.0.0.1", b"", "11.0.0.1 http - 0"),
        ("11.0.0.1", b"PROXY TCP4 192.0.2.9 10.0.0.1 4711 80\r\n", REFUSED),
    ];
    for (peer, header, want) in cases {
        let found = announced(peer, &[header, two.as_bytes()].concat()).await;
        assert_eq!(found, *want, "{peer} {}", String::from_utf8_lossy(header));
    }
}

#[tokio::test]
async fn g11_connections_are_counted_for_the_client_that_a_balancer_names() {
    let proxies = Proxies::new(["10.0.0.0/8".parse::<Proxy>().unwrap()]).announce();
    let mut options = Options::default();
    options.limits.connections_per_client_max = 2;
    let app = App::new().get("/", async || "Hello, world.").proxies(proxies);
    let server = TestServer::new(app, options);
    let mut open = Vec::new();
    let mut ask = async |client: &str, header: String, status: u16| {
        let connection = server.connect_from("10.0.0.1:1".parse().unwrap());
        let request = header + "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(connection.read(&mut byte).await.unwrap(), 1);
            answer.push(byte[0]);
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{client}: {answer}");
        open.push((client.to_owned(), connection));
        if client == "192.0.2.1" && status == 503 {
            open.retain(|(client, _)| client != "192.0.2.1");
        }
    };
    let tcp = |client: &str| format!("PROXY TCP4 {client} 10.0.0.1 4711 80\r\n");
    // As many for each as it may have, however many come by one balancer.
    for (client, status) in [
        ("192.0.2.1", 200),
        ("192.0.2.2", 200),
        ("192.0.2.1", 200),
        ("192.0.2.2", 200),
        ("192.0.2.3", 200),
        ("192.0.2.1", 503),
        // Its other connections have ended with that one.
        ("192.0.2.1", 200),
        ("192.0.2.2", 503),
    ] {
        ask(client, tcp(client), status).await;
        // Those that are closed leave.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    // What a balancer does not name is its own.
    for status in [200, 200, 503] {
        ask("10.0.0.1", "PROXY UNKNOWN\r\n".into(), status).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_says_nothing_is_not_waited_for_for_ever() {
    let proxies = Proxies::new(["10.0.0.0/8".parse::<Proxy>().unwrap()]).announce();
    let options = Options {
        timeouts: Timeouts { first_byte: Duration::from_millis(1), ..Timeouts::default() },
        ..Options::default()
    };
    let server = TestServer::new(App::new().proxies(proxies), options);
    for part in [&b""[..], b"PROXY TC"] {
        let client = server.connect_from("10.0.0.1:1".parse().unwrap());
        client.write_all(part).await.unwrap();
        assert_eq!(client.read_to_end().await.unwrap(), b"");
    }
}
