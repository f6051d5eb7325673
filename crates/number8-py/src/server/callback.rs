//! A callback as a handler: what it is called with, and what becomes of it.

use std::sync::Arc;

use number8::{Answer, Argument, Call, Handler, Response, Taken};
use pyo3::exceptions::{PyBaseException, PyOSError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use super::answer::of_value;
use super::request::{Request, fault_of_client};
use super::{ClientGone, Core, LeadsNowhere, Shared};

/// Answers with a callback.
pub(crate) struct Callback {
    shared: Arc<Shared>,
    number: usize,
    kind: Kind,
}

/// How a callback answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// uhttpd's: with what it writes, or returns, or with no content.
    Written,
    /// With what it returns; None is no content.
    Returned,
    /// In place of an error with this status.
    Error(u16),
}

impl Callback {
    pub(crate) fn new(shared: &Arc<Shared>, number: usize, kind: Kind) -> Self {
        Self { shared: Arc::clone(shared), number, kind }
    }
}

impl Handler for Callback {
    fn handle(&self, mut call: Call<'_>) -> Answer {
        let request = match number8::Request::take(&mut call) {
            Ok(Taken::Now(request)) => request,
            // A request is there when its head is.
            Ok(Taken::Later(_)) | Err(_) => return failed().into(),
        };
        let (request, answer) = Request::new(Arc::clone(&self.shared), self.kind, request);
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

fn run(py: Python<'_>, shared: &Arc<Shared>, number: usize, request: Request) {
    let Some((function, _server)) = shared.callback(py, number) else { return };
    let Ok(request) = Py::new(py, request) else { return };
    let request = request.bind(py);
    match function.bind(py).call1((request,)) {
        Ok(value) if is_later(&value) => {
            let module = py.import("number8._async");
            let begun = module.and_then(|module| module.call_method1("answer", (request, value)));
            if let Err(error) = begun {
                finish(request, shared, Err(error));
            }
        }
        result => finish(request, shared, result),
    }
}

/// Whether a value has to be waited for: what a coroutine returns, what an async iterator gives, beside which status and
/// headers may stand.
pub(crate) fn is_later(value: &Bound<'_, PyAny>) -> bool {
    let is_plain = value.is_none()
        || value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyDict>();
    if let Ok(tuple) = value.cast::<PyTuple>() {
        let gives = |body: Bound<'_, PyAny>| body.hasattr("__aiter__").unwrap_or(false);
        return matches!(tuple.len(), 2 | 3) && tuple.get_item(0).is_ok_and(gives);
    }
    let has = |name| value.hasattr(name).unwrap_or(false);
    !is_plain && (has("__await__") || has("__aiter__"))
}

/// Ends an answer as its callback has: with nothing more, with what it returned, or with an error.
pub(crate) fn finish(
    request: &Bound<'_, Request>,
    shared: &Arc<Shared>,
    result: PyResult<Bound<'_, PyAny>>,
) {
    let (py, bound, request) = (request.py(), request, request.get());
    let answer = result.and_then(|value| match (request.has_begun(), request.kind) {
        (true, _) => Ok(None),
        (false, Kind::Written) if value.is_none() => Ok(Some(Response::new(200, ""))),
        (false, Kind::Error(status)) => of_error(shared, status, &value).map(Some),
        (false, _) => of_value(shared, &value).map(Some),
    });
    match answer {
        Ok(Some(response)) => Request::answer(bound, response),
        Ok(None) => {
            if request.end(true) {
                log(py, "a callback ended without send_chunk(None); the answer is taken for whole");
            }
        }
        Err(error) if error.is_instance_of::<LeadsNowhere>(py) => answer_nothing(bound, shared),
        Err(error) => {
            // What came of its content is the client's fault, too, where the callback lets that through.
            let content =
                request.content_failure().filter(|_| error.is_instance_of::<PyOSError>(py));
            let fault =
                fault_of_client(py, &error).or(content.filter(|it| (400..500).contains(it)));
            if fault.is_none() && !error.is_instance_of::<ClientGone>(py) {
                log_error(py, "a callback failed", &error);
            }
            // SECURITY: what went wrong is not told.
            match fault.or_else(|| request.content_failure()) {
                Some(status @ 400..500) => {
                    let why = "the content could not be read";
                    Request::answer(bound, Response::error(status, why));
                }
                _ if request.has_begun() => {}
                _ => {
                    let own = own_error(bound, shared, shared.failed_callback(), 500);
                    Request::answer(bound, own.unwrap_or_else(failed));
                }
            }
            request.end(false);
        }
    }
}

/// Answers that there is nothing at this address.
pub(crate) fn answer_nothing(request: &Bound<'_, Request>, shared: &Arc<Shared>) {
    Request::answer(request, nothing(request, shared));
}

fn nothing(request: &Bound<'_, Request>, shared: &Arc<Shared>) -> Response {
    let own = own_error(request, shared, shared.missing_callback(), 404);
    own.unwrap_or_else(|| Response::error(404, "there is nothing at this address"))
}

/// The answer where something of the program's raised in place of answering; it is logged as `what`.
pub(crate) fn failure(
    request: &Bound<'_, Request>,
    shared: &Arc<Shared>,
    what: &str,
    error: &PyErr,
) -> Response {
    let py = request.py();
    if error.is_instance_of::<LeadsNowhere>(py) {
        return nothing(request, shared);
    }
    log_error(py, what, error);
    own_error(request, shared, shared.failed_callback(), 500).unwrap_or_else(failed)
}

/// The answer of the program's own callback for an error.
fn own_error(
    request: &Bound<'_, Request>,
    shared: &Arc<Shared>,
    number: Option<usize>,
    status: u16,
) -> Option<Response> {
    let py = request.py();
    let (function, _server) = shared.callback(py, number?)?;
    let called = function.bind(py).call1((request,));
    match called.and_then(|value| of_error(shared, status, &value)) {
        Ok(response) => Some(response),
        Err(error) => {
            log_error(py, "the callback for an error failed", &error);
            None
        }
    }
}

/// The answer that a callback for an error returns: with the status of the error, unless it says another.
fn of_error(shared: &Arc<Shared>, status: u16, value: &Bound<'_, PyAny>) -> PyResult<Response> {
    if value.is_none() {
        return Ok(Response::new(status, ""));
    }
    let response = of_value(shared, value)?;
    Ok(if value.is_instance_of::<PyTuple>() { response } else { response.with_status(status) })
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
