//! A program at the terminal that is part of this process.

use std::thread;

use number8::access::{Access, Rights, Rule};
use number8::testing::TestServer;
use number8::{App, Repl, WebRepl};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Client, folder};
use crate::serving::{PATIENCE, patient};

const TEXT: u8 = 1;

/// Row U32: what runs here already answers, and hears when nobody types any more.
#[tokio::test]
async fn u32_a_program_of_this_process_has_a_console() {
    let folder = folder();
    let (ended, mut has_ended) = mpsc::unbounded_channel();
    let repl = Repl::new(folder.path()).unwrap().console(move |mut console| {
        let ended = ended.clone();
        thread::spawn(move || {
            let output = console.output();
            output.write(b"hello\r\n>>> ");
            while let Some(keys) = console.read() {
                match &keys[..] {
                    // More than is kept for those who are slow: none of it is lost.
                    b"much\r" => {
                        for n in 0..20_000 {
                            output.write(format!("<{n:_>40}>").as_bytes());
                        }
                    }
                    b"exit\r" => break,
                    keys => output.write(&keys.to_ascii_uppercase()),
                }
                output.write(b"\r\n>>> ");
            }
            ended.send(()).unwrap();
        });
    });
    let access = Access::new([Rule::everyone("/", Rights::REPL).unwrap()]);
    let app = App::new().access(access).mount("/", WebRepl::new(&repl));
    let server = TestServer::new(app, patient());
    drop(repl);

    let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: foo\r\n\r\n";
    let (mut client, _) = Client::ask(&server, upgrade).await;
    let shown = client.until(TEXT, ">>> ").await;
    assert_eq!(shown, "\r\nWebREPL connected\r\n>>> ", "what was shown before nobody is sent");
    client.send(TEXT, b"keys\r").await;
    assert_eq!(client.until(TEXT, ">>> ").await, "KEYS\r\r\n>>> ");
    client.send(TEXT, b"much\r").await;
    let much = client.until(TEXT, "\r\n>>> ").await;
    let expected: String = (0..20_000).map(|n| format!("<{n:_>40}>")).collect();
    assert!(much == expected + "\r\n>>> ", "{} bytes", much.len());
    client.send(TEXT, b"exit\r").await;
    timeout(PATIENCE, has_ended.recv()).await.unwrap().unwrap();

    // Nobody is left at a terminal where nothing runs.
    while client.frame().await.is_some() {}
    drop(client);

    // The next client finds it started anew; and when the server goes, nobody types.
    let (mut client, _) = Client::ask(&server, upgrade).await;
    client.until(TEXT, ">>> ").await;
    client.send(TEXT, b"keys\r").await;
    client.until(TEXT, "KEYS\r\r\n>>> ").await;
    drop((client, server));
    timeout(PATIENCE, has_ended.recv()).await.unwrap().unwrap();
}
