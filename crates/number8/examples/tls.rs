//! A server that nobody listens in on: `cargo run --all-features --example tls CERTIFICATE KEY [PORT]`, with two files as they come from
//!
//! ```sh
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 30 \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost
//! ```
//!
//! - `curl --cacert cert.pem https://localhost:8443/` trusts it and gets an answer;
//! - `curl https://localhost:8443/` does not know the certificate;
//! - `curl -i http://localhost:8443/` is led to https.

use number8::{App, Request, Server, Tls};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("give the files of a certificate and of its key".into());
    };
    let port = arguments.next().unwrap_or_else(|| "8443".to_owned());

    let tls = Tls::from_files(certificate, key)?
        .on_problem(|error| eprintln!("{error}; the old certificate stays in use"));
    let app = App::new().get("/", async |request: Request| {
        if request.caller().is_secure { "Nobody listens in.\n" } else { "Careful.\n" }
    });
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?.tls(tls);
    server.local_addrs().for_each(|address| eprintln!("https://{address}/"));
    Ok(server.run()?)
}
