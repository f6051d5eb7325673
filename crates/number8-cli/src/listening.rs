//! Where the command listens, and where it must not.

use std::io;
use std::path::PathBuf;

use number8::server::{self, Bind, Listener, LocalAddr};

use crate::banner::Place;
use crate::config::Config;
use crate::problem::{Problem, say};

/// Not 9100, where node_exporter is on a machine that is watched.
pub(crate) const METRICS_PORT: u16 = 18080;

/// Where clients come that are told no port.
pub(crate) const HTTP_PORT: u16 = 80;

/// Where MicroPython's devices listen.
pub(crate) const WEBREPL_PORT: u16 = 8266;

/// Listens where the configuration says, or where whoever started us listens already, or everywhere.
pub(crate) fn listen(config: &Config) -> Result<Vec<Listener>, Problem> {
    let failure = |error: server::BindError| Problem::failure(error.to_string());
    let mut binds = config.listen.binds.clone();
    if binds.is_empty() {
        let inherited = server::inherited().map_err(failure)?;
        if !inherited.is_empty() {
            let listeners: Vec<Listener> =
                inherited.into_iter().map(|(_, listener)| listener).collect();
            guard(config, &places(listeners.iter().map(Listener::local_addr)))?;
            return Ok(listeners);
        }
        binds.push(usual_bind(config));
    }
    let option = match config.listen.binds.is_empty() || binds.iter().any(takes_port) {
        true => "--port, or --port 0 for any free one",
        false => "--bind",
    };
    let listeners =
        server::bind(&binds, config.listen.port).map_err(|error| busy("", &error, option))?;
    // Only those that `fd:N` has not named are left.
    for (number, name) in server::not_taken().map_err(failure)? {
        say(&format!(
            "the socket {name} that was handed over is not served, and who visits it waits: add --bind fd:{number}, or \
             take it away"
        ));
    }
    guard(config, &places(listeners.iter().map(Listener::local_addr)))?;
    Ok(listeners)
}

/// Whether `--port` says at which port this is: no other was named, or none at all.
fn takes_port(bind: &Bind) -> bool {
    matches!(bind, Bind::Ip { port: None, .. } | Bind::Loopback { port: None })
}

/// What to say where an address cannot be had that `option` chooses.
pub(crate) fn busy(of: &str, error: &server::BindError, option: &str) -> Problem {
    let advice = match error.is_about_port() {
        true => another_port(error.kind(), option),
        false => String::new(),
    };
    Problem::failure(format!("{of}{error}{advice}"))
}

fn another_port(refused: io::ErrorKind, option: &str) -> String {
    match refused {
        io::ErrorKind::AddrInUse => format!("; choose another with {option}"),
        io::ErrorKind::PermissionDenied => format!("; or choose a higher one with {option}"),
        _ => String::new(),
    }
}

/// Where to listen if nobody says.
pub(crate) fn usual_bind(config: &Config) -> Bind {
    match config.access.is_for_this_machine() || config.app.is_some() {
        true => Bind::Loopback { port: Some(config.listen.port) },
        false => Bind::Every { port: config.listen.port },
    }
}

/// Refuses to be reached from other machines where that is not safe.
pub(crate) fn guard(config: &Config, places: &[Place]) -> Result<(), Problem> {
    match config.access.is_for_this_machine() {
        true => local_only(places, WRITABLE),
        false => Ok(()),
    }
}

/// As [`guard`], for the clients of WebREPL.
pub(crate) fn guard_terminal(config: &Config, places: &[Place]) -> Result<(), Problem> {
    match config.repl.webrepl_password.is_none() && !config.access.insecure {
        true => local_only(places, "everyone who reaches {} could run programs there"),
        false => Ok(()),
    }
}

/// Why other machines are not to reach what everyone may change, run or send.
pub(crate) const WRITABLE: &str = "everyone who reaches {} could do more there than read";

/// Refuses places that other machines reach, with why.
pub(crate) fn local_only(places: &[Place], why: &str) -> Result<(), Problem> {
    let far = places.iter().find_map(|place| match place {
        Place::Tcp(address) if !address.ip().is_loopback() => Some(address),
        Place::Tcp(_) | Place::Unix(_) => None,
    });
    let Some(address) = far else { return Ok(()) };
    let why = why.replace("{}", &address.to_string());
    let help = "listen at localhost, allow less, or add --insecure";
    Err(Problem::config(format!("{why}: {help}")))
}

/// Where these addresses are, for people.
pub(crate) fn places<'a>(addresses: impl Iterator<Item = &'a LocalAddr>) -> Vec<Place> {
    addresses
        .map(|address| match address {
            LocalAddr::Ip(address) => Place::Tcp(*address),
            LocalAddr::Unix(path) => Place::Unix(path.clone()),
            LocalAddr::Abstract(name) => Place::Unix(PathBuf::from(format!("@{name}"))),
        })
        .collect()
}

pub(crate) fn ports(places: &[Place]) -> Vec<u16> {
    let ports = places.iter().filter_map(|place| match place {
        Place::Tcp(address) => Some(address.port()),
        Place::Unix(_) => None,
    });
    ports.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row B1: a port that cannot be had comes with the way to another one.
    #[test]
    fn b1_a_port_that_is_refused_comes_with_another_port() {
        let option = "--port";
        for (kind, want) in [
            (io::ErrorKind::PermissionDenied, "; or choose a higher one with --port"),
            (io::ErrorKind::AddrInUse, "; choose another with --port"),
            (io::ErrorKind::AddrNotAvailable, ""),
        ] {
            assert_eq!(another_port(kind, option), want, "{kind}");
        }
    }
}
