//! `--mdns`: found in the local network by a name (RFC 6762) and as a web server (`_http._tcp` or `_https._tcp`, RFC 6763).

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use mdns_sd::{DaemonEvent, ServiceDaemon, ServiceInfo};

use crate::banner::Place;
use crate::problem::{one_line, say};

/// How long the good-bye to the network may take.
const GOOD_BYE: Duration = Duration::from_millis(500);

/// How many machines of one image there may be in a network.
const NAMESAKES_MAX: u32 = 99;

/// The names of a host that is announced by this one: where others have it already, it gets a number, which is known only when they
/// have spoken.
pub(crate) fn host_names(name: &str) -> impl Iterator<Item = String> {
    let numbered = (2..=NAMESAKES_MAX).map(move |number| format!("{name}-{number}.local"));
    std::iter::once(format!("{name}.local")).chain(numbered)
}

/// What is said to the network, until it is dropped.
#[allow(missing_debug_implementations, reason = "what it holds has none")]
pub struct Announced(ServiceDaemon);

/// Says in the local network that `name` is here, with the path of its start page, by https if so; `None` where nothing can be
/// reached from there. What goes wrong is said, and no reason not to serve.
pub fn announce(name: &str, places: &[Place], path: &str, is_secure: bool) -> Option<Announced> {
    let services = services(name, places, path, is_secure);
    if services.is_empty() {
        say("--mdns: no other machine can reach this server; see --bind");
        return None;
    }
    let started = ServiceDaemon::new().and_then(|daemon| {
        let events = daemon.monitor()?;
        services.into_iter().try_for_each(|service| daemon.register(service))?;
        Ok((daemon, events))
    });
    let (daemon, events) = match started {
        Ok(started) => started,
        Err(error) => {
            say(&format!("--mdns: {error}"));
            return None;
        }
    };
    let listener = thread::Builder::new().name("number8-mdns".to_owned()).spawn(move || {
        // It ends with the daemon.
        for event in events {
            match event {
                DaemonEvent::Error(error) => say(&format!("--mdns: {error}")),
                DaemonEvent::NameChange(change) => {
                    let (old, new) = (one_line(&change.original), one_line(&change.new_name));
                    say(&format!("--mdns: {old} is taken, so this is {new}; --mdns=NAME gives it a name of its own"));
                }
                _ => {}
            }
        }
    });
    if let Err(error) = listener {
        say(&format!("--mdns: {error}"));
    }
    Some(Announced(daemon))
}

impl Drop for Announced {
    fn drop(&mut self) {
        // Those who remember us forget us at once, not when the record is old.
        if let Ok(done) = self.0.shutdown() {
            let _ = done.recv_timeout(GOOD_BYE);
        }
    }
}

/// One service for each port, at the addresses that others can reach.
fn services(name: &str, places: &[Place], path: &str, is_secure: bool) -> Vec<ServiceInfo> {
    let kind = if is_secure { "_https._tcp.local." } else { "_http._tcp.local." };
    let mut reached: Vec<SocketAddr> = places
        .iter()
        .filter_map(|place| match place {
            Place::Tcp(address) if !address.ip().is_loopback() => Some(*address),
            _ => None,
        })
        .collect();
    reached.sort_by_key(SocketAddr::port);
    reached
        .chunk_by(|one, other| one.port() == other.port())
        .filter_map(|chunk| {
            let port = chunk[0].port();
            let mut instance = name.to_owned();
            if chunk.len() < reached.len() {
                // Writing to a String does not fail.
                let _ = write!(instance, " {port}");
            }
            let addresses: Vec<IpAddr> =
                chunk.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()).collect();
            let is_everywhere = addresses.len() < chunk.len();
            let host = format!("{name}.local.");
            let info = ServiceInfo::new(
                kind,
                &instance,
                &host,
                &addresses[..],
                port,
                &[("path", path)][..],
            );
            let info = info.inspect_err(|error| say(&format!("--mdns {name}: {error}"))).ok()?;
            Some(if is_everywhere { info.enable_addr_auto() } else { info })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_can_reach_is_announced() {
        type Service = (&'static str, u16, bool);
        let cases: &[(&[&str], &[Service])] = &[
            (&["127.0.0.1:80", "[::1]:80"], &[]),
            (&["0.0.0.0:80", "[::]:80"], &[("board", 80, true)]),
            (&["192.168.1.20:8080"], &[("board", 8080, false)]),
            (
                &["0.0.0.0:80", "192.168.1.20:8080"],
                &[("board 80", 80, true), ("board 8080", 8080, false)],
            ),
        ];
        for (places, want) in cases {
            let places: Vec<_> =
                places.iter().map(|place| Place::Tcp(place.parse().unwrap())).collect();
            let services = services("board", &places, "/", false);
            let found: Vec<_> = services
                .iter()
                .map(|info| {
                    let instance = info.get_fullname().strip_suffix("._http._tcp.local.").unwrap();
                    (instance, info.get_port(), info.is_addr_auto())
                })
                .collect();
            assert_eq!(found, *want, "{places:?}");
            assert!(services.iter().all(|info| info.get_hostname() == "board.local."));
            let secure = super::services("board", &places, "/", true);
            assert!(secure.iter().all(|info| info.get_type() == "_https._tcp.local."));
        }
    }
}
