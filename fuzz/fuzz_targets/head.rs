//! Whatever we accept, strict or lenient, httparse accepts too, and reads the same method, target,
//! version and fields in the same bytes. Two differences are allowed: a minor version above 1.1, and a
//! target that is no UTF-8, which httparse refuses. What httparse accepts and we refuse, we refuse for a
//! reason that it has no rule for: the end of a line, Host, the form of the target, or a limit. A field
//! that came can be sent again as it came, unless it frames; a field that is forgotten leaves the others. What opens a
//! WebSocket strictly opens the same leniently. By HTTP/2 the head is the same, but for what is the connection's. A parser
//! that has read the head before reads it as a new one does.
#![no_main]

use httparse::{EMPTY_HEADER, Status};
use libfuzzer_sys::fuzz_target;
use number8_proto::headers::{Fields, Known};
use number8_proto::http1::{BodySize, Head, HeadParser, Method, Prepared, Version};
use number8_proto::http2::{Pseudo, announced};
use number8_proto::ws::{Refusal, handshake};
use number8_proto::{Error, Limits};

fuzz_target!(|input: &[u8]| for lenient in [false, true] {
    let (mut fields, mut parser) = ([EMPTY_HEADER; 120], HeadParser::new());
    let mut theirs = httparse::Request::new(&mut fields);
    let result = theirs.parse(input);
    let is_accepted = matches!(result, Ok(Status::Complete(_)));
    let length = match parser.parse(input, &Limits { lenient, ..Limits::default() }) {
        Ok(Some(length)) => length,
        Ok(None) => return assert!(!is_accepted),
        Err(_) if !is_accepted => continue,
        Err(Error::BareLineFeed) if !lenient => continue,
        // A fragment, or too many empty lines before it.
        Err(Error::RequestLine) => return assert!(input.contains(&b'#') || input[0] < b' '),
        Err(error) => return assert!(BY_CHOICE.contains(&error), "{error:?}"),
    };
    let head = parser.head(input);
    let is_above = result == Err(httparse::Error::Version) && head.version() == Version::Http11;
    if !is_above && str::from_utf8(head.target()).is_ok() {
        assert_eq!(result, Ok(Status::Complete(length)));
        assert_eq!(theirs.method.map(str::as_bytes), Some(head.method_bytes()));
        assert_eq!(theirs.path.map(str::as_bytes), Some(head.target()));
        assert_eq!(theirs.version == Some(1), head.version() == Version::Http11);
        assert_eq!(theirs.version == Some(1), head.version().as_str() == "HTTP/1.1");
        let theirs = theirs.headers.iter().map(|field| (field.name.as_bytes(), field.value));
        assert!(theirs.eq(head.fields()));
    }
    let mut sent = Fields::fixed("Vary: Accept\r\n");
    for (name, value) in head.fields() {
        let name = str::from_utf8(name).expect("a token");
        if sent.push(name, value).is_ok() && sent.set("Vary", b"*").is_ok() {
            assert!(name.eq_ignore_ascii_case("Vary") || sent.iter().any(|f| f == (name, value)));
            assert!(!sent.is_empty() && sent.first(&name.to_ascii_uppercase()).is_some());
        }
    }
    let prepared = Prepared::new(200, &sent, BodySize::Known(8));
    assert!(prepared.fields().eq(sent.iter()) && prepared.wire_len() > sent.iter().count());
    assert_eq!((prepared.status(), prepared.size()), (200, BodySize::Known(8)));
    opens(&head);
    by_http2(&head);
    let others = |head: &Head<'_>| {
        let fields = head.fields().filter(|(name, _)| !name.eq_ignore_ascii_case(b"content-type"));
        fields.map(|(name, value)| (name.to_vec(), value.to_vec())).collect::<Vec<_>>()
    };
    let before = others(&head);
    parser.forget(&[Known::ContentType]);
    let head = parser.head(input);
    assert!(others(&head) == before && head.fields().count() == before.len());
    assert!(!head.has(Known::ContentType));
    again(input, &mut parser);
});

fn again(input: &[u8], parser: &mut HeadParser) {
    // Read strictly it is remembered, and known again in either way.
    for lenient in [true, false, false, true] {
        let (mut new, limits) = (HeadParser::new(), Limits { lenient, ..Limits::default() });
        parser.reset();
        let read = parser.parse(input, &limits);
        assert_eq!(read, new.parse(input, &limits));
        if let Ok(Some(_)) = read {
            let (head, new) = (parser.head(input), new.head(input));
            assert!(head.fields().eq(new.fields()) && head.host() == new.host());
        }
    }
}

fn opens(head: &Head<'_>) {
    let (strict, lenient) = (handshake(head, false), handshake(head, true));
    match strict {
        Ok(_) => assert_eq!(strict, lenient),
        Err(refusal) => {
            assert_eq!(refusal == Refusal::Method, head.method() != Method::Get);
            assert!(matches!(refusal.status(), 400 | 405 | 426) && !refusal.to_string().is_empty());
        }
    }
}

/// The fields but those that are written anew, sorted.
fn sorted(head: &Head<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let fields = head.fields().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()));
    let mut all: Vec<_> = fields.filter(|(name, _)| name != b"host" && name != b"cookie").collect();
    all.sort();
    all
}

/// The same request as HTTP/2 has it: refused for what is of a connection or has no place there, or read as it was.
fn by_http2(head: &Head<'_>) {
    let fields: Vec<_> =
        head.fields().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let (mut wire, mut parser) = (Vec::new(), HeadParser::new());
    for authority in [None, head.host()] {
        wire.clear();
        let pseudo = Pseudo { method: head.method_bytes(), authority, path: head.target() };
        let put = pseudo.put(fields.iter().map(|(name, value)| (&name[..], *value)), &mut wire);
        let has_capitals = head.fields().any(|(name, _)| name.iter().any(u8::is_ascii_uppercase));
        let put_as_it_is = pseudo.put(head.fields(), &mut Vec::new());
        assert!(put_as_it_is.is_err() || put.is_ok() || has_capitals);
        let Ok(()) = put else { continue };
        if parser.parse_as(Version::Http2, &wire, &Limits::default()).is_err() {
            continue;
        }
        let again = parser.head(&wire);
        assert_eq!((again.method_bytes(), again.target()), (head.method_bytes(), head.target()));
        assert_eq!(sorted(&again), sorted(head));
        assert!(again.fields().filter(|(name, _)| name == b"cookie").count() < 2);
        assert_eq!(again.version().as_str(), "HTTP/2");
        if let Ok(announced) = announced(&again) {
            let length = head.all(Known::ContentLength).next();
            assert_eq!(announced.length.is_some(), length.is_some());
            assert_eq!(announced.expect_continue, head.has(Known::Expect));
        }
    }
}

#[rustfmt::skip]
const BY_CHOICE: [Error; 9] = [Error::Host, Error::HostMissing, Error::HostRepeated, Error::Target,
    Error::Connect, Error::MethodTooLong, Error::UriTooLong, Error::HeadTooLarge, Error::TooManyFields];
