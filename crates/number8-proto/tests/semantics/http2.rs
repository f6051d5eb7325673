use number8_proto::http1::{HeadParser, Version};
use number8_proto::http2::Pseudo;
use number8_proto::{Error, Limits};
use proptest::collection::vec;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..16),
        "[a-zA-Z:/ ?*\r\n\t.-]{0,16}".prop_map(String::into_bytes),
        "[a-z/][a-z.]{0,8}".prop_map(String::into_bytes),
    ]
}

proptest! {
    /// SECURITY: whatever comes in the fields of HTTP/2 is one head, of just these parts.
    #[test]
    fn g7_a_request_that_is_written_is_read_as_it_was(
        method in bytes(),
        authority in bytes(),
        path in bytes(),
        fields in vec((bytes(), bytes()), 0..6),
    ) {
        let pseudo = Pseudo { method: &method, authority: Some(&authority), path: &path };
        let mut head = Vec::new();
        let all = fields.iter().map(|(name, value)| (&name[..], &value[..]));
        let mut parser = HeadParser::new();
        if pseudo.put(all.clone(), &mut head).is_err()
            || parser.parse_as(Version::Http2, &head, &Limits::default()).is_err()
        {
            return Ok(());
        }
        let read = parser.head(&head);
        prop_assert_eq!(read.version(), Version::Http2);
        prop_assert_eq!(read.method_bytes(), &method[..]);
        prop_assert_eq!(read.target(), &path[..]);
        prop_assert_eq!(read.host(), Some(&authority[..]));
        let read: Vec<_> = read.fields().skip(1).filter(|(name, _)| *name != b"cookie").collect();
        let sent: Vec<_> = all.filter(|(name, _)| *name != b"cookie" && *name != b"host").collect();
        prop_assert_eq!(read, sent);
    }
}

#[test]
fn g7_requests_that_are_malformed_have_no_head() {
    type Bytes = &'static [u8];
    type Case = (Bytes, Option<Bytes>, Bytes, (Bytes, Bytes), Error);
    let cases: [Case; 12] = [
        (b"G T", None, b"/", (b"x", b"y"), Error::RequestLine),
        (b"GET", None, b"", (b"x", b"y"), Error::Target),
        (b"GET", None, b"/ /", (b"x", b"y"), Error::Target),
        (b"CONNECT", None, b"", (b"x", b"y"), Error::Target),
        (b"GET", Some(b"a"), b"/", (b"host", b"b"), Error::Authority),
        (b"GET", None, b"/", (b"connection", b"close"), Error::ConnectionField),
        (b"GET", None, b"/", (b"transfer-encoding", b"chunked"), Error::ConnectionField),
        (b"GET", None, b"/", (b"upgrade", b"x"), Error::ConnectionField),
        (b"GET", None, b"/", (b"keep-alive", b"x"), Error::ConnectionField),
        (b"GET", None, b"/", (b"te", b"gzip"), Error::ConnectionField),
        (b"GET", None, b"/", (b"X", b"y"), Error::FieldName),
        (b"GET", None, b"/", (b"x", b"y "), Error::FieldValue),
    ];
    for (method, authority, path, field, error) in cases {
        let pseudo = Pseudo { method, authority, path };
        let put = pseudo.put([field].into_iter(), &mut Vec::new());
        assert_eq!(put, Err(error), "{}", String::from_utf8_lossy(field.0));
    }
    let equal = Pseudo { method: b"GET", authority: Some(b"Host"), path: b"/" };
    assert_eq!(equal.put([(&b"host"[..], &b"hOST"[..])].into_iter(), &mut Vec::new()), Ok(()));
}

#[test]
fn g7_cookies_that_come_in_pieces_are_one() {
    let pseudo = Pseudo { method: b"GET", authority: None, path: b"/" };
    let cases: [(&[&str], &str); 5] = [
        (&[], ""),
        (&["a=b", "c=d"], "cookie: a=b; c=d\r\n"),
        // One without a value is as it would be over HTTP/1.1, and adds nothing to others.
        (&[""], "cookie: \r\n"),
        (&["", "a=b", ""], "cookie: a=b\r\n"),
        (&["", "a=b", "", "c=d"], "cookie: a=b; c=d\r\n"),
    ];
    for (cookies, expected) in cases {
        let others = [(&b"host"[..], &b"localhost"[..]), (b"x", b"y")];
        let cookies = cookies.iter().map(|value| (&b"cookie"[..], value.as_bytes()));
        let mut head = Vec::new();
        pseudo.put(cookies.chain(others), &mut head).unwrap();
        let expected = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: y\r\n{expected}\r\n");
        assert_eq!(String::from_utf8(head).unwrap(), expected);
    }
}
