//! A host for WSGI applications (PEP 3333).
//!
//! `environ` makes the dict of a request, `start` is `start_response`, `parts` pulls what the application gives, and
//! `answer` makes an answer of it.

mod answer;
mod environ;
mod inline;
mod input;
mod parts;
mod start;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::hosting::Base;
use environ::Environ;

/// Serves an application until a signal ends it. With no threads it is called in this one, where requests are read.
pub(crate) fn serve(
    py: Python<'_>,
    base: Base,
    application: Py<PyAny>,
    threads: usize,
) -> PyResult<()> {
    let environ = Environ::new(py, &base.listeners, threads > 1)?;
    let application = Application { callable: application, environ };
    inline::serve(py, base, application)
}

/// An application, and what its requests have in common.
struct Application {
    callable: Py<PyAny>,
    environ: Environ,
}

impl Application {
    /// Calls the application and makes an answer of what it gives; what goes wrong is logged, and is a 500.
    fn answer(&self, py: Python<'_>, environ: &Bound<'_, PyDict>) -> number8::Response {
        answer::answer(py, &self.callable, environ)
    }
}

/// Tells the log `number8` what went wrong; the client learns no more than that it was not its fault.
fn log(py: Python<'_>, what: &str, error: &PyErr) {
    let logged = py.import("logging").and_then(|logging| {
        let logger = logging.call_method1("getLogger", ("number8",))?;
        let arguments = PyDict::new(py);
        let value = error.value(py);
        arguments.set_item("exc_info", (value.get_type(), value, error.traceback(py)))?;
        logger.call_method("error", ("%s", what), Some(&arguments))
    });
    if let Err(failure) = logged {
        failure.print(py);
        error.print(py);
    }
}
