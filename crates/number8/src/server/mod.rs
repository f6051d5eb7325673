//! The server: sockets, connections and threads. The only code that touches client sockets.
//!
//! ```text
//! acceptor ──deals by least connections──▶ worker: connections, one task each
//!                                             │ work that blocks
//!                                             ▼
//!                                           lane: a few threads, for all workers
//! ```

mod accept;
pub mod bind;
pub(crate) mod clock;
pub(crate) mod connection;
pub mod lane;
pub mod listener;
pub mod memory;
mod options;
mod port_holder;
pub mod transport;
mod worker;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::sync::mpsc;

pub use bind::{Bind, BindError, bind, inherited};
pub use lane::LaneOptions;
pub use listener::{Listener, LocalAddr};
pub use number8_proto::Limits as HttpLimits;
pub use options::{Limits, Options, Timeouts};

use crate::app::App;
use accept::Acceptor;
pub use accept::raise_descriptor_limit;
use connection::Connection;
use listener::Accepted;
use tokio::net::{TcpStream, UnixStream};
use worker::{Shared, Stop, Worker};

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
    on_warning: fn(&str),
}

/// A way to steer a server from elsewhere: any thread, any task, a handler.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Stops gracefully: no new connections, idle ones close, requests are answered within
    /// [`Options::grace`].
    pub fn shutdown(&self) {
        self.shared.set_stop(Stop::Gracefully);
    }

    /// Stops at once: what is not sent is not sent.
    pub fn shutdown_now(&self) {
        self.shared.set_stop(Stop::Now);
    }

    /// Serves another app from the next request on; answers that have begun are finished by the old one.
    pub fn replace(&self, app: App) {
        self.shared.replace_app(app);
    }

    /// The app that is served now.
    #[must_use]
    pub fn app(&self) -> Arc<App> {
        self.shared.app()
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }
}

/// A server that could not start, or could not go on.
#[derive(Debug)]
pub enum ServeError {
    /// A listener could not be registered, or a runtime or thread could not be made.
    Start(io::Error),
    /// The grace passed with so many connections still at work; they were cut.
    Cut(usize),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "cannot start serving: {error}"),
            Self::Cut(count) => {
                write!(f, "the grace is over: {count} connections were cut while at work")
            }
        }
    }
}

impl std::error::Error for ServeError {}

impl Server {
    /// Listens at one address, such as `127.0.0.1:8080`, `:0` or `unix:/run/hello.sock`.
    ///
    /// # Errors
    /// The text is no address, or the address cannot be had.
    pub fn bind(app: App, address: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let listeners = bind(&[address.parse::<Bind>()?], 8080)?;
        Ok(Self::new(app, Options::default(), listeners))
    }

    /// Serves what comes in at these listeners.
    #[must_use]
    pub fn new(app: App, options: Options, listeners: Vec<Listener>) -> Self {
        Self { shared: Arc::new(Shared::new(app, options)), listeners, on_warning: |_| {} }
    }

    /// Calls a function with each warning about the server itself, such as descriptors running out; at
    /// most one in five seconds.
    #[must_use]
    pub fn on_warning(mut self, warn: fn(&str)) -> Self {
        self.on_warning = warn;
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
    /// A thread or runtime cannot be made, or connections had to be cut at the end.
    pub fn run(self) -> Result<(), ServeError> {
        self.run_with(std::future::pending())
    }

    /// As [`Server::run`], with a future that runs beside: signals, timers. Its end changes nothing.
    ///
    /// # Errors
    /// As for [`Server::run`].
    pub fn run_with(self, beside: impl Future<Output = ()>) -> Result<(), ServeError> {
        let shared = Arc::clone(&self.shared);
        let count = match shared.options.workers {
            0 => thread::available_parallelism().map_or(1, Into::into),
            count => count,
        };
        let (worker, runtime) = new_worker(&shared)?;
        let mut workers = vec![(Arc::clone(&worker), None)];
        let mut threads = Vec::new();
        for number in 1..count {
            let (worker, runtime) = new_worker(&shared)?;
            let (sender, receiver) = mpsc::unbounded_channel();
            workers.push((Arc::clone(&worker), Some(sender)));
            let thread = thread::Builder::new()
                .name(format!("number8-worker-{number}"))
                .spawn(move || runtime.block_on(work(worker, receiver)))
                .map_err(ServeError::Start)?;
            threads.push(thread);
        }
        let result = runtime.block_on(async {
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
        // Whatever the workers still have is cut now.
        shared.set_stop(Stop::Now);
        for thread in threads {
            // A worker that panicked has said so.
            let _ = thread.join();
        }
        shared.lane.close(LANE_END);
        result
    }

    /// Serves inside the tokio runtime that calls it, with one worker, until it is stopped.
    ///
    /// # Errors
    /// A listener cannot be registered, or connections had to be cut at the end.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn serve(self) -> Result<(), ServeError> {
        let worker = Arc::new(Worker::new(Arc::clone(&self.shared)));
        let serving = self.accept_and_finish(vec![(Arc::clone(&worker), None)]);
        tokio::select! {
            result = serving => result,
            () = worker.sweep() => Ok(()),
        }
    }

    /// Accepts until asked to stop, then waits until everything is answered or the grace is over.
    async fn accept_and_finish(self, workers: Vec<Dealt>) -> Result<(), ServeError> {
        let Self { shared, listeners, on_warning } = self;
        let mut acceptors = Vec::new();
        for listener in listeners {
            acceptors.push(listener::Incoming::new(listener).map_err(ServeError::Start)?);
        }
        let workers = Arc::new(workers);
        let mut tasks = Vec::new();
        for incoming in acceptors {
            let (workers, shared) = (Arc::clone(&workers), Arc::clone(&shared));
            tasks.push(tokio::spawn(accept_from(incoming, workers, shared, on_warning)));
        }
        for task in tasks {
            // An acceptor ends when the server stops; a panic in it must not look like one that serves.
            task.await.map_err(|error| ServeError::Start(io::Error::other(error)))?;
        }
        finish(&shared, &workers).await
    }
}

/// A worker, and how it is sent a connection; `None` is the one in this thread.
/// How long jobs may go on that nobody waits for any more.
const LANE_END: Duration = Duration::from_secs(1);

type Dealt = (Arc<Worker>, Option<mpsc::UnboundedSender<Accepted>>);

fn new_worker(shared: &Arc<Shared>) -> Result<(Arc<Worker>, runtime::Runtime), ServeError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        // Look for new events after every few dozen polls: a batch of connections shares one wait.
        .event_interval(61)
        .build()
        .map_err(ServeError::Start)?;
    Ok((Arc::new(Worker::new(Arc::clone(shared))), runtime))
}

/// What the thread of a further worker does.
async fn work(worker: Arc<Worker>, mut connections: mpsc::UnboundedReceiver<Accepted>) {
    let shared = Arc::clone(&worker.shared);
    let serving = async {
        while let Some(accepted) = connections.recv().await {
            serve_connection(accepted, &worker);
        }
        // The acceptors are gone: the rest is up to the connections.
        std::future::pending::<()>().await;
    };
    let ended = async {
        loop {
            let changed = shared.stop_changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match shared.stop() {
                Stop::Now => return,
                // Who stops the server wakes the connections, whichever thread they are in.
                Stop::Gracefully | Stop::No => {}
            }
            changed.await;
        }
    };
    tokio::select! {
        () = serving => {}
        () = worker.sweep() => {}
        () = ended => {}
    }
}

/// Accepts from one listener until the server stops, then takes what is waiting already.
async fn accept_from(
    incoming: listener::Incoming,
    workers: Arc<Vec<Dealt>>,
    shared: Arc<Shared>,
    warn: fn(&str),
) {
    let mut acceptor = Acceptor::new(warn);
    loop {
        let changed = shared.stop_changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if shared.stop() != Stop::No {
            break;
        }
        let accepted = tokio::select! {
            accepted = incoming.accept() => accepted,
            () = &mut changed => continue,
        };
        match accepted {
            Ok(accepted) => {
                acceptor.accepted();
                deal(accepted, &workers);
            }
            Err(error) => {
                let pause = acceptor.failed(&error, &incoming, |count| {
                    workers.iter().for_each(|(worker, _)| worker.evict_idle(count));
                });
                if let Some(pause) = pause {
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = changed => {}
                    }
                }
            }
        }
    }
    // The system has accepted these for us already: closing the listener would reset them.
    while let Ok(accepted) = incoming.try_accept() {
        deal(accepted, &workers);
    }
}

/// Gives a connection to the worker with the fewest.
fn deal(accepted: Accepted, workers: &[Dealt]) {
    let fewest = workers.iter().min_by_key(|(worker, _)| worker.connections());
    match fewest {
        Some((worker, None)) => serve_connection(accepted, worker),
        // A worker that is gone serves nobody: the connection closes.
        Some((_, Some(sender))) => drop(sender.send(accepted)),
        None => {}
    }
}

/// Starts the task of one connection, in the runtime of the worker.
fn serve_connection(accepted: Accepted, worker: &Arc<Worker>) {
    let peer = match &accepted {
        Accepted::Tcp(_, peer) => Some(*peer),
        Accepted::Unix(_) => None,
    };
    let client = peer.map(|peer| peer.ip());
    let is_admitted = worker.shared.admit(client);
    let entry = worker.enter(client);
    macro_rules! start {
        ($socket:expr) => {
            match $socket {
                Ok(socket) if is_admitted => {
                    tokio::spawn(Connection::new(socket, Arc::clone(worker), entry, peer));
                }
                Ok(socket) => {
                    tokio::spawn(Connection::refused(socket, Arc::clone(worker), entry, peer));
                }
                // The system cannot watch one more socket: it closes.
                Err(_) => worker.leave(&entry),
            }
        };
    }
    match accepted {
        Accepted::Tcp(socket, _) => start!(TcpStream::from_std(socket)),
        Accepted::Unix(socket) => start!(UnixStream::from_std(socket)),
    }
}

/// Waits until no connection is left, the grace is over, or the server is told to end at once.
async fn finish(shared: &Shared, workers: &[Dealt]) -> Result<(), ServeError> {
    let deadline = Instant::now() + shared.options.grace;
    // Those of other threads wake their own connections.
    workers.iter().for_each(|(worker, _)| worker.wake_all());
    loop {
        let ended = shared.connection_ended.notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        let left = deadline.saturating_duration_since(Instant::now());
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
