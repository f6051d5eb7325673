use data_encoding::BASE64;
use number8_proto::Limits;
use number8_proto::http1::HeadParser;
use number8_proto::ws::{Refusal, handshake, offered_protocols};
use proptest::prelude::*;

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
/// The answer to that key (RFC 6455 §1.3).
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const UPGRADE: &str = "Upgrade: websocket\nConnection: Upgrade";
const VERSION: &str = "Sec-WebSocket-Version: 13";

fn with_head<R>(
    method: &str,
    fields: &[&str],
    look: impl FnOnce(&number8_proto::http1::Head<'_>) -> R,
) -> R {
    let fields = fields.join("\n").replace('\n', "\r\n");
    let bytes = format!("{method} /chat HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    let mut parser = HeadParser::new();
    let length = parser.parse(bytes.as_bytes(), &Limits::default()).unwrap().unwrap();
    look(&parser.head(&bytes.as_bytes()[..length]))
}

#[test]
fn a_request_opens_a_websocket_or_says_why_not() {
    // What a strict server says, and what a lenient one.
    type Said = Result<&'static str, Refusal>;
    let foo = Ok("BM0S0+ghftShuFVHQATK/DBiJq8=");
    let no_upgrade = (Err(Refusal::Upgrade), Err(Refusal::Upgrade));
    let cases: &[(&str, &[&str], (Said, Said))] = &[
        ("GET", &[UPGRADE, KEY, VERSION], (Ok(ACCEPT), Ok(ACCEPT))),
        (
            "GET",
            &["Upgrade: h2c, WebSocket\nConnection: keep-alive, UPGRADE", KEY, VERSION],
            (Ok(ACCEPT), Ok(ACCEPT)),
        ),
        (
            "GET",
            &["Upgrade: websocket\nConnection: keep-alive\nConnection: upgrade", KEY, VERSION],
            (Ok(ACCEPT), Ok(ACCEPT)),
        ),
        (
            "POST",
            &[UPGRADE, KEY, VERSION, "Content-Length: 0"],
            (Err(Refusal::Method), Err(Refusal::Method)),
        ),
        ("HEAD", &[UPGRADE, KEY, VERSION], (Err(Refusal::Method), Err(Refusal::Method))),
        ("GET", &[KEY, VERSION], no_upgrade),
        ("GET", &["Upgrade: websocket", KEY, VERSION], no_upgrade),
        ("GET", &["Connection: upgrade", KEY, VERSION], no_upgrade),
        ("GET", &["Upgrade: websockets\nConnection: upgrade", KEY, VERSION], no_upgrade),
        ("GET", &[UPGRADE, KEY], (Err(Refusal::Version), Ok(ACCEPT))),
        ("GET", &[UPGRADE, KEY, "Sec-WebSocket-Version: 8"], (Err(Refusal::Version), Ok(ACCEPT))),
        ("GET", &[UPGRADE, KEY, VERSION, VERSION], (Err(Refusal::Version), Ok(ACCEPT))),
        ("GET", &[UPGRADE, VERSION], (Err(Refusal::Key), Err(Refusal::Key))),
        ("GET", &[UPGRADE, VERSION, "Sec-WebSocket-Key:"], (Err(Refusal::Key), Err(Refusal::Key))),
        ("GET", &[UPGRADE, VERSION, KEY, KEY], (Err(Refusal::Key), Err(Refusal::Key))),
        // webrepl_cli.py sends this, and no version.
        ("GET", &[UPGRADE, VERSION, "Sec-WebSocket-Key: foo"], (Err(Refusal::Key), foo)),
        ("GET", &[UPGRADE, "Sec-WebSocket-Key: foo"], (Err(Refusal::Version), foo)),
    ];
    for (method, fields, (strict, lenient)) in cases {
        for (is_lenient, expected) in [(false, strict), (true, lenient)] {
            let said = with_head(method, fields, |head| handshake(head, is_lenient));
            let said = said.as_ref().map(|accept| std::str::from_utf8(accept.as_ref()).unwrap());
            assert_eq!(
                said.map_err(|refusal| *refusal),
                *expected,
                "{method} {fields:?} {is_lenient}"
            );
        }
    }
}

#[test]
fn a_refusal_has_a_status() {
    for (refusal, status) in [
        (Refusal::Method, 405),
        (Refusal::Upgrade, 426),
        (Refusal::Version, 426),
        (Refusal::Key, 400),
    ] {
        assert_eq!(refusal.status(), status);
    }
}

#[test]
fn offered_protocols_come_in_their_order() {
    for (fields, offered) in [
        (&[][..], &[][..]),
        (&["Sec-WebSocket-Protocol: chat, superchat"], &["chat", "superchat"]),
        (&["Sec-WebSocket-Protocol: tty", "Sec-WebSocket-Protocol: ,a b,x/y,c"], &["tty", "c"]),
    ] {
        with_head("GET", fields, |head| {
            assert_eq!(offered_protocols(head).collect::<Vec<_>>(), offered);
        });
    }
}

/// What the server proves to a client with that key, by another base64.
fn proof(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64.encode(&sha1_smol::Sha1::from(text).digest().bytes())
}

fn proven(key: &str) -> Result<String, Refusal> {
    let key = format!("Sec-WebSocket-Key: {key}");
    let accept = with_head("GET", &[UPGRADE, VERSION, &key], |head| handshake(head, false))?;
    Ok(String::from_utf8(accept.as_ref().to_vec()).unwrap())
}

proptest! {
    #[test]
    fn every_nonce_is_answered_with_its_proof(nonce: [u8; 16]) {
        let key = BASE64.encode(&nonce);
        prop_assert_eq!(proven(&key), Ok(proof(&key)));
    }

    #[test]
    fn a_key_is_the_base64_of_16_bytes_and_no_other_spelling(key in "[A-Za-z0-9+/_=-]{18,26}|[A-Za-z0-9+/]{21}[AQgwBh=]==") {
        let is_nonce = BASE64.decode(key.as_bytes()).is_ok_and(|nonce| nonce.len() == 16);
        prop_assert_eq!(proven(&key).is_ok(), is_nonce);
    }
}
