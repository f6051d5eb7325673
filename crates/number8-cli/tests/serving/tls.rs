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
    let options = ["--log", "off", "--redirect-http", "127.0.0.1:0"];
    let (served, port) = start(folder.path(), &options);
    let line = served.message("Leads to https: http://127.0.0.1:");
    let http = line.split("127.0.0.1:").nth(1).unwrap().split('/').next().unwrap();
    let url = ["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "http://localhost/a?b"];
    let answer = curl(folder.path(), http, &url);
    assert_eq!(answer, format!("308 https://localhost:{port}/a?b"));
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
