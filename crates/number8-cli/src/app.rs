//! The app that a configuration describes: who may do what, what is mounted where.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use number8::access::Rights;
use number8::accounts::FileError;
use number8::layers::auth::Auth;
use number8::layers::cors::{Cors, FILE_FIELDS};
use number8::layers::proxies::Proxies;
use number8::layers::same_origin::SameOrigin;
use number8::layers::sessions::{Login, Sessions};
use number8::{
    AccessLog, App, Authority, ByMethod, ErrorPage, Events, Files, Overlay, Prefilled, Reach, Repl,
    Runner, Sandboxed, SlowLog, Uploads, WebRepl, WebReplLimits,
};
use rustix::system::uname;

use crate::access;
use crate::config::{Config, Listen};
use crate::logs::Logs;
use crate::mdns;
use crate::pages::{self, FILES_TOPIC, Home, Pages, Telling};
use crate::problem::{Problem, say};
use crate::runner::Run;

/// What stays when the configuration is loaded again.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) logs: Logs,
    /// What has made the certificate, where that was made here.
    pub(crate) authority: Option<Authority>,
    /// Who listens goes on listening.
    pub(crate) events: Events,
    /// Who has logged in stays so.
    pub(crate) sessions: Sessions,
    /// What runs in the terminal goes on.
    repl: Option<Repl>,
    /// What runs goes on running.
    pub(crate) runner: Option<Runner>,
}

impl Kept {
    pub(crate) fn new(
        config: &Config,
        logs: &Logs,
        authority: Option<Authority>,
    ) -> Result<Self, Problem> {
        let limits = config.access.sessions.unwrap_or_default();
        let sessions =
            Sessions::with_limits(limits).map_err(|error| Problem::failure(error.to_string()))?;
        let runner = config.run.as_ref().map(|run| runner(run, config)).transpose()?;
        let repl = (config.repl.is_on || config.repl.webrepl.is_some()).then(|| repl(config));
        Ok(Self {
            logs: logs.clone(),
            authority,
            events: Events::new().topic(FILES_TOPIC),
            sessions,
            repl: repl.transpose()?,
            runner,
        })
    }

    /// Has the terminal heed a configuration that is in use now, from when it starts next.
    pub(crate) fn heed(&self, config: &Config) {
        self.repl.clone().map(|repl| careful_repl(repl, config));
    }
}

/// The app that the configuration describes.
pub(crate) fn app(config: &Config, kept: &Kept) -> Result<App, Problem> {
    build(App::new(), config, kept)
}

/// As [`app`], within what an app has already.
pub(crate) fn build(app: App, config: &Config, kept: &Kept) -> Result<App, Problem> {
    let app = app.health(config.answers.health.clone()).ready(config.answers.ready.clone());
    let mut app = logged(app, config, &kept.logs)?;
    if !config.listen.hosts.is_empty() {
        let renamed = config.listen.mdns.iter().flat_map(|name| mdns::host_names(name));
        app = app.hosts(config.listen.hosts.iter().cloned().chain(renamed)).hosts_hint(HOSTS_HINT);
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
    let prefix = &config.listen.path_prefix;
    let events = config.answers.events.as_ref().map(|path| format!("{prefix}{path}"));
    let runner = kept.runner.clone().filter(|_| config.run.is_some());
    let runner = runner.map(|runner| careful_runner(runner, config));
    let languages = config.run.as_ref().map(Run::languages).unwrap_or_default();
    let programs = runner.clone().map(|runner| (runner, languages));
    let (has_terminal, on_clash) = (config.repl.is_on, config.uploads.on_clash);
    let pages = config.board.then(|| Pages::new(prefix, events, programs, has_terminal, on_clash));
    app = guard(app, config, &kept.sessions, pages.as_ref())?;
    for mount in &config.files.mounts {
        let url = format!("{}{}", config.listen.path_prefix, mount.url);
        let files = trusted(files(config, &mount.path)?, config);
        let mut here = ByMethod::new();
        if mount.url == "/"
            && let Some(pages) = &pages
        {
            // What is filled in is not to be compressed before.
            let index = self::files(config, &mount.path)?.listing(false).cache_bytes(0);
            let last = runner.clone();
            let code = move || last.as_ref().and_then(Runner::code);
            let index = Prefilled::new(trusted(index, config), "code", code)
                .needs(Rights::RUN, &format!("{prefix}/.number8/run"));
            let index = Overlay::new(index, pages.home());
            here = here.with(Home { index, page: pages.home(), rest: files });
        } else {
            here = here.with(files);
        }
        if let Some(uploads) = uploads(config, &mount.path)? {
            here = match config.board {
                true => here.with(Telling { handler: uploads, events: kept.events.clone() }),
                false => here.with(uploads),
            };
        }
        app = app.mount(&url, here);
    }
    if let Some(path) = &config.answers.events {
        app = app.mount(&format!("{}{path}", config.listen.path_prefix), kept.events.clone());
    }
    if config.repl.is_on
        && let Some(repl) = &kept.repl
    {
        app = app.mount(&format!("{}/.number8/repl", config.listen.path_prefix), repl.clone());
    }
    if let Some(runner) = runner {
        app = app.mount(&format!("{prefix}/.number8/run"), runner);
    }
    app = with_authority(app, config, kept);
    Ok(match &pages {
        Some(pages) => pages.mount(app),
        None => app,
    })
}

/// The app, and where devices get the authority that they are to trust.
pub(crate) fn with_authority(app: App, config: &Config, kept: &Kept) -> App {
    match &kept.authority {
        Some(authority) => app.mount(&authority_path(config), authority.clone()),
        None => app,
    }
}

/// Where that is.
pub(crate) fn authority_path(config: &Config) -> String {
    format!("{}/.number8/ca.crt", config.listen.path_prefix)
}

/// The line of a request whose answer begins late.
const SLOW: &str = "number8: slow: $method $target $status after ${duration_ms}ms for $remote_addr, request $request_id";

fn slow_log(config: &Config, logs: &Logs) -> Result<Option<SlowLog>, Problem> {
    let (Some(after), Some(sink)) = (config.log.slow, &logs.slow) else { return Ok(None) };
    let format = SLOW.parse().map_err(|error| Problem::failure(format!("log-slow: {error}")))?;
    Ok(Some(SlowLog { after, log: AccessLog { format, sink: Arc::clone(sink) } }))
}

/// The app with its logs, names for its requests, and what the server is called.
pub(crate) fn logged(app: App, config: &Config, logs: &Logs) -> Result<App, Problem> {
    let mut app = app
        .request_ids(config.log.request_id)
        .slow_log(slow_log(config, logs)?)
        .dump(logs.dump.clone());
    if !config.answers.server_header {
        app = app.server_name(None);
    }
    Ok(match &logs.access {
        Some(sink) => {
            app.access_log(AccessLog { format: config.log.format.clone(), sink: Arc::clone(sink) })
        }
        None => app,
    })
}

/// What runs programs in the served folder.
fn runner(run: &Run, config: &Config) -> Result<Runner, Problem> {
    let wrong =
        |error: std::io::Error| Problem::failure(format!("programs cannot be run: {error}"));
    let folder = config.files.mounts.iter().find(|mount| mount.url == "/" && mount.path.is_dir());
    let Some(folder) = folder else {
        return Err(Problem::config("run: programs are run in PATH, which has to be a folder"));
    };
    let mut runner = Runner::new(&folder.path)
        .map_err(wrong)?
        .interpreters(run.interpreters.iter().cloned())
        .time_max(run.time_max)
        .output_max(run.output_bytes_max)
        .processes_max(run.processes_max);
    if let Some(bytes) = run.memory_bytes_max {
        runner = runner.memory_max(bytes);
    }
    if let Some(user) = &run.user {
        runner = runner.user(user).map_err(wrong)?;
    }
    runner = run.writable.iter().fold(runner, |runner, path| runner.writable(path));
    runner = careful_runner(runner, config);
    let Some(programs) = &run.programs else { return Ok(runner) };
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(programs);
    match made.and_then(|()| runner.clone().programs(programs)) {
        Ok(keeping) => Ok(keeping),
        Err(error) => {
            let folder = programs.display();
            let why = format!(
                "programs cannot be kept in {folder}: {error}; --programs names another folder"
            );
            if run.must_keep {
                return Err(Problem::failure(why));
            }
            // A service may have no place of its own.
            say(&why);
            Ok(runner)
        }
    }
}

/// What a runner has to know of where it is, who may do what, and what is secret, also of a configuration that is loaded again.
///
/// SECURITY: whoever writes what a program imports runs it.
fn careful_runner(runner: Runner, config: &Config) -> Runner {
    let prefix = &config.listen.path_prefix;
    let at = format!("{prefix}/.number8/run");
    let strangers = config.access.rules.writers_without(Rights::RUN, &at);
    let runner = runner.imports(strangers.is_empty()).index(format!("{prefix}/"));
    config.repl.secrets.iter().fold(runner, |runner, path| runner.hidden(path))
}

/// The same of the terminal.
fn careful_repl(repl: Repl, config: &Config) -> Repl {
    let at = format!("{}/.number8/repl", config.listen.path_prefix);
    let strangers = config.access.rules.writers_without(Rights::REPL, &at);
    let repl = repl.imports(strangers.is_empty());
    config.repl.secrets.iter().fold(repl, |repl, path| repl.hidden(path))
}

/// What people put there who may not run programs is no page of ours, where pages of ours can run them.
fn trusted(files: Files, config: &Config) -> Sandboxed<Files> {
    let rules = &config.access.rules;
    let prefix = &config.listen.path_prefix;
    let (rights, at) = match (config.board || config.run.is_some(), config.repl.is_on) {
        (true, _) => (Rights::RUN, format!("{prefix}/.number8/run")),
        (false, true) => (Rights::REPL, format!("{prefix}/.number8/repl")),
        (false, false) => (Rights::NONE, "/".to_owned()),
    };
    Sandboxed::new(files, rules, rights, &at)
}

/// Who may do what: whose word counts, whose pages may ask, who asks, and the rules.
fn guard(
    app: App,
    config: &Config,
    sessions: &Sessions,
    pages: Option<&Pages>,
) -> Result<App, Problem> {
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
            let tell = |problem: &FileError| {
                let flags = access::flags(problem.error());
                say(&format!("{problem}{flags}; the old accounts stay in use"));
            };
            let auth = Auth::with_limits(accounts.clone(), access.limits.clone(), tell);
            app.layer(match has_login {
                true => {
                    let login = Login::new(sessions.clone()).under(&listen.path_prefix);
                    auth.login(match pages.cloned() {
                        Some(pages) => login.page(move |page| pages.login(page)),
                        None => login,
                    })
                }
                false => auth,
            })
        }
        None => app,
    })
}

/// The terminal, in the first folder that is served.
fn repl(config: &Config) -> Result<Repl, Problem> {
    let served = config.files.mounts.first().map_or(Path::new("."), |mount| &mount.path);
    let folder = match served.is_dir() {
        true => served,
        false => {
            served.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
        }
    };
    let failure = |error| Problem::failure(format!("repl: {}: {error}", folder.display()));
    let mut repl = Repl::new(folder)
        .map_err(failure)?
        .viewers_max(config.repl.viewers_max)
        .scroll_back_bytes(config.repl.scroll_back_bytes)
        .webrepl_idle(config.repl.webrepl_idle);
    for origin in config.answers.cors.iter().flatten() {
        repl = repl.origin(origin);
    }
    repl = config.repl.user.iter().fold(repl, |repl, user| repl.run_user(user));
    repl = config.repl.writable.iter().fold(repl, |repl, path| repl.writable(path));
    repl = careful_repl(repl, config);
    Ok(match config.repl.command.split_first() {
        Some((program, arguments)) => repl.command(program, arguments),
        None => repl,
    })
}

/// The app for the clients of WebREPL, which is served at an address of its own; `None` where they are not listened for.
///
/// Pages of our own `ports` may use it.
pub(crate) fn webrepl(config: &Config, kept: &Kept, ports: &[u16]) -> Result<Option<App>, Problem> {
    let (Some(_), Some(repl)) = (&config.repl.webrepl, &kept.repl) else { return Ok(None) };
    let ours = same_origin(&config.listen, config.answers.cors.as_deref().unwrap_or_default());
    let ours = ports.iter().fold(ours, |ours, port| ours.port(*port));
    let login = &config.access.limits;
    let limits = WebReplLimits {
        hashes_max: login.hashes_max,
        work_max: config.access.work_max,
        failures_free: login.failures_free,
        ..config.repl.webrepl_limits
    };
    let board = ports.first().filter(|_| config.board);
    let board = board.map(|port| (*port, format!("{}/", config.listen.path_prefix)));
    let mut webrepl = WebRepl::new(repl)
        .limits(limits)
        .page(pages::webrepl(board))
        .same_origin(ours)
        .served_under(&config.listen.path_prefix)
        .max_bytes(config.uploads.bytes_max.unwrap_or(u64::MAX))
        .keep_free(config.uploads.keep_free_bytes);
    if let Some(mount) =
        config.files.mounts.iter().find(|mount| mount.url == "/" && mount.path.is_dir())
    {
        let folder = webrepl.files_with_reach(&mount.path, reach(config));
        webrepl = folder
            .map_err(|error| Problem::failure(format!("{}: {error}", mount.path.display())))?;
    }
    if let Some((name, secret)) = &config.repl.webrepl_password {
        let given = webrepl.password(name, secret);
        webrepl = given.map_err(|error| {
            Problem::config(format!("webrepl-password: {error}{}", access::flags(&error)))
        })?;
    }
    let mut app = App::new()
        .access(config.access.rules.clone())
        .mount("/", webrepl)
        .mount("/.number8/assets", pages::assets());
    if let Some(sink) = &kept.logs.access {
        let log = AccessLog { format: config.log.format.clone(), sink: Arc::clone(sink) };
        app = app.access_log(log);
    }
    Ok(Some(app))
}

/// What is told of a server to whoever watches it.
///
/// SECURITY: only under names of ours, or a page of another site could read it by giving its own name this address.
pub(crate) fn metrics(config: &Config, app: App) -> App {
    let machine = uname().nodename().to_string_lossy().into_owned();
    let names = [format!("{machine}.local"), machine];
    app.hosts(names.into_iter().chain(config.listen.hosts.iter().cloned())).hosts_hint(HOSTS_HINT)
}

/// By which flags names are added, and sites.
const HOSTS_HINT: &str = "--host NAME adds one";
const ORIGIN_HINT: &str = "--cors=ORIGIN adds a site, --host NAME a host";

/// Our names, and the sites whose pages may act here.
fn same_origin(listen: &Listen, origins: &[String]) -> SameOrigin {
    let machine = uname().nodename().to_string_lossy().into_owned();
    let own = SameOrigin::new().hint(ORIGIN_HINT).host(format!("{machine}.local")).host(machine);
    let names = listen.mdns.iter().flat_map(|name| mdns::host_names(name));
    let found = names.fold(own, SameOrigin::host);
    let named = listen.hosts.iter().fold(found, |layer, name| layer.host(name));
    origins.iter().fold(named, |layer, origin| layer.origin(origin))
}

/// Whether files are taken into it: somebody may write, and it is a folder.
fn takes_files(config: &Config, path: &Path) -> bool {
    config.access.anybody_writes() && path.is_dir()
}

/// What takes files into a folder, if anybody may write; `None` for a single file.
fn uploads(config: &Config, path: &Path) -> Result<Option<Uploads>, Problem> {
    if !takes_files(config, path) {
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
pub(crate) fn sweep(config: &Config) {
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
        .forms(config.board || takes_files(config, path))
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
