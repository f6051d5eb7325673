//! Servers beside the one that people come for.

use std::thread;

use number8::server::{self, Bind, Listener, Options};
use number8::{App, Handle, ServeError, Server, ToHttps};

use crate::app::{Kept, logged, metrics, webrepl, with_authority};
use crate::banner::{self, Place};
use crate::config::Config;
use crate::limits::options;
use crate::listening::{HTTP_PORT, METRICS_PORT, WEBREPL_PORT, busy, guard_terminal, places};
use crate::problem::{Problem, say};

/// A server beside the other one: for the clients of WebREPL, for metrics, or for those who come without TLS.
pub(crate) struct Beside {
    pub(crate) handle: Handle,
    pub(crate) places: Vec<Place>,
    thread: thread::JoinHandle<()>,
}

impl Beside {
    /// `None` where nobody asked for it.
    pub(crate) fn start(
        config: &Config,
        kept: &Kept,
        ports: &[u16],
    ) -> Result<Option<Self>, Problem> {
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
    pub(crate) fn redirects(
        config: &Config,
        kept: &Kept,
        ports: &[u16],
    ) -> Result<Option<Self>, Problem> {
        let (Some(bind), Some(&port)) = (&config.redirect_http, ports.first()) else {
            return Ok(None);
        };
        let failure = |error| busy("redirect-http: ", &error, "--redirect-http");
        let listeners = server::bind(std::slice::from_ref(bind), HTTP_PORT).map_err(failure)?;
        let app = redirecting(config, kept, port)?;
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
    pub(crate) fn finish(self) {
        self.handle.shutdown_now();
        // It has said what was wrong, if anything was.
        let _ = self.thread.join();
    }
}

/// What leads to this port by https.
pub(crate) fn redirecting(config: &Config, kept: &Kept, port: u16) -> Result<App, Problem> {
    let app = logged(App::new().mount("/", ToHttps::new(port)), config, &kept.logs)?;
    Ok(with_authority(app, config, kept))
}
