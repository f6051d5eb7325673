use std::net::{IpAddr, SocketAddr};

use number8_proto::forwarded::{parse_forwarded, parse_x_forwarded_for};
use number8_proto::host::{is_origin_of, name_of};
use number8_proto::proxy::{NoProxyHeader, Proxied, parse};
use proptest::collection::vec;
use proptest::prelude::*;

use super::field_value;

/// The addresses of a value of Forwarded.
fn clients(value: &str) -> Option<Vec<Option<IpAddr>>> {
    Some(parse_forwarded(value.as_bytes())?.into_iter().map(|hop| hop.client).collect())
}

#[test]
fn g11_forwarded_is_read_as_rfc_7239_writes_it() {
    let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    let cases: &[(&str, Option<Vec<Option<IpAddr>>>)] = &[
        ("for=192.0.2.43", Some(vec![ip("192.0.2.43")])),
        ("for=\"192.0.2.43:47011\"", Some(vec![ip("192.0.2.43")])),
        ("For=\"[2001:db8:cafe::17]:4711\"", Some(vec![ip("2001:db8:cafe::17")])),
        (
            "for=192.0.2.43, for=\"[2001:db8:cafe::17]\"",
            Some(vec![ip("192.0.2.43"), ip("2001:db8:cafe::17")]),
        ),
        ("proto=http;by=203.0.113.43", Some(vec![None])),
        ("for=unknown", Some(vec![None])),
        ("for=_hidden, for=_SEVKISEK", Some(vec![None, None])),
        ("for=\"19\\2.0.2.43\"", Some(vec![ip("192.0.2.43")])),
        (";;for=192.0.2.43;", Some(vec![ip("192.0.2.43")])),
        (" for=192.0.2.43 ; proto=https ", Some(vec![ip("192.0.2.43")])),
        ("", Some(vec![None])),
        // A quote can hide neither a comma nor an end.
        ("for=\"1.2.3.4, for=5.6.7.8\"", Some(vec![None])),
        ("for=\"1.2.3.4", None),
        ("for=", None),
        ("for", None),
        ("for=1.2.3.4 for=5.6.7.8", None),
        ("for=1.2.3.4;for=5.6.7.8", None),
        ("for=a/b", None),
    ];
    for (value, want) in cases {
        assert_eq!(clients(value), *want, "{value}");
    }
}

#[test]
fn g11_proxy_headers_of_both_versions_are_read() {
    let v2 = |command: u8, family: u8, rest: &[u8]| {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
    };
    let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x67, 0, 80];
    let mut v6 = vec![0; 36];
    (v6[0], v6[1], v6[15], v6[33]) = (0x20, 1, 1, 80);
    let read =
        |client: Option<&str>| Some(client.map(|client| client.parse::<SocketAddr>().unwrap()));
    let cases: Vec<(Vec<u8>, Option<Option<SocketAddr>>)> = vec![
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n".to_vec(), read(Some("192.0.2.1:4711"))),
        (b"PROXY TCP6 2001::1 ::2 80 0\r\n".to_vec(), read(Some("[2001::1]:80"))),
        (b"PROXY UNKNOWN\r\n".to_vec(), read(None)),
        (b"PROXY UNKNOWN ff:: whatever 1 2\r\n".to_vec(), read(None)),
        (v2(0x21, 0x11, &v4), read(Some("192.0.2.1:4711"))),
        (v2(0x21, 0x11, &[&v4[..], b"extension"].concat()), read(Some("192.0.2.1:4711"))),
        (v2(0x21, 0x21, &v6), read(Some("[2001::1]:80"))),
        (v2(0x20, 0x00, b""), read(None)),
        (v2(0x20, 0x11, &v4), read(None)),
        (v2(0x21, 0x31, &[0; 216]), read(None)),
        (b"GET / HTTP/1.1\r\n".to_vec(), None),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n".to_vec(), None),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80 \r\n".to_vec(), None),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 04711 80\r\n".to_vec(), None),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 80\r\n".to_vec(), None),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 70000 80\r\n".to_vec(), None),
        (b"PROXY TCP4 ::1 ::2 4711 80\r\n".to_vec(), None),
        (b"PROXY TCP4  192.0.2.1 192.0.2.2 4711 80\r\n".to_vec(), None),
        (b"PROXY UDP4 192.0.2.1 192.0.2.2 4711 80\r\n".to_vec(), None),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\n".repeat(3), None),
        (v2(0x11, 0x11, &v4), None),
        (v2(0x22, 0x11, &v4), None),
        (v2(0x21, 0x41, &v4), None),
        (v2(0x21, 0x11, &v4[..11]), None),
        (v2(0x21, 0x00, &[0; 5000]), None),
    ];
    for (header, want) in cases {
        let shown = String::from_utf8_lossy(&header).into_owned();
        let found = parse(&[&header[..], b"GET"].concat());
        let want = want.map(|client| Some(Proxied { client, length: header.len() }));
        assert_eq!(found, want.ok_or(NoProxyHeader), "{shown:?}");
        for cut in 0..header.len() {
            let part = parse(&header[..cut]);
            assert!(
                part == Ok(None) || (want.is_none() && part == Err(NoProxyHeader)),
                "{shown:?} {cut}"
            );
        }
    }
}

#[test]
fn an_origin_is_of_its_host_and_port() {
    for (origin, host, want) in [
        ("http://a", "a", true),
        ("http://A", "a.", true),
        ("http://a:80", "a", true),
        ("http://a", "a:80", true),
        ("https://a", "a:443", true),
        ("https://a", "a", true),
        ("http://[::1]:81", "[::1]:81", true),
        ("http://a", "a:81", false),
        ("https://a", "a:80", false),
        ("http://a", "b", false),
        ("http://a.b", "b", false),
        ("null", "null", false),
        ("", "", false),
        ("file://", "", false),
        ("a", "a", false),
        ("http://a/", "a", false),
        ("http://x@a", "a", false),
    ] {
        assert_eq!(is_origin_of(origin.as_bytes(), host.as_bytes()), want, "{origin} {host}");
    }
}

proptest! {
    #[test]
    fn addresses_that_were_written_are_read(addresses in vec(any::<IpAddr>(), 1..5)) {
        let want: Vec<_> = addresses.iter().map(|address| Some(address.to_canonical())).collect();
        let list = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
        prop_assert_eq!(parse_x_forwarded_for(list.as_bytes()).collect::<Vec<_>>(), want.clone());
        let node = |address: &IpAddr| match address {
            IpAddr::V4(address) => format!("for={address};proto=http"),
            IpAddr::V6(address) => format!("by=x; for=\"[{address}]\""),
        };
        let list = addresses.iter().map(node).collect::<Vec<_>>().join(" ,");
        prop_assert_eq!(clients(&list), Some(want));
    }

    #[test]
    fn any_value_is_read_or_refused(value in field_value()) {
        if let Some(hops) = parse_forwarded(&value) {
            prop_assert!(hops.len() <= 1 + value.iter().filter(|&&b| b == b',').count());
        }
        prop_assert_eq!(parse_x_forwarded_for(&value).count(), 1 + value.iter().filter(|&&b| b == b',').count());
        prop_assert!(name_of(&value).len() <= value.len());
        let _ = is_origin_of(&value, &value);
    }

    #[test]
    fn a_header_takes_no_more_than_there_is(start in 0..3usize, rest: Vec<u8>) {
        let start: &[u8] = [b"", &b"PROXY "[..], b"\r\n\r\n\0\r\nQUIT\n\x21"][start];
        let input = [start, &rest].concat();
        if let Ok(Some(proxied)) = parse(&input) {
            prop_assert!(proxied.length <= input.len());
            prop_assert_eq!(parse(&input[..proxied.length]), Ok(Some(proxied)));
        }
    }
}
