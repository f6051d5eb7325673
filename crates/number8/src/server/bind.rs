//! Where to listen: from what a person types to listening sockets, or one line that says what is in the way.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;

use rustix::io::Errno;

use super::listener::Listener;
use super::port_holder::{self, Holder};
use crate::sys;

/// One place to listen at. `FromStr` takes what the variants show, and [`Display`](fmt::Display) writes it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// `IP`, `IP:PORT`, `[IPv6]:PORT`: one address. Without a port the default one is used.
    Ip {
        /// The local address. An IPv6 one never takes IPv4 connections too.
        ip: IpAddr,
        /// The port; 0 is any free one.
        port: Option<u16>,
    },
    /// `:PORT`: every address of the machine, IPv6 and IPv4.
    Every {
        /// The port; 0 is any free one, the same for both.
        port: u16,
    },
    /// `localhost`, `localhost:PORT`: the loopback addresses, IPv4 and IPv6, which other machines cannot reach.
    Loopback {
        /// The port; 0 is any free one, the same for both. Without one the default is used.
        port: Option<u16>,
    },
    /// `unix:/path` or `unix:/path,mode=660`.
    Unix {
        /// Where the socket is made.
        path: PathBuf,
        /// Its permission bits; `None` leaves them to the umask.
        mode: Option<u32>,
    },
    /// `unix:@name`: a name in Linux's abstract namespace.
    Abstract(String),
    /// `fd:N`: a listening socket that this process was started with.
    Fd(RawFd),
}

/// Listens at all of `binds`, or at none. `default_port` is for those without a port.
///
/// All addresses with port 0 get the same port, free on each. Sockets do not block, are not passed on to child
/// processes, and accepted connections have `TCP_NODELAY`.
///
/// # Errors
///
/// The first place that cannot be had; see [`BindError`].
pub fn bind(binds: &[Bind], default_port: u16) -> Result<Vec<Listener>, BindError> {
    let mut listeners = listen_tcp(binds, default_port)?;
    for (index, bind) in binds.iter().enumerate() {
        let listener = match bind {
            Bind::Ip { .. } | Bind::Every { .. } | Bind::Loopback { .. } => continue,
            Bind::Unix { path, mode } => Listener::unix(path, *mode),
            Bind::Abstract(name) => Listener::unix_abstract(name),
            Bind::Fd(number) => sys::take_inherited_listener(*number).and_then(Listener::adopt),
        };
        listeners.push((index, listener.map_err(|error| BindError::new(bind, error))?));
    }
    listeners.sort_by_key(|(index, _)| *index);
    Ok(listeners.into_iter().map(|(_, listener)| listener).collect())
}

/// Takes over the sockets of systemd socket activation (`sd_listen_fds(3)`), each with its name
/// (`FileDescriptorName=`, or `unknown`). None if the environment hands over none to this process.
///
/// # Errors
///
/// `LISTEN_FDS` is no number, or one of the descriptors is no listening stream socket or was taken before: each can
/// be taken once.
pub fn inherited() -> Result<Vec<(String, Listener)>, BindError> {
    let handed_over = handed_over(|name| std::env::var(name).ok(), std::process::id())?;
    let take = |(number, name)| {
        let listener = sys::take_inherited_listener(number).and_then(Listener::adopt);
        Ok((name, listener.map_err(|error| BindError::new(&Bind::Fd(number), error))?))
    };
    handed_over.into_iter().map(take).collect()
}

/// The descriptors of systemd socket activation that nobody has taken, neither [`inherited`] nor [`bind`], each with its name:
/// whoever connects to them waits.
///
/// # Errors
///
/// `LISTEN_FDS` is no number.
pub fn not_taken() -> Result<Vec<(RawFd, String)>, BindError> {
    let mut handed_over = handed_over(|name| std::env::var(name).ok(), std::process::id())?;
    handed_over.retain(|(number, _)| !sys::is_taken(*number));
    Ok(handed_over)
}

/// The descriptors and names that `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` announce for process `pid`.
fn handed_over(
    variable: impl Fn(&str) -> Option<String>,
    pid: u32,
) -> Result<Vec<(RawFd, String)>, BindError> {
    // The variables survive a fork; only the process that they name may believe them.
    if variable("LISTEN_PID").and_then(|text| text.parse().ok()) != Some(pid) {
        return Ok(Vec::new());
    }
    let count = variable("LISTEN_FDS").unwrap_or_default();
    let Ok(count) = count.parse::<u16>() else {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no count of descriptors");
        return Err(BindError {
            address: format!("LISTEN_FDS={count}"),
            cause: Cause::Other(error),
        });
    };
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    let named = |number| (number, names.next().unwrap_or("unknown").to_owned());
    Ok((FIRST_HANDED_OVER..).take(count.into()).map(named).collect())
}

/// `SD_LISTEN_FDS_START`
const FIRST_HANDED_OVER: RawFd = 3;

/// Binds the IP addresses among `binds`; each listener comes with the index of its bind.
fn listen_tcp(binds: &[Bind], default_port: u16) -> Result<Vec<(usize, Listener)>, BindError> {
    // A port that is free on one address may be taken on the next one; then another is tried.
    const FREE_PORT_TRIES: u32 = 16;

    let mut tries = 1;
    loop {
        let mut free_port = 0;
        match listen_tcp_once(binds, default_port, &mut free_port) {
            Err(error)
                if free_port != 0
                    && error.kind() == io::ErrorKind::AddrInUse
                    && tries < FREE_PORT_TRIES =>
            {
                tries += 1;
            }
            result => return result,
        }
    }
}

/// `free_port` is the port that the addresses with port 0 share, 0 until the first of them is bound.
fn listen_tcp_once(
    binds: &[Bind],
    default_port: u16,
    free_port: &mut u16,
) -> Result<Vec<(usize, Listener)>, BindError> {
    let mut listeners = Vec::new();
    for (index, bind) in binds.iter().enumerate() {
        let (addresses, port): (&[IpAddr], u16) = match bind {
            Bind::Ip { ip, port } => (std::slice::from_ref(ip), port.unwrap_or(default_port)),
            Bind::Every { port } => (&EVERY_ADDRESS, *port),
            Bind::Loopback { port } => (&LOOPBACK, port.unwrap_or(default_port)),
            _ => continue,
        };
        let before = listeners.len();
        let mut lacking = None;
        for &ip in addresses {
            let address = SocketAddr::new(ip, if port == 0 { *free_port } else { port });
            match Listener::tcp(address) {
                Ok((listener, bound)) => {
                    if port == 0 {
                        *free_port = bound.port();
                    }
                    listeners.push((index, listener));
                }
                // `:PORT` means whatever this machine has: a kernel without IPv6 is no error.
                Err(error) if addresses.len() > 1 && lacks_family(&error) => {
                    lacking = Some(BindError::tcp(address, error));
                }
                Err(error) => return Err(BindError::tcp(address, error)),
            }
        }
        if let Some(error) = lacking
            && listeners.len() == before
        {
            return Err(error);
        }
    }
    Ok(listeners)
}

const EVERY_ADDRESS: [IpAddr; 2] =
    [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

fn lacks_family(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip { ip, port: None } => write!(f, "{ip}"),
            Self::Ip { ip, port: Some(port) } => write!(f, "{}", SocketAddr::new(*ip, *port)),
            Self::Every { port } => write!(f, ":{port}"),
            Self::Loopback { port: None } => f.write_str("localhost"),
            Self::Loopback { port: Some(port) } => write!(f, "localhost:{port}"),
            Self::Unix { path, mode: None } => write!(f, "unix:{}", path.display()),
            Self::Unix { path, mode: Some(mode) } => {
                write!(f, "unix:{},mode={mode:o}", path.display())
            }
            Self::Abstract(name) => write!(f, "unix:@{name}"),
            Self::Fd(number) => write!(f, "fd:{number}"),
        }
    }
}

impl FromStr for Bind {
    type Err = ParseBindError;

    fn from_str(text: &str) -> Result<Self, ParseBindError> {
        let refuse = |reason: String| ParseBindError { text: text.to_owned(), reason };
        if let Some(rest) = text.strip_prefix("unix:") {
            return parse_unix(rest).map_err(refuse);
        }
        if let Some(rest) = text.strip_prefix("fd:") {
            let number = rest.strip_prefix("//").unwrap_or(rest);
            let parsed = digits(number).ok_or_else(|| refuse(format!("{number:?} is no number")));
            return parsed.map(Self::Fd);
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip { ip, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = port.map(|port| {
            digits(port).ok_or_else(|| refuse(format!("{port:?} is no port from 0 to 65535")))
        });
        let port = port.transpose()?;
        if host.is_empty()
            && let Some(port) = port
        {
            return Ok(Self::Every { port });
        }
        if host == "localhost" {
            return Ok(Self::Loopback { port });
        }
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let ip = match bracketed {
            Some(host) => host.parse().map(IpAddr::V6).ok(),
            None => host.parse().map(IpAddr::V4).ok(),
        };
        let ip = ip.ok_or_else(|| match host == text {
            true => refuse("it is no IP address".to_owned()),
            false => refuse(format!("{host:?} is no IP address")),
        })?;
        Ok(Self::Ip { ip, port })
    }
}

/// What follows `unix:`.
fn parse_unix(text: &str) -> Result<Bind, String> {
    let (name, option) = match text.rsplit_once(',') {
        Some((name, option)) if option.contains('=') => (name, Some(option)),
        _ => (text, None),
    };
    let mode = option.map(|option| {
        let digits = option.strip_prefix("mode=").ok_or(format!("{option:?} is not mode=…"))?;
        let octal = digits.bytes().all(|byte| byte.is_ascii_digit());
        let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| octal && *mode <= 0o777);
        mode.ok_or(format!("{digits:?} is no octal mode such as 660"))
    });
    match (name.strip_prefix('@'), mode.transpose()?) {
        (None, _) if name.is_empty() => Err("the path is missing".to_owned()),
        (None, mode) => Ok(Bind::Unix { path: name.into(), mode }),
        (Some(""), _) => Err("the name is missing".to_owned()),
        (Some(_), Some(_)) => Err("an abstract name has no mode".to_owned()),
        (Some(name), None) => Ok(Bind::Abstract(name.to_owned())),
    }
}

/// `parse` alone would take a sign.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A text that is no [`Bind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseBindError {
    text: String,
    reason: String,
}

impl fmt::Display for ParseBindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no address to listen on: {} (one of IP, IP:PORT, [IPv6]:PORT, :PORT, localhost, localhost:PORT, \
             unix:/path[,mode=660], unix:@name, fd:N)",
            self.text, self.reason
        )
    }
}

impl Error for ParseBindError {}

/// A place at which we cannot listen. Its text is one line that says where, why, and what to do.
#[derive(Debug)]
pub struct BindError {
    address: String,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    PortInUse(Option<Holder>),
    PortDenied,
    AddressUnknown,
    Other(io::Error),
}

impl BindError {
    /// The system's kind of error: `AddrInUse`, `PermissionDenied` and so on.
    pub fn kind(&self) -> io::ErrorKind {
        match &self.cause {
            Cause::PortInUse(_) => io::ErrorKind::AddrInUse,
            Cause::PortDenied => io::ErrorKind::PermissionDenied,
            Cause::AddressUnknown => io::ErrorKind::AddrNotAvailable,
            Cause::Other(error) => error.kind(),
        }
    }

    /// Whether it is the port of an IP address that is in use or needs a privilege: another one may do.
    pub fn is_about_port(&self) -> bool {
        matches!(self.cause, Cause::PortInUse(_) | Cause::PortDenied)
    }

    /// The system's number for it (`EADDRINUSE` and so on), where it was the system that refused.
    pub fn raw_os_error(&self) -> Option<i32> {
        let errno = match &self.cause {
            Cause::PortInUse(_) => Errno::ADDRINUSE,
            Cause::PortDenied => Errno::ACCESS,
            Cause::AddressUnknown => Errno::ADDRNOTAVAIL,
            Cause::Other(error) => return error.raw_os_error(),
        };
        Some(errno.raw_os_error())
    }

    fn new(bind: &Bind, error: io::Error) -> Self {
        Self { address: bind.to_string(), cause: Cause::Other(error) }
    }

    fn tcp(address: SocketAddr, error: io::Error) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::AddrInUse => Cause::PortInUse(port_holder::find(address)),
            io::ErrorKind::PermissionDenied if address.port() < 1024 => Cause::PortDenied,
            io::ErrorKind::AddrNotAvailable => Cause::AddressUnknown,
            _ => Cause::Other(error),
        };
        Self { address: address.to_string(), cause }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: ", self.address)?;
        match &self.cause {
            Cause::PortInUse(holder) => {
                f.write_str("the port is in use")?;
                match holder {
                    Some(holder) if holder.is_this_process() => {
                        f.write_str(" by this process itself")
                    }
                    Some(holder) => write!(f, " by {holder}"),
                    None => Ok(()),
                }
            }
            Cause::PortDenied => f.write_str(
                "ports below 1024 need a privilege: grant CAP_NET_BIND_SERVICE (setcap cap_net_bind_service=+ep on the \
                 program), or use systemd socket activation",
            ),
            Cause::AddressUnknown => f.write_str("this machine does not have that address"),
            Cause::Other(error) => error.fmt(f),
        }
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::Other(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_believed_only_by_the_process_they_are_for() {
        let cases: [(&[_], &[_]); 6] = [
            (&[], &[]),
            (&[("LISTEN_FDS", "1")], &[]),
            (&[("LISTEN_PID", "8"), ("LISTEN_FDS", "1")], &[]),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "0")], &[]),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "2")], &[(3, "unknown"), (4, "unknown")]),
            (
                &[("LISTEN_PID", "7"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "http")],
                &[(3, "http"), (4, "unknown")],
            ),
        ];
        for (environment, expected) in cases {
            let found = handed_over(variables(environment), 7).unwrap();
            let found: Vec<_> = found.iter().map(|(number, name)| (*number, &**name)).collect();
            assert_eq!(found, expected);
        }
        for count in ["x", "-1", ""] {
            let environment = [("LISTEN_PID", "7"), ("LISTEN_FDS", count)];
            let error = handed_over(variables(&environment), 7).unwrap_err();
            assert!(error.to_string().contains("LISTEN_FDS"), "{error}");
        }
    }

    #[test]
    fn b1_a_privileged_port_says_how_to_get_it() {
        let denied = |address: &str| {
            let error = io::Error::from(io::ErrorKind::PermissionDenied);
            BindError::tcp(address.parse().unwrap(), error)
        };
        let text = denied("0.0.0.0:80").to_string();
        assert!(
            text.contains("CAP_NET_BIND_SERVICE") && text.contains("socket activation"),
            "{text}"
        );
        assert!(!denied("0.0.0.0:8080").to_string().contains("CAP_NET"));
        assert_eq!(denied("[::]:443").kind(), io::ErrorKind::PermissionDenied);
    }

    fn variables(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |wanted| {
            pairs.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        }
    }
}
