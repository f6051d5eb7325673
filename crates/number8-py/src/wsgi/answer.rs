//! An application's answer as the server's.

use number8::{Body, GatewayHead, Response};
use pyo3::exceptions::PyBrokenPipeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::Application;
use super::content::{Content, Source, check};
use super::context::Context;
use super::early::Early;
use super::file;
use super::parts::{self, Parts};
use super::start::{StartResponse, Written};

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
    let context = Context::take(py)?;
    let called = context.run(py, || application.callable.bind(py).call1((environ, &start)));
    let start = start.get();
    let returned = match called {
        Ok(returned) => returned,
        Err(error) => {
            // What is half written is cut by being dropped, whoever keeps `start_response` or the exception.
            drop(start.written());
            // That a client leaves is no failure, as with ASGI; nobody waits for this one.
            if start.has_left() && error.is_instance_of::<PyBrokenPipeError>(py) {
                return Ok(failed());
            }
            return Err(error);
        }
    };
    let early = match start.written() {
        Written::Nothing(early) => early,
        Written::Kept(written) => {
            let mut parts = Parts::new(returned, context, application.lane.clone());
            parts.after(written);
            return first_part(application, environ, start, parts, None);
        }
        Written::Sent(sent) => {
            let parts = Parts::new(returned, context, application.lane.clone());
            let source = Source { parts, given: sent.bytes(), length: sent.length() };
            sent.finish_with(Content::new(None, source, application.lane.clone()));
            // Nobody waits for this one: the answer is on its way.
            return Ok(failed());
        }
    };
    if let Some(item) = only_item(&returned)? {
        // What nearly all applications give: nothing to close, nothing to wait for.
        let content = parts::bytes(&item)?;
        let (head, given) = (start.send()?, content.len() as u64);
        if head.length().is_some_and(|length| length != given) && !lacks_content(environ, &head) {
            check(py, head.length(), given, true);
        }
        return Ok(head.answer(content));
    }
    if let Some(wrapper) = file::wrapper(&returned) {
        let mut parts = Parts::new(returned.clone(), context, application.lane.clone());
        if let Some(file) = wrapper.get().file(py) {
            let head = start.send()?;
            let body = file.content(head.length());
            parts.close(py);
            if !lacks_content(environ, &head) {
                check(py, head.length(), body.len().unwrap_or_default(), true);
            }
            return Ok(head.answer(body));
        }
        drop(wrapper);
        return first_part(application, environ, start, parts, early);
    }
    let parts = Parts::new(returned, context, application.lane.clone());
    first_part(application, environ, start, parts, early)
}

/// Whether the client wants no content: then there may be less than is announced.
fn is_head(environ: &Bound<'_, PyDict>) -> bool {
    let method = environ.get_item(intern!(environ.py(), "REQUEST_METHOD"));
    method.is_ok_and(|method| method.is_some_and(|it| it.eq("HEAD").unwrap_or(false)))
}

/// Whether there may be less content than is announced: that of a 304 is what the client has.
fn lacks_content(environ: &Bound<'_, PyDict>, head: &GatewayHead) -> bool {
    head.status() == 304 || is_head(environ)
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

/// An answer that is made part by part. Its head is sent with the first part, so until then it can be an error. With `early` this thread may go
/// on with the rest.
fn first_part(
    application: &Application,
    environ: &Bound<'_, PyDict>,
    start: &StartResponse,
    mut parts: Parts,
    early: Option<Early>,
) -> PyResult<Response> {
    let py = environ.py();
    let Some(first) = parts.first(py)? else {
        let head = start.send()?;
        parts.close(py);
        if !lacks_content(environ, &head) {
            check(py, head.length(), 0, true);
        }
        return Ok(head.answer(Body::empty()));
    };
    let head = start.send()?;
    let (given, length) =
        (first.len() as u64, head.length().filter(|_| !lacks_content(environ, &head)));
    let source = Source { parts, given, length };
    if length.is_some_and(|length| given >= length) {
        check(py, length, given, false);
        source.finish_later(application.lane.as_ref());
        return Ok(head.answer(first));
    }
    let lane = application.lane.clone();
    if let Some(early) = early
        && let Some(_place) = application.places.take()
    {
        let (content, asking) = Content::kept(first, source, lane);
        early.send(head.answer(content.into_body()));
        asking.run(py);
        // Nobody waits for this one: the answer is on its way.
        return Ok(failed());
    }
    let content = Content::new(Some(first), source, lane);
    Ok(head.answer(content.into_body()))
}
