//! The texts of the units, made from those in `systemd/`, which are units themselves.

use std::time::Duration;

use crate::problem::Problem;

/// The first line of what we write, so that nothing else is overwritten or removed.
pub(super) const MARK: &str =
    "# Written by \"number8 service install\"; \"number8 service remove\" takes it away.";

const SERVICE: &str = include_str!("../../systemd/number8.service");
const BOARD: &str = include_str!("../../systemd/board.conf");
const APP: &str = include_str!("../../systemd/app.conf");
const SOCKET: &str = include_str!("../../systemd/number8.socket");

/// What the manager of one person cannot do, or does for a person anyway.
const OF_THE_SYSTEM: &[&str] = &[
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "DevicePolicy",
    "DynamicUser",
    "PrivateDevices",
    "PrivateTmp",
    "PrivateUsers",
    "ProcSubset",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "RemoveIPC",
    // The files that a person takes in are to be what that person's files always are.
    "UMask",
];

/// What a service runs and may do.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// The file with the passwords that it asks for beyond that.
    pub(super) users: Option<String>,
    /// The folder that relative paths in the arguments start from, where there are any.
    pub(super) folder: Option<String>,
    /// The folder below /run that it has as long as it runs.
    pub(super) runtime: Option<String>,
    /// Whether it is a service of the person who installs it, not of the machine.
    pub(super) is_personal: bool,
    /// Whom it runs as; a user of its own where this is not said.
    pub(super) user: Option<u32>,
    /// Folders that it changes.
    pub(super) writes: Vec<String>,
    /// Whether it keeps what has to be there at the next start.
    pub(super) keeps_state: bool,
    /// Whether what it needs is in a folder for temporary files.
    pub(super) sees_tmp: bool,
    /// How long it may take to end, before systemd ends it.
    pub(super) stops_within: Duration,
    /// Where systemd binds for it.
    pub(super) listens: Option<Listens>,
    /// Whether it binds a port itself that takes a privilege.
    pub(super) binds_low: bool,
    /// Whether it listens at an address that comes with the network.
    pub(super) needs_address: bool,
}

/// A port that systemd binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listens {
    pub(super) port: u16,
    /// Whether other machines cannot reach it.
    pub(super) is_loopback: bool,
}

impl Unit {
    /// The text of the `.service` unit.
    ///
    /// # Errors
    /// An argument cannot be written in a unit.
    pub(super) fn service(&self) -> Result<String, Problem> {
        let command: Result<Vec<_>, _> = self
            .command
            .iter()
            .map(|word| quoted(word).map(|word| word.replace('$', "$$")))
            .collect();
        let mut text = String::from(MARK);
        text.push_str("\n[Unit]\n");
        for line in body(SERVICE) {
            if self.leaves_out(line) {
                continue;
            }
            let (key, _) = line.split_once('=').unwrap_or((line, ""));
            match key {
                "ExecStart" => {
                    if let Some(folder) = &self.folder {
                        text.push_str(&format!("WorkingDirectory={}\n", escaped(folder)?));
                    }
                    text.push_str(&format!("ExecStart={}", command.clone()?.join(" ")));
                    text.push_str(&self.accounts()?);
                }
                "DynamicUser" if self.user.is_some() => {
                    text.push_str(&format!("User={}\n", self.user.unwrap_or_default()));
                }
                "ProtectSystem" => {
                    text.push_str(&format!("{line}\n"));
                    for path in &self.writes {
                        text.push_str(&format!("ReadWritePaths={}\n", quoted(path)?));
                    }
                }
                "LimitNOFILE" => {
                    text.push_str(&format!("{line}\n"));
                    if self.keeps_state {
                        text.push_str("StateDirectory=%p\nStateDirectoryMode=0700\n");
                    }
                    if let Some(folder) = self.runtime.as_ref().filter(|_| !self.is_personal) {
                        text.push_str(&format!("RuntimeDirectory={}\n", quoted(folder)?));
                    }
                }
                "TimeoutStopSec" => {
                    let seconds = self.stops_within.as_millis().div_ceil(1000);
                    text.push_str(&format!("TimeoutStopSec={seconds}\n"));
                }
                "AmbientCapabilities" | "CapabilityBoundingSet" if self.binds_low => {
                    text.push_str(&format!("{key}=CAP_NET_BIND_SERVICE\n"));
                }
                "After" if self.needs_address && !self.is_personal => {
                    text.push_str("Wants=network-online.target\nAfter=network-online.target\n");
                }
                // Of users of its own it would have the capability for ports of its own.
                "PrivateUsers" if self.binds_low => text.push_str("PrivateUsers=no\n"),
                "PrivateTmp" if self.sees_tmp => text.push_str("PrivateTmp=no\n"),
                "WantedBy" if self.is_personal => text.push_str("WantedBy=default.target\n"),
                _ => text.push_str(&format!("{line}\n")),
            }
        }
        Ok(text)
    }

    /// How the command line goes on, and where passwords come from. systemd reads the file of the machine, which only
    /// root can read, and hands it over.
    fn accounts(&self) -> Result<String, Problem> {
        let Some(users) = &self.users else { return Ok("\n".to_owned()) };
        let (file, credential) = match self.is_personal {
            true => (quoted(users)?, String::new()),
            false => (
                "${CREDENTIALS_DIRECTORY}/users".to_owned(),
                format!("LoadCredential=users:{}\n", escaped(users)?),
            ),
        };
        Ok(format!(" --auth admin@/:all --auth-file {file}\n{credential}"))
    }

    /// What is allowed beyond that where people run programs: the text of a file beside the `.service` unit.
    pub(super) fn board(&self) -> String {
        self.more(BOARD)
    }

    /// What is different where an app of Python's runs: the same.
    pub(super) fn app(&self) -> String {
        self.more(APP)
    }

    fn more(&self, text: &str) -> String {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !self.leaves_out(line));
        [MARK].into_iter().chain(lines).fold(String::new(), |text, line| text + line + "\n")
    }

    /// Whether a line of a unit is none for this service.
    fn leaves_out(&self, line: &str) -> bool {
        let (key, _) = line.split_once('=').unwrap_or((line, ""));
        self.is_personal && OF_THE_SYSTEM.contains(&key)
    }

    /// The text of the `.socket` unit, if systemd is to bind a port.
    pub(super) fn socket(&self) -> Option<String> {
        let Listens { port, is_loopback } = self.listens?;
        let mut text = format!("{MARK}\n[Unit]\n");
        for line in body(SOCKET) {
            match line.split_once('=') {
                Some(("ListenStream", _)) if is_loopback => {
                    text.push_str(&format!(
                        // Also where IPv6 is turned off.
                        "ListenStream=127.0.0.1:{port}\nListenStream=[::1]:{port}\nFreeBind=yes\n"
                    ));
                }
                Some(("ListenStream", _)) => text.push_str(&format!("ListenStream={port}\n")),
                Some(("Description", _)) => {
                    text.push_str(&format!("Description=number8 web server, port {port}\n"));
                }
                _ => text.push_str(&format!("{line}\n")),
            }
        }
        Some(text)
    }
}

/// The lines of a unit behind its first heading, without the comments, which are for readers of the sources.
fn body(unit: &str) -> impl Iterator<Item = &str> {
    unit.lines()
        .skip_while(|line| !line.starts_with('['))
        .skip(1)
        .filter(|line| !line.starts_with('#'))
}

/// A word of a command line or a list, as systemd reads it (systemd.service(5), "Command lines").
fn quoted(word: &str) -> Result<String, Problem> {
    let is_plain = |c: char| c.is_alphanumeric() || "_./:=,@+-%".contains(c);
    let word = escaped(word)?;
    if !word.is_empty() && word.chars().all(is_plain) {
        return Ok(word);
    }
    Ok(format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Text without specifiers.
fn escaped(text: &str) -> Result<String, Problem> {
    if text.chars().any(char::is_control) {
        return Err(Problem::usage(format!(
            "{text}: a unit cannot name this; use a name without control characters"
        )));
    }
    Ok(text.replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> Unit {
        Unit {
            command: vec!["/usr/bin/number8".to_owned(), "site".to_owned()],
            users: None,
            folder: Some("/home/pi".to_owned()),
            runtime: None,
            is_personal: false,
            user: None,
            writes: Vec::new(),
            keeps_state: false,
            sees_tmp: false,
            stops_within: Duration::from_secs(15),
            listens: Some(Listens { port: 80, is_loopback: false }),
            binds_low: false,
            needs_address: false,
        }
    }

    #[test]
    fn words_are_quoted_as_systemd_reads_them() {
        for (word, written) in [
            ("site", "site"),
            ("/a/b.c", "/a/b.c"),
            ("", "\"\""),
            ("my music", "\"my music\""),
            ("100%", "100%%"),
            ("a\"b", "\"a\\\"b\""),
            ("a\\b", "\"a\\\\b\""),
            ("a;b", "\"a;b\""),
            ("Hütte", "Hütte"),
        ] {
            assert_eq!(quoted(word).unwrap(), written, "{word:?}");
        }
        assert!(quoted("a\nExecStartPre=x").is_err());
    }

    #[test]
    fn variables_are_not_replaced() {
        let command = vec!["/usr/bin/number8".to_owned(), "$HOME".to_owned()];
        let text = Unit { command, ..unit() }.service().unwrap();
        assert!(text.contains("ExecStart=/usr/bin/number8 \"$$HOME\"\n"), "{text}");
    }

    #[test]
    fn each_difference_is_a_line() {
        let plain = unit().service().unwrap();
        for (unit, has, lacks) in [
            (unit(), "DynamicUser=yes", "User=1000"),
            (Unit { user: Some(1000), ..unit() }, "\nUser=1000\n", "DynamicUser"),
            (Unit { sees_tmp: true, ..unit() }, "PrivateTmp=no", "PrivateTmp=yes"),
            (
                Unit { writes: vec!["/srv/in box".to_owned()], ..unit() },
                "ReadWritePaths=\"/srv/in box\"\n",
                "ReadWritePaths=/srv",
            ),
            (Unit { keeps_state: true, ..unit() }, "\nStateDirectory=%p\n", "PrivateTmp=no"),
            (
                Unit { stops_within: Duration::from_millis(60_001), ..unit() },
                "\nTimeoutStopSec=61\n",
                "TimeoutStopSec=15",
            ),
            (
                Unit { binds_low: true, ..unit() },
                "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n",
                "PrivateUsers=yes",
            ),
            (
                Unit { needs_address: true, ..unit() },
                "\nWants=network-online.target\nAfter=network-online.target\n",
                "After=network.target",
            ),
            (
                Unit { runtime: Some("number8".to_owned()), ..unit() },
                "\nRuntimeDirectory=number8\n",
                "StateDirectory",
            ),
            (Unit { folder: None, ..unit() }, "DynamicUser=yes", "WorkingDirectory"),
            (Unit { is_personal: true, ..unit() }, "WantedBy=default.target", "ProtectSystem"),
        ] {
            let text = unit.service().unwrap();
            assert!(text.contains(has) && !text.contains(lacks), "{text}");
            assert!(text.starts_with(MARK) && text.contains("NoNewPrivileges=yes"));
            assert!(has == "DynamicUser=yes" || text != plain);
        }
    }

    #[test]
    fn passwords_come_from_a_file() {
        let unit = Unit { users: Some("/etc/number8/number8.users".to_owned()), ..unit() };
        for (unit, has) in [
            (
                unit.clone(),
                "site --auth admin@/:all --auth-file ${CREDENTIALS_DIRECTORY}/users\n\
                 LoadCredential=users:/etc/number8/number8.users\n",
            ),
            (
                Unit { is_personal: true, ..unit },
                "site --auth admin@/:all --auth-file /etc/number8/number8.users\n",
            ),
        ] {
            let text = unit.service().unwrap();
            assert!(text.contains(has), "{text}");
        }
    }

    #[test]
    fn the_socket_has_the_port() {
        let of = |listens| Unit { listens, ..unit() }.socket();
        let text = of(Some(Listens { port: 8080, is_loopback: false })).unwrap();
        assert!(text.contains("\nListenStream=8080\n") && !text.contains("=80\n"), "{text}");
        let text = of(Some(Listens { port: 8080, is_loopback: true })).unwrap();
        let loopback = "\nListenStream=127.0.0.1:8080\nListenStream=[::1]:8080\nFreeBind=yes\n";
        assert!(text.contains(loopback) && !text.contains("=8080\n"), "{text}");
        assert_eq!(of(None), None);
    }
}
