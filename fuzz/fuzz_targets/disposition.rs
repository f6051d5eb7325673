//! A Content-Disposition that is accepted reads the same with white space around its parts and a parameter that nobody
//! knows at its end; its name is no longer than the field, but for the Latin-1 that becomes UTF-8.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::disposition::ContentDisposition;

fuzz_target!(|value: &[u8]| {
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
