//! Whatever we accept, strict or lenient, httparse accepts too, and reads the same method, target,
//! version and fields in the same bytes. Two differences are allowed: a minor version above 1.1, and a
//! target that is no UTF-8, which httparse refuses. What httparse accepts and we refuse, we refuse for a
//! reason that it has no rule for: the end of a line, Host, the form of the target, or a limit. A field
//! that came can be sent again as it came, unless it frames.
#![no_main]

use httparse::{EMPTY_HEADER, Status};
use libfuzzer_sys::fuzz_target;
use number8_proto::headers::Fields;
use number8_proto::http1::{HeadParser, Version};
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
        let theirs = theirs.headers.iter().map(|field| (field.name.as_bytes(), field.value));
        assert!(theirs.eq(head.fields()));
    }
    let mut sent = Fields::fixed("Vary: Accept\r\n");
    for (name, value) in head.fields() {
        let name = str::from_utf8(name).expect("a token");
        if sent.push(name, value).is_ok() && sent.set("Vary", b"*").is_ok() {
            assert!(name.eq_ignore_ascii_case("Vary") || sent.iter().any(|f| f == (name, value)));
        }
    }
});

#[rustfmt::skip]
const BY_CHOICE: [Error; 9] = [Error::Host, Error::HostMissing, Error::HostRepeated, Error::Target,
    Error::Connect, Error::MethodTooLong, Error::UriTooLong, Error::HeadTooLarge, Error::TooManyFields];
