//! `number8 passwd`: the hash to keep in place of a password. The password comes from the terminal, unseen, or from
//! standard input; never from the command line, which everybody on the machine can read.

use std::io::{self, BufRead, IsTerminal, Write};

use std::process;
use std::thread;

use number8::accounts::hash_password;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::problem::Problem;

/// Asks for a password and gives its hash as a line; with a name, as a line of a file for `--auth-file`.
///
/// # Errors
/// There is no password, or the two that were typed differ.
pub fn line(name: Option<&str>) -> Result<String, Problem> {
    if name.is_some_and(|name| !is_name(name)) {
        return Err(Problem::usage(
            "a name is not empty, has no colon, which ends it in the file, and no control characters, and begins with no #",
        ));
    }
    let failure = |error: io::Error| Problem::failure(format!("standard input: {error}"));
    let password = if io::stdin().is_terminal() {
        show_at_signals().map_err(failure)?;
        let first = unseen("Password: ").map_err(failure)?;
        if first != unseen("Once more: ").map_err(failure)? {
            return Err(Problem::failure("the two passwords differ"));
        }
        first
    } else {
        read().map_err(failure)?
    };
    let hash = hash_password(&password).map_err(|error| Problem::failure(error.to_string()))?;
    Ok(match name {
        Some(name) => format!("{name}:{hash}\n"),
        None => format!("{hash}\n"),
    })
}

/// Whether a line of the file can begin with this name.
fn is_name(name: &str) -> bool {
    let is_fit = |c: char| c != ':' && !c.is_control();
    !name.is_empty() && !name.starts_with('#') && name.chars().all(is_fit)
}

/// A line of standard input without its end.
fn read() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// A line that the terminal does not show.
fn unseen(prompt: &str) -> io::Result<String> {
    let mut stderr = io::stderr();
    write!(stderr, "{prompt}")?;
    stderr.flush()?;
    let _hidden = Hidden::begin()?;
    let line = read();
    writeln!(stderr)?;
    line
}

/// From now on a signal that ends the program leaves the terminal as it is now.
fn show_at_signals() -> io::Result<()> {
    let shown = tcgetattr(io::stdin())?;
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(entered);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let kind = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = quit.recv() => SignalKind::quit(),
                _ = hang_up.recv() => SignalKind::hangup(),
                _ = terminate.recv() => SignalKind::terminate(),
            }
        });
        drop(Hidden(shown));
        let _ = writeln!(io::stderr());
        // As a shell tells that a signal ended a program.
        process::exit(128 + kind.as_raw_value());
    })?;
    Ok(())
}

/// While this lives, the terminal shows nothing of what is typed.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let shown = tcgetattr(io::stdin())?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(shown))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing is left to be done if the terminal has gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
