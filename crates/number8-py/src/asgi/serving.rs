//! The server under an event loop: inside its selector, or beside it.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use number8::server::{Listener, LocalAddr};
use number8::{Handle, ServeError, Server, WebSocket};
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{self, Runtime};

use super::handler::Application;
use super::host::{Hooks, Loop};
use super::hub::Hub;
use super::scope::Scopes;
use crate::beside;
use crate::hosting::{Base, Sockets};
use crate::lock::lock;
use crate::sys;

/// A server for one event loop.
#[pyclass(frozen, module = "number8._native")]
pub(super) struct AsgiHost {
    base: Mutex<Option<Base>>,
    sockets: Sockets,
    hub: Arc<Hub>,
    inside: Option<Inside>,
    of: Mutex<Option<Arc<Loop>>>,
    handle: OnceLock<Handle>,
    beside: Mutex<Option<JoinHandle<()>>>,
}

/// The runtime that runs where the loop waits.
struct Inside {
    runtime: Runtime,
    /// The loop's own descriptors, all behind one.
    watched: OnceLock<AsyncFd<OwnedFd>>,
}

impl AsgiHost {
    /// `has_selector`: the loop lets its waiting be done by [`AsgiHost::turn`].
    pub(super) fn new(base: Base, has_selector: bool, sockets: Sockets) -> PyResult<Self> {
        let (hub, inside) = match has_selector {
            true => {
                let runtime =
                    runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
                (Hub::inside(), Some(Inside { runtime, watched: OnceLock::new() }))
            }
            false => (Hub::beside()?, None),
        };
        Ok(Self {
            base: Mutex::new(Some(base)),
            sockets,
            hub: Arc::new(hub),
            inside,
            of: Mutex::default(),
            handle: OnceLock::new(),
            beside: Mutex::default(),
        })
    }

    fn of(&self) -> Option<Arc<Loop>> {
        lock(&self.of).clone()
    }

    fn inside(&self) -> PyResult<&Inside> {
        self.inside
            .as_ref()
            .ok_or_else(|| PyRuntimeError::new_err("this server runs in a thread of its own"))
    }
}

#[pymethods]
impl AsgiHost {
    /// Whether the loop lets its waiting be done here, by [`AsgiHost::turn`].
    fn has_selector(&self) -> bool {
        self.inside.is_some()
    }

    /// Watches a descriptor that becomes readable when the loop has something to do.
    fn watch(&self, descriptor: RawFd) -> PyResult<()> {
        let inside = self.inside()?;
        let _entered = inside.runtime.enter();
        let watched = sys::watch(sys::duplicate(descriptor)?)?;
        inside
            .watched
            .set(watched)
            .map_err(|_| PyRuntimeError::new_err("one loop is watched already"))
    }

    /// Lets the server go on until the loop has something to do or the time (in seconds) is over, then does what has
    /// come. True when the watched descriptor is readable.
    fn turn(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let inside = self.inside()?;
        let is_readable = py.detach(|| inside.runtime.block_on(turn(&self.hub, inside, timeout)));
        self.drain(py);
        Ok(is_readable)
    }

    /// Does what has come.
    fn drain(&self, py: Python<'_>) {
        if let Some(of) = self.of() {
            of.drain(py);
        }
    }

    /// What becomes readable when there is something to do, where there is no selector.
    fn fileno(&self) -> Option<RawFd> {
        self.hub.bell().map(AsRawFd::as_raw_fd)
    }

    /// Begins to serve: from here on connections are accepted.
    fn start(
        &self,
        py: Python<'_>,
        hooks: Hooks,
        root_path: &str,
        state: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let base = lock(&self.base).take();
        let Some(Base { app, options, listeners, telling }) = base else {
            return Err(PyRuntimeError::new_err("this server has been started before"));
        };
        let server = address(py, &listeners)?;
        let scopes = Scopes::new(py, &server, root_path, state)?;
        let of = Loop::new(py, Arc::clone(&self.hub), hooks, scopes)?;
        *lock(&self.of) = Some(Arc::new(of));
        let application = Application {
            hub: Arc::clone(&self.hub),
            websocket: WebSocket::new(async |_| {})
                .any_origin()
                .message_bytes_max(self.sockets.message_bytes_max)
                .ping_every(self.sockets.ping_every),
        };
        let server = telling.listen(Server::new(app.mount("", application), options, listeners));
        telling.ready(&server);
        drop(self.handle.set(server.handle()));
        let hub = Arc::clone(&self.hub);
        match &self.inside {
            Some(inside) => {
                let end = End(hub);
                inside.runtime.spawn(async move {
                    let result = server.serve().await;
                    end.tell(result);
                });
            }
            None => {
                let end = End(hub);
                let thread = beside::serve(py, server, move |result| end.tell(result))?;
                *lock(&self.beside) = Some(thread);
            }
        }
        Ok(())
    }

    /// Stops: gracefully, or at once.
    fn stop(&self, at_once: bool) {
        match self.handle.get() {
            Some(handle) if at_once => handle.shutdown_now(),
            Some(handle) => handle.shutdown(),
            None => {}
        }
    }

    /// The tasks of requests that are not done.
    fn tasks(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.of().map_or_else(Vec::new, |of| of.tasks(py))
    }

    /// Those of them that make events which nobody gets any more, since the server stops, and wait for something else than the client.
    fn unheard(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.of().map_or_else(Vec::new, |of| of.unheard(py))
    }

    /// Ends all that is left, and forgets the loop.
    fn close(&self, py: Python<'_>) {
        self.stop(true);
        let (of, thread) = (lock(&self.of).take(), lock(&self.beside).take());
        // They run Python code as they go: not while a lock is held.
        drop(of);
        py.detach(|| match (&self.inside, thread) {
            (Some(inside), _) => inside.runtime.block_on(async {
                for _ in 0..TURNS_AT_THE_END {
                    tokio::task::yield_now().await;
                }
            }),
            // A thread that panicked has said so.
            (None, thread) => drop(thread.map(JoinHandle::join)),
        });
    }
}

/// Turns of the runtime in which a server that is told to end at once does.
const TURNS_AT_THE_END: usize = 8;

/// Tells the loop that the server has ended, also where it ends by a panic.
struct End(Arc<Hub>);

impl End {
    fn tell(&self, result: Result<(), ServeError>) {
        self.0.end(result.err().map(|error| error.to_string()));
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end(Some("the server has failed".to_owned()));
        }
    }
}

/// Lets the runtime go on. True when the watched descriptor is readable.
async fn turn(hub: &Hub, inside: &Inside, timeout: Option<f64>) -> bool {
    hub.call();
    let Some(watched) = inside.watched.get() else { return true };
    if timeout.is_some_and(|seconds| seconds <= 0.0) {
        // What may go on does; then, what has become ready by that or in the meantime.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    // A time that is no time is no limit.
    let timeout = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
    let mut over = std::pin::pin!(async {
        match timeout {
            Some(Duration::ZERO) => {}
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    });
    std::future::poll_fn(|cx| {
        // The loop looks itself what it is that is readable, and again until nothing is.
        if let Poll::Ready(ready) = watched.poll_read_ready(cx) {
            if let Ok(mut ready) = ready {
                ready.clear_ready();
            }
            return Poll::Ready(true);
        }
        if hub.has_mail(cx.waker()) {
            return Poll::Ready(false);
        }
        over.as_mut().poll(cx).map(|()| false)
    })
    .await
}

/// Where the first of the listeners listens, as a scope says it.
fn address<'py>(py: Python<'py>, listeners: &[Listener]) -> PyResult<Bound<'py, PyAny>> {
    Ok(match listeners.first().map(Listener::local_addr) {
        Some(LocalAddr::Ip(address)) => {
            (address.ip().to_string(), address.port()).into_pyobject(py)?.into_any()
        }
        Some(LocalAddr::Unix(path)) => {
            (path.to_string_lossy(), py.None()).into_pyobject(py)?.into_any()
        }
        Some(LocalAddr::Abstract(name)) => {
            (format!("@{name}"), py.None()).into_pyobject(py)?.into_any()
        }
        None => return Err(PyOSError::new_err("there is nothing to listen at")),
    })
}
