//! The room that runs programs: one at a time, each as a process of its own, with all that it says and where it has got to.
//!
//! A request that brings a program goes through these steps:
//!
//! 1. `posted` reads it, `launch` takes the one place for it in the `hub` (409 where it is taken), writes it to a folder of its own
//!    and starts it, on the lane.
//! 2. A task, `attend`, sees it to its end: output, lines and input go to and fro, limits and orders end it.
//! 3. What is known is in the `hub`, for those who ask, and goes to listeners as events.

mod answer;
mod attend;
mod hub;
mod interpreter;
mod launch;
mod library;
mod lines;
mod output;
mod posted;
mod programs;
mod settings;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use number8_proto::http1::{Head, Method};
use number8_proto::uri::Query;

use crate::access::Rights;
use crate::body::{Body, Broadcast};
use crate::broadcast::Start;
use crate::children::User;
use crate::error::Error;
use crate::handler::{Answer, Call, Handler};
use crate::response::{Response, busy};
use crate::results::IntoResponse;
use answer::{Place, read_all};
use hub::{Hub, NotNow, Order, Starter};
pub use interpreter::{Interpreter, InterpreterError};
use library::Library;
use output::plain;
use posted::Posted;
use settings::Settings;

/// Runs programs that clients post. Mount it where they do; keep a clone to ask what runs, and to mount again where the app is
/// replaced ([`Handle::replace`](crate::Handle::replace)): clones are one runner, which runs one program at a time. Settings are those of
/// the clone that a program is posted to: what is said of one clone does not change the others, so say it before you mount one.
///
/// | request | what it does |
/// |---|---|
/// | `POST /run` | starts the program in the form field `code`, or in the content as it is; 409 while one runs |
/// | `GET /run` | JSON for who asks for it; else a page that says `Running...`, or a redirect when the program has ended |
/// | `POST /run/stop`, `DELETE /run` | ends it, with all that it has started; once more does so at once |
/// | `GET /run/events` | a stream: `start`, `output`, `line`, `exit` |
/// | `POST /run/input` | what the program reads; `?end` is the end of it |
/// | `GET /run/output` | what it has written, as far as it is kept; `?plain` without colours, and lines as a terminal leaves them |
/// | `GET /run/programs/` | names of saved programs, and those that ran before |
/// | `GET`, `PUT`, `DELETE /run/programs/NAME` | a saved program |
/// | `GET /run/programs/history/ID` | the text of a program that ran before |
///
/// All of it needs the right `run`. Who has it can do on this machine whatever the user can as whom programs run: see
/// [`Runner::user`].
///
/// A program gets a new session, a folder of its own for temporary files, and an environment that has nothing of the server's.
/// It may read what its user may read, and write to its folder, where the kernel has Landlock. When it ends, whatever it has
/// started ends too, and so it does when the server goes.
///
/// ```no_run
/// use std::time::Duration;
/// use number8::access::{Access, Rights, Rule};
/// use number8::{App, Runner, Server};
///
/// let runner = Runner::new("/srv/farm")?.time_max(Duration::from_secs(60)).programs("/var/lib/farm")?;
/// let access = Access::new([Rule::user("ada", "/run", Rights::RUN)?]);
/// let app = App::new().access(access).mount("/run", runner);
/// Server::bind(app, "127.0.0.1:8080")?.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Runner {
    hub: Arc<Hub>,
    settings: Arc<Settings>,
}

impl Runner {
    /// Programs start in `folder`, and may write there. They run as whoever we are; where that is root, as the owner of the
    /// folder, and as `nobody` where root owns it.
    ///
    /// The interpreters are `py=python3 -u`, `sh=sh` and `js=node`.
    ///
    /// # Errors
    /// There is no such folder, or no user to run programs as.
    pub fn new(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into().canonicalize()?;
        let user = User::for_programs(None, &folder)?;
        Ok(Self { hub: Arc::new(Hub::new()), settings: Arc::new(Settings::new(folder, user)) })
    }

    /// Programs run as that user, with all the groups that it has; for root to say.
    ///
    /// # Errors
    /// There is no such user, or we are neither that one nor root.
    pub fn user(mut self, name: &str) -> io::Result<Self> {
        let user = User::for_programs(Some(name), &self.settings.folder)?;
        self.set().user = user;
        Ok(self)
    }

    /// What runs programs, in place of what did; the first is for those that do not say which.
    #[must_use]
    pub fn interpreters(mut self, interpreters: impl IntoIterator<Item = Interpreter>) -> Self {
        self.set().interpreters = interpreters.into_iter().collect();
        self
    }

    /// Keeps programs that are saved, and those that ran last, in a folder, which has to be there and should not be served. Without
    /// one none are saved, and what ran is forgotten with this process. Programs themselves can neither read nor write there.
    ///
    /// # Errors
    /// The folder cannot be opened or written to.
    pub fn programs(mut self, folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        let library = Library::open(&folder)?;
        self.hub.restore(library.history(self.settings.history_max)?);
        let settings = self.set();
        settings.library = Some(Arc::new(library));
        settings.confine.hidden.push(folder);
        Ok(self)
    }

    /// Programs may write there too.
    #[must_use]
    pub fn writable(mut self, path: impl Into<PathBuf>) -> Self {
        self.set().confine.writable.push(path.into());
        self
    }

    /// Programs may not even read what is there: state and secrets of the server, where programs run as its user.
    #[must_use]
    pub fn hidden(mut self, path: impl Into<PathBuf>) -> Self {
        self.set().confine.hidden.push(path.into());
        self
    }

    /// Whether programs in Python import modules from the folder, too (no).
    ///
    /// SECURITY: Python imports some modules by itself, so whoever may put files there runs code in each program. Say yes only
    /// where those may all run programs: [`Access::writers_without`](crate::access::Access::writers_without).
    #[must_use]
    pub fn imports(mut self, does: bool) -> Self {
        self.set().imports = does;
        self
    }

    /// A variable of the environment of programs.
    #[must_use]
    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.set().environment.push((name.into(), value.into()));
        self
    }

    /// Where programs get a folder for temporary files (`/tmp`).
    #[must_use]
    pub fn temporary(mut self, folder: impl Into<PathBuf>) -> Self {
        self.set().temporary = folder.into();
        self
    }

    /// A program that runs for longer is ended (no limit).
    #[must_use]
    pub fn time_max(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.set().time_max = time.into();
        self
    }

    /// Each process of a program may use so much time of a processor (no limit).
    #[must_use]
    pub fn cpu_max(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.set().limits.cpu = time.into();
        self
    }

    /// Each process of a program gets no more memory than this, in bytes, and a program whose processes have more together is ended
    /// (half of the machine's, up to 1 GiB).
    #[must_use]
    pub fn memory_max(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.set().limits.memory_bytes = bytes.into();
        self
    }

    /// A program that has started more processes is ended (64). Threads count too, as a quarter each, and for them, what the user runs
    /// besides.
    #[must_use]
    pub fn processes_max(mut self, count: impl Into<Option<usize>>) -> Self {
        self.set().limits.processes = count.into();
        self
    }

    /// A program that writes more to its standard output and error is ended (64 MiB).
    #[must_use]
    pub fn output_max(mut self, bytes: u64) -> Self {
        self.set().output_max = bytes;
        self
    }

    /// So many of the last bytes of output, and of events, are kept for those who ask later (1 MiB).
    #[must_use]
    pub fn kept_output_max(mut self, bytes: usize) -> Self {
        self.set().kept_output_max = bytes;
        self
    }

    /// A file that a program writes gets no larger, in bytes (256 MiB).
    #[must_use]
    pub fn file_max(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.set().limits.file_bytes = bytes.into();
        self
    }

    /// Each process of a program may have so many files open (1,024).
    #[must_use]
    pub fn open_files_max(mut self, count: impl Into<Option<u64>>) -> Self {
        self.set().limits.open_files = count.into();
        self
    }

    /// The text of a program has at most so many bytes (1 MiB); more is 413.
    #[must_use]
    pub fn code_max(mut self, bytes: usize) -> Self {
        self.set().code_max = bytes;
        self
    }

    /// So many bytes of input may wait to be read by the program (64 KiB); more is 503.
    #[must_use]
    pub fn input_max(mut self, bytes: usize) -> Self {
        self.set().input_max = bytes;
        self
    }

    /// So many programs that ran are remembered (50).
    #[must_use]
    pub fn history_max(mut self, count: usize) -> Self {
        self.set().history_max = count;
        self
    }

    /// So many programs may be saved (1,000); one more is 507.
    #[must_use]
    pub fn programs_max(mut self, count: usize) -> Self {
        self.set().programs_max = count;
        self
    }

    /// So many may listen at once (64); one more gets 503.
    #[must_use]
    pub fn listeners_max(mut self, count: usize) -> Self {
        self.set().listeners_max = count;
        self
    }

    /// How long a program may take to end when it is asked to (2 s): with SIGINT first, as Ctrl-C does, after half of it with
    /// SIGTERM. Then it is killed.
    #[must_use]
    pub fn grace(mut self, time: Duration) -> Self {
        self.set().limits.grace = time;
        self
    }

    /// Where a browser is sent when the program has ended (`/`).
    #[must_use]
    pub fn index(mut self, path: impl Into<String>) -> Self {
        self.set().index = path.into();
        self
    }

    /// The text of the program that runs or ran last: what an editor begins with (row B18).
    #[must_use]
    pub fn code(&self) -> Option<Arc<str>> {
        self.hub.code()
    }

    /// Whether a program runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.hub.is_running()
    }

    /// Ends the program that runs, if there is one, as a request would; it may take until the end of its grace.
    pub fn stop(&self) {
        let _ = self.hub.order(Order::Stop, 0);
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    fn start(self, call: Call<'_>, place: Place) -> Answer {
        let query = call.head.query().unwrap_or_default().to_vec();
        let is_form = match Posted::is_form(call.head) {
            Ok(is_form) => is_form,
            Err(error) => return error.into_response().into(),
        };
        let starter = Starter { by: call.caller.user.clone(), at_start: false };
        let (body, lane) = (call.body, call.lane.clone());
        Answer::later(async move {
            // A form takes up to three bytes for one, and has other fields.
            let code_max = self.settings.code_max;
            let of_form = code_max.saturating_mul(3).saturating_add(FIELDS_BYTES_MAX);
            let bytes_max = if is_form { of_form } else { code_max };
            let run = async {
                let content = read_all(body, bytes_max, "a program").await?;
                let posted = Posted::read(&query, is_form, &content)?;
                if posted.code.len() > code_max {
                    return Err(answer::too_large(code_max, "a program"));
                }
                self.clone().run(posted, starter, lane).await
            };
            match run.await {
                Ok(()) => place.started(&self.hub.state()),
                Err(error) => error.into_response(),
            }
        })
    }

    fn stop_by_request(&self, place: &Place) -> Response {
        self.stop();
        place.done(&self.hub.state())
    }

    fn input(self, call: Call<'_>, place: Place) -> Answer {
        let is_end = has(call.head, b"end");
        let body = call.body;
        Answer::later(async move {
            let bytes = match read_all(body, self.settings.input_max, "input").await {
                Ok(bytes) => bytes,
                Err(error) => return error.into_response(),
            };
            let mut orders = Vec::new();
            if !bytes.is_empty() {
                orders.push(Order::Input(bytes));
            }
            if is_end {
                orders.push(Order::EndInput);
            }
            for order in orders {
                match self.hub.order(order, self.settings.input_max) {
                    Ok(()) => {}
                    Err(NotNow::NothingRuns) => {
                        return Response::error(409, "no program runs that could read this");
                    }
                    Err(NotNow::Full) => {
                        return busy("the program has not read what was sent before");
                    }
                }
            }
            place.done(&self.hub.state())
        })
    }

    /// Without an id, a listener gets the events of the program that runs or ran last, as far as they are kept.
    fn listen(&self, head: &Head<'_>) -> Response {
        let channel = self.hub.channel(&self.settings);
        if channel.listeners() >= self.settings.listeners_max {
            return busy("as many listen already as may");
        }
        let last = match head.named("Last-Event-ID") {
            Some(id) => String::from_utf8_lossy(id).into_owned(),
            None => self.hub.event_before(),
        };
        let subscription = channel.subscribe(Start::After(&last));
        Response::new(200, Body::broadcast(Broadcast { first: None, subscription }))
            .with_known("Content-Type", "text/event-stream")
            .with_known("Cache-Control", "no-store")
            .with_known("X-Accel-Buffering", "no")
    }

    /// As it was written, or with `?plain`, as it can be read.
    fn output(&self, head: &Head<'_>) -> Response {
        let is_plain = has(head, b"plain");
        let output = self.hub.output();
        let output = if is_plain { plain(&output) } else { output };
        output.into_response().with_known("Cache-Control", "no-store")
    }

    fn answer(&self, mut call: Call<'_>) -> Result<Answer, Error> {
        let place = Place::of(&call);
        let method = call.head.method();
        let is_read = matches!(method, Method::Get | Method::Head);
        let (below, allow) = match call.path {
            b"" | b"/" => (Below::Itself, "GET, HEAD, POST, DELETE, OPTIONS"),
            b"/stop" => (Below::Stop, "POST, OPTIONS"),
            b"/events" => (Below::Events, "GET, HEAD, OPTIONS"),
            b"/input" => (Below::Input, "POST, OPTIONS"),
            b"/output" => (Below::Output, "GET, HEAD, OPTIONS"),
            path if path == b"/programs" || path.starts_with(b"/programs/") => {
                call.may(Rights::RUN)?;
                return programs::answer(self, call);
            }
            _ => return Err(Error::new(404, "there is nothing at this address")),
        };
        if method == Method::Options {
            return Ok(Response::options(allow).into());
        }
        call.may_go_on(Rights::RUN)?;
        Ok(match (below, method) {
            (Below::Itself, Method::Post) => self.clone().start(call, place),
            (Below::Itself, Method::Delete) | (Below::Stop, Method::Post) => {
                self.stop_by_request(&place).into()
            }
            (Below::Itself, _) if is_read => {
                let output = || self.hub.output();
                place.state(&self.hub.state(), output, &self.settings.index).into()
            }
            (Below::Events, _) if is_read => self.listen(call.head).into(),
            (Below::Input, Method::Post) => self.clone().input(call, place),
            (Below::Output, _) if is_read => self.output(call.head).into(),
            _ => Response::not_allowed(allow).into(),
        })
    }
}

/// Whether the query has this.
fn has(head: &Head<'_>, key: &[u8]) -> bool {
    Query::new(head.query().unwrap_or_default()).any(|pair| *pair.key == *key)
}

#[derive(Debug, Clone, Copy)]
enum Below {
    Itself,
    Stop,
    Events,
    Input,
    Output,
}

impl Handler for Runner {
    fn handle(&self, call: Call<'_>) -> Answer {
        self.answer(call).unwrap_or_else(|error| error.into_response().into())
    }

    fn allow(&self) -> &str {
        "GET, HEAD, POST, PUT, DELETE, OPTIONS"
    }
}

/// Bytes of the fields of a form but the code.
const FIELDS_BYTES_MAX: usize = 4096;
