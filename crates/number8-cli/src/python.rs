//! How the command that was built from Rust runs an app of Python's: by the Python package, which is the same command.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use crate::args::Invocation;
use crate::config::Config;
use crate::problem::Problem;

const PYTHON: &str = "python3";

/// Has the interpreter say where it is, or why it has not the Python package.
///
/// SECURITY: not from the current folder, which may be somebody else's where root installs a service. Python 3.13 and later look for
/// `linecache` there before the first line, unless [`SAFE_PATH`] is in the environment.
const ASK: &str = "import sys; sys.path = list(filter(None, sys.path))
try: import number8._native
except Exception as error: sys.exit(f'{sys.executable}: {type(error).__name__}: {error}')
print(sys.executable)";

const SAFE_PATH: (&str, &str) = ("PYTHONSAFEPATH", "1");

/// Becomes `python3 -m number8` with the arguments of this process, and so returns only if that fails.
pub fn become_python(_: Invocation, _: &Config) -> ExitCode {
    if let Err(problem) = interpreter() {
        return problem.report();
    }
    let error = Command::new(PYTHON).args(["-m", "number8"]).args(env::args_os().skip(1)).exec();
    Problem::failure(format!("{PYTHON} cannot be run: {error}")).report()
}

/// The interpreter that [`become_python`] becomes, for who starts it elsewhere: the first on the path, as it is named there. In a
/// virtual environment that is a link, which says where its packages are.
///
/// # Errors
/// There is none, or it does not have the Python package.
pub(crate) fn interpreter() -> Result<PathBuf, Problem> {
    let mut command = Command::new(PYTHON);
    command.args(["-c", ASK]).env(SAFE_PATH.0, SAFE_PATH.1).stdin(Stdio::null());
    match command.output() {
        Ok(answer) if answer.status.success() => {
            let name = answer.stdout.strip_suffix(b"\n").unwrap_or(&answer.stdout);
            Ok(OsString::from_vec(name.to_vec()).into())
        }
        Ok(answer) => {
            let told = String::from_utf8_lossy(&answer.stderr);
            let why = told.lines().last().unwrap_or(PYTHON);
            Err(Problem::failure(format!(
                "number8 app needs the Python package ({why}): make wheel, in a checkout of number8, makes what pip \
                 installs into the environment of the app"
            )))
        }
        Err(error) => Err(Problem::failure(format!(
            "number8 app needs {PYTHON}, which cannot be run: {error}"
        ))),
    }
}
