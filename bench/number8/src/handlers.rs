//! The same greeting by each kind of handler, and a function that waits beside a quick one.

use std::thread;
use std::time::Duration;

use number8::{App, inline};

const GREETING: &str = "Hello, world.";
const SLEEP: Duration = Duration::from_millis(100);

pub(crate) fn routes(app: App) -> App {
    app.get("/async", async || GREETING)
        .get("/inline", inline(|| GREETING))
        .get("/pooled", || GREETING)
        .get("/quick", async || GREETING)
        .get("/slow", slow)
}

fn slow() -> &'static str {
    thread::sleep(SLEEP);
    "Slept."
}
