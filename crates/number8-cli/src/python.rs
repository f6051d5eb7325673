//! How the command that was built from Rust runs an app of Python's: by the Python package, which is the same command.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use crate::args::Invocation;
use crate::config::Config;
use crate::problem::Problem;

const PYTHON: &str = "python3";

/// Becomes `python3 -m number8` with the arguments of this process, and so returns only if that fails.
pub fn become_python(_: Invocation, _: &Config) -> ExitCode {
    let is_there = Command::new(PYTHON)
        .args(["-c", "import number8._native"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match is_there {
        Ok(status) if status.success() => {}
        Ok(_) => {
            let why = "number8 app needs the Python package: pip install number8, into the environment of the app";
            return Problem::failure(why).report();
        }
        Err(error) => {
            return Problem::failure(format!(
                "number8 app needs {PYTHON}, which cannot be run: {error}"
            ))
            .report();
        }
    }
    let error = Command::new(PYTHON).args(["-m", "number8"]).args(env::args_os().skip(1)).exec();
    Problem::failure(format!("{PYTHON} cannot be run: {error}")).report()
}
