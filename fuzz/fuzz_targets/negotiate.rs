//! Accept-Encoding, Accept and TE mean what a plain reading of RFC 9110 §12.4 and §12.5 finds in them: the same codings
//! with the same weights, whatever is available, the same choice between JSON and HTML, the same word on trailers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::negotiate::Coding::{self, Br, Gzip, Identity, Zstd};
use number8_proto::negotiate::{accepted_encodings, prefers_json, takes_trailers};

/// The members of a list by one walk over its bytes, names in small letters, weights in thousandths; `None` is a wrong one.
fn members(value: &[u8]) -> Vec<(Vec<u8>, Option<u64>)> {
    let mut members = vec![vec![Vec::new()]];
    let (mut quoted, mut escaped) = (false, false);
    for &byte in value {
        let parts = members.last_mut().unwrap();
        match byte {
            b',' if !quoted => members.push(vec![Vec::new()]),
            b';' if !quoted => parts.push(Vec::new()),
            _ => parts.last_mut().unwrap().push(byte),
        }
        (quoted, escaped) = match byte {
            _ if escaped => (quoted, false),
            b'"' => (!quoted, false),
            b'\\' => (quoted, quoted),
            _ => (quoted, false),
        };
    }
    let read = |parts: Vec<Vec<u8>>| {
        let mut parts = parts.iter().map(|part| part.trim_ascii()).filter(|part| !part.is_empty());
        let name = parts.next()?.to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix(b"q=").or(part.strip_prefix(b"Q=")));
        Some((name, weight.map_or(Some(1000), thousandths)))
    };
    members.into_iter().filter_map(read).collect()
}

fn thousandths(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let shape = text.replace(|digit: char| digit.is_ascii_digit(), "d");
    let known = ["d", "d.", "d.d", "d.dd", "d.ddd"].contains(&shape.as_str());
    let weight = (text.trim_end_matches('.').parse::<f64>().ok()? * 1000.0).round() as u64;
    (known && weight <= 1000).then_some(weight)
}

fn weight_of(coding: Coding, members: &[(Vec<u8>, Option<u64>)]) -> u64 {
    let last = |names: &[&[u8]]| {
        let named = members.iter().rev().filter(|(name, _)| names.contains(&name.as_slice()));
        named.filter_map(|(_, weight)| *weight).next()
    };
    let own = match coding {
        Gzip => last(&[b"gzip", b"x-gzip"]),
        _ => last(&[coding.name().as_bytes()]),
    };
    own.or_else(|| last(&[b"*"])).unwrap_or(u64::from(coding == Identity))
}

/// How much a type is liked, and how closely it was named.
fn liking(names: [&[u8]; 3], members: &[(Vec<u8>, Option<u64>)]) -> (u64, usize) {
    for (closeness, wanted) in names.iter().enumerate().rev() {
        let named = members.iter().filter(|(name, _)| name == wanted);
        if let Some(weight) = named.filter_map(|(_, weight)| *weight).max() {
            return if weight == 0 { (0, 0) } else { (weight, closeness) };
        }
    }
    (0, 0)
}

fuzz_target!(|input: &[u8]| {
    let members = members(input);
    let accepted = accepted_encodings(input);
    for coding in [Identity, Gzip, Br, Zstd] {
        assert_eq!(accepted.accepts(coding), weight_of(coding, &members) > 0, "{coding:?}");
    }
    for available in [&[][..], &[Gzip], &[Br, Gzip], &[Zstd, Br, Gzip]] {
        let choices = available.iter().copied().chain([Identity]);
        let weighed = choices.map(|coding| (weight_of(coding, &members), coding));
        let best = weighed.filter(|(weight, _)| *weight > 0).max().map(|(_, coding)| coding);
        assert_eq!(accepted.best(available), best, "of {available:?}");
    }
    let json = liking([b"*/*", b"application/*", b"application/json"], &members);
    let html = liking([b"*/*", b"text/*", b"text/html"], &members);
    assert_eq!(prefers_json(input), json > html);
    let trailers = members.iter().any(|(name, weight)| name == b"trailers" && weight.is_some());
    assert_eq!(takes_trailers(input), trailers);
});
