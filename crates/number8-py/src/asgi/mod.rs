//! Hosts applications that speak ASGI 3.
//!
//! ```text
//!  connection ─▶ handler ─▶ hub ─▶ loop: scope, task ─▶ the application
//!      ▲                     ▲                              │ receive, send
//!      └──────── line ◀──────┴──────── http, websocket ◀────┘
//! ```
//!
//! With asyncio's own loop the server runs inside the loop's *selector*: where the loop waits for descriptors, it lets the
//! server's runtime go on instead, in the same thread, until there is something for the loop to do. With a loop that has
//! no selector the server runs beside it, in a thread of its own. Either way what has come waits in one place, and is
//! done all at once.

mod awaits;
mod content;
mod handler;
mod host;
mod http;
mod hub;
mod line;
mod message;
mod scope;
mod serving;
mod start;
mod websocket;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::hosting::{Base, How};
use serving::AsgiHost;

/// Serves an application in an event loop of its own until a signal ends it.
pub(crate) fn serve(
    py: Python<'_>,
    base: Base,
    application: Py<PyAny>,
    how: &How<'_>,
) -> PyResult<()> {
    let has_selector = match how.event_loop {
        "auto" | "asyncio" => true,
        "uvloop" => false,
        other => {
            let why = format!("loop={other:?}: it is \"auto\", \"asyncio\" or \"uvloop\"");
            return Err(PyValueError::new_err(why));
        }
    };
    let grace = base.options.grace.as_secs_f64();
    let host = Py::new(py, AsgiHost::new(base, has_selector, how.sockets)?)?;
    let module = py.import("number8._asgi")?;
    module.call_method1("serve", (host, application, how.root_path, grace)).map(drop)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<AsgiHost>()?;
    module.add_class::<awaits::Awaitable>()?;
    module.add_class::<awaits::Done>()
}
