//! An authority of this machine's own, and the certificate that it gives the machine for every name it has in its network.
//!
//! A folder keeps them, and each file whole: `authority.pem` the authority with its key, `server.pem` the certificate that is
//! shown with its own, `ca.crt` the certificate of the authority alone, for whoever is to trust it. What a certificate was
//! made for stands in front of it, so that nothing here has to read certificates.

mod authority;
mod folder;
mod names;
mod note;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::super::clock;
use super::{Pem, Source, Tls, TlsError};
pub use authority::Authority;
use folder::Folder;
use note::Note;

/// The file that has the authority with its key.
const AUTHORITY: &str = "authority.pem";

const DAY: i64 = 24 * 60 * 60;

/// Clocks of devices may be behind.
const BEFORE: i64 = 2 * DAY;

/// Devices that trust it are not asked again for as long as most of them live.
const AUTHORITY_LIFE: i64 = 20 * 365 * DAY;

/// Browsers take nothing that is valid for more than 398 days.
const CERTIFICATE_LIFE: i64 = 397 * DAY;

/// Between two tries to keep a new one, where the folder does not take it.
const TRIED_AGAIN_AFTER: i64 = 60 * 60;

/// How long before its end a certificate is replaced.
const RENEWED_BEFORE: i64 = 30 * DAY;

/// The names that are nobody's on the internet, whatever a machine is called: RFC 6761, RFC 6762, RFC 8375, and what ICANN
/// and routers keep for local networks.
const LOCAL_DOMAINS: [&str; 6] = ["localhost", "local", "home.arpa", "internal", "lan", "home"];

impl Tls {
    /// Makes a certificate for this machine: for `localhost`, its host name, that name with `.local`, all of its addresses, and
    /// `names` besides. An authority of its own signs it, which devices trust once they have installed its certificate:
    /// [`Authority`] is a handler that gives it to them.
    ///
    /// `folder` keeps both, and is made where it is missing. The authority stays the same for twenty years; the
    /// certificate is made anew before its end, and when the machine has got another name or address.
    ///
    /// The authority can vouch for addresses, for names that only a local network has, and for those that the machine had
    /// and that were asked for when it was made. So nobody who steals its key can pretend to be a bank. Other names are left
    /// out: [`Authority::left_out`].
    ///
    /// ```no_run
    /// use number8::{App, Server, Tls};
    ///
    /// let (tls, authority) = Tls::self_signed("/var/lib/farm/tls", ["farm.local"])?;
    /// eprintln!("The SHA-256 of the authority is {}", authority.fingerprint());
    /// let app = App::new().get("/", async || "Hello.").mount("/ca.crt", authority);
    /// Server::bind(app, ":8443")?.tls(tls).run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The folder or a file in it cannot be read or written, is not as it was written, or lets others of the machine read
    /// a key.
    pub fn self_signed(
        folder: impl AsRef<Path>,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<(Self, Authority), TlsError> {
        let asked = names.into_iter().map(Into::into).collect();
        let (made, pem, authority) = SelfSigned::open(folder.as_ref(), asked)?;
        Ok((Self::new(Some(Box::new(made)), &pem)?, authority))
    }
}

/// The authority and what it has last vouched for.
struct SelfSigned {
    folder: PathBuf,
    server_file: PathBuf,
    /// Names that were asked for besides those that the machine has.
    asked: Vec<String>,
    issuer: Issuer<'static, KeyPair>,
    /// Of the authority: its fingerprint, until when it lasts, and which names it may vouch for.
    note: Note,
    /// The same of the certificate that is shown, with the fingerprint of the authority.
    shown: Note,
    /// Which names could not be had, and when.
    refused: Option<(Vec<String>, i64)>,
}

impl SelfSigned {
    fn open(folder: &Path, asked: Vec<String>) -> Result<(Self, Pem, Authority), TlsError> {
        let held = Folder::open(folder)?;
        let now = clock::unix_seconds();
        let (note, key, certificate) = match kept_authority(&held)? {
            Some(kept) if kept.0.until - now > CERTIFICATE_LIFE => kept,
            _ => {
                let (made, text) = made_authority(&held.path(AUTHORITY), &asked, now)?;
                held.write_key(AUTHORITY, &text)?;
                made
            }
        };
        let authority = Authority::new(&note, &certificate, held.path("ca.crt"), {
            let names = asked.iter().filter(|name| !note.allows(name));
            names.cloned().collect()
        });
        held.write_public("ca.crt", authority.certificate())?;
        let issuer = Issuer::new(named(&note.name), key);
        let server_file = held.path("server.pem");
        let mut made = Self {
            folder: folder.to_owned(),
            server_file,
            asked,
            issuer,
            note,
            shown: Note::default(),
            refused: None,
        };
        let wanted = made.wanted();
        let pem = made.certified(&held, &wanted)?;
        Ok((made, pem, authority))
    }

    /// The names that the certificate is to have: all that the authority may vouch for.
    fn wanted(&self) -> Vec<String> {
        let mut names = names::of_machine();
        names.extend(self.asked.iter().cloned());
        names::distinct(names).filter(|name| self.note.allows(name)).collect()
    }

    /// The certificate that was kept, where it still serves; else a new one.
    fn certified(&mut self, held: &Folder, wanted: &[String]) -> Result<Pem, TlsError> {
        let now = clock::unix_seconds();
        if let Some(text) = held.read_key("server.pem")?
            && let Some(note) = Note::read(&text)
            && self.serves(&note, wanted, now)
            && PrivatePkcs8KeyDer::from_pem_slice(&text).is_ok()
            && CertificateDer::from_pem_slice(&text).is_ok()
        {
            self.shown = note;
            return Ok(Pem { certificate: text.clone(), key: text });
        }
        let (note, text) = self.made(wanted, now)?;
        held.write_key("server.pem", &text)?;
        self.shown = note;
        Ok(Pem { certificate: text.clone().into(), key: text.into() })
    }

    fn serves(&self, note: &Note, wanted: &[String], now: i64) -> bool {
        note.authority == self.note.authority
            && note.until - now > RENEWED_BEFORE
            && wanted.iter().all(|name| note.names.contains(name))
    }

    /// A new certificate with a new key.
    fn made(&self, names: &[String], now: i64) -> Result<(Note, String), TlsError> {
        let failed = |_| TlsError::at(&self.folder, false, "no certificate can be made here");
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(names).map_err(failed)?;
        let until = (now - BEFORE + CERTIFICATE_LIFE).min(self.note.until);
        is_valid(&mut params, now - BEFORE, until);
        params.distinguished_name = named(&self.note.name).distinguished_name;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        let note = Note { until, names: names.to_vec(), ..self.note.clone() };
        let text = note.before(
            "The certificate that number8 shows, and its key: nobody else's business.",
            &[("PRIVATE KEY", key.serialized_der()), ("CERTIFICATE", certificate.der())],
        );
        Ok((note, text))
    }
}

impl Source for SelfSigned {
    fn changed(&mut self) -> Result<Option<Pem>, TlsError> {
        let (wanted, now) = (self.wanted(), clock::unix_seconds());
        // That a folder takes nothing is said once for each reason to write there, not with every connection.
        let is_refused = |(names, at): &(_, i64)| *names == wanted && now - at < TRIED_AGAIN_AFTER;
        if self.serves(&self.shown, &wanted, now) || self.refused.as_ref().is_some_and(is_refused) {
            return Ok(None);
        }
        let made = Folder::open(&self.folder).and_then(|held| self.certified(&held, &wanted));
        self.refused = made.is_err().then_some((wanted, now));
        made.map(Some)
    }

    fn certificate(&self) -> &Path {
        &self.server_file
    }

    fn key(&self) -> &Path {
        &self.server_file
    }
}

impl Authority {
    /// The one that [`Tls::self_signed`] would give with this folder, for who wants to know what would be answered and leave nothing
    /// behind: that which the folder keeps; where none can be read there, one that is made for the moment and kept nowhere.
    ///
    /// # Errors
    /// None can be made here.
    pub fn preview(folder: impl AsRef<Path>) -> Result<Self, TlsError> {
        let (folder, now) = (folder.as_ref(), clock::unix_seconds());
        // A folder that is not there would be made.
        let held = folder.is_dir().then(|| Folder::open(folder).ok()).flatten();
        let kept = held.and_then(|held| kept_authority(&held).ok().flatten());
        let (note, _, certificate) = match kept.filter(|kept| kept.0.until - now > CERTIFICATE_LIFE)
        {
            Some(kept) => kept,
            None => made_authority(&folder.join(AUTHORITY), &[], now)?.0,
        };
        Ok(Self::new(&note, &certificate, folder.join("ca.crt"), Vec::new()))
    }
}

type KeptAuthority = (Note, KeyPair, CertificateDer<'static>);

/// The authority that the folder has; `None` where it has none.
fn kept_authority(held: &Folder) -> Result<Option<KeptAuthority>, TlsError> {
    let Some(text) = held.read_key(AUTHORITY)? else { return Ok(None) };
    let parsed = || {
        let note = Note::read(&text)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(&text).ok()?;
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).ok()?;
        let certificate = CertificateDer::from_pem_slice(&text).ok()?;
        // Its key stands in it as it is.
        let public = key.public_key_raw();
        let is_its_key = certificate.windows(public.len()).any(|bytes| bytes == public);
        let is_noted = note.authority == authority::fingerprint(&certificate);
        (is_its_key && is_noted).then_some((note, key, certificate))
    };
    parsed().map(Some).ok_or_else(|| {
        let why = "this is not as number8 has written it: put it back as it was, or remove the folder, and have devices \
                   trust the authority that is made then";
        TlsError::at(&held.path(AUTHORITY), true, why)
    })
}

/// A new authority, and the text of the file that is to keep it.
fn made_authority(
    file: &Path,
    asked: &[String],
    now: i64,
) -> Result<(KeptAuthority, String), TlsError> {
    let failed = |_| TlsError::at(file, true, "no authority can be made");
    let key = KeyPair::generate().map_err(failed)?;
    // Those who have trusted an earlier one can tell the two apart, and so can their devices.
    let digest = authority::fingerprint(key.public_key_raw());
    let tag: String = digest.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    let name = format!("number8 on {:.40} ({})", names::host(), tag.to_ascii_lowercase());

    let mut names: Vec<String> = LOCAL_DOMAINS.map(str::to_owned).into();
    names.extend(names::of_host().chain(asked.iter().cloned()));
    let mut domains: Vec<String> = Vec::new();
    for name in names::distinct(names).filter(|name| names::is_domain(name)) {
        if !note::is_within(&name, &domains) {
            domains.push(name);
        }
    }

    let until = now - BEFORE + AUTHORITY_LIFE;
    let mut params = named(&name);
    is_valid(&mut params, now - BEFORE, until);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // SECURITY: whoever steals the key can pretend to be nobody but machines of local networks.
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: domains.iter().cloned().map(GeneralSubtree::DnsName).collect(),
        excluded_subtrees: Vec::new(),
    });
    let certificate = CertificateDer::from(params.self_signed(&key).map_err(failed)?);
    let note =
        Note { name, authority: authority::fingerprint(&certificate), until, names: domains };
    let text = note.before(
        "An authority that number8 has made, and its key. Give nobody this file: ca.crt is what others need.",
        &[("PRIVATE KEY", key.serialized_der()), ("CERTIFICATE", &certificate)],
    );
    Ok(((note, key, certificate), text))
}

/// What says of a certificate whose it is.
fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Two times in seconds since 1970, none before.
fn is_valid(params: &mut CertificateParams, from: i64, until: i64) {
    let at = |seconds| {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    };
    (params.not_before, params.not_after) = (at(from), at(until));
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn g5_a_certificate_is_made_anew_while_it_is_shown() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("tls");
        let (mut made, first, _) = SelfSigned::open(&folder, vec!["a.local".to_owned()]).unwrap();
        assert!(made.changed().unwrap().is_none());

        // Its end is near, as time would have it.
        made.shown.until = clock::unix_seconds() + RENEWED_BEFORE;
        let kept = fs::read_to_string(folder.join("server.pem")).unwrap();
        let near = kept.replace("until: ", "until: 1\nwas: ");
        fs::write(folder.join("server.pem"), near).unwrap();
        let second = made.changed().unwrap().unwrap();
        assert_ne!(second.certificate, first.certificate);
        assert!(made.changed().unwrap().is_none());

        // A name that the machine has got meanwhile.
        made.asked.push("b.local".to_owned());
        let third = made.changed().unwrap().unwrap();
        assert!(String::from_utf8_lossy(&third.certificate).contains(" b.local"));

        // Another process was first: its certificate is taken.
        made.shown.names.clear();
        assert_eq!(made.changed().unwrap().unwrap().certificate, third.certificate);
    }

    #[test]
    fn g5_that_nothing_can_be_kept_is_said_once_for_the_same_names() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("tls");
        let (mut made, _, _) = SelfSigned::open(&folder, Vec::new()).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, "in its place").unwrap();
        made.asked.push("a.local".to_owned());
        assert!(made.changed().is_err());
        assert!(made.changed().unwrap().is_none());
        made.asked.push("b.local".to_owned());
        assert!(made.changed().is_err());
        // After an hour it may be another folder.
        made.refused = made.refused.map(|(names, at)| (names, at - TRIED_AGAIN_AFTER));
        fs::remove_file(&folder).unwrap();
        assert!(made.changed().unwrap().is_some());
    }
}
