//! The requests of these tests by HTTP/2: what a folder answers is the same by either version, so the same cases say so. Which
//! tests run again this way, `http2::again` lists.

use std::cell::Cell;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Request};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::{Answer, PATIENCE};

thread_local! {
    static IS_BY_HTTP2: Cell<bool> = const { Cell::new(false) };
}

/// Whether the test of this thread asks by HTTP/2.
pub(super) fn is_by_http2() -> bool {
    IS_BY_HTTP2.get()
}

/// Runs a test whose requests go by HTTP/2.
pub(crate) fn by_http2(test: fn()) {
    IS_BY_HTTP2.set(true);
    test();
    IS_BY_HTTP2.set(false);
}

/// Sends a request on a connection of its own.
pub(super) fn ask(
    addr: SocketAddr,
    method: &str,
    target: &str,
    fields: &[&str],
    content: Option<&[u8]>,
) -> Answer {
    // In absolute form it names the host itself; the server as a whole is an OPTIONS without a path (RFC 9113 §8.3.1).
    let uri = match target {
        "*" => "http://a".to_owned(),
        _ if target.starts_with('/') => format!("http://a{target}"),
        _ => target.to_owned(),
    };
    let mut request = Request::builder().method(method).uri(uri);
    for field in fields {
        let (name, value) = field.split_once(':').expect("a field");
        request = request.header(name, HeaderValue::from_bytes(value.trim().as_bytes()).unwrap());
    }
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let exchange = async {
        let stream = TcpStream::connect(addr).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let request = request.body(()).unwrap();
        let (response, mut stream) = client.send_request(request, content.is_none()).unwrap();
        if let Some(content) = content {
            // A server that refuses may do so before it has read everything.
            let _ = stream.send_data(Bytes::copy_from_slice(content), true);
        }
        let (head, mut incoming) = response.await.unwrap().into_parts();
        let mut body = Vec::new();
        while let Some(data) = incoming.data().await {
            let data = data.unwrap();
            incoming.flow_control().release_capacity(data.len()).unwrap();
            body.extend_from_slice(&data);
        }
        let fields = head.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), value.to_str().expect("ASCII").to_owned())
        });
        Answer { status: head.status.as_u16(), fields: fields.collect(), body }
    };
    let answer = runtime
        .block_on(async { timeout(PATIENCE, exchange).await })
        .unwrap_or_else(|_| panic!("no answer to {method} {target}"));
    if method == "HEAD" || matches!(answer.status, 204 | 304) {
        assert!(answer.body.is_empty(), "content after {answer:?}");
    } else if let Some(length) = answer.field("Content-Length") {
        assert_eq!(length, answer.body.len().to_string(), "{method} {target}");
    }
    answer
}
