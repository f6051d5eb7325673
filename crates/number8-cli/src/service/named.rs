//! The paths that a command names, which the service has to reach.

use std::path::{Path, PathBuf};

use crate::options::{self, Opt};
use crate::settings::{Origin, Settings};

/// What a command names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Files and folders that are read.
    pub(super) read: Vec<PathBuf>,
    /// Whether anything starts from the folder where the command is typed.
    pub(super) starts_here: bool,
}

impl Named {
    /// What these settings name, and this configuration file.
    pub fn new(settings: &Settings, file: Option<&Path>) -> Self {
        let passwords = settings.password_files().into_iter();
        let mut read: Vec<PathBuf> = passwords.map(|(_, path)| path).collect();
        read.extend(file.map(Path::to_owned));
        let mut starts_here = false;
        for option in options::all() {
            let Some(setting) = settings.get(option.name) else { continue };
            if setting.origin == Origin::Default {
                continue;
            }
            for value in &setting.values {
                starts_here |= is_relative_command(option, value);
                let Some(path) = path_in(option, value) else { continue };
                if ["path", "mount", "error-page", "tls-cert", "tls-key", "app-dir"]
                    .contains(&option.name)
                {
                    read.push(path.to_owned());
                }
                starts_here |= path.is_relative();
            }
        }
        starts_here |= read.iter().any(|path| path.is_relative());
        Self { read, starts_here }
    }
}

/// The path in a value, where there is one.
fn path_in<'a>(option: &Opt, value: &'a str) -> Option<&'a Path> {
    let path = match option.value {
        // It starts from what is served.
        _ if option.name == "spa" => return None,
        "DIR" if value == "true" || value == "false" => return None,
        "PATH" | "DIR" | "FILE" => value,
        "/URL=DIR" | "CODE=FILE" => value.split_once('=')?.1,
        _ => value.strip_prefix("unix:").filter(|path| !path.starts_with('@'))?,
    };
    Some(Path::new(path))
}

/// Whether a command is named by a path from here.
fn is_relative_command(option: &Opt, value: &str) -> bool {
    let is_relative = |word: &str| word.contains('/') && !word.starts_with('/');
    matches!(option.name, "run" | "repl") && value.split([' ', '=']).any(is_relative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Setting;

    #[test]
    fn what_starts_here_is_known() {
        for (name, value, starts_here, reads) in [
            ("path", "/srv/www", false, true),
            ("path", "site", true, true),
            ("mount", "/a=/srv/a", false, true),
            ("mount", "/a=b", true, true),
            ("error-page", "404=/srv/404.html", false, true),
            ("log-file", "/var/log/n8/log", false, false),
            ("log-file", "log", true, false),
            ("spa", "app.html", false, false),
            ("tls-self-signed", "true", false, false),
            ("tls-self-signed", "/srv/tls", false, false),
            ("tls-key", "key.pem", true, true),
            ("auth-file", "/etc/users", false, true),
            ("auth", "joe:@password@/:rw", true, true),
            ("auth", "joe@/:rw", false, false),
            ("bind", "unix:/run/number8/sock,mode=666", false, false),
            ("bind", "unix:sock", true, false),
            ("bind", "unix:@name", false, false),
            ("repl", "python3 -q", false, false),
            ("repl", "./shell", true, false),
            ("run", "sh=bin/sh", true, false),
            ("health", "/h", false, false),
        ] {
            let mut settings = Settings::default();
            let option = options::find(name).unwrap();
            let setting = Setting { origin: Origin::Flag, values: vec![value.to_owned()] };
            settings.set(option, setting);
            let named = Named::new(&settings, None);
            let found = (named.starts_here, !named.read.is_empty());
            assert_eq!(found, (starts_here, reads), "{name} {value}: {named:?}");
        }
        let file = Some(Path::new("/etc/number8/number8.toml"));
        assert!(!Named::new(&Settings::default(), file).starts_here);
        assert!(Named::new(&Settings::default(), Some(Path::new("n8"))).starts_here);
    }
}
