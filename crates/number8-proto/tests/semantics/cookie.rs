use std::time::Duration;

use number8_proto::cookie::{Cookie, CookieError, SameSite, cookies};
use proptest::prelude::*;

use super::field_value;

#[test]
fn r14_what_browsers_send_is_read() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &[]),
        ("a=1", &[("a", "1")]),
        ("a=1; b=2", &[("a", "1"), ("b", "2")]),
        ("a=1;b=2 ;\tc = 3 ", &[("a", "1"), ("b", "2"), ("c", "3")]),
        ("a=b=c", &[("a", "b=c")]),
        ("a=", &[("a", "")]),
        ("a=\"1, 2\"", &[("a", "\"1, 2\"")]),
        // Neither a name nor a value that somebody asked for.
        ("=1; alone; ; a=2", &[("a", "2")]),
    ];
    for (value, expected) in cases {
        let found: Vec<_> = cookies(value.as_bytes()).collect();
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        assert_eq!(found, expected, "{value:?}");
    }
}

#[test]
fn r14_l14_cookies_that_cannot_be_sent_are_refused() {
    let a = || Cookie::new("a", "1");
    let cases = [
        (Cookie::new("", "1"), CookieError::Name),
        (Cookie::new("a b", "1"), CookieError::Name),
        (Cookie::new("a", "1\r\nX: 2"), CookieError::Value),
        (Cookie::new("a", "1\n"), CookieError::Value),
        (Cookie::new("a", "\0"), CookieError::Value),
        (Cookie::new("a", "1; Domain=evil"), CookieError::Value),
        (Cookie::new("a", "two words"), CookieError::Value),
        (Cookie::new("a", "\""), CookieError::Value),
        (Cookie::new("a", "caf\u{e9}"), CookieError::Value),
        (a().path("b"), CookieError::Path),
        (a().path("/;Secure"), CookieError::Path),
        (a().path("/\r\n"), CookieError::Path),
        (a().domain("a b"), CookieError::Domain),
        (a().domain("a;b"), CookieError::Domain),
        (a().domain(""), CookieError::Domain),
        (Cookie::new("a", "1".repeat(4096)), CookieError::TooLong),
        (a().path("/".repeat(1025)), CookieError::TooLong),
        (a().same_site(SameSite::None), CookieError::NotSecure),
        (Cookie::new("__Secure-a", "1"), CookieError::NotSecure),
        (Cookie::new("__host-a", "1"), CookieError::NotSecure),
        (Cookie::new("__Host-a", "1").secure().path("/b"), CookieError::NotForHost),
        (Cookie::new("__Host-a", "1").secure().domain("a.b"), CookieError::NotForHost),
    ];
    for (cookie, error) in cases {
        assert_eq!(cookie.field_value(), Err(error), "{cookie:?}");
    }
}

#[test]
fn r14_attributes_are_written() {
    let a = || Cookie::new("a", "1");
    let cases = [
        (a(), "a=1; Path=/; HttpOnly; SameSite=Lax"),
        (a().path("/b"), "a=1; Path=/b; HttpOnly; SameSite=Lax"),
        (a().domain("a.example"), "a=1; Path=/; Domain=a.example; HttpOnly; SameSite=Lax"),
        (a().readable_by_scripts(), "a=1; Path=/; SameSite=Lax"),
        (a().same_site(SameSite::None).secure(), "a=1; Path=/; Secure; HttpOnly; SameSite=None"),
        (
            a().same_site(SameSite::Strict).max_age(Duration::from_millis(8999)),
            "a=1; Path=/; Max-Age=8; HttpOnly; SameSite=Strict",
        ),
        (Cookie::removal("a"), "a=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
        (Cookie::new("a", "\"1\""), "a=\"1\"; Path=/; HttpOnly; SameSite=Lax"),
        (Cookie::new("a", "1".repeat(4095)), ""),
    ];
    for (cookie, value) in cases {
        let written = cookie.field_value().unwrap();
        assert!(value.is_empty() || written == value, "{written}");
    }
}

proptest! {
    #[test]
    fn a_cookie_that_is_set_comes_back(
        name in "[!#$%&'*+.^_`|~a-zA-Z0-9-]{1,16}",
        value in any::<String>(),
        others in "[a-z=; ]{0,16}",
    ) {
        if let Ok(set) = Cookie::new(&name, &value).secure().field_value() {
            let pair = set.split(';').next().unwrap();
            let field = format!("{pair};{others}");
            let first = cookies(field.as_bytes()).next();
            prop_assert_eq!(first, Some((name.as_bytes(), value.as_bytes())));
        }
    }

    #[test]
    fn a_cookie_is_a_part_of_its_field(value in field_value()) {
        for (name, content) in cookies(&value) {
            prop_assert!(!name.is_empty() && !name.contains(&b'=') && !name.contains(&b';'));
            prop_assert!(!content.contains(&b';'));
            prop_assert!(name.len() + content.len() < value.len());
        }
    }
}
