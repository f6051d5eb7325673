//! `number8 service`: started with the machine by systemd. What is to be done is a list of steps first, which are
//! shown, and then done one after the other.

mod named;
mod owner;
mod places;
mod step;
mod unit;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use number8::accounts::hash_password;

use crate::config::Config;
use crate::problem::{Problem, one_line, say};
use crate::python;
use crate::tls::Certificate;
pub use named::Named;
use places::{binds, binds_below, first_free_port, listens, needs_address, sockets};
use step::{Step, cannot_run, command, is_ours, show};
use unit::{MARK, Unit};

/// What is asked of `number8 service`.
#[derive(Clone, Debug)]
pub struct Service {
    /// The name of the service.
    pub name: String,
    /// Whether it is a service of the person who asks, not of the machine.
    pub is_personal: bool,
    /// The root of the system that is changed, where that is not the one that runs.
    pub root: Option<PathBuf>,
    /// Whether to show what would be done, and no more.
    pub is_rehearsal: bool,
}

/// What a server may take to end once its requests have, before systemd ends it.
const ENDING: Duration = Duration::from_secs(5);

/// The same of an app, whose processes are killed after ten seconds of it by the one that keeps them.
const ENDING_OF_APP: Duration = Duration::from_secs(15);

/// How the command that runs is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// By the program of this process.
    Own,
    /// As `-m number8`, by this interpreter of Python's.
    Python(PathBuf),
}

impl Program {
    /// The program and its arguments where it is to be started with these, which mean `config`.
    ///
    /// # Errors
    /// An app needs Python, and there is none for it.
    pub fn command(&self, arguments: &[String], config: &Config) -> Result<Vec<String>, Problem> {
        let here = || {
            std::env::current_exe()
                .map_err(|error| Problem::failure(format!("the path of this program: {error}")))
        };
        let interpreter = match self {
            Self::Python(interpreter) => Some(interpreter.clone()),
            Self::Own => config.app.is_some().then(python::interpreter).transpose()?,
        };
        let mut command = match interpreter {
            Some(interpreter) => vec![text(&interpreter)?, "-m".to_owned(), "number8".to_owned()],
            None => vec![text(&here()?)?],
        };
        command.extend(arguments.iter().cloned());
        Ok(command)
    }
}

impl Service {
    /// Checks the name.
    ///
    /// # Errors
    /// It is none for a unit.
    pub fn check(&self) -> Result<(), Problem> {
        let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || !self.name.chars().all(is_fit) {
            let name = one_line(&self.name);
            return Err(Problem::usage(format!("--name {name}: use letters, digits, - and _")));
        }
        Ok(())
    }

    /// Whether it is a service of a system that does not run here.
    pub fn is_elsewhere(&self) -> bool {
        self.root.as_deref().is_some_and(|root| root != Path::new("/"))
    }

    /// Writes the units that serve by this command, of which `config` is what it means, and starts them.
    ///
    /// `read` is the configuration file that was read, where the command does not name it.
    ///
    /// # Errors
    /// They cannot be a service, or a step fails.
    pub fn install(
        &self,
        command: Vec<String>,
        read: Option<&Path>,
        named: &Named,
        config: &Config,
    ) -> Result<(), Problem> {
        let unit = self.unit(command, read, named, config)?;
        if !self.is_personal {
            self.warn_of(&unit, named)?;
        }
        let mut steps = Vec::new();
        let mut units = Vec::new();
        let file = format!("{}.socket", self.name);
        let path = self.folder()?.join(&file);
        let has_socket = match unit.socket() {
            Some(text) => {
                steps.push(Step::Write(path, text));
                units.push(file);
                true
            }
            None => {
                if is_ours(&path) == Some(true) {
                    // Of what was installed under this name before: systemd would keep the port, where nobody answers.
                    let now = self.root.is_none().then_some("--now");
                    let words: Vec<_> =
                        ["disable"].into_iter().chain(now).chain([&*file]).collect();
                    steps.push(self.systemctl(&words));
                    steps.push(Step::Remove(path));
                }
                false
            }
        };
        let file = format!("{}.service", self.name);
        steps.push(Step::Write(self.folder()?.join(&file), unit.service()?));
        units.push(file);
        for (file, text, is_needed) in [
            (self.more_file("board")?, unit.board(), runs_programs(config)),
            (self.more_file("app")?, unit.app(), config.app.is_some()),
        ] {
            if is_needed {
                steps.push(Step::Write(file, text));
            } else if is_ours(&file) == Some(true) {
                // Of what was installed under this name before.
                steps.push(Step::Remove(file));
            }
        }
        let password = config.access.made_password.as_deref();
        let users = self.users_file()?;
        let is_made = password.is_some() && !users.exists();
        if let Some(password) = password
            && is_made
        {
            let hash = hash_password(password);
            let hash = hash.map_err(|error| Problem::failure(error.to_string()))?;
            let manager = if self.is_personal { "systemctl --user" } else { "systemctl" };
            let after =
                format!("# What is changed here counts after: {manager} restart {}", self.name);
            steps.push(Step::Keep(users.clone(), format!("{MARK}\n{after}\nadmin:{hash}\n")));
        }
        if self.root.is_none() {
            steps.push(self.systemctl(&["daemon-reload"]));
            let units: Vec<_> = units.iter().map(String::as_str).collect();
            steps.push(self.systemctl(&[&["enable"], &units[..]].concat()));
            // What ran before runs as the old units say, and no socket starts anew beside its service.
            let service = units[units.len() - 1];
            if has_socket {
                steps.push(self.systemctl(&["stop", service]));
                steps.push(self.systemctl(&["restart", units[0]]));
            }
            steps.push(self.systemctl(&["restart", service]));
        } else {
            let units: Vec<_> = units.iter().map(String::as_str).collect();
            steps.push(self.systemctl(&[&["enable"], &units[..]].concat()));
        }
        let done = self.go(&steps);
        match password {
            // Also where what comes after it has failed: nobody is told again.
            Some(password) if is_made && users.exists() => show(&format!(
                "log in as admin with the password {password} (it is shown only now)\n"
            ))?,
            Some(_) if !is_made => show(&format!("the password in {} stays\n", users.display()))?,
            _ => {}
        }
        done
    }

    /// Says what the user of the service cannot do and has to.
    fn warn_of(&self, unit: &Unit, named: &Named) -> Result<(), Problem> {
        let folder = current_folder()?;
        let program = unit.command.first().map(PathBuf::from);
        let reached = unit.folder.as_ref().map(PathBuf::from);
        let read = named.read.iter().map(|path| folder.join(path)).chain(program).chain(reached);
        let mut told: Vec<String> =
            read.filter_map(|path| owner::cannot_read(unit.user, &path)).collect();
        told.extend(unit.writes.iter().filter_map(|path| owner::cannot_write(unit.user, path)));
        if unit.user.is_none() && unit.sees_tmp && !self.is_elsewhere() {
            told.push(
                "warning: a service with a user of its own does not see what is in /tmp: take a folder elsewhere, \
                 or give this one to somebody (chown) and install again"
                    .to_owned(),
            );
        }
        told.dedup();
        told.iter().for_each(|it| say(it));
        Ok(())
    }

    /// Stops the service and removes what [`Service::install`] has written.
    ///
    /// # Errors
    /// There is nothing of ours, or a step fails.
    pub fn remove(&self) -> Result<(), Problem> {
        let ours: Vec<PathBuf> =
            self.files()?.into_iter().filter(|path| is_ours(path) == Some(true)).collect();
        if ours.is_empty() {
            return Err(Problem::failure(format!(
                "there is no service {} of ours in {}",
                self.name,
                self.folder()?.display()
            )));
        }
        let units: Vec<String> = ours
            .iter()
            .filter(|path| path.parent() == self.folder().ok().as_deref())
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        let mut steps = Vec::new();
        // Somebody may have taken the units away already.
        if !units.is_empty() {
            let now = self.root.is_none().then_some("--now");
            let words = ["disable"].into_iter().chain(now);
            let words: Vec<_> = words.chain(units.iter().map(String::as_str)).collect();
            steps.push(self.systemctl(&words));
        }
        steps.extend(ours.into_iter().map(Step::Remove));
        steps.push(Step::RemoveEmpty(self.folder()?.join(format!("{}.service.d", self.name))));
        steps.extend(self.users_file()?.parent().map(|it| Step::RemoveEmpty(it.to_owned())));
        if self.root.is_none() {
            steps.push(self.systemctl(&["daemon-reload"]));
        }
        self.go(&steps)?;
        let state = self.state_folder();
        match state.filter(|state| state.exists() && !self.is_rehearsal) {
            Some(state) => show(&format!(
                "{} stays, with what services of this name have kept\n",
                state.display()
            )),
            None => Ok(()),
        }
    }

    /// Says which files there are and, of the system that runs, how the units are.
    ///
    /// # Errors
    /// systemd cannot be asked.
    pub fn status(&self) -> Result<ExitCode, Problem> {
        let mut has_any = false;
        for path in self.files()? {
            let word = match is_ours(&path) {
                None => continue,
                Some(true) => "written by number8 service install",
                Some(false) => "written by somebody else",
            };
            has_any = true;
            show(&format!("{}: {word}\n", path.display()))?;
        }
        if !has_any {
            let folder = self.folder()?;
            show(&format!("there is no service {} in {}\n", self.name, folder.display()))?;
            // The code that systemctl has for a unit that there is none of.
            return Ok(ExitCode::from(4));
        }
        if self.root.is_some() {
            return Ok(ExitCode::SUCCESS);
        }
        let units = [format!("{}.socket", self.name), format!("{}.service", self.name)];
        let words: Vec<&str> =
            ["status", "--no-pager"].into_iter().chain(units.iter().map(String::as_str)).collect();
        let Step::Run(words) = self.systemctl(&words) else { return Ok(ExitCode::SUCCESS) };
        let status = command(&words).status().map_err(|error| cannot_run(&words, &error))?;
        Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
    }

    /// What is to be run, and what that needs.
    fn unit(
        &self,
        mut command: Vec<String>,
        read: Option<&Path>,
        named: &Named,
        config: &Config,
    ) -> Result<Unit, Problem> {
        let folder = current_folder()?;
        let program = command.first().map(PathBuf::from).unwrap_or_default();
        let absolute = |path: &Path| text(&folder.join(path));

        let of_app = config.app.as_ref().map(|app| app.folder.as_path());
        let mounts = config.files.mounts.iter().map(|mount| mount.path.as_path());
        let served: Vec<&Path> = of_app.into_iter().chain(mounts).collect();
        let user = owner::of(&served)?;
        if user.is_some()
            && !self.is_personal
            && let Some(read) = read
        {
            // SECURITY: in the home of that user there may be a file of its own, which says less, or more.
            let end = command.iter().position(|word| word == "--").unwrap_or(command.len());
            command.splice(end..end, ["--config".to_owned(), text(read)?]);
        }
        let first = first_free_port();
        if self.is_personal && binds_below(config, first) {
            let why =
                format!("--user: a service of your own may not listen at a port below {first}");
            return Err(Problem::usage(why));
        }
        let mut writes = Vec::new();
        if let Some(folder) = of_app
            && user.is_some()
        {
            // Databases are there by custom.
            writes.push(absolute(folder)?);
        }
        if config.access.anybody_writes() || runs_programs(config) {
            for path in &served {
                writes.push(absolute(path)?);
            }
        }
        let run = config.run.as_ref();
        let of_programs = run.map_or(&config.repl.writable, |run| &run.writable).iter();
        let kept = run.filter(|run| run.must_keep).and_then(|run| run.programs.as_ref());
        for path in of_programs.chain(kept) {
            writes.push(absolute(path)?);
        }
        if let Some(parent) = config.log.file.as_deref().and_then(Path::parent) {
            // SECURITY: it could write everywhere.
            if folder.join(parent).parent().is_none() {
                let why = "--log-file: the service may not write to /: name a file in a folder of its own";
                return Err(Problem::usage(why));
            }
            writes.push(absolute(parent)?);
        }
        let made = match &config.tls {
            Some(Certificate::Made { folder, is_named, .. }) => Some((folder, *is_named)),
            _ => None,
        };
        if let Some((folder, true)) = made {
            writes.push(absolute(folder)?);
        }
        let starts_in = match of_app {
            _ if named.starts_here => Some(folder.clone()),
            // It may open what it likes from there.
            Some(_) if owner::cannot_read(user, &folder).is_none() => Some(folder.clone()),
            of_app => of_app.map(|app| folder.join(app)),
        };
        let sockets = sockets(config, &folder, &self.name);
        let runtime = sockets.iter().find_map(|socket| socket.runtime.clone());
        if !self.is_personal {
            for socket in &sockets {
                socket.check(&self.name)?;
                writes.extend(socket.folder().map(text).transpose()?);
            }
            if let Some(missing) = writes.iter().find(|path| !Path::new(path).exists())
                && !self.is_elsewhere()
            {
                return Err(Problem::failure(format!(
                    "{missing}: the service is to write there, and there is nothing: create it first"
                )));
            }
        }
        let tmp = |path: &Path| {
            let path = folder.join(path);
            path.starts_with("/tmp") || path.starts_with("/var/tmp")
        };
        Ok(Unit {
            command,
            sees_tmp: served.iter().any(|path| tmp(path))
                || tmp(&program)
                || starts_in.as_deref().is_some_and(tmp)
                || named.read.iter().any(|path| tmp(path))
                || sockets.iter().any(|socket| tmp(&socket.path)),
            users: config.access.made_password.is_some().then(|| self.users_seen()).transpose()?,
            folder: starts_in.as_deref().map(text).transpose()?,
            runtime,
            is_personal: self.is_personal,
            user,
            writes,
            keeps_state: matches!(made, Some((_, false))),
            stops_within: config.workers.grace
                + if config.app.is_some() { ENDING_OF_APP } else { ENDING },
            listens: listens(config),
            // Whatever this machine lets everybody do now.
            binds_low: binds_below(config, 1024),
            needs_address: binds(config).any(|(bind, _)| needs_address(&bind)),
        })
    }

    /// The path of the passwords as the service sees it.
    fn users_seen(&self) -> Result<String, Problem> {
        let file = self.users_file()?;
        match self.root.as_deref().and_then(|root| file.strip_prefix(root).ok()) {
            Some(inner) => text(&Path::new("/").join(inner)),
            None => text(&file),
        }
    }

    /// The folder of the units.
    fn folder(&self) -> Result<PathBuf, Problem> {
        if !self.is_personal {
            let root = self.root.as_deref().unwrap_or_else(|| Path::new("/"));
            return Ok(root.join("etc/systemd/system"));
        }
        Ok(configuration()?.join("systemd/user"))
    }

    /// All that an installation may have written.
    fn files(&self) -> Result<Vec<PathBuf>, Problem> {
        let folder = self.folder()?;
        let mut files: Vec<_> =
            ["socket", "service"].map(|kind| folder.join(format!("{}.{kind}", self.name))).into();
        files.extend([self.more_file("board")?, self.more_file("app")?, self.users_file()?]);
        Ok(files)
    }

    /// What a service is allowed beyond others, in which people run programs (`board`) or an app runs (`app`).
    fn more_file(&self, kind: &str) -> Result<PathBuf, Problem> {
        Ok(self.folder()?.join(format!("{}.service.d/{kind}.conf", self.name)))
    }

    /// Where systemd has a service of the machine keep its state.
    fn state_folder(&self) -> Option<PathBuf> {
        let root = self.root.as_deref().unwrap_or_else(|| Path::new("/"));
        (!self.is_personal).then(|| root.join("var/lib").join(&self.name))
    }

    /// The passwords of a service that was given none.
    fn users_file(&self) -> Result<PathBuf, Problem> {
        let file = format!("number8/{}.users", self.name);
        Ok(match self.is_personal {
            true => configuration()?.join(file),
            false => self.root.as_deref().unwrap_or_else(|| Path::new("/")).join("etc").join(file),
        })
    }

    fn systemctl(&self, words: &[&str]) -> Step {
        let mut command = vec!["systemctl".to_owned()];
        if self.is_personal {
            command.push("--user".to_owned());
        }
        if let Some(root) = &self.root {
            command.push(format!("--root={}", root.display()));
        }
        command.extend(words.iter().map(|&word| word.to_owned()));
        Step::Run(command)
    }

    /// Shows all steps, and then does them.
    fn go(&self, steps: &[Step]) -> Result<(), Problem> {
        for step in steps {
            show(&step.shown(self.is_rehearsal))?;
        }
        if self.is_rehearsal {
            return Ok(());
        }
        if self.root.is_none() && !Path::new("/run/systemd/system").exists() {
            return Err(Problem::failure(
                "systemd does not run this machine, so nothing was done; --root DIR changes the system below DIR, \
                 --dry-run only shows",
            ));
        }
        // Before anything is changed.
        for step in steps {
            if let Step::Write(path, _) = step
                && is_ours(path) == Some(false)
            {
                return Err(Problem::failure(format!(
                    "{} was written by somebody else, so nothing was done; take another --name",
                    path.display()
                )));
            }
        }
        steps.iter().try_for_each(Step::go)
    }
}

/// Whether people run programs in it: a board's, or a terminal's.
fn runs_programs(config: &Config) -> bool {
    config.board || config.run.is_some() || config.repl.is_on || config.repl.webrepl.is_some()
}

fn current_folder() -> Result<PathBuf, Problem> {
    std::env::current_dir()
        .map_err(|error| Problem::failure(format!("the current folder: {error}")))
}

/// The folder for the configuration of the person who asks.
fn configuration() -> Result<PathBuf, Problem> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")))
        .ok_or_else(|| Problem::failure("--user: HOME is not set"))
}

fn text(path: &Path) -> Result<String, Problem> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Problem::failure(format!("{}: a unit can only name UTF-8", path.display())))
}
