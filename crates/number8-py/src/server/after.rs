//! What functions that look at answers see of them, and may change.

use std::sync::Arc;

use number8::Response;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::Shared;
use super::answer::{of_value, with_changed};
use super::callback::failure;
use super::request::Request;

/// The head of an answer, before it is sent.
#[pyclass(name = "Response", module = "number8")]
pub(crate) struct Head {
    /// The status; another one may be put in its place.
    #[pyo3(get, set)]
    status: u16,
    /// The headers by name, as text, or as a list where there are several of one name. Others may be added, and these changed
    /// and taken away.
    #[pyo3(get)]
    headers: Py<PyDict>,
}

/// Has the functions look at an answer, in the order in which they were added.
pub(crate) fn look(
    shared: &Arc<Shared>,
    request: &Bound<'_, Request>,
    mut response: Response,
) -> Response {
    let py = request.py();
    for number in shared.after() {
        let Some((function, _server)) = shared.callback(py, number) else { break };
        response = match look_once(shared, request, &function, response) {
            Ok(response) => response,
            Err(error) => {
                failure(request, shared, "a function that looks at answers failed", &error)
            }
        };
    }
    response
}

/// Adds a field to a dict, where a list stands for several of one name.
fn add(all: &Bound<'_, PyDict>, name: &str, value: &str) -> PyResult<()> {
    match all.get_item(name)? {
        None => all.set_item(name, value),
        Some(values) => match values.cast::<PyList>() {
            Ok(values) => values.append(value),
            Err(_) => all.set_item(name, [values, PyString::new(all.py(), value).into_any()]),
        },
    }
}

fn look_once(
    shared: &Arc<Shared>,
    request: &Bound<'_, Request>,
    function: &Py<PyAny>,
    response: Response,
) -> PyResult<Response> {
    let py = request.py();
    let headers = PyDict::new(py);
    let before = PyDict::new(py);
    for all in [&headers, &before] {
        for (name, value) in response.fields() {
            add(all, name, &String::from_utf8_lossy(value))?;
        }
    }
    let head = Head { status: response.status(), headers: headers.clone().unbind() };
    let head = Bound::new(py, head)?;
    let value = function.bind(py).call1((request, &head))?;
    if !value.is_none() && !value.is(&head) {
        return of_value(shared, &value);
    }
    let mut response = with_changed(response, &before, &headers)?;
    let status = head.borrow().status;
    if status != response.status() {
        if !(200..1000).contains(&status) {
            return Err(PyValueError::new_err(format!("{status} is no status of an answer")));
        }
        response = response.with_status(status);
    }
    Ok(response)
}
