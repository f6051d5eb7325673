//! A cookie that is read is a part of its field, without `;` and, in its name, `=`; setting it is refused, or
//! gives one line of which the same cookie is read back, with the attributes that were asked for and no others.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use number8_proto::cookie::{Cookie, SameSite, cookies};

// The input is a head, so that whole requests are seeds.
fuzz_target!(|head: &[u8]| {
    for line in head.split(|&byte| byte == b'\n') {
        for (name, value) in cookies(line) {
            assert!(!name.is_empty() && !name.contains(&b'=') && !name.contains(&b';'));
            assert!(!value.contains(&b';') && name.len() + value.len() < line.len());
            attributes(name, value, line);
            if let Ok(set) = Cookie::new(text(name), text(value)).secure().field_value() {
                assert!(set.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
                assert_eq!(cookies(set.as_bytes()).next(), Some((name, value)));
            }
        }
    }
});

/// Attributes that a head chooses by its bytes.
fn attributes(name: &[u8], value: &[u8], line: &[u8]) {
    let by = value.len() + line.len();
    let site = [SameSite::Strict, SameSite::Lax, SameSite::None][by % 3];
    let path = line.split(|&byte| byte == b' ').find(|word| word.starts_with(b"/")).unwrap_or(b"/");
    let mut cookie = Cookie::new(text(name), text(value)).path(text(path)).same_site(site);
    let mut expected = vec![format!("Path={}", text(path))];
    if by & 4 != 0 {
        cookie = cookie.domain(text(value));
        expected.push(format!("Domain={}", text(value)));
    }
    if by & 8 != 0 {
        cookie = cookie.max_age(Duration::from_millis(by as u64 * 100));
        expected.push(format!("Max-Age={}", by / 10));
    }
    if by & 16 != 0 {
        cookie = cookie.secure();
        expected.push("Secure".to_owned());
    }
    match by & 32 {
        0 => expected.push("HttpOnly".to_owned()),
        _ => cookie = cookie.readable_by_scripts(),
    }
    expected.push(format!("SameSite={site:?}"));
    match cookie.field_value() {
        Ok(set) => {
            let mut given = set.split("; ");
            assert_eq!(given.next(), Some(&*format!("{}={}", text(name), text(value))));
            assert!(given.eq(expected));
            // Browsers drop what may go to other sites without TLS (RFC 6265bis §5.7).
            assert!(site != SameSite::None || by & 16 != 0);
        }
        // A message is about the cookie, and tells nothing of it.
        Err(why) => assert!(why.to_string().bytes().all(|byte| (0x20..0x7f).contains(&byte))),
    }
    let removed = Cookie::removal(text(name)).field_value();
    assert!(removed.is_err() || removed.is_ok_and(|set| set.contains("=; Path=/; Max-Age=0;")));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
