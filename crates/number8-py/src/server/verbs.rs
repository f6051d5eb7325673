//! The numbers of uhttpd's constants (row U33): each verb is a bit.

use number8::Method;
use pyo3::prelude::*;

pub(crate) const GET: i64 = 1;
pub(crate) const POST: i64 = 2;
pub(crate) const DELETE: i64 = 4;
pub(crate) const PUT: i64 = 8;
pub(crate) const PATCH: i64 = 16;
pub(crate) const OPTIONS: i64 = 32;

const VERBS: [(&str, i64, Method); 6] = [
    ("GET", GET, Method::Get),
    ("POST", POST, Method::Post),
    ("DELETE", DELETE, Method::Delete),
    ("PUT", PUT, Method::Put),
    ("PATCH", PATCH, Method::Patch),
    ("OPTIONS", OPTIONS, Method::Options),
];

/// The number of a method; 0 for one that has none. HEAD is answered by way of GET.
pub(crate) fn verb(method: Method) -> i64 {
    let method = if method == Method::Head { Method::Get } else { method };
    VERBS.iter().find(|(.., other)| *other == method).map_or(0, |(_, number, _)| *number)
}

/// The methods that a sum of numbers stands for.
pub(crate) fn methods(verbs: i64) -> Vec<Method> {
    VERBS.iter().filter(|(_, number, _)| verbs & number != 0).map(|(.., method)| *method).collect()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    VERBS.iter().try_for_each(|(name, number, _)| module.add(*name, *number))
}
