//! The server: sockets, connections and threads. The only code that touches client sockets.
//!
//! ```text
//! acceptor ──deals by least connections──▶ worker: connections, one task each
//!                                             │ work that blocks
//!                                             ▼
//!                                           lane: a few threads, for all workers
//! ```

pub mod accept;
mod beat;
pub mod bind;
pub(crate) mod clock;
pub(crate) mod connection;
mod counts;
mod error;
mod exchange;
mod footprint;
mod given;
mod handle;
#[cfg(feature = "http2")]
mod http2;
#[cfg(not(feature = "http2"))]
#[path = "http2_off.rs"]
mod http2;
pub mod lane;
pub mod listener;
pub mod memory;
mod options;
mod pace;
mod port_holder;
mod served;
pub(crate) mod shared;
pub mod testing;
#[cfg(feature = "tls")]
pub mod tls;
pub mod transport;
pub(crate) mod worker;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, UnixStream};
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use bind::{Bind, BindError, ParseBindError, bind, inherited, not_taken};
pub use error::{ListenError, ServeError};
pub use handle::Handle;
pub use lane::{Around, LaneOptions};
pub use listener::{Listener, LocalAddr};
pub use number8_proto::{CloseReason, Limits as HttpLimits};
pub use options::{Http2 as Http2Options, Limits, Options, Timeouts};

use crate::app::App;
use accept::Host;
pub use accept::raise_nofile_limit;
pub use connection::Closed;
use connection::Connection;
pub use footprint::release_start;
use given::{Given, Warn};
use listener::Accepted;
use shared::{OnClosed, Shared, Stop};
#[cfg(feature = "tls")]
use tls::{Secured, Tls};
use transport::Transport;
use worker::{Place, Worker};

/// An app, listening.
///
/// ```no_run
/// use number8::{App, Server};
///
/// let app = App::new().get("/", async || "Hello, world.");
/// Server::bind(app, "127.0.0.1:8080")?.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
    given: Given,
}

/// The port of an address that names none.
const DEFAULT_PORT: u16 = 8080;

impl Server {
    /// Listens at one address, such as `127.0.0.1:8080`, `:0` or `unix:/run/hello.sock`.
    ///
    /// # Errors
    /// The text is no address, or the address cannot be had.
    pub fn bind(app: App, address: &str) -> Result<Self, ListenError> {
        let address = address.parse::<Bind>().map_err(ListenError::Address)?;
        let listeners = bind(&[address], DEFAULT_PORT).map_err(ListenError::Bind)?;
        Ok(Self::new(app, Options::default(), listeners))
    }

    /// Serves what comes in at these listeners.
    #[must_use]
    pub fn new(app: App, options: Options, listeners: Vec<Listener>) -> Self {
        Self { shared: Arc::new(Shared::new(app, options)), listeners, given: Given::default() }
    }

    /// Calls a function with each warning about the server itself, such as descriptors running out; at
    /// most one in five seconds.
    #[must_use]
    pub fn on_warning(mut self, warn: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.given.on_warning = Arc::new(warn);
        self
    }

    /// Calls a function with each connection that has ended, and why. It runs where connections are served, so
    /// it must not wait.
    #[must_use]
    pub fn on_closed(
        mut self,
        report: impl Fn(Option<SocketAddr>, Closed) + Send + Sync + 'static,
    ) -> Self {
        self.given.on_closed = Some(OnClosed(Box::new(report)));
        self
    }

    /// Speaks TLS with whoever connects to an IP address, and with nobody else: who connects to a Unix socket is on this
    /// machine. A request that comes without TLS all the same is answered 308, to the same address by https.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.given.tls = Some(tls);
        self
    }

    /// Where this server listens.
    pub fn local_addrs(&self) -> impl Iterator<Item = &LocalAddr> {
        self.listeners.iter().map(Listener::local_addr)
    }

    /// A way to steer the server once it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Serves with threads of its own until it is stopped; blocks. The calling thread is one of them.
    ///
    /// # Errors
    /// The app has a mistake, a thread or runtime cannot be made, or connections had to be cut at the end.
    ///
    /// # Panics
    /// It is called inside a runtime of tokio, as by a function with `#[tokio::main]`: await [`serve`](Server::serve) there.
    pub fn run(self) -> Result<(), ServeError> {
        self.run_with(std::future::pending())
    }

    /// As [`Server::run`], with a future that runs beside: signals, timers. Its end changes nothing.
    ///
    /// # Errors
    /// As for [`Server::run`].
    ///
    /// # Panics
    /// As [`Server::run`].
    pub fn run_with(self, beside: impl Future<Output = ()>) -> Result<(), ServeError> {
        let shared = Arc::clone(&self.shared);
        shared.app().check().map_err(ServeError::App)?;
        let count = match shared.options.workers {
            0 => thread::available_parallelism().map_or(1, Into::into),
            count => count,
        };
        let (worker, runtime) = new_worker(&shared)?;
        let mut workers = vec![(Arc::clone(&worker), None)];
        let mut threads = Vec::new();
        let mut result = Ok(());
        for number in 1..count {
            match start_thread(&shared, number) {
                Ok((dealt, thread)) => {
                    workers.push(dealt);
                    threads.push(thread);
                }
                Err(error) => result = Err(error),
            }
        }
        if result.is_ok() {
            result = runtime.block_on(async {
                tokio::spawn(lane::batch_wakes());
                let serving = self.accept_and_finish(workers);
                tokio::pin!(serving, beside);
                tokio::select! {
                    result = &mut serving => return result,
                    () = worker.sweep() => {}
                    () = &mut beside => {}
                }
                tokio::select! {
                    result = serving => result,
                    () = worker.sweep() => Ok(()),
                }
            });
        }
        // Whatever the workers still have is cut now.
        shared.set_stop(Stop::Now);
        drop(runtime);
        for thread in threads {
            // A worker that panicked has said so.
            let _ = thread.join();
        }
        shared.lane.close(LANE_END);
        // A process that ends now would leave their folders.
        #[cfg(feature = "children")]
        crate::children::wait_for_the_end(PROGRAMS_END);
        result
    }

    /// Serves inside the tokio runtime that calls it, with one worker, until it is stopped; programs of the room `Runner` end
    /// then, too, and are waited for. Dropping the future stops it at once.
    ///
    /// # Errors
    /// The app has a mistake, a listener cannot be registered, or connections had to be cut at the end.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn serve(self) -> Result<(), ServeError> {
        self.shared.app().check().map_err(ServeError::App)?;
        let worker = Arc::new(Worker::new(Arc::clone(&self.shared)));
        // The runtime is the user's, and its tasks go on.
        #[cfg(feature = "runner")]
        let guests = lane::SeesOff(&worker.shared.lane);
        let serving = self.accept_and_finish(vec![(Arc::clone(&worker), None)]);
        let result = tokio::select! {
            result = serving => result,
            () = worker.sweep() => Ok(()),
        };
        #[cfg(feature = "runner")]
        guests.end(PROGRAMS_END).await;
        result
    }

    /// Accepts until asked to stop, then waits until everything is answered or the grace is over.
    async fn accept_and_finish(self, workers: Vec<Dealt>) -> Result<(), ServeError> {
        let Self { shared, listeners, given } = self;
        let warn = given.settle(&shared);
        let workers = Arc::new(workers);
        let _end = CutRest { shared: &shared, workers: &workers };
        // All of them, before any is accepted from.
        let listeners: Result<Vec<_>, _> =
            listeners.into_iter().map(listener::Incoming::new).collect();
        let mut acceptors = JoinSet::new();
        for incoming in listeners.map_err(ServeError::Start)? {
            let (workers, shared) = (Arc::clone(&workers), Arc::clone(&shared));
            acceptors.spawn(accept_from(incoming, workers, shared, Arc::clone(&warn)));
        }
        shared.is_serving.store(true, Ordering::Release);
        if shared.options.release_start {
            // What has been spawned begins first.
            tokio::task::yield_now().await;
            release_start();
        }
        if acceptors.is_empty() {
            shared.stopped(Stop::Gracefully).await;
        }
        while let Some(ended) = acceptors.join_next().await {
            // An acceptor ends when the server stops; a panic in it must not look like one that serves.
            ended.map_err(|error| ServeError::Start(io::Error::other(error)))?;
        }
        finish(&shared, &workers).await
    }
}

/// Cuts the connections that are left when serving ends, however it ends: nothing looks at their deadlines
/// any more.
struct CutRest<'a> {
    shared: &'a Shared,
    workers: &'a [Dealt],
}

impl Drop for CutRest<'_> {
    fn drop(&mut self) {
        self.shared.set_stop(Stop::Now);
        self.workers.iter().for_each(|(worker, _)| worker.wake_all());
    }
}

/// How long jobs may go on that nobody waits for any more.
const LANE_END: Duration = Duration::from_secs(1);

/// How long programs may take to end, with all that they have started; longer than their usual grace.
#[cfg(feature = "children")]
const PROGRAMS_END: Duration = Duration::from_secs(5);

/// A worker, and how it is sent a connection; `None` is the one in this thread.
type Dealt = (Arc<Worker>, Option<mpsc::UnboundedSender<(Accepted, Place)>>);

/// Starts the thread of a further worker.
fn start_thread(
    shared: &Arc<Shared>,
    number: usize,
) -> Result<(Dealt, JoinHandle<()>), ServeError> {
    let (worker, runtime) = new_worker(shared)?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let dealt = (Arc::clone(&worker), Some(sender));
    let thread = thread::Builder::new()
        .name(format!("number8-worker-{number}"))
        .spawn(move || runtime.block_on(work(&worker, receiver)))
        .map_err(ServeError::Start)?;
    Ok((dealt, thread))
}

fn new_worker(shared: &Arc<Shared>) -> Result<(Arc<Worker>, runtime::Runtime), ServeError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(ServeError::Start)?;
    Ok((Arc::new(Worker::new(Arc::clone(shared))), runtime))
}

/// What the thread of a further worker does, until the server ends. Who stops the server wakes the
/// connections, whichever thread they are in.
async fn work(worker: &Worker, mut connections: mpsc::UnboundedReceiver<(Accepted, Place)>) {
    tokio::spawn(lane::batch_wakes());
    let serving = async {
        while let Some((accepted, place)) = connections.recv().await {
            serve_connection(accepted, place);
        }
        // The acceptors are gone: the rest is up to the connections.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serving => {}
        () = worker.sweep() => {}
        () = worker.shared.stopped(Stop::Now) => {}
    }
}

/// Accepts from one listener until the server stops, then takes what is waiting already.
async fn accept_from(
    mut incoming: listener::Incoming,
    workers: Arc<Vec<Dealt>>,
    shared: Arc<Shared>,
    warn: Warn,
) {
    let mut host = Dealer { workers, warn };
    tokio::select! {
        never = accept::accept_forever(&mut incoming, &mut host) => match never {},
        () = shared.stopped(Stop::Gracefully) => {}
    }
    // The system has accepted these for us already: closing the listener would reset them.
    // Not by readiness, which the runtime may not have noticed yet.
    loop {
        match incoming.try_accept() {
            Ok(accepted) => host.accepted(accepted),
            // This one client has gone.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => break,
        }
    }
}

/// What the acceptor does with connections.
struct Dealer {
    workers: Arc<Vec<Dealt>>,
    warn: Warn,
}

/// Idle connections that are closed at once where descriptors run out.
const EVICTED_AT_ONCE: usize = 16;

impl Host<Accepted> for Dealer {
    fn accepted(&mut self, connection: Accepted) {
        deal(connection, &self.workers);
    }

    fn make_room(&mut self) -> usize {
        let share = EVICTED_AT_ONCE.div_ceil(self.workers.len().max(1));
        self.workers.iter().map(|(worker, _)| worker.evict_idle(share)).sum()
    }

    fn complain(&mut self, error: &io::Error) {
        (self.warn)(&format!("new connections have to wait: {error}"));
    }
}

/// Gives a connection to the worker with the fewest. It counts from here on, so that the next one goes
/// elsewhere, and the end waits for it.
fn deal(accepted: Accepted, workers: &[Dealt]) {
    let peer = match &accepted {
        Accepted::Tcp(_, peer) => Some(*peer),
        Accepted::Unix(_) => None,
    };
    // One whose thread has gone by a panic has the fewest.
    let is_there = |(_, thread): &&Dealt| thread.as_ref().is_none_or(|thread| !thread.is_closed());
    let there = workers.iter().filter(is_there);
    let Some((worker, thread)) = there.min_by_key(|(worker, _)| worker.connections()) else {
        return;
    };
    let Some(place) = worker.enter(peer) else { return };
    match thread {
        None => serve_connection(accepted, place),
        // A worker that is gone serves nobody: the connection closes.
        Some(thread) => drop(thread.send((accepted, place))),
    }
}

/// Starts the task of one connection, in the runtime of its worker.
fn serve_connection(accepted: Accepted, place: Place) {
    // A socket that the system cannot watch closes.
    if let Ok((io, peer)) = carry(accepted, &place.worker.shared) {
        tokio::spawn(Connection::new(io, place, peer));
    }
}

/// What carries the bytes of a connection, and the client's address.
fn carry(
    accepted: Accepted,
    shared: &Shared,
) -> io::Result<(Arc<dyn Transport>, Option<SocketAddr>)> {
    let (socket, peer) = match accepted {
        Accepted::Tcp(socket, peer) => (TcpStream::from_std(socket)?, peer),
        Accepted::Unix(socket) => return Ok((Arc::new(UnixStream::from_std(socket)?), None)),
    };
    #[cfg(feature = "tls")]
    if let Some(tls) = shared.tls.get() {
        let offers_http2 = cfg!(feature = "http2") && shared.options.http2.is_on;
        let secured = Secured::new(socket, tls.config(offers_http2));
        look_again(tls, &shared.lane);
        return Ok((Arc::new(secured), Some(peer)));
    }
    #[cfg(not(feature = "tls"))]
    let _ = shared;
    Ok((Arc::new(socket), Some(peer)))
}

/// Has the files of a certificate looked at, where it is time, by the lane: they may be on a slow disk.
#[cfg(feature = "tls")]
fn look_again(tls: &Tls, lane: &lane::Lane) {
    if tls.is_due() {
        let tls = tls.clone();
        // Where the lane is full, the next connection comes soon.
        if let Ok(look) = lane.submit(move || tls.look()) {
            tokio::spawn(look);
        }
    }
}

/// Waits until no connection is left, the grace is over, or the server is told to end at once.
async fn finish(shared: &Shared, workers: &[Dealt]) -> Result<(), ServeError> {
    // `None` is never.
    let deadline = Instant::now().checked_add(shared.options.grace);
    // Those that wait for a request have to look.
    workers.iter().for_each(|(worker, _)| worker.wake_all());
    loop {
        let ended = shared.connection_ended.notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        let left = deadline
            .map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        match (shared.connections(), shared.stop()) {
            (0, _) => return Ok(()),
            (count, Stop::Now) => return Err(ServeError::Cut(count)),
            (count, _) if left == Duration::ZERO => return Err(ServeError::Cut(count)),
            _ => {}
        }
        tokio::select! {
            () = ended => {}
            () = tokio::time::sleep(left) => {}
        }
    }
}
