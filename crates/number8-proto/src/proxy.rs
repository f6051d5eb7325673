//! The PROXY protocol, versions 1 and 2: what a balancer says of the client in front of the first byte.
//!
//! Only whoever is trusted may say it, and then has to: the header is either expected or not, never guessed.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A header, read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// The client's own address; `None` where the connection is the balancer's own (a health check), or of a family
    /// without addresses of this kind.
    pub client: Option<SocketAddr>,
    /// How many bytes the header takes.
    pub length: usize,
}

/// What stands where a PROXY header has to, and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoProxyHeader;

impl fmt::Display for NoProxyHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection does not begin with a PROXY header")
    }
}

impl core::error::Error for NoProxyHeader {}

/// Reads a header from the first bytes of a connection; `None` where there have to be more.
///
/// # Errors
/// [`NoProxyHeader`] as soon as the bytes cannot become one.
///
/// ```
/// use number8_proto::proxy::{Proxied, parse};
/// let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\nGET / HTTP/1.1\r\n";
/// let client = Some("192.0.2.1:4711".parse().unwrap());
/// assert_eq!(parse(header), Ok(Some(Proxied { client, length: 40 })));
/// assert_eq!(parse(b"PROXY TC"), Ok(None));
/// ```
pub fn parse(input: &[u8]) -> Result<Option<Proxied>, NoProxyHeader> {
    let begins = |with: &[u8]| input.iter().zip(with).all(|(one, other)| one == other);
    if begins(V2_SIGNATURE) {
        return parse_v2(input);
    }
    if begins(V1_SIGNATURE) { parse_v1(input) } else { Err(NoProxyHeader) }
}

/// `PROXY TCP4 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT CR LF`, or `PROXY UNKNOWN … CR LF`.
fn parse_v1(input: &[u8]) -> Result<Option<Proxied>, NoProxyHeader> {
    let seen = &input[..input.len().min(V1_BYTES_MAX)];
    let Some(end) = seen.windows(2).position(|two| two == b"\r\n") else {
        return if input.len() < V1_BYTES_MAX { Ok(None) } else { Err(NoProxyHeader) };
    };
    let line = str::from_utf8(&seen[..end]).map_err(|_| NoProxyHeader)?;
    let length = end + 2;
    let mut words = line.split(' ').skip(1);
    let mut next = || words.next().ok_or(NoProxyHeader);
    let is_v4 = match next()? {
        "TCP4" => true,
        "TCP6" => false,
        // What follows is to be ignored.
        "UNKNOWN" => return Ok(Some(Proxied { client: None, length })),
        _ => return Err(NoProxyHeader),
    };
    let (source, destination, source_port, destination_port) = (next()?, next()?, next()?, next()?);
    let address = |text: &str| -> Result<IpAddr, NoProxyHeader> {
        let address: IpAddr = text.parse().map_err(|_| NoProxyHeader)?;
        if address.is_ipv4() == is_v4 { Ok(address) } else { Err(NoProxyHeader) }
    };
    let port = |text: &str| -> Result<u16, NoProxyHeader> {
        let is_plain =
            text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        text.parse().ok().filter(|_| is_plain).ok_or(NoProxyHeader)
    };
    let client = SocketAddr::new(address(source)?, port(source_port)?);
    address(destination)?;
    port(destination_port)?;
    match words.next() {
        None => Ok(Some(Proxied { client: Some(client), length })),
        Some(_) => Err(NoProxyHeader),
    }
}

/// The signature, version and command, family and protocol, the length of what follows, addresses, extensions.
fn parse_v2(input: &[u8]) -> Result<Option<Proxied>, NoProxyHeader> {
    let Some((fixed, rest)) = input.split_first_chunk::<16>() else { return Ok(None) };
    let (command, family) = (fixed[12], fixed[13]);
    let more = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if command >> 4 != 2
        || command & 15 > 1
        || family >> 4 > 3
        || family & 15 > 2
        || more > V2_MORE_MAX
    {
        return Err(NoProxyHeader);
    }
    let Some(rest) = rest.get(..more) else { return Ok(None) };
    let is_local = command & 15 == 0;
    let client = match family {
        _ if is_local => None,
        0x11 => Some(v4(rest).ok_or(NoProxyHeader)?),
        0x21 => Some(v6(rest).ok_or(NoProxyHeader)?),
        _ => None,
    };
    Ok(Some(Proxied { client, length: 16 + more }))
}

/// Source and destination, then their ports.
fn v4(rest: &[u8]) -> Option<SocketAddr> {
    let (addresses, ports) = (rest.first_chunk::<4>()?, rest.get(8..12)?);
    Some(SocketAddr::new(Ipv4Addr::from(*addresses).into(), port_of(ports)))
}

fn v6(rest: &[u8]) -> Option<SocketAddr> {
    let (addresses, ports) = (rest.first_chunk::<16>()?, rest.get(32..36)?);
    Some(SocketAddr::new(IpAddr::from(Ipv6Addr::from(*addresses)).to_canonical(), port_of(ports)))
}

fn port_of(ports: &[u8]) -> u16 {
    u16::from_be_bytes([ports[0], ports[1]])
}

const V1_SIGNATURE: &[u8] = b"PROXY ";

/// The longest line that there can be.
const V1_BYTES_MAX: usize = 107;

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Addresses and extensions: far more than balancers send, and less than a read buffer.
const V2_MORE_MAX: usize = 4096;
