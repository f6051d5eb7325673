//! An application's answer as the server's.

use bytes::Bytes;
use number8::{Body, Response};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::Application;
use super::content::{Content, Source, check};
use super::file;
use super::parts::{self, Parts};
use super::start::{Early, StartResponse, Written};

/// What a client is told of a fault of the application.
pub(super) fn failed() -> Response {
    Response::error(500, "the application failed")
}

/// Calls an application, and makes an answer of what it gives.
///
/// # Errors
/// What the application raises, and what is wrong with its answer, while the answer can still be another one.
pub(super) fn answer(
    py: Python<'_>,
    application: &Application,
    environ: &Bound<'_, PyDict>,
    early: Option<Early>,
) -> PyResult<Response> {
    let start = Bound::new(py, StartResponse::new(early))?;
    let returned = application.callable.bind(py).call1((environ, &start))?;
    let start = start.get();
    match start.written() {
        Written::Nothing => {}
        Written::Kept(written) => return parts_of(py, application, start, returned, written),
        Written::Sent(sent) => {
            let parts = Parts::new(returned, application.lane.clone());
            let source = Source { parts, given: sent.bytes(), length: sent.length() };
            sent.finish_with(Content::new(None, source, application.lane.clone()));
            // Nobody waits for this one: the answer is on its way.
            return Ok(failed());
        }
    }
    if let Some(item) = only_item(&returned)? {
        // What nearly all applications give: nothing to close, nothing to wait for.
        let content = parts::bytes(&item)?;
        let head = start.send()?;
        check(py, head.length(), content.len() as u64, true);
        return Ok(head.answer(content));
    }
    if let Some(wrapper) = file::wrapper(&returned) {
        let mut parts = Parts::new(returned.clone(), application.lane.clone());
        if let Some(file) = wrapper.get().file(py) {
            let head = start.send()?;
            let body = file.content(head.length());
            parts.close(py);
            return Ok(head.answer(body));
        }
        drop(wrapper);
        return first_part(py, application, start, parts);
    }
    parts_of(py, application, start, returned, Vec::new())
}

/// The item of a list or tuple of one.
fn only_item<'py>(returned: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Ok(list) = returned.cast_exact::<PyList>() {
        return if list.len() == 1 { list.get_item(0).map(Some) } else { Ok(None) };
    }
    match returned.cast_exact::<PyTuple>() {
        Ok(tuple) if tuple.len() == 1 => tuple.get_item(0).map(Some),
        _ => Ok(None),
    }
}

fn parts_of(
    py: Python<'_>,
    application: &Application,
    start: &StartResponse,
    returned: Bound<'_, PyAny>,
    written: Vec<Bytes>,
) -> PyResult<Response> {
    let mut parts = Parts::new(returned, application.lane.clone());
    parts.after(written);
    first_part(py, application, start, parts)
}

/// An answer that is made part by part. Its head is sent with the first part, so until then it can be an error.
fn first_part(
    py: Python<'_>,
    application: &Application,
    start: &StartResponse,
    mut parts: Parts,
) -> PyResult<Response> {
    let Some(first) = parts.next(py)? else {
        let head = start.send()?;
        parts.close(py);
        return Ok(head.answer(Body::empty()));
    };
    let head = start.send()?;
    let (given, length) = (first.len() as u64, head.length());
    let source = Source { parts, given, length };
    if length.is_some_and(|length| given >= length) {
        check(py, length, given, false);
        source.finish_later(application.lane.as_ref());
        return Ok(head.answer(first));
    }
    let content = Content::new(Some(first), source, application.lane.clone());
    Ok(head.answer(Body::stream(content)))
}
