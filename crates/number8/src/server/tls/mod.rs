//! TLS: the certificate that is shown and its key, and the transport that speaks it.

pub(crate) mod fault;
mod files;
// An authority of the machine's own.
#[cfg(feature = "self-signed")]
mod self_signed;
mod stream;

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ProducesTickets;
use rustls::{InconsistentKeys, ServerConfig, SupportedCipherSuite};

use super::clock;
use files::Files;
#[cfg(feature = "self-signed")]
pub use self_signed::Authority;
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
    source: Option<Mutex<Box<dyn Source>>>,
    greetings: RwLock<Greetings>,
    /// Of all certificates that follow one another, so that sessions outlive a change.
    tickets: Arc<dyn ProducesTickets>,
    looked_ms: AtomicU64,
    on_problem: RwLock<OnProblem>,
    /// What was told last, as long as it is so.
    told: Mutex<Option<TlsError>>,
}

/// What a client is greeted with.
struct Greetings {
    /// Where HTTP/2 is spoken, too.
    both: Arc<ServerConfig>,
    http1: Arc<ServerConfig>,
}

/// Where a certificate and its key come from that may change.
trait Source: Send {
    /// What is to be shown from now on, where that is something else than before. Blocks.
    fn changed(&mut self) -> Result<Option<Pem>, TlsError>;

    fn certificate(&self) -> &Path;

    fn key(&self) -> &Path;

    /// Whether everybody on the machine may read the key.
    fn is_key_exposed(&self) -> bool {
        false
    }
}

/// A certificate and its key as texts.
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
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
        Self::new(Some(Box::new(files)), &pem)
    }

    /// The same from texts in PEM.
    ///
    /// # Errors
    /// As for [`Tls::from_files`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::new(None, &Pem { certificate: certificate.to_owned(), key: key.to_owned() })
    }

    fn new(source: Option<Box<dyn Source>>, pem: &Pem) -> Result<Self, TlsError> {
        let tickets = Ticketer::new().map_err(|_| TlsError::new(Fault::Random))?;
        let greetings =
            greetings(pem, &tickets).map_err(|error| located(error, source.as_deref()))?;
        Ok(Self(Arc::new(Inner {
            source: source.map(Mutex::new),
            greetings: RwLock::new(greetings),
            tickets,
            looked_ms: AtomicU64::new(clock::monotonic_ms()),
            on_problem: RwLock::new(Box::new(|_| ())),
            told: Mutex::default(),
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
        let Some(source) = &self.0.source else { return Ok(false) };
        self.renew(source.lock().unwrap_or_else(PoisonError::into_inner).as_mut())
    }

    fn renew(&self, source: &mut dyn Source) -> Result<bool, TlsError> {
        let Some(pem) = source.changed()? else { return Ok(false) };
        let greetings =
            greetings(&pem, &self.0.tickets).map_err(|error| located(error, Some(source)))?;
        *self.0.greetings.write().unwrap_or_else(PoisonError::into_inner) = greetings;
        Ok(true)
    }

    /// Whether users of the machine other than its owner and its group may read the key.
    #[must_use]
    pub fn is_key_exposed(&self) -> bool {
        let source = self.0.source.as_ref();
        source.is_some_and(|source| {
            source.lock().unwrap_or_else(PoisonError::into_inner).is_key_exposed()
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
        self.0.source.is_some()
            && now_ms.saturating_sub(before) >= LOOK_MS
            && self
                .0
                .looked_ms
                .compare_exchange(before, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Looks at the files, and tells of a problem once. Blocks.
    pub(crate) fn look(&self) {
        let Some(source) = &self.0.source else { return };
        let mut source = match source.try_lock() {
            Ok(source) => source,
            Err(TryLockError::Poisoned(source)) => source.into_inner(),
            // One look is enough, where a disk does not answer.
            Err(TryLockError::WouldBlock) => return,
        };
        let problem = self.renew(source.as_mut()).err();
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = problem.as_ref().filter(|_| *told != problem) {
            (self.0.on_problem.read().unwrap_or_else(PoisonError::into_inner))(error);
        }
        *told = problem;
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// The protocols that are offered, the best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [HTTP2, b"http/1.1"];

/// HTTP/2 inside TLS (RFC 9113 §3.2).
pub(super) const HTTP2: &[u8] = b"h2";

fn greetings(pem: &Pem, tickets: &Arc<dyn ProducesTickets>) -> Result<Greetings, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem.certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::new(Fault::Certificate))?;
    if certificates.is_empty() {
        return Err(TlsError::new(Fault::NoCertificate));
    }
    let encrypted = |key: &[u8]| key.windows(9).any(|word| word == b"ENCRYPTED");
    let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|_| {
        TlsError::new(if encrypted(&pem.key) { Fault::Encrypted } else { Fault::NoKey })
    })?;
    let provider = CryptoProvider { cipher_suites: suites(), ..default_provider() };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| {
            TlsError::new(match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Fault::Mismatch,
                rustls::Error::InvalidCertificate(_) => Fault::Certificate,
                _ => Fault::Key,
            })
        })?;
    config.ignore_client_order = true;
    config.ticketer = Arc::clone(tickets);
    let offering = |protocols: &[&[u8]]| {
        let mut config = config.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    };
    Ok(Greetings { both: offering(&PROTOCOLS), http1: offering(&PROTOCOLS[1..]) })
}

/// All suites, the cheapest for this machine first: a board without instructions for AES takes several times as long for it.
/// None of them is weaker in a way that anybody could use.
fn suites() -> Vec<SupportedCipherSuite> {
    use rustls::crypto::ring::cipher_suite as suite;
    let aes = [
        suite::TLS13_AES_128_GCM_SHA256,
        suite::TLS13_AES_256_GCM_SHA384,
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ];
    let chacha = [
        suite::TLS13_CHACHA20_POLY1305_SHA256,
        suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    if has_aes() { [&aes[..], &chacha].concat() } else { [&chacha[..], &aes].concat() }
}

#[cfg(target_arch = "x86_64")]
fn has_aes() -> bool {
    std::arch::is_x86_feature_detected!("aes")
}

#[cfg(target_arch = "aarch64")]
fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes() -> bool {
    false
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
    /// In these words.
    Said(Cow<'static, str>),
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

    /// What is wrong with a file or folder, in words that say what to do.
    fn at(path: &Path, is_of_key: bool, what: impl Into<Cow<'static, str>>) -> Self {
        Self { path: Some(path.to_owned()), is_of_key, fault: Fault::Said(what.into()) }
    }

    fn new(fault: Fault) -> Self {
        let is_of_key = !matches!(fault, Fault::NoCertificate | Fault::Certificate);
        Self { path: None, is_of_key, fault }
    }
}

/// The same error with the file that it is about.
fn located(error: TlsError, source: Option<&dyn Source>) -> TlsError {
    let path = source.map(|source| match error.is_of_key {
        true => source.key(),
        false => source.certificate(),
    });
    TlsError { path: path.map(Path::to_owned), ..error }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        f.write_str(match &self.fault {
            Fault::Said(what) => what,
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn g5_what_is_wrong_with_a_file_is_told_once_while_it_is_so() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        fs::write(&certificate, include_str!("../../../tests/tls/cert.pem")).unwrap();
        fs::write(&key, include_str!("../../../tests/tls/key.pem")).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&told);
        let tls = Tls::from_files(&certificate, &key).unwrap();
        let tls = tls.on_problem(move |error| note.lock().unwrap().push(error.to_string()));
        fs::remove_file(&certificate).unwrap();
        for _ in 0..3 {
            tls.look();
        }
        fs::write(&certificate, "nothing").unwrap();
        for _ in 0..3 {
            tls.look();
        }
        let told = told.lock().unwrap();
        assert!(told[0].contains("cannot be read"), "{told:?}");
        assert!(told[1].contains("there is no certificate in it"), "{told:?}");
        assert_eq!(told.len(), 2, "{told:?}");
    }
}
