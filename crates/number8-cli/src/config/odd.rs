//! What is odd in a configuration that could be served: what is at one path twice, what nobody can do, what is not there, and
//! what a reload does not change.

use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use number8::access::{Rights, Rule};
use number8::server::Bind;

use super::Config;
use crate::options::{self, Fixed, Opt};
use crate::problem::Problem;
use crate::runner;
use crate::settings::{Origin, Settings};
use crate::tls;
use crate::units::parse_duration;

impl Config {
    /// What is odd but no mistake, one line each.
    pub(super) fn oddities(&self, settings: &Settings) -> Vec<String> {
        let mut warnings = self.secrets_within_reach();
        warnings.extend(self.tls.as_ref().and_then(tls::warning));
        let passwords = settings.password_files();
        warnings.extend(exposed(passwords.into_iter().map(|(_, path)| path).collect()));
        warnings.extend(self.log_within_reach());
        warnings.extend(self.nobody_sends(settings));
        warnings.extend(self.access.nobody_logs_in(settings));
        warnings.extend(self.not_found());
        warnings.extend(self.no_page_of_the_app());
        warnings.extend(self.nobody_speaks_tls());
        warnings
    }

    /// That no two things are at one path.
    pub(super) fn check_paths(&self, settings: &Settings) -> Result<(), Problem> {
        let answers = &self.answers;
        let named =
            [("health", &answers.health), ("ready", &answers.ready), ("events", &answers.events)];
        let mut taken: Vec<(&str, &str)> = Vec::new();
        let named = named.iter().filter_map(|(name, path)| Some((*name, path.as_deref()?)));
        let app = self.app.as_ref().filter(|_| self.listen.path_prefix.is_empty());
        let named = app.map(|_| ("app", "/")).into_iter().chain(named);
        let mounts = self.files.mounts.iter().map(|mount| ("mount", mount.url.as_str()));
        for (name, path) in named.chain(mounts) {
            if let Some((other, _)) = taken.iter().find(|(_, other)| *other == path) {
                let is_set = settings.get(name).is_some_and(|set| set.origin != Origin::Default);
                let (name, other) = if is_set { (name, *other) } else { (*other, name) };
                return Err(settings.problem(name, &format!("{path} is that of {other} already")));
            }
            taken.push((name, path));
        }
        Ok(())
    }

    /// A warning where events were asked for that nobody can send.
    fn nobody_sends(&self, settings: &Settings) -> Option<String> {
        let path = self.answers.events.as_ref()?;
        let is_asked = settings.get("events")?.origin != Origin::Default;
        let may_send = |rule: &Rule| rule.rights().contains(Rights::EVENTS);
        let warns = is_asked && !self.access.rules.rules().iter().any(may_send);
        warns.then(|| {
            format!(
                "nobody has the right events, so nobody can send to {path}: --allow ro,events gives it to everyone, \
                 --auth NAME:PASSWORD@{path}:ro,events to one account"
            )
        })
    }

    /// Warnings about programs that are to run others' and are not there.
    fn not_found(&self) -> Vec<String> {
        let run = self.run.iter().flat_map(|run| &run.interpreters);
        let run = run.map(|by| ("run", by.command()));
        let repl = self.repl.command.first().filter(|_| self.repl.is_on);
        let all = run.chain(repl.map(|command| ("repl", command.as_str())));
        // Without a PATH the system has one, and a path is looked at when it is run.
        if env::var_os("PATH").is_none() {
            return Vec::new();
        }
        let lacking =
            all.filter(|(_, command)| !command.contains('/') && !runner::is_there(command));
        lacking
            .map(|(name, command)| format!("{name}: there is no program {command} in PATH"))
            .collect()
    }

    /// A warning where what is missing would be answered with a file that is missing, too.
    fn no_page_of_the_app(&self) -> Option<String> {
        let page = self.files.spa.as_ref()?;
        let mut folders = self.files.mounts.iter().map(|mount| &mount.path);
        let first = folders.clone().next()?;
        let is_there = folders.any(|folder| folder.join(page).is_file());
        (!is_there).then(|| {
            let folder = first.display();
            format!("spa: there is no {page} in {folder} now, so what is missing is answered 404")
        })
    }

    /// A warning where a certificate is shown to nobody.
    fn nobody_speaks_tls(&self) -> Option<String> {
        let binds = &self.listen.binds;
        let is_unix = |bind: &Bind| matches!(bind, Bind::Unix { .. } | Bind::Abstract(_));
        let is_alone = !binds.is_empty() && binds.iter().all(is_unix);
        (self.tls.is_some() && is_alone).then(|| {
            "nobody is shown the certificate: Unix sockets speak no TLS, and nothing else is listened at (--bind)"
                .to_owned()
        })
    }

    /// The options whose values differ from `other`'s though they cannot change while it is served.
    pub(crate) fn fixed_that_changed(&self, other: &Config) -> Vec<&'static str> {
        let both = |has: fn(&Config) -> bool| has(self) && has(other);
        let is_fixed = |option: &Opt| match option.fixed {
            Fixed::No => false,
            Fixed::Always => true,
            Fixed::Programs => both(Config::runs_programs),
            Fixed::Terminal => both(|config| config.repl.is_on),
        };
        let can_end = |name: &str| ["run", "repl", "log", "log-slow"].contains(&name);
        let pairs = self.fixed.iter().zip(&other.fixed);
        let changed = pairs.filter(|((_, one), (_, other))| one != other).map(|(one, _)| one);
        let changed = changed
            .filter(|(option, values)| !(values.is_empty() && can_end(option.name)))
            .filter(|(option, _)| is_fixed(option));
        changed.map(|(option, _)| option.name).collect()
    }

    /// Whether programs or a terminal run in the folder.
    fn runs_programs(&self) -> bool {
        self.run.is_some() || self.repl.is_on || self.repl.webrepl.is_some()
    }

    /// SECURITY: what programs and the terminal may change they may read, whatever else is kept from them.
    fn secrets_within_reach(&self) -> Vec<String> {
        let mut places: Vec<&Path> = Vec::new();
        let folders = || self.files.mounts.iter().map(|mount| mount.path.as_path());
        if let Some(run) = &self.run {
            places.extend(folders().take(1));
            places.extend(run.writable.iter().map(PathBuf::as_path));
        }
        if self.repl.is_on || self.repl.webrepl.is_some() {
            places.extend(folders().take(1));
            places.extend(self.repl.writable.iter().map(PathBuf::as_path));
            places.push(Path::new("/tmp"));
        }
        let places: Vec<PathBuf> =
            places.into_iter().filter_map(|place| place.canonicalize().ok()).collect();
        let is_within = |secret: &&PathBuf| {
            let secret = secret.canonicalize().ok();
            secret.is_some_and(|secret| places.iter().any(|place| secret.starts_with(place)))
        };
        let warning = |secret: &PathBuf| {
            let secret = secret.display();
            format!(
                "{secret} is where programs may write, so they may read it: keep secrets elsewhere"
            )
        };
        self.repl.secrets.iter().filter(is_within).map(warning).collect()
    }
}

/// What is said of the options whose change may take a new start.
pub(super) fn fixed(settings: &Settings) -> Vec<(&'static Opt, Vec<String>)> {
    // What is off is as good as not said.
    let said = |name| {
        let mut values = settings.get(name)?.values.clone();
        let is_off = match name {
            "run" | "log" => values == ["off"],
            "log-slow" => values.iter().all(|time| parse_duration(time).is_ok_and(|t| t.is_zero())),
            _ => values == ["false"],
        };
        if name.starts_with("log") && name != "log-file" {
            // As long as there is a log, the rest is read again.
            values = vec!["on".to_owned()];
        }
        Some(values).filter(|_| !is_off)
    };
    let fixed = options::all().filter(|option| option.fixed != Fixed::No);
    fixed.map(|option| (option, said(option.name).unwrap_or_default())).collect()
}

/// Warnings about files of passwords that other users of the machine may read or change.
fn exposed(mut files: Vec<PathBuf>) -> Vec<String> {
    files.sort_unstable();
    files.dedup();
    let warning = |path: PathBuf| {
        let meta = path.metadata().ok().filter(|meta| meta.is_file())?;
        let verb = match meta.mode() & 0o006 {
            0 => return None,
            0o004 if meta.len() == 0 => return None,
            0o004 => "read",
            _ => "change",
        };
        let path = path.display();
        Some(format!(
            "everybody on this machine may {verb} {path}, where passwords are: chmod o= takes that away"
        ))
    };
    files.into_iter().filter_map(warning).collect()
}
