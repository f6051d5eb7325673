//! The head of an answer as uhttpd's callbacks give it (row R10), and answers made of what a callback returns.

use std::path::PathBuf;
use std::sync::Arc;

use number8::{Body, FieldError, Response};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyDictMethods, PyInt, PyList, PyString, PyTuple};

use super::Shared;
use super::streamed::{of_file, of_iterable};
use super::text::{content, octets};

const TYPE: &str = "Content-Type";
const SHARED: &str = "Access-Control-Allow-Origin";

/// The head that `write` and `send_chunk` describe.
pub(crate) struct Described<'a, 'py> {
    pub(crate) status: Option<&'a Bound<'py, PyAny>>,
    pub(crate) mime: Option<&'a Bound<'py, PyAny>>,
    pub(crate) headers: Option<&'a Bound<'py, PyDict>>,
    pub(crate) allow_cors: bool,
}

impl Described<'_, '_> {
    /// The answer with this head.
    ///
    /// # Errors
    /// A value is neither text nor bytes, or cannot be sent: a line end in it would begin a field of its own.
    pub(crate) fn response(&self, body: impl Into<Body>) -> PyResult<Response> {
        let mut response = Response::new(200, body);
        if let Some(status) = self.status {
            response = with_status(response, status)?;
        }
        if let Some(mime) = self.mime {
            response = with(response, TYPE.as_bytes(), &octets("mime", mime)?)?;
        }
        if let Some(headers) = self.headers {
            response = with_headers(response, headers)?;
        }
        if response.field(TYPE).is_none() {
            response = with(response, TYPE.as_bytes(), b"text/html")?;
        }
        if self.allow_cors && response.field(SHARED).is_none() {
            response = with(response, SHARED.as_bytes(), b"*")?;
        }
        Ok(response)
    }
}

/// The same answer with this status, and its reason phrase as it is given.
fn with_status(response: Response, status: &Bound<'_, PyAny>) -> PyResult<Response> {
    let refuse = |why: &str| {
        let shown = status.repr().map(|text| text.to_string()).unwrap_or_default();
        PyValueError::new_err(format!("the status {shown} {why}"))
    };
    let line = match status.cast::<PyInt>() {
        Ok(number) => number.to_string().into_bytes(),
        Err(_) => octets("status", status)?.into_owned(),
    };
    let digits = line.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
    let rest = line.get(3..).unwrap_or_default();
    let is_whole = rest.is_empty() || rest.starts_with(b" ");
    let Some(code @ 200..=999u16) =
        digits.and_then(|digits| digits.parse().ok()).filter(|_| is_whole)
    else {
        return Err(refuse("is no number from 200 to 999, with a reason after a space"));
    };
    let response = response.with_status(code);
    match rest.get(1..) {
        Some(reason) if !reason.is_empty() => {
            response.with_reason(reason).map_err(|_| refuse("holds a control character"))
        }
        _ => Ok(response),
    }
}

/// Adds the fields of a dict; a list stands for several of one name.
fn with_headers(mut response: Response, headers: &Bound<'_, PyDict>) -> PyResult<Response> {
    for (name, value) in headers.iter() {
        let name = octets("the name of a header", &name)?.into_owned();
        match value.cast::<PyList>() {
            Ok(values) => {
                for value in values.iter() {
                    response = with(response, &name, &octets("the value of a header", &value)?)?;
                }
            }
            Err(_) => response = with(response, &name, &octets("the value of a header", &value)?)?,
        }
    }
    Ok(response)
}

/// Gives an answer the fields of a dict that are not as they were in another, where a list stands for several of one name.
pub(crate) fn with_changed(
    mut response: Response,
    before: &Bound<'_, PyDict>,
    after: &Bound<'_, PyDict>,
) -> PyResult<Response> {
    for name in before.keys() {
        if !after.contains(&name)? {
            response = response.without(&String::from_utf8_lossy(&octets("a name", &name)?));
        }
    }
    let changed = PyDict::new(after.py());
    for (name, value) in after.iter() {
        if before.get_item(&name)?.is_some_and(|old| old.eq(&value).unwrap_or(false)) {
            continue;
        }
        let text = octets("the name of a header", &name)?;
        response = response.without(&String::from_utf8_lossy(&text));
        changed.set_item(name, value)?;
    }
    with_headers(response, &changed)
}

fn with(response: Response, name: &[u8], value: &[u8]) -> PyResult<Response> {
    let shown = String::from_utf8_lossy(name);
    let refuse = |why: &str| PyValueError::new_err(format!("the header {shown:?} {why}"));
    let Ok(text) = std::str::from_utf8(name) else { return Err(refuse("has no valid name")) };
    // There is one media type, whoever says it last.
    let added = match text.eq_ignore_ascii_case(TYPE) {
        true => response.replacing(TYPE, value),
        false => response.with(text, value),
    };
    added.map_err(|error| match error {
        FieldError::Framing => refuse("is the server's to write"),
        error => refuse(&format!("cannot be sent: {error}")),
    })
}

/// An answer with content of that type.
///
/// # Errors
/// The type cannot be sent.
pub(crate) fn typed(mime: &str, body: impl Into<Body>) -> PyResult<Response> {
    with(Response::new(200, body), TYPE.as_bytes(), mime.as_bytes())
}

/// The answer that a returned value stands for: text is HTML, a dict or a list is JSON, a path is a file, an iterable is sent
/// piece by piece, and a tuple adds status and headers.
///
/// # Errors
/// The value stands for no answer.
pub(crate) fn of_value(shared: &Arc<Shared>, value: &Bound<'_, PyAny>) -> PyResult<Response> {
    let py = value.py();
    if value.is_none() {
        return Ok(Response::new(204, Body::empty()));
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return of_tuple(shared, tuple);
    }
    if value.is_instance_of::<PyString>() {
        return typed("text/html; charset=utf-8", content("the body", value)?);
    }
    if value.is_instance_of::<PyDict>() || value.is_instance_of::<PyList>() {
        let json = py.import("json")?.call_method1("dumps", (value,))?;
        return typed("application/json", content("the body", &json)?);
    }
    if let Ok(body) = content("the body", value) {
        return typed("application/octet-stream", body);
    }
    if value.hasattr("__fspath__")? {
        return of_file(py, &value.extract::<PathBuf>()?);
    }
    of_iterable(shared, value)
}

fn of_tuple(shared: &Arc<Shared>, tuple: &Bound<'_, PyTuple>) -> PyResult<Response> {
    let mut parts = tuple.iter();
    let (body, status, headers) = (parts.next(), parts.next(), parts.next());
    let (Some(body), None) = (body, parts.next()) else {
        return Err(PyTypeError::new_err(
            "a tuple that a callback returns is (body, status) or (body, status, headers)",
        ));
    };
    let mut response = of_value(shared, &body)?;
    if let Some(status) = status.filter(|status| !status.is_none()) {
        response = with_status(response, &status)?;
    }
    match headers.filter(|headers| !headers.is_none()) {
        Some(headers) => {
            let dict = headers.cast::<PyDict>().map_err(|_| {
                let why =
                    format!("the headers of an answer are a dict, not {}", headers.get_type());
                PyTypeError::new_err(why + "; several of one name are a list in it")
            })?;
            with_headers(response, dict)
        }
        None => Ok(response),
    }
}
