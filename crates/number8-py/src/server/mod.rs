//! uhttpd's server: I/O on a thread without the interpreter, callbacks on one thread of Python's.
//!
//! ```text
//!  client ⇄ thread "number8-server" ── Request ──▶ queue ──▶ thread "number8-callbacks": callback(request)
//!              ▲                                                     │ write, send_chunk, send, a returned value
//!              └──────────────────────── Response ◀──────────────────┘
//! ```
//!
//! What a call of Python configures is kept in a table ([`routes`]) from which the whole app is built anew; the class in
//! `number8/_server.py` looks at arguments, and knows what they mean.

mod after;
mod answer;
mod callback;
mod calls;
mod layers;
mod repl;
mod request;
mod rooms;
mod routes;
mod socket;
mod streamed;
mod testing;
mod text;
mod verbs;

use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use number8::server::{Bind, LocalAddr, bind};
use number8::{Event, Events, Handle, Method, Options, RouteError};
use pyo3::exceptions::{PyBrokenPipeError, PyFileNotFoundError, PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

use crate::lock::lock;
use crate::{beside, hosting};
use callback::{Callback, Kind};
use calls::{CallThread, Calls};
use layers::Asked;
use request::Request;
use rooms::{Listening, Place};
use routes::Routes;
use socket::{TalkSocket, Talks};

/// How long callbacks may go on after the server was asked to stop: the port is free within four seconds.
const GRACE: Duration = Duration::from_secs(3);

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Core>()?;
    module.add_class::<Request>()?;
    module.add_class::<TalkSocket>()?;
    module.add_class::<after::Head>()?;
    module.add("SOCKETS_MAX", socket::SOCKETS_MAX)?;
    module.add("ClientGone", module.py().get_type::<ClientGone>())?;
    repl::register(module)?;
    verbs::register(module)
}

pyo3::create_exception!(
    number8,
    ClientGone,
    PyBrokenPipeError,
    "Nobody takes what is sent. A function that lets it through has not failed."
);

pyo3::create_exception!(
    number8,
    LeadsNowhere,
    PyFileNotFoundError,
    "A path that a function has returned leads to no file: that is no failure, but 404."
);

/// What handlers know of their server.
#[derive(Default)]
pub(crate) struct Shared {
    calls: Calls,
    /// The object of Python's; whoever drops the last reference to it stops the server.
    server: OnceLock<Py<PyWeakrefReference>>,
    /// One more than the numbers of the callbacks that are asked about files, that answer where there is nothing, and
    /// where another one raises; 0 for none.
    file_acl: AtomicUsize,
    missing: AtomicUsize,
    failed: AtomicUsize,
    /// The numbers of the callbacks that look at answers.
    after: Mutex<Vec<usize>>,
    /// Bytes of content that a callback may read.
    body_bytes_max: OnceLock<u64>,
}

impl Shared {
    /// The server, as long as somebody holds it.
    fn server<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.server.get()?.bind(py).upgrade()
    }

    /// The number of the callback that is asked about files.
    fn file_acl(&self) -> Option<usize> {
        self.file_acl.load(Ordering::Acquire).checked_sub(1)
    }

    /// The numbers of the callbacks that look at answers.
    fn after(&self) -> Vec<usize> {
        lock(&self.after).clone()
    }

    /// The number of the callback that answers where there is nothing.
    fn missing_callback(&self) -> Option<usize> {
        self.missing.load(Ordering::Acquire).checked_sub(1)
    }

    /// The number of the callback that answers where another one raises.
    fn failed_callback(&self) -> Option<usize> {
        self.failed.load(Ordering::Acquire).checked_sub(1)
    }
}

/// The server under `number8.Server`.
#[pyclass(subclass, frozen, module = "number8._native")]
pub(crate) struct Core {
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// The callbacks, each at the number by which its handler knows it: here alone, so that a callback that leads back to
    /// the server is garbage once nobody else holds either.
    callbacks: Mutex<Vec<Py<PyAny>>>,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    events: Option<Events>,
    routes: Routes,
}

struct Running {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
    /// Where it listens: descriptors too, which a child process has to close.
    ports: Vec<(LocalAddr, RawFd)>,
    process: u32,
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        _args: &Bound<'_, pyo3::types::PyTuple>,
        _kwargs: Option<&Bound<'_, pyo3::types::PyDict>>,
    ) -> Self {
        Self { shared: Arc::default(), state: Mutex::default(), callbacks: Mutex::default() }
    }

    /// Listens and serves. `start_thread` is given the function for the thread of callbacks. It answers 404 until there are
    /// routes.
    #[pyo3(signature = (addresses, port, body_bytes_max, start_thread, tls=None))]
    fn _start(
        slf: &Bound<'_, Self>,
        addresses: Vec<String>,
        port: u16,
        body_bytes_max: u64,
        start_thread: &Bound<'_, PyAny>,
        tls: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let this = slf.get();
        let (tls, authority) = hosting::certificate(tls)?;
        let binds: Vec<Bind> =
            addresses.into_iter().map(|address| place(&address, port)).collect::<PyResult<_>>()?;
        let listeners = bind(&binds, port).map_err(|error| hosting::cannot_listen(&error))?;
        let ports = listeners
            .iter()
            .map(|listener| (listener.local_addr().clone(), listener.as_raw_fd()))
            .collect();
        let shared = &this.shared;
        let _ = shared.body_bytes_max.set(body_bytes_max);
        let _ = shared.server.set(PyWeakrefReference::new(slf.as_any())?.unbind());
        if let Some(authority) = authority {
            let methods = vec![Method::Get, Method::Head];
            lock(&this.state).routes.add_path(methods, hosting::CA_PATH, Arc::new(authority));
        }
        let app = lock(&this.state).routes.app(shared).map_err(|mistake| mistaken(&mistake))?;
        let options = Options { workers: 1, grace: GRACE, ..Options::default() };
        let server = number8::Server::new(app, options, listeners).on_warning(hosting::say);
        let server = match tls {
            Some(tls) => server.tls(tls),
            None => server,
        };
        let handle = server.handle();
        let calls = shared.calls.clone();
        let ended = move |result| {
            if let Err(error) = result {
                Python::attach(|py| callback::log(py, &format!("the server has stopped: {error}")));
            }
            calls.close();
        };
        let thread = Py::new(slf.py(), CallThread(shared.calls.clone()))?;
        start_thread.call1((thread.getattr(slf.py(), "run")?,))?;
        let started = without_signals(slf.py(), || beside::serve(slf.py(), server, ended))?;
        let thread = started.inspect_err(|_| shared.calls.close())?;
        lock(&this.state).running =
            Some(Running { handle, thread: Some(thread), ports, process: std::process::id() });
        Ok(())
    }

    /// The port of the first address; None for a socket without one.
    fn _port(&self) -> PyResult<Option<u16>> {
        let state = self.running()?;
        let mut ports = state.running.iter().flat_map(|running| &running.ports);
        Ok(ports.find_map(|(address, _)| match address {
            LocalAddr::Ip(address) => Some(address.port()),
            _ => None,
        }))
    }

    /// The addresses, as they stand in a URL.
    fn _addresses(&self) -> PyResult<Vec<String>> {
        let state = self.running()?;
        let ports = state.running.iter().flat_map(|running| &running.ports);
        Ok(ports.map(|(address, _)| address.to_string()).collect())
    }

    /// Whether it serves.
    fn _is_running(&self) -> bool {
        self.running().is_ok()
    }

    /// The listening descriptors: a child process closes them. None of a server that has stopped, as the numbers may be others' by then.
    fn _descriptors(&self) -> Vec<RawFd> {
        let state = lock(&self.state);
        let serves =
            |running: &&Running| running.thread.as_ref().is_some_and(|it| !it.is_finished());
        let ports = state.running.iter().filter(serves).flat_map(|running| &running.ports);
        ports.map(|(_, fd)| *fd).collect()
    }

    /// Stops, and with `waits` until it has; does nothing where it has.
    fn _close(&self, py: Python<'_>, waits: bool) -> PyResult<()> {
        let stopping = self.stop().filter(|_| waits);
        py.detach(|| stopping.map(JoinHandle::join));
        Ok(())
    }

    /// Begins to close, and waits for nothing.
    fn _stop(&self) {
        let state = lock(&self.state);
        if let Some(running) = state.running.as_ref().filter(|it| it.process == std::process::id())
        {
            running.handle.shutdown();
        }
    }

    /// Answers these verbs of whatever fits a pattern with a callback.
    fn _route(&self, verbs: i64, pattern: &str, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let number = self.keep(function);
        let callback = Arc::new(Callback::new(&self.shared, number, Kind::Written));
        self.change(|routes| routes.add(verbs::methods(verbs), pattern, callback))
    }

    /// Answers a method of a path with what a function returns.
    fn _handler(&self, verb: i64, path: &str, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let callback = Arc::new(Callback::new(&self.shared, self.keep(function), Kind::Returned));
        self.change(|routes| routes.add_path(verbs::methods(verb), path, callback))
    }

    /// Sends a request in memory.
    fn _test<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        target: &str,
        fields: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> PyResult<testing::Answered<'py>> {
        let app = self.running()?.routes.app(&self.shared);
        let app = app.map_err(|mistake| mistaken(&mistake))?;
        testing::ask(py, &self.shared, app, method, target, fields, body)
    }

    /// Has a function talk to the WebSockets of a path; with `hosts`, our names, not to pages by another name.
    fn _talks(
        &self,
        path: &str,
        function: &Bound<'_, PyAny>,
        hosts: Option<Vec<String>>,
    ) -> PyResult<()> {
        let talks = Arc::new(Talks::new(&self.shared, self.keep(function)));
        let why = "a page of another site, or by a name that is not ours, asks: Server(hosts=…) adds names, cors=True takes any";
        let talks = rooms::ours(talks, hosts, why);
        self.change(|routes| routes.add_path(vec![Method::Get], path, talks))
    }

    /// Has a function answer where there is nothing (404), or where another one raises (500).
    fn _error(&self, status: u16, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let number = self.keep(function);
        if status == 500 {
            self.shared.failed.store(number + 1, Ordering::Release);
            return Ok(());
        }
        self.shared.missing.store(number + 1, Ordering::Release);
        let callback = Arc::new(Callback::new(&self.shared, number, Kind::Error(status)));
        self.change(|routes| routes.answer_rest(callback))
    }

    /// Has a function look at the answers of others.
    fn _after(&self, function: &Bound<'_, PyAny>) {
        let number = self.keep(function);
        lock(&self.shared.after).push(number);
    }

    /// Calls a function with each request before anything else sees it.
    fn _ask_first(&self, decides: bool, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let number = self.keep(function);
        let asked = if decides { Asked::Allowed } else { Asked::Answer };
        self.change(|routes| routes.ask_first(asked, number))
    }

    /// Lets in who sends exactly this value of Authorization.
    fn _require(&self, value: Vec<u8>) -> PyResult<()> {
        self.change(|routes| routes.require(value))
    }

    /// Lets pages of every site read all answers.
    fn _share(&self) -> PyResult<()> {
        self.change(Routes::share)
    }

    /// Serves the files of a folder below a prefix; `over` lies over it.
    #[pyo3(signature = (prefix, base, base_decoded, root, over, lists))]
    fn _files(
        &self,
        prefix: String,
        base: String,
        base_decoded: String,
        root: PathBuf,
        over: Option<PathBuf>,
        lists: bool,
    ) -> PyResult<()> {
        let pattern = format!("{prefix}/*");
        let place = Place { prefix, base, base_decoded };
        let files = rooms::files(&self.shared, &place, root, over, lists)?;
        self.change(|routes| routes.add(vec![Method::Get], &pattern, files))
    }

    /// Takes files into a folder: below a prefix, or all at that place; with `only`, into that folder alone; with `hosts`,
    /// our names, not from pages of other sites.
    #[pyo3(signature = (prefix, root, only, removes, is_endpoint, hosts))]
    fn _uploads(
        &self,
        prefix: String,
        root: PathBuf,
        only: Option<PathBuf>,
        removes: bool,
        is_endpoint: bool,
        hosts: Option<Vec<String>>,
    ) -> PyResult<()> {
        let pattern = if is_endpoint { prefix.clone() } else { format!("{prefix}/*") };
        let place = Place { prefix, base: String::new(), base_decoded: String::new() };
        let uploads = rooms::uploads(&self.shared, &place, root, only, is_endpoint, hosts)?;
        let mut methods = vec![Method::Post];
        if removes {
            methods.push(Method::Delete);
        }
        self.change(|routes| routes.add(methods, &pattern, uploads))
    }

    /// Has a function say what may be done with each file.
    fn _file_acl(&self, function: &Bound<'_, PyAny>) {
        let number = self.keep(function);
        self.shared.file_acl.store(number + 1, Ordering::Release);
    }

    /// Lets so many listen to events at a place.
    fn _event(&self, url: &str, listeners_max: usize) -> PyResult<()> {
        let events = Events::new().listeners_max(listeners_max).topics_max(1);
        let room = Arc::new(Listening(events.clone()));
        self.change(|routes| routes.add(vec![Method::Get], url, room))?;
        lock(&self.state).events = Some(events);
        Ok(())
    }

    /// Opens the REPL of this interpreter at a place; files are put into a folder, and got from there.
    #[pyo3(signature = (url, root, password))]
    fn _ws(&self, url: &str, root: PathBuf, password: Option<&str>) -> PyResult<()> {
        let webrepl = repl::webrepl(root, password)?;
        self.change(|routes| routes.add(vec![Method::Get], url, webrepl))
    }

    /// Sends an event to all who listen; says whether anybody does.
    #[pyo3(signature = (data, name))]
    fn _dispatch(&self, py: Python<'_>, data: String, name: Option<String>) -> PyResult<bool> {
        let mut event = Event::new(data);
        if let Some(name) = name {
            let named = event.name(name);
            event = named.map_err(|_| PyValueError::new_err("the name of an event is one line"))?;
        }
        let events = lock(&self.state).events.clone();
        Ok(events.is_some_and(|events| py.detach(|| events.dispatch(event))))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Where somebody has it, it is in use.
        let Ok(callbacks) = self.callbacks.try_lock() else { return Ok(()) };
        callbacks.iter().try_for_each(|callback| visit.call(callback))
    }

    fn __clear__(&self) {
        let callbacks = std::mem::take(&mut *lock(&self.callbacks));
        drop(callbacks);
    }
}

impl Core {
    /// The callback of a handler.
    pub(crate) fn callback(&self, py: Python<'_>, number: usize) -> Option<Py<PyAny>> {
        lock(&self.callbacks).get(number).map(|callback| callback.clone_ref(py))
    }

    fn keep(&self, function: &Bound<'_, PyAny>) -> usize {
        let mut callbacks = lock(&self.callbacks);
        callbacks.push(function.clone().unbind());
        callbacks.len() - 1
    }

    /// Changes what is served; where that makes a mistake nothing changes.
    fn change(&self, change: impl FnOnce(&mut Routes)) -> PyResult<()> {
        let mut state = self.running_or_new()?;
        let mut routes = state.routes.clone();
        change(&mut routes);
        if let Some(running) = &state.running {
            let replaced = routes.app(&self.shared).and_then(|app| running.handle.replace(app));
            replaced.map_err(|mistake| mistaken(&mistake))?;
        }
        state.routes = routes;
        Ok(())
    }

    /// The state of a server that has not been closed.
    fn running(&self) -> PyResult<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        match &state.running {
            Some(running) if running.process != std::process::id() => {
                Err(PyRuntimeError::new_err("this Server belongs to the process that forked"))
            }
            Some(running) if running.thread.is_some() => Ok(state),
            _ => Err(PyRuntimeError::new_err("the server is closed")),
        }
    }

    /// The same, or of one that has not been started.
    fn running_or_new(&self) -> PyResult<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        if state.running.is_none() {
            return Ok(state);
        }
        drop(state);
        self.running()
    }

    /// Has it stop; what is to be waited for, which a callback cannot.
    fn stop(&self) -> Option<JoinHandle<()>> {
        let mut state = lock(&self.state);
        let running = state.running.as_mut()?;
        if running.process != std::process::id() {
            return None;
        }
        running.handle.shutdown();
        running.thread.take().filter(|_| !self.shared.calls.is_here())
    }
}

/// Dropping the last reference stops the server.
impl Drop for Core {
    fn drop(&mut self) {
        let is_child = lock(&self.state)
            .running
            .as_ref()
            .is_some_and(|running| running.process != std::process::id());
        if is_child {
            // The threads are not in this process, so nobody could be waited for.
            std::mem::forget(std::mem::take(&mut *lock(&self.state)));
            return;
        }
        if let Some(thread) = self.stop() {
            Python::attach(|py| py.detach(|| thread.join()).ok());
        }
    }
}

/// Where to listen: every address of the machine for an empty text.
fn place(address: &str, port: u16) -> PyResult<Bind> {
    Ok(match address {
        "" => Bind::Every { port },
        "localhost" => Bind::Loopback { port: Some(port) },
        _ => match address.parse::<IpAddr>() {
            Ok(ip) => Bind::Ip { ip, port: Some(port) },
            Err(_) => address.parse().map_err(|error| {
                PyValueError::new_err(format!("bind={address:?} is no place to listen at: {error}"))
            })?,
        },
    })
}

/// Starts a thread that gets no signal, nor do those that it starts: signals are for the main thread of Python.
fn without_signals<T>(py: Python<'_>, start: impl FnOnce() -> T) -> PyResult<T> {
    let signal = py.import("signal")?;
    let (block, set) = (signal.getattr("SIG_BLOCK")?, signal.getattr("SIG_SETMASK")?);
    let all = signal.call_method0("valid_signals")?;
    let before = signal.call_method1("pthread_sigmask", (block, all))?;
    let started = start();
    signal.call_method1("pthread_sigmask", (set, before))?;
    Ok(started)
}

fn mistaken(error: &RouteError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
