//! Listening sockets, TCP and Unix alike.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, SocketType, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::sys;

/// A socket that takes connections. Dropping it stops that, and removes the file of a Unix socket that we made.
#[derive(Debug)]
pub struct Listener {
    // Before the socket: fields drop in this order, and a file whose socket is closed looks stale to others.
    _file: Option<SocketFile>,
    socket: Socket,
    address: LocalAddr,
}

/// Where a [`Listener`] listens. As text: what stands between `http://` and the path of a URL (`127.0.0.1:8080`,
/// `[::1]:8080`), or `unix:/path`, `unix:@name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAddr {
    /// An address and port.
    Ip(SocketAddr),
    /// A Unix socket's file.
    Unix(PathBuf),
    /// A Unix socket's abstract name.
    Abstract(String),
}

/// Bytes that the kernel holds for a client, not counting those on their way, when it takes no more; more for one that keeps up, see
/// [`Transport::set_unsent_max`](super::Transport::set_unsent_max).
pub(super) const UNSENT_BYTES: u32 = 128 * 1024;

impl Listener {
    /// Where this listens; with port 0, the port that was found.
    pub fn local_addr(&self) -> &LocalAddr {
        &self.address
    }

    /// Takes one waiting connection, or says [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`: most are about the one connection, some about this process (no descriptor left).
    pub fn try_accept(&self) -> io::Result<Accepted> {
        let accepted = self.accept();
        // Linux looks for a free descriptor before it looks for a connection. Where none waits, no
        // descriptor is missing, and nobody has to be closed to make room.
        match accepted {
            Err(error) if is_shortage(&error) && !self.has_waiting() => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            accepted => accepted,
        }
    }

    fn has_waiting(&self) -> bool {
        let mut listener = [PollFd::new(&self.socket, PollFlags::IN)];
        poll(&mut listener, Some(&Timespec::default())) != Ok(0)
    }

    fn accept(&self) -> io::Result<Accepted> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let LocalAddr::Ip(_) = self.address else {
            return Ok(Accepted::Unix(rustix::net::accept_with(&self.socket, flags)?.into()));
        };
        let (socket, peer) = rustix::net::acceptfrom_with(&self.socket, flags)?;
        // Linux gives the peer of every TCP connection.
        let peer = SocketAddr::try_from(peer.ok_or(io::ErrorKind::NotConnected)?)?;
        // An adopted IPv6 socket may take IPv4 too, as ::ffff:1.2.3.4.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Ok(Accepted::Tcp(socket.into(), peer))
    }

    /// Binds and listens. A second process cannot, while the first runs; after it ends one can at once (row N5).
    pub(super) fn tcp(address: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        let listener = Self::start(socket, None)?;
        match listener.address {
            LocalAddr::Ip(bound) => Ok((listener, bound)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Makes the socket file at `path`. A file that a dead server left there is replaced.
    pub(super) fn unix(path: &Path, mode: Option<u32>) -> io::Result<Self> {
        let address = SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        match socket.bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path, &address)?;
                socket.bind(&address)?;
            }
            result => result?,
        }
        let file = SocketFile::at(path)?;
        if let Some(mode) = mode {
            // Not by umask, which is the whole process's. Nobody can connect before `listen`.
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Self::start(socket, Some(file))
    }

    pub(super) fn unix_abstract(name: &str) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(format!("\0{name}"))?)?;
        Self::start(socket, None)
    }

    /// Takes a socket that listens already. Its file, if it has one, is its maker's to remove.
    pub(super) fn adopt(socket: OwnedFd) -> io::Result<Self> {
        Self::ready(socket.into(), None)
    }

    fn start(socket: Socket, file: Option<SocketFile>) -> io::Result<Self> {
        // The system lowers this to its own limit (net.core.somaxconn).
        const BACKLOG: i32 = 4096;

        socket.listen(BACKLOG)?;
        Self::ready(socket, file)
    }

    fn ready(socket: Socket, file: Option<SocketFile>) -> io::Result<Self> {
        let address = LocalAddr::of(&socket)?;
        socket.set_nonblocking(true)?;
        if matches!(address, LocalAddr::Ip(_)) {
            // Accepted sockets inherit these, which saves calls for each.
            socket.set_tcp_nodelay(true)?;
            // SECURITY: a client that asks for much and reads slowly takes that much of the kernel's memory, and not 4 MiB.
            socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
        }
        Ok(Self { _file: file, socket, address })
    }
}

/// A socket that listens already, with what waits there; a Unix socket's file is its maker's to remove.
///
/// # Errors
/// It is no stream socket that listens.
///
/// ```
/// use number8::server::Listener;
///
/// let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let address = socket.local_addr()?;
/// let listener = Listener::try_from(std::os::fd::OwnedFd::from(socket))?;
/// assert_eq!(listener.local_addr().to_string(), address.to_string());
/// # std::io::Result::Ok(())
/// ```
impl TryFrom<OwnedFd> for Listener {
    type Error = io::Error;

    fn try_from(socket: OwnedFd) -> io::Result<Self> {
        let is_stream = sockopt::socket_type(&socket)? == SocketType::STREAM;
        if !is_stream || !sockopt::socket_acceptconn(&socket)? {
            let why = "it is no stream socket that listens";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Self::adopt(socket)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn is_shortage(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// A new connection. It does not block and belongs to no runtime yet, so that an acceptor can deal it to any worker;
/// `from_std` of tokio's type takes it there.
#[derive(Debug)]
pub enum Accepted {
    /// The socket, with `TCP_NODELAY`, and the client's address.
    Tcp(TcpStream, SocketAddr),
    /// The socket.
    Unix(UnixStream),
}

/// A [`Listener`] inside a tokio runtime.
#[derive(Debug)]
pub struct Incoming(AsyncFd<Listener>);

impl Incoming {
    /// Registers `listener` with the current runtime.
    ///
    /// # Errors
    ///
    /// The system refuses to watch the descriptor.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled.
    pub fn new(listener: Listener) -> io::Result<Self> {
        sys::watch(listener).map(Self)
    }

    /// Takes a connection that is waiting already, whether or not the runtime knows of it.
    ///
    /// # Errors
    ///
    /// Those of [`Listener::try_accept`].
    pub fn try_accept(&self) -> io::Result<Accepted> {
        self.0.get_ref().try_accept()
    }

    /// Where this listens.
    pub fn local_addr(&self) -> &LocalAddr {
        self.0.get_ref().local_addr()
    }

    /// Waits for a connection. The last waker given is the one that is woken.
    ///
    /// # Errors
    ///
    /// Those of [`Listener::try_accept`], but never `WouldBlock`.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            // An error here is "would block", which has the next turn wait.
            if let Ok(result) = ready.try_io(|listener| listener.get_ref().try_accept()) {
                return Poll::Ready(result);
            }
        }
    }
}

impl LocalAddr {
    fn of(socket: &Socket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        if let Some(ip) = address.as_socket() {
            Ok(Self::Ip(ip))
        } else if let Some(path) = address.as_pathname() {
            Ok(Self::Unix(path.to_owned()))
        } else if let Some(name) = address.as_abstract_namespace() {
            Ok(Self::Abstract(String::from_utf8_lossy(name).into_owned()))
        } else {
            Err(io::Error::new(io::ErrorKind::Unsupported, "neither an IP nor a named Unix socket"))
        }
    }
}

impl fmt::Display for LocalAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

/// The file of a Unix socket, removed at drop unless another one took its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        // Absolute, since the process may change its folder before the end.
        let path = std::path::absolute(path)?;
        let identity = identity(&fs::symlink_metadata(&path)?);
        Ok(Self { path, identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|now| identity(&now) == self.identity) {
            // Nobody is left to tell about a failure, and the next start replaces the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Removes the socket at `path` if nobody answers there.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let in_use = |reason| Err(io::Error::new(io::ErrorKind::AddrInUse, reason));
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return in_use("there is a file of that name that is no socket; choose another path");
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A server with a full backlog would keep us waiting.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => in_use("another server answers there; stop it or choose another path"),
    }
}
