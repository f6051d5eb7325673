//! What can be wrong before serving, as one line and an exit code.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// A reason not to start: one line that says what to do, and the exit code that tells scripts whose mistake it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    exit: u8,
    message: String,
}

impl Problem {
    /// Something failed that was asked for rightly: exit code 1.
    pub fn failure(message: impl Into<String>) -> Self {
        Problem { exit: 1, message: message.into() }
    }

    /// The command line is wrong: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Problem { exit: 2, message: message.into() }
    }

    /// The environment or the configuration file is wrong: exit code 78, `EX_CONFIG` of `sysexits.h`.
    pub fn config(message: impl Into<String>) -> Self {
        Problem { exit: 78, message: message.into() }
    }

    /// The same, as one of the configuration, wherever it was set.
    pub(crate) fn of_config(self) -> Self {
        Problem { exit: 78, ..self }
    }

    /// Prints the line on standard error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        say(&self.to_string());
        ExitCode::from(self.exit)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// Prints one line on standard error; if that is gone there is nobody left to tell.
pub fn say(message: &str) {
    let _ = writeln!(io::stderr(), "number8: {}", one_line(message));
}

/// The text with its control characters escaped, since parts of it come from outside.
pub(crate) fn one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}
