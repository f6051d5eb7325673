//! A host for WSGI applications (PEP 3333).
//!
//! ```text
//! inline: where the request was read ┐                        ┌▶ answer: a response
//! threads: on a lane of its own      ┴▶ environ ▶ application ┴▶ content: its parts, as the client takes them
//! ```
//!
//! `spool` takes the content of a request before the application is called, `start` is `start_response`, `parts` and
//! `file` are what an application returns, `context` is where it is called.

mod answer;
mod content;
mod context;
mod early;
mod environ;
mod file;
mod inline;
mod input;
mod parts;
mod spool;
mod start;
mod threads;

use std::fmt::Display;
use std::sync::Arc;

use number8::server::lane::Lane;
use number8::{Body, Response};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::hosting::Base;
use content::Places;
use early::Early;
use environ::{Environ, Request};
use spool::{Budget, Spooled};

/// How an application is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a> {
    /// Python threads that call it; 0 calls it in the thread that serves.
    pub(crate) threads: usize,
    /// Bytes of requests that wait in memory, over all requests; what is beyond waits in files.
    pub(crate) body_memory: usize,
    /// Bytes that stay free on the disk with those files.
    pub(crate) keep_free: u64,
    /// Empty, or the path that a proxy has taken off.
    pub(crate) root_path: &'a str,
    /// Whether other processes run the same application.
    pub(crate) has_others: bool,
}

/// Bytes of requests that wait in memory: 32 MiB, some uploads at once, also on a small board.
pub(crate) const BODY_MEMORY: usize = 32 * 1024 * 1024;

/// Bytes that stay free on the disk where what is beyond waits: 64 MiB, as with uploads.
pub(crate) const KEEP_FREE: u64 = 64 * 1024 * 1024;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(threads::calls_go_on, module)?)
}

/// Serves an application until a signal ends it.
pub(crate) fn serve(
    py: Python<'_>,
    base: Base,
    application: Py<PyAny>,
    options: Options<'_>,
) -> PyResult<()> {
    let environ = Environ::new(py, &base.listeners, &options)?;
    let budget = Budget::new(options.body_memory, options.keep_free);
    let places = Places::of(options.threads);
    let application = Application { callable: application, environ, budget, lane: None, places };
    match options.threads {
        0 => inline::serve(py, base, application),
        threads => threads::serve(py, base, application, threads),
    }
}

/// An application, and what its requests have in common.
struct Application {
    callable: Py<PyAny>,
    environ: Environ,
    budget: Arc<Budget>,
    /// Where it is called; `None` is the thread that serves.
    lane: Option<Lane>,
    /// Threads of it that iterables may keep.
    places: Places,
}

impl Application {
    /// Calls the application and makes an answer of what it gives; what goes wrong is logged, and is a 500.
    fn answer(
        &self,
        py: Python<'_>,
        request: &Request<'_>,
        content: Option<Spooled>,
        early: Option<Early>,
    ) -> Response {
        match self.environ.of(py, request) {
            Ok(environ) => self.answer_to(py, &environ, content, early),
            Err(error) => {
                log(py, "a request cannot be described", &error);
                answer::failed()
            }
        }
    }

    fn answer_to(
        &self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        content: Option<Spooled>,
        early: Option<Early>,
    ) -> Response {
        let described = match content {
            Some(content) => environ::set_content(environ, content),
            None => Ok(()),
        };
        let result = described.and_then(|()| answer::answer(py, self, environ, early));
        result.unwrap_or_else(|error| {
            log(py, format_args!("the application failed: {}", environ::line(environ)), &error);
            answer::failed()
        })
    }

    /// Takes the content of a request, which may be waited for.
    async fn spool(&self, body: Body, lane: &Lane) -> Result<Spooled, Response> {
        spool::spool(body, &self.budget, lane).await
    }
}

/// Tells the log `number8` what went wrong; the client learns no more than that it was not its fault.
fn log(py: Python<'_>, what: impl Display, error: &PyErr) {
    let logged = py.import("logging").and_then(|logging| {
        let logger = logging.call_method1("getLogger", ("number8",))?;
        let arguments = PyDict::new(py);
        let value = error.value(py);
        arguments.set_item("exc_info", (value.get_type(), value, error.traceback(py)))?;
        logger.call_method("error", ("%s", what.to_string()), Some(&arguments))
    });
    if let Err(failure) = logged {
        failure.print(py);
        error.print(py);
    }
}
