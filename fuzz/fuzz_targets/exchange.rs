//! What a client and a proxy would make of a connection: slow readers of answers and of framing.

use number8_proto::Limits;

use crate::reference::{Read, chunked, field};

/// Checks that `out` is one well-formed answer after another, given the heads they answer; returns how
/// many there are, interim ones not counted. The last may be cut short, or end with the connection.
pub fn answers(mut out: &[u8], heads: &[(usize, Vec<u8>)]) -> usize {
    let mut count = 0;
    while !out.is_empty() {
        let end = out.windows(4).position(|end| end == b"\r\n\r\n").expect("a whole head") + 4;
        let (head, rest) = out.split_at(end);
        let mut lines = head[..end - 4].split(|&b| b == b'\n').map(|line| line.trim_ascii_end());
        let status =
            lines.next().and_then(|line| line.strip_prefix(b"HTTP/1.1 ")).expect("a status");
        let status: u16 = str::from_utf8(&status[..3]).unwrap().parse().expect("three digits");
        let fields: Vec<_> = lines.map(|line| field(line).expect("a field")).collect();
        let find = |wanted: &str| {
            let mut all = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            (all.next().map(|(_, value)| *value), assert!(all.next().is_none(), "{wanted} twice")).0
        };
        let (length, coding) = (find("Content-Length"), find("Transfer-Encoding"));
        let asked = heads.get(count).map(|(_, head)| head);
        let is_to_head = asked.is_some_and(|head| head.trim_ascii_start().starts_with(b"HEAD "));
        let is_to_1_0 = asked.is_some_and(|head| {
            // A lenient server takes a bare LF, too.
            let mut lines = head.trim_ascii_start().split(|&b| b == b'\n');
            lines.next().is_some_and(|line| line.trim_ascii_end().ends_with(b"1.0"))
        });
        assert!(length.is_none() || coding.is_none(), "two lengths");
        assert!(coding.is_none() || !is_to_1_0, "chunked for HTTP/1.0");
        let used = match (length, coding) {
            _ if status == 100 || status == 204 || status == 304 || is_to_head => 0,
            (_, Some(coding)) => {
                assert_eq!(coding, b"chunked");
                let limits = Limits { trailer_bytes_max: usize::MAX, ..Default::default() };
                let Read::Whole(used) = chunked(rest, &limits, &mut Vec::new()) else {
                    panic!("chunks")
                };
                used
            }
            (Some(length), _) => str::from_utf8(length).unwrap().parse().expect("a number"),
            (None, None) => rest.len(),
        };
        out = &rest[used.min(rest.len())..];
        count += usize::from(status != 100);
    }
    count
}

/// How long the body is that belongs to a head that was accepted; `None` if it is not all there. Checks
/// that there are no two ways to read that from the head.
pub fn body_length(head: &[u8], rest: &[u8], limits: &Limits) -> Option<usize> {
    let fields = head.split(|&b| b == b'\n').filter_map(|line| field(line.trim_ascii_end()));
    let framing = ["content-length", "transfer-encoding"];
    let mut framing = fields.filter(|(name, _)| framing.contains(&&*name.to_ascii_lowercase()));
    let Some((name, value)) = framing.next() else { return Some(0) };
    assert_eq!(framing.next(), None, "two lengths");
    if name.len() == "content-length".len() {
        assert!(!value.is_empty() && value.iter().all(u8::is_ascii_digit), "no number");
        return str::from_utf8(value).ok()?.parse().ok();
    }
    assert!(value.eq_ignore_ascii_case(b"chunked"), "another coding");
    match chunked(rest, limits, &mut Vec::new()) {
        Read::Whole(length) => Some(length),
        _ => None,
    }
}
