//! What `--tls-cert`, `--tls-key` and `--tls-self-signed` say together.

use std::path::{Path, PathBuf};

use number8::{Authority, Tls, TlsError};

use crate::config::{Files, Listen};
use crate::problem::{Problem, say};
use crate::settings::Settings;
use crate::{state, syntax};

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum Certificate {
    /// From files that somebody gave.
    Given(Tls),
    /// From an authority of this machine's own.
    Made {
        /// What keeps it.
        folder: PathBuf,
        /// Whether somebody has said where.
        is_named: bool,
        /// Names to vouch for besides those that the machine has.
        names: Vec<String>,
    },
}

impl Certificate {
    /// The authority that [`Certificate::open`] would give; nothing is made that stays.
    ///
    /// # Errors
    /// None can be made here.
    pub fn preview(&self) -> Result<Option<Authority>, Problem> {
        let Self::Made { folder, .. } = self else { return Ok(None) };
        let authority = Authority::preview(folder);
        authority.map(Some).map_err(|error| Problem::failure(format!("tls-self-signed: {error}")))
    }

    /// Whether two are made for other names.
    pub fn names_differ(one: &Option<Self>, other: &Option<Self>) -> bool {
        match (one, other) {
            (Some(Self::Made { names: one, .. }), Some(Self::Made { names: other, .. })) => {
                one != other
            }
            _ => false,
        }
    }

    /// What is shown to clients, and the authority that has made it; makes it where it is missing.
    ///
    /// # Errors
    /// What keeps it cannot be read or written, or is not as it was.
    pub fn open(&self) -> Result<(Tls, Option<Authority>), Problem> {
        let (folder, names) = match self {
            Self::Given(tls) => return Ok((tls.clone(), None)),
            Self::Made { folder, names, .. } => (folder, names),
        };
        let (tls, authority) = made(folder, names)
            .map_err(|error| Problem::failure(format!("tls-self-signed: {error}")))?;
        for name in authority.left_out() {
            say(&format!(
                "the authority in {} may not vouch for {name}: remove that folder, and have devices trust the one that is \
                 made then",
                folder.display()
            ));
        }
        Ok((tls, Some(authority)))
    }
}

/// A certificate by an authority of this machine's own, in the folder that keeps one where nobody says which: for Python.
///
/// # Errors
/// There is no such folder, or [`Tls::self_signed`] cannot use it.
pub fn self_signed() -> Result<(Tls, Authority), String> {
    let folder = usual_folder().ok_or(NO_FOLDER)?;
    made(&folder, &[]).map_err(|error| error.to_string())
}

const NO_FOLDER: &str = "say with tls-self-signed=DIR where to keep it, as HOME is not set";

fn made(folder: &Path, names: &[String]) -> Result<(Tls, Authority), TlsError> {
    let (tls, authority) = Tls::self_signed(folder, names)?;
    Ok((telling(tls), authority))
}

fn telling(tls: Tls) -> Tls {
    tls.on_problem(|error| say(&format!("{error}; the old certificate stays in use")))
}

/// Reads the certificate and its key, if there are any, or finds out where they are to be made.
pub(crate) fn check(
    settings: &Settings,
    listen: &Listen,
    files: &Files,
) -> Result<Option<Certificate>, Problem> {
    let certificate = settings.one("tls-cert", syntax::non_empty)?;
    let key = settings.one("tls-key", syntax::non_empty)?;
    if let Some(folder) = folder(settings)? {
        if certificate.is_some() || key.is_some() {
            let why = "this does not go with tls-cert and tls-key: take one of the two";
            return Err(settings.problem("tls-self-signed", why));
        }
        let folder = folder.map_err(|why| settings.problem("tls-self-signed", why))?;
        if files.serve(&folder.path) {
            let why = "this is within what is served, so everybody could get the keys: name another folder";
            return Err(settings.problem("tls-self-signed", why));
        }
        let mdns = listen.mdns.iter().map(|name| format!("{name}.local"));
        return Ok(Some(Certificate::Made {
            folder: folder.path,
            is_named: folder.is_named,
            names: listen.hosts.iter().cloned().chain(mdns).collect(),
        }));
    }
    let (certificate, key) = match (certificate, key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => {
            return Err(settings.problem("tls-cert", "say with tls-key where its key is"));
        }
        (None, Some(_)) => {
            return Err(settings.problem("tls-key", "say with tls-cert where its certificate is"));
        }
    };
    match Tls::from_files(&certificate, &key) {
        Ok(tls) => Ok(Some(Certificate::Given(telling(tls)))),
        Err(error) => {
            let name = if error.is_about_key() { "tls-key" } else { "tls-cert" };
            Err(settings.problem(name, &error.to_string()))
        }
    }
}

/// The folder for an authority of this machine's own.
pub(crate) struct Folder {
    path: PathBuf,
    is_named: bool,
}

/// Where such an authority is kept: `None` where none is asked for, an error where there is no place for it.
fn folder(settings: &Settings) -> Result<Option<Result<Folder, &'static str>>, Problem> {
    Ok(settings
        .one("tls-self-signed", |text| match text {
            "false" => Ok(None),
            "true" => Ok(Some(
                usual_folder().map(|path| Folder { path, is_named: false }).ok_or(NO_FOLDER),
            )),
            path => Ok(Some(Ok(Folder { path: PathBuf::from(path), is_named: true }))),
        })?
        .flatten())
}

fn usual_folder() -> Option<PathBuf> {
    state::folder().map(|folder| folder.join("tls"))
}

/// What has keys in it, and is nobody's business, with the option that names it.
pub(crate) fn secrets(settings: &Settings) -> Vec<(&'static str, PathBuf)> {
    let key = settings.get("tls-key").into_iter().flat_map(|key| &key.values);
    let key = key.map(|path| ("tls-key", PathBuf::from(path)));
    let made = folder(settings).ok().flatten().and_then(Result::ok);
    key.chain(made.map(|folder| ("tls-self-signed", folder.path))).collect()
}

/// What is odd about it, but no mistake.
pub(crate) fn warning(certificate: &Certificate) -> Option<String> {
    let Certificate::Given(tls) = certificate else { return None };
    tls.is_key_exposed().then(|| {
        "everybody on this machine may read the key of the certificate: chmod o= takes that away"
            .to_owned()
    })
}
