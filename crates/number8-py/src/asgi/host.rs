//! The loop's side: makes tasks of what arrives, and knows those that run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use number8::{Method, Response};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::awaits::Done;
use super::http::HttpExchange;
use super::hub::{Arrival, Hub, Notice};
use super::scope::Scopes;
use super::websocket::WebSocketExchange;
use crate::lock::lock;

/// What the host asks Python for.
#[derive(FromPyObject)]
pub(super) struct Hooks {
    /// Makes a future of the loop.
    create_future: Py<PyAny>,
    /// Makes a task of a coroutine.
    create_task: Py<PyAny>,
    /// A coroutine function that sees one request to its end: of its scope and what stands for it here.
    run: Py<PyAny>,
    /// The error that `send` raises when nobody is there any more.
    disconnected: Py<PyAny>,
    /// Is called when the server has ended, with what went wrong or None.
    ended: Py<PyAny>,
    /// Is called with an error that is nobody's.
    failed: Py<PyAny>,
}

/// One event loop with the application that runs in it.
pub(super) struct Loop {
    pub(super) hub: Arc<Hub>,
    hooks: Hooks,
    scopes: Scopes,
    done: Py<PyAny>,
    running: Mutex<HashMap<u64, Running>>,
    next: AtomicU64,
}

/// A request that the application has not finished with.
struct Running {
    exchange: Exchange,
    task: Option<Py<PyAny>>,
}

enum Exchange {
    Http(Py<HttpExchange>),
    WebSocket(Py<WebSocketExchange>),
}

impl Exchange {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Http(exchange) => Self::Http(exchange.clone_ref(py)),
            Self::WebSocket(exchange) => Self::WebSocket(exchange.clone_ref(py)),
        }
    }

    fn look(&self, py: Python<'_>) {
        match self {
            Self::Http(exchange) => exchange.get().look(py),
            Self::WebSocket(exchange) => exchange.get().look(py),
        }
    }
}

impl Loop {
    pub(super) fn new(
        py: Python<'_>,
        hub: Arc<Hub>,
        hooks: Hooks,
        scopes: Scopes,
    ) -> PyResult<Self> {
        Ok(Self {
            hub,
            hooks,
            scopes,
            done: Py::new(py, Done)?.into_any(),
            running: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Does all that has come.
    pub(super) fn drain(self: &Arc<Self>, py: Python<'_>) {
        let mail = self.hub.take();
        for id in mail.news {
            let exchange =
                lock(&self.running).get(&id).map(|running| running.exchange.clone_ref(py));
            if let Some(exchange) = exchange {
                exchange.look(py);
            }
        }
        for arrival in mail.arrivals {
            let line = Arc::clone(&arrival.line);
            if let Err(error) = self.start(py, arrival) {
                line.answer(Response::error(500, "the application failed"));
                self.complain(py, &error);
            }
        }
        if let Some(complaint) = mail.ended
            && let Err(error) = self.hooks.ended.call1(py, (complaint,))
        {
            self.complain(py, &error);
        }
    }

    /// Makes a task of a request.
    fn start(self: &Arc<Self>, py: Python<'_>, mut arrival: Arrival) -> PyResult<()> {
        let scope = self.scopes.build(py, &arrival)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let waker = Waker::from(Arc::new(Notice { hub: Arc::clone(&self.hub), id }));
        let (exchange, object) = match arrival.opening.take() {
            None => {
                let is_head = arrival.head.head().method() == Method::Head;
                let exchange = HttpExchange::new(self, id, waker, arrival, is_head);
                let exchange = Py::new(py, exchange)?;
                (Exchange::Http(exchange.clone_ref(py)), exchange.into_any())
            }
            Some(opening) => {
                let exchange = WebSocketExchange::new(self, id, waker, arrival, opening);
                let exchange = Py::new(py, exchange)?;
                (Exchange::WebSocket(exchange.clone_ref(py)), exchange.into_any())
            }
        };
        lock(&self.running).insert(id, Running { exchange, task: None });
        let task = self.task(py, &scope, &object);
        match task {
            Ok(task) => {
                // One that has been started at once may have ended.
                if let Some(running) = lock(&self.running).get_mut(&id) {
                    running.task = Some(task);
                }
                Ok(())
            }
            Err(error) => {
                drop(object.call_method1(py, "ended", (true,)));
                self.forget(id);
                Err(error)
            }
        }
    }

    fn task(
        &self,
        py: Python<'_>,
        scope: &Bound<'_, PyDict>,
        object: &Py<PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let coroutine = self.hooks.run.call1(py, (scope, object))?;
        self.hooks.create_task.call1(py, (coroutine,))
    }

    /// The tasks that are not done.
    pub(super) fn tasks(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let running = lock(&self.running);
        running.values().filter_map(|one| Some(one.task.as_ref()?.clone_ref(py))).collect()
    }

    /// Those that make events which nobody gets any more, and do not know.
    pub(super) fn unheard(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let running = lock(&self.running);
        let is_unheard = |running: &&Running| match &running.exchange {
            Exchange::Http(exchange) => exchange.get().is_unheard(),
            Exchange::WebSocket(_) => false,
        };
        let unheard = running.values().filter(is_unheard);
        unheard.filter_map(|one| Some(one.task.as_ref()?.clone_ref(py))).collect()
    }

    pub(super) fn forget(&self, id: u64) {
        let forgotten = lock(&self.running).remove(&id);
        // What it holds may run Python code as it goes: not while the lock is held.
        drop(forgotten);
    }

    pub(super) fn create_future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hooks.create_future.bind(py).call0()
    }

    /// The error that says that nobody is there any more.
    pub(super) fn disconnected(&self, py: Python<'_>) -> PyErr {
        match self.hooks.disconnected.bind(py).call0() {
            Ok(error) => PyErr::from_value(error),
            Err(error) => error,
        }
    }

    /// What `send` returns when there is nothing to wait for.
    pub(super) fn done(&self, py: Python<'_>) -> Py<PyAny> {
        self.done.clone_ref(py)
    }

    fn complain(&self, py: Python<'_>, error: &PyErr) {
        if self.hooks.failed.call1(py, (error.value(py),)).is_err() {
            error.clone_ref(py).write_unraisable(py, None);
        }
    }
}
