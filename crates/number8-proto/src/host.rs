//! The Host field (RFC 9110 §7.2): `uri-host [ ":" port ]`, checked against RFC 3986 §3.2.2.

use core::net::Ipv6Addr;

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
