//! The Host field (RFC 9110 §7.2): `uri-host [ ":" port ]`, checked against RFC 3986 §3.2.2.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::syntax;

/// Whether a Host value, without white space around it, names a host that an `http` URI can have.
///
/// Three departures from the grammar, all refusals: an empty host, which `http` URIs cannot have
/// (RFC 9110 §4.2.1); a port over 65535, which nothing can listen on; and a comma in a name, which
/// is what two Host fields look like when an intermediary has joined them.
///
/// ```
/// use number8_proto::host::valid_host;
/// assert!(valid_host(b"localhost:8080"));
/// assert!(valid_host(b"[::1]"));
/// assert!(!valid_host(b"user@localhost"));
/// ```
#[must_use]
pub fn valid_host(value: &[u8]) -> bool {
    if let Some(literal) = value.strip_prefix(b"[") {
        return valid_ip_literal(literal);
    }
    let mut rest = value;
    loop {
        match &rest[syntax::name_run(rest)..] {
            [] => return !value.is_empty(),
            [b':', port @ ..] => return port.len() + 1 < value.len() && valid_port(port),
            [b'%', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest = after;
            }
            _ => return false,
        }
    }
}

/// The name or IP literal of a Host value, without its port and without the dot that ends a full name.
///
/// ```
/// use number8_proto::host::name_of;
/// assert_eq!(name_of(b"board.example.:8080"), b"board.example");
/// assert_eq!(name_of(b"[::1]:8080"), b"[::1]");
/// ```
#[must_use]
pub fn name_of(host: &[u8]) -> &[u8] {
    let (name, _) = split_port(host);
    name.strip_suffix(b".").unwrap_or(name)
}

/// Whether a Host value names an IP address, or this very machine as every machine calls itself.
#[must_use]
pub fn is_literal_or_localhost(host: &[u8]) -> bool {
    let name = name_of(host);
    name.starts_with(b"[")
        || name.eq_ignore_ascii_case(b"localhost")
        || str::from_utf8(name).is_ok_and(|name| name.parse::<Ipv4Addr>().is_ok())
}

/// Whether an Origin value (RFC 6454 §7) is that of pages from this host: the same name and the same port, which a
/// missing port of either takes from the scheme of the origin.
///
/// ```
/// use number8_proto::host::is_origin_of;
/// assert!(is_origin_of(b"http://board.local", b"board.local:80"));
/// assert!(!is_origin_of(b"http://board.local:3000", b"board.local"));
/// assert!(!is_origin_of(b"null", b"board.local"));
/// ```
#[must_use]
pub fn is_origin_of(origin: &[u8], host: &[u8]) -> bool {
    let scheme_end = origin.windows(3).position(|part| part == b"://");
    let Some((scheme, authority)) = scheme_end.map(|end| (&origin[..end], &origin[end + 3..]))
    else {
        return false;
    };
    let default_port: &[u8] = match scheme {
        b"http" => b"80",
        b"https" => b"443",
        _ => return false,
    };
    let same_port = port_of(authority, default_port) == port_of(host, default_port);
    valid_host(authority) && same_port && name_of(authority).eq_ignore_ascii_case(name_of(host))
}

/// The port of a Host value, or the other one where it has none.
///
/// ```
/// use number8_proto::host::port_of;
/// assert_eq!(port_of(b"[::1]:8080", b"80"), b"8080");
/// assert_eq!(port_of(b"board.example", b"80"), b"80");
/// ```
#[must_use]
pub fn port_of<'a>(host: &'a [u8], default_port: &'a [u8]) -> &'a [u8] {
    match split_port(host).1 {
        b"" => default_port,
        port => port,
    }
}

/// The host and its port, which is empty where there is none.
fn split_port(host: &[u8]) -> (&[u8], &[u8]) {
    match host.iter().rposition(|&b| b == b':') {
        // A colon inside brackets belongs to an IPv6 literal.
        Some(colon) if !host.ends_with(b"]") => (&host[..colon], &host[colon + 1..]),
        _ => (host, b""),
    }
}

/// port = *DIGIT
fn valid_port(digits: &[u8]) -> bool {
    let mut port = 0;
    for &digit in digits {
        port = port * 10 + u32::from(digit.wrapping_sub(b'0'));
        if !digit.is_ascii_digit() || port > 65_535 {
            return false;
        }
    }
    true
}

/// IP-literal = "[" ( IPv6address / IPvFuture ) "]", after its first bracket, and a port.
fn valid_ip_literal(literal: &[u8]) -> bool {
    let Some(end) = literal.iter().position(|&b| b == b']') else { return false };
    let (address, after) = (&literal[..end], &literal[end + 1..]);
    let valid_address = match address {
        [b'v' | b'V', future @ ..] => valid_ip_future(future),
        _ => str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()),
    };
    valid_address && (after.is_empty() || after.strip_prefix(b":").is_some_and(valid_port))
}

/// IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ), after its first letter.
fn valid_ip_future(future: &[u8]) -> bool {
    let Some(dot) = future.iter().position(|&b| b == b'.') else { return false };
    let (version, address) = (&future[..dot], &future[dot + 1..]);
    !version.is_empty()
        && version.iter().all(u8::is_ascii_hexdigit)
        && !address.is_empty()
        && address.iter().all(|&b| b == b':' || syntax::is_name(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_valid() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost:80",
            "localhost:",
            "localhost:65535",
            "localhost:00080",
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:8080",
            "[::1]:",
            "[2001:db8::1]",
            "[::ffff:127.0.0.1]",
            "[1:2:3:4:5:6:7:8]",
            "[v1.a:b]",
            "a.b.example",
            "a.",
            "a_b.example",
            "a-b~c!$&'()*+;=.example",
            "a%2eb",
            "%61",
            "%61:80",
            "a%2e%2Eb:80",
            "xn--e1afmkfd.example",
            "999.999.999.999",
        ] {
            assert!(valid_host(host.as_bytes()), "{host}");
        }
        assert!(valid_host(&[b'a'; 300]));
    }

    #[test]
    fn hosts_that_are_refused() {
        for host in [
            "",
            " ",
            ":",
            ":80",
            "a b",
            "a/b",
            "u@localhost",
            "u:p@localhost",
            "a\\b",
            "a?b",
            "a#b",
            "<a>",
            "\"a\"",
            "a|b",
            "a^b",
            "a`b",
            "a{b}",
            "localhost:abc",
            "localhost:-1",
            "localhost:+1",
            "localhost:80:80",
            "localhost:80 80",
            "localhost:65536",
            "localhost:18446744073709551696",
            "localhost:8\u{ff10}",
            "%61:x",
            "%61:65536",
            "a%zz",
            "a%2",
            "a%",
            "a\0b",
            "a\u{1}b",
            "a\u{7f}b",
            "a\tb",
            "a\u{e9}b",
            "http://localhost",
            "a,b",
            ", localhost",
            "[",
            "[]",
            "[::1",
            "::1",
            "[gg::1]",
            "[::1]x",
            "[::1]]",
            "[::1]:x",
            "[::1]:65536",
            "[::1%25eth0]",
            "[127.0.0.1]",
            "[1:2:3:4:5:6:7:8:9]",
            "[v.a]",
            "[v1.]",
            "[v1]",
            "[vg.a]",
            "[v1.a/b]",
            "a[::1]",
        ] {
            assert!(!valid_host(host.as_bytes()), "{host:?}");
        }
    }
}
