//! `actix-hello PORT`: actix-web with one worker.

use std::net::Ipv4Addr;

use actix_web::{App, HttpServer, web};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: actix-hello PORT")?.parse()?;
    HttpServer::new(|| App::new().route("/", web::get().to(hello)))
        .workers(1)
        .backlog(4096)
        .bind((Ipv4Addr::LOCALHOST, port))?
        .run()
        .await?;
    Ok(())
}

async fn hello() -> &'static str {
    "Hello, world."
}
