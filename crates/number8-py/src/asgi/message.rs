//! What all messages of an application have in common.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// What kind of message it is.
pub(super) fn kind<'py>(message: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyString>> {
    let kind = message
        .get_item(intern!(message.py(), "type"))?
        .ok_or_else(|| PyTypeError::new_err("a message has to have a 'type'"))?;
    Ok(kind.cast_into::<PyString>()?)
}

/// A flag of a message; false where it is missing.
pub(super) fn flag(message: &Bound<'_, PyDict>, name: &Bound<'_, PyString>) -> PyResult<bool> {
    message.get_item(name)?.map_or(Ok(false), |flag| flag.is_truthy())
}

/// A message that cannot be sent now, or at all.
pub(super) fn wrong(kind: &str, why: &str) -> PyErr {
    PyRuntimeError::new_err(format!("unexpected message {kind:?}: {why}"))
}
