//! How long clients are waited for and how much is taken from them.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{BIG, Client, Served, by_shell, last, sandbox, until};

#[test]
fn every_time_out_has_an_effect() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let closing = last("/", "");
    // The option, what the client sends, and what it has got when the server ends the connection.
    let cases = [
        ("--timeout-first", "", ""),
        ("--timeout-head", "GET /", "HTTP/1.1 408 "),
        ("--timeout-idle", get, "HTTP/1.1 200 "),
        (
            "--timeout-linger",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 405 ",
        ),
    ];
    let folder = sandbox();
    for (option, sent, got) in cases {
        let served = Served::start(folder.path(), &[option, "100ms", "--log", "off"]);
        let answer = served.connect().send(sent).rest();
        assert!(
            answer.starts_with(got) && (answer.is_empty() == got.is_empty()),
            "{option}: {answer}"
        );
    }

    // A last answer is lingered over, unseen by the client: its descriptor tells.
    let served = Served::start(folder.path(), &["--timeout-linger", "100ms"]);
    let before = served.sockets();
    let mut client = served.connect();
    assert!(client.send(&closing).rest().ends_with("hello"));
    until("the connection is gone", || served.sockets() == before);

    // More than the buffers of both ends hold, and nobody reads it.
    let served =
        Served::start(folder.path(), &["--timeout-write", "100ms", "--log", "$status $bytes_sent"]);
    let before = served.sockets();
    let mut client = served.connect();
    client.send(&last("/big.bin", ""));
    // The log says that it was cut, and where.
    let line = served.message("200 ");
    until("it is cut", || served.sockets() == before);
    let mut count = 0;
    let mut buf = vec![0; 1 << 20];
    while let Ok(read @ 1..) = client.0.read(&mut buf) {
        count += read as u64;
    }
    assert!(count < BIG, "{count}");
    let sent: u64 = line.strip_prefix("200 ").unwrap().parse().unwrap();
    assert!((count..BIG).contains(&sent), "{count} of {sent}");
}

#[test]
fn every_limit_has_an_effect() {
    let head = |bytes: usize| last("/", &format!("A: {}\r\n", "b".repeat(bytes)));
    let cases = [
        ("--max-head", "16K", head(8_000), "200"),
        ("--max-head", "16K", head(17_000), "431"),
        ("--max-fields", "3", last("/", "A: b\r\n"), "200"),
        ("--max-fields", "3", last("/", "A: b\r\nA: b\r\n"), "431"),
        ("--max-uri", "300", last(&format!("/{}", "x".repeat(250)), ""), "404"),
        ("--max-uri", "300", last(&format!("/{}", "x".repeat(300)), ""), "414"),
    ];
    let folder = sandbox();
    for (option, value, request, status) in cases {
        let served = Served::start(folder.path(), &[option, value]);
        let answer = served.connect().send(&request).rest();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{option} {value}: {answer}");
    }

    for option in ["--max-connections", "--max-connections-per-ip"] {
        let served = Served::start(folder.path(), &[option, "2"]);
        let mut held: Vec<Client> = (0..2).map(|_| served.connect()).collect();
        for client in &mut held {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").until("hello");
        }
        let answer = served.get("/");
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: "),
            "{answer}"
        );
        drop(held);
        until("there is room again", || served.get("/").ends_with("hello"));
    }

    let served = Served::start(folder.path(), &["--max-buffered", "64K"]);
    let mut holders: Vec<Client> = (0..3).map(|_| served.connect()).collect();
    for holder in &mut holders {
        holder.send(&format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(30_000)));
    }
    until("nothing more is taken", || served.get("/").starts_with("HTTP/1.1 503 "));
    drop(holders);
    until("there is room again", || served.get("/").ends_with("hello"));

    let served = Served::start(folder.path(), &["--max-linger", "10K", "--timeout-linger", "1h"]);
    let mut client = served.connect();
    client.send(&last("/", "")).rest();
    until("no more is read", || client.0.write_all(&[0; 1024]).is_err());
}

/// Rows W10 and W14: as many connections as that test client makes, one after the other and at once.
#[test]
fn w10_w14_a_thousand_connections_leave_no_descriptor_behind() {
    let folder = sandbox();
    let served = Served::start(folder.path(), &["--log", "off"]);
    let at_rest = served.sockets();
    served.get("/");
    until("it is at rest", || served.sockets() == at_rest);
    let before = served.count("fd");
    let address = served.address.unwrap();
    for _ in 0..10 {
        let mut clients: Vec<Client> = (0..100).map(|_| served.connect()).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            match number % 4 {
                0 => drop(client.send(&last("/", "")).rest()),
                1 => drop(client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").until("hello")),
                2 => drop(client.send("GET / HT")),
                _ => {}
            }
        }
    }
    drop(TcpStream::connect(address));
    until("all are gone", || served.count("fd") <= before);
}

#[test]
fn w10_out_of_descriptors_it_makes_room_and_recovers() {
    let folder = sandbox();
    let arguments = ["site", "-b", "127.0.0.1:0", "--io-threads", "1", "--log", "off"];
    let mut served =
        Served::run(by_shell(folder.path(), "ulimit -n 64; exec \"$0\" \"$@\"", &arguments));
    served.address = Some(served.url());
    served.get("/");
    let before = served.count("fd");
    let mut idle: Vec<Client> = (0..200).map(|_| served.connect()).collect();
    for _ in 0..3 {
        assert!(served.get("/").ends_with("hello"));
    }
    served.message("new connections have to wait");
    idle.clear();
    until("all are gone", || served.count("fd") <= before + 1);
    assert!(served.get("/").ends_with("hello"));
}

#[test]
fn w9_io_threads_are_as_many_as_asked_for() {
    let folder = sandbox();
    for count in [1, 3] {
        let served =
            Served::start(folder.path(), &["--io-threads", &count.to_string(), "--log", "off"]);
        // The main thread is one of them.
        assert_eq!(served.count("task"), count);
    }
}
