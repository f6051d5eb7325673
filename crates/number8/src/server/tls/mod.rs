//! TLS: the certificate that is shown and its key, and the transport that speaks it.

pub(crate) mod fault;
mod files;
mod stream;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ProducesTickets;
use rustls::{InconsistentKeys, ServerConfig};

use super::clock;
use files::Files;
pub use stream::Secured;

/// What a server shows of itself, and the key that proves it: TLS 1.2 and 1.3, with sessions that any thread resumes.
///
/// A clone is the same one. Where it was read from files, these are looked at again while connections come, once a second
/// at most; a changed one counts from the next connection on, and where it is wrong, the one before stays.
///
/// ```no_run
/// use number8::{App, Server, Tls};
///
/// let app = App::new().get("/", async || "Hello, and nobody listens in.");
/// let tls = Tls::from_files("farm.example.pem", "farm.example.key")?;
/// Server::bind(app, ":8443")?.tls(tls).run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: Option<Mutex<Files>>,
    greetings: RwLock<Greetings>,
    /// Of all certificates that follow one another, so that sessions outlive a change.
    tickets: Arc<dyn ProducesTickets>,
    looked_ms: AtomicU64,
    on_problem: RwLock<OnProblem>,
}

/// What a client is greeted with.
struct Greetings {
    /// Where HTTP/2 is spoken, too.
    both: Arc<ServerConfig>,
    http1: Arc<ServerConfig>,
}

/// What is called where changed files are wrong.
type OnProblem = Box<dyn Fn(&TlsError) + Send + Sync>;

/// Between two looks at the files.
const LOOK_MS: u64 = 1000;

impl Tls {
    /// Takes a certificate, followed by those that vouch for it, and its key from files in PEM: a key as PKCS#8, SEC1
    /// (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`), without a password. Both may be one file.
    ///
    /// # Errors
    /// A file cannot be read, is none of that, or the key is not the certificate's.
    pub fn from_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let (files, pem) = Files::read(certificate.as_ref(), key.as_ref())?;
        Self::new(Some(files), &pem.certificate, &pem.key)
    }

    /// The same from texts in PEM.
    ///
    /// # Errors
    /// As for [`Tls::from_files`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::new(None, certificate, key)
    }

    fn new(files: Option<Files>, certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let tickets = Ticketer::new().map_err(|_| TlsError::new(Fault::Random))?;
        let greetings = greetings(certificate, key, &tickets)
            .map_err(|error| located(error, files.as_ref()))?;
        Ok(Self(Arc::new(Inner {
            files: files.map(Mutex::new),
            greetings: RwLock::new(greetings),
            tickets,
            looked_ms: AtomicU64::new(clock::monotonic_ms()),
            on_problem: RwLock::new(Box::new(|_| ())),
        })))
    }

    /// Calls a function where files that have changed are wrong; the certificate from before stays in use.
    #[must_use]
    pub fn on_problem(self, tell: impl Fn(&TlsError) + Send + Sync + 'static) -> Self {
        *self.0.on_problem.write().unwrap_or_else(PoisonError::into_inner) = Box::new(tell);
        self
    }

    /// Reads the files again, where there are any that have changed; true if they had. Blocks.
    ///
    /// # Errors
    /// As for [`Tls::from_files`]; the certificate from before stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let Some(files) = &self.0.files else { return Ok(false) };
        let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.have_changed() {
            return Ok(false);
        }
        let (read, pem) = files.read_again()?;
        // Also where they are wrong: that is said once, not every second.
        *files = read;
        let greetings = greetings(&pem.certificate, &pem.key, &self.0.tickets)
            .map_err(|error| located(error, Some(&files)))?;
        *self.0.greetings.write().unwrap_or_else(PoisonError::into_inner) = greetings;
        Ok(true)
    }

    /// Whether users of the machine other than its owner and its group may read the key.
    #[must_use]
    pub fn is_key_exposed(&self) -> bool {
        let files = self.0.files.as_ref();
        files.is_some_and(|files| {
            files.lock().unwrap_or_else(PoisonError::into_inner).is_key_exposed()
        })
    }

    /// What a new connection is greeted with, where HTTP/2 may be chosen and where it may not.
    #[must_use]
    pub fn config(&self, offers_http2: bool) -> Arc<ServerConfig> {
        let greetings = self.0.greetings.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(if offers_http2 { &greetings.both } else { &greetings.http1 })
    }

    /// Whether it is time to look at the files; true for one caller only.
    pub(crate) fn is_due(&self) -> bool {
        let (now_ms, before) = (clock::monotonic_ms(), self.0.looked_ms.load(Ordering::Relaxed));
        self.0.files.is_some()
            && now_ms.saturating_sub(before) >= LOOK_MS
            && self
                .0
                .looked_ms
                .compare_exchange(before, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Looks at the files, and tells of a problem. Blocks.
    pub(crate) fn look(&self) {
        if let Err(error) = self.reload() {
            (self.0.on_problem.read().unwrap_or_else(PoisonError::into_inner))(&error);
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.0.files).finish_non_exhaustive()
    }
}

/// The protocols that are offered, the best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [HTTP2, b"http/1.1"];

/// HTTP/2 inside TLS (RFC 9113 §3.2).
pub(super) const HTTP2: &[u8] = b"h2";

fn greetings(
    certificate: &[u8],
    key: &[u8],
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<Greetings, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::new(Fault::Certificate))?;
    if certificates.is_empty() {
        return Err(TlsError::new(Fault::NoCertificate));
    }
    let encrypted = |key: &[u8]| key.windows(9).any(|word| word == b"ENCRYPTED");
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| TlsError::new(if encrypted(key) { Fault::Encrypted } else { Fault::NoKey }))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| {
            TlsError::new(match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Fault::Mismatch,
                rustls::Error::InvalidCertificate(_) => Fault::Certificate,
                _ => Fault::Key,
            })
        })?;
    config.ticketer = Arc::clone(tickets);
    let offering = |protocols: &[&[u8]]| {
        let mut config = config.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    };
    Ok(Greetings { both: offering(&PROTOCOLS), http1: offering(&PROTOCOLS[1..]) })
}

/// What is wrong with a certificate or its key, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    path: Option<PathBuf>,
    is_of_key: bool,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Unreadable(String),
    TooLong,
    NoCertificate,
    Certificate,
    NoKey,
    Encrypted,
    Key,
    Mismatch,
    Random,
}

impl TlsError {
    /// Whether it is the key that is wrong, and not the certificate.
    #[must_use]
    pub fn is_about_key(&self) -> bool {
        self.is_of_key
    }

    fn new(fault: Fault) -> Self {
        let is_of_key = !matches!(fault, Fault::NoCertificate | Fault::Certificate);
        Self { path: None, is_of_key, fault }
    }
}

/// The same error with the file that it is about.
fn located(error: TlsError, files: Option<&Files>) -> TlsError {
    let path = files.map(|files| match error.is_of_key {
        true => files.key(),
        false => files.certificate(),
    });
    TlsError { path: path.map(Path::to_owned), ..error }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        f.write_str(match &self.fault {
            Fault::Unreadable(why) => return write!(f, "cannot be read: {why}"),
            Fault::TooLong => "a file of certificates or keys is at most 1 MiB",
            Fault::NoCertificate => {
                "there is no certificate in it; one in PEM begins with -----BEGIN CERTIFICATE-----"
            }
            Fault::Certificate => "the certificate in it cannot be used; openssl x509 -text shows it",
            Fault::NoKey => {
                "there is no private key in it; one in PEM begins with -----BEGIN PRIVATE KEY-----"
            }
            Fault::Encrypted => {
                "the private key in it has a password; openssl pkey -in FILE -out OTHER takes it off"
            }
            Fault::Key => {
                "the private key in it cannot be used; take ECDSA with P-256, or RSA of 2048 bits and more"
            }
            Fault::Mismatch => "the private key in it is not that of the certificate; give the pair that belongs together",
            Fault::Random => "the system has no random numbers",
        })
    }
}

impl std::error::Error for TlsError {}
