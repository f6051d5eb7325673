//! `start_response`, and the `write` that it returns.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use number8::{FieldError, GatewayHead};
use pyo3::exceptions::{PyAssertionError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple, PyType};

/// What an application calls with its status and fields.
#[pyclass(frozen, module = "number8")]
#[derive(Default)]
pub(super) struct StartResponse(Mutex<State>);

#[derive(Default)]
struct State {
    head: Option<GatewayHead>,
    /// The head is on its way: nothing can be put in its place.
    is_sent: bool,
    written: Vec<Bytes>,
}

impl StartResponse {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No Python runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head, which is sent now.
    pub(super) fn send(&self) -> PyResult<GatewayHead> {
        let mut state = self.lock();
        state.is_sent = true;
        state.head.take().ok_or_else(|| {
            PyRuntimeError::new_err("the application gave content and did not call start_response")
        })
    }

    /// What was given to `write`.
    pub(super) fn written(&self) -> Vec<Bytes> {
        std::mem::take(&mut self.lock().written)
    }
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, exc_info=None))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyString>,
        headers: &Bound<'py, PyList>,
        exc_info: Option<&Bound<'py, PyTuple>>,
    ) -> PyResult<Write> {
        let this = slf.get();
        let (is_started, is_sent) = {
            let state = this.lock();
            (state.head.is_some() || state.is_sent, state.is_sent)
        };
        match exc_info {
            Some(exc_info) if is_sent => return Err(raised(exc_info)?),
            None if is_started => {
                let text = "start_response was called twice, the second time without exc_info";
                return Err(PyAssertionError::new_err(text));
            }
            _ => {}
        }
        let head = head(status, headers)?;
        this.lock().head = Some(head);
        Ok(Write(slf.clone().unbind()))
    }
}

/// The exception of an `exc_info`, to be raised again.
fn raised(exc_info: &Bound<'_, PyTuple>) -> PyResult<PyErr> {
    let (_, value, traceback) =
        exc_info.extract::<(Bound<'_, PyType>, Bound<'_, PyAny>, Option<Bound<'_, PyAny>>)>()?;
    if let Some(traceback) = traceback {
        value.setattr("__traceback__", traceback)?;
    }
    Ok(PyErr::from_value(value))
}

/// The head that the application describes, checked.
fn head(status: &Bound<'_, PyString>, fields: &Bound<'_, PyList>) -> PyResult<GatewayHead> {
    let status = latin1(status)?;
    let (code, reason) = split_status(&status).ok_or_else(|| {
        PyValueError::new_err("a status is three digits, 200 or more, a space and a reason")
    })?;
    let mut head = GatewayHead::new(code);
    head.reason(reason).map_err(|error| cannot("the reason of the status", &error))?;
    for field in fields.iter() {
        let Ok(field) = field.cast::<PyTuple>() else {
            return Err(PyTypeError::new_err("headers are a list of tuples of name and value"));
        };
        let (name, value) = field.extract::<(Bound<'_, PyString>, Bound<'_, PyString>)>()?;
        let name = name.to_str()?;
        head.push(name, &latin1(&value)?).map_err(|error| cannot(name, &error))?;
    }
    Ok(head)
}

fn cannot(what: &str, error: &FieldError) -> PyErr {
    PyValueError::new_err(format!("{what:?} cannot be sent: {error}"))
}

fn split_status(status: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = status.split_at_checked(3)?;
    let code = std::str::from_utf8(digits).ok()?.parse().ok().filter(|code| *code >= 200)?;
    digits.iter().all(u8::is_ascii_digit).then_some(())?;
    match rest {
        [] => Some((code, rest)),
        [b' ', reason @ ..] => Some((code, reason)),
        _ => None,
    }
}

/// A string of PEP 3333 as bytes: each of its characters is one.
fn latin1<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    let text = text.to_str()?;
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let bytes = text.chars().map(|char| u8::try_from(char).ok());
    bytes
        .collect::<Option<_>>()
        .map(Cow::Owned)
        .ok_or_else(|| PyValueError::new_err(format!("{text:?} has characters beyond latin-1")))
}

/// What sends content without returning it.
#[pyclass(frozen, module = "number8")]
pub(super) struct Write(Py<StartResponse>);

#[pymethods]
impl Write {
    fn __call__(&self, data: &Bound<'_, PyBytes>) {
        let bytes = Bytes::from_owner(PyBackedBytes::from(data.clone()));
        let mut state = self.0.get().lock();
        state.is_sent = true;
        if !bytes.is_empty() {
            state.written.push(bytes);
        }
    }
}
