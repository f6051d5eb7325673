//! Routes, arguments, JSON, files, uploads, events and WebSocket with axum.

use std::{convert::Infallible, io, net::Ipv4Addr, path::Path};

use axum::{
    Form, Json, Router,
    body::Bytes,
    debug_handler,
    extract::{
        Path as PathValue, Query, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::StatusCode,
    response::{
        Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post, put},
};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::broadcast};
use tower_http::services::ServeDir;

type Events = broadcast::Sender<String>;

#[derive(Deserialize, Serialize)]
pub struct Song {
    title: String,
    seconds: u32,
}

pub async fn serve(port: u16) -> io::Result<()> {
    let app = Router::new()
        .route("/songs/{id}", get(show))
        .route("/songs", post(add_song).get(find_song))
        .route("/form", post(form))
        .route("/upload/{name}", put(upload))
        .route("/events", get(events).post(publish))
        .route("/ws", get(upgrade))
        .fallback_service(ServeDir::new("."))
        .with_state(broadcast::channel(16).0);
    #[cfg(feature = "compression")]
    let app = app.layer(tower_http::compression::CompressionLayer::new());
    axum::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?, app).await
}

#[debug_handler]
async fn show(PathValue(id): PathValue<u32>) -> Json<Song> {
    Json(Song { title: "Untitled".into(), seconds: id })
}

#[debug_handler]
async fn add_song(Json(song): Json<Song>) -> Json<Song> {
    Json(song)
}

#[debug_handler]
async fn find_song(Query(song): Query<Song>) -> Json<Song> {
    Json(song)
}

#[debug_handler]
async fn form(Form(song): Form<Song>) -> String {
    song.title
}

async fn upload(PathValue(name): PathValue<String>, body: Bytes) -> Result<(), StatusCode> {
    let name = Path::new(&name).file_name().ok_or(StatusCode::BAD_REQUEST)?;
    tokio::fs::write(name, body).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn events(
    State(events): State<Events>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = stream::unfold(events.subscribe(), async |mut receiver| {
        let data = receiver.recv().await.ok()?;
        Some((Ok(Event::default().data(data)), receiver))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

async fn publish(State(events): State<Events>, data: String) -> StatusCode {
    match events.send(data) {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::NOT_FOUND,
    }
}

async fn upgrade(request: WebSocketUpgrade) -> Response {
    request.on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}
