//! Where a service listens, and what that takes.

use std::fs;
use std::path::{Path, PathBuf};

use number8::server::Bind;

use super::unit::Listens;
use crate::config::Config;
use crate::listening;
use crate::problem::Problem;

/// Where systemd binds for the service, if nobody has said where it is to listen.
pub(super) fn listens(config: &Config) -> Option<Listens> {
    if !config.listen.binds.is_empty() || config.listen.port == 0 {
        return None;
    }
    let is_loopback = matches!(listening::usual_bind(config), Bind::Loopback { .. });
    Some(Listens { port: config.listen.port, is_loopback })
}

/// Where it listens by itself, and at which port where that is not said.
pub(super) fn binds(config: &Config) -> impl Iterator<Item = (Bind, u16)> {
    let listen = &config.listen;
    let webrepl = config.repl.webrepl.as_deref().and_then(|place| place.parse().ok());
    let beside = [
        (config.redirect_http.clone(), listening::HTTP_PORT),
        (config.answers.metrics.clone(), listening::METRICS_PORT),
        (webrepl, listening::WEBREPL_PORT),
    ];
    let beside = beside.into_iter().filter_map(|(bind, usual)| Some((bind?, usual)));
    listen.binds.iter().map(|bind| (bind.clone(), listen.port)).chain(beside)
}

/// Whether it listens by itself at a port below this one.
pub(super) fn binds_below(config: &Config, first: u16) -> bool {
    binds(config).any(|(bind, usual)| {
        let port = match bind {
            Bind::Ip { port, .. } | Bind::Loopback { port } => port.unwrap_or(usual),
            Bind::Every { port } => port,
            _ => return false,
        };
        (1..first).contains(&port)
    })
}

/// Whether this is an address that the machine has only once its network is there.
pub(super) fn needs_address(bind: &Bind) -> bool {
    matches!(bind, Bind::Ip { ip, .. } if !ip.is_loopback() && !ip.is_unspecified())
}

/// The first port that needs no privilege.
pub(super) fn first_free_port() -> u16 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}

/// A socket with a name in a folder that the service makes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) path: PathBuf,
    /// The folder below /run that systemd is to make for it.
    pub(super) runtime: Option<String>,
}

/// The sockets with names in folders; in `/run/NAME` of a service of this name, systemd makes the folder.
pub(super) fn sockets(config: &Config, here: &Path, name: &str) -> Vec<Socket> {
    let sockets = binds(config).filter_map(|(bind, _)| {
        let Bind::Unix { path, .. } = bind else { return None };
        let path = here.join(path);
        let parent = path.parent().and_then(|folder| below_run(folder));
        let runtime = parent.filter(|folder| folder.starts_with(name));
        let runtime = runtime.and_then(Path::to_str).map(str::to_owned);
        Some(Socket { path, runtime })
    });
    sockets.collect()
}

/// A folder as it is named from /run, if it is there.
fn below_run(folder: &Path) -> Option<&Path> {
    folder.strip_prefix("/run").or_else(|_| folder.strip_prefix("/var/run")).ok()
}

impl Socket {
    /// The folder that the service is to be allowed to write to, where systemd makes none.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.path.parent().filter(|_| self.runtime.is_none())
    }

    /// SECURITY: that this is no folder that belongs to everything.
    ///
    /// # Errors
    /// It is one.
    pub(super) fn check(&self, service: &str) -> Result<(), Problem> {
        let Some(folder) = self.path.parent() else { return Ok(()) };
        if folder.parent().is_some() && below_run(folder) != Some(Path::new("")) {
            return Ok(());
        }
        let file = self.path.file_name().unwrap_or_default().display();
        Err(Problem::usage(format!(
            "unix:{}: the service may not write to {}: name the socket in a folder of its own, such as \
             unix:/run/{service}/{file}",
            self.path.display(),
            folder.display()
        )))
    }
}
