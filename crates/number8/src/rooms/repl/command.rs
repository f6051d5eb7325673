//! What runs in a terminal, and as whom.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::console::Start;
use crate::children::{Confine, Limits, Size, Spawn, User};
use crate::sync::lock;

/// Python that speaks like MicroPython's REPL.
pub(super) const AGENT: &str = include_str!("agent.py");
/// Runs its first argument: the agent does so again when it starts anew.
const BOOT: &str = "import sys; sys.path = list(filter(None, sys.path)); exec(compile(sys.argv[1], \"<number8>\", \"exec\"))";

/// SECURITY: Python 3.13 and later look for `linecache` before they run the first line of [`BOOT`]: in the folder, where strangers may
/// write, unless the environment says this (Python 3.11). The agent takes it away again.
const SAFE_PATH: (&str, &str) = ("PYTHONSAFEPATH", "number8");
/// Tells the agent to import from the folder, too.
const IMPORTS: &str = "imports";

#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) program: Program,
    folder: PathBuf,
    environment: Vec<(OsString, OsString)>,
    pub(super) user: Option<String>,
    confine: Option<Confine>,
    later: Arc<Mutex<Later>>,
}

/// What all clones share: what is said after the first start counts from the next one.
#[derive(Debug, Default)]
struct Later {
    /// What it may not read, besides.
    hidden: Vec<PathBuf>,
    /// The agent imports from the folder.
    imports: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Program {
    /// Our agent, by this interpreter.
    Agent(OsString),
    Other(OsString, Vec<OsString>),
    /// Something that runs in this process.
    Inside(Start),
}

impl Command {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let folder = folder.canonicalize()?;
        Ok(Self {
            program: Program::Agent("python3".into()),
            confine: Some(Confine {
                writable: vec![folder.clone(), "/tmp".into()],
                hidden: Vec::new(),
            }),
            folder,
            environment: Vec::new(),
            user: None,
            later: Arc::default(),
        })
    }

    pub(super) fn set(&mut self, name: OsString, value: OsString) {
        self.environment.retain(|(other, _)| *other != name);
        self.environment.push((name, value));
    }

    pub(super) fn confine(&mut self) -> Option<&mut Confine> {
        self.confine.as_mut()
    }

    pub(super) fn hide(&self, path: PathBuf) {
        let mut later = lock(&self.later);
        if !later.hidden.contains(&path) {
            later.hidden.push(path);
        }
    }

    pub(super) fn import(&self, does: bool) {
        lock(&self.later).imports = does;
    }

    pub(super) fn unconfine(&mut self) {
        self.confine = None;
    }

    /// What to start, with a terminal of that size.
    ///
    /// # Errors
    /// There is no such user, or it cannot be changed to.
    pub(super) fn spawn(&self, size: Size) -> io::Result<Spawn> {
        let user = User::for_programs(self.user.as_deref(), &self.folder)?;
        let (hidden, imports) = {
            let later = lock(&self.later);
            (later.hidden.clone(), later.imports)
        };
        let (program, arguments) = match &self.program {
            Program::Other(program, arguments) => (program.clone(), arguments.clone()),
            Program::Inside(_) => return Err(io::ErrorKind::Unsupported.into()),
            Program::Agent(python) => {
                let options = imports.then_some(IMPORTS);
                let arguments = ["-u", "-c", BOOT, AGENT].into_iter().chain(options);
                (python.clone(), arguments.map(OsString::from).collect())
            }
        };
        let name = OsString::from(&user.name);
        let mut environment: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), PATH.into()),
            ("HOME".into(), user.home.clone().into()),
            ("USER".into(), name.clone()),
            ("LOGNAME".into(), name),
            ("LANG".into(), "C.UTF-8".into()),
            ("TERM".into(), "xterm-256color".into()),
        ];
        if matches!(self.program, Program::Agent(_)) {
            environment.push((SAFE_PATH.0.into(), SAFE_PATH.1.into()));
        }
        environment.retain(|(name, _)| !self.environment.iter().any(|(own, _)| own == name));
        environment.extend(self.environment.iter().cloned());
        Ok(Spawn {
            program,
            arguments,
            folder: self.folder.clone(),
            environment,
            user,
            limits: Limits {
                memory_bytes: None,
                processes: None,
                cpu: None,
                file_bytes: None,
                open_files: None,
                grace: GRACE,
            },
            confine: self.confine.clone().map(|confine| Confine { hidden, ..confine }),
            terminal: Some(size),
            side_pipe: None,
            keep: None,
        })
    }

    /// Whether what runs is our agent, or has to speak like it.
    pub(super) fn is_agent(&self) -> bool {
        matches!(self.program, Program::Agent(_) | Program::Inside(_))
    }

    /// What runs in this process.
    pub(super) fn inside(&self) -> Option<&Start> {
        match &self.program {
            Program::Inside(start) => Some(start),
            _ => None,
        }
    }
}

/// Where programs are looked for: what login(1) sets.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long what runs may take to end when its terminal is closed.
const GRACE: Duration = Duration::from_secs(2);
