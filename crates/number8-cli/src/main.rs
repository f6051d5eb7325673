//! The `number8` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    number8_cli::run(
        std::env::args_os(),
        number8_cli::serve::serve,
        number8_cli::python::become_python,
    )
}
