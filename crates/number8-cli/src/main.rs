//! The `number8` command.

use std::process::ExitCode;

use number8_cli::service::Program;

fn main() -> ExitCode {
    number8_cli::run(
        &Program::Own,
        std::env::args_os(),
        number8_cli::serve::serve,
        number8_cli::python::become_python,
    )
}
