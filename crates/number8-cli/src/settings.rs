//! What is set, where, and as which text: the flags, the environment, the file and the defaults laid over each other.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use number8::WebReplLimits;

use crate::options::{self, Default as Fallback, Kind, Opt, Secret, Typed, Use};
use crate::problem::{Problem, one_line};
use crate::runner;
use crate::tls;
use crate::units;

/// What `short` is in the journal of systemd, which has its own time and reads a level in front.
const JOURNAL_LOG: &str = "<6>$remote_addr $method $target $status $bytes_sent ${duration_ms}ms";

/// The most threads for work that may block.
pub const LANE_THREADS_MAX: usize = 1024;

/// Where a value comes from; whoever wrote it there is told when it is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// This environment variable.
    Variable(String),
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// Nobody set it.
    Default,
}

/// The text of one option; several if the option takes several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Where it was set.
    pub origin: Origin,
    /// Its values as typed; never empty except for an empty list in the file.
    pub values: Vec<String>,
}

/// The options that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    by_name: BTreeMap<&'static str, Setting>,
}

impl Settings {
    /// Sets an option; names with commas between become several, and a word for on or off is the same everywhere.
    pub fn set(&mut self, option: &Opt, mut setting: Setting) {
        if option.kind == Kind::OptionalText {
            for value in &mut setting.values {
                if let Some(is_on) = switched(value) {
                    *value = is_on.to_string();
                }
            }
        }
        if option.kind == Kind::Names {
            let names = setting
                .values
                .iter()
                .flat_map(|value| value.split(','))
                .map(|name| name.trim().to_owned());
            setting.values = names.collect();
        }
        self.by_name.insert(option.name, setting);
    }

    /// The setting of this name.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.by_name.get(name)
    }

    /// The `NUMBER8_…` variables, and a warning for each that is no option. Lists are one value a line; an empty
    /// variable is as good as none.
    pub fn from_environment() -> (Settings, Vec<String>) {
        let mut settings = Settings::default();
        for option in options::all() {
            let found = option.variables().find_map(|name| {
                let value = env::var_os(&name).filter(|value| !value.is_empty())?;
                Some((name, value.to_string_lossy().into_owned()))
            });
            let Some((name, value)) = found else { continue };
            let values = match option.kind {
                _ if name == "FORWARDED_ALLOW_IPS" => proxies(&value),
                Kind::List | Kind::Names | Kind::Pairs(_) => {
                    value.lines().map(str::to_owned).collect()
                }
                _ => vec![value],
            };
            settings.set(option, Setting { origin: Origin::Variable(name), values });
        }
        (settings, unknown_variables())
    }

    /// These settings and, for what they leave open, those of `lower`.
    #[must_use]
    pub fn over(mut self, lower: Settings) -> Settings {
        for (name, setting) in lower.by_name {
            self.by_name.entry(name).or_insert(setting);
        }
        self
    }

    /// These settings without those that mean nothing where this is served, and a warning for each of them.
    pub fn only(mut self, of: Use) -> (Settings, Vec<String>) {
        let mut ignored = Vec::new();
        for option in options::all().filter(|option| !option.of.goes_with(of)) {
            let Some(setting) = self.by_name.remove(option.name) else { continue };
            let place = setting.origin.place(option);
            let what = if of == Use::App { "an app" } else { "files" };
            // What others may have set is none of a mistake.
            if !matches!(&setting.origin, Origin::Variable(name) if *name != option.variable()) {
                ignored
                    .push(format!("{} of {place} is ignored: it is not for {what}", option.name));
            }
        }
        (self, ignored)
    }

    /// Settles what is served, or only asked about, if nothing says so.
    ///
    /// # Errors
    /// There is nothing that could safely be meant: started by a service, the current folder may be anything.
    pub fn with_default_path(mut self, is_served: bool) -> Result<Settings, Problem> {
        if self.by_name.contains_key("path") || self.by_name.contains_key("mount") {
            return Ok(self);
        }
        let path = if Path::new("public").is_dir() {
            "./public"
        } else if !is_served || io::stdin().is_terminal() {
            "."
        } else {
            return Err(Problem::usage(
                "say which folder to serve: number8 PATH (there is no ./public here)",
            ));
        };
        self.fall_back("path", path);
        Ok(self)
    }

    /// The files that secrets come from: those of passwords, and where the keys of certificates are.
    pub(crate) fn secret_files(&self) -> Vec<(&'static str, PathBuf)> {
        [self.password_files(), tls::secrets(self)].concat()
    }

    /// The files of passwords, those that stand in place of one, and the configuration if it holds any.
    pub(crate) fn password_files(&self) -> Vec<(&'static str, PathBuf)> {
        let named = |name| self.get(name).into_iter().flat_map(|setting| &setting.values);
        let files = named("auth-file").map(|path| ("auth-file", PathBuf::from(path)));
        let mut files: Vec<_> = files.collect();
        for option in options::all().filter(|option| option.secret != Secret::No) {
            if let Some(Setting { origin: Origin::File { path, .. }, .. }) = self.get(option.name) {
                files.push((option.name, path.clone()));
            }
            let paths = named(option.name).filter_map(|value| option.secret.typed(value).file());
            files.extend(paths.map(|path| (option.name, PathBuf::from(path))));
        }
        files
    }

    /// Whether these say who there is.
    pub fn name_somebody(&self) -> bool {
        ["auth", "auth-file", "token"].iter().any(|name| self.by_name.contains_key(name))
    }

    /// These settings with one account that may do everything, if they name nobody.
    #[must_use]
    pub fn with_admin(mut self, password: &str) -> Settings {
        if !self.name_somebody() {
            self.fall_back("auth", &format!("admin:{password}@/:all"));
            if self.get("webrepl").is_some_and(|webrepl| webrepl.values != ["false"]) {
                self.fall_back("webrepl-password", &format!("admin:{password}"));
            }
        }
        self
    }

    /// These settings with the default of every option that has one.
    ///
    /// # Errors
    /// A switch that decides about a default is neither on nor off.
    pub fn completed(mut self, of: Use) -> Result<Settings, Problem> {
        for option in options::all() {
            if let Fallback::Fixed(value) = option.default {
                self.fall_back(option.name, value);
            }
        }
        if self.switch("board")? {
            self.fall_back("events", "/.number8/events");
            let default = Setting { origin: Origin::Default, values: runner::usual() };
            self.by_name.entry("run").or_insert(default);
            if runner::is_there("python3") {
                self.fall_back("repl", "true");
            }
            if let Some(folder) = runner::programs() {
                self.fall_back("programs", &folder.to_string_lossy());
            }
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let is_app = of == Use::App;
        let hashes = if is_app { 0 } else { self.hashes() };
        self.fall_back("io-threads", &if is_app { 1 } else { cores }.to_string());
        self.fall_back("max-body", if is_app { "1GiB" } else { "1MiB" });
        self.fall_back("lane-threads", &cores.max(2).max(hashes + 1).to_string());

        let ram = memory_bytes();
        self.fall_back("cache-size", &units::size_text((ram / 16).min(64 << 20)));
        self.fall_back("max-buffered", &units::size_text((ram / 8).min(256 << 20)));

        if !self.name_somebody() {
            self.fall_back("allow", "ro");
        }
        let is_patient = self.switch("lenient")?;
        self.fall_back("timeout-head", if is_patient { "120s" } else { "30s" });
        let is_silent = self.switch("quiet")? && !self.by_name.contains_key("log-file");
        let log = match (is_silent, self.by_name.contains_key("log-file") || !stderr_is_journal()) {
            (true, _) => "off",
            (false, true) => "short",
            (false, false) => JOURNAL_LOG,
        };
        self.fall_back("log", log);
        Ok(self)
    }

    /// Password hashes that may be computed at once, each by a thread that nothing else has meanwhile.
    fn hashes(&self) -> usize {
        let logins = self.one("login-hashes", |value| Ok(value.parse().unwrap_or(0)));
        let of_logins = logins.ok().flatten().unwrap_or(0);
        let of_webrepl = match self.by_name.contains_key("webrepl-password") {
            true => WebReplLimits::default().hashes_max,
            false => 0,
        };
        of_webrepl.saturating_add(of_logins).min(LANE_THREADS_MAX - 1)
    }

    fn fall_back(&mut self, name: &'static str, value: &str) {
        let default = || Setting { origin: Origin::Default, values: vec![value.to_owned()] };
        self.by_name.entry(name).or_insert_with(default);
    }

    /// Whether a switch is on; off where it is not set.
    ///
    /// # Errors
    /// Its value is neither.
    pub fn switch(&self, name: &str) -> Result<bool, Problem> {
        let parsed =
            self.one(name, |value| switched(value).ok_or_else(|| "use true or false".to_owned()))?;
        Ok(parsed.unwrap_or(false))
    }

    /// The value of an option as `parse` reads it; none where it is not set.
    ///
    /// # Errors
    /// What `parse` says, with the place where the value was set.
    pub fn one<T>(
        &self,
        name: &str,
        parse: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        Ok(self.list(name, parse)?.pop())
    }

    /// The values of an option as `parse` reads them.
    ///
    /// # Errors
    /// What `parse` says of the first wrong one, with the place where it was set.
    pub fn list<T>(
        &self,
        name: &str,
        mut parse: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, Problem> {
        let Some(setting) = self.by_name.get(name) else { return Ok(Vec::new()) };
        let parsed = setting
            .values
            .iter()
            .map(|value| parse(value).map_err(|why| setting.origin.problem(name, value, &why)));
        parsed.collect()
    }

    /// What to say of an option whose value is wrong beside others.
    pub fn problem(&self, name: &str, why: &str) -> Problem {
        match self.by_name.get(name) {
            Some(setting) => {
                setting.origin.problem(name, setting.values.last().map_or("", String::as_str), why)
            }
            None => Problem::usage(format!("{name}: {why}")),
        }
    }

    /// The settings as a configuration file; a comment says where each comes from that is not a default.
    pub fn to_toml(&self, of: Use) -> String {
        let mut text = String::new();
        for option in options::all_of(of) {
            let Some(setting) = self.by_name.get(option.name) else { continue };
            let shown: Vec<String> =
                setting.values.iter().map(|value| shown(option, value).into_owned()).collect();
            let value = to_toml(option.kind, &shown);
            text.push_str(&format!("{} = {value}", option.name));
            if setting.origin != Origin::Default {
                text.push_str(&format!(" # from {}", one_line(&setting.origin.place(option))));
            }
            text.push('\n');
        }
        text
    }
}

/// Whether a word means on or off; `None` for any other.
fn switched(word: &str) -> Option<bool> {
    match word {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A value as it may be shown: of `name:secret@/path:rights` all but the secret.
fn shown<'a>(option: &Opt, value: &'a str) -> Cow<'a, str> {
    match option.secret.typed(value) {
        Typed { secret: None, .. } => value.into(),
        Typed { name: "", rules, .. } => format!("***{rules}").into(),
        Typed { name, rules, .. } => format!("{name}:***{rules}").into(),
    }
}

fn to_toml(kind: Kind, values: &[String]) -> toml::Value {
    let last = values.last().map_or("", String::as_str);
    let text = || toml::Value::String(last.to_owned());
    match kind {
        Kind::List | Kind::Names | Kind::Pairs(_) => toml::Value::from(values.to_vec()),
        Kind::Switch => toml::Value::Boolean(switched(last) == Some(true)),
        Kind::Number | Kind::Size => last.parse().map_or_else(|_| text(), toml::Value::Integer),
        Kind::OptionalText => last.parse().map_or_else(|_| text(), toml::Value::Boolean),
        Kind::Text => text(),
    }
}

impl Origin {
    /// What to say of a value that was set here and is wrong.
    fn problem(&self, name: &str, value: &str, why: &str) -> Problem {
        let option = options::find(name);
        let flag = option.map_or_else(|| name.to_owned(), Opt::flag);
        let value = option.map_or(Cow::Borrowed(value), |option| shown(option, value));
        match self {
            // Nobody has typed its value.
            Origin::Flag
                if option.is_some_and(|option| match option.kind {
                    Kind::Switch => true,
                    Kind::OptionalText => value == "true",
                    _ => false,
                }) =>
            {
                Problem::usage(format!("{flag}: {why}"))
            }
            Origin::Flag => Problem::usage(format!("{flag} {value}: {why}")),
            Origin::Variable(variable) => Problem::config(format!("{variable}={value}: {why}")),
            Origin::File { path, line } => {
                Problem::config(format!("{}:{line}: {name} = {value}: {why}", path.display()))
            }
            Origin::Default => Problem::usage(format!("{flag} {value} (the default): {why}")),
        }
    }

    fn place(&self, option: &Opt) -> String {
        match self {
            Origin::Flag => option.flag(),
            Origin::Variable(name) => name.clone(),
            Origin::File { path, line } => format!("{}:{line}", path.display()),
            Origin::Default => "the defaults".to_owned(),
        }
    }
}

/// Variables that look like ours and are not. Only a warning: an orchestrator sets `NUMBER8_SERVICE_HOST` and the
/// like beside a service of our name.
fn unknown_variables() -> Vec<String> {
    let is_known = |name: &str| {
        name == "NUMBER8_CONFIG" || options::all().any(|option| option.variable() == name)
    };
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown =
        names.filter(|name| name.starts_with(options::VARIABLE_PREFIX) && !is_known(name));
    unknown.map(|name| format!("{name} is ignored: there is no such option")).collect()
}

/// `FORWARDED_ALLOW_IPS` as the servers of Python's apps read it: commas between, `*` for everybody.
fn proxies(value: &str) -> Vec<String> {
    let named = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    let all = |name: &str| match name {
        "*" => ["0.0.0.0/0", "::/0", "unix"].map(str::to_owned).to_vec(),
        name => vec![name.to_owned()],
    };
    named.flat_map(all).collect()
}

/// The machine's memory, or a guess at a small board where the kernel does not say.
fn memory_bytes() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    total.unwrap_or(512 << 10) << 10
}

/// Whether standard error is the journal itself and not redirected since; see `JOURNAL_STREAM` in systemd.exec(5).
fn stderr_is_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    fs::metadata("/proc/self/fd/2")
        .is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}
