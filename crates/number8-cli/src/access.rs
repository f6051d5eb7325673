//! Who may do what, and who there is: what `--allow`, `--auth`, `--auth-file` and `--token` say together.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use number8::access::{Access as Rules, Grant, GrantError, Rights, Rule};
use number8::accounts::{AccountError, Accounts};
use number8::layers::auth::AuthLimits;
use number8::layers::sessions::SessionLimits;

use crate::config::required;
use crate::problem::Problem;
use crate::settings::{Origin, Settings};
use crate::syntax;
use crate::units::parse_duration;

/// Who may do what, and who there is.
#[derive(Clone, Debug)]
pub struct Access {
    /// The rules.
    pub rules: Rules,
    /// Who can log in, if anybody can.
    pub accounts: Option<Accounts>,
    /// How much checking is done for whom.
    pub limits: AuthLimits,
    /// How much work checking a password may be.
    pub work_max: Duration,
    /// How long logins by the page last; `None` where there is no such page.
    pub sessions: Option<SessionLimits>,
    /// The password of the one account, where it was made for this run.
    pub made_password: Option<String>,
    /// Whether everyone may also write from other machines.
    pub insecure: bool,
}

impl Access {
    /// Whether somebody whom nobody knows may do more than look.
    pub fn everyone_writes(&self) -> bool {
        self.rules.everyone_may_any(Rights::ALL.without(Rights::RO))
    }

    /// Whether somebody whom nobody knows may change files.
    pub fn everyone_changes_files(&self) -> bool {
        self.rules.everyone_may_any(Rights::RW.without(Rights::RO))
    }

    /// SECURITY: whoever can reach a server that lets everyone write can fill its disk, or replace its pages. So unless that was
    /// asked for, it is reached from this machine only.
    pub fn is_for_this_machine(&self) -> bool {
        self.everyone_writes() && !self.insecure
    }

    /// Whether anybody may do more than look.
    pub fn anybody_acts(&self) -> bool {
        let acting = Rights::ALL.without(Rights::RO);
        self.rules.rules().iter().any(|rule| rule.rights().intersects(acting))
    }

    /// Whether anybody may change files.
    pub fn anybody_writes(&self) -> bool {
        let writing = Rights::RW.without(Rights::RO);
        self.rules.rules().iter().any(|rule| rule.rights().intersects(writing))
    }

    /// A warning where a file of accounts was asked for, and there is none.
    pub(crate) fn nobody_logs_in(&self, settings: &Settings) -> Option<String> {
        settings.get("auth-file")?;
        let is_empty = self.accounts.as_ref()?.names().next().is_none();
        let warning = "nobody can log in yet: the file of auth-file is empty; number8 passwd NAME makes a line for it";
        is_empty.then(|| warning.to_owned())
    }

    /// Checks the settings about access.
    pub(crate) fn check(settings: &Settings) -> Result<Self, Problem> {
        let mut rules = everyone(settings)?;
        let work_max = required(settings, "login-work", parse_duration)?;
        let accounts = Accounts::new().map_err(|error| Problem::failure(error.to_string()))?;
        let mut accounts = accounts.work_max(work_max);
        let mut has_accounts = false;
        let wrong = |option: &str, error: &dyn fmt::Display, what: &AccountError| {
            settings.problem(option, &format!("{error}{}", flags(what)))
        };

        let mut nameless = Vec::new();
        for grant in settings.list("auth", grant)? {
            if let (Some(name), Some(secret)) = (&grant.name, &grant.secret) {
                let added = accounts.password(name, secret);
                accounts = added.map_err(|error| wrong("auth", &error, &error))?;
                has_accounts = true;
            } else if let Some(name) = grant.name {
                nameless.push(name);
            }
            rules.extend(grant.rules);
        }
        for grant in settings.list("token", token)? {
            let (Some(name), Some(token)) = (&grant.name, &grant.secret) else {
                return Err(settings.problem("token", TOKEN));
            };
            let added = accounts.token(name, token);
            accounts = added.map_err(|error| wrong("token", &error, &error))?;
            has_accounts = true;
            rules.extend(grant.rules);
        }
        if let Some(path) = settings.one("auth-file", syntax::non_empty)? {
            let read = accounts.file(path);
            accounts = read.map_err(|error| wrong("auth-file", &error, error.error()))?;
            has_accounts = true;
        } else if let Some(name) =
            nameless.iter().find(|name| !accounts.names().any(|other| other == **name))
        {
            let why =
                format!("{name} has no password: write {name}:PASSWORD@…, or give an --auth-file");
            return Err(settings.problem("auth", &why));
        }
        rules.extend(readers(&accounts, &rules));
        Ok(Self {
            rules: Rules::new(rules),
            accounts: has_accounts.then_some(accounts),
            limits: limits(settings)?,
            work_max,
            sessions: sessions(settings)?,
            made_password: None,
            insecure: settings.switch("insecure")?,
        })
    }
}

/// What of ours mends a hash that cannot be used, to be said behind what is wrong.
pub(crate) fn flags(error: &AccountError) -> &'static str {
    match error {
        AccountError::UnknownHash | AccountError::BrokenHash => " (number8 passwd)",
        AccountError::TooMuchWork { .. } => " (number8 passwd, --login-work)",
        _ => "",
    }
}

/// `--allow` and `--allow-all` as a rule; none where `--auth` says all there is to say.
fn everyone(settings: &Settings) -> Result<Vec<Rule>, Problem> {
    let mut rights = settings
        .one("allow", |value| value.parse::<Rights>().map_err(|error| error.to_string()))?;
    if settings.switch("allow-all")? {
        if settings.get("allow").is_some_and(|setting| setting.origin != Origin::Default) {
            let why = "this does not go with allow: take one of the two";
            return Err(settings.problem("allow-all", why));
        }
        rights = Some(Rights::RW);
    }
    let rule = rights.map(|rights| Rule::everyone("/", rights)).transpose();
    rule.map(|rule| rule.into_iter().collect())
        .map_err(|error| settings.problem("allow", &error.to_string()))
}

/// `name:password@/path:rights`, where the password may be `@FILE`.
fn grant(text: &str) -> Result<Grant, String> {
    let grant: Grant = text.parse().map_err(|error: GrantError| error.to_string())?;
    let secret = grant.secret.as_deref().map(syntax::secret).transpose()?;
    Ok(Grant { secret, ..grant })
}

/// How a token is given.
const TOKEN: &str = "write name:token@/path:rights";

fn token(text: &str) -> Result<Grant, String> {
    match text.parse::<Grant>() {
        Err(GrantError::Shape) => Err(TOKEN.to_owned()),
        _ => grant(text),
    }
}

/// Whoever can log in and is named by no rule did it to see something.
fn readers(accounts: &Accounts, rules: &[Rule]) -> Vec<Rule> {
    let is_named = |name: &str| rules.iter().any(|rule| rule.named() == Some(name));
    let names = accounts.names().filter(|name| !is_named(name));
    names.filter_map(|name| Rule::user(name, "/", Rights::RO).ok()).collect()
}

fn limits(settings: &Settings) -> Result<AuthLimits, Problem> {
    let defaults = AuthLimits::default();
    let hashes = settings.one("login-hashes", |value| match number(value)? {
        0 => Err("there is no login without a hash".to_owned()),
        count => Ok(count),
    })?;
    Ok(AuthLimits {
        failures_free: settings.one("login-failures", number)?.unwrap_or(defaults.failures_free),
        remember: settings.one("login-remember", parse_duration)?.unwrap_or(defaults.remember),
        hashes_max: hashes.unwrap_or(defaults.hashes_max),
        waiting_max: settings.one("login-waiting", number)?.unwrap_or(defaults.waiting_max),
    })
}

fn number<T: FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| "this is a number".to_owned())
}

fn sessions(settings: &Settings) -> Result<Option<SessionLimits>, Problem> {
    if settings.switch("no-login-page")? {
        return Ok(None);
    }
    let count = |name| {
        settings.one(name, |value| match value.parse() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err("this is a number from 1".to_owned()),
        })
    };
    let defaults = SessionLimits::default();
    Ok(Some(SessionLimits {
        idle: settings.one("session-idle", parse_duration)?.unwrap_or(defaults.idle),
        life: settings.one("session-life", parse_duration)?.unwrap_or(defaults.life),
        sessions_max: count("max-sessions")?.unwrap_or(defaults.sessions_max),
        sessions_per_user_max: count("max-sessions-per-user")?
            .unwrap_or(defaults.sessions_per_user_max),
    }))
}
