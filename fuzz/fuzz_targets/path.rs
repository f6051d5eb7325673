//! A target is its path, `?` and its query; a path decodes to its own bytes with each escape made
//! one byte, or not at all; no entry of a query outgrows it; a valid Host holds no byte that could
//! end a host; an encoded segment is harmless in a link and decodes to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::host::valid_host;
use number8_proto::uri::{Query, Target, decode_path, encode_path_segment};

// The input is a head, so that whole requests are seeds: some of its words are targets or hosts.
fuzz_target!(|head: &[u8]| {
    for word in head.split(u8::is_ascii_whitespace) {
        let Target { path, query } = Target::split(word);
        match query {
            Some(query) => assert_eq!([path, b"?", query].concat(), word),
            None => assert_eq!(path, word),
        }
        if let Ok(decoded) = decode_path(path) {
            let escapes = path.iter().filter(|&&b| b == b'%').count();
            assert_eq!(decoded.len() + 2 * escapes, path.len());
        }
        let query = query.unwrap_or_default();
        let entries = Query::new(query);
        let sizes = entries.map(|entry| entry.key.len() + entry.value.map_or(0, |v| v.len()));
        assert!(sizes.sum::<usize>() <= query.len());
        if valid_host(word) {
            assert!(word.iter().all(|b| b.is_ascii_graphic() && !b"/?#@\\,".contains(b)));
        }
    }
    let segment = encode_path_segment(head);
    assert!(segment.bytes().all(|b| b.is_ascii_graphic() && !b"/?#\"'<>&+:;".contains(&b)));
    assert_eq!(decode_path(segment.as_bytes()).as_deref(), Ok(head));
});
