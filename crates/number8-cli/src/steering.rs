//! What signals do to a server that runs.

use std::io;
use std::thread;

use number8::{App, Handle, Tls, TlsError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot::{self, error::RecvError};

use crate::app::{Kept, app, webrepl};
use crate::args::Invocation;
use crate::banner::{self, Place};
use crate::beside::redirecting;
use crate::config::Config;
use crate::listening::{guard, guard_terminal, ports};
use crate::notify;
use crate::problem::{Problem, say, tell};
use crate::tls::Certificate;

/// What signals do.
pub(crate) struct Steering {
    pub(crate) handle: Handle,
    /// For the clients of WebREPL, and where those come.
    pub(crate) webrepl: Option<(Handle, Vec<Place>)>,
    /// For those who come without TLS.
    pub(crate) redirects: Option<Handle>,
    /// Where the pages are.
    pub(crate) places: Vec<Place>,
    pub(crate) tls: Option<Tls>,
    pub(crate) invocation: Invocation,
    pub(crate) kept: Kept,
    /// As it was loaded last.
    pub(crate) config: Config,
    /// The saved program that is run first.
    pub(crate) at_start: Option<String>,
    /// What is served and where, in a line, for the service manager.
    pub(crate) status: String,
    pub(crate) is_stopping: bool,
}

impl Steering {
    /// Greets once signals are watched, so that whoever reads the greeting may send one.
    pub(crate) async fn run(&mut self, greeting: &str) -> io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut user1 = signal(SignalKind::user_defined1())?;
        let mut child = signal(SignalKind::child())?;
        tell(greeting);
        notify::ready(&self.status);
        self.start_program();
        let handle = self.handle.clone();
        let watched = notify::watched(&handle);
        tokio::pin!(watched);
        // Of the disk one thing is asked at a time; what comes meanwhile is done once more behind it.
        let mut asked: Option<oneshot::Receiver<Option<Loaded>>> = None;
        let mut next_ask = None;
        loop {
            tokio::select! {
                () = &mut watched => {}
                () = next(&mut interrupt) => self.stop(),
                () = next(&mut terminate) => self.stop(),
                () = next(&mut hang_up) => next_ask = Some(Ask::Load),
                () = next(&mut user1) => next_ask = next_ask.or(Some(Ask::Reopen)),
                () = next(&mut child) => reap(),
                loaded = told(&mut asked) => {
                    asked = None;
                    match loaded {
                        Ok(Some(loaded)) => self.adopt(loaded),
                        Ok(None) => {}
                        Err(_) => self.keep_old("the thread has panicked"),
                    }
                }
            }
            if asked.is_none()
                && let Some(ask) = next_ask.take()
            {
                asked = self.ask(ask);
            }
        }
    }

    /// Runs the program that is to run from the start; where it cannot, that is no reason not to serve.
    fn start_program(&mut self) {
        let (Some(name), Some(runner)) = (self.at_start.take(), self.kept.runner.clone()) else {
            return;
        };
        let handle = self.handle.clone();
        tokio::spawn(async move {
            if let Err(error) = runner.run_saved(&name, &handle).await {
                let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                say(&format!("run-at-start {name}: {}{why}", error.message()));
            }
        });
    }

    /// The first time gracefully, the second time now.
    fn stop(&mut self) {
        if self.is_stopping {
            self.handle.shutdown_now();
        } else {
            self.is_stopping = true;
            notify::stopping();
            self.handle.shutdown();
            if let Some((webrepl, _)) = &self.webrepl {
                webrepl.shutdown();
            }
        }
    }

    /// Has a thread of its own ask the disk, which may keep it waiting: nobody who is served waits with it.
    fn ask(&self, what: Ask) -> Option<oneshot::Receiver<Option<Loaded>>> {
        if what == Ask::Load {
            notify::reloading();
        }
        let source = Source {
            invocation: self.invocation.clone(),
            kept: self.kept.clone(),
            places: self.places.clone(),
            webrepl: self.webrepl.as_ref().map(|(_, places)| places.clone()),
            redirects: self.redirects.is_some(),
            tls: self.tls.clone(),
        };
        let (tell, asked) = oneshot::channel();
        let ask = move || {
            source.kept.logs.reopen();
            // Where nobody listens any more, the server has ended.
            let _ = tell.send((what == Ask::Load).then(|| source.load()));
        };
        match thread::Builder::new().name("number8-reload".to_owned()).spawn(ask) {
            Ok(_) => Some(asked),
            Err(error) => {
                self.keep_old(&error.to_string());
                None
            }
        }
    }

    /// A service manager has to hear of the end of what it was told of, or takes the service for stuck.
    fn keep_old(&self, why: &str) {
        say(&format!("loading again: {why}; the old configuration stays in use"));
        notify::ready(&self.status);
    }

    /// Takes what was loaded into use. What cannot change while serving (where to listen, threads, time-outs)
    /// stays as it is.
    fn adopt(&mut self, Loaded { served, tls }: Loaded) {
        match served.and_then(|served| self.replace(served)) {
            Ok(()) => {
                say("the configuration has been loaded again");
            }
            Err(problem) => say(&format!("{problem}; the old configuration stays in use")),
        }
        if let Some(Err(error)) = tls {
            say(&format!("{error}; the old certificate stays in use"));
        }
        notify::ready(&self.status);
    }

    fn replace(&mut self, served: Served) -> Result<(), Problem> {
        let Served { config, app, webrepl, redirects } = served;
        let failure = |error: number8::RouteError| Problem::failure(error.to_string());
        self.handle.replace(app).map_err(failure)?;
        if let (Some((handle, _)), Some(app)) = (&self.webrepl, webrepl) {
            handle.replace(app).map_err(failure)?;
        }
        if let (Some(handle), Some(app)) = (&self.redirects, redirects) {
            handle.replace(app).map_err(failure)?;
        }
        self.kept.heed(&config);
        let changed = config.fixed_that_changed(&self.config);
        if !changed.is_empty() {
            say(&format!("{}: what has changed there takes a new start", changed.join(", ")));
        }
        if Certificate::names_differ(&config.tls, &self.config.tls) {
            say("host: the certificate keeps the names that it has until a new start");
        }
        self.status = banner::status(&config, &self.places);
        self.config = config;
        Ok(())
    }
}

/// What the disk is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// The log, opened anew.
    Reopen,
    /// That, and the configuration.
    Load,
}

/// What the configuration is loaded from, and what stays beside it.
struct Source {
    invocation: Invocation,
    kept: Kept,
    places: Vec<Place>,
    webrepl: Option<Vec<Place>>,
    /// Whether those who come without TLS are led elsewhere.
    redirects: bool,
    tls: Option<Tls>,
}

/// What came of it.
struct Loaded {
    served: Result<Served, Problem>,
    tls: Option<Result<bool, TlsError>>,
}

/// What is to be served from now on.
struct Served {
    config: Config,
    app: App,
    webrepl: Option<App>,
    redirects: Option<App>,
}

impl Source {
    fn load(&self) -> Loaded {
        Loaded { served: self.served(), tls: self.tls.as_ref().map(Tls::reload) }
    }

    fn served(&self) -> Result<Served, Problem> {
        let (_, config) = self.invocation.load()?;
        // We go on to listen where we do.
        guard(&config, &self.places)?;
        if let Some(places) = &self.webrepl {
            guard_terminal(&config, places)?;
        }
        let app = app(&config, &self.kept)?;
        let ports = ports(&self.places);
        let webrepl = webrepl(&config, &self.kept, &ports)?;
        let port = ports.first().filter(|_| self.redirects);
        let redirects = port.map(|&port| redirecting(&config, &self.kept, port)).transpose()?;
        Ok(Served { config, app, webrepl, redirects })
    }
}

/// What the thread tells that was asked; never where none was.
async fn told(
    asked: &mut Option<oneshot::Receiver<Option<Loaded>>>,
) -> Result<Option<Loaded>, RecvError> {
    match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    }
}

async fn next(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// As the first process of a container, we inherit the children of others (row W12).
fn reap() {
    if std::process::id() == 1 {
        number8::reap_strangers();
    }
}
