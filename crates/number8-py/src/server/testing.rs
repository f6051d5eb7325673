//! Requests in memory, for tests: the library's, driven by the thread that asks.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use number8::testing::TestServer;
use number8::{App, Options};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::Shared;

/// Status, fields and content of an answer.
pub(crate) type Answered<'py> = (u16, Vec<(String, String)>, Bound<'py, PyBytes>);

/// How often it is looked whether a signal has come while an answer is waited for.
const LOOK: Duration = Duration::from_millis(100);

/// Sends one request to an app; waits, detached, for the answer.
///
/// # Errors
/// The answer is cut, the thread is that of callbacks, which would wait for itself, or what a signal raises, such as Ctrl-C.
pub(crate) fn ask<'py>(
    py: Python<'py>,
    shared: &Arc<Shared>,
    app: App,
    method: &str,
    target: &str,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
) -> PyResult<Answered<'py>> {
    if shared.calls.is_here() {
        return Err(PyRuntimeError::new_err("a callback cannot ask the server that waits for it"));
    }
    let answer = py.detach(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(async {
            let server = TestServer::new(app, Options::default());
            let mut request = server.request(method, target);
            for (name, value) in fields {
                request = request.field(&name, value);
            }
            if !body.is_empty() {
                request = request.body(body);
            }
            let mut sending = pin!(request.send());
            loop {
                match tokio::time::timeout(LOOK, &mut sending).await {
                    Ok(answer) => return answer.map_err(PyErr::from),
                    Err(_) => Python::attach(|py| py.check_signals())?,
                }
            }
        })
    })?;
    // Bytes of fields are text to Python's programs, one character each.
    let latin_1 = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect();
    let fields = answer.fields().map(|(name, value)| (name.to_owned(), latin_1(value))).collect();
    Ok((answer.status(), fields, PyBytes::new(py, answer.body())))
}
