//! A whole connection of a balancer: the client is who the PROXY header says, as a plain reading of it has it, and nothing is
//! answered where there is none; a network of trusted proxies holds the addresses that begin with the same bits.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use number8::layers::proxies::{Proxies, Proxy};
use number8::{Answer, App, Call, Handler, Response};

const BALANCER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 4711);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct WhoAmI;

impl Handler for WhoAmI {
    fn handle(&self, call: Call<'_>) -> Answer {
        Response::new(200, call.caller.ip.map_or("nobody".to_owned(), |ip| ip.to_string())).into()
    }
}

async fn ask(bytes: &[u8]) -> Vec<u8> {
    let proxies = Proxies::new([Proxy::network(BALANCER.ip(), 32).expect("an address")]).announce();
    let server = App::new().mount("/", WhoAmI).proxies(proxies).test();
    let client = server.connect_from(BALANCER);
    let sending = async {
        let _ = client.write_all(bytes).await;
        let _ = number8::server::transport::Transport::shutdown_write(&client);
    };
    tokio::join!(sending, client.read_to_end()).1.unwrap_or_default()
}

/// Who the client is, and where the header ends; `None` where there is none.
fn plain(bytes: &[u8]) -> Option<(IpAddr, usize)> {
    if let Some(rest) = bytes.strip_prefix(b"\r\n\r\n\0\r\nQUIT\n") {
        let (&[command @ (0x20 | 0x21), family, high, low], rest) = rest.split_first_chunk()?
        else {
            return None;
        };
        let length = usize::from(high) * 256 + usize::from(low);
        let is_known = matches!((family >> 4, family & 15), (0..=3, 0..=2)) && length <= 4096;
        let addresses = rest.get(..length).filter(|_| is_known)?;
        let client = match (command, family) {
            (0x21, 0x11) => {
                addresses.get(..12)?;
                Ipv4Addr::new(addresses[0], addresses[1], addresses[2], addresses[3]).into()
            }
            (0x21, 0x21) => {
                addresses.get(..36)?;
                let v6 = Ipv6Addr::from(*addresses.first_chunk::<16>()?);
                v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
            }
            _ => BALANCER.ip(),
        };
        return Some((client, 16 + length));
    }
    let end = bytes.windows(2).position(|two| two == b"\r\n").filter(|end| *end <= 105)?;
    let words: Vec<&str> = str::from_utf8(&bytes[..end]).ok()?.split(' ').collect();
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port.to_string() == text);
    let client = match words[..] {
        ["PROXY", "UNKNOWN", ..] => BALANCER.ip(),
        ["PROXY", "TCP4", from, to, port, to_port] if is_port(port) && is_port(to_port) => {
            to.parse::<Ipv4Addr>().ok()?;
            from.parse::<Ipv4Addr>().ok()?.into()
        }
        ["PROXY", "TCP6", from, to, port, to_port] if is_port(port) && is_port(to_port) => {
            to.parse::<Ipv6Addr>().ok()?;
            from.parse::<Ipv6Addr>().ok()?.into()
        }
        _ => return None,
    };
    Some((client, end + 2))
}

fn bits(address: IpAddr) -> String {
    let of = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    match address {
        IpAddr::V4(v4) => of(&v4.octets()),
        IpAddr::V6(v6) => of(&v6.octets()),
    }
}

/// Whether a text is a network, and whether an address is in it.
fn check_network(text: &str, address: IpAddr) {
    let trusted = text
        .parse()
        .map(|proxy: Proxy| Proxies::new([proxy]).trust(Some(SocketAddr::new(address, 1))));
    let (network, length) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
    let expected = network.parse::<IpAddr>().ok().and_then(|network| {
        let all = bits(network).len();
        let length = length.map_or(Some(all), |length| length.parse().ok())?;
        (length <= all).then(|| {
            let other = bits(address.to_canonical());
            other.len() == all && other[..length] == bits(network)[..length]
        })
    });
    assert_eq!(trusted.ok(), expected.or((text == "unix").then_some(false)), "{text} {address}");
}

fuzz_target!(|input: &[u8]| {
    let bytes = [input, REQUEST].concat();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let answer = String::from_utf8_lossy(&runtime.block_on(ask(&bytes))).into_owned();
    match plain(&bytes) {
        None => assert_eq!(answer, ""),
        Some((client, length)) if length == input.len() => {
            assert_eq!(answer.lines().last(), Some(&*client.to_string()));
        }
        // What follows is a request of any kind, or a part of one; HTTP/2 where it begins as that does.
        Some((_, length)) => assert!(
            answer.is_empty()
                || answer.starts_with("HTTP/1.1 ")
                || bytes[length..].starts_with(HTTP2_PREFACE)
        ),
    }
    if let Some((address, text)) = input.split_first_chunk::<16>()
        && let Ok(text) = str::from_utf8(text)
    {
        let [a, b, c, d, ..] = *address;
        check_network(text, Ipv6Addr::from(*address).into());
        check_network(text, Ipv4Addr::new(a, b, c, d).into());
    }
});
