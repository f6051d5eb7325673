//! What is done to a system: each thing a step that can be shown and then taken.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::unit::MARK;
use crate::problem::Problem;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Write(PathBuf, String),
    /// Write what only the owner may read, and nobody is shown.
    Keep(PathBuf, String),
    Remove(PathBuf),
    /// Remove a folder if nothing is in it.
    RemoveEmpty(PathBuf),
    Run(Vec<String>),
}

impl Step {
    /// The step as a line; with the content of a file below it, if that is wanted.
    pub(super) fn shown(&self, with_content: bool) -> String {
        match self {
            Self::Write(path, content) if with_content => {
                let content: String = content.lines().map(|line| format!("    {line}\n")).collect();
                format!("write {}\n{content}", path.display())
            }
            Self::Write(path, _) => format!("write {}\n", path.display()),
            Self::Keep(path, _) => format!("write {} for its owner alone\n", path.display()),
            Self::Remove(path) => format!("remove {}\n", path.display()),
            Self::RemoveEmpty(_) => String::new(),
            Self::Run(words) => format!("run {}\n", words.join(" ")),
        }
    }

    pub(super) fn go(&self) -> Result<(), Problem> {
        match self {
            Self::Write(path, content) | Self::Keep(path, content) => {
                let failed = |error: io::Error| {
                    let advice = match error.kind() {
                        ErrorKind::PermissionDenied => {
                            "; run it as root, or add --user for a service of your own"
                        }
                        _ => "",
                    };
                    Problem::failure(format!("{}: {error}{advice}", path.display()))
                };
                path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
                let mode = if matches!(self, Self::Keep(..)) { 0o600 } else { 0o644 };
                let mut options = fs::OpenOptions::new();
                options.write(true).create(true).truncate(true).mode(mode);
                let written =
                    options.open(path).and_then(|mut file| file.write_all(content.as_bytes()));
                written.map_err(failed)
            }
            Self::Remove(path) => fs::remove_file(path)
                .map_err(|error| Problem::failure(format!("{}: {error}", path.display()))),
            Self::RemoveEmpty(path) => match fs::remove_dir(path) {
                Err(error)
                    if !matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty
                    ) =>
                {
                    Err(Problem::failure(format!("{}: {error}", path.display())))
                }
                _ => Ok(()),
            },
            Self::Run(words) => {
                let status = command(words).status().map_err(|error| cannot_run(words, &error))?;
                if status.success() {
                    return Ok(());
                }
                Err(Problem::failure(format!("{}: {status}", words.join(" "))))
            }
        }
    }
}

pub(super) fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

pub(super) fn cannot_run(words: &[String], error: &io::Error) -> Problem {
    Problem::failure(format!("{}: {error}; is systemd installed?", words.join(" ")))
}

/// Whether a file is one that we wrote; `None` where there is none.
pub(super) fn is_ours(path: &Path) -> Option<bool> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        content => Some(content.is_ok_and(|content| content.starts_with(MARK.as_bytes()))),
    }
}

pub(super) fn show(text: &str) -> Result<(), Problem> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Problem::failure(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}
