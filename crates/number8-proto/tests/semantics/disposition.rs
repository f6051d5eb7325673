//! Content-Disposition: what a file is to be called.

use number8_proto::disposition::ContentDisposition;
use proptest::prelude::*;

fn filename(value: &[u8]) -> Option<Vec<u8>> {
    ContentDisposition::parse(value)?.filename.map(|name| name.into_owned())
}

#[test]
fn u26_u27_both_spellings_are_attachments() {
    for (value, is_attachment) in [
        ("attachment", true),
        ("attachement; filename=\"/path/to/file\"", true),
        ("ATTACHMENT ; filename=x", true),
        ("inline; filename=x", false),
        ("form-data; name=x", false),
    ] {
        let parsed = ContentDisposition::parse(value.as_bytes()).unwrap();
        assert_eq!(parsed.is_attachment(), is_attachment, "{value}");
    }
}

#[test]
fn u27_the_name_is_what_the_client_chose() {
    for (value, want) in [
        ("attachment; filename=\"/path/to/file\"", "/path/to/file"),
        ("attachment;filename=plain.txt;", "plain.txt"),
        ("attachment; FileName = \"a b\" ; size=3", "a b"),
        (r#"attachment; filename="a\"b\\c""#, r#"a"b\c"#),
        ("attachment; filename=\"\"", ""),
        ("attachment; filename=\"héllo\"", "héllo"),
        // RFC 6266 §4.3: the extended form comes first, wherever it stands.
        ("attachment; filename=\"e.txt\"; filename*=UTF-8''%E2%82%AC.txt", "€.txt"),
        ("attachment; filename*=utf-8'en'%e2%82%ac.txt; filename=e.txt", "€.txt"),
        ("attachment; filename*=iso-8859-1''%E9t%E9", "été"),
        // What cannot be read is as if it was not there.
        ("attachment; filename=e.txt; filename*=koi8-r''%C1", "e.txt"),
        ("attachment; filename=e.txt; filename*=UTF-8''%FF", "e.txt"),
        ("attachment; filename=e.txt; filename*=UTF-8''%4", "e.txt"),
        ("attachment; filename=e.txt; filename*=nothing", "e.txt"),
    ] {
        let name = filename(value.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(name).unwrap(), want, "{value}");
    }
    assert_eq!(filename(b"attachment"), None);
}

#[test]
fn u26_what_is_not_valid_is_refused() {
    for value in [
        "",
        ";",
        "; filename=x",
        "attachment filename=x",
        "attachment; filename",
        "attachment; filename=",
        "attachment; =x",
        "attachment; filename=a b",
        "attachment; filename=/a",
        "attachment; filename=\"open",
        "attachment; filename=\"open\\",
        "attachment; filename=\"a\"b",
        "attachment; filename=a; filename=b",
        "attachment; filename*=UTF-8''a; FILENAME*=UTF-8''b",
    ] {
        assert_eq!(ContentDisposition::parse(value.as_bytes()), None, "{value}");
    }
}

proptest! {
    #[test]
    fn any_name_comes_back_however_it_is_quoted(name in proptest::collection::vec(any::<u8>(), 0..60)) {
        let escaped: Vec<u8> = name.iter().flat_map(|&b| [b'\\', b]).collect();
        let value = [b"attachment; filename=\"", &escaped[..], b"\"; x=y"].concat();
        prop_assert_eq!(filename(&value), Some(name.clone()));
        if let Ok(text) = std::str::from_utf8(&name) {
            let encoded: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
            let value = format!("attachment; filename*=UTF-8''{encoded}");
            prop_assert_eq!(filename(value.as_bytes()), Some(name));
        }
    }

    #[test]
    fn no_value_makes_it_panic(value in proptest::collection::vec(any::<u8>(), 0..100)) {
        if let Some(name) = filename(&value) {
            // Latin-1 may double; nothing else grows.
            prop_assert!(name.len() <= 2 * value.len());
        }
    }
}
