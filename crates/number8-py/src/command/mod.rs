//! The command, for `python -m number8` and the script that pip installs, and how it runs an app.

mod metrics;
mod plan;
mod worker;

use std::ffi::OsString;
use std::process::ExitCode;

use number8_cli::config::{Config, Hosted};
use number8_cli::problem::{self, Problem};
use number8_cli::service::Program;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use plan::Plan;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Plan>()?;
    module.add_function(wrap_pyfunction!(run, module)?)?;
    module.add_function(wrap_pyfunction!(tell, module)?)?;
    module.add_function(wrap_pyfunction!(worker::work, module)?)
}

/// Does what the command line asks for, as the `number8` command does, and returns its exit code. The first argument is the
/// name of the program.
#[pyfunction]
fn run(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
    let words = arguments.iter().skip(1).cloned().collect();
    // In a virtual environment it is a link, which says where its packages are.
    let program = Program::Python(py.import("sys")?.getattr("executable")?.extract()?);
    // What the command waits for is nothing of Python's.
    Ok(py.detach(|| {
        let serve = number8_cli::serve::serve;
        number(number8_cli::run(&program, arguments, serve, |_, config| host(config, words)))
    }))
}

/// Runs the app of the configuration, in processes that are watched or, where there is one and nobody would replace it,
/// in this one.
fn host(config: &Config, words: Vec<OsString>) -> ExitCode {
    let plan = match Plan::new(config, words) {
        Ok(plan) => plan,
        Err(problem) => return problem.report(),
    };
    Python::attach(|py| {
        let ended = match config.app.as_ref().is_some_and(needs_processes) {
            true => supervise(py, plan),
            false => worker::alone(py, config, plan),
        };
        ended.unwrap_or_else(|error| failed(py, &error))
    })
}

fn needs_processes(app: &Hosted) -> bool {
    app.workers > 1
        || app.respawns
        || app.reloads
        || app.requests_max.is_some()
        || app.rss_bytes_max.is_some()
}

fn supervise(py: Python<'_>, plan: Plan) -> PyResult<ExitCode> {
    let supervisor = py.import("number8._supervisor")?;
    problem::serves();
    let code = supervisor.call_method1("main", (plan,));
    py.detach(problem::finish);
    Ok(ExitCode::from(code?.extract::<u8>()?))
}

/// Prints whole lines on standard error, without waiting for whoever reads it.
#[pyfunction]
fn tell(lines: &str) {
    problem::tell(lines);
}

/// What an exception means that nobody has caught.
fn failed(py: Python<'_>, error: &PyErr) -> ExitCode {
    // The second signal to stop.
    if error.is_instance_of::<PyKeyboardInterrupt>(py) {
        return ExitCode::SUCCESS;
    }
    Problem::failure(error.value(py).to_string()).report()
}

/// The number of an exit code: the standard library shows it to the system alone.
fn number(code: ExitCode) -> u8 {
    (0..=u8::MAX).find(|&number| ExitCode::from(number) == code).unwrap_or(1)
}
