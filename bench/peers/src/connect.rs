//! Connections to a server on this machine.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
};

use rustix::{
    net::{AddressFamily, SocketType, bind, connect, socket},
    process::{Resource, getrlimit, setrlimit},
};

use crate::Error;

/// Servers limit the connections of one client; 127.0.0.0/8 holds many clients.
const PER_ADDRESS: u32 = 100;
/// Held beside the connections: standard streams, epoll.
const DESCRIPTORS_SPARE: u64 = 20;

/// Opens the `index`th connection; each hundred of them come from an address of their own. It
/// reads and writes without waiting.
pub fn numbered(index: u32, port: u16) -> io::Result<TcpStream> {
    // From 127.0.1.0 on: 127.0.0.1 is the server.
    let client = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 255 + index / PER_ADDRESS);
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(client, 0))?;
    connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Allows this process to hold so many connections.
pub fn allow_descriptors(count: u64) -> Result<(), Error> {
    let needed = count + DESCRIPTORS_SPARE;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|allowed| allowed >= needed) {
        return Ok(());
    }
    if let Some(allowed) = limit.maximum.filter(|&allowed| allowed < needed) {
        return Err(format!(
            "{needed} descriptors are needed and {allowed} allowed: see ulimit -Hn"
        )
        .into());
    }
    limit.current = Some(needed);
    Ok(setrlimit(Resource::Nofile, limit)?)
}
