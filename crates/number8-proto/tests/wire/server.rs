//! A server without a socket: reads what it is fed, answers each request as the request's own query
//! says, and notes what happens. Whoever reads a case sees the question and the answer in one place.
//!
//! Keys of the query: `status`, `content` (may be repeated), `unknown` (no length is announced),
//! `length` (announced instead of the true one), `past` (the content is sent past the codec),
//! `apart` (only what frames it is written by the codec), `reason` (in place of the registered one), `prepared` (the
//! head was encoded before), `field`, `set` and `trailer` (`Name:value`), `stamp` (a Date and this Server), `early` (answers before the body is read), `continue` (sends 100), `close` (the server
//! wants to close).

use number8_proto::headers::Fields;
use number8_proto::http1::{
    BodyLength, BodySize, Conn, Event, Head, HeadParser, Next, Prepared, ResponseHead, SendBody,
    Stamp, Version,
};
use number8_proto::uri::Query;
use number8_proto::{Error, Limits};

/// How a request is to be answered.
#[derive(Default)]
struct Answer {
    status: u16,
    contents: Vec<Vec<u8>>,
    length: Option<u64>,
    reason: Option<Vec<u8>>,
    fields: Fields,
    trailers: Fields,
    stamp: Stamp,
    flags: Vec<Vec<u8>>,
}

impl Answer {
    fn asked_by(head: &Head<'_>, log: &mut Vec<String>) -> Self {
        let mut answer = Self { status: 200, ..Self::default() };
        for pair in Query::new(head.query().unwrap_or_default()) {
            let (key, value) = (&*pair.key, pair.value.unwrap_or_default());
            let text = String::from_utf8_lossy(&value);
            let (name, rest) = text.split_once(':').unwrap_or((&text, ""));
            match key {
                b"status" => answer.status = text.parse().unwrap_or(0),
                b"content" => answer.contents.push(value.into_owned()),
                b"length" => answer.length = text.parse().ok(),
                b"reason" => answer.reason = Some(value.into_owned()),
                b"stamp" => answer.stamp = Stamp::new(784_111_777, Some(&text)),
                b"field" | b"set" | b"trailer" => {
                    let value = rest.as_bytes();
                    let added = match key {
                        b"field" => answer.fields.push(name, value),
                        b"set" => answer.fields.set(name, value),
                        _ => answer.trailers.push(name, value),
                    };
                    log.extend(added.err().map(|error| format!("unsent: {error}")));
                }
                flag => answer.flags.push(flag.to_vec()),
            }
        }
        answer
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|other| other == flag.as_bytes())
    }
}

/// One connection and everything that happened on it.
pub(crate) struct Server {
    conn: Conn,
    parser: HeadParser,
    limits: Limits,
    unread: Vec<u8>,
    answer: Option<Answer>,
    is_closed: bool,
    /// Names of fields, `path` and `query`: what of a head is noted besides its first line.
    pub(crate) show: Vec<String>,
    /// What happened, a line each.
    pub(crate) log: Vec<String>,
    /// What was sent.
    pub(crate) out: Vec<u8>,
    /// How many bytes were taken, and every head among them with the place where it began.
    pub(crate) taken: usize,
    pub(crate) heads: Vec<(usize, Vec<u8>)>,
    /// Final answers, and the fault if there was one.
    pub(crate) answers: usize,
    pub(crate) fault: Option<Error>,
}

impl Server {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            conn: Conn::new(),
            parser: HeadParser::new(),
            limits,
            unread: Vec::new(),
            answer: None,
            is_closed: false,
            show: Vec::new(),
            log: Vec::new(),
            out: Vec::new(),
            taken: 0,
            heads: Vec::new(),
            answers: 0,
            fault: None,
        }
    }

    /// The client has sent these bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while !self.is_closed && self.step() {}
    }

    /// The client has closed its half.
    pub(crate) fn end(&mut self) {
        if self.is_closed {
            return;
        }
        match self.conn.receive_eof(!self.unread.is_empty()) {
            Some(error) => self.refuse(error),
            None => self.log.push("closed by the client".into()),
        }
        self.is_closed = true;
    }

    /// Takes one event; false when that needs more bytes.
    fn step(&mut self) -> bool {
        let unread = std::mem::take(&mut self.unread);
        let received = self.conn.receive(&mut self.parser, &unread, &self.limits);
        let (used, next) = match received {
            Ok((used, event)) => (used, note(event, &self.show, &mut self.log)),
            Err(error) => {
                self.refuse(error);
                return false;
            }
        };
        if let Step::Answer(_, head) = &next {
            assert_eq!(head[..], unread[..used], "a head is all that was taken");
            self.heads.push((self.taken, head.clone()));
        }
        self.taken += used;
        self.unread = unread[used..].to_vec();
        match next {
            Step::NeedMore => return false,
            Step::GoOn => {}
            Step::Answer(answer, _) => {
                match self.conn.body() {
                    BodyLength::None => {}
                    BodyLength::Known(length) => self.log.push(format!("body {length}")),
                    BodyLength::Chunked => self.log.push("body chunked".into()),
                }
                if answer.has("continue") {
                    let before = self.out.len();
                    self.conn.send_continue(&mut self.out);
                    self.log.push(format!("continue {}", self.out.len() > before));
                }
                if answer.has("early") {
                    self.respond(&answer);
                    self.advance();
                } else {
                    self.answer = Some(*answer);
                }
            }
            Step::End => {
                if let Some(answer) = self.answer.take() {
                    self.respond(&answer);
                }
                self.advance();
            }
        }
        true
    }

    fn respond(&mut self, answer: &Answer) {
        let Answer { status, ref fields, .. } = *answer;
        let total = answer.contents.iter().map(|content| content.len() as u64).sum();
        let size = match answer.length {
            _ if answer.has("unknown") => BodySize::Unknown,
            length => BodySize::Known(length.unwrap_or(total)),
        };
        if answer.has("close") {
            self.conn.close_after();
        }
        let prepared = Prepared::new(status, fields, size);
        let head = match answer.has("prepared") {
            true => (&prepared).into(),
            false => {
                ResponseHead::Fields { status, reason: answer.reason.as_deref(), fields, size }
            }
        };
        let send = self.conn.respond(head, &answer.stamp, &self.limits, &mut self.out);
        for content in &answer.contents {
            if send == SendBody::Plain
                && answer.has("past")
                && total <= answer.length.unwrap_or(total)
            {
                self.out.extend_from_slice(content);
                self.conn.sent(content.len() as u64);
            } else if answer.has("apart") {
                let (length, behind) = self.conn.send_apart(content.len(), &mut self.out);
                self.out.extend_from_slice(&content[..length]);
                self.out.extend_from_slice(behind);
            } else {
                self.conn.send_body(content, &mut self.out);
            }
        }
        self.conn.finish(&answer.trailers, &mut self.out);
        self.answers += 1;
    }

    fn advance(&mut self) {
        match self.conn.advance() {
            Next::Request => self.log.push("next".into()),
            Next::Drain => self.log.push("drain".into()),
            Next::Close(reason) => {
                self.log.push(format!("close {reason:?}"));
                self.is_closed = true;
            }
        }
    }

    /// The client is at fault: one answer if none has begun, and the end.
    fn refuse(&mut self, error: Error) {
        let is_due = self.conn.may_respond();
        let verb = if is_due { "error" } else { "late error" };
        self.log.push(format!("{verb} {} {error:?}", error.status()));
        self.fault = Some(error);
        if is_due {
            let contents = vec![error.to_string().into_bytes()];
            self.respond(&Answer { status: error.status(), contents, ..Answer::default() });
        }
        let (next, after) = (
            self.conn.advance(),
            self.conn.receive(&mut self.parser, b"GET / HTTP/1.0\r\n\r\n", &self.limits),
        );
        assert_eq!(format!("{next:?} {after:?}"), "Close(Fault) Ok((0, NeedMore))");
        self.is_closed = true;
    }
}

enum Step {
    NeedMore,
    GoOn,
    /// A head to be answered so, and its bytes.
    Answer(Box<Answer>, Vec<u8>),
    End,
}

fn note(event: Event<'_>, show: &[String], log: &mut Vec<String>) -> Step {
    match event {
        Event::NeedMore => return Step::NeedMore,
        Event::End => {
            log.push("end".into());
            return Step::End;
        }
        Event::Data(data) => {
            assert!(!data.is_empty(), "a piece of a body is never empty");
            // Where the pieces are cut says nothing; their sum does.
            match log.last_mut().filter(|line| line.starts_with("data ")) {
                Some(line) => *line += &shown(data),
                None => log.push(format!("data {}", shown(data))),
            }
        }
        Event::Trailer { name, value } => {
            log.push(format!("trailer {}: {}", shown(name), shown(value)));
        }
        Event::Head(head) => {
            // A server that logs keeps the head longer than its bytes.
            let kept = head.to_owned();
            let head = kept.head();
            let host = head.host().map_or("-".into(), shown);
            let (method, target) = (head.method_bytes(), head.target());
            let (method, target) = (shown(method), shown(target));
            let version = match head.version() {
                Version::Http10 => "1.0",
                _ => "1.1",
            };
            log.push(format!("head {method} {target} {version} {host}"));
            for name in show {
                let value = match name.as_str() {
                    "path" => Some(head.path()),
                    "query" => head.query(),
                    name => head.named(name),
                };
                let value = value.map_or("-".into(), |value| format!("[{}]", shown(value)));
                log.push(format!("  {name} {value}"));
            }
            return Step::Answer(Box::new(Answer::asked_by(&head, log)), head.bytes().to_vec());
        }
    }
    Step::GoOn
}

/// Bytes as a log shows them: what is no ASCII text is escaped, and so is a backslash.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'")
}
