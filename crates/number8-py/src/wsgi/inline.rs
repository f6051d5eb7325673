//! The application is called where its request was read: in the one thread that serves, which has the interpreter whenever
//! it does not wait.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use number8::server::lane;
use number8::{Answer, Body, BodyError, Call, Handler, Response, Server};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::Application;
use super::environ::{self, Request};
use crate::hosting::{self, Base, Signals};
use crate::sys;

/// How long other threads of the interpreter wait for it at most, while there are requests.
const TURN: Duration = Duration::from_millis(2);

pub(super) fn serve(py: Python<'_>, base: Base, application: Application) -> PyResult<()> {
    let Base { app, options, listeners } = base;
    let app = app.mount("", Inline(Arc::new(application)));
    let server = Server::new(app, options, listeners).on_warning(hosting::say);
    let signals = Signals::watch(py, server.handle())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .on_thread_park(sys::let_go)
        .on_thread_unpark(sys::take_back)
        .build()?;
    let handle = server.handle();
    eprint!("{}", hosting::greeting(&server));
    let result = runtime.block_on(async {
        tokio::spawn(lane::batch_wakes());
        let serving = server.serve();
        tokio::pin!(serving);
        tokio::select! {
            result = &mut serving => hosting::ended(result),
            error = signals.handle() => {
                handle.shutdown_now();
                let _ = serving.await;
                Err(error)
            }
        }
    });
    drop(runtime);
    signals.restore(py)?;
    result
}

struct Inline(Arc<Application>);

impl Handler for Inline {
    fn handle(&self, call: Call<'_>) -> Answer {
        let request = Request { head: call.head, caller: call.caller, path: call.path };
        Python::attach(|py| {
            give_turn(py);
            let environ = match self.0.environ.of(py, &request) {
                Ok(environ) => environ,
                Err(error) => {
                    super::log(py, "a request cannot be described", &error);
                    return Response::error(500, "the application failed").into();
                }
            };
            if call.body.is_empty() {
                return self.0.answer(py, &environ).into();
            }
            Answer::later(with_content(Arc::clone(&self.0), environ.unbind(), call.body))
        })
    }
}

/// Takes the content, then calls the application.
async fn with_content(
    application: Arc<Application>,
    environ: Py<PyDict>,
    mut body: Body,
) -> Response {
    let mut content = Vec::new();
    loop {
        match body.chunk().await {
            Ok(Some(chunk)) => content.push(chunk),
            Ok(None) => break,
            Err(error) => return refused(&error),
        }
    }
    Python::attach(|py| {
        give_turn(py);
        let environ = environ.bind(py);
        match environ::set_content(environ, &content) {
            Ok(()) => application.answer(py, environ),
            Err(error) => {
                super::log(py, "a request cannot be described", &error);
                Response::error(500, "the application failed")
            }
        }
    })
}

/// The answer to content that cannot be had.
fn refused(error: &std::io::Error) -> Response {
    let cause = error.get_ref().and_then(|error| error.downcast_ref::<BodyError>());
    match cause {
        Some(cause) => Response::error(cause.status(), cause.to_string()),
        None => Response::error(400, "the content cannot be read"),
    }
}

thread_local! {
    static TURN_BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Lets other threads of the interpreter have it, after a while without a pause.
fn give_turn(py: Python<'_>) {
    let now = Instant::now();
    match TURN_BEGAN.get() {
        Some(began) if now.duration_since(began) < TURN => {}
        _ => {
            py.detach(|| ());
            TURN_BEGAN.set(Some(Instant::now()));
        }
    }
}
