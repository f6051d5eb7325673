//! The REPL of this very interpreter on a WebSocket (row U32): the library's WebREPL, whose terminal is a thread of Python's.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use number8::{Answer, Call, Handler, Repl, Response, WebRepl};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::callback::log_error;
use crate::lock::lock;

/// The account that the password stands for.
const ACCOUNT: &str = "repl";

/// The console of a session, for `number8/_repl.py`.
#[pyclass(frozen, module = "number8._native")]
pub(crate) struct Console {
    /// `None` when the session is over.
    keys: Mutex<Option<number8::Console>>,
    output: number8::ConsoleOutput,
}

#[pymethods]
impl Console {
    /// The next keys; waits for them. None at the end.
    fn read<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let keys = py.detach(|| {
            let mut keys = lock(&self.keys);
            keys.as_mut()?.read()
        });
        keys.map(|keys| PyBytes::new(py, &keys))
    }

    /// Shows bytes; waits while the client is behind.
    fn write(&self, py: Python<'_>, data: &[u8]) {
        py.detach(|| self.output.write(data));
    }

    /// The session is over.
    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(lock(&self.keys).take()));
    }
}

/// Answers with a REPL; who need not say a password has to be on this machine.
struct Guarded {
    webrepl: WebRepl,
    has_password: bool,
}

impl Handler for Guarded {
    fn handle(&self, call: Call<'_>) -> Answer {
        // SECURITY: whoever types here does what this process may.
        if !self.has_password && !call.caller.ip.is_some_and(|ip| ip.is_loopback()) {
            let why = "a REPL without a password is for this machine alone: ws(url, pwd) has one";
            return Response::error(403, why).into();
        }
        self.webrepl.handle(call)
    }

    fn allow(&self) -> &str {
        self.webrepl.allow()
    }
}

/// The handler.
///
/// # Errors
/// The folder of the files is not there, or the password is none.
pub(crate) fn webrepl(root: PathBuf, password: Option<&str>) -> PyResult<Arc<dyn Handler>> {
    let repl = Repl::new(&root)?.console(start);
    let mut webrepl = WebRepl::new(&repl).files(root)?;
    if let Some(password) = password {
        let named = webrepl.password(ACCOUNT, password);
        webrepl = named.map_err(|error| PyValueError::new_err(error.to_string()))?;
    }
    Ok(Arc::new(Guarded { webrepl, has_password: password.is_some() }))
}

/// Starts a session, on another thread: this one must not wait for the interpreter.
fn start(console: number8::Console) {
    let begin = move |py: Python<'_>| -> PyResult<()> {
        let output = console.output();
        let console = Console { keys: Mutex::new(Some(console)), output };
        py.import("number8._repl")?.call_method1("start", (console,))?;
        Ok(())
    };
    let begin = move || {
        Python::try_attach(|py| {
            if let Err(error) = begin(py) {
                log_error(py, "the REPL cannot be started", &error);
            }
        });
    };
    // Where there is no thread the console is dropped, and the session is over.
    let _: io::Result<_> = std::thread::Builder::new().spawn(begin);
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("AGENT", Repl::agent())?;
    module.add_class::<Console>()
}
