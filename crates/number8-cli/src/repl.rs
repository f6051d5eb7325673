//! The live terminal: what `--repl`, `--webrepl` and what begins so say together.

use std::path::PathBuf;
use std::time::Duration;

use number8::WebReplLimits;
use number8::access::{Access, Rights};

use crate::config::{count, required, size};
use crate::problem::Problem;
use crate::settings::{Origin, Settings};
use crate::syntax;
use crate::units::parse_duration;

/// The live terminal, for pages and for the clients of WebREPL.
#[derive(Clone, Debug)]
pub struct Repl {
    /// Whether pages can open it.
    pub is_on: bool,
    /// What runs in it, the program and its arguments; none for our own Python.
    pub command: Vec<String>,
    /// Where the clients of WebREPL are listened for, `true` where the default will do; `None` for nowhere.
    pub webrepl: Option<String>,
    /// As whom it runs; else the room decides.
    pub user: Option<String>,
    /// Where it may write besides the folder.
    pub writable: Vec<PathBuf>,
    /// What neither it nor programs may read: files with secrets.
    pub secrets: Vec<PathBuf>,
    /// How many may look at once.
    pub viewers_max: usize,
    /// Bytes that are kept of what was shown.
    pub scroll_back_bytes: usize,
    /// The account that their password stands for, and the password or its hash.
    pub webrepl_password: Option<(String, String)>,
    /// How long one of them may be silent and keep others out.
    pub webrepl_idle: Duration,
    /// How much is done for those that have not said the password.
    pub webrepl_limits: WebReplLimits,
}

impl Repl {
    /// Checks the settings about the terminal.
    pub(crate) fn check(settings: &Settings) -> Result<Self, Problem> {
        let command = settings.one("repl", |value| Ok(value.to_owned()))?;
        let words = command.as_deref().filter(|value| !matches!(*value, "true" | "false"));
        let path = |text: &str| syntax::non_empty(text).map(PathBuf::from);
        Ok(Self {
            is_on: command.as_deref().is_some_and(|value| value != "false"),
            command: words
                .map(|words| words.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            user: settings.one("run-user", syntax::non_empty)?,
            writable: settings.list("run-write", path)?,
            secrets: settings.secret_files().into_iter().map(|(_, path)| path).collect(),
            viewers_max: count(settings, "repl-viewers", 1, 10_000)?,
            scroll_back_bytes: size(settings, "repl-scroll-back", 64 << 10)?,
            webrepl: settings.one("webrepl", syntax::non_empty)?.filter(|value| value != "false"),
            webrepl_password: settings.one("webrepl-password", syntax::account)?,
            webrepl_idle: required(settings, "webrepl-idle", parse_duration)?,
            webrepl_limits: WebReplLimits {
                login_time: required(settings, "webrepl-login-time", parse_duration)?,
                asked_max: count(settings, "webrepl-waiting", 1, 10_000)?,
                asked_per_client_max: count(settings, "webrepl-waiting-per-ip", 1, 10_000)?,
                ..WebReplLimits::default()
            },
        })
    }

    /// SECURITY: a terminal that nobody may use is a mistake, and one that everybody may use has to be meant.
    pub(crate) fn check_rights(&self, rules: &Access, settings: &Settings) -> Result<(), Problem> {
        let may = |user: Option<&str>| rules.decide(user, Rights::REPL, b"/").is_ok();
        let somebody = rules.rules().iter().any(|rule| rule.rights().contains(Rights::REPL));
        let is_asked = settings.get("repl").is_some_and(|repl| repl.origin != Origin::Default);
        if self.is_on && !somebody && is_asked {
            let why =
                "nobody has the right repl: --auth NAME:PASSWORD@/:all gives it to one account";
            return Err(settings.problem("repl", why));
        }
        match (&self.webrepl, &self.webrepl_password) {
            (None, Some(_)) => Err(settings.problem("webrepl-password", "this needs --webrepl")),
            (Some(_), Some((name, _))) if !may(Some(name)) => {
                let why = format!(
                    "{name} has not the right repl for /: --auth @/:… is for everyone, --auth {name}:PASSWORD@/:all for one"
                );
                Err(settings.problem("webrepl-password", &why))
            }
            (Some(_), None) if !may(None) => Err(settings
                .problem("webrepl", "say with --webrepl-password NAME:PASSWORD who may use it")),
            _ => Ok(()),
        }
    }
}
