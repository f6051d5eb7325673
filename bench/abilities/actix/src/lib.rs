//! Routes, arguments, JSON, files, uploads, events and WebSocket with actix-web. It has no event
//! streams of its own: the lines are written here.

use std::{
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer, get, post, put,
    rt::spawn,
    web::{Bytes, Data, Form, Json, Path as PathValue, Payload, Query},
};
use actix_ws::Message;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

type Events = broadcast::Sender<String>;

#[derive(Deserialize, Serialize)]
pub struct Song {
    title: String,
    seconds: u32,
}

pub async fn serve(port: u16) -> io::Result<()> {
    let events: Data<Events> = Data::new(broadcast::channel(16).0);
    let server = HttpServer::new(move || {
        let app = App::new().app_data(events.clone());
        #[cfg(feature = "compression")]
        let app = app.wrap(actix_web::middleware::Compress::default());
        app.service(show)
            .service(add_song)
            .service(find_song)
            .service(form)
            .service(upload)
            .service(listen)
            .service(publish)
            .service(echo)
            .service(actix_files::Files::new("/", "."))
    });
    server.bind((Ipv4Addr::LOCALHOST, port))?.run().await
}

#[get("/songs/{id}")]
async fn show(id: PathValue<u32>) -> Json<Song> {
    Json(Song { title: "Untitled".into(), seconds: *id })
}

#[post("/songs")]
async fn add_song(song: Json<Song>) -> Json<Song> {
    song
}

#[get("/songs")]
async fn find_song(song: Query<Song>) -> Json<Song> {
    Json(song.into_inner())
}

#[post("/form")]
async fn form(song: Form<Song>) -> String {
    song.into_inner().title
}

#[put("/upload/{name}")]
async fn upload(name: PathValue<String>, body: Bytes) -> Result<HttpResponse, Error> {
    let Some(name) = file_name(&name) else { return Ok(HttpResponse::BadRequest().finish()) };
    tokio::fs::write(name, body).await?;
    Ok(HttpResponse::Created().finish())
}

#[get("/events")]
async fn listen(events: Data<Events>) -> HttpResponse {
    let lines = stream::unfold(events.subscribe(), async |mut receiver| {
        let data = receiver.recv().await.ok()?;
        let lines: String = data.lines().map(|line| format!("data: {line}\n")).collect();
        Some((Ok::<_, Error>(Bytes::from(lines + "\n")), receiver))
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(lines)
}

#[post("/events")]
async fn publish(events: Data<Events>, data: String) -> HttpResponse {
    match events.send(data) {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(_) => HttpResponse::NotFound().finish(),
    }
}

#[get("/ws")]
async fn echo(request: HttpRequest, body: Payload) -> Result<HttpResponse, Error> {
    let (response, mut session, mut messages) = actix_ws::handle(&request, body)?;
    spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            let sent = match message {
                Message::Text(text) => session.text(text).await,
                Message::Binary(bytes) => session.binary(bytes).await,
                Message::Ping(bytes) => session.pong(&bytes).await,
                _ => return,
            };
            if sent.is_err() {
                return;
            }
        }
    });
    Ok(response)
}

fn file_name(path: &str) -> Option<PathBuf> {
    Path::new(path).file_name().map(PathBuf::from)
}
