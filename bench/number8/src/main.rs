//! `number8-bench KIND PORT`: number8 as a library, on one worker, as `bench/run` measures it beside its peers.

mod events;
mod handlers;
mod ws;

use std::error::Error;
use std::process::ExitCode;

use number8::{App, Options, Server};

const USAGE: &str = "usage: number8-bench events|handlers|ws PORT";

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("number8-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(kind), Some(port)) = (arguments.next(), arguments.next()) else {
        return Err(USAGE.into());
    };
    let port: u16 = port.parse()?;
    let app = App::new().get("/", async || "Hello, world.");
    let app = match kind.as_str() {
        "events" => events::routes(app),
        "ws" => ws::routes(app),
        "handlers" => handlers::routes(app),
        _ => return Err(format!("there is no service {kind:?}; {USAGE}").into()),
    };
    let options = Options { workers: 1, ..Options::default() };
    let listeners = number8::server::bind(&[format!("127.0.0.1:{port}").parse()?], port)?;
    Ok(Server::new(app, options, listeners).run()?)
}
