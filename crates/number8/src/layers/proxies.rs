//! Who is behind a proxy: believed from those proxies that are trusted, and from nobody else.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use number8_proto::forwarded::{Hop, parse_forwarded, parse_x_forwarded_for};
use number8_proto::headers::Known;
use number8_proto::host::valid_host;
use number8_proto::http1::Head;

use crate::caller::Caller;
use crate::request_id::RequestId;

/// The proxies that are trusted to say who a client is.
///
/// They say it by Forwarded (RFC 7239) or by X-Forwarded-For, -Proto and -Host. A proxy hands on what it does not write
/// itself, so where both are there and tell two things (of the client, the protocol or the host), the request is refused:
/// one of them was made up. A protocol or a host that only one of the two tells then counts for nothing. Of several proxies, each
/// tells of its own hop: where X-Forwarded-Proto or -Host has as many entries as X-Forwarded-For, they are one for each hop, and
/// a single one is of the last. By X-Request-Id they give a request its name in all logs.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    trusted: Vec<Proxy>,
    announce: bool,
}

impl Proxies {
    /// Trusts these and nobody else.
    ///
    /// ```
    /// use number8::layers::proxies::Proxies;
    ///
    /// let proxies = Proxies::new(["10.0.0.0/8".parse()?, "::1".parse()?, "unix".parse()?]);
    /// # Ok::<(), number8::layers::proxies::ProxyError>(())
    /// ```
    #[must_use]
    pub fn new(proxies: impl IntoIterator<Item = Proxy>) -> Self {
        Self { trusted: proxies.into_iter().collect(), announce: false }
    }

    /// Every connection of theirs has to begin with a header of the PROXY protocol (version 1 or 2), which names the
    /// client; one that does not is closed. Fields say nothing then, whoever sends them: they are the client's own.
    #[must_use]
    pub fn announce(self) -> Self {
        Self { announce: true, ..self }
    }

    pub(crate) fn have_to_announce(&self, peer: Option<SocketAddr>) -> bool {
        self.announce && self.trust(peer)
    }

    /// Whether what the other end of a connection says in fields is believed.
    ///
    /// SECURITY: a balancer that announces its clients hands on what they send as it comes, so also where it names none, or
    /// one whose address is trusted.
    pub(crate) fn speak_in_fields(&self, peer: Option<SocketAddr>) -> bool {
        !self.announce && self.trust(peer)
    }

    /// Whether the other end of a connection is one of them.
    #[must_use]
    pub fn trust(&self, peer: Option<SocketAddr>) -> bool {
        match peer {
            None => self.trusted.contains(&Proxy::UNIX),
            Some(peer) => self.trusts(peer.ip()),
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|proxy| proxy.contains(address))
    }

    /// Fills in what a trusted proxy says of the client.
    pub(crate) fn identify(
        &self,
        head: &Head<'_>,
        caller: &mut Caller,
    ) -> Result<(), Disagreement> {
        let forwarded = match head.joined(Known::Forwarded) {
            Some(value) => {
                let hops = parse_forwarded(&value).ok_or(Disagreement::Unreadable)?;
                let at = self.client(hops.iter().map(|hop| hop.client)).unwrap_or(0);
                Some(hops.iter().skip(at).map(owned).collect::<Vec<_>>())
            }
            None => None,
        };
        let x_forwarded = head.joined(Known::XForwardedFor).map(|value| {
            let addresses: Vec<_> = parse_x_forwarded_for(&value).collect();
            let at = self.client(addresses.iter().copied()).unwrap_or(0);
            (addresses[at], at, addresses.len())
        });
        let told = forwarded.as_deref().map(|hops| hops.first().and_then(|hop| hop.client));
        let client = match (told, x_forwarded) {
            (Some(told), Some((address, ..))) if told != address => {
                return Err(Disagreement::TwoClients);
            }
            (Some(client), _) | (None, Some((client, ..))) => client,
            (None, None) => caller.ip,
        };
        caller.ip = client;
        let way = Way {
            hops: forwarded.unwrap_or_default(),
            place: x_forwarded.map_or((0, 0), |(_, at, count)| (at, count)),
            has_both: head.has(Known::Forwarded) && head.has_any(&X_FORWARDED),
        };
        caller.request_id = head.get(Known::XRequestId).and_then(RequestId::told);
        // Of the way from the client to the proxy, which is the one that strangers listen in on.
        let protos = entries(head, Known::XForwardedProto);
        let proto = |hop: &Told| hop.proto.clone();
        if let Some(proto) = way.agreed(proto, &protos, Disagreement::TwoProtocols)? {
            caller.is_secure = proto.eq_ignore_ascii_case(b"https");
        }
        let hosts = entries(head, Known::XForwardedHost);
        let host = |hop: &Told| hop.host.clone().filter(|host| valid_host(host));
        let host = way.agreed(host, &hosts, Disagreement::TwoHosts)?;
        // SECURITY: where one proxy adds to X-Forwarded-Host (Apache does) and the next to X-Forwarded-For alone, a client
        // chooses which entry is its own. What the nearest proxy tells is none of those.
        let is_nearest = |host: &Vec<u8>| hosts.last().is_none_or(|last| is_same(last, host));
        let host = host.filter(|host| valid_host(host) && is_nearest(host));
        let host = host.and_then(|host| String::from_utf8(host).ok());
        caller.host = host.map(String::into_boxed_str).or_else(|| caller.host.take());
        Ok(())
    }

    /// Which entry names the client: the last one that is no trusted proxy, else the first. Each entry was written by
    /// whom the next one names, so what stands before an entry that is not trusted may be made up.
    fn client(
        &self,
        hops: impl DoubleEndedIterator<Item = Option<IpAddr>> + ExactSizeIterator,
    ) -> Option<usize> {
        let is_proxy = |hop: &Option<IpAddr>| hop.is_some_and(|address| self.trusts(address));
        let count = hops.len();
        let trusted = hops.rev().take_while(is_proxy).count();
        (count > 0).then(|| count.saturating_sub(trusted + 1))
    }
}

/// What only a trusted proxy may send.
pub(crate) const FIELDS: [Known; 6] = [
    Known::Forwarded,
    Known::XForwardedFor,
    Known::XForwardedHost,
    Known::XForwardedProto,
    Known::XRealIp,
    Known::XRequestId,
];

/// Whether X-Real-IP is the client's own: it names another one than the proxy tells by a field that it writes.
pub(crate) fn is_made_up(head: &Head<'_>, caller: &Caller) -> bool {
    let names = |value: &[u8]| str::from_utf8(value).ok()?.trim().parse::<IpAddr>().ok();
    let is_other = |value: &[u8]| {
        names(value).map(|ip| ip.to_canonical()) != caller.ip.map(|ip| ip.to_canonical())
    };
    head.has_any(&[Known::Forwarded, Known::XForwardedFor])
        && head.all(Known::XRealIp).any(is_other)
}

const X_FORWARDED: [Known; 3] =
    [Known::XForwardedFor, Known::XForwardedProto, Known::XForwardedHost];

/// What is told in a field, the last by the proxy that is nearest.
fn entries(head: &Head<'_>, field: Known) -> Vec<Vec<u8>> {
    let Some(value) = head.joined(field) else { return Vec::new() };
    value.split(|&b| b == b',').map(|entry| entry.trim_ascii().to_vec()).collect()
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// What the fields tell of the way from the client on.
struct Way {
    /// By Forwarded, the client's first.
    hops: Vec<Told>,
    /// Where X-Forwarded-For names the client: at which of how many entries.
    place: (usize, usize),
    has_both: bool,
}

impl Way {
    /// What Forwarded and the entries of a field beside it tell of the client.
    ///
    /// SECURITY: where a request has both kinds, the proxy may write one of them alone, and the client made up the other.
    fn agreed(
        &self,
        of: impl Fn(&Told) -> Option<Vec<u8>>,
        entries: &[Vec<u8>],
        disagreement: Disagreement,
    ) -> Result<Option<Vec<u8>>, Disagreement> {
        let (one, last) = match (self.hops.first().and_then(&of), entries.last()) {
            (Some(one), Some(last)) => (one, last),
            _ if self.has_both => return Ok(None),
            (one, last) => return Ok(one.or_else(|| last.cloned())),
        };
        let (at, count) = self.place;
        let other = if entries.len() == count { &entries[at] } else { last };
        if is_same(&one, other) {
            return Ok(Some(one));
        }
        // A single entry is of the last hop: where that is not the client's, it tells nothing of the client, as long as it
        // is what Forwarded tells of that hop, if anything.
        let after = count.saturating_sub(at + 1);
        let tells_of_other = after > 0 && entries.len() == 1;
        let told = self.hops.get(after).and_then(of);
        match tells_of_other && told.is_none_or(|told| is_same(&told, last)) {
            true => Ok(None),
            false => Err(disagreement),
        }
    }
}

/// What Forwarded tells of a hop.
struct Told {
    client: Option<IpAddr>,
    proto: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
}

fn owned(hop: &Hop<'_>) -> Told {
    let own = |value: &Option<std::borrow::Cow<'_, [u8]>>| value.as_deref().map(<[u8]>::to_vec);
    Told { client: hop.client, proto: own(&hop.proto), host: own(&hop.host) }
}

/// Why what a trusted proxy handed on cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disagreement {
    /// Forwarded is none.
    Unreadable,
    /// Forwarded and X-Forwarded-For name two clients.
    TwoClients,
    /// Forwarded and X-Forwarded-Proto tell two protocols.
    TwoProtocols,
    /// Forwarded and X-Forwarded-Host tell two hosts.
    TwoHosts,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the field Forwarded is not valid",
            Self::TwoClients => "Forwarded and X-Forwarded-For name two clients",
            Self::TwoProtocols => "Forwarded and X-Forwarded-Proto tell two protocols",
            Self::TwoHosts => "Forwarded and X-Forwarded-Host tell two hosts",
        })
    }
}

/// A proxy, or a network of them: `192.0.2.1`, `10.0.0.0/8`, `fd00::/8`, or `unix` for whoever comes by a Unix socket.
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use number8::layers::proxies::Proxy;
///
/// assert_eq!(Proxy::network(Ipv4Addr::new(10, 0, 0, 0), 8), "10.0.0.0/8".parse());
/// assert!(Proxy::network(Ipv4Addr::new(10, 0, 0, 0), 64).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxy(Who);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Unix,
    /// Canonical, with no more bits than the address has.
    Network {
        address: IpAddr,
        bits: u8,
    },
}

impl Proxy {
    /// Whoever connects to a Unix socket.
    pub const UNIX: Self = Self(Who::Unix);

    /// The addresses that have the first `bits` in common with this one. `::ffff:10.0.0.0` with 104 is `10.0.0.0` with 8.
    ///
    /// # Errors
    /// An address has no more than 32 bits, or 128 as IPv6; one of IPv4 that is written as IPv6 begins behind the first 96.
    pub fn network(address: impl Into<IpAddr>, bits: u8) -> Result<Self, ProxyError> {
        let written = address.into();
        let address = written.to_canonical();
        let before = width(written) - width(address);
        let bits = bits.checked_sub(before).filter(|bits| *bits <= width(address));
        Ok(Self(Who::Network { address, bits: bits.ok_or(ProxyError)? }))
    }

    fn contains(&self, other: IpAddr) -> bool {
        let Who::Network { address, bits } = self.0 else { return false };
        match (address, other.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

/// How many bits an address has.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        if text == "unix" {
            return Ok(Self::UNIX);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ProxyError)?;
        let bits = bits.map_or(Ok(width(address)), str::parse).map_err(|_| ProxyError)?;
        Self::network(address, bits)
    }
}

/// A text names no [`Proxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyError;

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a proxy is an IP address, a network such as 10.0.0.0/8, or unix")
    }
}

impl std::error::Error for ProxyError {}
