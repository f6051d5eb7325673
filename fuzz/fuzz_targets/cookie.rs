//! A cookie that is read is a part of its field, without `;` and, in its name, `=`; setting it is refused, or
//! gives one line of which the same cookie is read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::cookie::{Cookie, cookies};

// The input is a head, so that whole requests are seeds.
fuzz_target!(|head: &[u8]| {
    for line in head.split(|&byte| byte == b'\n') {
        for (name, value) in cookies(line) {
            assert!(!name.is_empty() && !name.contains(&b'=') && !name.contains(&b';'));
            assert!(!value.contains(&b';') && name.len() + value.len() < line.len());
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            if let Ok(set) = Cookie::new(text(name), text(value)).secure().field_value() {
                assert!(set.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
                assert_eq!(cookies(set.as_bytes()).next(), Some((name, value)));
            }
        }
    }
});
