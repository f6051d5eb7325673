//! What every host of an application needs: where to listen, what is served beside it, and what signals do.

use std::io::{self, PipeReader, Write as _};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use number8::server::{self, Bind, BindError, Listener, LocalAddr};
use number8::{App, Authority, Before, Call, Handle, Layer, Options, ServeError, Server, Tls};
use number8_cli::host::Log;
use number8_cli::hosted;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use tokio::net::unix::pipe;

use crate::asgi;
use crate::sys;
use crate::wsgi::{self, BODY_MEMORY, KEEP_FREE};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(serve, module)?)?;
    module.add_function(wrap_pyfunction!(serve_at, module)?)
}

/// What is served beside an application, how, and where.
pub(crate) struct Base {
    /// Everything but the application: mounts, log, proxies, names.
    pub(crate) app: App,
    pub(crate) options: Options,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) telling: Telling,
}

/// How an application is called.
pub(crate) struct How<'a> {
    /// "asgi", "wsgi" or "auto".
    pub(crate) interface: &'a str,
    /// Python threads that call a WSGI application; 0 where requests are read.
    pub(crate) threads: usize,
    /// How much content of all requests waits in memory, in bytes; more waits in files.
    pub(crate) body_memory: usize,
    /// How many bytes stay free on the disk with those files.
    pub(crate) keep_free: u64,
    /// "asyncio", "uvloop" or "auto".
    pub(crate) event_loop: &'a str,
    /// Empty, or the path that a proxy has taken off.
    pub(crate) root_path: &'a str,
    /// Whether other processes run the same application.
    pub(crate) has_others: bool,
    pub(crate) sockets: Sockets,
}

/// What clients of WebSockets may do.
#[derive(Clone, Copy)]
pub(crate) struct Sockets {
    /// Bytes of one message.
    pub(crate) message_bytes_max: u64,
    /// The silence after which they are asked whether they are there; `None` for never.
    pub(crate) ping_every: Option<Duration>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self { message_bytes_max: MAX_MESSAGE, ping_every: Some(PING) }
    }
}

/// The largest message, in bytes: 1 MiB, what a handler of the library is given of content, too.
const MAX_MESSAGE: u64 = 1024 * 1024;

/// The silence before a client is asked, as the library has it.
const PING: Duration = Duration::from_secs(30);

/// What a host tells, and to whom.
pub(crate) enum Telling {
    /// Where it listens, to standard error.
    Program {
        /// The certificate, where it is served by https.
        tls: Option<Tls>,
        /// What has made it, where it was made here.
        authority: Option<Authority>,
    },
    /// Warnings alone: who has made the socket knows where it listens. It is given the handle of the server.
    Owner(Arc<OnceLock<Handle>>),
    /// What the command line says.
    Command {
        /// Where warnings and the ends of connections go.
        log: Log,
        /// Called with the server before it serves.
        serves: Box<dyn Fn(Handle) + Send>,
        /// Called once it can be stopped by signals.
        ready: Box<dyn FnOnce() + Send>,
    },
}

impl Telling {
    /// The server of a host, which says what there is to say.
    pub(crate) fn listen(&self, server: Server) -> Server {
        match self {
            Self::Program { tls: Some(tls), .. } => server.on_warning(say).tls(tls.clone()),
            Self::Program { tls: None, .. } => server.on_warning(say),
            Self::Owner(handle) => {
                // There is one server for each of these.
                let _ = handle.set(server.handle());
                server.on_warning(say)
            }
            Self::Command { log, serves, .. } => {
                serves(server.handle());
                log.listen(server)
            }
        }
    }

    /// The server can be stopped by signals, and so may be told of.
    pub(crate) fn ready(self, server: &Server) {
        match self {
            // Nobody there to read it is no reason not to serve.
            Self::Program { tls, authority } => {
                let scheme = if tls.is_some() { "https" } else { "http" };
                let greeting = greeting(server, scheme, authority.as_ref());
                drop(io::stderr().write_all(greeting.as_bytes()));
            }
            Self::Owner(_) => {}
            Self::Command { ready, .. } => ready(),
        }
    }
}

/// Serves an application until a signal ends it.
pub(crate) fn host(
    py: Python<'_>,
    base: Base,
    application: Py<PyAny>,
    how: &How<'_>,
) -> PyResult<()> {
    let interface = match how.interface {
        "auto" => {
            let found = py.import("number8._hosting")?;
            found.call_method1("interface_of", (&application,))?.extract::<String>()?
        }
        interface => interface.to_owned(),
    };
    match interface.as_str() {
        "asgi" => asgi::serve(py, base, application, how),
        "wsgi" => {
            let options = wsgi::Options {
                threads: how.threads,
                body_memory: how.body_memory,
                keep_free: how.keep_free,
                root_path: how.root_path,
                has_others: how.has_others,
            };
            wsgi::serve(py, base, application, options)
        }
        other => {
            let why = format!("interface={other:?}: it is \"auto\", \"asgi\" or \"wsgi\"");
            Err(PyValueError::new_err(why))
        }
    }
}

/// The port of an address that names none.
const DEFAULT_PORT: u16 = 8080;

/// The largest content of a request that an application is given, in bytes: 1 GiB. Applications have limits of their own,
/// and large content waits in a file.
const MAX_BODY: u64 = 1024 * 1024 * 1024;

/// Serves an application until a signal ends it.
///
/// `interface` is "asgi" or "wsgi"; `threads` is how many Python threads call a WSGI application, 0 where it is called in the
/// thread that serves; `event_loop` is the one that an ASGI application runs in, `root_path` where that is mounted.
/// `max_body` is the most content of a request in bytes, `body_memory` how much of all requests waits in memory, `keep_free` how many
/// bytes stay free on the disk where the rest waits, `grace`
/// how many seconds requests may go on after the first signal. `tls` names the files of a certificate and its key, or is
/// "self-signed".
/// `max_message` is the largest message of a WebSocket in bytes, `websocket_ping` how many seconds its client may be silent before it is
/// asked whether it is there, 0 for ever.
#[pyfunction]
#[pyo3(signature = (
    application, *, bind, interface, threads, event_loop="auto", root_path="", max_body=MAX_BODY, body_memory=BODY_MEMORY,
    keep_free=KEEP_FREE, grace=10.0, tls=None, max_message=MAX_MESSAGE, websocket_ping=PING.as_secs_f64()
))]
#[allow(clippy::too_many_arguments, reason = "each is named where it is called from")]
fn serve(
    py: Python<'_>,
    application: Py<PyAny>,
    bind: &str,
    interface: &str,
    threads: usize,
    event_loop: &str,
    root_path: &str,
    max_body: u64,
    body_memory: usize,
    keep_free: u64,
    grace: f64,
    tls: Option<&Bound<'_, PyAny>>,
    max_message: u64,
    websocket_ping: f64,
) -> PyResult<()> {
    let root_path = match root_path {
        "" | "/" => String::new(),
        path => hosted::root_path(path)
            .map_err(|why| PyValueError::new_err(format!("root_path={path:?}: {why}")))?,
    };
    let grace = seconds("grace", grace)?;
    let ping = seconds("websocket_ping", websocket_ping)?;
    let ping_every = Some(ping).filter(|silence| !silence.is_zero());
    let sockets = Sockets { message_bytes_max: max_message, ping_every };
    server::raise_nofile_limit();
    let mut options = Options { workers: 1, grace, release_start: true, ..Options::default() };
    options.limits.body_bytes_max = max_body;
    let (tls, authority) = certificate(tls)?;
    let app = match authority.clone() {
        Some(authority) => App::new().mount(CA_PATH, authority),
        None => App::new(),
    };
    let telling = Telling::Program { tls, authority };
    let base = Base { app, options, listeners: listen(bind)?, telling };
    let how = How {
        interface,
        threads,
        body_memory,
        keep_free,
        event_loop,
        root_path: &root_path,
        has_others: false,
        sockets,
    };
    host(py, base, application, &how)
}

/// Serves a WSGI application at a socket that listens already and stays its owner's, until a signal ends it or so many
/// requests have been answered; returns whether that was the reason.
#[pyfunction]
#[pyo3(signature = (application, descriptor, *, threads, requests_max))]
fn serve_at(
    py: Python<'_>,
    application: Py<PyAny>,
    descriptor: RawFd,
    threads: usize,
    requests_max: Option<u64>,
) -> PyResult<bool> {
    let cannot = |error: io::Error| {
        PyOSError::new_err(format!("descriptor {descriptor} is no socket to serve at: {error}"))
    };
    let listener = sys::duplicate(descriptor).and_then(Listener::try_from).map_err(cannot)?;
    server::raise_nofile_limit();
    let handle = Arc::<OnceLock<Handle>>::default();
    let left = Arc::new(AtomicU64::new(requests_max.unwrap_or(u64::MAX)));
    let enough = Enough { left: Arc::clone(&left), handle: Arc::clone(&handle) };
    let mut options = Options { workers: 1, release_start: true, ..Options::default() };
    options.limits.body_bytes_max = MAX_BODY;
    let base = Base {
        app: App::new().layer(enough),
        options,
        listeners: vec![listener],
        telling: Telling::Owner(handle),
    };
    let how = How {
        interface: "wsgi",
        threads,
        body_memory: BODY_MEMORY,
        keep_free: KEEP_FREE,
        event_loop: "auto",
        root_path: "",
        has_others: false,
        sockets: Sockets::default(),
    };
    host(py, base, application, &how)?;
    Ok(left.load(Ordering::Relaxed) == 0)
}

/// Stops a server gracefully when so many requests have come.
struct Enough {
    left: Arc<AtomicU64>,
    handle: Arc<OnceLock<Handle>>,
}

impl Layer for Enough {
    fn before(&self, _: &mut Call<'_>) -> Before {
        let take = |left: u64| left.checked_sub(1);
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if taken == Ok(1)
            && let Some(handle) = self.handle.get()
        {
            handle.shutdown();
        }
        Before::Go
    }
}

fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|error| PyValueError::new_err(format!("{name}={value}: {error}")))
}

/// Where devices get the authority of a certificate that was made here.
pub(crate) const CA_PATH: &str = "/.number8/ca.crt";

/// Reads a certificate and its key from the two files that Python names, or has them made where it says "self-signed".
pub(crate) fn certificate(
    given: Option<&Bound<'_, PyAny>>,
) -> PyResult<(Option<Tls>, Option<Authority>)> {
    let wrong = |why: String| PyValueError::new_err(format!("tls: {why}"));
    let Some(given) = given else { return Ok((None, None)) };
    if let Ok(word) = given.extract::<String>() {
        if word != "self-signed" {
            return Err(wrong(format!("{word:?}: this is two files, or \"self-signed\"")));
        }
        let (tls, authority) = number8_cli::tls::self_signed().map_err(wrong)?;
        return Ok((Some(tls), Some(authority)));
    }
    let (certificate, key) = given.extract::<(PathBuf, PathBuf)>()?;
    let tls = Tls::from_files(certificate, key).map_err(|error| wrong(error.to_string()))?;
    Ok((Some(telling(tls)), None))
}

fn telling(tls: Tls) -> Tls {
    tls.on_problem(|error| say(&format!("{error}; the old certificate stays in use")))
}

fn listen(bind: &str) -> PyResult<Vec<Listener>> {
    let address = bind
        .parse::<Bind>()
        .map_err(|error| PyValueError::new_err(format!("bind={bind:?}: {error}")))?;
    server::bind(&[address], DEFAULT_PORT).map_err(|error| cannot_listen(&error))
}

/// As Python's own sockets say it: the class and `errno` are of what the system said.
pub(crate) fn cannot_listen(error: &BindError) -> PyErr {
    match error.raw_os_error() {
        Some(errno) => PyOSError::new_err((errno, error.to_string())),
        None => PyOSError::new_err(error.to_string()),
    }
}

/// What a host says once it can be stopped by signals: where it listens, and whom to trust.
fn greeting(server: &Server, scheme: &str, authority: Option<&Authority>) -> String {
    let line = |address: &LocalAddr| match address {
        LocalAddr::Ip(address) => format!("Listening to {scheme}://{address}/\n"),
        other => format!("Listening to {other}\n"),
    };
    let mut text: String = server.local_addrs().map(line).collect();
    if let Some(authority) = authority {
        let (name, path) = (authority.name(), authority.path().display());
        let fingerprint = authority.fingerprint();
        text.push_str(&format!(
            "The certificate is by {name}; to trust it, devices install {CA_PATH} (here: {path})\n  SHA-256 {fingerprint}\n"
        ));
    }
    text
}

/// What the end of a server means for who called it.
pub(crate) fn ended(result: Result<(), ServeError>) -> PyResult<()> {
    match result {
        Ok(()) => Ok(()),
        // The grace is over: what was asked for has happened, if less gently.
        Err(error @ ServeError::Cut(_)) => {
            say(&error.to_string());
            Ok(())
        }
        Err(error) => Err(PyRuntimeError::new_err(error.to_string())),
    }
}

/// Tells whoever watches the server's standard error.
pub(crate) fn say(text: &str) {
    // Nobody there to read it is no reason not to serve.
    let _ = io::stderr().write_all(format!("number8: {text}\n").as_bytes());
}

/// What signals do while a host serves: SIGINT and SIGTERM stop it gracefully, a second one at once. Handlers that the
/// application has set for other signals are called, although the main thread runs no Python. In a forked child they are what they
/// were before.
///
/// Outside the main thread, where Python has no signals, it is the end of the program that stops the server.
pub(crate) struct Signals {
    watched: Option<Watched>,
}

struct Watched {
    /// Gets a byte with each signal.
    wakeups: PipeReader,
    /// The end that Python writes to, for as long as it may.
    _written: OwnedFd,
    /// Signals that stop the server, so far.
    stops: Arc<AtomicUsize>,
    before: Py<PyAny>,
    handlers: Vec<(Py<PyAny>, Py<PyAny>)>,
}

impl Signals {
    /// Has signals stop that server, until [`Signals::restore`].
    pub(crate) fn watch(py: Python<'_>, handle: Handle) -> PyResult<Self> {
        let threading = py.import("threading")?;
        let main = threading.call_method0("main_thread")?;
        if !threading.call_method0("current_thread")?.is(&main) {
            let stop = move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
                handle.shutdown_now();
            };
            let stop = PyCFunction::new_closure(py, None, None, stop)?;
            py.import("number8._leaving")?.call_method1("note_stop", (stop,))?;
            return Ok(Self { watched: None });
        }
        let signal = py.import("signal")?;
        let (wakeups, written) = io::pipe()?;
        let written = OwnedFd::from(written);
        py.import("os")?.call_method1("set_blocking", (written.as_raw_fd(), false))?;
        let quietly = PyDict::new(py);
        quietly.set_item("warn_on_full_buffer", false)?;
        let before = signal.call_method("set_wakeup_fd", (written.as_raw_fd(),), Some(&quietly))?;
        let stops = Arc::<AtomicUsize>::default();
        let stop = Bound::new(py, Stop { handle, stops: Arc::clone(&stops) })?;
        let (mut handlers, taken) = (Vec::new(), PyDict::new(py));
        for name in ["SIGINT", "SIGTERM"] {
            let number = signal.getattr(name)?;
            let old = signal.call_method1("signal", (&number, &stop))?;
            taken.set_item(&number, &old)?;
            handlers.push((number.unbind(), old.unbind()));
        }
        py.import("number8._signals")?.call_method1("note", (taken,))?;
        let watched =
            Watched { wakeups, _written: written, stops, before: before.unbind(), handlers };
        Ok(Self { watched: Some(watched) })
    }

    /// Calls Python's handlers of the signals that come, in the thread that polls it: the one that called
    /// [`Signals::watch`]. Ends with the second signal that stops the server (`Ok`), or with the first exception that another
    /// handler raises.
    pub(crate) async fn handle(&self) -> PyResult<()> {
        let Some(watched) = &self.watched else { return std::future::pending().await };
        let error = watched.handle().await?;
        match watched.stops.load(Ordering::Relaxed) {
            0 | 1 => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives signals back to whom they belonged.
    pub(crate) fn restore(self, py: Python<'_>) -> PyResult<()> {
        let Some(Watched { before, handlers, .. }) = self.watched else { return Ok(()) };
        let signal = py.import("signal")?;
        py.import("number8._signals")?.call_method0("forget")?;
        signal.call_method1("set_wakeup_fd", (before,))?;
        for (number, old) in handlers {
            // None: it was not set by Python, which cannot set it again.
            if !old.is_none(py) {
                signal.call_method1("signal", (number, old))?;
            }
        }
        Ok(())
    }
}

impl Watched {
    async fn handle(&self) -> io::Result<PyErr> {
        let wakeups = pipe::Receiver::from_owned_fd(self.wakeups.try_clone()?.into())?;
        let mut signals = [0; 64];
        loop {
            wakeups.readable().await?;
            match wakeups.try_read(&mut signals) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                result => result?,
            };
            if let Err(error) = Python::attach(|py| py.check_signals()) {
                return Ok(error);
            }
        }
    }
}

/// The handler of the signals that stop a server.
#[pyclass(frozen)]
struct Stop {
    handle: Handle,
    stops: Arc<AtomicUsize>,
}

#[pymethods]
impl Stop {
    #[pyo3(signature = (*_signal))]
    fn __call__(&self, _signal: &Bound<'_, PyTuple>) -> PyResult<()> {
        if self.stops.fetch_add(1, Ordering::Relaxed) > 0 {
            self.handle.shutdown_now();
            // Also where the application is called in this thread, and does not come back.
            return Err(PyKeyboardInterrupt::new_err("stopped by a second signal"));
        }
        self.handle.shutdown();
        Ok(())
    }
}
