//! The compiled part of the Python package `number8`: it lends the command and the library to Python. It holds no HTTP.
//!
//! Each module registers what Python sees of it.

mod asgi;
mod beside;
mod command;
mod hosting;
mod lock;
mod server;
mod sys;
mod waiting;
mod wsgi;

use pyo3::prelude::*;

/// What `import number8._native` finds. It has not been tried without the interpreter's lock, which Python keeps where a module says
/// that it needs it.
#[pymodule(gil_used = true)]
#[pyo3(name = "_native")]
fn native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    asgi::register(module)?;
    command::register(module)?;
    server::register(module)?;
    hosting::register(module)?;
    wsgi::register(module)
}
