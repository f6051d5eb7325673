use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use number8::server::Timeouts;
use number8::{App, Authority, Tls, TlsError};
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tempfile::TempDir;

use super::{LAST, Running, app, trusting};

/// What devices know of the authority, as text.
fn pem(authority: &Authority) -> String {
    String::from_utf8(authority.certificate().to_vec()).unwrap()
}

fn make(folder: &Path, names: &[&str]) -> Result<(Tls, Authority), TlsError> {
    Tls::self_signed(folder, names.iter().copied())
}

/// The certificate that is shown, with its key and what it was made for.
fn shown(folder: &Path) -> String {
    fs::read_to_string(folder.join("server.pem")).unwrap()
}

fn folder() -> (TempDir, std::path::PathBuf) {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("state/tls");
    (top, folder)
}

/// The end of an answer by this name, or what is wrong with the certificate.
fn ask(
    running: &Running,
    config: &Arc<ClientConfig>,
    name: &str,
) -> Result<String, std::io::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut client = StreamOwned::new(connection, running.plain());
    client.write_all(LAST.as_bytes())?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok(answer.rsplit("\r\n").next().unwrap().to_owned())
}

#[test]
fn g5_who_trusts_the_authority_reaches_the_machine_by_each_of_its_names() {
    let (_top, folder) = folder();
    let (tls, authority) = make(&folder, &["farm.example", "board.local", "192.0.2.7"]).unwrap();
    let running = Running::start(app(), tls, Timeouts::default());
    for version in rustls::ALL_VERSIONS {
        let config = trusting(&[&pem(&authority)], &[version]);
        for name in ["localhost", "127.0.0.1", "::1", "farm.example", "board.local", "192.0.2.7"] {
            assert_eq!(ask(&running, &config, name).unwrap(), "secure: true", "{name}");
        }
        for name in ["bank.example", "192.0.2.8"] {
            assert!(ask(&running, &config, name).is_err(), "{name}");
        }
    }
    assert!(authority.left_out().is_empty());
}

#[test]
fn g5_nobody_else_may_read_what_is_kept() {
    let (_top, folder) = folder();
    let (_, authority) = make(&folder, &[]).unwrap();
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("."), mode("authority.pem"), mode("server.pem")), (0o700, 0o600, 0o600));
    assert_eq!(authority.path(), folder.join("ca.crt"));
    assert_eq!(fs::read(authority.path()).unwrap(), authority.certificate());
    assert!(!pem(&authority).contains("PRIVATE"));
    // Nothing half-made stays behind.
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
}

#[test]
fn g5_the_authority_stays_and_a_certificate_that_serves_does() {
    let (_top, folder) = folder();
    let (_, authority) = make(&folder, &["a.local"]).unwrap();
    let first = shown(&folder);
    for (names, stays) in [
        (&["a.local"][..], true),
        // What nobody asks for any more is in nobody's way.
        (&[], true),
        (&["b.local"], false),
        (&["a.local", "192.0.2.7"], false),
    ] {
        let before = shown(&folder);
        let (_, again) = make(&folder, names).unwrap();
        assert_eq!(again.fingerprint(), authority.fingerprint());
        assert_eq!(again.certificate(), authority.certificate());
        assert_eq!(shown(&folder) == before, stays, "{names:?}");
    }
    assert_ne!(shown(&folder), first);
}

#[test]
fn g5_a_certificate_that_nears_its_end_is_made_anew() {
    let (_top, folder) = folder();
    let (_, authority) = make(&folder, &[]).unwrap();
    let made = shown(&folder);
    let line = made.lines().find(|line| line.starts_with("until: ")).unwrap();
    let until: i64 = line["until: ".len()..].parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let days = (until - now.as_secs() as i64) / (24 * 60 * 60);
    assert!((390..=397).contains(&days), "browsers take 398 days at most, and this has {days}");

    let near = now.as_secs() as i64 + 29 * 24 * 60 * 60;
    for (text, why) in [
        (made.replace(line, &format!("until: {near}")), "near its end"),
        (made[..made.len() - 100].to_owned(), "cut"),
        (made.replace(authority.fingerprint(), "AB:CD"), "of another authority"),
        (String::new(), "empty"),
    ] {
        fs::write(folder.join("server.pem"), &text).unwrap();
        let (_, again) = make(&folder, &[]).unwrap();
        assert_eq!(again.fingerprint(), authority.fingerprint(), "{why}");
        assert!(shown(&folder) != text && shown(&folder) != made, "{why}");
    }
}

#[test]
fn g5_what_is_wrong_with_a_kept_authority_is_said() {
    let (_top, folder) = folder();
    let (_, authority) = make(&folder, &[]).unwrap();
    let file = folder.join("authority.pem");
    let whole = fs::read_to_string(&file).unwrap();
    let (_other, other) = self::folder();
    make(&other, &[]).unwrap();
    let other = fs::read_to_string(other.join("authority.pem")).unwrap();
    let key_of = |text: &str| {
        text[text.find("-----BEGIN P").unwrap()..text.find("-----BEGIN C").unwrap()].to_owned()
    };
    let refused = |text: &str, mode, want: &str| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let error = make(&folder, &[]).unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with(&file.display().to_string()) && said.contains(want), "{said}");
        assert!(error.is_about_key());
        // Nothing is put in its place: devices trust the one that was there.
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    };
    refused(&whole, 0o640, "chmod 600");
    refused(&whole, 0o604, "chmod 600");
    let broken = "not as number8 has written it";
    refused("", 0o600, broken);
    refused(&whole[..whole.len() / 2], 0o600, broken);
    refused(&whole.replace(&key_of(&whole), &key_of(&other)), 0o600, broken);
    refused(&whole.replace("until: ", "until: x"), 0o600, broken);

    fs::write(&file, &whole).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let said = make(&folder, &[]).unwrap_err().to_string();
    assert!(said.contains("chmod 700"), "{said}");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(make(&folder, &[]).unwrap().1.fingerprint(), authority.fingerprint());
    let said = make(&file, &[]).unwrap_err().to_string();
    assert!(said.contains("cannot be written"), "{said}");
}

#[test]
fn g5_an_authority_vouches_for_local_names_and_those_it_was_made_for() {
    let (_top, folder) = folder();
    let (_, first) = make(&folder, &["farm.example"]).unwrap();
    let (tls, authority) = make(&folder, &["farm.example", "bank.example", "a.home.arpa"]).unwrap();
    assert_eq!(authority.fingerprint(), first.fingerprint());
    assert_eq!(authority.left_out(), ["bank.example"]);
    let running = Running::start(app(), tls, Timeouts::default());
    let config = trusting(&[&pem(&authority)], rustls::ALL_VERSIONS);
    assert_eq!(ask(&running, &config, "farm.example").unwrap(), "secure: true");
    assert_eq!(ask(&running, &config, "a.home.arpa").unwrap(), "secure: true");

    // Whoever has its key can make others, which nobody believes.
    let text = fs::read(folder.join("authority.pem")).unwrap();
    let key = PrivatePkcs8KeyDer::from_pem_slice(&text).unwrap();
    let mut of_authority = CertificateParams::default();
    of_authority.distinguished_name = rcgen::DistinguishedName::new();
    of_authority.distinguished_name.push(DnType::CommonName, authority.name());
    let issuer = Issuer::new(of_authority, KeyPair::try_from(&key).unwrap());
    for (name, is_believed) in [("x.local", true), ("bank.example", false)] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let text = |label: &str, der: &[u8]| {
            use base64::prelude::{BASE64_STANDARD, Engine};
            format!(
                "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
                BASE64_STANDARD.encode(der)
            )
        };
        let (certificate, key) =
            (text("CERTIFICATE", certificate.der()), text("PRIVATE KEY", key.serialized_der()));
        let tls = Tls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let running = Running::start(app(), tls, Timeouts::default());
        assert_eq!(ask(&running, &config, name).is_ok(), is_believed, "{name}");
    }
}

#[test]
fn g5_several_that_start_at_once_have_one_authority() {
    let (_top, folder) = folder();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let folder = folder.clone();
            thread::spawn(move || make(&folder, &[]).unwrap().1.fingerprint().to_owned())
        })
        .collect();
    let mut found: Vec<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
    found.dedup();
    assert_eq!(found.len(), 1);
}

#[test]
fn g5_nothing_is_made_anew_while_it_serves() {
    let (_top, folder) = folder();
    let (tls, _) = make(&folder, &[]).unwrap();
    let before = shown(&folder);
    assert!(!tls.reload().unwrap());
    assert_eq!(shown(&folder), before);
}

#[tokio::test]
async fn g5_devices_get_the_authority_as_something_to_install() {
    let (_top, folder) = folder();
    let (_, authority) = make(&folder, &[]).unwrap();
    let server = App::new().mount("/.number8/ca.crt", authority.clone()).test();
    let answer = server.get("/.number8/ca.crt").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.field("content-type"), Some("application/x-x509-ca-cert"));
    assert_eq!(answer.field("content-disposition"), None);
    assert_eq!(answer.body(), authority.certificate());
    let refused = server.put("/.number8/ca.crt").send().await.unwrap();
    assert_eq!((refused.status(), refused.field("allow")), (405, Some("GET, HEAD, OPTIONS")));
}
