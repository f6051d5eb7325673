//! The `number8` command, in the order in which it works: the arguments as typed ([`args`]) become settings, the
//! environment and the configuration file add theirs ([`settings`]), the whole is checked once ([`config`]), and the
//! checked [`Config`] is served.
//!
//! Every option is one row of [`options`]: its flag, its variable, its key, its default and its help come from there.
//! Nothing here speaks HTTP.
//!
//! What is public here is so for the program and the Python package, which have the same version, and makes no promise: who builds
//! a server of their own uses `number8`.

pub mod access;
mod app;
pub mod args;
pub mod banner;
mod beside;
pub mod config;
pub mod explain;
pub mod file;
pub mod host;
pub mod hosted;
mod limits;
mod listening;
mod logs;
mod manual;
pub mod mdns;
pub mod notify;
pub mod options;
mod pages;
pub mod passwd;
pub mod problem;
pub mod python;
pub mod repl;
pub mod runner;
pub mod serve;
pub mod service;
pub mod settings;
mod state;
mod steering;
mod syntax;
pub mod tls;
mod trouble;
pub mod units;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use args::{Action, Invocation, Task};
use config::Config;
use explain::Question;
use options::Use;
use problem::Problem;
use service::{Named, Program, Service};
use settings::{Origin, Settings};

/// Does what the command line asks for, as `program`, which is how this command is started again; `serve` is called with the checked configuration if it asks to serve, and
/// with the [`Invocation`] that can load it again; `host` likewise, if it asks to run an app of Python's.
///
/// Standard output carries only what was asked for; every problem is one line on standard error.
pub fn run(
    program: &Program,
    arguments: impl IntoIterator<Item = OsString>,
    serve: impl FnOnce(Invocation, &Config) -> ExitCode,
    host: impl FnOnce(Invocation, &Config) -> ExitCode,
) -> ExitCode {
    let action = match args::parse(arguments) {
        Ok(action) => action,
        Err(args::Stop::Shown(shown)) => return exit_of(shown),
        Err(args::Stop::Problem(problem)) => return problem.report(),
    };
    match action {
        Action::Print(text) => exit_of(print(&text)),
        Action::Password(name) => match passwd::line(name.as_deref()) {
            Ok(line) => exit_of(print(line.as_bytes())),
            Err(problem) => problem.report(),
        },
        Action::Explain(question, invocation) => match explain(&question, &invocation) {
            Ok(text) => exit_of(print(text.as_bytes())),
            Err(problem) => problem.report(),
        },
        Action::Service(service, task) => match manage(program, &service, task) {
            Ok(code) => code,
            Err(problem) => problem.report(),
        },
        Action::Check(path) => match file::read(&path)
            .and_then(|settings| settings.completed(Use::All))
            .and_then(|all| Config::check(&all)?.check_secrets(&all))
        {
            Ok(_) => {
                problem::say(&format!("{}: no mistake found", path.display()));
                ExitCode::SUCCESS
            }
            Err(problem) => problem.report(),
        },
        Action::PrintConfig(invocation) => match invocation.load() {
            Ok((settings, config)) => {
                warn(&config);
                exit_of(print(settings.to_toml(invocation.of()).as_bytes()))
            }
            Err(problem) => problem.report(),
        },
        Action::Serve(invocation) => match invocation.load() {
            Ok((_, config)) => {
                warn(&config);
                serve(invocation, &config)
            }
            Err(problem) => problem.report(),
        },
        Action::App(invocation) => match invocation.load() {
            Ok((_, config)) => {
                warn(&config);
                host(invocation, &config)
            }
            Err(problem) => problem.report(),
        },
    }
}

/// Runs an app in one of its processes: `host` is called with the configuration that `arguments` lead to, as they were given
/// to the process that keeps it. That one has told already what there is to warn of.
pub fn run_app(
    arguments: impl IntoIterator<Item = OsString>,
    host: impl FnOnce(&Config) -> ExitCode,
) -> ExitCode {
    let invocation = match args::parse(arguments) {
        Ok(Action::App(invocation)) => invocation,
        Ok(_) => return Problem::usage("a process of an app runs nothing else").report(),
        Err(args::Stop::Shown(shown)) => return exit_of(shown),
        Err(args::Stop::Problem(problem)) => return problem.report(),
    };
    match invocation.load() {
        Ok((_, config)) => host(&config),
        Err(problem) => problem.report(),
    }
}

fn manage(program: &Program, service: &Service, task: Task) -> Result<ExitCode, Problem> {
    match task {
        Task::Install(arguments, invocation) => {
            // SECURITY: everybody may read a unit.
            if let Some(option) = invocation.secret() {
                return Err(Problem::usage(format!(
                    "{}: a unit is no place for a secret; put it in a file for --auth-file or --config",
                    option.flag()
                )));
            }
            let (settings, config) = invocation.load()?;
            let (what, advice) = match invocation.of() {
                Use::App => {
                    ("app", "which app to run: number8 service install app MODULE:ATTRIBUTE")
                }
                _ => ("path", "which folder to serve: number8 service install PATH"),
            };
            // A service has no terminal and none of these variables.
            let origin = settings.get(what).map(|setting| &setting.origin);
            if !matches!(origin, Some(Origin::Flag | Origin::File { .. })) {
                return Err(Problem::usage(format!("service install: say {advice}")));
            }
            let read = heard(service, &invocation, &settings)?;
            let named = Named::new(&settings, invocation.file().0.as_deref());
            let command = program.command(&arguments, &config)?;
            service.install(command, read.as_deref(), &named, &config).map(|()| ExitCode::SUCCESS)
        }
        Task::Remove => service.remove().map(|()| ExitCode::SUCCESS),
        Task::Status => service.status(),
    }
}

/// The configuration file that a service reads, where its command does not name it.
///
/// # Errors
/// SECURITY: something holds here that the service would not hear, such as who may log in.
fn heard(
    service: &Service,
    invocation: &Invocation,
    settings: &Settings,
) -> Result<Option<PathBuf>, Problem> {
    let unheard = |what: &str| {
        Err(Problem::usage(format!("service install: the service does not see {what}")))
    };
    for option in options::all() {
        let origin = settings.get(option.name).map(|setting| &setting.origin);
        if let Some(Origin::Variable(name)) = origin {
            return unheard(&format!("{name}: say {} instead, and unset it", option.flag()));
        }
    }
    let (file, is_named) = invocation.file();
    if is_named {
        return Ok(None);
    }
    if std::env::var_os("NUMBER8_CONFIG").is_some_and(|path| !path.is_empty()) {
        return unheard("NUMBER8_CONFIG: say --config instead, and unset it");
    }
    match file {
        Some(file) if service.is_elsewhere() => unheard(&format!(
            "{}, which is this machine's: say --config with a file that is there, or with /dev/null",
            file.display()
        )),
        Some(file) if !service.is_personal && file != Path::new(file::OF_MACHINE) => {
            unheard(&format!(
                "{}, which is yours: say --config with it, or with {} or /dev/null",
                file.display(),
                file::OF_MACHINE
            ))
        }
        Some(file) => Ok(Some(file)),
        None => Ok(Some(PathBuf::from("/dev/null"))),
    }
}

fn explain(question: &Question, invocation: &Invocation) -> Result<String, Problem> {
    let (_, config) = invocation.load()?;
    question.answer(&config)
}

fn warn(config: &Config) {
    if !config.log.quiet {
        config.warnings.iter().for_each(|warning| problem::say(warning));
    }
}

fn print(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()
}

/// A reader that closed its end, as `head` does, has what it wanted.
fn exit_of(printed: io::Result<()>) -> ExitCode {
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Problem::failure(format!("standard output: {error}")).report()
        }
        _ => ExitCode::SUCCESS,
    }
}
