//! From the checked configuration to a server that runs, and what signals do to it.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use number8::layers::access_log::{Format, Sink};
use number8::server::{
    self, Bind, Closed, LaneOptions, Limits, Listener, LocalAddr, Options, Timeouts,
};
use number8::{Handle, ServeError, Server};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{Kept, app, sweep};
use crate::args::Invocation;
use crate::banner::{self, Place};
use crate::config::Config;
use crate::mdns;
use crate::notify;
use crate::problem::{Problem, say};

/// How long the last lines of the log may take.
const LOG_END: Duration = Duration::from_secs(1);

/// Serves until a signal ends it.
pub fn serve(invocation: Invocation, config: &Config) -> ExitCode {
    match try_serve(invocation, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => problem.report(),
    }
}

fn try_serve(invocation: Invocation, config: &Config) -> Result<(), Problem> {
    server::raise_nofile_limit();
    let logs = Logs::open(config)?;
    let listeners = listen(config)?;
    sweep(config);
    let kept = Kept::new(config, &logs)?;
    let mut server = Server::new(app(config, &kept)?, options(config), listeners).on_warning(say);
    if let Some(sink) = logs.connections.clone() {
        server = server.on_closed(move |peer, why| {
            sink.push(closed(peer, why).as_bytes());
            sink.flush();
        });
    }
    let greeting = if config.log.quiet { String::new() } else { greeting(config, &server) };
    // Until the server has ended.
    let _announced = config.listen.mdns.as_deref().and_then(|name| {
        mdns::announce(name, &places(&server), &format!("{}/", config.listen.path_prefix))
    });
    let mut steering = Steering {
        handle: server.handle(),
        invocation,
        kept,
        status: banner::status(config, &places(&server)),
        is_stopping: false,
    };
    let result = server.run_with(async move {
        if let Err(error) = steering.run(&greeting).await {
            say(&format!("signals cannot be watched: {error}"));
        }
    });
    logs.finish();
    match result {
        Ok(()) => Ok(()),
        // The grace is over: what was asked for has happened, if less gently.
        Err(ServeError::Cut(_)) => {
            if let Err(error) = &result {
                say(&error.to_string());
            }
            Ok(())
        }
        Err(error) => Err(Problem::failure(error.to_string())),
    }
}

/// Where logs go. The same sinks stay in use when the configuration is loaded again.
#[derive(Clone)]
pub(crate) struct Logs {
    path: Option<PathBuf>,
    pub(crate) access: Option<Arc<Sink>>,
    pub(crate) dump: Option<Arc<Sink>>,
    /// Why connections were closed.
    connections: Option<Arc<Sink>>,
}

impl Logs {
    fn open(config: &Config) -> Result<Self, Problem> {
        let path = config.log.file.clone();
        let access = match &path {
            _ if config.log.format == Format::Off => None,
            Some(path) => Some(Sink::file(path).map_err(|error| {
                Problem::failure(format!("log file {}: {error}", path.display()))
            })?),
            None => Some(stderr()?),
        };
        let if_asked =
            |is_asked| if is_asked { stderr().map(Arc::new).map(Some) } else { Ok(None) };
        Ok(Self {
            path,
            access: access.map(Arc::new),
            dump: if_asked(config.log.dump)?,
            connections: if_asked(config.log.verbose)?,
        })
    }

    fn reopen(&self) {
        if let (Some(path), Some(sink)) = (&self.path, &self.access)
            && let Err(error) = sink.reopen()
        {
            say(&format!("log file {}: {error}; the old one stays in use", path.display()));
        }
    }

    fn finish(&self) {
        for sink in [&self.access, &self.dump, &self.connections].into_iter().flatten() {
            sink.finish(LOG_END);
        }
    }
}

fn stderr() -> Result<Sink, Problem> {
    Sink::stderr().map_err(|error| Problem::failure(format!("standard error: {error}")))
}

fn options(config: &Config) -> Options {
    let (timeouts, limits) = (&config.timeouts, &config.limits);
    Options {
        workers: config.workers.io_threads,
        grace: config.workers.grace,
        lane: LaneOptions {
            threads_max: config.workers.lane_threads,
            queue_max: config.workers.lane_queue,
            ..LaneOptions::default()
        },
        timeouts: Timeouts {
            first_byte: timeouts.first,
            head: timeouts.head,
            body: timeouts.body,
            body_rate_min: limits.body_bytes_per_second_min,
            body_rate_after: timeouts.body_rate_after,
            write: timeouts.write,
            idle: timeouts.idle,
            linger: timeouts.linger,
        },
        limits: Limits {
            http: number8::server::HttpLimits {
                head_bytes_max: limits.head_bytes,
                fields_max: limits.fields,
                uri_bytes_max: limits.uri_bytes,
                drain_bytes_max: limits.linger_bytes,
                lenient: config.answers.lenient,
                ..Default::default()
            },
            body_bytes_max: limits.body_bytes,
            connections_max: limits.connections,
            connections_per_client_max: limits.connections_per_ip.unwrap_or(usize::MAX),
            buffered_bytes_max: limits.buffered_bytes,
            linger_bytes_max: limits.linger_bytes,
        },
    }
}

/// Listens where the configuration says, or where whoever started us listens already, or everywhere.
fn listen(config: &Config) -> Result<Vec<Listener>, Problem> {
    let failure = |error: server::BindError| Problem::failure(error.to_string());
    let inherited = server::inherited().map_err(failure)?;
    if config.listen.binds.is_empty() && !inherited.is_empty() {
        let listeners = inherited.into_iter().map(|(_, listener)| listener).collect();
        return guarded(config, listeners);
    }
    let mut binds = Vec::new();
    for bind in &config.listen.binds {
        let parsed = bind.parse::<Bind>();
        binds.push(parsed.map_err(|error| Problem::usage(format!("bind {bind}: {error}")))?);
    }
    if binds.is_empty() {
        binds.push(match needs_loopback(config) {
            true => Bind::Loopback { port: None },
            false => Bind::Every { port: config.listen.port },
        });
    }
    guarded(config, server::bind(&binds, config.listen.port).map_err(failure)?)
}

/// SECURITY: whoever can reach a server that lets everyone write can fill its disk, or replace its pages.
fn needs_loopback(config: &Config) -> bool {
    config.access.everyone_writes() && !config.access.insecure
}

/// Refuses to be reached from other machines where that is not safe.
fn guarded(config: &Config, listeners: Vec<Listener>) -> Result<Vec<Listener>, Problem> {
    if needs_loopback(config) {
        for listener in &listeners {
            if let LocalAddr::Ip(address) = listener.local_addr()
                && !address.ip().is_loopback()
            {
                return Err(Problem::config(format!(
                    "everyone who reaches {address} could write there: listen at localhost, allow less, or add \
                     --insecure"
                )));
            }
        }
    }
    Ok(listeners)
}

/// One line of the log of connections.
fn closed(peer: Option<SocketAddr>, why: Closed) -> String {
    let peer = peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string());
    format!("number8: {peer} closed: {why}\n")
}

fn greeting(config: &Config, server: &Server) -> String {
    banner::text(config, &places(server), &banner::interfaces(), io::stderr().is_terminal())
}

fn places(server: &Server) -> Vec<Place> {
    server
        .local_addrs()
        .map(|address| match address {
            LocalAddr::Ip(address) => Place::Tcp(*address),
            LocalAddr::Unix(path) => Place::Unix(path.clone()),
            LocalAddr::Abstract(name) => Place::Unix(PathBuf::from(format!("@{name}"))),
        })
        .collect()
}

/// What signals do.
struct Steering {
    handle: Handle,
    invocation: Invocation,
    kept: Kept,
    /// What is served and where, in a line, for the service manager.
    status: String,
    is_stopping: bool,
}

impl Steering {
    /// Greets once signals are watched, so that whoever reads the greeting may send one.
    async fn run(&mut self, greeting: &str) -> io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut user1 = signal(SignalKind::user_defined1())?;
        let mut child = signal(SignalKind::child())?;
        // Nobody there to read it is no reason not to serve.
        let _ = io::stderr().write_all(greeting.as_bytes());
        notify::ready(&self.status);
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

    /// The first time gracefully, the second time now.
    fn stop(&mut self) {
        if self.is_stopping {
            self.handle.shutdown_now();
        } else {
            self.is_stopping = true;
            notify::stopping();
            self.handle.shutdown();
        }
    }

    /// Reads the configuration again. What cannot change while serving (where to listen, threads, time-outs)
    /// stays as it is.
    fn reload(&self) {
        notify::reloading();
        self.kept.logs.reopen();
        let loaded = self.invocation.load().and_then(|(_, config)| app(&config, &self.kept));
        match loaded.and_then(|app| {
            self.handle.replace(app).map_err(|error| Problem::failure(error.to_string()))
        }) {
            Ok(()) => {
                say("the configuration has been loaded again");
            }
            Err(problem) => say(&format!("{problem}; the old configuration stays in use")),
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
