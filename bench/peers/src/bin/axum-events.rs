//! `axum-events PORT`: axum's event streams over a tokio broadcast channel, on one thread. What is
//! posted to /publish goes to everyone who listens to /events.

use std::{convert::Infallible, net::Ipv4Addr};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::sse::{Event, KeepAlive, Sse},
    routing::{get, post},
    serve::ListenerExt,
};
use futures_util::stream::{self, Stream};
use tokio::{
    net::TcpSocket,
    sync::broadcast::{self, error::RecvError},
};

/// How many events a slow client may be behind.
const EVENTS_KEPT: usize = 256;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: axum-events PORT")?.parse()?;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    let listener = socket.listen(4096)?.tap_io(|stream| {
        // A client that is gone already is no reason to stop.
        let _ = stream.set_nodelay(true);
    });
    let app = Router::new()
        .route("/", get(async || "Hello, world."))
        .route("/events", get(events))
        .route("/publish", post(publish))
        .with_state(broadcast::channel(EVENTS_KEPT).0);
    Ok(axum::serve(listener, app).await?)
}

async fn events(
    State(sender): State<broadcast::Sender<Event>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    // Without the boxes of tokio-stream's BroadcastStream.
    let stream = stream::unfold(sender.subscribe(), async |mut receiver| {
        loop {
            match receiver.recv().await {
                Ok(event) => return Some((Ok(event), receiver)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

async fn publish(State(sender): State<broadcast::Sender<Event>>, data: String) -> StatusCode {
    // That nobody listens is no error.
    let _ = sender.send(Event::default().data(data));
    StatusCode::NO_CONTENT
}
