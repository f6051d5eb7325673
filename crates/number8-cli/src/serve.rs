//! From the checked configuration to a server that runs, and what signals do to it.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use number8::layers::access_log::{Format, Sink};
use number8::server::{
    self, Bind, Closed, Http2Options, LaneOptions, Limits, Listener, LocalAddr, Options, Timeouts,
};
use number8::{App, Handle, ServeError, Server, Tls, ToHttps};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{Kept, app, metrics, sweep, webrepl, with_authority};
use crate::args::Invocation;
use crate::banner::{self, Place};
use crate::config::Config;
use crate::mdns;
use crate::notify;
use crate::problem::{Problem, say};
use crate::tls::Certificate;

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
    let opened = config.tls.as_ref().map(Certificate::open).transpose()?;
    let (tls, authority) = opened.map_or((None, None), |(tls, authority)| (Some(tls), authority));
    let kept = Kept::new(config, &logs, authority)?;
    let mut server = Server::new(app(config, &kept)?, options(config), listeners).on_warning(say);
    if let Some(tls) = tls.clone() {
        server = server.tls(tls);
    }
    if let Some(sink) = logs.connections.clone() {
        server = tell_closed(server, sink);
    }
    let ports = ports(&places(server.local_addrs()));
    let beside = Beside::start(config, &kept, &ports)?;
    let metrics = Beside::metrics(config, server.handle().metrics())?;
    let redirects = Beside::redirects(config, &kept, &ports)?;
    let greeting = if config.log.quiet {
        String::new()
    } else {
        greeting(config, &kept, &server, &[&beside, &metrics, &redirects])
    };
    // Until the server has ended.
    let _announced = config.listen.mdns.as_deref().and_then(|name| {
        mdns::announce(
            name,
            &places(server.local_addrs()),
            &format!("{}/", config.listen.path_prefix),
            config.tls.is_some(),
        )
    });
    let mut steering = Steering {
        handle: server.handle(),
        webrepl: beside.as_ref().map(|beside| (beside.handle.clone(), beside.places.clone())),
        places: places(server.local_addrs()),
        tls,
        invocation,
        kept,
        config: config.clone(),
        at_start: config.run.as_ref().and_then(|run| run.at_start.clone()),
        status: banner::status(config, &places(server.local_addrs())),
        is_stopping: false,
    };
    let result = server.run_with(async move {
        if let Err(error) = steering.run(&greeting).await {
            say(&format!("signals cannot be watched: {error}"));
        }
    });
    for beside in [beside, metrics, redirects].into_iter().flatten() {
        beside.finish();
    }
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

/// A server beside the other one: for the clients of WebREPL, for metrics, or for those who come without TLS.
pub(crate) struct Beside {
    handle: Handle,
    places: Vec<Place>,
    thread: thread::JoinHandle<()>,
}

impl Beside {
    /// `None` where nobody asked for it.
    fn start(config: &Config, kept: &Kept, ports: &[u16]) -> Result<Option<Self>, Problem> {
        let (Some(app), Some(address)) = (webrepl(config, kept, ports)?, &config.repl.webrepl)
        else {
            return Ok(None);
        };
        let is_open = config.repl.webrepl_password.is_none();
        let bind = match address.as_str() {
            "true" if is_open => Bind::Loopback { port: None },
            "true" => Bind::Every { port: WEBREPL_PORT },
            address => address
                .parse::<Bind>()
                .map_err(|error| Problem::usage(format!("webrepl {address}: {error}")))?,
        };
        let failure = |error| busy("webrepl: ", &error, "--webrepl=ADDR");
        let listeners = server::bind(&[bind], WEBREPL_PORT).map_err(failure)?;
        guard_terminal(config, &places(listeners.iter().map(Listener::local_addr)))?;
        Self::serve("webrepl", app, Options { workers: 1, ..options(config) }, listeners).map(Some)
    }

    /// What `app` says of what is counted, at an address of its own; `None` where nobody asked for it.
    pub(crate) fn metrics(config: &Config, app: App) -> Result<Option<Self>, Problem> {
        let Some(bind) = &config.answers.metrics else { return Ok(None) };
        let failure = |error| busy("metrics: ", &error, "--metrics");
        let listeners = server::bind(std::slice::from_ref(bind), METRICS_PORT).map_err(failure)?;
        let app = metrics(config, app);
        let options = Options { workers: 1, ..Options::default() };
        Self::serve("metrics", app, options, listeners).map(Some)
    }

    /// Leads to the first of these ports by https; `None` where nobody asked for it.
    ///
    /// Who is to trust the authority may get it without TLS.
    fn redirects(config: &Config, kept: &Kept, ports: &[u16]) -> Result<Option<Self>, Problem> {
        let (Some(bind), Some(&port)) = (&config.redirect_http, ports.first()) else {
            return Ok(None);
        };
        let failure = |error| busy("redirect-http: ", &error, "--redirect-http");
        let listeners = server::bind(std::slice::from_ref(bind), HTTP_PORT).map_err(failure)?;
        let app = with_authority(App::new().mount("/", ToHttps::new(port)), config, kept);
        let options = Options { workers: 1, ..options(config) };
        Self::serve("redirect-http", app, options, listeners).map(Some)
    }

    fn serve(
        name: &'static str,
        app: App,
        options: Options,
        listeners: Vec<Listener>,
    ) -> Result<Self, Problem> {
        let server = Server::new(app, options, listeners).on_warning(say);
        let (handle, places) = (server.handle(), places(server.local_addrs()));
        let serve = move || {
            if let Err(error) = server.run()
                && !matches!(error, ServeError::Cut(_))
            {
                say(&format!("{name}: {error}"));
            }
        };
        let thread = thread::Builder::new().name(format!("number8-{name}")).spawn(serve);
        let thread = thread.map_err(|error| Problem::failure(format!("{name}: {error}")))?;
        Ok(Self { handle, places, thread })
    }

    /// Where metrics are, a line for each place.
    pub(crate) fn tell_metrics(&self) -> String {
        let urls = banner::beside("http", "/metrics", &self.places, &banner::interfaces());
        urls.iter().map(|url| format!("Metrics: {}\n", url.trim_end_matches('/'))).collect()
    }

    /// Ends it with the other one.
    fn finish(self) {
        self.handle.shutdown_now();
        // It has said what was wrong, if anything was.
        let _ = self.thread.join();
    }
}

/// Where exporters of metrics listen by custom.
pub(crate) const METRICS_PORT: u16 = 9100;

/// Where clients come that are told no port.
pub(crate) const HTTP_PORT: u16 = 80;

/// Where MicroPython's devices listen.
pub(crate) const WEBREPL_PORT: u16 = 8266;

/// Where logs go. The same sinks stay in use when the configuration is loaded again.
#[derive(Clone)]
pub(crate) struct Logs {
    path: Option<PathBuf>,
    pub(crate) access: Option<Arc<Sink>>,
    pub(crate) dump: Option<Arc<Sink>>,
    /// Which requests were slow.
    pub(crate) slow: Option<Arc<Sink>>,
    /// Why connections were closed.
    pub(crate) connections: Option<Arc<Sink>>,
}

impl Logs {
    pub(crate) fn open(config: &Config) -> Result<Self, Problem> {
        let path = config.log.file.clone();
        let access = match &path {
            _ if config.log.format == Format::Off => None,
            Some(path) => Some(
                Sink::file(path)
                    .map_err(|error| {
                        Problem::failure(format!("log file {}: {error}", path.display()))
                    })?
                    .on_lost(say),
            ),
            None => Some(stderr()?),
        };
        let if_asked =
            |is_asked| if is_asked { stderr().map(Arc::new).map(Some) } else { Ok(None) };
        Ok(Self {
            path,
            access: access.map(Arc::new),
            dump: if_asked(config.log.dump)?,
            slow: if_asked(config.log.slow.is_some())?,
            connections: if_asked(config.log.verbose)?,
        })
    }

    /// Nothing is written.
    pub(crate) fn none() -> Self {
        Self { path: None, access: None, dump: None, slow: None, connections: None }
    }

    pub(crate) fn reopen(&self) {
        if let (Some(path), Some(sink)) = (&self.path, &self.access)
            && let Err(error) = sink.reopen()
        {
            say(&format!("log file {}: {error}; the old one stays in use", path.display()));
        }
    }

    pub(crate) fn finish(&self) {
        for sink in [&self.access, &self.dump, &self.slow, &self.connections].into_iter().flatten()
        {
            sink.finish(LOG_END);
        }
    }
}

fn stderr() -> Result<Sink, Problem> {
    Sink::stderr().map_err(|error| Problem::failure(format!("standard error: {error}")))
}

pub(crate) fn options(config: &Config) -> Options {
    let (timeouts, limits) = (&config.timeouts, &config.limits);
    Options {
        workers: config.workers.io_threads,
        grace: config.workers.grace,
        metrics: config.answers.metrics.is_some(),
        release_start: true,
        lane: LaneOptions {
            threads_max: config.workers.lane_threads,
            queue_max: config.workers.lane_queue,
            ..LaneOptions::default()
        },
        http2: Http2Options {
            is_on: limits.http2_streams > 0,
            streams_max: limits.http2_streams,
            stream_window_bytes: limits.http2_window_bytes,
            connection_window_bytes: limits.http2_window_bytes.saturating_mul(4),
            resets_max: limits.http2_resets,
            control_frames_max: limits.http2_control_frames,
        },
        timeouts: Timeouts {
            first_byte: timeouts.first,
            handshake: timeouts.handshake,
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
pub(crate) fn listen(config: &Config) -> Result<Vec<Listener>, Problem> {
    let failure = |error: server::BindError| Problem::failure(error.to_string());
    let mut binds = config.listen.binds.clone();
    if binds.is_empty() {
        let inherited = server::inherited().map_err(failure)?;
        if !inherited.is_empty() {
            let listeners: Vec<Listener> =
                inherited.into_iter().map(|(_, listener)| listener).collect();
            guard(config, &places(listeners.iter().map(Listener::local_addr)))?;
            return Ok(listeners);
        }
        binds.push(usual_bind(config));
    }
    let option = match config.listen.binds.is_empty() || binds.iter().any(takes_port) {
        true => "--port, or --port 0 for any free one",
        false => "--bind",
    };
    let listeners =
        server::bind(&binds, config.listen.port).map_err(|error| busy("", &error, option))?;
    // Only those that `fd:N` has not named are left.
    for (number, name) in server::not_taken().map_err(failure)? {
        say(&format!(
            "the socket {name} that was handed over is not served, and who visits it waits: add --bind fd:{number}, or \
             take it away"
        ));
    }
    guard(config, &places(listeners.iter().map(Listener::local_addr)))?;
    Ok(listeners)
}

/// Whether `--port` says at which port this is: no other was named, or none at all.
fn takes_port(bind: &Bind) -> bool {
    matches!(bind, Bind::Ip { port: None, .. } | Bind::Loopback { port: None })
}

/// What to say where an address cannot be had that `option` chooses.
fn busy(of: &str, error: &server::BindError, option: &str) -> Problem {
    let advice = match error.is_about_port() {
        true => another_port(error.kind(), option),
        false => String::new(),
    };
    Problem::failure(format!("{of}{error}{advice}"))
}

fn another_port(refused: io::ErrorKind, option: &str) -> String {
    match refused {
        io::ErrorKind::AddrInUse => format!("; choose another with {option}"),
        io::ErrorKind::PermissionDenied => format!("; or choose a higher one with {option}"),
        _ => String::new(),
    }
}

/// Where to listen if nobody says.
pub(crate) fn usual_bind(config: &Config) -> Bind {
    match config.access.is_for_this_machine() || config.app.is_some() {
        true => Bind::Loopback { port: Some(config.listen.port) },
        false => Bind::Every { port: config.listen.port },
    }
}

/// Refuses to be reached from other machines where that is not safe.
fn guard(config: &Config, places: &[Place]) -> Result<(), Problem> {
    match config.access.is_for_this_machine() {
        true => local_only(places, WRITABLE),
        false => Ok(()),
    }
}

/// As [`guard`], for the clients of WebREPL.
fn guard_terminal(config: &Config, places: &[Place]) -> Result<(), Problem> {
    match config.repl.webrepl_password.is_none() && !config.access.insecure {
        true => local_only(places, "everyone who reaches {} could run programs there"),
        false => Ok(()),
    }
}

/// Why other machines are not to reach what everyone may change, run or send.
pub(crate) const WRITABLE: &str = "everyone who reaches {} could do more there than read";

/// Refuses places that other machines reach, with why.
pub(crate) fn local_only(places: &[Place], why: &str) -> Result<(), Problem> {
    let far = places.iter().find_map(|place| match place {
        Place::Tcp(address) if !address.ip().is_loopback() => Some(address),
        Place::Tcp(_) | Place::Unix(_) => None,
    });
    let Some(address) = far else { return Ok(()) };
    let why = why.replace("{}", &address.to_string());
    let help = "listen at localhost, allow less, or add --insecure";
    Err(Problem::config(format!("{why}: {help}")))
}

/// Has the server say why connections were closed.
pub(crate) fn tell_closed(server: Server, sink: Arc<Sink>) -> Server {
    server.on_closed(move |peer, why| {
        sink.push(closed(peer, why).as_bytes());
        sink.flush();
    })
}

/// One line of the log of connections.
fn closed(peer: Option<SocketAddr>, why: Closed) -> String {
    let peer = peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string());
    format!("number8: {peer} closed: {why}\n")
}

fn greeting(
    config: &Config,
    kept: &Kept,
    server: &Server,
    beside: &[&Option<Beside>; 3],
) -> String {
    let (places, interfaces) = (places(server.local_addrs()), banner::interfaces());
    let mut text = banner::text(config, &places, &interfaces, io::stderr().is_terminal());
    let [webrepl, metrics, redirects] = beside.map(Option::as_ref);
    if let Some(beside) = webrepl {
        for url in banner::beside("ws", "", &beside.places, &interfaces) {
            text.push_str(&format!("WebREPL: {url}\n"));
        }
    }
    if let Some(metrics) = metrics {
        text.push_str(&metrics.tell_metrics());
    }
    let redirects = redirects.map_or(&[][..], |beside| &beside.places);
    for url in banner::beside("http", "", redirects, &interfaces) {
        text.push_str(&format!("Leads to https: {url}\n"));
    }
    if let Some(authority) = &kept.authority {
        text.push_str(&banner::trust(config, authority, (&places, redirects), &interfaces));
    }
    text
}

pub(crate) fn places<'a>(addresses: impl Iterator<Item = &'a LocalAddr>) -> Vec<Place> {
    addresses
        .map(|address| match address {
            LocalAddr::Ip(address) => Place::Tcp(*address),
            LocalAddr::Unix(path) => Place::Unix(path.clone()),
            LocalAddr::Abstract(name) => Place::Unix(PathBuf::from(format!("@{name}"))),
        })
        .collect()
}

fn ports(places: &[Place]) -> Vec<u16> {
    let ports = places.iter().filter_map(|place| match place {
        Place::Tcp(address) => Some(address.port()),
        Place::Unix(_) => None,
    });
    ports.collect()
}

/// What signals do.
struct Steering {
    handle: Handle,
    /// For the clients of WebREPL, and where those come.
    webrepl: Option<(Handle, Vec<Place>)>,
    /// Where the pages are.
    places: Vec<Place>,
    tls: Option<Tls>,
    invocation: Invocation,
    kept: Kept,
    /// As it was loaded last.
    config: Config,
    /// The saved program that is run first.
    at_start: Option<String>,
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

#[cfg(test)]
mod tests;
