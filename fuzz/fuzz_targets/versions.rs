//! A request is the same by both versions of HTTP: sent by h2's own client it is answered as it is over HTTP/1.1, and the
//! handler sees the same method, target, fields and content; what one of them does not take is not answered by the other.
#![no_main]

#[path = "../../crates/number8/tests/http2/h2_client.rs"]
mod h2_client;

use h2_client::Io;
use http::{HeaderName, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use number8::testing::TestServer;
use number8::{Answer, App, Call, Handler, Response};

/// Tells what it sees.
struct Seen;

impl Handler for Seen {
    fn handle(&self, call: Call<'_>) -> Answer {
        let head = call.head;
        let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (name, value) in head.fields() {
            match fields
                .iter_mut()
                .find(|(other, _)| other == b"cookie" && name.eq_ignore_ascii_case(other))
            {
                // RFC 9113 §8.2.3: several Cookie fields are one.
                Some(_) if value.is_empty() => {}
                Some((_, cookies)) if cookies.is_empty() => cookies.extend(value),
                Some((_, cookies)) => cookies.extend([b"; ", value].concat()),
                None => fields.push((name.to_ascii_lowercase(), value.to_vec())),
            }
        }
        // Where Host and the length stand is the client's.
        fields.sort();
        let mut seen = [head.method_bytes(), b" ", head.target(), b"\n"].concat();
        fields
            .iter()
            .for_each(|(name, value)| seen.extend([name, &b": "[..], value, b"\n"].concat()));
        let body = call.body;
        Answer::later(async move {
            match body.bytes().await {
                Ok(content) => Response::new(200, [&seen[..], &content].concat()),
                Err(error) => Response::new(400, error.to_string()),
            }
        })
    }
}

/// What there is to be sent.
struct Request {
    method: Method,
    target: String,
    fields: Vec<(HeaderName, HeaderValue)>,
    content: Vec<u8>,
}

impl Request {
    /// Method, target, then name and value of each field, then the content; `None` where the types of `http` have no such
    /// request, or the versions have other rules for it.
    fn read(input: &[u8]) -> Option<Self> {
        let mut parts = input.split(|&byte| byte == 0xff);
        let method = Method::from_bytes(parts.next()?).ok()?;
        let target = String::from_utf8(parts.next()?.to_vec()).ok()?;
        let parts: Vec<_> = parts.take(40).collect();
        let (&content, fields) = parts.split_last()?;
        let of_connection = " host connection content-length transfer-encoding te upgrade keep-alive \
            proxy-connection expect trailer ";
        let mut all = Vec::new();
        for field in fields.chunks_exact(2) {
            let name = HeaderName::from_bytes(field[0]).ok()?;
            if of_connection.contains(&format!(" {name} ")) || field[1] != field[1].trim_ascii() {
                return None;
            }
            all.push((name, HeaderValue::from_bytes(field[1]).ok()?));
        }
        let uri: Uri = format!("http://a{target}").parse().ok()?;
        let is_kept = uri.path_and_query().is_some_and(|path| path.as_str() == target);
        let is_sent = is_kept && uri.authority()?.as_str() == "a" && method != Method::CONNECT;
        is_sent.then(|| Self { method, target, fields: all, content: content.to_vec() })
    }

    /// Status and content by HTTP/1.1.
    async fn by_1(&self, server: &TestServer) -> (u16, Vec<u8>) {
        let client = server.connect();
        let mut wire =
            format!("{} {} HTTP/1.1\r\nHost: a\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.fields {
            wire.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        wire.extend(format!("Content-Length: {}\r\n\r\n", self.content.len()).as_bytes());
        wire.extend(&self.content);
        let sending = async {
            let _ = client.write_all(&wire).await;
            let _ = number8::server::transport::Transport::shutdown_write(&client);
        };
        let out = tokio::join!(sending, client.read_to_end()).1.expect("an answer");
        let end = out.windows(4).position(|end| end == b"\r\n\r\n").expect("a whole head");
        let status = str::from_utf8(&out[9..12]).unwrap().parse().expect("three digits");
        (status, out[end + 4..].to_vec())
    }

    /// The same by HTTP/2; `None` where the stream was ended.
    async fn by_2(&self, server: &TestServer) -> Option<(u16, Vec<u8>)> {
        let (mut client, connection) = h2::client::handshake(Io(server.connect())).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = http::Request::builder()
            .method(&self.method)
            .uri(format!("http://a{}", self.target))
            .header("content-length", self.content.len());
        for (name, value) in &self.fields {
            request = request.header(name, value);
        }
        let request = request.body(()).ok()?;
        let (answer, mut upload) = client.send_request(request, self.content.is_empty()).ok()?;
        if !self.content.is_empty() {
            let _ = upload.send_data(self.content.clone().into(), true);
        }
        let answer = answer.await.ok()?;
        let (status, mut body) = (answer.status().as_u16(), answer.into_body());
        let mut content = Vec::new();
        while let Some(data) = body.data().await {
            content.extend_from_slice(&data.ok()?);
        }
        connection.abort();
        Some((status, content))
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(request) = Request::read(input) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let server = App::new().mount("/", Seen).test();
        let (status, content) = request.by_1(&server).await;
        match request.by_2(&server).await {
            Some((by_2, seen)) => {
                assert_eq!(by_2, status);
                let (seen, content) =
                    (String::from_utf8_lossy(&seen), String::from_utf8_lossy(&content));
                assert!(status != 200 || seen == content, "{seen}\n and {content}");
            }
            // RFC 9113 §8.1.1: what is malformed is not answered.
            // Where there are two faults, HTTP/1.1 tells of the length first.
            None => assert!(status == 400 || status == 501 && request.method.as_str().len() > 32),
        }
    });
});
