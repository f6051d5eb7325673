//! A server in a thread of its own, beside Python's.

use std::io;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

use number8::{ServeError, Server};
use pyo3::Python;

/// Serves in another thread and comes back once that is under way; `ended` is called in the thread at its end.
///
/// The lock of Python is kept until then: who makes a runtime reads the environment, and crashes in glibc before 2.41 where
/// somebody changes it meanwhile.
pub(crate) fn serve(
    _locked: Python<'_>,
    server: Server,
    ended: impl FnOnce(Result<(), ServeError>) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let (begun, beginning) = mpsc::channel::<()>();
    // It is dropped when it is polled, or without that where nothing can be served.
    let beside = async move { drop(begun) };
    let thread = Builder::new()
        .name("number8-server".to_owned())
        .spawn(move || ended(server.run_with(beside)))?;
    let _ = beginning.recv();
    Ok(thread)
}
