//! What is posted to /publish goes to everyone who listens to /events.

use std::io;

use number8::{App, Body, Events, State};

pub(crate) fn routes(app: App) -> App {
    let events = Events::new();
    app.mount("/events", events.clone()).state(events).post("/publish", publish)
}

async fn publish(events: State<Events>, body: Body) -> io::Result<u16> {
    let data = body.bytes().await?;
    events.dispatch(String::from_utf8_lossy(&data).into_owned());
    Ok(204)
}
