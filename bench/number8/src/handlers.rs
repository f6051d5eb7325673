//! The same greeting by each kind of handler, and a function that waits beside a quick one.

use std::thread;
use std::time::Duration;

use number8::{App, get, inline};

const GREETING: &str = "Hello, world.";
const SLEEP: Duration = Duration::from_millis(100);

#[get("/macro")]
async fn by_macro() -> &'static str {
    GREETING
}

pub(crate) fn routes(app: App) -> App {
    app.add(by_macro)
        .get("/async", async || GREETING)
        .get("/inline", inline(|| GREETING))
        .get("/pooled", || GREETING)
        .get("/quick", async || GREETING)
        .get("/slow", slow)
}

fn slow() -> &'static str {
    thread::sleep(SLEEP);
    "Slept."
}
