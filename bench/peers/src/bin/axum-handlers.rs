//! `axum-handlers PORT`: axum on one thread, with a route that has to wait and sends its sleep to
//! tokio's pool for that, and a quick one beside it.

use std::{net::Ipv4Addr, thread, time::Duration};

use axum::{Router, http::StatusCode, routing::get, serve::ListenerExt};
use tokio::{net::TcpSocket, task::spawn_blocking};

const SLEEP: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: axum-handlers PORT")?.parse()?;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    let listener = socket.listen(4096)?.tap_io(|stream| {
        // A client that is gone already is no reason to stop.
        let _ = stream.set_nodelay(true);
    });
    let app =
        Router::new().route("/", get(quick)).route("/quick", get(quick)).route("/slow", get(slow));
    Ok(axum::serve(listener, app).await?)
}

async fn quick() -> &'static str {
    "Hello, world."
}

async fn slow() -> Result<&'static str, StatusCode> {
    let slept = spawn_blocking(|| thread::sleep(SLEEP)).await;
    slept.map(|()| "Slept.").map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
