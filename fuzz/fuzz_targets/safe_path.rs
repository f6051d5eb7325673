//! A path that may be opened is the names between the slashes, none of which leads elsewhere, is hidden or is odd; every
//! other path is refused. Read again, joined or cut in two it is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8::store::{Hidden, SafePath};

/// The names, where all of them are right.
fn plain(path: &[u8], hidden: Hidden) -> Option<Vec<&[u8]>> {
    if !path.starts_with(b"/") || path.len() > 4096 {
        return None;
    }
    let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
    let names: Vec<&[u8]> = names.collect();
    let is_right = |(at, name): (usize, &&[u8])| {
        let lower = name.to_ascii_lowercase();
        let is_hidden = match hidden {
            Hidden::Serve => false,
            Hidden::Refuse => name[0] == b'.' && (at > 0 || **name != *b".well-known"),
        };
        !matches!(*name, b"." | b"..")
            && !is_hidden
            && !lower.starts_with(b".number8-")
            && name.len() <= 255
            && name.iter().all(|&byte| byte >= b' ' && byte != 0x7f && byte != b'\\')
    };
    names.iter().enumerate().all(is_right).then_some(names)
}

fuzz_target!(|input: &[u8]| {
    for hidden in [Hidden::Refuse, Hidden::Serve] {
        let names = plain(input, hidden);
        let Ok(path) = SafePath::parse(input, hidden) else {
            assert_eq!(names, None);
            continue;
        };
        let names = names.expect("it is refused by a plain reading");
        assert_eq!(path.as_bytes(), names.join(&b'/'));
        assert_eq!(path.file_name(), names.last().copied());
        assert_eq!(path.names_folder(), input.ends_with(b"/"));
        let again = SafePath::parse(&[b"/", path.as_bytes()].concat(), hidden).unwrap();
        assert_eq!(again.as_bytes(), path.as_bytes());
        // To join adds two slashes, which count.
        let may_be_joined = input.len() + 2 <= 4096;
        for cut in (0..input.len()).filter(|&at| may_be_joined && input[at] == b'/') {
            let start = SafePath::parse(&[b"/", &input[..cut]].concat(), hidden).unwrap();
            assert_eq!(start.join(&input[cut..], hidden).unwrap(), path);
        }
    }
});
