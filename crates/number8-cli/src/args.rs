//! The command line as typed. Nothing is checked here but its shape, and whether a subcommand was meant: values stay text
//! until all sources are known.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use clap_complete::Shell;
use number8::accounts::random_text;

use crate::config::Config;
use crate::explain::Question;
use crate::file;
use crate::hosted;
use crate::manual;
use crate::options::{self, Kind, Opt, SECTIONS, Section, Use};
use crate::problem::Problem;
use crate::service::Service;
use crate::settings::{Origin, Setting, Settings};

/// Of 31 kinds: more than anybody can try, and still typed into a phone.
const PASSWORD_DIGITS: usize = 12;

const ABOUT: &str = "Serve a folder over HTTP, fast and safely";

const EXAMPLES: &str = "\
Examples:
  number8                              serve ./public, or the current folder
  number8 ~/Music --qr                 share a folder and show its address as a QR code
  number8 report.pdf -p 0              share one file on any free port
  number8 site --spa --log combined    serve a single-page application
  number8 board                        pages for people: files, programs to run, a terminal; makes a password
  number8 board --run off --repl=off   the files alone: to add, change and remove them
  number8 app module:app               run a WSGI or ASGI app of Python's
  number8 -b 127.0.0.1 -b unix:/run/number8.sock site

Every option is also an environment variable (NUMBER8_PORT is --port) and a key of the configuration file \
(port = 9000). A flag wins over the environment, which wins over the file. The first of these files that exists is \
read: the one of --config or NUMBER8_CONFIG, $XDG_CONFIG_HOME/number8/number8.toml (~/.config when that is not set), \
/etc/number8/number8.toml. PORT is read where NUMBER8_PORT is not set.

Exit codes: 0 stopped as asked, 1 failure, 2 wrong command line, 78 wrong configuration.";

const APP_EXAMPLES: &str = "\
Examples:
  number8 app shop.wsgi                            the object app or application in shop/wsgi.py
  number8 app shop:create_app --factory            what a function returns
  number8 app shop:app --workers 4 -b :80          four processes, open to other machines
  number8 app shop:app --mount /static=./static    a folder beside the app
  number8 app shop:app --reload                    while you write it

Signals: TERM and INT stop it without cutting a request, a second one at once; HUP replaces its processes one after the \
other, TTIN and TTOU add one and take one away, USR1 opens the log again.";

/// What the command line asks for.
#[derive(Debug)]
pub enum Action {
    /// Print this and end.
    Print(Vec<u8>),
    /// Make a hash of a password, for this name if there is one, and end.
    Password(Option<String>),
    /// Say which rule decides about a request and end.
    Explain(Question, Invocation),
    /// Check this configuration file and end.
    Check(PathBuf),
    /// Print the settings that would be served with and end.
    PrintConfig(Invocation),
    /// Make, remove or look at a service of systemd.
    Service(Service, Task),
    /// Serve.
    Serve(Invocation),
    /// Run an app of Python's.
    App(Invocation),
}

/// What to do with a service.
#[derive(Debug)]
pub enum Task {
    /// Install it with these arguments, which mean this.
    Install(Vec<String>, Invocation),
    /// Remove it.
    Remove,
    /// Say how it is.
    Status,
}

/// Why there is nothing to do.
#[derive(Debug)]
pub enum Stop {
    /// Help or version was asked for, and printed with this success.
    Shown(io::Result<()>),
    /// The command line is wrong.
    Problem(Problem),
}

/// How number8 was called. Loading again reads the environment and the file anew, as a reload does.
#[derive(Clone, Debug)]
pub struct Invocation {
    flags: Settings,
    file: Option<PathBuf>,
    of: Use,
    /// It is to be served, not only asked about.
    is_served: bool,
    /// For the board, where nobody gave one. It stays the same when the configuration is loaded again.
    password: Arc<OnceLock<String>>,
}

impl Invocation {
    /// A flag that was typed and holds a secret, if there is one.
    pub fn secret(&self) -> Option<&'static Opt> {
        options::all().find(|option| {
            let says = |value: &String| option.secret.typed(value).said().is_some();
            self.flags.get(option.name).is_some_and(|setting| setting.values.iter().any(says))
        })
    }

    /// The configuration file that is read, and whether it was named here.
    pub fn file(&self) -> (Option<PathBuf>, bool) {
        (file::find(self.file.as_deref()), self.file.is_some())
    }

    /// Reads all sources and checks the whole.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(&self) -> Result<(Settings, Config), Problem> {
        let (environment, warnings) = Settings::from_environment();
        let file = match file::find(self.file.as_deref()) {
            Some(path) => file::read(&path)?,
            None => Settings::default(),
        };
        let all = self.flags.clone().over(environment).over(file);
        let (mut settings, ignored) = all.only(self.of);
        let warnings = [warnings, ignored].concat();
        if self.of == Use::App {
            settings.get("app").ok_or_else(hosted::missing)?;
        } else {
            settings = settings.with_default_path(self.is_served)?;
        }
        let is_made = settings.switch("board")? && !settings.name_somebody();
        if is_made {
            settings = settings.with_admin(self.password()?);
        }
        let settings = settings.completed(self.of)?;
        let mut config = Config::check(&settings)?;
        // Where it is only asked about, the folder is a guess.
        if self.is_served || settings.get("path").is_none_or(|path| path.origin != Origin::Default)
        {
            config.check_secrets(&settings)?;
        }
        config.warnings.splice(0..0, warnings);
        config.access.made_password =
            is_made.then(|| self.password().map(str::to_owned)).transpose()?;
        Ok((settings, config))
    }

    /// What is served.
    pub fn of(&self) -> Use {
        self.of
    }

    fn new(flags: Settings, file: Option<PathBuf>, of: Use) -> Self {
        Self { flags, file, of, is_served: true, password: Arc::default() }
    }

    fn password(&self) -> Result<&str, Problem> {
        if self.password.get().is_none() {
            let made = random_text(PASSWORD_DIGITS)
                .map_err(|error| Problem::failure(error.to_string()))?;
            let _ = self.password.set(made);
        }
        Ok(self.password.get().map_or("", String::as_str))
    }
}

/// Reads the command line, whose first item is the name of the program.
///
/// # Errors
/// Help or version was asked for, or the arguments are wrong.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Action, Stop> {
    let words: Vec<OsString> = arguments.into_iter().collect();
    let matched = command().try_get_matches_from(&words);
    if let Some(problem) = words.get(1).and_then(|word| meant(word.to_str()?)) {
        return Err(Stop::Problem(problem));
    }
    let matches = matched.map_err(|error| stop(&error))?;
    match matches.subcommand() {
        Some(("passwd", passwd)) => {
            return Ok(Action::Password(passwd.get_one::<String>("name").cloned()));
        }
        Some(("explain", explain)) => return explained(explain),
        Some(("service", service)) => return serviced(service),
        Some(("board", board)) => return Ok(serving(board, true)),
        Some(("app", app)) => return Ok(hosting(app)),
        Some((_, config)) => {
            if let Some((_, check)) = config.subcommand()
                && let Some(path) = check.get_one::<PathBuf>("file")
            {
                return Ok(Action::Check(path.clone()));
            }
        }
        None => {}
    }
    if let Some(shell) = matches.get_one::<Shell>("print-completions") {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut command(), "number8", &mut script);
        return Ok(Action::Print(script));
    }
    if matches.get_flag("print-manpage") {
        let page = manual::page(&command()).map_err(|error| {
            Stop::Problem(Problem::failure(format!("the manual page: {error}")))
        })?;
        return Ok(Action::Print(page.into_bytes()));
    }
    Ok(serving(&matches, false))
}

/// What asks to serve, with pages for it or without.
fn serving(matches: &ArgMatches, with_board: bool) -> Action {
    let mut flags = flags(matches);
    if with_board && let Some(board) = options::find("board") {
        flags.set(board, Setting { origin: Origin::Flag, values: vec!["true".to_owned()] });
    }
    let file = matches.get_one::<PathBuf>("config").cloned();
    let invocation = Invocation::new(flags, file, Use::Files);
    match matches.get_flag("print-config") {
        true => Action::PrintConfig(invocation),
        false => Action::Serve(invocation),
    }
}

/// What asks for an app.
fn hosting(matches: &ArgMatches) -> Action {
    let file = matches.get_one::<PathBuf>("config").cloned();
    let invocation = Invocation::new(flags(matches), file, Use::App);
    match matches.get_flag("print-config") {
        true => Action::PrintConfig(invocation),
        false => Action::App(invocation),
    }
}

/// `app`, which takes the arguments of serving that have a meaning beside an app, and its own.
fn app() -> Command {
    let mut command = Command::new("app")
        .about("Run a WSGI or ASGI app of Python's, with folders beside it (a folder of this name is served as ./app)")
        .after_help(APP_EXAMPLES)
        .args_override_self(true);
    // Its own options first.
    let is_own = |section: &&Section| section.options.iter().any(|option| option.of == Use::App);
    let own = SECTIONS.iter().filter(is_own);
    for section in own.chain(SECTIONS.iter().filter(|section| !is_own(section))) {
        for option in section.options.iter().filter(|option| option.of.goes_with(Use::App)) {
            let heading = (!option.is_positional).then_some(section.heading);
            command = command.arg(arg(option).help_heading(heading));
        }
    }
    let respawn = Arg::new("respawn")
        .long("respawn")
        .action(ArgAction::SetTrue)
        .overrides_with("no-respawn")
        .hide(true);
    command
        .arg(respawn)
        .next_help_heading("Configuration and more")
        .args([config_file(), print_config()])
}

/// `board`, which takes the arguments of serving.
fn board() -> Command {
    let all = options::all_of(Use::Files).filter(|option| option.name != "board");
    Command::new("board")
        .about("Serve a folder with pages for people: files, programs, a terminal, events (a folder of this name is served as ./board)")
        .after_help("It takes every option of serving, too, such as --port and --auth: see number8 --help.")
        .args_override_self(true)
        .args([config_file(), print_config()])
        .args(all.map(|option| arg(option).hide(!option.is_positional)))
}

fn print_config() -> Arg {
    Arg::new("print-config")
        .long("print-config")
        .action(ArgAction::SetTrue)
        .help("Print what would be served with as a configuration file")
}

/// `explain`, which takes every option of serving.
fn explained(matches: &ArgMatches) -> Result<Action, Stop> {
    let text = |name| matches.get_one::<String>(name).cloned();
    let fields = matches.get_many::<String>("request-header").unwrap_or_default().map(|field| {
        let (name, value) = field.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    });
    let fields: Option<Vec<_>> = fields.collect();
    let question = Question {
        user: text("user"),
        method: text("method").unwrap_or_default(),
        target: text("target").unwrap_or_default(),
        fields: fields.ok_or_else(|| {
            Stop::Problem(Problem::usage("-H, --request-header: write 'Name: value' with a colon"))
        })?,
    };
    let file = matches.get_one::<PathBuf>("config").cloned();
    let invocation = Invocation::new(flags(matches), file, Use::Files);
    Ok(Action::Explain(question, Invocation { is_served: false, ..invocation }))
}

/// `service`, whose `install` takes the arguments of serving behind its own.
fn serviced(matches: &ArgMatches) -> Result<Action, Stop> {
    let Some((task, matches)) = matches.subcommand() else {
        return Err(Stop::Problem(Problem::usage("service: say install, remove or status")));
    };
    let service = Service {
        name: matches.get_one::<String>("name").cloned().unwrap_or_default(),
        is_personal: matches.get_flag("user"),
        root: matches.get_one::<PathBuf>("root").cloned(),
        is_rehearsal: matches!(matches.try_get_one::<bool>("dry-run"), Ok(Some(true))),
    };
    service.check().map_err(Stop::Problem)?;
    let task = match task {
        "remove" => Task::Remove,
        "status" => Task::Status,
        _ => {
            let words: Vec<String> =
                matches.get_many("arguments").unwrap_or_default().cloned().collect();
            let own = ["--dry-run", "--name", "--root", "--user"];
            if let Some(word) = words.iter().find(|word| own.contains(&word.as_str())) {
                let message = format!("service install: {word} stands before what is to be served");
                return Err(Stop::Problem(Problem::usage(message)));
            }
            let typed = std::iter::once("number8").chain(words.iter().map(String::as_str));
            match parse(typed.map(OsString::from))? {
                Action::Serve(invocation) | Action::App(invocation) => {
                    Task::Install(words, invocation)
                }
                _ => {
                    let message = "service install: only what serves can be a service";
                    return Err(Stop::Problem(Problem::usage(message)));
                }
            }
        }
    };
    Ok(Action::Service(service, task))
}

/// `service` as clap knows it.
fn service() -> Command {
    let common = || {
        [
            Arg::new("name")
                .long("name")
                .value_name("NAME")
                .default_value("number8")
                .help("The name of the service"),
            Arg::new("user")
                .long("user")
                .action(ArgAction::SetTrue)
                .conflicts_with("root")
                .help("A service of your own, without root"),
            Arg::new("root")
                .long("root")
                .value_name("DIR")
                .value_hint(ValueHint::DirPath)
                .value_parser(value_parser!(PathBuf))
                .help("Change the system below this folder, not the one that runs"),
        ]
    };
    let rehearsal = Arg::new("dry-run")
        .long("dry-run")
        .action(ArgAction::SetTrue)
        .help("Only show what would be done, and the units");
    let arguments = Arg::new("arguments")
        .value_name("ARGUMENTS")
        .num_args(0..)
        .trailing_var_arg(true)
        .allow_hyphen_values(true)
        .help("What number8 is to be started with: options and PATH, as you would type them here");
    Command::new("service")
        .about("Start number8 with the machine, by systemd: says what it does, then does it")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands([
            Command::new("install")
                .about("Write the units for these arguments and start them")
                .args(common())
                .arg(rehearsal.clone())
                .arg(arguments),
            Command::new("remove")
                .about("Stop the service and remove its units")
                .args(common())
                .arg(rehearsal),
            Command::new("status").about("Say how the service is").args(common()),
        ])
}

/// The command as clap knows it.
pub fn command() -> Command {
    let check = Command::new("check")
        .about("Say whether a configuration file is right, and if not, which line is wrong and why")
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .help("The file, as --config takes it")
                .required(true)
                .value_parser(value_parser!(PathBuf)),
        );
    let config = Command::new("config")
        .about("Check a configuration file (a folder of this name is served as ./config)")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(check);
    let passwd = Command::new("passwd")
        .about("Print the hash of a password, typed unseen or from standard input (for --auth and --auth-file)")
        .arg(Arg::new("name").value_name("NAME").help("Print a line for --auth-file"));
    let required =
        |name: &'static str, value: &'static str| Arg::new(name).value_name(value).required(true);
    let explain = Command::new("explain")
        .about("Say which rule decides about a request and what answers it; takes every option of serving")
        .args([
            required("method", "METHOD").help("GET, HEAD, PUT, POST, DELETE, MOVE, COPY or MKCOL"),
            required("target", "/PATH").help("The path as in a URL, from the root of the server"),
            Arg::new("user").long("user").value_name("NAME").help("Who asks; without it, anybody"),
            Arg::new("request-header")
                .short('H')
                .long("request-header")
                .value_name("FIELD")
                .action(ArgAction::Append)
                .help("A field of the request, such as 'If-None-Match: \"x\"'; repeatable"),
            config_file(),
        ])
        .args(
            options::all_of(Use::Files).map(|option| arg(option).hide(!option.is_positional)),
        );
    let mut command = Command::new("number8")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(EXAMPLES)
        .disable_help_subcommand(true)
        .args_conflicts_with_subcommands(true)
        .args_override_self(true)
        .subcommands([board(), app(), passwd, explain, service(), config]);
    for section in SECTIONS {
        for option in section.options.iter().filter(|option| option.of.goes_with(Use::Files)) {
            let heading = (!option.is_positional).then_some(section.heading);
            command = command.arg(arg(option).help_heading(heading));
        }
    }
    command.next_help_heading("Configuration and more").args([
        config_file(),
        print_config(),
        Arg::new("print-completions")
            .long("print-completions")
            .value_name("SHELL")
            .value_parser(value_parser!(Shell))
            .help("Print the completions for a shell"),
        Arg::new("print-manpage")
            .long("print-manpage")
            .action(ArgAction::SetTrue)
            .help("Print the manual page"),
    ])
}

fn config_file() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_hint(ValueHint::FilePath)
        .value_parser(value_parser!(PathBuf))
        .help("Read this configuration file and no other")
}

fn arg(option: &Opt) -> Arg {
    let mut arg = Arg::new(option.name).help(option.help_with_default());
    if option.is_positional {
        let hint = if option.of == Use::App { ValueHint::Other } else { ValueHint::AnyPath };
        return arg.value_name(option.value).value_hint(hint);
    }
    arg = arg.long(option.name);
    if let Some(short) = option.short {
        arg = arg.short(short);
    }
    if option.name == "path-prefix" {
        arg = arg.visible_alias("route-prefix");
    }
    arg = match option.kind {
        Kind::Switch => return arg.action(ArgAction::SetTrue),
        Kind::Number | Kind::Size | Kind::Text => arg.action(ArgAction::Set),
        Kind::OptionalText => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        Kind::List | Kind::Names | Kind::Pairs(_) => arg.action(ArgAction::Append),
    };
    let hint = match option.value {
        "FILE" | "CODE=FILE" => ValueHint::FilePath,
        "/URL=DIR" => ValueHint::DirPath,
        _ => ValueHint::Other,
    };
    // What is wrong with one is told by whoever reads it.
    arg.value_name(option.value).value_hint(hint).allow_negative_numbers(true)
}

/// The settings that were typed.
fn flags(matches: &ArgMatches) -> Settings {
    let mut settings = Settings::default();
    for option in options::all() {
        let values = match option.kind {
            // A subcommand does not know all of them.
            Kind::Switch if matches!(matches.try_get_one::<bool>(option.name), Ok(Some(true))) => {
                vec!["true".to_owned()]
            }
            Kind::Switch => continue,
            _ => match matches.try_get_many::<String>(option.name) {
                Ok(Some(values)) => values.cloned().collect(),
                _ => continue,
            },
        };
        settings.set(option, Setting { origin: Origin::Flag, values });
    }
    settings
}

/// What was meant by a first word that is no subcommand and neither a folder nor a file, but much like a subcommand.
fn meant(word: &str) -> Option<Problem> {
    if word.starts_with('-') || Path::new(word).exists() {
        return None;
    }
    let meant = if word == "help" || word == "version" {
        format!("--{word}")
    } else {
        let command = command();
        // One slip in a short name, two in a longer one.
        let slips = |name: &str| 1..=name.len() / 3;
        let is_near = |name: &&str| slips(name).contains(&strsim::damerau_levenshtein(word, name));
        command.get_subcommands().map(Command::get_name).find(is_near)?.to_owned()
    };
    let message =
        format!("PATH {word}: there is no such folder or file; did you mean number8 {meant}?");
    Some(Problem::usage(message))
}

/// Clap's message of several lines as one.
fn stop(error: &clap::Error) -> Stop {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Stop::Shown(error.print());
    }
    if error.kind() == ErrorKind::ArgumentConflict
        && let Some(ContextValue::String(extra)) = error.get(ContextKind::InvalidSubcommand)
    {
        let advice = "PATH is one folder or file; use --mount /URL=DIR to serve another beside it";
        return Stop::Problem(Problem::usage(format!("one argument too many, {extra}: {advice}")));
    }
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let mut message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    for line in
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
    {
        message.push_str(if line.starts_with("tip:") { "; " } else { " " });
        message.push_str(line);
    }
    // A subcommand has a help of its own.
    let usage = text.lines().find_map(|line| line.trim().strip_prefix("Usage: "));
    let command: Vec<&str> = usage
        .unwrap_or("number8")
        .split(' ')
        .take_while(|word| word.starts_with(|first: char| first.is_ascii_lowercase()))
        .collect();
    message.push_str(&format!("; see {} --help", command.join(" ")));
    Stop::Problem(Problem::usage(message))
}
