//! Files that are part of the program.

use number8::{App, Asset, Assets};

/// `printf hello | gzip -9n`
const GZIP: &[u8] =
    &[31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 203, 72, 205, 201, 201, 7, 0, 134, 166, 16, 54, 5, 0, 0, 0];
static FILES: &[Asset] =
    &[Asset { name: "a/x.js", media_type: "text/javascript", gzip: GZIP, version: "8f31" }];

async fn ask(request: &str, fields: &str) -> (String, Vec<u8>) {
    let server = App::new().mount("/assets", Assets::new(FILES)).test();
    let client = server.connect();
    let text = format!("{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
    client.write_all(text.as_bytes()).await.unwrap();
    let answer = client.read_to_end().await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end..].to_vec())
}

#[tokio::test]
async fn an_asset_goes_out_as_it_was_compressed_or_as_it_is() {
    let (head, content) = ask("GET /assets/a/x.js", "Accept-Encoding: gzip, br\r\n").await;
    for field in [
        "Content-Encoding: gzip",
        "ETag: \"8f31-gzip\"",
        "Vary: Accept-Encoding",
        "Cache-Control: no-cache",
        "Content-Type: text/javascript",
        "X-Content-Type-Options: nosniff",
    ] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{field}: {head}");
    }
    assert_eq!(content, GZIP);
    let (head, content) = ask("GET /assets/a/x.js", "").await;
    assert!(head.contains("ETag: \"8f31\"") && !head.contains("Content-Encoding"), "{head}");
    assert_eq!(content, b"hello");
    let (head, content) = ask("GET /assets/a/x.js", "If-None-Match: \"8f31\"\r\n").await;
    assert!(head.starts_with("HTTP/1.1 304 "), "{head}");
    assert!(content.is_empty());
    for (request, status) in [
        ("HEAD /assets/a/x.js", "200"),
        ("GET /assets", "404"),
        ("GET /assets/", "404"),
        ("GET /assets/a", "404"),
        ("GET /assets/a/%78.js", "404"),
        ("POST /assets/a/x.js", "405"),
        ("OPTIONS /assets/a/x.js", "204"),
    ] {
        let (head, _) = ask(request, "").await;
        assert_eq!(&head[9..12], status, "{request}");
    }
}
