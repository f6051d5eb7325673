//! What `receive` and `send` return: awaitables that are complete when nothing has to be waited for, and wait with a
//! future of the loop when something has.

use std::sync::Mutex;

use pyo3::exceptions::PyStopIteration;
use pyo3::intern;
use pyo3::prelude::*;

use super::host::Loop;
use super::http::HttpExchange;
use super::websocket::WebSocketExchange;
use crate::lock::lock;

/// Which of the two is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Receive,
    Send,
}

enum Of {
    Http(Py<HttpExchange>),
    WebSocket(Py<WebSocketExchange>),
}

/// A message to come, or room for one. It is looked for each time the task goes on, so that none is lost where a task is
/// cancelled between its coming and its being taken.
#[pyclass(frozen, module = "number8._native")]
pub(super) struct Awaitable {
    of: Of,
    side: Side,
    /// The future that the task waits with.
    future: Mutex<Option<Py<PyAny>>>,
}

impl Awaitable {
    pub(super) fn http(exchange: Py<HttpExchange>, side: Side) -> Self {
        Self { of: Of::Http(exchange), side, future: Mutex::default() }
    }

    pub(super) fn websocket(exchange: Py<WebSocketExchange>, side: Side) -> Self {
        Self { of: Of::WebSocket(exchange), side, future: Mutex::default() }
    }

    /// The task waits no more, as one does that is cancelled.
    fn give_up(&self) {
        let Some(future) = lock(&self.future).take() else { return };
        match &self.of {
            Of::Http(exchange) => exchange.get().give_up(&future),
            Of::WebSocket(exchange) => exchange.get().give_up(&future),
        }
    }

    /// The result, or `None` where it has to be waited for.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let room = |has_room: bool| has_room.then(|| py.None().into_bound(py));
        match (&self.of, self.side) {
            (Of::Http(exchange), Side::Receive) => exchange.get().received(py),
            (Of::Http(exchange), Side::Send) => exchange.get().has_room(py).map(room),
            (Of::WebSocket(exchange), Side::Receive) => exchange.get().received(py),
            (Of::WebSocket(exchange), Side::Send) => exchange.get().has_room(py).map(room),
        }
    }
}

#[pymethods]
impl Awaitable {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(result) = self.poll(py)? {
            return Err(PyStopIteration::new_err((result.unbind(),)));
        }
        let future = match &self.of {
            Of::Http(exchange) => exchange.get().wait(py),
            Of::WebSocket(exchange) => exchange.get().wait(py),
        }?;
        let before = lock(&self.future).replace(future.clone().unbind());
        drop(before);
        Ok(future)
    }

    /// As a coroutine, which some take for the only kind of awaitable.
    #[pyo3(signature = (value, /))]
    fn send<'py>(&self, py: Python<'py>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        // It waits for nothing that could be sent.
        let _ = value;
        self.__next__(py)
    }

    #[pyo3(signature = (kind, value=None, traceback=None, /))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = traceback;
        self.give_up();
        thrown(kind, value)
    }

    fn close(&self) {
        self.give_up();
    }
}

/// `send` that has nothing to wait for. It holds nothing, so one is enough.
#[pyclass(frozen, module = "number8._native")]
pub(super) struct Done;

#[pymethods]
impl Done {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self) -> Option<()> {
        None
    }

    #[pyo3(signature = (value, /))]
    fn send(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = value;
        Err(PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (kind, value=None, traceback=None, /))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = traceback;
        thrown(kind, value)
    }

    fn close(&self) {}
}

fn thrown(kind: &Bound<'_, PyAny>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    Err(match value.filter(|value| !value.is_none()) {
        Some(value) => PyErr::from_value(value.clone()),
        None => PyErr::from_value(kind.clone()),
    })
}

/// The futures with which tasks wait for one request.
#[derive(Default)]
pub(super) struct Waiters(Mutex<Vec<Py<PyAny>>>);

impl Waiters {
    /// A new future for a task to wait with, in the way in which futures say that they are to be waited for.
    pub(super) fn add<'py>(&self, py: Python<'py>, of: &Loop) -> PyResult<Bound<'py, PyAny>> {
        let future = of.create_future(py)?;
        future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
        lock(&self.0).push(future.clone().unbind());
        Ok(future)
    }

    /// Nobody waits with that one any more.
    pub(super) fn remove(&self, future: &Py<PyAny>) {
        let mut waiting = lock(&self.0);
        let found = waiting.iter().position(|one| one.is(future));
        let removed = found.map(|place| waiting.swap_remove(place));
        // It may run Python code as it goes: not while the lock is held.
        drop(waiting);
        drop(removed);
    }

    /// Has those who wait look again.
    pub(super) fn wake(&self, py: Python<'_>) {
        let waiting = std::mem::take(&mut *lock(&self.0));
        for future in waiting {
            let future = future.bind(py);
            let done = future.call_method0(intern!(py, "done")).and_then(|done| done.is_truthy());
            if let Ok(false) = done {
                // A future of a loop that is closed has nobody to tell.
                drop(future.call_method1(intern!(py, "set_result"), (py.None(),)));
            }
        }
    }
}
