//! The first thing the command says: every address at which it can be reached, and what is allowed there.

mod alone;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use if_addrs::IfOperStatus;
use number8::Authority;
use number8::access::Rights;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use crate::config::{Access, Config};
use crate::pages;
use crate::problem::one_line;
use crate::runner::Run;

/// Beginnings of the names of interfaces that lead to containers and virtual machines, not to other people.
const VIRTUAL: [&str; 7] = ["br-", "cni", "docker", "lxc", "podman", "veth", "virbr"];

/// A place that is listened at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address with the port that was really bound.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// An address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The name of the interface, such as `eth0`.
    pub name: String,
    /// One of its addresses.
    pub address: IpAddr,
}

/// The addresses of all interfaces that are up; none where the system does not tell.
pub fn interfaces() -> Vec<Interface> {
    let found = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
    found
        .filter(|interface| {
            matches!(interface.oper_status, IfOperStatus::Up | IfOperStatus::Unknown)
        })
        .map(|interface| Interface { address: interface.ip(), name: interface.name })
        .collect()
}

/// What to print once `places` are bound.
///
/// `in_colour` draws the QR code black on white, which every camera reads; without, it relies on a dark terminal.
pub fn text(
    config: &Config,
    places: &[Place],
    interfaces: &[Interface],
    in_colour: bool,
) -> String {
    let site = Site { scheme: scheme(config), prefix: &config.listen.path_prefix };
    let mut urls = urls(places, interfaces, site);
    if let Some(name) = &config.listen.mdns {
        by_name(&mut urls, name, places, site);
    }
    let file = alone::name(config).unwrap_or_default();
    let address = |url: &Url| match url.text.starts_with("http") {
        true => format!("{}{file}", url.text),
        false => url.text.clone(),
    };
    let width = urls.iter().map(|url| address(url).len()).max().unwrap_or_default();

    let mut text = String::new();
    if let Some(app) = &config.app {
        text.push_str(&format!("Running {}\n", one_line(&app.name())));
    }
    for mount in &config.files.mounts {
        let path = one_line(&mount.path.to_string_lossy());
        let place = if mount.url == "/" { String::new() } else { format!(" under {}", mount.url) };
        let rights = rights(&config.access);
        text.push_str(&format!("Serving {path}{place}, {rights}\n"));
    }
    for url in &urls {
        text.push_str(&format!("  {:width$}  {}\n", address(url), url.reach));
    }
    // Who has said where to listen has asked for it.
    if config.access.is_for_this_machine() && config.listen.binds.is_empty() {
        let what =
            if config.access.everyone_changes_files() { "write" } else { "do more than look" };
        text.push_str(&format!(
            "  for this machine alone, since everyone may {what}: say who may (--auth), allow less, or add --insecure\n"
        ));
    }
    if config.board {
        text.push_str(&board(config, &urls));
    } else if config.access.accounts.is_some()
        && config.access.sessions.is_some()
        && let Some(url) = urls.iter().find(|url| url.text.starts_with("http"))
    {
        text.push_str(&format!("To log in: {}.number8/login\n", url.text));
    }
    if config.listen.qr {
        match urls.iter().find(|url| url.is_for_others).and_then(|url| qr(&address(url), in_colour))
        {
            Some(code) => text.push_str(&code),
            None => {
                text.push_str("No QR code: no other machine can reach this address; see --bind\n");
            }
        }
    }
    text
}

/// The addresses of what is served beside the rest, as others type them; where none is for others, those of this machine. Where no
/// address of the machine is known, what was bound.
pub fn beside(scheme: &str, path: &str, places: &[Place], interfaces: &[Interface]) -> Vec<String> {
    let urls = urls(places, interfaces, Site { scheme, prefix: path });
    let is_for_others = urls.iter().any(|url| url.is_for_others);
    let told = urls.into_iter().filter(|url| url.is_for_others == is_for_others);
    let told: Vec<String> = told.map(|url| url.text).collect();
    if told.is_empty() {
        let bound = places.iter().map(|place| match place {
            Place::Tcp(address) => format!("{scheme}://{address}{path}/"),
            Place::Unix(_) => one_line(&place.to_string()),
        });
        return bound.collect();
    }
    told
}

/// How devices come to trust the certificate that was made here: from one of `places`, or of `plain` ones without TLS, where
/// there are any.
pub fn trust(
    config: &Config,
    authority: &Authority,
    (places, plain): (&[Place], &[Place]),
    interfaces: &[Interface],
) -> String {
    let (places, scheme) = if plain.is_empty() { (places, "https") } else { (plain, "http") };
    let urls = urls(places, interfaces, Site { scheme, prefix: &config.listen.path_prefix });
    let of_ip = || urls.iter().filter(|url| url.text.starts_with("http"));
    let mut text = format!("The certificate is by {}", one_line(authority.name()));
    if let Some(url) = of_ip().find(|url| url.is_for_others).or_else(|| of_ip().next()) {
        text.push_str(&format!("; to trust it, devices install {}.number8/ca.crt", url.text));
    }
    let file = one_line(&authority.path().to_string_lossy());
    text.push_str(&format!(" (here: {file})\n  SHA-256 {}\n", authority.fingerprint()));
    text
}

/// What is served and where, in one line.
pub fn status(config: &Config, places: &[Place]) -> String {
    let app = config.app.iter().map(|app| app.name().into());
    let folders: Vec<_> =
        app.chain(config.files.mounts.iter().map(|mount| mount.path.to_string_lossy())).collect();
    let places: Vec<_> = places.iter().map(Place::to_string).collect();
    one_line(&format!("serving {} at {}", folders.join(", "), places.join(", ")))
}

/// Where the pages are, who can log in there, and what that is worth.
fn board(config: &Config, urls: &[Url]) -> String {
    let mut text = String::new();
    if let Some(url) = urls.iter().find(|url| url.text.starts_with("http")) {
        text.push_str(&format!("The board: {}.number8/board\n", url.text));
    }
    match &config.access.made_password {
        Some(password) => text.push_str(&format!(
            "  log in as admin with the password {password} (made for this run; --auth sets another)\n"
        )),
        None if config.access.accounts.is_some() => text.push_str("  log in with an account of yours\n"),
        None => text.push_str("  there are no accounts: everyone may do what is allowed\n"),
    }
    let languages = config.run.as_ref().map(Run::languages).unwrap_or_default();
    let terminal = (config.repl.is_on && pages::have_scripts()).then_some("a terminal");
    let on: Vec<&str> = languages.iter().map(String::as_str).chain(terminal).collect();
    if !on.is_empty() {
        text.push_str(&format!(
            "  who has the right may run programs on this machine: {}\n",
            on.join(", ")
        ));
    }
    if !pages::have_scripts() {
        text.push_str(
            "  the pages are without scripts and without a terminal: make web builds them\n",
        );
    }
    let is_in_the_open = config.tls.is_none() && urls.iter().any(|url| url.is_for_others);
    if config.access.accounts.is_some() && is_in_the_open {
        text.push_str(
            "  passwords travel unencrypted: use a network that you trust, or --tls-self-signed\n",
        );
    }
    text
}

/// What everyone may do, and whether somebody may do more.
fn rights(access: &Access) -> String {
    let everyone = access.rules.rights(None, b"/");
    if access.accounts.is_some() {
        let more = if everyone.is_empty() { "for those who log in" } else { "more after a login" };
        let everyone = if everyone.is_empty() { String::new() } else { rights_of(everyone) + ", " };
        return everyone + more;
    }
    rights_of(everyone)
}

fn rights_of(everyone: Rights) -> String {
    if everyone == Rights::RO {
        return "read only".to_owned();
    }
    let verbs = everyone.to_string();
    let verbs = verbs.split(',').map(|verb| match verb {
        "none" => "do nothing",
        "run" => "run programs",
        "repl" => "use the terminal",
        "events" => "publish events",
        other => other,
    });
    format!("everyone may {}", verbs.collect::<Vec<_>>().join(", "))
}

struct Url {
    text: String,
    /// Who can use it.
    reach: String,
    is_for_others: bool,
}

/// Loopback first, then the network, then Unix sockets.
fn urls(places: &[Place], interfaces: &[Interface], site: Site<'_>) -> Vec<Url> {
    let mut urls: Vec<(u8, Url)> = Vec::new();
    for place in places {
        match place {
            Place::Unix(path) => {
                let text = format!("unix:{}", one_line(&path.to_string_lossy()));
                urls.push((
                    u8::MAX,
                    Url { text, reach: "this machine".to_owned(), is_for_others: false },
                ));
            }
            Place::Tcp(bound) => {
                for interface in reached_by(*bound, interfaces) {
                    urls.push((rank(&interface), url(&interface, bound.port(), site)));
                }
            }
        }
    }
    urls.sort_by_key(|(rank, _)| *rank);
    urls.dedup_by(|(_, one), (_, other)| one.text == other.text);
    urls.into_iter().map(|(_, url)| url).collect()
}

/// Adds the name in the local network behind the addresses of this machine, if it leads anywhere.
fn by_name(urls: &mut Vec<Url>, name: &str, places: &[Place], site: Site<'_>) {
    let port = places.iter().find_map(|place| match place {
        Place::Tcp(address) if !address.ip().is_loopback() => Some(address.port()),
        _ => None,
    });
    if let Some(port) = port {
        let after = urls.iter().take_while(|url| !url.is_for_others).count();
        let url = Url {
            text: format!("{}://{name}.local{}{}/", site.scheme, site.port(port), site.prefix),
            reach: "network, by name".to_owned(),
            is_for_others: true,
        };
        // The QR code is of the first address: not every phone finds names.
        urls.insert((after + 1).min(urls.len()), url);
    }
}

/// How everything that is served is reached.
#[derive(Clone, Copy)]
struct Site<'a> {
    scheme: &'a str,
    prefix: &'a str,
}

impl Site<'_> {
    /// The port as it stands in a URL.
    fn port(self, port: u16) -> String {
        match (self.scheme, port) {
            ("http", 80) | ("https", 443) => String::new(),
            _ => format!(":{port}"),
        }
    }
}

fn scheme(config: &Config) -> &'static str {
    if config.tls.is_some() { "https" } else { "http" }
}

/// The addresses that lead to this one: itself, or all of its family.
fn reached_by(bound: SocketAddr, interfaces: &[Interface]) -> Vec<Interface> {
    let address = bound.ip();
    if !address.is_unspecified() {
        let name = interfaces
            .iter()
            .find(|interface| interface.address == address)
            .map(|interface| interface.name.clone());
        return vec![Interface { name: name.unwrap_or_default(), address }];
    }
    let of_family =
        interfaces.iter().filter(|interface| interface.address.is_ipv4() == address.is_ipv4());
    // A link-local IPv6 address needs the name of an interface beside it, which browsers refuse.
    of_family.filter(|interface| !is_link_local_v6(interface.address)).cloned().collect()
}

fn is_link_local_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn rank(interface: &Interface) -> u8 {
    let is_virtual = VIRTUAL.iter().any(|start| interface.name.starts_with(start));
    match (interface.address.is_loopback(), is_virtual, interface.address.is_ipv4()) {
        (true, _, true) => 0,
        (true, _, false) => 1,
        (_, false, true) => 2,
        (_, false, false) => 3,
        (_, true, _) => 4,
    }
}

fn url(interface: &Interface, port: u16, site: Site<'_>) -> Url {
    let host = match interface.address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    let port = site.port(port);
    let is_for_others = !interface.address.is_loopback();
    let reach = match (is_for_others, interface.name.as_str()) {
        (false, _) => "this machine".to_owned(),
        (true, "") => "network".to_owned(),
        (true, name) => format!("network ({name})"),
    };
    let text = format!("{}://{host}{port}{}/", site.scheme, site.prefix);
    Url { text, reach, is_for_others }
}

/// The text as a QR code of block characters, two rows in each line.
fn qr(text: &str, in_colour: bool) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let mut renderer = code.render::<Dense1x2>();
    if in_colour {
        let drawn = renderer.build();
        return Some(drawn.lines().map(|line| format!("\x1b[30;107m{line}\x1b[0m\n")).collect());
    }
    Some(renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Vec<Interface> {
        [
            ("lo", "127.0.0.1"),
            ("docker0", "172.17.0.1"),
            ("eth0", "192.168.1.20"),
            ("lo", "::1"),
            ("eth0", "2001:db8::20"),
            ("eth0", "fe80::1"),
        ]
        .map(|(name, address)| Interface {
            name: name.to_owned(),
            address: address.parse().unwrap(),
        })
        .to_vec()
    }

    #[test]
    fn o2_the_name_is_shown_where_it_leads_somewhere() {
        for (bound, want) in [
            ("127.0.0.1:80", None),
            ("0.0.0.0:80", Some((2, "http://board.local/x/"))),
            ("192.168.1.20:8080", Some((1, "http://board.local:8080/x/"))),
        ] {
            let places = [Place::Tcp(bound.parse().unwrap())];
            let site = Site { scheme: "http", prefix: "/x" };
            let mut urls = urls(&places, &machine(), site);
            by_name(&mut urls, "board", &places, site);
            let mut shown = urls.iter().map(|url| url.text.as_str()).enumerate();
            assert_eq!(shown.find(|(_, text)| text.contains(".local")), want, "{bound}");
        }
    }

    #[test]
    fn l7_what_is_beside_is_told_by_addresses_that_can_be_typed() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "ws",
                &["[::]:8266", "0.0.0.0:8266"],
                &["ws://192.168.1.20:8266/", "ws://[2001:db8::20]:8266/", "ws://172.17.0.1:8266/"],
            ),
            (
                "http",
                &["127.0.0.1:9100", "[::1]:9100"],
                &["http://127.0.0.1:9100/", "http://[::1]:9100/"],
            ),
            ("http", &["192.168.1.20:80"], &["http://192.168.1.20/"]),
        ];
        for (scheme, bound, want) in cases {
            let places = bound.iter().map(|place| Place::Tcp(place.parse().unwrap()));
            let places = places.collect::<Vec<_>>();
            assert_eq!(beside(scheme, "", &places, &machine()), *want, "{bound:?}");
        }
        let places = [Place::Tcp("0.0.0.0:9100".parse().unwrap())];
        assert_eq!(beside("http", "/metrics", &places, &[]), ["http://0.0.0.0:9100/metrics/"]);
        let places = [Place::Unix("/run/m.sock".into())];
        assert_eq!(beside("http", "/metrics", &places, &machine()), ["unix:/run/m.sock"]);
    }

    #[test]
    fn l7_every_address_is_shown_with_who_can_use_it() {
        let cases: &[(&[&str], &str, &[&str])] = &[
            (
                &["[::]:8080", "0.0.0.0:8080"],
                "",
                &[
                    "http://127.0.0.1:8080/ this machine",
                    "http://[::1]:8080/ this machine",
                    "http://192.168.1.20:8080/ network (eth0)",
                    "http://[2001:db8::20]:8080/ network (eth0)",
                    "http://172.17.0.1:8080/ network (docker0)",
                ],
            ),
            (&["127.0.0.1:9000"], "/x", &["http://127.0.0.1:9000/x/ this machine"]),
            (&["192.168.1.20:80"], "", &["http://192.168.1.20/ network (eth0)"]),
            (&["203.0.113.9:80"], "", &["http://203.0.113.9/ network"]),
            (
                &["127.0.0.1:1", "unix:/run/n8.sock"],
                "",
                &["http://127.0.0.1:1/ this machine", "unix:/run/n8.sock this machine"],
            ),
        ];
        for (bound, prefix, want) in cases {
            let place = |text: &&str| match text.strip_prefix("unix:") {
                Some(path) => Place::Unix(path.into()),
                None => Place::Tcp(text.parse().unwrap()),
            };
            let places: Vec<_> = bound.iter().map(place).collect();
            let site = Site { scheme: "http", prefix };
            let shown: Vec<_> = urls(&places, &machine(), site)
                .iter()
                .map(|url| format!("{} {}", url.text, url.reach))
                .collect();
            assert_eq!(shown, *want, "{bound:?}");
        }
    }

    #[test]
    fn g5_addresses_say_that_they_are_secure() {
        let site = Site { scheme: "https", prefix: "" };
        for (bound, want) in [
            ("192.168.1.20:443", "https://192.168.1.20/"),
            ("192.168.1.20:80", "https://192.168.1.20:80/"),
            ("[::1]:8443", "https://[::1]:8443/"),
        ] {
            let urls = urls(&[Place::Tcp(bound.parse().unwrap())], &machine(), site);
            assert_eq!(urls[0].text, want);
        }
    }

    #[test]
    fn every_machine_has_a_loopback_address() {
        assert!(interfaces().iter().any(|interface| interface.address.is_loopback()));
    }

    #[test]
    fn a_qr_code_is_a_square_of_blocks() {
        for in_colour in [true, false] {
            let drawn = qr("http://192.168.1.20:8080/", in_colour).unwrap();
            let widths: Vec<_> = drawn
                .lines()
                .map(|line| line.chars().filter(|c| " ▀▄█".contains(*c)).count())
                .collect();
            // 25 modules and a quiet zone of 4 on each side; two rows in a line.
            assert!(widths.iter().all(|&width| width == 33), "{drawn}");
            assert_eq!(widths.len(), 17);
        }
    }
}
