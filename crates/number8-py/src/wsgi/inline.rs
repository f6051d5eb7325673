//! The application is called where its request was read: in the one thread that serves, which has the interpreter whenever
//! it does not wait.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use number8::server::lane;
use number8::{Answer, Call, Handler, Server};
use pyo3::prelude::*;

use super::environ::Request;
use super::{Application, answer, log};
use crate::hosting::{self, Base, Signals};
use crate::sys;

/// How long other threads of the interpreter wait for it at most, while there are requests.
const TURN: Duration = Duration::from_millis(2);

pub(super) fn serve(py: Python<'_>, base: Base, application: Application) -> PyResult<()> {
    let Base { app, options, listeners, telling } = base;
    let app = app.mount("", Inline(Arc::new(application)));
    let server = telling.listen(Server::new(app, options, listeners));
    let handle = server.handle();
    let signals = Signals::watch(py, handle.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .on_thread_park(sys::let_go)
        .on_thread_unpark(sys::take_back)
        .build()?;
    telling.ready(&server);
    let result = runtime.block_on(async {
        tokio::spawn(lane::batch_wakes());
        let serving = server.serve();
        tokio::pin!(serving);
        tokio::select! {
            result = &mut serving => hosting::ended(result),
            end = signals.handle() => {
                handle.shutdown_now();
                let _ = serving.await;
                end
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
            if call.body.is_empty() {
                return self.0.answer(py, &request, None, None).into();
            }
            let environ = match self.0.environ.of(py, &request) {
                Ok(environ) => environ.unbind(),
                Err(error) => {
                    log(py, "a request cannot be described", &error);
                    return answer::failed().into();
                }
            };
            let (application, body, lane) = (Arc::clone(&self.0), call.body, call.lane.clone());
            Answer::later(async move {
                let content = match application.spool(body, &lane).await {
                    Ok(content) => content,
                    Err(response) => return response,
                };
                Python::attach(|py| {
                    give_turn(py);
                    application.answer_to(py, environ.bind(py), Some(content), None)
                })
            })
        })
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
