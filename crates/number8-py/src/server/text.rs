//! What Python gives as text or as bytes, and what it is given.

use std::borrow::Cow;

use bytes::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyString};

/// Content from this size on is sent from where Python has it; what is smaller costs less to copy.
const LENT_BYTES_MIN: usize = 16 * 1024;

/// Text or bytes, as bytes (row L6): a str is UTF-8.
///
/// # Errors
/// It is neither.
pub(crate) fn octets<'a>(what: &str, value: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Cow::Borrowed(bytes.as_bytes()));
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Cow::Owned(text.to_str()?.as_bytes().to_vec()));
    }
    match PyBuffer::<u8>::get(value) {
        Ok(buffer) => Ok(Cow::Owned(buffer.to_vec(value.py())?)),
        Err(_) => Err(PyTypeError::new_err(format!(
            "{what} has to be str or bytes, not {}",
            value.get_type().name()?
        ))),
    }
}

/// Text or bytes, as content of an answer.
///
/// # Errors
/// It is neither.
pub(crate) fn content(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        if bytes.as_bytes().len() >= LENT_BYTES_MIN {
            return Ok(Bytes::from_owner(PyBackedBytes::from(bytes.clone())));
        }
        return Ok(Bytes::copy_from_slice(bytes.as_bytes()));
    }
    Ok(octets(what, value)?.into_owned().into())
}
