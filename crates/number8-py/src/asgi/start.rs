//! The start of an answer, as an application sends it: a status and fields of its own.

use number8::{Body, FieldError, GatewayHead, Response};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::message::flag;

/// What was said before the content.
pub(super) struct Start {
    head: GatewayHead,
    /// There is no content, whatever its length is said to be.
    is_not_modified: bool,
    /// Fields follow the content.
    pub(super) has_trailers: bool,
    /// The connection is to end.
    closes: bool,
}

impl Start {
    /// Reads the message that starts an answer.
    pub(super) fn read(message: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = message.py();
        let status: u16 = match message.get_item(intern!(py, "status"))? {
            Some(status) => status.extract()?,
            None => {
                return Err(PyTypeError::new_err("the start of an answer has to have a 'status'"));
            }
        };
        if !(200..1000).contains(&status) {
            let why = format!("{status} is no status that answers a request");
            return Err(PyValueError::new_err(why));
        }
        let mut start = Self {
            head: GatewayHead::new(status),
            is_not_modified: status == 304,
            has_trailers: false,
            closes: false,
        };
        if let Some(headers) = message.get_item(intern!(py, "headers"))? {
            each_field(&headers, |name, value| start.add(name, value))?;
        }
        start.has_trailers = flag(message, intern!(py, "trailers"))?;
        Ok(start)
    }

    /// The length of the content that was announced.
    pub(super) fn length(&self) -> Option<u64> {
        // With 304 it is that of what is not sent (RFC 9110 §8.6).
        self.head.length().filter(|_| !self.is_not_modified)
    }

    /// Transfer-Encoding and the like "the server must ignore": it frames the message itself.
    fn add(&mut self, name: &str, value: &[u8]) -> PyResult<()> {
        match self.head.push(name, value) {
            Err(FieldError::Framing) if !name.eq_ignore_ascii_case("content-length") => {
                self.closes |=
                    name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case(b"close");
                Ok(())
            }
            result => result.map_err(|error| unsendable(name, &error)),
        }
    }

    /// The answer with that content.
    pub(super) fn respond(self, content: impl Into<Body>) -> Response {
        let response = self.head.answer(content);
        if self.closes { response.closing() } else { response }
    }
}

/// A field that cannot be sent, as an error of the application.
pub(super) fn unsendable(name: &str, error: &FieldError) -> PyErr {
    PyValueError::new_err(format!("the field {name:?} cannot be sent: {error}"))
}

/// Calls a function with each field of what an application calls headers: pairs of bytes.
pub(super) fn each_field(
    headers: &Bound<'_, PyAny>,
    mut add: impl FnMut(&str, &[u8]) -> PyResult<()>,
) -> PyResult<()> {
    if let Ok(list) = headers.cast_exact::<PyList>() {
        return list.iter().try_for_each(|pair| one_field(&pair, &mut add));
    }
    headers.try_iter()?.try_for_each(|pair| one_field(&pair?, &mut add))
}

fn one_field(
    pair: &Bound<'_, PyAny>,
    add: &mut impl FnMut(&str, &[u8]) -> PyResult<()>,
) -> PyResult<()> {
    let wrong = |_| PyTypeError::new_err("the names and values of 'headers' have to be bytes");
    let name = pair.get_item(0)?.cast_into::<PyBytes>().map_err(wrong)?;
    let value = pair.get_item(1)?.cast_into::<PyBytes>().map_err(wrong)?;
    // A name that is no UTF-8 is no token either.
    add(std::str::from_utf8(name.as_bytes()).unwrap_or_default(), value.as_bytes())
}
