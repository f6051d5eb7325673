//! A query, or a form that is urlencoded, says what `form_urlencoded`, the reading of the URL standard, finds in it; and
//! what that writes is read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::uri::Query;

fn read(query: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pairs = Query::new(query);
    pairs.map(|pair| (text(&pair.key), text(&pair.value.unwrap_or_default()))).collect()
}

fuzz_target!(|input: &[u8]| {
    let pairs = read(input);
    assert_eq!(pairs, form_urlencoded::parse(input).into_owned().collect::<Vec<_>>());
    let written = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
    assert_eq!(read(written.as_bytes()), pairs);
});
