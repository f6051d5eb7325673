//! `start_response`, and the `write` that it returns.

use std::borrow::Cow;
use std::sync::Mutex;

use bytes::Bytes;
use number8::{Body, FieldError, GatewayHead, Sender};
use pyo3::exceptions::{PyAssertionError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple, PyType};
use tokio::sync::oneshot;

use super::content::{self, Content};
use super::early::Early;
use crate::lock::lock;
use crate::waiting::wait;

/// What an application calls with its status and fields.
#[pyclass(frozen, module = "number8")]
pub(super) struct StartResponse(Mutex<State>);

/// No Python runs under the lock around it.
struct State {
    head: Option<GatewayHead>,
    /// The head is on its way: nothing can be put in its place.
    is_sent: bool,
    /// What was written found nobody to take it.
    has_left: bool,
    writing: Writing,
}

enum Writing {
    /// Where the application is called in the thread that serves, what it writes is kept until it returns.
    Kept(Vec<Bytes>),
    Early(Option<Early>),
    Sent(Sent),
}

/// What was written when the application returned.
pub(super) enum Written {
    /// Nothing; what could still send the head while the call goes on.
    Nothing(Option<Early>),
    Kept(Vec<Bytes>),
    Sent(Sent),
}

/// An answer that is being written.
pub(super) struct Sent {
    sender: Sender,
    rest: oneshot::Sender<Content>,
    bytes: u64,
    length: Option<u64>,
}

impl StartResponse {
    pub(super) fn new(early: Option<Early>) -> Self {
        let writing = match early {
            Some(early) => Writing::Early(Some(early)),
            None => Writing::Kept(Vec::new()),
        };
        Self(Mutex::new(State { head: None, is_sent: false, has_left: false, writing }))
    }

    /// The head, which is sent now.
    pub(super) fn send(&self) -> PyResult<GatewayHead> {
        let mut state = lock(&self.0);
        state.is_sent = true;
        state.head()
    }

    /// What was given to `write`.
    pub(super) fn written(&self) -> Written {
        let mut state = lock(&self.0);
        match std::mem::replace(&mut state.writing, Writing::Early(None)) {
            Writing::Sent(sent) => Written::Sent(sent),
            Writing::Kept(written) if !written.is_empty() => Written::Kept(written),
            Writing::Kept(_) => Written::Nothing(None),
            Writing::Early(early) => Written::Nothing(early),
        }
    }

    /// Whether the client has left while something was written.
    pub(super) fn has_left(&self) -> bool {
        lock(&self.0).has_left
    }

    fn write(&self, py: Python<'_>, part: Bytes) -> PyResult<()> {
        let mut state = lock(&self.0);
        state.is_sent = true;
        let mut sent = match std::mem::replace(&mut state.writing, Writing::Early(None)) {
            Writing::Kept(mut written) => {
                written.push(part);
                state.writing = Writing::Kept(written);
                return Ok(());
            }
            Writing::Early(Some(early)) => Sent::begin(state.head()?, early),
            Writing::Early(None) => {
                return Err(PyRuntimeError::new_err("write() was called after the application"));
            }
            Writing::Sent(sent) => sent,
        };
        drop(state);
        sent.bytes += part.len() as u64;
        // The client may take its time, and others need the interpreter.
        let written = py.detach(|| wait(sent.sender.send(part)));
        let mut state = lock(&self.0);
        // Beyond what is announced nothing is taken, which is a fault of the application.
        state.has_left = written.is_err() && sent.length.is_none_or(|length| sent.bytes <= length);
        state.writing = Writing::Sent(sent);
        Ok(written?)
    }
}

impl State {
    fn head(&mut self) -> PyResult<GatewayHead> {
        self.head.take().ok_or_else(|| {
            PyRuntimeError::new_err("the application gave content and did not call start_response")
        })
    }
}

impl Sent {
    fn begin(head: GatewayHead, early: Early) -> Self {
        let (sender, written) = Body::channel();
        let (rest, returned) = oneshot::channel();
        let length = head.length();
        let body = Body::stream(content::Continued::new(written, returned));
        // A client that is gone is noticed by what is written.
        early.send(head.answer(body));
        Self { sender, rest, bytes: 0, length }
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the application announced.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Has that follow what was written.
    pub(super) fn finish_with(self, content: Content) {
        // Nobody takes it: it is closed by being dropped.
        let _ = self.rest.send(content);
        self.sender.finish();
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
            let state = lock(&this.0);
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
        lock(&this.0).head = Some(head);
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
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        if data.as_bytes().is_empty() {
            return Ok(());
        }
        let part = Bytes::from_owner(PyBackedBytes::from(data.clone()));
        self.0.get().write(py, part)
    }
}
