//! The command, for `python -m number8` and the script that pip installs.

use std::ffi::OsString;
use std::process::ExitCode;

use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(run, module)?)
}

/// Does what the command line asks for, as the `number8` command does, and returns its exit code. The first argument is the
/// name of the program.
#[pyfunction]
fn run(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    // What the command waits for is nothing of Python's.
    py.detach(|| number(number8_cli::run(arguments, number8_cli::serve::serve)))
}

/// The number of an exit code: the standard library shows it to the system alone.
fn number(code: ExitCode) -> u8 {
    (0..=u8::MAX).find(|&number| ExitCode::from(number) == code).unwrap_or(1)
}
