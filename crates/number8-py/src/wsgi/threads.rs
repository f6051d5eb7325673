//! The application is called by threads of its own; those that read and write have nothing to do with the interpreter.

use std::sync::Arc;
use std::time::Duration;

use number8::server::lane::{Job, Lane, LaneFull};
use number8::server::{Around, LaneOptions};
use number8::{Answer, Call, Caller, Handler, Method, OwnedHead, Response, Server};
use pyo3::prelude::*;
use tokio::sync::oneshot;

use super::Application;
use super::answer::failed;
use super::environ::Request;
use super::spool::Spooled;
use super::start::Early;
use crate::hosting::{self, Base, Signals};
use crate::sys;

/// How long calls may go on at the end that nobody waits for any more.
const END: Duration = Duration::from_secs(1);

pub(super) fn serve(
    py: Python<'_>,
    base: Base,
    mut application: Application,
    threads: usize,
) -> PyResult<()> {
    let Base { app, options, listeners, telling } = base;
    let lane = Lane::new(LaneOptions {
        threads_max: threads,
        queue_max: options.lane.queue_max,
        // Applications keep things for each thread, such as connections to a database.
        idle: Duration::MAX,
        around: Some(Around::new(|jobs| {
            sys::settle();
            Python::attach(|_| jobs());
        })),
        ..LaneOptions::default()
    });
    application.lane = Some(lane.clone());
    let app = app.mount("", Threads { application: Arc::new(application), lane: lane.clone() });
    let server = telling.listen(Server::new(app, options, listeners));
    let handle = server.handle();
    let signals = Signals::watch(py, handle.clone())?;
    telling.ready(&server);
    let (result, told) = py.detach(|| {
        let mut told = None;
        let result = server.run_with(async {
            told = Some(signals.handle().await);
            handle.shutdown_now();
        });
        if !lane.close(END) {
            hosting::say("calls of the application still go on");
        }
        (result, told)
    });
    signals.restore(py)?;
    told.unwrap_or_else(|| hosting::ended(result))
}

struct Threads {
    application: Arc<Application>,
    lane: Lane,
}

impl Handler for Threads {
    fn handle(&self, call: Call<'_>) -> Answer {
        let request = Kept::of(&call);
        let (application, lane) = (Arc::clone(&self.application), self.lane.clone());
        if call.body.is_empty() {
            return match submit(application, &lane, request, None) {
                Ok(called) => Answer::later(called.answer()),
                Err(_) => busy().into(),
            };
        }
        let (body, files) = (call.body, call.lane.clone());
        Answer::later(async move {
            let content = match application.spool(body, &files).await {
                Ok(content) => content,
                Err(response) => return response,
            };
            match submit(application, &lane, request, Some(content)) {
                Ok(called) => called.answer().await,
                Err(_) => busy(),
            }
        })
    }
}

/// The answer where more calls wait than may.
pub(super) fn busy() -> Response {
    let busy = Response::error(503, "too many requests wait for the application").closing();
    busy.with("Retry-After", "1").unwrap_or_else(|_| failed())
}

/// A request that waits for its turn.
struct Kept {
    head: OwnedHead,
    caller: Caller,
    /// What of the path is not the application's.
    prefix: usize,
}

impl Kept {
    fn of(call: &Call<'_>) -> Self {
        let prefix = call.head.path().len().saturating_sub(call.path.len());
        Self { head: call.head.to_owned(), caller: call.caller.clone(), prefix }
    }
}

/// A call of the application.
struct Called {
    job: Job<Response>,
    early: oneshot::Receiver<Response>,
}

fn submit(
    application: Arc<Application>,
    lane: &Lane,
    request: Kept,
    content: Option<Spooled>,
) -> Result<Called, LaneFull> {
    let (begun, early) = oneshot::channel();
    let job = lane.submit(move || {
        let Kept { head, caller, prefix } = &request;
        let head = head.head();
        let path = head.path().get(*prefix..).unwrap_or_default();
        let request = Request { head: &head, caller, path };
        // Nobody reads what is written for HEAD: it is not sent, and nobody has to wait for that.
        let early = (head.method() != Method::Head).then_some(Early(begun));
        Python::attach(|py| application.answer(py, &request, content, early))
    })?;
    Ok(Called { job, early })
}

impl Called {
    /// The answer: what the call gives, or what begins while it goes on.
    async fn answer(mut self) -> Response {
        tokio::select! {
            biased;
            Ok(response) = &mut self.early => {
                self.job.detach();
                response
            }
            result = &mut self.job => result.unwrap_or_else(|panic| {
                hosting::say(&panic.to_string());
                failed()
            }),
        }
    }
}
