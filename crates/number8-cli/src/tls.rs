//! What `--tls-cert` and `--tls-key` say together.

use number8::Tls;

use crate::problem::{Problem, say};
use crate::settings::Settings;
use crate::syntax;

/// Reads the certificate and its key, if there are any.
pub(crate) fn check(settings: &Settings) -> Result<Option<Tls>, Problem> {
    let certificate = settings.one("tls-cert", syntax::non_empty)?;
    let key = settings.one("tls-key", syntax::non_empty)?;
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
        Ok(tls) => Ok(Some(tls.on_problem(|error| {
            say(&format!("{error}; the old certificate stays in use"));
        }))),
        Err(error) => {
            let name = if error.is_about_key() { "tls-key" } else { "tls-cert" };
            Err(settings.problem(name, &error.to_string()))
        }
    }
}

/// What is odd about it, but no mistake.
pub(crate) fn warning(tls: &Tls) -> Option<String> {
    tls.is_key_exposed().then(|| {
        "everybody on this machine may read the key of the certificate: chmod o= takes that away"
            .to_owned()
    })
}
