use number8_proto::Limits;
use number8_proto::headers::Known;
use number8_proto::http1::{Head, HeadParser};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::request;

/// Heads that begin alike.
fn of_one_client() -> impl Strategy<Value = Vec<u8>> {
    let target = select(vec!["GET / ", "GET http://b/ ", "POST /a?b "]);
    let name = select(vec!["Host: ", "Hosts: "]);
    let value = select(vec!["a", "a:8080 ", "a:80x0 ", "a_b:80800"]);
    let ends = select(vec!["\r\n", "\n", "\r\nHost: a:8080 \r\n"]);
    // What is compared by words, what is compared as a whole, and what is too long to be remembered.
    let more = prop_oneof![4 => Just(0), 1 => Just(80), 1 => Just(1200)];
    (target, more, name, value, ends).prop_map(|(target, more, name, value, ends)| {
        let more = if more > 0 { format!("X: {}\r\n", "y".repeat(more)) } else { String::new() };
        format!("{target}HTTP/1.1\r\n{more}{name}{value}{ends}\r\n").into_bytes()
    })
}

type Parsed = (Vec<u8>, Vec<u8>, String, Option<Vec<u8>>, Vec<(Vec<u8>, Vec<u8>)>);

fn parse(bytes: &[u8], lenient: bool) -> Option<Parsed> {
    let limits = Limits { lenient, ..Limits::default() };
    let mut parser = HeadParser::new();
    let length = parser.parse(bytes, &limits).ok()??;
    let head = parser.head(bytes);
    assert_eq!(head.bytes(), &bytes[..length]);
    Some(values(&head))
}

fn values(head: &Head<'_>) -> Parsed {
    let fields = head.fields().map(|(name, value)| (name.to_vec(), value.to_vec()));
    (
        head.method_bytes().to_vec(),
        head.target().to_vec(),
        format!("{:?} {:?} {:?}", head.version(), head.path(), head.query()),
        head.host().map(<[u8]>::to_vec),
        fields.collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_accepted_is_accepted_again_in_its_plainest_form(
        request in request(),
        lenient: bool,
    ) {
        let Some(parsed) = parse(&request, lenient) else { return Ok(()) };
        let (method, target, version, _, fields) = &parsed;
        let version = if version.starts_with("Http10") { "HTTP/1.0" } else { "HTTP/1.1" };
        let mut plain = [method, &b" "[..], target, b" ", version.as_bytes(), b"\r\n"].concat();
        for (name, value) in fields {
            plain.extend([name, &b": "[..], value, b"\r\n"].concat());
        }
        plain.extend(b"\r\n");
        prop_assert_eq!(parse(&plain, false), Some(parsed));
    }

    #[test]
    fn what_was_written_is_read(
        method in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}",
        path in "/[!-\"$-~]{0,40}",
        minor in 0u8..10,
        fields in vec(("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}", "([!-~]([ \t!-~]{0,40}[!-~])?)?"), 0..20),
        before in 0usize..5,
        ows in "[ \t]{0,3}",
    ) {
        prop_assume!(method != "CONNECT");
        prop_assume!(fields.iter().all(|(name, _)| !name.eq_ignore_ascii_case("host")));
        let mut text = "\r\n".repeat(before) + &format!("{method} {path} HTTP/1.{minor}\r\nHost: h\r\n");
        for (name, value) in &fields {
            text += &format!("{name}:{ows}{value}{ows}\r\n");
        }
        text += "\r\n";
        let (got_method, got_target, _, host, got) = parse(text.as_bytes(), false).expect("a valid head");
        prop_assert_eq!((&got_method[..], &got_target[..]), (method.as_bytes(), path.as_bytes()));
        prop_assert_eq!(host, Some(b"h".to_vec()));
        let want = fields.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()));
        prop_assert_eq!(&got[1..], &want.collect::<Vec<_>>()[..]);
    }

    // One parser serves many connections, whose limits may differ; it remembers fields that come again.
    #[test]
    fn what_a_parser_has_read_before_changes_nothing(
        requests in vec(
            (
                prop_oneof![1 => request(), 3 => of_one_client()],
                any::<bool>(),
                1usize..4,
                any::<bool>(),
            ),
            1..12,
        ),
    ) {
        let mut parser = HeadParser::new();
        for (request, lenient, fields_max, is_changed) in requests {
            parser.reset();
            let mut new = HeadParser::new();
            let limits = Limits { lenient, fields_max, ..Limits::default() };
            let read = parser.parse(&request, &limits);
            prop_assert_eq!(read, new.parse(&request, &limits));
            if let Ok(Some(_)) = read {
                prop_assert_eq!(values(&parser.head(&request)), values(&new.head(&request)));
                if is_changed {
                    parser.settle_host();
                    parser.forget(&[Known::Host]);
                }
            }
        }
    }

    #[test]
    fn a_copy_that_owns_its_bytes_says_the_same(request in request()) {
        let mut parser = HeadParser::new();
        if let Ok(Some(_)) = parser.parse(&request, &Limits::default()) {
            let head = parser.head(&request);
            prop_assert_eq!(values(&head.to_owned().head()), values(&head));
        }
    }
}
