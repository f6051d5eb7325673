//! What proxies say of the client before them: Forwarded (RFC 7239) and the older X-Forwarded-For.
//!
//! Each proxy adds an entry at the end, so lists are read from their end, only as far as those who added are trusted.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::syntax;

/// One entry: what one proxy says of whom it got the request from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop<'a> {
    /// The address; `None` where the proxy does not know it or hides it.
    pub client: Option<IpAddr>,
    /// The scheme of the request that it got.
    pub proto: Option<Cow<'a, [u8]>>,
    /// The Host of the request that it got.
    pub host: Option<Cow<'a, [u8]>>,
}

/// Reads the value of Forwarded, all of its lines joined by commas; `None` where it is none.
///
/// ```
/// use number8_proto::forwarded::parse_forwarded;
/// let hops = parse_forwarded(b"for=192.0.2.60;proto=https, for=\"[2001:db8::1]:4711\"").unwrap();
/// assert_eq!(hops[0].proto.as_deref(), Some(&b"https"[..]));
/// assert_eq!(hops[1].client, Some("2001:db8::1".parse().unwrap()));
/// ```
#[must_use]
pub fn parse_forwarded(value: &[u8]) -> Option<Vec<Hop<'_>>> {
    let mut hops = Vec::new();
    let mut rest = value;
    loop {
        let mut hop = Hop::default();
        rest = pairs(rest, &mut hop)?;
        hops.push(hop);
        match rest {
            [] => return Some(hops),
            [b',', after @ ..] => rest = after,
            _ => return None,
        }
    }
}

/// forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ); gives what follows it.
fn pairs<'a>(mut rest: &'a [u8], hop: &mut Hop<'a>) -> Option<&'a [u8]> {
    loop {
        rest = rest.trim_ascii_start();
        let name_end = rest.iter().take_while(|&&b| syntax::is_token(&[b])).count();
        if name_end > 0 {
            let name = &rest[..name_end];
            let (value, after) = value(rest[name_end..].strip_prefix(b"=")?)?;
            set(hop, name, value)?;
            rest = after.trim_ascii_start();
        }
        match rest {
            [b';', after @ ..] => rest = after,
            _ => return Some(rest),
        }
    }
}

/// token / quoted-string (RFC 9110 §5.6.4), and what follows it.
fn value(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().take_while(|&&b| is_value(b)).count();
        return (end > 0).then(|| (Cow::Borrowed(&text[..end]), &text[end..]));
    };
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        match (quoted.get(at)?, quoted.get(at + 1)) {
            (b'"', _) => return Some((Cow::Owned(content), &quoted[at + 1..])),
            (b'\\', next) => {
                content.push(*next?);
                at += 2;
            }
            (&b, _) => {
                content.push(b);
                at += 1;
            }
        }
    }
}

/// Many proxies leave out the quotes that a colon or brackets need.
fn is_value(b: u8) -> bool {
    syntax::is_token(&[b]) || b":[]".contains(&b)
}

/// A name that is there twice says nothing that could be relied on.
fn set<'a>(hop: &mut Hop<'a>, name: &[u8], value: Cow<'a, [u8]>) -> Option<()> {
    if name.eq_ignore_ascii_case(b"for") {
        if hop.client.is_some() {
            return None;
        }
        hop.client = parse_node(&value);
        return Some(());
    }
    let place = if name.eq_ignore_ascii_case(b"proto") {
        &mut hop.proto
    } else if name.eq_ignore_ascii_case(b"host") {
        &mut hop.host
    } else {
        return Some(());
    };
    place.is_none().then(|| *place = Some(value))
}

/// Reads the value of X-Forwarded-For, all of its lines joined by commas: an address for each hop, `None` where an
/// entry is none.
///
/// ```
/// use number8_proto::forwarded::parse_x_forwarded_for;
/// let hops: Vec<_> = parse_x_forwarded_for(b"192.0.2.60, unknown").collect();
/// assert_eq!(hops, [Some("192.0.2.60".parse().unwrap()), None]);
/// ```
pub fn parse_x_forwarded_for(
    value: &[u8],
) -> impl DoubleEndedIterator<Item = Option<IpAddr>> + Clone {
    value.split(|&b| b == b',').map(|entry| parse_node(entry.trim_ascii()))
}

/// node = nodename [ ":" node-port ] (RFC 7239 §6): its address, if it is one. IPv6 may stand without brackets, as in
/// X-Forwarded-For.
fn parse_node(node: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(node).ok()?;
    let literal = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match literal {
        Some(literal) => literal.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse::<IpAddr>().ok(),
    };
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address| address.to_canonical())
}
