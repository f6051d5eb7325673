//! What signals do to a server that runs.

use std::io;

use number8::{Handle, Tls};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{Kept, app, webrepl};
use crate::args::Invocation;
use crate::banner::{self, Place};
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
        loop {
            tokio::select! {
                () = &mut watched => {}
                () = next(&mut interrupt) => self.stop(),
                () = next(&mut terminate) => self.stop(),
                () = next(&mut hang_up) => self.reload(),
                () = next(&mut user1) => self.kept.logs.reopen(),
                () = next(&mut child) => reap(),
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

    fn replace(&mut self) -> Result<(), Problem> {
        let (_, config) = self.invocation.load()?;
        // We go on to listen where we do.
        guard(&config, &self.places)?;
        if let Some((_, places)) = &self.webrepl {
            guard_terminal(&config, places)?;
        }
        let (app, webrepl) =
            (app(&config, &self.kept)?, webrepl(&config, &self.kept, &ports(&self.places))?);
        let failure = |error: number8::RouteError| Problem::failure(error.to_string());
        self.handle.replace(app).map_err(failure)?;
        if let (Some((handle, _)), Some(app)) = (&self.webrepl, webrepl) {
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

    /// Reads the configuration again. What cannot change while serving (where to listen, threads, time-outs)
    /// stays as it is.
    fn reload(&mut self) {
        notify::reloading();
        self.kept.logs.reopen();
        match self.replace() {
            Ok(()) => {
                say("the configuration has been loaded again");
            }
            Err(problem) => say(&format!("{problem}; the old configuration stays in use")),
        }
        if let Some(Err(error)) = self.tls.as_ref().map(Tls::reload) {
            say(&format!("{error}; the old certificate stays in use"));
        }
        notify::ready(&self.status);
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
