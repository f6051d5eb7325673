//! A Content-Disposition that is accepted reads the same with white space around its parts and a parameter that nobody
//! knows at its end; its name is no longer than the field, but for the Latin-1 that becomes UTF-8. A name that is written
//! as RFC 8187 has it is read again, before one that is written plainly.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::disposition::ContentDisposition;

/// The parameter that holds this name, every byte of it encoded.
fn extended(charset: &str, name: &[u8]) -> String {
    let encoded: String = name.iter().map(|byte| format!("%{byte:02x}")).collect();
    format!("attachment; filename=\"plain\"; FileName*={charset}'en'{encoded}")
}

fn name_of(field: &str) -> Vec<u8> {
    let parsed = ContentDisposition::parse(field.as_bytes()).expect("a field by its grammar");
    assert!(parsed.is_attachment());
    parsed.filename.expect("two names").into_owned()
}

fuzz_target!(|value: &[u8]| {
    let is_text = str::from_utf8(value).is_ok();
    assert_eq!(name_of(&extended("UTF-8", value)), if is_text { value } else { b"plain" });
    let latin_1: String = value.iter().map(|&byte| char::from(byte)).collect();
    assert_eq!(name_of(&extended("iso-8859-1", value)), latin_1.into_bytes());
    assert_eq!(name_of(&extended("koi8-r", value)), b"plain");
    let Some(parsed) = ContentDisposition::parse(value) else { return };
    assert!(value.starts_with(parsed.kind) && !parsed.kind.is_empty());
    if let Some(name) = &parsed.filename {
        assert!(name.len() <= 2 * value.len());
    }
    let value = value.strip_suffix(b" ").unwrap_or(value);
    let longer =
        [value.trim_ascii_end().strip_suffix(b";").unwrap_or(value), b" ; x = \"y\" "].concat();
    assert_eq!(
        ContentDisposition::parse(&longer).map(|again| again.filename),
        Some(parsed.filename)
    );
});
