//! Who listens on a busy port: the answer to the first question after "address in use".

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A process that listens where we wanted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pid: u32,
    program: String,
}

impl Holder {
    pub(crate) fn is_this_process(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.program.escape_debug(), self.pid)
    }
}

/// Finds the process that keeps `address` from being bound. `None` where /proc does not show it: it belongs to another
/// user, or lives in another container.
pub(crate) fn find(address: SocketAddr) -> Option<Holder> {
    let socket = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let rows = fs::read_to_string(table).ok()?;
        rows.lines()
            .find_map(|row| listening_inode(row, address))
            .map(|inode| format!("socket:[{inode}]"))
    })?;
    let pid = fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let mut descriptors = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        let holds = descriptors
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to == Path::new(&socket)));
        holds.then_some(pid)
    })?;
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned();
    Some(Holder { pid, program })
}

/// The inode in one row of /proc/net/tcp (`proc_pid_net(5)`), if the row is a listening socket in the way of `wanted`.
fn listening_inode(row: &str, wanted: SocketAddr) -> Option<u64> {
    const LISTEN: &str = "0A";

    let mut fields = row.split_ascii_whitespace().skip(1);
    let (ip, port) = fields.next()?.split_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    if state != LISTEN || u16::from_str_radix(port, 16).ok()? != wanted.port() {
        return None;
    }
    let ip = parse_ip(ip)?;
    let in_the_way = ip == wanted.ip() || ip.is_unspecified() || wanted.ip().is_unspecified();
    in_the_way.then(|| inode.parse().ok())?
}

/// One or four 32-bit words in hexadecimal, each in this machine's byte order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let word = |digits| Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(hex)?).into()),
        32 => {
            let mut octets = [0; 16];
            for (index, slot) in octets.chunks_exact_mut(4).enumerate() {
                slot.copy_from_slice(&word(hex.get(index * 8..index * 8 + 8)?)?);
            }
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_its_listeners() {
        for any in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = std::net::TcpListener::bind(any) else {
                continue; // no IPv6 here
            };
            let holder = find(listener.local_addr().unwrap()).unwrap();
            assert_eq!(holder.pid, std::process::id());
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn only_a_listener_in_the_way_counts() {
        let listening = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 x";
        let connected = listening.replace(" 0A ", " 01 ");
        let every_v6 = listening.replace("0100007F:", "00000000000000000000000000000000:");
        let cases = [
            (listening, "127.0.0.1:8080", Some(4242)),
            (listening, "0.0.0.0:8080", Some(4242)),
            (listening, "127.0.0.2:8080", None),
            (listening, "127.0.0.1:8081", None),
            (&connected, "127.0.0.1:8080", None),
            (&every_v6, "127.0.0.1:8080", Some(4242)),
            ("  sl  local_address rem_address   st", "127.0.0.1:8080", None),
            ("", "127.0.0.1:8080", None),
        ];
        for (row, wanted, inode) in cases {
            assert_eq!(listening_inode(row, wanted.parse().unwrap()), inode, "{wanted} in {row:?}");
        }
    }
}
