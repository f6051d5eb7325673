//! Requests for tests: built, sent, and answered with all that came back.

use std::io;
use std::net::SocketAddr;

use number8_proto::http1::{Decoder, Piece};
use number8_proto::{Limits, http1::BodyLength};

use super::TestServer;
use crate::server::memory::End;

/// A request to a [`TestServer`]: [`TestServer::get`] and its like begin one, [`TestRequest::send`] sends it.
#[derive(Debug)]
pub struct TestRequest<'a> {
    server: &'a TestServer,
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    peer: Option<SocketAddr>,
}

impl TestServer {
    /// A request with any method.
    #[must_use]
    pub fn request(&self, method: &str, target: &str) -> TestRequest<'_> {
        TestRequest {
            server: self,
            method: method.to_owned(),
            target: target.to_owned(),
            fields: Vec::new(),
            body: None,
            peer: None,
        }
    }

    /// A GET of a path with its query.
    #[must_use]
    pub fn get(&self, target: &str) -> TestRequest<'_> {
        self.request("GET", target)
    }

    /// A POST.
    #[must_use]
    pub fn post(&self, target: &str) -> TestRequest<'_> {
        self.request("POST", target)
    }

    /// A PUT.
    #[must_use]
    pub fn put(&self, target: &str) -> TestRequest<'_> {
        self.request("PUT", target)
    }

    /// A DELETE.
    #[must_use]
    pub fn delete(&self, target: &str) -> TestRequest<'_> {
        self.request("DELETE", target)
    }
}

impl TestRequest<'_> {
    /// Adds a field. It is sent as it is, valid or not; Host, Connection and Content-Length are written unless they
    /// are given.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Gives the request content.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Gives the request a value as JSON.
    ///
    /// # Panics
    /// The value cannot be written as JSON.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn json(self, value: &impl serde::Serialize) -> Self {
        let json = serde_json::to_vec(value).unwrap_or_else(|error| panic!("no JSON: {error}"));
        self.field("Content-Type", "application/json").body(json)
    }

    /// Has the request seem to come from that address ([`TestServer::connect_from`]).
    #[must_use]
    pub fn from(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    fn connect(&self) -> End {
        match self.peer {
            Some(peer) => self.server.connect_from(peer),
            None => self.server.connect(),
        }
    }

    /// Sends the request on a connection of its own, and waits for the whole answer.
    ///
    /// # Errors
    /// There is no whole answer: the connection was cut.
    pub async fn send(self) -> io::Result<TestResponse> {
        let is_head = self.method == "HEAD";
        let client = self.connect();
        let wire = self.encode();
        // An answer may come before the request is whole, and then the rest of it is not taken.
        let (_, received) = tokio::join!(client.write_all(&wire), client.read_to_end());
        TestResponse::parse(&received?, is_head)
    }

    /// Sends the request on a connection of its own, and waits for the head of the answer alone: its content may have no
    /// end.
    ///
    /// # Errors
    /// There is no whole head: the connection was cut.
    pub async fn send_for_head(self) -> io::Result<TestResponse> {
        let client = self.connect();
        let wire = self.encode();
        let head = async {
            let (mut received, mut piece) = (Vec::new(), vec![0; 4096]);
            loop {
                match client.read(&mut piece).await? {
                    0 => return Err(cut()),
                    count => received.extend_from_slice(&piece[..count]),
                }
                if let Some((response, _)) = TestResponse::head(&received) {
                    return Ok(response);
                }
            }
        };
        tokio::join!(client.write_all(&wire), head).1
    }

    fn encode(self) -> Vec<u8> {
        let Self { method, target, mut fields, body, .. } = self;
        let mut lacks = |name: &str, value: &str| {
            if !fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                fields.push((name.to_owned(), value.as_bytes().to_vec()));
            }
        };
        lacks("Host", "localhost");
        lacks("Connection", "close");
        if let Some(body) = &body {
            lacks("Content-Length", &body.len().to_string());
        }
        let mut wire = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
        for (name, value) in fields {
            wire.extend_from_slice(name.as_bytes());
            wire.extend_from_slice(b": ");
            wire.extend_from_slice(&value);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"\r\n");
        wire.extend_from_slice(&body.unwrap_or_default());
        wire
    }
}

/// A whole answer, as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResponse {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl TestResponse {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of the first field of that name, in any case; `None` too where it is no UTF-8.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// Every field in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The content, without the framing of chunks.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The content as text.
    ///
    /// # Panics
    /// It is no UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body)
            .unwrap_or_else(|error| panic!("the content is no text: {error}"))
    }

    /// The content as a value from JSON.
    ///
    /// # Panics
    /// It is no such value.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        let value = serde_json::from_slice(&self.body);
        value
            .unwrap_or_else(|error| panic!("the content is no such JSON: {error}: {}", self.text()))
    }

    fn parse(wire: &[u8], is_head: bool) -> io::Result<Self> {
        let (mut response, rest) = Self::head(wire).ok_or_else(cut)?;
        if is_head {
            return Ok(response);
        }
        if response.field("transfer-encoding").is_some() {
            response.body = dechunk(rest)?;
        } else if let Some(length) = response.field("content-length")
            && response.status != 304
            && length.parse().ok() != Some(rest.len())
        {
            return Err(cut());
        } else {
            response.body = rest.to_vec();
        }
        Ok(response)
    }

    /// The head of the answer, behind those that only say that one will come, and what follows it; `None` where it is not whole.
    fn head(mut wire: &[u8]) -> Option<(Self, &[u8])> {
        loop {
            let end = wire.windows(4).position(|window| window == b"\r\n\r\n")?;
            let (head, rest) = (&wire[..end], &wire[end + 4..]);
            let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.trim_ascii_end());
            let status = lines.next().and_then(status)?;
            if !(100..200).contains(&status) || status == 101 {
                let fields = lines.filter_map(field).collect();
                return Some((Self { status, fields, body: Vec::new() }, rest));
            }
            wire = rest;
        }
    }
}

fn status(line: &[u8]) -> Option<u16> {
    let code = line.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = String::from_utf8_lossy(&line[..colon]).into_owned();
    Some((name, line[colon + 1..].trim_ascii().to_vec()))
}

/// The content that chunks carry; they have to be whole.
fn dechunk(mut wire: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoder = Decoder::new(BodyLength::Chunked);
    let mut body = Vec::new();
    loop {
        let (used, piece) = decoder
            .decode(wire, &Limits::default())
            .map_err(|error| io::Error::other(error.text()))?;
        match piece {
            Piece::Data(data) => body.extend_from_slice(data),
            Piece::End => return Ok(body),
            Piece::NeedMore => return Err(cut()),
            Piece::Trailer { .. } => {}
        }
        wire = &wire[used..];
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is not whole")
}
