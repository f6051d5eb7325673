//! The application is called by threads of its own; those that read and write have nothing to do with the interpreter.

use std::cell::Cell;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use number8::server::lane::{Job, Lane, LaneFull};
use number8::server::{Around, LaneOptions};
use number8::{Answer, Call, Caller, Handler, Method, OwnedHead, Response, Server};
use pyo3::prelude::*;
use rustix::process::{Resource, getrlimit};

use super::Application;
use super::answer::failed;
use super::early::{Answered, Begun, early};
use super::environ::Request;
use super::spool::Spooled;
use crate::hosting::{self, Base, Signals};
use crate::lock::lock;
use crate::sys;

/// How long answers of a busy application wait for one another, to be sent together: the longer, the more often the interpreter
/// finds its caches as it left them.
const TOGETHER: Duration = Duration::from_millis(4);

/// Bytes of a stack where the system has no limit for it.
const STACK: usize = 8 << 20;

/// How long calls may go on at the end that nobody waits for any more.
const END: Duration = Duration::from_secs(1);

pub(super) fn serve(
    py: Python<'_>,
    base: Base,
    mut application: Application,
    threads: usize,
) -> PyResult<()> {
    let Base { app, options, listeners, telling } = base;
    let policy = Arc::<OnceLock<Policy>>::default();
    let of_callers = Arc::clone(&policy);
    let lane = Lane::new(LaneOptions {
        threads_max: threads,
        queue_max: options.lane.queue_max,
        // Applications keep things for each thread, such as connections to a database.
        idle: Duration::MAX,
        together: TOGETHER,
        around: Some(Around::new(move |jobs| {
            sys::settle();
            Python::attach(|py| {
                if let Some(policy) = of_callers.get() {
                    policy.restore_once(py);
                }
                jobs();
            });
        })),
        stack: Some(stack(py)),
        ..LaneOptions::default()
    });
    application.lane = Some(lane.clone());
    let app = app.mount("", Threads { application: Arc::new(application), lane: lane.clone() });
    let server = telling.listen(Server::new(app, options, listeners));
    let handle = server.handle();
    let signals = Signals::watch(py, handle.clone())?;
    telling.ready(&server);
    if let Some(found) = Policy::batch(py) {
        // It is looked for here alone.
        let _ = policy.set(found);
    }
    let (result, told, has_ended) = py.detach(|| {
        let mut told = None;
        let result = server.run_with(async {
            told = Some(signals.handle().await);
            handle.shutdown_now();
        });
        (result, told, lane.close(END))
    });
    if !has_ended {
        hosting::say("calls of the application still go on");
        left(py, lane)?;
    }
    if let Some(policy) = policy.get() {
        policy.restore(py);
    }
    signals.restore(py)?;
    told.unwrap_or_else(|| hosting::ended(result))
}

/// Bytes of the stacks of Python's own threads (`threading.stack_size`, else the system's): on a smaller one, what is a RecursionError
/// there ends the process here.
fn stack(py: Python<'_>) -> usize {
    let set = py.import("threading").and_then(|it| it.call_method0("stack_size")?.extract());
    match set.unwrap_or(0) {
        0 => {
            let limit = getrlimit(Resource::Stack).current;
            limit.and_then(|bytes| bytes.try_into().ok()).unwrap_or(STACK)
        }
        bytes => bytes,
    }
}

/// Lanes with calls that nobody waits for any more.
static LEFT: Mutex<Vec<Lane>> = Mutex::new(Vec::new());

/// Has the process end without the interpreter's own end, if these calls go on until then: it would end their threads within what is
/// not Python's.
fn left(py: Python<'_>, lane: Lane) -> PyResult<()> {
    lock(&LEFT).push(lane);
    let leaving = py.import("number8._leaving")?;
    leaving.call_method0("note_exits")?;
    py.import("atexit")?.call_method1("register", (leaving.getattr("leave_calls")?,)).map(drop)
}

/// Whether calls of an application go on that nobody waits for.
#[pyfunction]
pub(super) fn calls_go_on() -> bool {
    let mut left = lock(&LEFT);
    left.retain(|lane| !lane.close(Duration::ZERO));
    !left.is_empty()
}

/// How the system gives time to this thread, before it serves and while threads call the application.
struct Policy {
    before: i32,
}

thread_local! {
    static IS_AS_BEFORE: Cell<bool> = const { Cell::new(false) };
}

impl Policy {
    /// Has the thread that serves take the processor from no other when it is woken (sched(7), `SCHED_BATCH`). Where it has one
    /// alone it runs as soon as it has something to do. Where it shares it with those that call the application, it would
    /// interrupt them for each request that comes, of which none can be answered before they are through: two and a half
    /// changes of threads for each request of a busy server, and then a third of one.
    ///
    /// Whoever has chosen something for this thread keeps it, and so does who may not choose.
    fn batch(py: Python<'_>) -> Option<Self> {
        let os = py.import("os").ok()?;
        let named = |name| os.getattr(name).ok()?.extract::<i32>().ok();
        let before = os.call_method1("sched_getscheduler", (0,)).ok()?.extract().ok()?;
        let is_set = named("SCHED_OTHER")? == before && set(py, named("SCHED_BATCH")?).is_ok();
        is_set.then_some(Self { before })
    }

    /// Has this thread have what the one that serves had: those that it starts have what it has.
    fn restore_once(&self, py: Python<'_>) {
        if !IS_AS_BEFORE.replace(true) {
            self.restore(py);
        }
    }

    fn restore(&self, py: Python<'_>) {
        // It was so before, and so it may be again.
        let _ = set(py, self.before);
    }
}

fn set(py: Python<'_>, policy: i32) -> PyResult<()> {
    let os = py.import("os")?;
    let priority = os.call_method1("sched_param", (0,))?;
    os.call_method1("sched_setscheduler", (0, policy, priority)).map(drop)
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
    begun: Begun,
}

fn submit(
    application: Arc<Application>,
    lane: &Lane,
    request: Kept,
    content: Option<Spooled>,
) -> Result<Called, LaneFull> {
    let (early, begun) = early();
    let job = lane.submit(move || {
        let Kept { head, caller, prefix } = &request;
        let head = head.head();
        let path = head.path().get(*prefix..).unwrap_or_default();
        let request = Request { head: &head, caller, path };
        // Nobody reads what is written for HEAD: it is not sent, and nobody has to wait for that.
        let early = (head.method() != Method::Head).then_some(early);
        Python::attach(|py| application.answer(py, &request, content, early))
    })?;
    Ok(Called { job, begun })
}

impl Called {
    /// The answer: what the call gives, or what begins while it goes on.
    async fn answer(mut self) -> Response {
        match self.begun.or(&mut self.job).await {
            Answered::Early(response) => {
                self.job.detach();
                response
            }
            Answered::Result(result) => result.unwrap_or_else(|panic| {
                hosting::say(&panic.to_string());
                failed()
            }),
        }
    }
}
