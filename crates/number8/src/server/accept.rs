//! Taking connections whatever happens: what to do when `accept` fails, and how many descriptors there are.
//!
//! A server out of descriptors that simply tries again spins, and one that waits leaves its clients hanging. So idle
//! connections make room first; where there are none, one client is turned away with a descriptor kept for this; and
//! between two tries there is a pause.

use std::convert::Infallible;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::{Instant, sleep};

use super::listener::{Accepted, Incoming};

/// Where connections come from: a listening socket.
pub trait Source {
    /// A new connection.
    type Connection;

    /// Waits for the next connection. Errors are those of `accept(2)`.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Connection>>;
}

impl Source for Incoming {
    type Connection = Accepted;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        Incoming::poll_accept(self, cx)
    }
}

/// The server behind [`accept_forever`].
pub trait Host<C> {
    /// Takes a new connection.
    fn accepted(&mut self, connection: C);

    /// Closes some idle connections, the oldest first, and returns how many, because descriptors or memory are short.
    fn make_room(&mut self) -> usize;

    /// Gets a connection for which there is no room. It has to be closed before this returns, perhaps after a last
    /// word that can be written at once: its descriptor is the reserve.
    fn turn_away(&mut self, connection: C) {
        drop(connection);
    }

    /// Reports an error that keeps connections out; called at most once in [`COMPLAINT_INTERVAL`].
    fn complain(&mut self, error: &io::Error);
}

/// The least time between two calls of [`Host::complain`].
pub const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);

/// The first pause after a failure. Each further one is twice as long, up to [`PAUSE_MAX`].
pub const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The pause after [`Host::make_room`] made some: closing takes a moment.
pub const PAUSE_FOR_ROOM: Duration = Duration::from_millis(10);

/// Passes every connection of `source` to `host`, and survives every error. It ends only by being dropped.
pub async fn accept_forever<S: Source>(
    source: &mut S,
    host: &mut impl Host<S::Connection>,
) -> Infallible {
    let mut reserve = Reserve::new();
    let mut pause = PAUSE_MIN;
    let mut complained: Option<Instant> = None;
    loop {
        let error = match poll_fn(|cx| source.poll_accept(cx)).await {
            Ok(connection) => {
                pause = PAUSE_MIN;
                host.accepted(connection);
                continue;
            }
            Err(error) => error,
        };
        let failure = Failure::of(&error);
        if failure == Failure::Connection {
            continue;
        }
        if complained.is_none_or(|at| at.elapsed() >= COMPLAINT_INTERVAL) {
            complained = Some(Instant::now());
            host.complain(&error);
        }
        if failure != Failure::Other && host.make_room() > 0 {
            sleep(PAUSE_FOR_ROOM).await;
            continue;
        }
        if failure == Failure::Descriptors {
            reserve.turn_one_away(source, host);
        }
        sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// Raises this process's soft limit of open descriptors to its hard limit, and returns the limit that now holds.
/// Programs that it starts inherit it.
pub fn raise_nofile_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Not allowed in some sandboxes; then the soft limit has to do.
    let holds = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    holds.unwrap_or(u64::MAX)
}

/// What a failed `accept` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// One connection, which is gone; the next one is not affected.
    Connection,
    /// No descriptor is left, in this process or the system.
    Descriptors,
    /// No memory is left for a socket.
    Memory,
    /// Nothing we know. It may last.
    Other,
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::MFILE | Errno::NFILE) => Self::Descriptors,
            Some(Errno::NOBUFS | Errno::NOMEM) => Self::Memory,
            // accept(2), "Error handling": Linux passes on what happened to the connection while it waited. EPERM is a
            // firewall's.
            Some(
                Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::INTR
                | Errno::PERM
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NONET
                | Errno::TIMEDOUT,
            ) => Self::Connection,
            _ => Self::Other,
        }
    }
}

/// A descriptor that is kept to be given up when there is no other.
struct Reserve(Option<File>);

impl Reserve {
    fn new() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Takes one waiting connection in the reserve's place and has `host` close it.
    fn turn_one_away<S: Source>(&mut self, source: &mut S, host: &mut impl Host<S::Connection>) {
        if self.0.take().is_some() {
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(Ok(connection)) = source.poll_accept(&mut cx) {
                host.turn_away(connection);
            }
        }
        *self = Self::new();
    }
}
