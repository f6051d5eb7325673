//! From the checked configuration to a server that runs, and what signals do to it.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use number8::layers::access_log::{Format, Sink};
use number8::layers::auth::Auth;
use number8::layers::cors::{Cors, FILE_FIELDS};
use number8::layers::proxies::Proxies;
use number8::layers::same_origin::SameOrigin;
use number8::layers::sessions::{Login, Sessions};
use number8::server::{
    self, Bind, Closed, LaneOptions, Limits, Listener, LocalAddr, Options, Timeouts,
};
use number8::{
    AccessLog, App, ByMethod, ErrorPage, Events, Files, Handle, Reach, ServeError, Server, Uploads,
};
use rustix::system::uname;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::Invocation;
use crate::banner::{self, Place};
use crate::config::{Config, Listen};
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

/// What stays when the configuration is loaded again.
struct Kept {
    logs: Logs,
    /// Who listens goes on listening.
    events: Events,
    /// Who has logged in stays so.
    sessions: Sessions,
}

impl Kept {
    fn new(config: &Config, logs: &Logs) -> Result<Self, Problem> {
        let limits = config.access.sessions.unwrap_or_default();
        let sessions =
            Sessions::with_limits(limits).map_err(|error| Problem::failure(error.to_string()))?;
        Ok(Self { logs: logs.clone(), events: Events::new(), sessions })
    }
}

/// Where logs go. The same sinks stay in use when the configuration is loaded again.
#[derive(Clone)]
struct Logs {
    path: Option<PathBuf>,
    access: Option<Arc<Sink>>,
    dump: Option<Arc<Sink>>,
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

/// The app that the configuration describes.
fn app(config: &Config, kept: &Kept) -> Result<App, Problem> {
    let logs = &kept.logs;
    let mut app = App::new().health(config.answers.health.clone()).dump(logs.dump.clone());
    if !config.answers.server_header {
        app = app.server_name(None);
    }
    if let Some(sink) = &logs.access {
        let log = AccessLog { format: config.log.format.clone(), sink: Arc::clone(sink) };
        app = app.access_log(log);
    }
    if !config.listen.hosts.is_empty() {
        app = app.hosts(config.listen.hosts.iter().cloned());
    }
    for (name, value) in &config.answers.headers {
        app = app
            .header(name, value)
            .map_err(|error| Problem::config(format!("header {name}: {error}")))?;
    }
    for (status, path) in &config.files.error_pages {
        let content = fs::read(path)
            .map_err(|error| Problem::failure(format!("error page {}: {error}", path.display())))?;
        let content_type = number8::media_type(path.as_os_str().as_encoded_bytes());
        app = app.error_page(*status, ErrorPage { content_type, content: Bytes::from(content) });
    }
    app = guard(app, config, &kept.sessions)?;
    for mount in &config.files.mounts {
        let url = format!("{}{}", config.listen.path_prefix, mount.url);
        let files = files(config, &mount.path)?;
        app = match uploads(config, &mount.path)? {
            Some(uploads) => app.mount(&url, ByMethod::new().with(files).with(uploads)),
            None => app.mount(&url, files),
        };
    }
    if let Some(path) = &config.answers.events {
        app = app.mount(&format!("{}{path}", config.listen.path_prefix), kept.events.clone());
    }
    Ok(app)
}

/// Who may do what: whose word counts, whose pages may ask, who asks, and the rules.
fn guard(app: App, config: &Config, sessions: &Sessions) -> Result<App, Problem> {
    let (listen, access) = (&config.listen, &config.access);
    let proxies = Proxies::new(listen.trusted_proxies.iter().copied());
    let proxies = if listen.proxy_protocol { proxies.announce() } else { proxies };
    let mut app = app.proxies(proxies).access(access.rules.clone());
    let origins = config.answers.cors.as_deref();
    if let Some(origins) = origins {
        let cors = match origins {
            [] => Cors::any().methods("GET, HEAD"),
            _ => Cors::origins(origins).map(Cors::credentials),
        };
        let cors = cors.and_then(|cors| cors.exposed(FILE_FIELDS));
        let cors = cors.map_err(|error| Problem::config(format!("cors: {error}")))?;
        app = app.layer(cors.private_network());
    }
    let has_login = access.accounts.is_some() && access.sessions.is_some();
    // Where nothing can be done, no page of another site can do it.
    if access.anybody_acts() || has_login {
        app = app.layer(same_origin(listen, origins.unwrap_or_default()));
    }
    Ok(match &access.accounts {
        Some(accounts) => {
            let tell = |problem: &_| say(&format!("{problem}; the old accounts stay in use"));
            let auth = Auth::with_limits(accounts.clone(), access.limits.clone(), tell);
            app.layer(match has_login {
                true => auth.login(Login::new(sessions.clone()).under(&listen.path_prefix)),
                false => auth,
            })
        }
        None => app,
    })
}

/// Our names, and the sites whose pages may act here.
fn same_origin(listen: &Listen, origins: &[String]) -> SameOrigin {
    let machine = uname().nodename().to_string_lossy().into_owned();
    let own = SameOrigin::new().host(format!("{machine}.local")).host(machine);
    let found = listen.mdns.iter().fold(own, |layer, name| layer.host(format!("{name}.local")));
    let named = listen.hosts.iter().fold(found, |layer, name| layer.host(name));
    origins.iter().fold(named, |layer, origin| layer.origin(origin))
}

/// What takes files into a folder, if anybody may write; `None` for a single file.
fn uploads(config: &Config, path: &Path) -> Result<Option<Uploads>, Problem> {
    if !config.access.anybody_writes() || !path.is_dir() {
        return Ok(None);
    }
    let uploads = Uploads::with_reach(path, reach(config))
        .map_err(|error| Problem::failure(format!("{}: {error}", path.display())))?
        .max_bytes(config.uploads.bytes_max.unwrap_or(u64::MAX))
        .on_clash(config.uploads.on_clash)
        .keep_free(config.uploads.keep_free_bytes)
        .sync(config.uploads.sync);
    Ok(Some(uploads))
}

/// Removes what uploads of a killed process have left, beside the serving.
fn sweep(config: &Config) {
    let mut rooms = Vec::new();
    for mount in &config.files.mounts {
        // Where this fails, the app could not be made either.
        rooms.extend(uploads(config, &mount.path).ok().flatten());
    }
    if rooms.is_empty() {
        return;
    }
    let swept = thread::Builder::new().name("number8-sweep".to_owned()).spawn(move || {
        for room in rooms {
            match room.sweep() {
                Ok(0) => {}
                Ok(count) => {
                    say(&format!("{count} unfinished uploads of a killed run are removed"));
                }
                Err(error) => say(&format!("unfinished uploads cannot be looked for: {error}")),
            }
        }
    });
    if let Err(error) = swept {
        say(&format!("unfinished uploads cannot be looked for: {error}"));
    }
}

fn reach(config: &Config) -> Reach {
    Reach { hidden: config.files.hidden, follow_links: config.files.follow_symlinks }
}

fn files(config: &Config, path: &Path) -> Result<Files, Problem> {
    // All mounts together keep as much as one alone.
    let cache_bytes = config.files.cache_bytes / config.files.mounts.len().max(1) as u64;
    let mut files = Files::with_reach(path, reach(config))
        .map_err(|error| Problem::failure(format!("{}: {error}", path.display())))?
        .index(config.files.index.iter().cloned())
        .listing(config.files.listing)
        .listing_page(config.files.listing_entries_max)
        .cache_bytes(usize::try_from(cache_bytes).unwrap_or(usize::MAX));
    if let Some(page) = &config.files.spa {
        files = files.single_page(page);
    }
    for (extension, mime) in &config.files.mime {
        files = files
            .mime(extension, mime)
            .map_err(|error| Problem::config(format!("mime {extension}: {error}")))?;
    }
    if let Some(value) = &config.answers.cache_control {
        files = files
            .header("Cache-Control", value)
            .map_err(|error| Problem::config(format!("cache-control: {error}")))?;
    }
    Ok(files)
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
