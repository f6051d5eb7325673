//! A target is its path, `?` and its query; a path decodes to its own bytes with each escape made
//! one byte, or not at all; no entry of a query outgrows it; a valid Host holds no byte that could
//! end a host, is a name with a port, and has the pages of that name and port for its own; an
//! encoded segment is harmless in a link and decodes to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::host::{is_literal_or_localhost, is_origin_of, name_of, valid_host};
use number8_proto::uri::{Query, Target, decode_path, encode_path_segment};

// The input is a head, so that whole requests are seeds: some of its words are targets or hosts.
fuzz_target!(|head: &[u8]| {
    let words: Vec<_> = head.split(u8::is_ascii_whitespace).collect();
    for pair in words.windows(2).filter(|pair| pair.iter().all(|word| valid_host(word))) {
        hosts(pair[0], pair[1]);
    }
    for word in words {
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

/// Two valid hosts: whether the pages of one are those of the other, beside a plain reading.
fn hosts(host: &[u8], other: &[u8]) {
    for (scheme, default) in [(&b"http://"[..], &b"80"[..]), (b"https://", b"443")] {
        let same = parts(host, default) == parts(other, default);
        assert_eq!(is_origin_of(&[scheme, other].concat(), host), same);
        assert_eq!(is_origin_of(&[scheme, &other.to_ascii_uppercase()].concat(), host), same);
    }
    assert!(!is_origin_of(other, host) && !is_origin_of(&[b"ftp://", host].concat(), host));
    let is_local = name_of(host).eq_ignore_ascii_case(b"localhost") || host.starts_with(b"[");
    let is_address = String::from_utf8_lossy(name_of(host)).parse::<std::net::Ipv4Addr>().is_ok();
    assert_eq!(is_literal_or_localhost(host), is_local || is_address);
}

/// Name and port, as browsers compare them.
fn parts(host: &[u8], default: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let text = String::from_utf8_lossy(host).to_ascii_lowercase();
    let end = text.rfind(']').map_or(0, |end| end + 1);
    let colon = text[end..].rfind(':').map_or(text.len(), |colon| end + colon);
    let port = text[colon..].trim_start_matches(':').as_bytes();
    let name = &text[..colon];
    let port = if port.is_empty() { default } else { port };
    (name.strip_suffix('.').unwrap_or(name).into(), port.into())
}
