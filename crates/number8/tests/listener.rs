use std::error::Error;
use std::fs;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::iter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use number8::server::bind::{self, Bind, bind};
use number8::server::listener::{Accepted, Incoming, Listener, LocalAddr};
use number8::store::{OpenError, WriteError};
use number8::{App, ServeError, Server};
use proptest::prelude::*;

/// Who prints an error with all its causes reads each of them once.
#[test]
fn a_cause_is_told_once() {
    let fault = || io::Error::other(io::Error::other("the disk is on fire"));
    let errors: [Box<dyn Error>; 6] = [
        Box::new(Server::bind(App::new(), "999:1").unwrap_err()),
        Box::new(Server::bind(App::new(), "unix:/dev/null/socket").unwrap_err()),
        Box::new(ServeError::Start(fault())),
        Box::new(OpenError::Io(fault())),
        Box::new(WriteError::Io(fault())),
        Box::new(WriteError::Unsynced(fault())),
    ];
    for error in errors {
        let whole = error.to_string();
        let causes = iter::successors(error.source(), |&cause| Error::source(cause));
        let twice = causes.map(ToString::to_string).find(|cause| whole.contains(cause));
        assert_eq!(twice, None, "{whole}");
    }
}

#[test]
fn what_is_typed_is_understood_and_shown_again() {
    let ip = |ip: &str, port| Bind::Ip { ip: ip.parse().unwrap(), port };
    let unix = |path: &str, mode| Bind::Unix { path: path.into(), mode };
    let cases = [
        ("127.0.0.1", ip("127.0.0.1", None), "127.0.0.1"),
        ("0.0.0.0:80", ip("0.0.0.0", Some(80)), "0.0.0.0:80"),
        ("::1", ip("::1", None), "::1"),
        ("::", ip("::", None), "::"),
        ("[::1]", ip("::1", None), "::1"),
        ("[2001:DB8::1]:8080", ip("2001:db8::1", Some(8080)), "[2001:db8::1]:8080"),
        ("localhost", Bind::Loopback { port: None }, "localhost"),
        ("localhost:80", Bind::Loopback { port: Some(80) }, "localhost:80"),
        (":8080", Bind::Every { port: 8080 }, ":8080"),
        (":0", Bind::Every { port: 0 }, ":0"),
        ("unix:/run/a b", unix("/run/a b", None), "unix:/run/a b"),
        ("unix:/run/n8,mode=660", unix("/run/n8", Some(0o660)), "unix:/run/n8,mode=660"),
        ("unix:/run/a,b", unix("/run/a,b", None), "unix:/run/a,b"),
        ("unix:n8.sock", unix("n8.sock", None), "unix:n8.sock"),
        ("unix:@n8", Bind::Abstract("n8".to_owned()), "unix:@n8"),
        ("fd:3", Bind::Fd(3), "fd:3"),
        ("fd://3", Bind::Fd(3), "fd:3"),
    ];
    for (text, expected, shown) in cases {
        let parsed: Bind = text.parse().unwrap();
        assert_eq!(parsed, expected, "{text}");
        assert_eq!(parsed.to_string(), shown);
        assert_eq!(shown.parse(), Ok(expected));
    }
}

#[test]
fn what_is_no_address_says_why() {
    let cases = [
        ("", "it is no IP address"),
        (":", "\"\" is no port"),
        ("8080", "it is no IP address"),
        ("example.org:80", "\"example.org\" is no IP address"),
        ("127.0.0.1:", "\"\" is no port"),
        ("127.0.0.1:65536", "\"65536\" is no port from 0 to 65535"),
        ("127.0.0.1:+80", "\"+80\" is no port"),
        ("127.0.0.1:http", "\"http\" is no port"),
        ("[127.0.0.1]:80", "\"[127.0.0.1]\" is no IP address"),
        ("[::1", "is no"),
        ("[::1]80", "is no"),
        ("1::2::3:80", "is no IP address"),
        ("unix:", "the path is missing"),
        ("unix:@", "the name is missing"),
        ("unix:@n8,mode=660", "an abstract name has no mode"),
        ("unix:/n8,mode=689", "\"689\" is no octal mode"),
        ("unix:/n8,mode=+60", "\"+60\" is no octal mode"),
        ("unix:/n8,mode=4777", "\"4777\" is no octal mode"),
        ("unix:/n8,owner=me", "\"owner=me\" is not mode=…"),
        ("fd:", "\"\" is no number"),
        ("fd:-1", "\"-1\" is no number"),
    ];
    for (text, reason) in cases {
        let error = text.parse::<Bind>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
        assert!(error.starts_with(&format!("{text:?} is no address to listen on")), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_or_shown_as_what_parses_to_the_same(text in "[-\\[\\]:.,@=/0-9a-fdinoux]{0,24}|.*") {
        if let Ok(bind) = text.parse::<Bind>() {
            prop_assert_eq!(bind.to_string().parse::<Bind>(), Ok(bind));
        }
    }
}

#[test]
fn h1_a_client_reaches_what_was_bound() {
    let listeners = bind(&["127.0.0.1".parse().unwrap()], 0).unwrap();
    let address = ip_address(&listeners[0]);
    assert_eq!(listeners[0].local_addr().to_string(), address.to_string());
    run(async {
        let incoming = Incoming::new(listeners.into_iter().next().unwrap()).unwrap();
        let client = TcpStream::connect(address).unwrap();
        let Accepted::Tcp(accepted, peer) = poll_fn(|cx| incoming.poll_accept(cx)).await.unwrap()
        else {
            panic!("a TCP listener gives TCP connections");
        };
        assert_eq!(peer, client.local_addr().unwrap());
        assert!(accepted.nodelay().unwrap());
        assert_eq!((&accepted).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn nobody_waiting_would_block() {
    let listeners = bind(&["127.0.0.1:0".parse().unwrap()], 1).unwrap();
    assert_eq!(listeners[0].try_accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn n6_every_address_means_both_families_on_one_free_port() {
    let listeners = bind(&[":0".parse().unwrap()], 1).unwrap();
    let ports: Vec<u16> = listeners.iter().map(|listener| ip_address(listener).port()).collect();
    assert!(ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
    for listener in &listeners {
        let address = ip_address(listener);
        let loopback: IpAddr =
            if address.is_ipv6() { "::1".parse().unwrap() } else { Ipv4Addr::LOCALHOST.into() };
        TcpStream::connect((loopback, address.port())).unwrap();
        assert!(listener.try_accept().is_ok(), "each family has its own socket");
    }
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(listeners.len(), 1 + usize::from(has_ipv6));
}

#[test]
fn a_default_port_of_0_is_one_port_for_all() {
    let binds = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
    let listeners = bind(&binds, 0).unwrap();
    assert_eq!(ip_address(&listeners[0]).port(), ip_address(&listeners[1]).port());
    assert_eq!(ip_address(&listeners[1]).ip(), binds_ip(&binds[1]));
}

#[test]
fn listeners_come_in_the_order_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n8");
    let binds = [Bind::Unix { path: path.clone(), mode: None }, "127.0.0.1".parse().unwrap()];
    let listeners = bind(&binds, 0).unwrap();
    assert_eq!(listeners[0].local_addr(), &LocalAddr::Unix(path.clone()));
    assert_eq!(listeners[0].local_addr().to_string(), format!("unix:{}", path.display()));
    assert!(matches!(listeners[1].local_addr(), LocalAddr::Ip(_)));
}

#[test]
fn n5_a_port_can_be_bound_again_right_after_its_server_ended() {
    // A port that is free may be given to somebody else in between, though not each time.
    let is_bound_again = (0..20).any(|_| {
        let listeners = bind(&["127.0.0.1:0".parse().unwrap()], 0).unwrap();
        let address = ip_address(&listeners[0]);
        let mut client = TcpStream::connect(address).unwrap();
        // The side that closes first keeps the address pair in TIME_WAIT, which would bar a plain bind.
        drop(listeners[0].try_accept().unwrap());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop(client);
        drop(listeners);
        let again = bind(&[address.to_string().parse().unwrap()], 0);
        again.is_ok_and(|again| ip_address(&again[0]) == address)
    });
    assert!(is_bound_again);
}

#[test]
fn a_busy_port_says_who_has_it_and_what_to_do() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let error = bind(&[address.to_string().parse().unwrap()], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let text = error.to_string();
    for part in [
        format!("cannot listen on {address}"),
        "the port is in use by this process itself".to_owned(),
    ] {
        assert!(text.contains(&part), "{part:?} in {text:?}");
    }
    assert!(!text.contains('\n'));
    assert!(error.is_about_port());
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::ADDRINUSE.raw_os_error()));
    let gone = bind(&["192.0.2.1".parse().unwrap()], 0).unwrap_err();
    assert!(!gone.is_about_port());
    assert_eq!(gone.raw_os_error(), Some(rustix::io::Errno::ADDRNOTAVAIL.raw_os_error()));
}

#[test]
fn an_address_of_another_machine_is_refused() {
    // TEST-NET-1 of RFC 5737 is nobody's.
    let error = bind(&["192.0.2.1:0".parse().unwrap()], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    assert!(error.to_string().contains("does not have that address"), "{error}");
}

#[test]
fn a_unix_socket_has_its_mode_whatever_the_umask_and_goes_with_its_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n8");
    for mode in [0o600, 0o666, 0o777] {
        let listeners = bind(&[Bind::Unix { path: path.clone(), mode: Some(mode) }], 0).unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o7777, mode);
        let mut client = UnixStream::connect(&path).unwrap();
        let Accepted::Unix(accepted) = listeners[0].try_accept().unwrap() else {
            panic!("a Unix listener gives Unix connections");
        };
        (&accepted).write_all(b"hello").unwrap();
        drop(accepted);
        let mut said = String::new();
        client.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello");
        drop(listeners);
        assert!(fs::symlink_metadata(&path).is_err(), "the file is removed");
    }
}

#[test]
fn a_file_that_took_the_place_of_our_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n8");
    let listeners = bind(&[Bind::Unix { path: path.clone(), mode: None }], 0).unwrap();
    // Keep the first file under another name, so that its inode number is not reused.
    fs::rename(&path, folder.path().join("moved")).unwrap();
    fs::write(&path, "another").unwrap();
    drop(listeners);
    assert_eq!(fs::read_to_string(&path).unwrap(), "another");
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n8");
    let place = [Bind::Unix { path: path.clone(), mode: None }];
    drop(UnixListener::bind(&path).unwrap());
    assert!(fs::symlink_metadata(&path).is_ok(), "std leaves the file behind");

    let listeners = bind(&place, 0).unwrap();
    UnixStream::connect(&path).unwrap();
    assert!(listeners[0].try_accept().is_ok());

    let error = bind(&place, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains("another server answers there"), "{error}");
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_file_that_is_no_socket_is_never_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "mine").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for place in [&path, &link] {
        let error = bind(&[Bind::Unix { path: place.clone(), mode: None }], 0).unwrap_err();
        assert!(error.to_string().contains("no socket"), "{error}");
    }
    assert_eq!(fs::read_to_string(&link).unwrap(), "mine");
}

#[test]
fn a_unix_path_that_cannot_be_made_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("missing/n8"), folder.path().join("n".repeat(200))] {
        let error = bind(&[Bind::Unix { path: path.clone(), mode: None }], 0).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot listen on unix:{}: ", path.display())), "{text}");
    }
}

#[test]
fn an_abstract_name_is_reached() {
    use std::os::linux::net::SocketAddrExt;

    let name = format!("number8-test-{}", std::process::id());
    let listeners = bind(&[Bind::Abstract(name.clone())], 0).unwrap();
    assert_eq!(listeners[0].local_addr().to_string(), format!("unix:@{name}"));
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    UnixStream::connect_addr(&address).unwrap();
    assert!(listeners[0].try_accept().is_ok());
}

#[test]
fn when_one_place_fails_none_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n8");
    let binds = [Bind::Unix { path: path.clone(), mode: None }, Bind::Fd(0)];
    bind(&binds, 0).unwrap_err();
    assert!(fs::symlink_metadata(&path).is_err());
}

#[test]
fn b22_h1_sockets_are_handed_over_at_start() {
    // (how the child takes it, the environment that the shell gives it)
    let cases = [
        ("environment", "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http"),
        ("environment-of-another", "LISTEN_PID=1 LISTEN_FDS=1 LISTEN_FDNAMES=http"),
        ("fd:3", ""),
    ];
    for (how, environment) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!(
                "{environment} exec \"$0\" --exact listener::handed_over_child 3<&0 </dev/null"
            ))
            .arg(std::env::current_exe().unwrap())
            .env(CHILD, how)
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && log.contains("1 passed"), "{how}: {log}");
        let mut said = String::new();
        let read = client.read_to_string(&mut said);
        match how {
            "environment-of-another" => assert!(read.is_err(), "nobody took it: reset"),
            _ => assert_eq!(said, how),
        }
    }
}

const CHILD: &str = "NUMBER8_TEST_HANDED_OVER";

/// The process that the test above starts; alone it does nothing.
#[test]
fn handed_over_child() {
    let Ok(how) = std::env::var(CHILD) else { return };
    let listener = match how.as_str() {
        "environment" => {
            let mut listeners = bind::inherited().unwrap();
            assert_eq!(listeners.len(), 1);
            let (name, listener) = listeners.remove(0);
            assert_eq!(name, "http");
            let again = bind::inherited().unwrap_err().to_string();
            assert!(again.contains("fd:3") && again.contains("in use already"), "{again}");
            listener
        }
        "environment-of-another" => return assert!(bind::inherited().unwrap().is_empty()),
        place => bind(&[place.parse().unwrap()], 0).unwrap().remove(0),
    };
    let Accepted::Tcp(accepted, _) = listener.try_accept().unwrap() else {
        panic!("{listener:?} gives no TCP connection");
    };
    (&accepted).write_all(how.as_bytes()).unwrap();
}

fn ip_address(listener: &Listener) -> SocketAddr {
    match listener.local_addr() {
        LocalAddr::Ip(address) => *address,
        other => panic!("{other}"),
    }
}

fn binds_ip(bind: &Bind) -> IpAddr {
    match bind {
        Bind::Ip { ip, .. } => *ip,
        other => panic!("{other}"),
    }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(future)
}
