//! Which URL paths are paths at all.

use number8::store::{Hidden, PathError, SafePath};
use proptest::prelude::*;

type Case<'a> = (&'a [u8], Result<&'a [u8], PathError>);

fn check(cases: &[Case<'_>], hidden: Hidden) {
    for (url, expected) in cases {
        let path = SafePath::parse(url, hidden);
        let got = path.as_ref().map(SafePath::as_bytes).map_err(|error| *error);
        assert_eq!(got, *expected, "{}", url.escape_ascii());
    }
}

#[test]
fn h12_paths_are_names_or_refused() {
    let long_name = [b"/".to_vec(), vec![b'a'; 256]].concat();
    let longest_name = vec![b'a'; 255];
    let longest_name_url = [b"/", &longest_name[..]].concat();
    let long_path = b"/a".repeat(2049);
    let longest_path = b"/a".repeat(2048);
    check(
        &[
            (b"/", Ok(b"")),
            (b"/a", Ok(b"a")),
            (b"/a/b.txt", Ok(b"a/b.txt")),
            (b"/a/", Ok(b"a")),
            (b"//a///b//", Ok(b"a/b")),
            (b"/a b?c#d%e", Ok(b"a b?c#d%e")),
            (b"/...", Err(PathError::Hidden)),
            (b"/a..b/c.", Ok(b"a..b/c.")),
            (b"/\xff\xfe", Ok(b"\xff\xfe")),
            ("/ü/日本".as_bytes(), Ok("ü/日本".as_bytes())),
            (b"", Err(PathError::NotAbsolute)),
            (b"a", Err(PathError::NotAbsolute)),
            (b"*", Err(PathError::NotAbsolute)),
            (b"../a", Err(PathError::NotAbsolute)),
            (b"\\a", Err(PathError::NotAbsolute)),
            (b"/.", Err(PathError::DotSegment)),
            (b"/..", Err(PathError::DotSegment)),
            (b"/../", Err(PathError::DotSegment)),
            (b"/../../../../etc/passwd", Err(PathError::DotSegment)),
            (b"/a/../b", Err(PathError::DotSegment)),
            (b"/a/./b", Err(PathError::DotSegment)),
            (b"/a/..", Err(PathError::DotSegment)),
            (b"//..//", Err(PathError::DotSegment)),
            (b"/a\0b", Err(PathError::Byte)),
            (b"/a.txt\0.jpg", Err(PathError::Byte)),
            (b"/..\0/", Err(PathError::Byte)),
            (b"/a\r\nb", Err(PathError::Byte)),
            (b"/a\x1b[31m", Err(PathError::Byte)),
            (b"/a\x7f", Err(PathError::Byte)),
            (b"/..\\..\\windows", Err(PathError::Byte)),
            (b"/a\\b", Err(PathError::Byte)),
            (b"/C:\\boot.ini", Err(PathError::Byte)),
            (&long_name, Err(PathError::TooLong)),
            (&longest_name_url, Ok(&longest_name)),
            (&long_path, Err(PathError::TooLong)),
            (&longest_path, Ok(&longest_path[1..])),
        ],
        Hidden::Refuse,
    );
}

#[test]
fn hidden_names_are_refused_but_for_well_known() {
    check(
        &[
            (b"/.git", Err(PathError::Hidden)),
            (b"/.git/config", Err(PathError::Hidden)),
            (b"/a/.env", Err(PathError::Hidden)),
            (b"/.well-known", Ok(b".well-known")),
            (b"/.well-known/acme-challenge/x", Ok(b".well-known/acme-challenge/x")),
            (b"/.well-known/.x", Err(PathError::Hidden)),
            (b"/.well-knownx", Err(PathError::Hidden)),
            (b"/a/.well-known", Err(PathError::Hidden)),
            (b"/.number8-1", Err(PathError::Hidden)),
        ],
        Hidden::Refuse,
    );
    check(
        &[
            (b"/.git/config", Ok(b".git/config")),
            (b"/...", Ok(b"...")),
            (b"/.number8", Ok(b".number8")),
            (b"/.number8-1", Err(PathError::Hidden)),
            (b"/.NUMBER8-1", Err(PathError::Hidden)),
            (b"/a/.number8-1/b", Err(PathError::Hidden)),
            (b"/..", Err(PathError::DotSegment)),
        ],
        Hidden::Serve,
    );
}

#[test]
fn paths_grow_under_the_same_rules() {
    let folder = SafePath::parse(b"/a/", Hidden::Refuse).unwrap();
    assert!(folder.names_folder());
    let index = folder.join(b"index.html", Hidden::Refuse).unwrap();
    assert_eq!(index.as_bytes(), b"a/index.html");
    assert!(!index.names_folder());
    assert_eq!(index.file_name(), Some(&b"index.html"[..]));
    assert_eq!(index.with_suffix(b".br").unwrap().as_bytes(), b"a/index.html.br");
    assert_eq!(folder.join(b"../b", Hidden::Refuse), Err(PathError::DotSegment));
    assert_eq!(folder.join(b".env", Hidden::Refuse), Err(PathError::Hidden));

    let top = SafePath::parse(b"/", Hidden::Refuse).unwrap();
    assert_eq!(top.file_name(), None);
    assert_eq!(top.join(b"a", Hidden::Refuse).unwrap().as_bytes(), b"a");

    let longest = SafePath::parse(&[b"/", &[b'a'; 253][..]].concat(), Hidden::Refuse).unwrap();
    assert_eq!(longest.with_suffix(b".br"), Err(PathError::TooLong));
}

proptest! {
    /// Whatever comes in, what comes out cannot climb, hide or end early.
    #[test]
    fn no_bytes_make_an_unsafe_path(url in proptest::collection::vec(prop_oneof![
        3 => prop::sample::select(b"/.\\a\0".to_vec()),
        1 => any::<u8>(),
    ], 0..64)) {
        if let Ok(path) = SafePath::parse(&[b"/", &url[..]].concat(), Hidden::Refuse) {
            let bytes = path.as_bytes();
            prop_assert!(bytes.iter().all(|byte| !byte.is_ascii_control() && *byte != b'\\'));
            for name in bytes.split(|byte| *byte == b'/') {
                prop_assert!(!name.starts_with(b"."));
                prop_assert!(!name.is_empty() || bytes.is_empty());
            }
            let again = SafePath::parse(&[b"/", bytes].concat(), Hidden::Refuse).unwrap();
            prop_assert_eq!(again.as_bytes(), bytes);
        }
    }
}
