//! `axum-ws PORT`: axum's WebSocket on one thread. /ws sends every message back.

use std::net::Ipv4Addr;

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::get,
    serve::ListenerExt,
};
use tokio::net::TcpSocket;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: axum-ws PORT")?.parse()?;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    let listener = socket.listen(4096)?.tap_io(|stream| {
        // A client that is gone already is no reason to stop.
        let _ = stream.set_nodelay(true);
    });
    let app = Router::new().route("/", get(async || "Hello, world.")).route("/ws", get(upgrade));
    Ok(axum::serve(listener, app).await?)
}

async fn upgrade(request: WebSocketUpgrade) -> Response {
    request.on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        match message {
            Message::Text(_) | Message::Binary(_) => {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            // Answered by axum.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
        }
    }
}
