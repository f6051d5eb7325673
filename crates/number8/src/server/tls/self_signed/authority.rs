//! What others need of the authority: its certificate, and how to recognise it.

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use number8_proto::http1::Method;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

use super::note::{self, Note};
use crate::handler::{Answer, Call, Handler};
use crate::response::Response;

/// The certificate of an authority that [`Tls::self_signed`](crate::Tls::self_signed) has made. As a handler it gives it to whoever is to trust it: phones
/// install it from there.
#[derive(Clone)]
pub struct Authority {
    name: String,
    fingerprint: String,
    certificate: Bytes,
    path: PathBuf,
    left_out: Vec<String>,
}

const ALLOW: &str = "GET, HEAD, OPTIONS";

impl Authority {
    pub(super) fn new(note: &Note, der: &[u8], path: PathBuf, left_out: Vec<String>) -> Self {
        Self {
            name: note.name.clone(),
            fingerprint: note.authority.clone(),
            certificate: note::pem("CERTIFICATE", der).into(),
            path,
            left_out,
        }
    }

    /// What devices call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SHA-256 of its certificate, as browsers and phones show it: `AB:CD:…`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Its certificate in PEM.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The file that has the same.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names that were asked for and that it may not vouch for, since they are no local ones and it was made without
    /// them.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("name", &self.name)
            .field("fingerprint", &self.fingerprint)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Handler for Authority {
    fn handle(&self, call: Call<'_>) -> Answer {
        match call.head.method() {
            Method::Get | Method::Head => {}
            Method::Options => return Response::options(ALLOW).into(),
            _ => return Response::not_allowed(ALLOW).into(),
        }
        // As an attachment it would be a file to phones, and not something to install.
        Response::new(200, self.certificate.clone())
            .with_known("Content-Type", "application/x-x509-ca-cert")
            .with_known("X-Content-Type-Options", "nosniff")
            .with_known("Cache-Control", "no-cache")
            .into()
    }

    fn allow(&self) -> &str {
        ALLOW
    }
}

/// SHA-256 as two digits for each byte and colons between.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    // Every suite has the hash of its handshake; that of this one is SHA-256.
    let suite = TLS13_AES_128_GCM_SHA256.tls13().map(|suite| suite.common.hash_provider);
    let digest = suite.map(|sha256| sha256.hash(bytes));
    let digits: Vec<_> =
        digest.iter().flat_map(AsRef::as_ref).map(|byte| format!("{byte:02X}")).collect();
    digits.join(":")
}
