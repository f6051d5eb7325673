//! /ws sends every message back.

use number8::{App, SocketError, WebSocket};

/// As much as the peers take, and as suites of cases send.
const MESSAGE_BYTES_MAX: u64 = 16 << 20;

pub(crate) fn routes(app: App) -> App {
    let echo = WebSocket::new(async |mut socket| {
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok::<(), SocketError>(())
    });
    app.mount("/ws", echo.message_bytes_max(MESSAGE_BYTES_MAX))
}
