//! The command with a certificate, and clients that people have.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::{PATIENCE, Served, sandbox, until};

const CERTIFICATE: &str = include_str!("../../../number8/tests/tls/cert.pem");
const KEY: &str = include_str!("../../../number8/tests/tls/key.pem");
const OTHER_CERTIFICATE: &str = include_str!("../../../number8/tests/tls/other-cert.pem");
const OTHER_KEY: &str = include_str!("../../../number8/tests/tls/other-key.pem");

/// Serves `site` with a certificate.
fn start(folder: &Path, arguments: &[&str]) -> (Served, String) {
    fs::write(folder.join("cert.pem"), CERTIFICATE).unwrap();
    fs::write(folder.join("key.pem"), KEY).unwrap();
    let mut command = crate::number8(folder);
    command.args(["site", "-b", "127.0.0.1:0", "--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    command.args(arguments);
    let served = Served::run(command);
    let line = served.message("https://127.0.0.1:");
    let port = line.split("https://127.0.0.1:").nth(1).unwrap().split('/').next().unwrap();
    (served, port.to_owned())
}

/// What curl prints; `localhost` is where the server is.
fn curl(folder: &Path, port: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.current_dir(folder).args(["-sS", "--noproxy", "*", "--max-time"]);
    command.arg(PATIENCE.as_secs().to_string());
    command.args(["--connect-to", &format!("localhost::127.0.0.1:{port}")]).args(arguments);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    String::from_utf8_lossy(&output.stdout).into_owned() + &errors
}

#[test]
fn g5_curl_is_served_by_tls_1_2_and_1_3() {
    let folder = sandbox();
    let (_served, port) = start(folder.path(), &["--log", "off"]);
    for version in [&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        let arguments = [version, &["--cacert", "cert.pem", "https://localhost/"]].concat();
        assert_eq!(curl(folder.path(), &port, &arguments), "hello", "{version:?}");
    }
    let old = ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", "-k", "https://localhost/"];
    assert!(curl(folder.path(), &port, &old).contains("curl: ("));
    let plain = ["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "http://localhost/a?b"];
    assert_eq!(curl(folder.path(), &port, &plain), "308 https://localhost/a?b");
}

#[test]
fn g5_who_comes_by_http_is_led_to_https() {
    let folder = sandbox();
    let log = ["--log", "$method $path $status", "--log-file", "log", "--no-server-header"];
    let options = [&log[..], &["--redirect-http", "127.0.0.1:0"]].concat();
    let (served, port) = start(folder.path(), &options);
    let line = served.message("Leads to https: http://127.0.0.1:");
    let http = line.split("127.0.0.1:").nth(1).unwrap().split('/').next().unwrap();
    let url = ["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "http://localhost/a?b"];
    let answer = curl(folder.path(), http, &url);
    assert_eq!(answer, format!("308 https://localhost:{port}/a?b"));

    // In the log as any other, also after a reload.
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    until("the line is there", || log() == "GET /a 308\n");
    served.signal(Signal::HUP);
    served.message("the configuration has been loaded again");
    let fields = curl(folder.path(), http, &["-I", "http://localhost/b"]);
    assert!(fields.contains("\r\nLocation: ") && !fields.contains("\r\nServer: "), "{fields}");
    until("the next line is there", || log() == "GET /a 308\nHEAD /b 308\n");
}

#[test]
fn g5_a_certificate_is_read_again_and_a_wrong_one_is_not_used() {
    let folder = sandbox();
    let (served, port) = start(folder.path(), &["--log", "off"]);
    let get = |certificate: &str| {
        let arguments = ["--cacert", certificate, "https://localhost/"];
        curl(folder.path(), &port, &arguments)
    };
    fs::write(folder.path().join("other.pem"), OTHER_CERTIFICATE).unwrap();
    fs::write(folder.path().join("first.pem"), CERTIFICATE).unwrap();
    fs::write(folder.path().join("cert.pem"), "nothing").unwrap();
    served.signal(Signal::HUP);
    served.message("cert.pem: there is no certificate in it");
    assert_eq!(get("first.pem"), "hello");
    fs::write(folder.path().join("cert.pem"), OTHER_CERTIFICATE).unwrap();
    fs::write(folder.path().join("key.pem"), OTHER_KEY).unwrap();
    // Without a signal, too.
    until("the new one is shown", || get("other.pem") == "hello");
}

#[test]
fn g5_what_is_wrong_is_said_at_the_start() {
    let folder = sandbox();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    write("cert.pem", CERTIFICATE);
    write("key.pem", KEY);
    write("other.pem", OTHER_KEY);
    for (arguments, want) in [
        (&["--tls-cert", "cert.pem"][..], "tls-key"),
        (&["--tls-key", "key.pem"], "tls-cert"),
        (&["--redirect-http", ":0"], "no https to lead to"),
        (&["--tls-cert", "none.pem", "--tls-key", "key.pem"], "none.pem: cannot be read: "),
        (&["--tls-cert", "cert.pem", "--tls-key", "cert.pem"], "there is no private key in it"),
        (&["--tls-cert", "cert.pem", "--tls-key", "other.pem"], "not that of the certificate"),
    ] {
        let mut command = crate::number8(folder.path());
        command.args(["site", "-b", "127.0.0.1:0"]).args(arguments);
        let mut served = Served::run(command);
        served.message(want);
        assert_eq!(served.ended().code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn g5_a_key_that_everybody_may_read_gets_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = sandbox();
    let (served, _) = start(folder.path(), &[]);
    let is_exposed = fs::metadata(folder.path().join("key.pem")).unwrap().permissions().mode() & 4;
    if is_exposed != 0 {
        served.message("everybody on this machine may read the key");
    }
}

#[test]
fn g5_a_handshake_has_to_end_in_time() {
    let folder = sandbox();
    let (served, port) =
        start(folder.path(), &["-v", "--log", "off", "--timeout-handshake", "100ms"]);
    let client = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    served.message("the TLS handshake took too long");
    drop(client);
}

/// Serves `site` with a certificate that is made here; the ports of https and of http.
fn start_made(folder: &Path, arguments: &[&str]) -> (Served, String, String) {
    let mut command = crate::number8(folder);
    command.args(["site", "-b", "127.0.0.1:0", "--log", "off", "--tls-self-signed=state"]);
    command.args(["--redirect-http", "127.0.0.1:0"]).args(arguments);
    let served = Served::run(command);
    let port = |line: String| {
        line.split("://127.0.0.1:").nth(1).unwrap().split('/').next().unwrap().to_owned()
    };
    let https = port(served.message("  https://127.0.0.1:"));
    let http = port(served.message("Leads to https: http://127.0.0.1:"));
    (served, https, http)
}

#[test]
fn g5_a_certificate_is_made_and_trusted_by_its_authority() {
    let folder = sandbox();
    let fingerprint = {
        let (served, https, http) = start_made(folder.path(), &["--mdns=cowshed"]);
        let how = served.message("to trust it, devices install");
        assert!(
            how.contains(&format!(
                "install http://127.0.0.1:{http}/.number8/ca.crt (here: state/ca.crt)"
            )),
            "{how}"
        );
        let fingerprint = served.message("  SHA-256 ");

        // As a phone does it, before it trusts anything.
        let plain = format!("http://127.0.0.1:{http}/.number8/ca.crt");
        let got = curl(
            folder.path(),
            &https,
            &["-o", "got.crt", "-w", "%{http_code} %{content_type}", &plain],
        );
        assert_eq!(got, "200 application/x-x509-ca-cert");
        let kept = fs::read(folder.path().join("state/ca.crt")).unwrap();
        assert_eq!(fs::read(folder.path().join("got.crt")).unwrap(), kept);

        for version in [&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"]] {
            let address = format!("https://127.0.0.1:{https}/");
            let name = "https://cowshed.local/";
            let to_name = format!("cowshed.local:443:127.0.0.1:{https}");
            for url in ["https://localhost/", &address, name] {
                let trust = ["--cacert", "got.crt", "--connect-to", &to_name, url];
                assert_eq!(
                    curl(folder.path(), &https, &[version, &trust].concat()),
                    "hello",
                    "{url}"
                );
            }
        }
        assert!(curl(folder.path(), &https, &["https://localhost/"]).contains("curl: (60)"));
        let again = curl(
            folder.path(),
            &https,
            &["--cacert", "got.crt", "https://localhost/.number8/ca.crt"],
        );
        assert_eq!(again.as_bytes(), kept);
        fingerprint
    };
    // The next start, with another name.
    let (served, https, _) = start_made(folder.path(), &["--host", "barn.local"]);
    assert_eq!(served.message("  SHA-256 "), fingerprint);
    let to_name = format!("barn.local:443:127.0.0.1:{https}");
    let by_name = ["--cacert", "got.crt", "--connect-to", &to_name, "https://barn.local/"];
    assert_eq!(curl(folder.path(), &https, &by_name), "hello");
}

#[test]
fn g5_who_may_not_read_the_folder_may_trust_it() {
    let folder = sandbox();
    let options = ["--auth", "ann:milk@/:all", "--path-prefix", "/farm"];
    let (_served, https, http) = start_made(folder.path(), &options);
    for url in [
        format!("http://127.0.0.1:{http}/farm/.number8/ca.crt"),
        "https://localhost/farm/.number8/ca.crt".to_owned(),
    ] {
        let got = curl(folder.path(), &https, &["--cacert", "state/ca.crt", &url]);
        assert!(got.starts_with("-----BEGIN CERTIFICATE-----\n"), "{url}: {got}");
    }
    let refused = [
        "--cacert",
        "state/ca.crt",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "https://localhost/farm/",
    ];
    assert_eq!(curl(folder.path(), &https, &refused), "401");
}

#[test]
fn g5_where_a_certificate_cannot_be_made_it_is_said() {
    let folder = sandbox();
    fs::write(folder.path().join("cert.pem"), CERTIFICATE).unwrap();
    fs::write(folder.path().join("key.pem"), KEY).unwrap();
    let given = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-self-signed=state"];
    for (arguments, code, want) in [
        (&given[..], 2, "take one of the two"),
        (&["--tls-self-signed=site/keys"], 2, "everybody could get the keys"),
        (&["--tls-self-signed=site/.keys", "--hidden"], 2, "everybody could get the keys"),
        (&["--tls-self-signed=cert.pem"], 1, "cert.pem: cannot be written"),
        (&["--tls-self-signed"], 2, "say with tls-self-signed=DIR where to keep it"),
    ] {
        let mut command = crate::number8(folder.path());
        command.env_remove("HOME").env_remove("XDG_STATE_HOME").env_remove("STATE_DIRECTORY");
        command.args(["site", "-b", "127.0.0.1:0"]).args(arguments);
        let mut served = Served::run(command);
        served.message(want);
        assert_eq!(served.ended().code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn g5_keys_are_kept_where_state_is_and_only_to_serve() {
    let folder = sandbox();
    let state = folder.path().join("state");
    let with_state = |name: &str, value: &Path| {
        let mut command = crate::number8(folder.path());
        command.env_remove("STATE_DIRECTORY").env("HOME", folder.path()).env(name, value);
        command.args(["site", "-b", "127.0.0.1:0", "--tls-self-signed"]);
        command
    };
    assert!(
        with_state("XDG_STATE_HOME", &state)
            .arg("--print-config")
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(!state.exists(), "asking is not serving");
    for (name, keys) in [("XDG_STATE_HOME", "number8/tls"), ("STATE_DIRECTORY", "tls")] {
        let served = Served::run(with_state(name, &state));
        let line = served.message("(here: ");
        let file = state.join(keys).join("ca.crt");
        assert!(line.contains(&format!("(here: {})", file.display())), "{line}");
        assert!(file.exists());
    }
}
