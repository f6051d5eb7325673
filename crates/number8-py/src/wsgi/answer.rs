//! An application's answer as the server's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use number8::{Body, Response};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::log;
use super::parts::{self, Parts};
use super::start::StartResponse;

/// Calls an application, and makes an answer of what it gives.
pub(super) fn answer(
    py: Python<'_>,
    application: &Py<PyAny>,
    environ: &Bound<'_, PyDict>,
) -> Response {
    match try_answer(py, application, environ) {
        Ok(response) => response,
        Err(error) => {
            log(py, &format!("the application failed: {}", request_line(environ)), &error);
            failed()
        }
    }
}

/// What a client is told of a fault of the application.
fn failed() -> Response {
    Response::error(500, "the application failed")
}

fn request_line(environ: &Bound<'_, PyDict>) -> String {
    let value = |key| match environ.get_item(key) {
        Ok(Some(value)) => value.to_string(),
        _ => String::new(),
    };
    format!("{} {:?}", value("REQUEST_METHOD"), value("REQUEST_URI"))
}

fn try_answer(
    py: Python<'_>,
    application: &Py<PyAny>,
    environ: &Bound<'_, PyDict>,
) -> PyResult<Response> {
    let start = Bound::new(py, StartResponse::default())?;
    let returned = application.bind(py).call1((environ, &start))?;
    let start = start.get();
    let written = start.written();
    if written.is_empty()
        && let Ok(list) = returned.cast_exact::<PyList>()
    {
        // What nearly all applications give: nothing to close, nothing to wait for.
        match list.len() {
            0 => return Ok(start.send()?.answer(Body::empty())),
            1 => {
                let content = parts::bytes(&list.get_item(0)?)?;
                let head = start.send()?;
                check(py, head.length(), content.len() as u64, true);
                return Ok(head.answer(content));
            }
            _ => {}
        }
    }
    stream(py, start, Parts::new(returned), written)
}

/// An answer that is made part by part. Its head is sent with the first part, so until then it can be an error.
fn stream(
    py: Python<'_>,
    start: &StartResponse,
    mut parts: Parts,
    written: Vec<Bytes>,
) -> PyResult<Response> {
    parts.after(written);
    let Some(first) = parts.next(py)? else {
        let head = start.send()?;
        parts.close(py);
        return Ok(head.answer(Body::empty()));
    };
    let head = start.send()?;
    let content =
        Content { first: Some(first), parts, given: 0, length: head.length(), flush: false };
    Ok(head.answer(Body::stream(content)))
}

/// Logs content that is not of the length which the application announced.
fn check(py: Python<'_>, length: Option<u64>, given: u64, is_end: bool) {
    if let Some(length) = length
        && (given > length || (is_end && given < length))
    {
        let kind = if given > length { "more" } else { "less" };
        let error = PyValueError::new_err(format!("{given} bytes instead of {length}"));
        log(py, &format!("the application gave {kind} content than it announced"), &error);
    }
}

/// Content that is asked for as the client takes it.
struct Content {
    first: Option<Bytes>,
    parts: Parts,
    given: u64,
    length: Option<u64>,
    /// What was given has to be sent before there is more.
    flush: bool,
}

impl Content {
    fn next(&mut self, py: Python<'_>) -> Option<io::Result<Bytes>> {
        let part = match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.parts.next(py),
        };
        match part {
            Ok(Some(part)) => {
                self.given += part.len() as u64;
                check(py, self.length, self.given, false);
                Some(Ok(part))
            }
            Ok(None) => {
                self.parts.close(py);
                check(py, self.length, self.given, true);
                None
            }
            Err(error) => {
                self.parts.close(py);
                log(py, "the application failed after its answer had begun", &error);
                Some(Err(io::Error::other("the application failed")))
            }
        }
    }
}

impl Stream for Content {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.flush) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.flush = true;
        Poll::Ready(Python::attach(|py| self.next(py)))
    }
}
