//! What lies within what is served: secrets there are a mistake, as clients could get them and perhaps replace them.

use std::path::Path;

use super::{Config, Files};
use crate::problem::Problem;
use crate::settings::Settings;
use crate::state;

impl Config {
    /// That no key, password or program that is kept lies where clients could ask for it.
    ///
    /// # Errors
    /// One does.
    pub(crate) fn check_secrets(&self, settings: &Settings) -> Result<(), Problem> {
        for (name, secret) in settings.secret_files() {
            if self.files.serve(&secret) {
                let why = format!(
                    "{} is within what is served, so clients could get it: keep it in another folder",
                    secret.display()
                );
                return Err(settings.problem(name, &why));
            }
        }
        let kept = self.run.as_ref().and_then(|run| run.programs.as_deref());
        if kept.is_some_and(|folder| self.files.serve(folder)) {
            let why = "this is within what is served, so clients could get and change what others run: name another folder";
            return Err(settings.problem("programs", why));
        }
        Ok(())
    }

    /// A warning where clients could read the log.
    pub(super) fn log_within_reach(&self) -> Option<String> {
        let file = self.log.file.as_deref().filter(|file| self.files.serve(file))?;
        Some(format!(
            "{} is within what is served, so clients could read the log: keep it in another folder",
            file.display()
        ))
    }
}

impl Files {
    /// SECURITY: whether clients could ask for what is there, or in this folder.
    pub(crate) fn serve(&self, path: &Path) -> bool {
        // The file may be a link that is served as what it leads to, and lead to what is served itself.
        let as_named = path.file_name().zip(path.parent()).filter(|_| self.follow_symlinks);
        let as_named = as_named.map(|(name, parent)| state::absolute(parent).join(name));
        [Some(state::absolute(path)), as_named].into_iter().flatten().any(|path| self.have(&path))
    }

    fn have(&self, path: &Path) -> bool {
        // As the store has it (RFC 8615 §3).
        let is_hidden = |(place, name): (usize, &std::ffi::OsStr)| {
            name.as_encoded_bytes().starts_with(b".") && (place > 0 || name != ".well-known")
        };
        self.mounts.iter().any(|mount| {
            let inner = path.strip_prefix(state::absolute(&mount.path)).ok();
            inner.is_some_and(|inner| self.hidden || !inner.iter().enumerate().any(is_hidden))
        })
    }
}
