//! Stops without cutting anyone off: `cargo run --example graceful [PORT]`, then
//!
//! - `curl localhost:8080/slow`, and Ctrl-C for the server while curl waits: the answer still arrives, then the server
//!   ends, and says so;
//! - `curl localhost:8080/stop` stops it from within.

use std::error::Error;
use std::time::Duration;

use number8::server::bind;
use number8::{App, Handle, Options, Server, State};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let listeners = bind(&[format!("127.0.0.1:{port}").parse()?], 8080)?;
    // Requests that take longer than this are cut.
    let options = Options { grace: Duration::from_secs(5), ..Options::default() };
    let server = Server::new(App::new(), options, listeners);
    let handle = server.handle();
    handle.replace(app(handle.clone()))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/slow"));

    server.run_with(async move {
        match stop_asked_for().await {
            Ok(()) => handle.shutdown(),
            Err(error) => eprintln!("signals cannot be heard: {error}"),
        }
    })?;
    eprintln!("every request was answered");
    Ok(())
}

fn app(handle: Handle) -> App {
    App::new().state(handle).get("/slow", slow).get("/stop", async |handle: State<Handle>| {
        handle.shutdown();
        "The last answer.\n"
    })
}

/// Longer than it takes to press Ctrl-C.
async fn slow() -> &'static str {
    eprintln!("a request has begun");
    tokio::time::sleep(Duration::from_secs(2)).await;
    "It was worth the wait.\n"
}

/// Ctrl-C, or what a service manager sends.
async fn stop_asked_for() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
