//! WebREPL as a page of cases, each whole and byte by byte, and as properties.

use number8_proto::webrepl::{Code, Conn, Event, PIECE_BYTES_MAX, Request};
use number8_proto::ws::Kind;
use proptest::collection::vec;
use proptest::prelude::*;

/// Files that there are; `five` has this in pieces of three bytes.
const FIVE: [&[u8]; 3] = [b"abc", b"de", b""];
const PASSWORD_BYTES_MAX: usize = 16;

/// A server with one password and one file, and the log of what it heard and said.
struct Server {
    conn: Conn,
    log: Vec<String>,
    pieces: std::slice::Iter<'static, &'static [u8]>,
}

impl Server {
    fn new() -> Self {
        Self { conn: Conn::new(PASSWORD_BYTES_MAX), log: Vec::new(), pieces: [].iter() }
    }

    fn message(&mut self, kind: Kind, mut input: &[u8]) {
        while !input.is_empty() {
            let Self { conn, log, pieces } = self;
            let (used, event) = conn.receive(kind, input);
            assert!(used <= input.len());
            input = &input[used..];
            match event {
                Event::NeedMore => return assert!(input.is_empty(), "it waits for an answer"),
                Event::Password(password) => {
                    let is_right = password.is_some_and(|password| password == b"secret");
                    log.push(format!("  password {}", text(password.unwrap_or(b"-"))));
                    log.push(format!("< {}", text(conn.login(is_right).as_bytes())));
                }
                Event::Input(bytes) => join(log, "input", bytes, ""),
                Event::Content { bytes, is_last } => {
                    join(log, "content", bytes, if is_last { ", all" } else { "" });
                    if is_last {
                        log.push(format!("< {}", text(&conn.answer(Code::OK))));
                    }
                }
                Event::Request(Request::Put { name, size }) => {
                    log.push(format!("  put {} {size}", text(name)));
                    log.push(format!("< {}", text(&conn.answer(Code::OK))));
                    if size == 0 {
                        log.push(format!("< {}", text(&conn.answer(Code::OK))));
                    }
                }
                Event::Request(Request::Get { name }) => {
                    log.push(format!("  get {}", text(name)));
                    let code = if name == b"five" { Code::OK } else { Code::NOT_FOUND };
                    *pieces = FIVE.iter();
                    log.push(format!("< {}", text(&conn.answer(code))));
                }
                Event::More => {
                    let piece = pieces.next().unwrap();
                    let mut out = Vec::new();
                    conn.piece(piece, &mut out);
                    log.push("  more".to_owned());
                    log.push(format!("< {}", text(&out)));
                    if piece.is_empty() {
                        log.push(format!("< {}", text(&conn.answer(Code::OK))));
                    }
                }
                Event::Request(Request::Version) => {
                    log.push("  version".to_owned());
                    log.push(format!("< {}", text(&conn.version([1, 2, 3]))));
                }
                Event::Request(Request::Unknown) => {
                    log.push("  unknown".to_owned());
                    log.push(format!("< {}", text(&conn.answer(Code::BAD_REQUEST))));
                }
            }
        }
    }

    fn messages(&mut self, messages: &[(Kind, Vec<u8>)], are_cut: bool) -> Vec<String> {
        for (kind, bytes) in messages {
            match are_cut {
                true => bytes.chunks(1).for_each(|byte| self.message(*kind, byte)),
                false => self.message(*kind, bytes),
            }
            let held = self.conn.release().to_vec();
            if !held.is_empty() {
                join(&mut self.log, "input", &held, "");
            }
        }
        std::mem::take(&mut self.log)
    }
}

/// Logs bytes, as one line with those of the same kind before them.
fn join(log: &mut Vec<String>, what: &str, bytes: &[u8], end: &str) {
    let start = format!("  {what} ");
    match log.last_mut() {
        Some(last) if last.starts_with(&start) && !last.ends_with(", all") => {
            last.push_str(&(text(bytes) + end));
        }
        _ => log.push(start + &text(bytes) + end),
    }
}

fn text(bytes: &[u8]) -> String {
    let escape = |&b: &u8| match b {
        b'\r' => "\\r".to_owned(),
        b'\n' => "\\n".to_owned(),
        0 => "\\0".to_owned(),
        b' '..=b'~' => char::from(b).to_string(),
        b => format!("\\x{b:02x}"),
    };
    bytes.iter().map(escape).collect()
}

/// The bytes that a text of the page stands for.
fn bytes(text: &str) -> Vec<u8> {
    if let Some(request) = text.strip_prefix('§') {
        let [kind, size, name] = request.splitn(3, ',').collect::<Vec<_>>().try_into().unwrap();
        return record(kind.parse().unwrap(), size.parse().unwrap(), name.as_bytes());
    }
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(repeat) = rest.strip_prefix("\\{") {
            let (count, after) = repeat.split_once('*').unwrap();
            let (what, after) = after.split_once('}').unwrap();
            out.extend(bytes(what).repeat(count.parse().unwrap()));
            rest = after;
        } else if let Some(hex) = rest.strip_prefix("\\x") {
            out.push(u8::from_str_radix(&hex[..2], 16).unwrap());
            rest = &hex[2..];
        } else if first == '\\' {
            out.push(match &rest[1..2] {
                "r" => b'\r',
                "n" => b'\n',
                "0" => 0,
                other => panic!("\\{other}"),
            });
            rest = &rest[2..];
        } else {
            out.extend(first.to_string().bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// A request as clients pack it: `<2sBBQLH64s`.
fn record(kind: u8, size: u32, name: &[u8]) -> Vec<u8> {
    let mut record = vec![0; 82];
    record[..3].copy_from_slice(&[b'W', b'A', kind]);
    record[12..16].copy_from_slice(&size.to_le_bytes());
    record[16..18].copy_from_slice(&(name.len() as u16).to_le_bytes());
    record[18..18 + name.len()].copy_from_slice(name);
    record
}

/// The messages of a case, and the log that they make.
fn played(case: &str, is_cut: bool) -> (Vec<String>, Vec<String>) {
    let (mut messages, mut expected) = (Vec::new(), Vec::new());
    for line in case.lines() {
        let (kind, rest) = line.split_once(' ').unwrap();
        match kind {
            "text" => messages.push((Kind::Text, bytes(rest))),
            "bytes" => messages.push((Kind::Binary, bytes(rest))),
            _ => expected.push(line.to_owned()),
        }
    }
    (Server::new().messages(&messages, is_cut), expected)
}

#[test]
fn x6_every_case_whole_and_byte_by_byte() {
    let mut count = 0;
    for section in include_str!("cases.md").split("\n## ").skip(1) {
        let name = section.lines().next().unwrap();
        let mut parts = section.split("```");
        let case = parts.nth(1).unwrap().trim_start_matches('\n');
        let mut rows = parts.next().unwrap().lines().filter_map(|line| {
            line.strip_prefix("| ")?.strip_suffix(" |").map(|cell| cell.trim_matches('`'))
        });
        let cases: Vec<String> = match rows.next() {
            None => vec![case.to_owned()],
            Some(place) => rows.skip(1).map(|cell| case.replace(place, cell)).collect(),
        };
        for case in &cases {
            for is_cut in [false, true] {
                let (log, expected) = played(case, is_cut);
                assert_eq!(log, expected, "{name}, {}", if is_cut { "cut" } else { "whole" });
                count += 1;
            }
        }
    }
    assert_eq!(count, 2 * 23);
}

#[test]
fn x6_a_typed_w_waits_for_what_may_follow() {
    let mut conn = Conn::open();
    assert_eq!(conn.receive(Kind::Binary, b"W"), (1, Event::NeedMore));
    assert!(conn.is_holding());
    assert_eq!(conn.receive(Kind::Binary, b"x"), (0, Event::Input(b"W")));
    assert_eq!(conn.receive(Kind::Binary, b"x"), (1, Event::Input(b"x")));
    assert_eq!(conn.receive(Kind::Binary, b"WA"), (2, Event::NeedMore));
    assert_eq!(conn.release(), b"WA");
    assert!(!conn.is_holding());
    // The type of a record: nobody types that.
    assert_eq!(conn.receive(Kind::Binary, b"WA\x01"), (3, Event::NeedMore));
    assert_eq!((conn.is_holding(), conn.release()), (false, &b""[..]));
}

#[test]
fn x6_nothing_is_taken_while_an_answer_is_owed() {
    let mut conn = Conn::new(8);
    assert!(matches!(conn.receive(Kind::Text, b"a\r"), (2, Event::Password(Some(b"a")))));
    assert_eq!(conn.receive(Kind::Text, b"b\r"), (0, Event::NeedMore));
    conn.login(true);
    assert!(matches!(conn.receive(Kind::Binary, &record(2, 0, b"f")).1, Event::Request(_)));
    assert_eq!(conn.receive(Kind::Binary, b"\0"), (0, Event::NeedMore));
    conn.answer(Code::OK);
    assert_eq!(conn.receive(Kind::Binary, b"\0"), (1, Event::More));
    assert_eq!(conn.receive(Kind::Binary, b"\0"), (0, Event::NeedMore));
    let mut out = Vec::new();
    conn.piece(&[7; 2 * PIECE_BYTES_MAX], &mut out);
    assert_eq!((out.len(), &out[..3]), (2 + PIECE_BYTES_MAX, &[0, 0x10, 7][..]));
}

proptest! {
    #[test]
    fn x6_requests_and_content_mean_the_same_however_they_are_cut(
        puts in vec(("[a-z/.é]{1,30}", vec(any::<u8>(), 0..200)), 1..4),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut input = Vec::new();
        for (name, content) in &puts {
            input.extend(record(1, content.len() as u32, name.as_bytes()));
            input.extend(content);
            input.extend(record(3, 0, b""));
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let messages: Vec<_> =
            cuts.windows(2).map(|cut| (Kind::Binary, input[cut[0]..cut[1]].to_vec())).collect();
        let whole = Server { conn: Conn::open(), ..Server::new() }.messages(&[(Kind::Binary, input.clone())], false);
        let mut server = Server { conn: Conn::open(), ..Server::new() };
        for (kind, bytes) in &messages {
            server.message(*kind, bytes);
        }
        prop_assert_eq!(&server.log, &whole);
        let put = whole.iter().filter(|line| line.starts_with("  put ")).count();
        prop_assert_eq!(put, puts.len());
    }

    #[test]
    fn x6_nothing_is_heard_without_the_password(messages in vec((any::<bool>(), vec(any::<u8>(), 0..100)), 0..8)) {
        let mut server = Server::new();
        for (is_text, bytes) in messages {
            server.message(if is_text { Kind::Text } else { Kind::Binary }, &bytes);
        }
        prop_assert!(server.log.iter().all(|line| line.starts_with("  password ") || line.contains("Access denied")));
    }
}
