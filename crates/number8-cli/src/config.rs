//! The checked configuration. What can be known to be wrong before serving is found here, once; what serves takes
//! these values as they are.

mod odd;
mod within;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use number8::access::{Rights, Rule};
use number8::layers::access_log::Format;
use number8::layers::proxies::Proxy;
use number8::server::Bind;
use number8::store::OnClash;

pub use crate::access::Access;
use crate::banner::Place;
pub use crate::hosted::Hosted;
use crate::listening;
use crate::options::Opt;
use crate::problem::Problem;
use crate::repl::Repl;
use crate::runner::Run;
use crate::settings::{LANE_THREADS_MAX, Origin, Settings};
use crate::syntax;
use crate::tls::{self, Certificate};
use crate::units::{parse_duration, parse_size};

/// Everything that serving needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is served.
    pub files: Files,
    /// Who may do what.
    pub access: Access,
    /// How files are taken.
    pub uploads: Uploads,
    /// Whether there are pages for all of it.
    pub board: bool,
    /// The live terminal.
    pub repl: Repl,
    /// How programs are run, if they are.
    pub run: Option<Run>,
    /// The app of Python's, if one is run.
    pub app: Option<Hosted>,
    /// Where it is served.
    pub listen: Listen,
    /// The certificate, where it is served by https.
    pub tls: Option<Certificate>,
    /// Where clients come that are led to https.
    pub redirect_http: Option<Bind>,
    /// What every answer has.
    pub answers: Answers,
    /// What is told to the person who runs it.
    pub log: Log,
    /// Threads and stopping.
    pub workers: Workers,
    /// How long to wait for a client.
    pub timeouts: Timeouts,
    /// How much to take from clients.
    pub limits: Limits,
    /// What is odd but no mistake, one line each.
    pub warnings: Vec<String>,
    /// What was said of the options that cannot change while it is served.
    fixed: Vec<(&'static Opt, Vec<String>)>,
}

/// What is served.
#[derive(Clone, Debug)]
pub struct Files {
    /// Folders or files with the paths they are served under, the one of PATH (under `/`) first.
    pub mounts: Vec<Mount>,
    /// Names of the files that stand for their folder, the first found is taken.
    pub index: Vec<String>,
    /// File below the root of `/` that answers paths that do not exist.
    pub spa: Option<String>,
    /// Files sent with these status codes.
    pub error_pages: Vec<(u16, PathBuf)>,
    /// Whether folders are listed.
    pub listing: bool,
    /// Entries on one page of a listing.
    pub listing_entries_max: usize,
    /// Whether names that begin with a dot are listed and served.
    pub hidden: bool,
    /// Whether links out of the folder are followed.
    pub follow_symlinks: bool,
    /// Extensions in lower case without their dot, with their media types.
    pub mime: Vec<(String, String)>,
    /// Bytes of memory for small files.
    pub cache_bytes: u64,
}

/// How files are taken.
#[derive(Clone, Copy, Debug)]
pub struct Uploads {
    /// Bytes of one upload; `None` for what the disk holds.
    pub bytes_max: Option<u64>,
    /// What to do where a name is taken.
    pub on_clash: OnClash,
    /// Bytes that stay free on the disk.
    pub keep_free_bytes: u64,
    /// Whether to wait for the disk.
    pub sync: bool,
}

/// A folder or file and the path it is served under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `/`, or a path without a slash at its end.
    pub url: String,
    /// The folder or regular file, which exists and can be read.
    pub path: PathBuf,
}

/// Where it is served.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Addresses; empty for every address of the machine, IPv4 and IPv6, whichever it has.
    pub binds: Vec<Bind>,
    /// The port of addresses that name none; 0 for any free one.
    pub port: u16,
    /// Host names that are answered, in lower case; empty for all.
    pub hosts: Vec<String>,
    /// Whom to believe about who a client is.
    pub trusted_proxies: Vec<Proxy>,
    /// Whether those begin each connection with a PROXY header.
    pub proxy_protocol: bool,
    /// Empty, or a path without a slash at its end that everything is under.
    pub path_prefix: String,
    /// The name in the local network, without `.local`.
    pub mdns: Option<String>,
    /// Whether to draw the address as a QR code.
    pub qr: bool,
}

/// What every answer has.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Fields to add.
    pub headers: Vec<(String, String)>,
    /// Whose pages may read: `None` for our own only, an empty list for all.
    pub cors: Option<Vec<String>>,
    /// Cache-Control of files.
    pub cache_control: Option<String>,
    /// Whether there is a Server field.
    pub server_header: bool,
    /// The path that answers that all is well.
    pub health: Option<String>,
    /// The path that answers whether new requests are welcome.
    pub ready: Option<String>,
    /// Where metrics are.
    pub metrics: Option<Bind>,
    /// The path where events are sent to those who listen.
    pub events: Option<String>,
    /// Whether bare line feeds are accepted in a request head.
    pub lenient: bool,
}

/// What is told to the person who runs it.
#[derive(Clone, Debug)]
pub struct Log {
    /// What a line of the access log looks like.
    pub format: Format,
    /// Where it goes; standard error if nowhere else.
    pub file: Option<PathBuf>,
    /// How late an answer has to begin to be told of; `None` for never.
    pub slow: Option<Duration>,
    /// Whether answers tell what their requests are called.
    pub request_id: bool,
    /// Whether to print the heads of requests and answers.
    pub dump: bool,
    /// Whether to print errors only.
    pub quiet: bool,
    /// Whether to say why connections were closed.
    pub verbose: bool,
}

/// Threads and stopping.
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    /// Threads that serve connections.
    pub io_threads: usize,
    /// Threads for work that may block.
    pub lane_threads: usize,
    /// Work that may wait for them.
    pub lane_queue: usize,
    /// How long requests may go on after a signal to stop.
    pub grace: Duration,
}

/// How long to wait for a client.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the first byte on a new connection.
    pub first: Duration,
    /// For the handshake of TLS.
    pub handshake: Duration,
    /// For the head of a request, from its first byte.
    pub head: Duration,
    /// Between two parts of a request body.
    pub body: Duration,
    /// How long a body may be slower than its least rate at first.
    pub body_rate_after: Duration,
    /// For the client to take more of an answer.
    pub write: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For reading on after a refused body.
    pub linger: Duration,
}

/// How much to take from clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request head.
    pub head_bytes: usize,
    /// Fields in a head.
    pub fields: usize,
    /// Bytes of a request target.
    pub uri_bytes: usize,
    /// Bytes of a request body.
    pub body_bytes: u64,
    /// Least bytes a second of a request body after its first 10 seconds; 0 for none.
    pub body_bytes_per_second_min: u64,
    /// Bytes read on after a refused body.
    pub linger_bytes: u64,
    /// Open connections.
    pub connections: usize,
    /// Open connections of one client address; `None` for no limit.
    pub connections_per_ip: Option<usize>,
    /// Bytes in buffers over all connections.
    pub buffered_bytes: usize,
    /// Requests at once on a connection of HTTP/2; 0 where it is not spoken.
    pub http2_streams: u32,
    /// Bytes of content that a client of HTTP/2 may send on a stream before somebody takes some.
    pub http2_window_bytes: u32,
    /// Streams of HTTP/2 that a client may end in a second.
    pub http2_resets: u32,
    /// Frames of HTTP/2 in a second that ask for nothing.
    pub http2_control_frames: u32,
}

impl Config {
    /// Checks settings that have all their defaults.
    ///
    /// # Errors
    /// The first value that cannot work, with the place where it was set and what to do.
    pub fn check(settings: &Settings) -> Result<Config, Problem> {
        let (files, listen) = (files(settings)?, listen(settings)?);
        let tls = tls::check(settings, &listen, &files)?;
        let mut config = Config {
            files,
            access: Access::check(settings)?,
            uploads: uploads(settings)?,
            board: settings.switch("board")?,
            repl: Repl::check(settings)?,
            run: Run::check(settings)?,
            app: Hosted::check(settings)?,
            listen,
            tls,
            redirect_http: settings.one("redirect-http", |text| {
                text.parse::<Bind>().map_err(|error| error.to_string())
            })?,
            answers: answers(settings)?,
            log: log(settings)?,
            workers: workers(settings)?,
            timeouts: timeouts(settings)?,
            limits: limits(settings)?,
            warnings: Vec::new(),
            fixed: odd::fixed(settings),
        };
        if config.log.quiet && config.log.verbose {
            return Err(
                settings.problem("verbose", "this does not go with quiet: take one of the two")
            );
        }
        if config.listen.proxy_protocol && config.listen.trusted_proxies.is_empty() {
            let why = "say with trusted-proxy from whom to take it";
            return Err(settings.problem("proxy-protocol", why));
        }
        if config.redirect_http.is_some() && config.tls.is_none() {
            let why = "there is no https to lead to: give it a certificate with tls-cert or tls-self-signed";
            return Err(settings.problem("redirect-http", why));
        }
        if config.access.is_for_this_machine() {
            let near = settings.list("bind", |text| {
                let place = text.parse().ok().and_then(|bind| config.listen.place(&bind));
                listening::local_only(place.as_slice(), listening::WRITABLE)
                    .map_err(|why| why.to_string())
            });
            near.map_err(Problem::of_config)?;
        }
        config.repl.check_rights(&config.access.rules, settings)?;
        let may_run = |rule: &Rule| rule.rights().contains(Rights::RUN);
        let is_asked = settings.get("run").is_some_and(|run| run.origin != Origin::Default);
        if config.run.is_some() && is_asked && !config.access.rules.rules().iter().any(may_run) {
            let why =
                "nobody has the right run: --auth NAME:PASSWORD@/:all gives it to one account";
            return Err(settings.problem("run", why));
        }
        if config.limits.uri_bytes > config.limits.head_bytes {
            let is_set =
                settings.get("max-uri").is_some_and(|setting| setting.origin != Origin::Default);
            let name = if is_set { "max-uri" } else { "max-head" };
            return Err(
                settings.problem(name, "max-uri cannot be more than max-head, which holds it")
            );
        }
        config.check_paths(settings)?;
        let root = config.files.mounts.iter().find(|mount| mount.url == "/");
        if config.run.is_some() && root.is_some_and(|root| !root.path.is_dir()) {
            let why = "programs are run in it, so it has to be a folder; --run off runs none";
            let name = if settings.get("path").is_some() { "path" } else { "mount" };
            return Err(settings.problem(name, why));
        }
        config.warnings = config.oddities(settings);
        Ok(config)
    }
}

impl Listen {
    /// The address that is named, if one is; a port of 0 is not known yet.
    fn place(&self, bind: &Bind) -> Option<Place> {
        match *bind {
            Bind::Ip { ip, port } => Some(Place::Tcp((ip, port.unwrap_or(self.port)).into())),
            Bind::Every { port } => Some(Place::Tcp((Ipv4Addr::UNSPECIFIED, port).into())),
            _ => None,
        }
    }
}

fn files(settings: &Settings) -> Result<Files, Problem> {
    let mut mounts = Vec::new();
    if let Some(path) = settings.one("path", syntax::servable)? {
        mounts.push(Mount { url: "/".to_owned(), path });
    }
    settings.list("mount", |value| {
        let mount = syntax::mount(value)?;
        if mounts.iter().any(|other| other.url == mount.url) {
            return Err(format!("something is served under {} already", mount.url));
        }
        mounts.push(mount);
        Ok(())
    })?;
    Ok(Files {
        mounts,
        index: settings.list("index", syntax::file_name)?,
        spa: settings.one("spa", syntax::fallback)?.flatten(),
        error_pages: settings.list("error-page", syntax::error_page)?,
        listing: !settings.switch("no-listing")?,
        listing_entries_max: count(settings, "max-listing", 1, 1_000_000)?,
        hidden: settings.switch("hidden")?,
        follow_symlinks: settings.switch("follow-symlinks")?,
        mime: settings.list("mime", syntax::mime)?,
        cache_bytes: size(settings, "cache-size", 0)?,
    })
}

fn uploads(settings: &Settings) -> Result<Uploads, Problem> {
    Ok(Uploads {
        bytes_max: Some(size(settings, "max-upload", 0)?).filter(|&limit| limit > 0),
        on_clash: required(settings, "overwrite", |value| match value {
            "error" => Ok(OnClash::Refuse),
            "replace" => Ok(OnClash::Replace),
            "rename" => Ok(OnClash::KeepBoth),
            _ => Err("this is error, replace or rename".to_owned()),
        })?,
        keep_free_bytes: size(settings, "keep-free", 0)?,
        sync: !settings.switch("no-fsync")?,
    })
}

fn listen(settings: &Settings) -> Result<Listen, Problem> {
    let mdns = settings.one("mdns", syntax::label)?.flatten();
    let mut hosts = settings.list("host", syntax::host)?;
    if let Some(name) = &mdns
        && !hosts.is_empty()
    {
        hosts.push(format!("{name}.local"));
    }
    Ok(Listen {
        binds: settings.list("bind", |text| {
            syntax::non_empty(text)?.parse::<Bind>().map_err(|error| error.to_string())
        })?,
        port: required(settings, "port", |value| {
            value.parse().map_err(|_| "a port is a number from 0 to 65535".to_owned())
        })?,
        hosts,
        mdns,
        trusted_proxies: settings.list("trusted-proxy", |value| {
            value.parse::<Proxy>().map_err(|error| error.to_string())
        })?,
        proxy_protocol: settings.switch("proxy-protocol")?,
        path_prefix: settings.one("path-prefix", syntax::prefix)?.unwrap_or_default(),
        qr: settings.switch("qr")?,
    })
}

fn answers(settings: &Settings) -> Result<Answers, Problem> {
    Ok(Answers {
        headers: settings.list("header", syntax::header)?,
        cors: settings.one("cors", syntax::cors)?.flatten(),
        cache_control: settings.one("cache-control", syntax::field_value)?,
        server_header: !settings.switch("no-server-header")?,
        health: settings.one("health", syntax::health)?.flatten(),
        ready: settings.one("ready", syntax::health)?.flatten(),
        metrics: settings.one("metrics", syntax::metrics)?,
        events: settings.one("events", syntax::prefix)?,
        lenient: settings.switch("lenient")?,
    })
}

fn log(settings: &Settings) -> Result<Log, Problem> {
    Ok(Log {
        format: required(settings, "log", |value| {
            value.parse::<Format>().map_err(|error| error.to_string())
        })?,
        file: settings.one("log-file", syntax::log_file)?,
        slow: Some(required(settings, "log-slow", parse_duration)?).filter(|slow| !slow.is_zero()),
        request_id: settings.switch("request-id")?,
        dump: settings.switch("dump")?,
        quiet: settings.switch("quiet")?,
        verbose: settings.switch("verbose")?,
    })
}

fn workers(settings: &Settings) -> Result<Workers, Problem> {
    Ok(Workers {
        io_threads: count(settings, "io-threads", 1, 1024)?,
        lane_threads: count(settings, "lane-threads", 1, LANE_THREADS_MAX)?,
        lane_queue: count(settings, "lane-queue", 1, 1_000_000)?,
        grace: required(settings, "grace", parse_duration)?,
    })
}

fn timeouts(settings: &Settings) -> Result<Timeouts, Problem> {
    let wait = |name| {
        required(settings, name, |value| match parse_duration(value)? {
            Duration::ZERO => Err("give clients some time".to_owned()),
            time => Ok(time),
        })
    };
    Ok(Timeouts {
        first: wait("timeout-first")?,
        handshake: wait("timeout-handshake")?,
        head: wait("timeout-head")?,
        body: wait("timeout-body")?,
        body_rate_after: required(settings, "min-body-rate-after", parse_duration)?,
        write: wait("timeout-write")?,
        idle: wait("timeout-idle")?,
        linger: required(settings, "timeout-linger", parse_duration)?,
    })
}

fn limits(settings: &Settings) -> Result<Limits, Problem> {
    Ok(Limits {
        head_bytes: size(settings, "max-head", 256)?,
        fields: count(settings, "max-fields", 1, 100_000)?,
        uri_bytes: size(settings, "max-uri", 1)?,
        body_bytes: size(settings, "max-body", 0)?,
        body_bytes_per_second_min: size(settings, "min-body-rate", 0)?,
        linger_bytes: size(settings, "max-linger", 0)?,
        connections: count(settings, "max-connections", 1, 10_000_000)?,
        connections_per_ip: Some(count(settings, "max-connections-per-ip", 0, 10_000_000)?)
            .filter(|&limit| limit > 0),
        buffered_bytes: size(settings, "max-buffered", 64 << 10)?,
        http2_streams: count(settings, "http2-streams", 0, 10_000)? as u32,
        http2_window_bytes: size(settings, "http2-window", 64 << 10)?,
        http2_resets: count(settings, "http2-resets", 1, 1_000_000)? as u32,
        http2_control_frames: count(settings, "http2-control-frames", 10, 1_000_000)? as u32,
    })
}

/// The value of an option that has a default.
pub(crate) fn required<T>(
    settings: &Settings,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Problem> {
    let missing = || Problem::config(format!("{name} has no value: give it one or leave it out"));
    settings.one(name, parse)?.ok_or_else(missing)
}

pub(crate) fn count(
    settings: &Settings,
    name: &str,
    least: usize,
    most: usize,
) -> Result<usize, Problem> {
    let parse = |value: &str| value.parse().ok().filter(|number| (least..=most).contains(number));
    required(settings, name, |value| {
        parse(value).ok_or_else(|| format!("this is a number from {least} to {most}"))
    })
}

/// A size of at least `least` bytes, as any type of integer that holds it.
pub(crate) fn size<T: TryFrom<u64>>(
    settings: &Settings,
    name: &str,
    least: u64,
) -> Result<T, Problem> {
    required(settings, name, |value| {
        let bytes = parse_size(value)?;
        if bytes < least {
            return Err(format!("this is at least {least} bytes"));
        }
        T::try_from(bytes).map_err(|_| "this machine cannot count that far".to_owned())
    })
}
