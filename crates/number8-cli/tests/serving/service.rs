//! What a service manager sees.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::{PATIENCE, Served, sandbox};

/// A service manager that listens.
struct Manager(UnixDatagram);

impl Manager {
    fn start(folder: &Path) -> Self {
        let socket = UnixDatagram::bind(folder.join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// number8 as this manager starts it.
    fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = crate::number8(folder);
        command.args(["site", "-b", "127.0.0.1:0"]).args(arguments);
        command.env("NOTIFY_SOCKET", folder.join("notify"));
        command
    }

    /// The next message, whatever keeps it alive left out.
    fn hears(&self) -> String {
        loop {
            let message = self.hears_all();
            if message != "WATCHDOG=1\n" {
                return message;
            }
        }
    }

    fn hears_all(&self) -> String {
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }
}

#[test]
fn o5_a_service_manager_is_told_of_ready_reload_and_stop() {
    let folder = sandbox();
    let manager = Manager::start(folder.path());
    let mut served = Served::run(manager.command(folder.path(), &[]));
    let ready = manager.hears();
    // It is told what is served and where, and only when that can be reached.
    served.address = Some(served.url());
    let place = served.address.unwrap();
    assert_eq!(ready, format!("READY=1\nSTATUS=serving {} at {place}\n", "site"));
    assert!(served.get("/").ends_with("hello"));

    served.signal(Signal::HUP);
    let reloading = manager.hears();
    let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(time.trim_end().parse::<u64>().unwrap() > 0);
    assert!(manager.hears().starts_with("READY=1\n"));

    served.signal(Signal::TERM);
    assert!(manager.hears().starts_with("STOPPING=1\n"));
    assert_eq!(served.ended().code(), Some(0));
}

#[test]
fn o5_a_reload_that_fails_is_over_too() {
    let folder = sandbox();
    let manager = Manager::start(folder.path());
    fs::write(folder.path().join("conf.toml"), "grace = \"1s\"\n").unwrap();
    let served = Served::run(manager.command(folder.path(), &["--config", "conf.toml"]));
    manager.hears();
    fs::write(folder.path().join("conf.toml"), "grace = 1 2\n").unwrap();
    served.signal(Signal::HUP);
    assert!(manager.hears().starts_with("RELOADING=1\n"));
    assert!(manager.hears().starts_with("READY=1\n"));
    served.message("the old configuration stays in use");
}

#[test]
fn o5_after_a_reload_the_status_says_what_is_served_then() {
    let folder = sandbox();
    let manager = Manager::start(folder.path());
    fs::create_dir(folder.path().join("other")).unwrap();
    fs::write(folder.path().join("conf.toml"), "path = 'site'\n").unwrap();
    let mut command = crate::number8(folder.path());
    command.args(["-b", "127.0.0.1:0", "--config", "conf.toml"]);
    command.env("NOTIFY_SOCKET", folder.path().join("notify"));
    let served = Served::run(command);
    assert!(manager.hears().contains("STATUS=serving site at "));
    fs::write(folder.path().join("conf.toml"), "path = 'other'\n").unwrap();
    served.signal(Signal::HUP);
    assert!(manager.hears().starts_with("RELOADING=1\n"));
    let ready = manager.hears();
    assert!(ready.contains("STATUS=serving other at "), "{ready}");
}

#[test]
fn o5_the_watchdog_hears_that_it_lives() {
    let folder = sandbox();
    let manager = Manager::start(folder.path());
    let mut command = manager.command(folder.path(), &[]);
    command.env("WATCHDOG_USEC", "20000");
    let _served = Served::run(command);
    assert!(manager.hears_all().starts_with("READY=1\n"));
    for _ in 0..3 {
        assert_eq!(manager.hears_all(), "WATCHDOG=1\n");
    }
}

#[test]
fn b22_o5_the_first_visitor_starts_it() {
    let activate = "/usr/bin/systemd-socket-activate";
    if !Path::new(activate).exists() {
        eprintln!("skipped: there is no {activate}");
        return;
    }
    let folder = sandbox();
    let path = folder.path().join("sock");
    let mut command = Command::new(activate);
    command.env_clear().env("HOME", folder.path()).current_dir(folder.path());
    command.arg("-l").arg(&path).args([env!("CARGO_BIN_EXE_number8"), "site"]);
    let mut served = Served::run(command);
    served.message("Listening on");
    let mut visitor = UnixStream::connect(&path).unwrap();
    visitor.set_read_timeout(Some(PATIENCE)).unwrap();
    visitor.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    visitor.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    served.message("Serving site");
    served.signal(Signal::TERM);
    assert_eq!(served.ended().code(), Some(0));
}
