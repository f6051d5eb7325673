//! What runs programs: what `--run` and its like say together.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use number8::Interpreter;

use crate::problem::Problem;
use crate::settings::{Origin, Setting, Settings};
use crate::units::{parse_duration, parse_size};
use crate::{state, syntax};

/// How programs are run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What runs them, the first for those that do not say which.
    pub interpreters: Vec<Interpreter>,
    /// As whom; else the room decides.
    pub user: Option<String>,
    /// How long at most.
    pub time_max: Option<Duration>,
    /// Bytes of memory; `Some(None)` for no limit, `None` for what the room says.
    pub memory_bytes_max: Option<Option<u64>>,
    /// Bytes of output.
    pub output_bytes_max: u64,
    /// Processes; `None` for no limit.
    pub processes_max: Option<usize>,
    /// Where they may write besides the folder.
    pub writable: Vec<PathBuf>,
    /// Where saved programs are kept; nowhere if `None`.
    pub programs: Option<PathBuf>,
    /// Whether somebody has said where.
    pub must_keep: bool,
    /// The saved program that runs when the server starts.
    pub at_start: Option<String>,
}

impl Run {
    /// Checks the settings about running programs; `None` where none are run.
    pub(crate) fn check(settings: &Settings) -> Result<Option<Self>, Problem> {
        let at_start = settings.one("run-at-start", syntax::file_name)?;
        let is_on = |run: &&Setting| !run.values.is_empty() && run.values != ["off"];
        if settings.get("run").filter(is_on).is_none() {
            return match at_start {
                Some(_) => Err(settings.problem("run-at-start", "this needs --run, or --board")),
                None => Ok(None),
            };
        }
        let interpreters = settings
            .list("run", |text| text.parse::<Interpreter>().map_err(|error| error.to_string()))?;
        let path = |text: &str| syntax::non_empty(text).map(PathBuf::from);
        let count =
            |text: &str| text.parse::<usize>().map_err(|_| "this is a number from 0".to_owned());
        let memory = settings.one("run-memory", parse_size)?;
        let programs = settings.one("programs", path)?;
        if at_start.is_some() && programs.is_none() {
            let why = "say with --programs where saved programs are";
            return Err(settings.problem("run-at-start", why));
        }
        Ok(Some(Self {
            interpreters,
            user: settings.one("run-user", syntax::non_empty)?,
            time_max: settings.one("run-time", parse_duration)?.filter(|time| !time.is_zero()),
            memory_bytes_max: memory.map(|bytes| Some(bytes).filter(|bytes| *bytes > 0)),
            output_bytes_max: settings.one("run-output", parse_size)?.unwrap_or(u64::MAX),
            processes_max: settings.one("run-processes", count)?.filter(|count| *count > 0),
            writable: settings.list("run-write", path)?,
            programs,
            must_keep: settings.get("programs").is_some_and(|set| set.origin != Origin::Default),
            at_start,
        }))
    }

    /// Their languages.
    pub(crate) fn languages(&self) -> Vec<String> {
        self.interpreters.iter().map(|by| by.language().to_owned()).collect()
    }
}

/// The interpreters that a board has where nobody says which.
pub(crate) fn usual() -> Vec<String> {
    let all = [("py", "python3", " -u"), ("sh", "sh", ""), ("js", "node", "")];
    let found = all.into_iter().filter(|(_, command, _)| is_there(command));
    found.map(|(language, command, arguments)| format!("{language}={command}{arguments}")).collect()
}

/// Whether a command can be found.
pub(crate) fn is_there(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Where a board keeps programs where nobody says where.
pub(crate) fn programs() -> Option<PathBuf> {
    state::folder().map(|folder| folder.join("programs"))
}
