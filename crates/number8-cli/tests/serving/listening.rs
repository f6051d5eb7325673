//! Where it listens: addresses, Unix sockets, and sockets that were handed over.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use super::{Client, Served, by_shell, last, sandbox, until};

#[test]
fn n8_l7_every_address_is_printed_and_answers() {
    let folder = sandbox();
    let arguments = ["-b", "unix:n8.sock,mode=640", "-b", "127.0.0.2:0", "--path-prefix", "/x"];
    let mut served = Served::start(folder.path(), &arguments);
    until("all are printed", || {
        let text = served.messages().join("\n");
        text.matches("http://127.0.0.").count() == 2 && text.contains("n8.sock")
    });
    for line in served.messages() {
        if let Some((_, rest)) = line.split_once("http://") {
            let (address, path) = rest.split_once('/').unwrap();
            assert!(path.starts_with("x/"), "{line}");
            let socket = TcpStream::connect(address).unwrap();
            assert!(Client::new(socket).send(&last("/x/", "")).rest().ends_with("hello"));
        }
    }
    let path = folder.path().join("n8.sock");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let mut client = Client(UnixStream::connect(&path).unwrap());
    assert!(client.send(&last("/x/", "")).rest().ends_with("hello"));

    served.signal(Signal::TERM);
    assert_eq!(served.ended().code(), Some(0));
    assert!(!path.exists(), "the socket's file goes with it");
}

#[test]
fn a_busy_port_is_one_clear_line_and_exit_code_1() {
    let folder = sandbox();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let output = crate::number8(folder.path()).args(["site", "-b", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line = crate::complaint(&output);
    assert!(line.contains(&address) && line.contains("in use"), "{line}");
    assert!(line.ends_with("; choose another with --bind"), "{line}");
}

#[test]
fn b22_h1_a_handed_over_socket_is_served() {
    let cases = [
        "exec \"$0\" \"$@\" -b fd:3 3<&0 0</dev/null",
        "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 0</dev/null",
        "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" -b fd:3 3<&0 0</dev/null",
    ];
    let folder = sandbox();
    for script in cases {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut command = by_shell(folder.path(), script, &["site"]);
        command.stdin(OwnedFd::from(listener));
        let mut served = Served::run(command);
        assert_eq!(served.url(), address, "{script}");
        served.address = Some(address);
        assert!(served.get("/").ends_with("hello"), "{script}");
        served.signal(Signal::TERM);
        assert_eq!(served.ended().code(), Some(0), "{script}");
    }
}

/// Whoever visits it would wait for ever.
#[test]
fn b22_a_handed_over_socket_that_is_not_served_is_told_of() {
    let folder = sandbox();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let script =
        "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec \"$0\" \"$@\" 3<&0 0</dev/null";
    let mut command = by_shell(folder.path(), script, &["site", "-b", "127.0.0.1:0"]);
    command.stdin(OwnedFd::from(listener));
    let served = Served::run(command);
    served.message("the socket web that was handed over is not served");
    served.message("--bind fd:3");
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let folder = sandbox();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = "LISTEN_PID=1 LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 0</dev/null";
    let mut command = by_shell(folder.path(), script, &["site", "-b", "127.0.0.1", "-p", "0"]);
    command.stdin(OwnedFd::from(listener));
    assert_ne!(Served::run(command).url(), address);
}

#[test]
fn a_descriptor_that_is_no_listener_is_refused() {
    let folder = sandbox();
    let output =
        by_shell(folder.path(), "exec \"$0\" site -b fd:3 3</dev/null", &[""; 0]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(crate::complaint(&output).contains("fd:3"));
}

#[test]
fn what_only_the_start_needs_is_let_go_of() {
    let folder = sandbox();
    let served = Served::start(folder.path(), &[]);
    let status = format!("/proc/{}/status", served.child.id());
    until("its code is given back", || {
        let text = fs::read_to_string(&status).unwrap();
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_ascii_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        kib("VmHWM:").saturating_sub(kib("VmRSS:")) > 1024
    });
    assert!(served.get("/").ends_with("hello"));
}

#[test]
fn l7_the_address_of_one_file_has_its_name() {
    let folder = sandbox();
    fs::write(folder.path().join("a b.txt"), "alone").unwrap();
    let mut command = crate::number8(folder.path());
    command.args(["a b.txt", "-b", "127.0.0.1:0"]);
    let mut served = Served::run(command);
    served.address = Some(served.url());
    let line = served.message("http://127.0.0.1:");
    let path = line.split_whitespace().next().unwrap().splitn(4, '/').nth(3).unwrap();
    assert_eq!(path, "a%20b.txt");
    assert!(served.get(&format!("/{path}")).ends_with("alone"));
}
