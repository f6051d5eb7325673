//! An app of Python's and how it is run: what `number8 app` says of it. Nothing here knows Python.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::size;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::syntax;
use crate::units::parse_duration;

/// The usual number of threads and processes is far below.
const COUNT_MAX: usize = 1024;

/// An app of Python's and how it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosted {
    /// The module that the app is in, with dots for packages.
    pub module: String,
    /// What in the module is the app, with dots for attributes of attributes; `None` for the usual names.
    pub attribute: Option<String>,
    /// Whether that is a function that makes the app.
    pub is_factory: bool,
    /// Where the module is looked for first.
    pub folder: PathBuf,
    /// `auto`, `wsgi` or `asgi`.
    pub interface: String,
    /// `auto`, `asyncio` or `uvloop`.
    pub event_loop: String,
    /// Processes.
    pub workers: usize,
    /// Threads of each that call a WSGI app; 0 for where requests are read.
    pub threads: usize,
    /// Requests after which a process is replaced; `None` for never.
    pub requests_max: Option<u64>,
    /// What is added to that at most, by chance.
    pub requests_jitter: u64,
    /// Resident bytes beyond which a process is replaced; `None` for never.
    pub rss_bytes_max: Option<u64>,
    /// Processes that a signal may lead to: at least `workers`.
    pub workers_max: usize,
    /// Whether a process that ended is replaced.
    pub respawns: bool,
    /// Whether processes are replaced when the code changes.
    pub reloads: bool,
    /// Empty, or the path that a proxy has taken off, without a slash at its end.
    pub root_path: String,
    /// Whether texts that it answers with are compressed.
    pub compresses: bool,
    /// Bytes of a message that a WebSocket brings.
    pub message_bytes_max: u64,
    /// The silence after which the client of a WebSocket is asked whether it is there; `None` for never.
    pub ping_every: Option<Duration>,
}

/// The path that a proxy has taken off, without a slash at its end.
///
/// # Errors
/// Text that says what is wrong with it.
pub fn root_path(text: &str) -> Result<String, String> {
    syntax::prefix(text)
}

impl Hosted {
    /// Checks the settings about the app; `None` where there is none.
    pub(crate) fn check(settings: &Settings) -> Result<Option<Self>, Problem> {
        let Some((module, attribute)) = settings.one("app", named)? else { return Ok(None) };
        let count = |name: &str, least: usize| {
            settings.one(name, |value| {
                let count = value.parse().ok().filter(|n| (least..=COUNT_MAX).contains(n));
                count.ok_or_else(|| format!("this is a number from {least} to {COUNT_MAX}"))
            })
        };
        let requests = |name: &str| {
            settings.one(name, |value| {
                value.parse::<u64>().map_err(|_| "this is a number from 0".to_owned())
            })
        };
        let one_of = |name: &str, all: &[&str]| {
            settings.one(name, |value| match all.contains(&value) {
                true => Ok(value.to_owned()),
                false => Err(format!("this is one of {}", all.join(", "))),
            })
        };
        let workers = count("workers", 1)?.unwrap_or(1);
        Ok(Some(Self {
            module,
            attribute,
            is_factory: settings.switch("factory")?,
            folder: settings.one("app-dir", folder)?.unwrap_or_else(|| PathBuf::from(".")),
            interface: one_of("interface", &["auto", "wsgi", "asgi"])?.unwrap_or_default(),
            event_loop: one_of("loop", &["auto", "asyncio", "uvloop"])?.unwrap_or_default(),
            workers,
            workers_max: count("max-workers", 1)?.unwrap_or(workers).max(workers),
            threads: count("threads", 0)?.unwrap_or(1),
            requests_max: requests("max-requests")?.filter(|count| *count > 0),
            requests_jitter: requests("max-requests-jitter")?.unwrap_or_default(),
            rss_bytes_max: Some(size(settings, "max-rss", 0)?).filter(|bytes| *bytes > 0),
            respawns: !settings.switch("no-respawn")?,
            reloads: settings.switch("reload")?,
            compresses: settings.switch("compress")?,
            root_path: settings.one("root-path", root_path)?.unwrap_or_default(),
            message_bytes_max: size(settings, "max-message", 1)?,
            ping_every: settings
                .one("websocket-ping", parse_duration)?
                .filter(|silence| !silence.is_zero()),
        }))
    }

    /// The app as it is written on the command line.
    pub fn name(&self) -> String {
        match &self.attribute {
            Some(attribute) => format!("{}:{attribute}", self.module),
            None => self.module.clone(),
        }
    }
}

/// Row W1: what to say where nobody says which app.
pub(crate) fn missing() -> Problem {
    Problem::usage(
        "Provide a WSGI application object as module:callable, or an ASGI one: number8 app MODULE:ATTRIBUTE",
    )
}

/// `MODULE` or `MODULE:ATTRIBUTE`.
fn named(text: &str) -> Result<(String, Option<String>), String> {
    let (module, attribute) = match text.split_once(':') {
        Some((module, attribute)) => (module, Some(attribute)),
        None => (text, None),
    };
    // Python knows which letters a name may have; these can stand in none.
    let is_path = |name: &str| {
        name.split('.').all(|part| {
            !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "/\\:()-".contains(c))
        })
    };
    if text.ends_with(".py") || text.contains('/') {
        return Err("this is the name of a module, not of its file: package.module:app".to_owned());
    }
    if !is_path(module) || !attribute.is_none_or(is_path) {
        return Err("write MODULE:ATTRIBUTE, such as package.module:app".to_owned());
    }
    Ok((module.to_owned(), attribute.map(str::to_owned)))
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.is_dir() {
        true => Ok(path),
        false => Err("there is no such folder".to_owned()),
    }
}
