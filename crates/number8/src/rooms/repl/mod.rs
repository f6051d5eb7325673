//! The room with a live terminal: one session, which goes on while nobody looks, for as many viewers as may be.
//!
//! ```text
//!  page ⇄ frames ⇄ viewer ─┐                                ┌─ screen: the last that was shown
//!  page ⇄ frames ⇄ viewer ─┼─ Seat ─ Terminal ⇄ driver ⇄ terminal ⇄ python3 (our agent), or any command
//!  IDE  ⇄ frames ⇄ webrepl ┘
//! ```
//!
//! A viewer holds a place in the screen and nothing else: a slow one costs no memory, and begins again with what is kept
//! when it falls behind that.

mod command;
mod console;
mod screen;
mod terminal;
mod transfer;
mod viewer;
mod webrepl;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use number8_proto::http1::{Head, Method};
use number8_proto::uri::Query;

use crate::access::Rights;
use crate::handler::{Answer, Call, Handler};
use crate::response::{Response, try_again};
use crate::results::IntoResponse;
use crate::ws::{ALLOW, CloseCode, Origins, Settings, open};
use command::{Command, Program};
use console::Start;
pub use console::{Console, ConsoleOutput};
use terminal::{Role, Terminal};
pub use webrepl::{WebRepl, WebReplLimits, WebReplPage};

/// A live terminal on a WebSocket: Python, or any command. Mount it; clones are the same session.
///
/// What it is like is said first: all methods but [`hidden`](Self::hidden) and [`imports`](Self::imports) panic where it has been cloned,
/// or given to [`WebRepl`], so that no setting is lost.
///
/// Who has the right `repl` may open it. Who opens it sees what was shown before, and types from then on; those who were
/// there watch. With `?view` it is only watched.
///
/// | direction | frame | what it is |
/// |---|---|---|
/// | to the page | binary | what the program writes, as UTF-8, never cut within a character |
/// | to the page | text | `{"state":{"viewers":2,"writer":true,"cols":80,"rows":24}}`, at first and after each change |
/// | to the page | text | `{"exit":{"code":0}}`, `{"exit":{"signal":9}}`, or `{"exit":null}` where it could not be started |
/// | from the page | binary | keys |
/// | from the page | text | `{"resize":[cols,rows]}`, `{"restart":true}` |
///
/// The session starts when it is first looked at, and is stopped with all that it has started when the app that it is
/// mounted in is gone.
///
/// ```no_run
/// use number8::{App, Repl};
///
/// let app = App::new().mount("/repl", Repl::new("shared")?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Repl {
    inner: Arc<Inner>,
}

struct Inner {
    command: Command,
    viewers_max: usize,
    scroll_back_bytes: usize,
    webrepl_idle: Duration,
    ws: Settings,
    /// Made when the settings are done.
    terminal: OnceLock<Arc<Terminal>>,
}

impl Repl {
    /// Python in this folder, by our agent: an interpreter that also speaks MicroPython's raw REPL.
    ///
    /// # Errors
    /// The folder is not there.
    pub fn new(folder: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                command: Command::new(folder.as_ref())?,
                viewers_max: VIEWERS_MAX,
                scroll_back_bytes: SCROLL_BACK_BYTES,
                webrepl_idle: WEBREPL_IDLE,
                ws: Settings::default(),
                terminal: OnceLock::new(),
            }),
        })
    }

    /// Runs this in place of our agent: a path, or a name in `PATH`, and its arguments.
    #[must_use]
    #[track_caller]
    pub fn command<A: Into<OsString>>(
        self,
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        self.change(|inner| inner.command.program = Program::Other(program.into(), arguments))
    }

    /// Runs something that is part of this process, such as an interpreter that runs here already: `start` is called with the
    /// console of each session, in a task, and has a thread of its own use it. For WebREPL it has to speak like our agent.
    ///
    /// ```no_run
    /// use number8::{App, Repl};
    ///
    /// let repl = Repl::new(".")?.console(|mut console| {
    ///     std::thread::spawn(move || {
    ///         let output = console.output();
    ///         output.write(b">>> ");
    ///         while let Some(keys) = console.read() {
    ///             output.write(&keys);
    ///         }
    ///     });
    /// });
    /// let app = App::new().mount("/repl", repl);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn console(self, start: impl Fn(Console) + Send + Sync + 'static) -> Self {
        self.change(|inner| inner.command.program = Program::Inside(Start(Arc::new(start))))
    }

    /// The source of our agent, for those who have a Python in this process: its classes `Wire` and `Repl` are the two
    /// ends.
    #[must_use]
    pub fn agent() -> &'static str {
        command::AGENT
    }

    /// Our agent by another interpreter than `python3`: CPython 3.8 or later.
    #[must_use]
    #[track_caller]
    pub fn python(self, interpreter: impl Into<OsString>) -> Self {
        self.change(|inner| inner.command.program = Program::Agent(interpreter.into()))
    }

    /// Runs it as this user, which takes a server that runs as root. By default it runs as the server does; where that
    /// is root, as the owner of the folder, or as `nobody` where root owns it.
    #[must_use]
    #[track_caller]
    pub fn run_user(self, name: impl Into<String>) -> Self {
        self.change(|inner| inner.command.user = Some(name.into()))
    }

    /// Adds a variable to its environment, which else has `PATH`, `HOME`, `USER`, `LOGNAME`, `LANG` and `TERM` alone.
    #[must_use]
    #[track_caller]
    pub fn env(self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.change(|inner| inner.command.set(name.into(), value.into()))
    }

    /// Lets it change this folder, too. By default it may change the folder that it starts in and `/tmp`, and read
    /// everything, as far as its user may and the kernel can keep it from the rest (Landlock).
    #[must_use]
    #[track_caller]
    pub fn writable(self, folder: impl Into<PathBuf>) -> Self {
        self.change(|inner| {
            if let Some(confine) = inner.command.confine() {
                confine.writable.push(folder.into());
            }
        })
    }

    /// Keeps it from reading this file or folder, such as one with passwords. Of a terminal that is in use already, too, from when
    /// what runs in it is started next.
    #[must_use]
    pub fn hidden(self, path: impl Into<PathBuf>) -> Self {
        self.inner.command.hide(path.into());
        self
    }

    /// Whether our agent imports modules from the folder, too (no), after those of Python. Of a terminal that is in use already,
    /// too, from when it is started next.
    ///
    /// SECURITY: whoever may put files there may run code in it. Say yes only where those may all use the terminal:
    /// [`Access::writers_without`](crate::access::Access::writers_without).
    #[must_use]
    pub fn imports(self, does: bool) -> Self {
        self.inner.command.import(does);
        self
    }

    /// Lets it do whatever its user may.
    #[must_use]
    #[track_caller]
    pub fn unconfined(self) -> Self {
        self.change(|inner| inner.command.unconfine())
    }

    /// So many may look at once (16); one more is 503.
    #[must_use]
    #[track_caller]
    pub fn viewers_max(self, viewers: usize) -> Self {
        self.change(|inner| inner.viewers_max = viewers)
    }

    /// Bytes of what was shown that are kept for those who come later, or are slow (256 KiB; at least 64 KiB).
    #[must_use]
    #[track_caller]
    pub fn scroll_back_bytes(self, bytes: usize) -> Self {
        self.change(|inner| inner.scroll_back_bytes = bytes)
    }

    /// How long a client of WebREPL may be silent (10 minutes) before another one that knows the password takes its place:
    /// the official client answers no ping, so that nobody knows whether it is still there.
    #[must_use]
    #[track_caller]
    pub fn webrepl_idle(self, time: Duration) -> Self {
        self.change(|inner| inner.webrepl_idle = time)
    }

    /// Lets pages of another site in, too, such as `https://app.example`.
    #[must_use]
    #[track_caller]
    pub fn origin(self, origin: impl Into<String>) -> Self {
        self.change(|inner| {
            if let Origins::Ours(others) = &mut inner.ws.origins {
                others.push(origin.into());
            }
        })
    }

    fn terminal(&self) -> &Arc<Terminal> {
        self.inner.terminal.get_or_init(|| {
            let Inner { command, viewers_max, scroll_back_bytes, webrepl_idle, .. } = &*self.inner;
            let (viewers, bytes, idle) = (*viewers_max, *scroll_back_bytes, *webrepl_idle);
            Arc::new(Terminal::new(command.clone(), viewers, bytes, idle))
        })
    }

    /// SECURITY: a setting that nobody heeds would confine less than its caller believes.
    #[track_caller]
    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        match Arc::get_mut(&mut self.inner) {
            Some(inner) if inner.terminal.get().is_none() => change(inner),
            _ => panic!("what a terminal is like is said before it is cloned or given to WebRepl"),
        }
        self
    }
}

impl Handler for Repl {
    fn handle(&self, mut call: Call<'_>) -> Answer {
        if !matches!(call.path, b"" | b"/") {
            return Response::error(404, "there is nothing at this address").into();
        }
        if call.head.method() == Method::Options {
            return Response::options(ALLOW).into();
        }
        if let Err(refused) = call.may_go_on(Rights::REPL) {
            return refused.into_response().into();
        }
        let role = if is_watched(call.head) { Role::Watch } else { Role::Type };
        let mut is_full = false;
        let (lane, standing) = (call.lane.clone(), call.caller.standing.clone());
        let response = open(&self.inner.ws, call.head, call.caller, |socket| {
            let seat = self.terminal().sit(role, &lane);
            is_full = seat.is_none();
            Box::pin(async move {
                match seat {
                    Some(seat) => viewer::talk(socket, seat, lane, standing).await,
                    None => CloseCode::TRY_AGAIN,
                }
            })
        });
        if is_full {
            try_again("as many look at this terminal as may").into()
        } else {
            response.into()
        }
    }

    fn allow(&self) -> &str {
        ALLOW
    }
}

impl fmt::Debug for Repl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repl").field("command", &self.inner.command).finish_non_exhaustive()
    }
}

/// Whether the query says `view`.
fn is_watched(head: &Head<'_>) -> bool {
    Query::new(head.query().unwrap_or_default()).any(|pair| &*pair.key == b"view")
}

const VIEWERS_MAX: usize = 16;
const WEBREPL_IDLE: Duration = Duration::from_secs(600);
const SCROLL_BACK_BYTES: usize = 256 * 1024;
