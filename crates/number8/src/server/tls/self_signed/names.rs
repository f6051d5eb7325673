//! The names and addresses of this machine.

use std::net::IpAddr;

use if_addrs::{IfOperStatus, get_if_addrs};
use rustix::system::uname;

/// The name of this machine, without its domain.
pub(super) fn host() -> String {
    let name = full_host();
    match name.split_once('.') {
        Some((short, _)) => short.to_owned(),
        None => name,
    }
}

fn full_host() -> String {
    let name = uname().nodename().to_string_lossy().to_ascii_lowercase();
    if is_domain(&name) { name } else { "localhost".to_owned() }
}

/// The names that this machine has itself: with its domain, without, and in the local network.
pub(super) fn of_host() -> impl Iterator<Item = String> {
    let host = host();
    [full_host(), format!("{host}.local"), host].into_iter()
}

/// Those, `localhost`, and all addresses that others could type.
pub(super) fn of_machine() -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(of_host());
    let found = get_if_addrs().unwrap_or_default().into_iter();
    let up = found.filter(|interface| {
        matches!(interface.oper_status, IfOperStatus::Up | IfOperStatus::Unknown)
    });
    // A link-local IPv6 address needs the name of an interface beside it, which browsers refuse.
    let is_typed = |address: &IpAddr| !matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    names.extend(up.map(|interface| interface.ip()).filter(is_typed).map(|ip| ip.to_string()));
    names
}

/// Each of them once, in lower case, without those that can stand in no certificate.
pub(super) fn distinct(names: Vec<String>) -> impl Iterator<Item = String> {
    let mut seen: Vec<String> = Vec::new();
    for name in names {
        let name = name.to_ascii_lowercase();
        if (is_domain(&name) || name.parse::<IpAddr>().is_ok()) && !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen.into_iter()
}

/// Whether this can be the name of a machine, and is no address.
pub(super) fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split('.').all(is_label) && name.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_stand_in_a_certificate_are_taken_once() {
        let given = ["Board.Local", "board.local", "", "a b", "1.2.3.4", "::1", "ä", "..", "x_y"];
        let taken: Vec<_> = distinct(given.map(str::to_owned).into()).collect();
        assert_eq!(taken, ["board.local", "1.2.3.4", "::1", "x_y"]);
    }

    #[test]
    fn a_machine_has_names_and_a_loopback() {
        let names = of_machine();
        assert!(names.iter().any(|name| name.ends_with(".local")), "{names:?}");
        assert!(names.iter().all(|name| !name.starts_with("fe80:")), "{names:?}");
        assert_eq!(names[..3], ["localhost", "127.0.0.1", "::1"]);
    }
}
