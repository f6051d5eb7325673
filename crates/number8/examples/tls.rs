//! A server that nobody listens in on.
//!
//! ```sh
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 30 \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost
//! cargo run --example tls --features tls -- cert.pem key.pem
//! curl --cacert cert.pem https://localhost:8443/
//! ```

use number8::{App, Request, Server, Tls};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("give the files of a certificate and of its key".into());
    };
    let tls = Tls::from_files(certificate, key)?
        .on_problem(|error| eprintln!("{error}; the old certificate stays in use"));
    let app = App::new().get("/", async |request: Request| {
        if request.caller().is_secure { "Nobody listens in.\n" } else { "Careful.\n" }
    });
    Server::bind(app, "localhost:8443")?.tls(tls).run()?;
    Ok(())
}
