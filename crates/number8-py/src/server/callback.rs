//! A callback as a handler: what it is called with, and what becomes of it.

use std::sync::Arc;

use number8::{Answer, Argument, Call, Handler, Response, Taken};
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use super::answer::of_value;
use super::request::Request;
use super::{Core, Shared};

/// Answers with a callback.
pub(crate) struct Callback {
    shared: Arc<Shared>,
    number: usize,
}

impl Callback {
    pub(crate) fn new(shared: &Arc<Shared>, number: usize) -> Self {
        Self { shared: Arc::clone(shared), number }
    }
}

impl Handler for Callback {
    fn handle(&self, mut call: Call<'_>) -> Answer {
        let request = match number8::Request::take(&mut call) {
            Ok(Taken::Now(request)) => request,
            // A request is there when its head is.
            Ok(Taken::Later(_)) | Err(_) => return failed().into(),
        };
        let (request, answer) = Request::new(Arc::clone(&self.shared), request);
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        let job = move |py: Python<'_>| {
            // Whoever asked may have left while this waited.
            if !request.is_given_up() {
                run(py, &shared, number, request);
            }
        };
        match self.shared.calls.submit(job) {
            Ok(()) => Answer::later(async move { answer.await.unwrap_or_else(|_| failed()) }),
            Err(_) => busy().into(),
        }
    }
}

fn run(py: Python<'_>, shared: &Shared, number: usize, request: Request) {
    let Some((function, _server)) = shared.callback(py, number) else { return };
    let Ok(request) = Py::new(py, request) else { return };
    let result = function.bind(py).call1((&request,));
    finish(request.bind(py), result);
}

/// Ends an answer as its callback has: with nothing more, with what it returned, or with an error.
fn finish(request: &Bound<'_, Request>, result: PyResult<Bound<'_, PyAny>>) {
    let (py, request) = (request.py(), request.get());
    let answer = result.and_then(|value| match (request.has_begun(), value.is_none()) {
        (true, _) => Ok(None),
        (false, true) => Ok(Some(Response::new(200, ""))),
        (false, _) => of_value(&value).map(Some),
    });
    match answer {
        Ok(Some(response)) => request.answer(response),
        Ok(None) => {
            if request.end(true) {
                log(py, "a callback ended without send_chunk(None); the answer is taken for whole");
            }
        }
        Err(error) => {
            log_error(py, "a callback failed", &error);
            // SECURITY: what went wrong is not told.
            match request.content_failure() {
                Some(status @ 400..500) => {
                    request.answer(Response::error(status, "the content could not be read"));
                }
                _ => request.answer(failed()),
            }
            request.end(false);
        }
    }
}

impl Shared {
    /// A callback, and the server that holds it while it is called.
    pub(crate) fn callback<'py>(
        &self,
        py: Python<'py>,
        number: usize,
    ) -> Option<(Py<PyAny>, Bound<'py, PyAny>)> {
        let server = self.server(py)?;
        let function = server.cast::<Core>().ok()?.get().callback(py, number)?;
        Some((function, server))
    }
}

/// A callback raised.
pub(crate) fn failed() -> Response {
    Response::error(500, "the handler failed")
}

/// More callbacks wait than may.
pub(crate) fn busy() -> Response {
    Response::error(503, "too many calls are waiting")
}

/// Tells the logger `number8`.
pub(crate) fn log(py: Python<'_>, message: &str) {
    let logged = logger(py).and_then(|logger| logger.call_method1("warning", (message,)));
    if let Err(error) = logged {
        error.write_unraisable(py, None);
    }
}

/// Tells the logger `number8` of an exception, with its traceback.
pub(crate) fn log_error(py: Python<'_>, message: &str, error: &PyErr) {
    let tell = || -> PyResult<()> {
        let kwargs = pyo3::types::PyDict::new(py);
        let value: &Bound<'_, PyBaseException> = error.value(py);
        kwargs.set_item("exc_info", value)?;
        logger(py)?.call_method("error", (message,), Some(&kwargs))?;
        Ok(())
    };
    if let Err(error) = tell() {
        error.write_unraisable(py, None);
    }
}

fn logger(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("logging")?.call_method1("getLogger", ("number8",))
}
