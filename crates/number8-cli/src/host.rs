//! For who runs an app of Python's: what is served beside it, where, and what the service manager is told.

use std::sync::Arc;

use number8::layers::compress::Compress;
use number8::server::{Listener, Options};
use number8::{App, Server, Tls};

use crate::app::{Kept, app};
use crate::banner;
use crate::beside;
use crate::config::Config;
use crate::limits;
use crate::listening::{self, places};
use crate::logs::{self, Logs};
use crate::problem::{Problem, say};
use crate::tls::Certificate;

/// Everything but the app: mounts, log, proxies, names, limits.
pub struct Beside {
    /// What is served beside it. The app goes under `/`.
    pub app: App,
    /// Threads, deadlines and limits.
    pub options: Options,
    logs: Logs,
    tls: Option<Tls>,
}

impl Beside {
    /// What the configuration describes.
    ///
    /// # Errors
    /// A file or folder of it cannot be had.
    pub fn new(config: &Config) -> Result<Self, Problem> {
        let logs = Logs::open(config)?;
        let opened = config.tls.as_ref().map(Certificate::open).transpose()?;
        let (tls, authority) =
            opened.map_or((None, None), |(tls, authority)| (Some(tls), authority));
        let app = app(config, &Kept::new(config, &logs, authority)?)?;
        let app = match config.app.as_ref().is_some_and(|app| app.compresses) {
            true => app.layer(Compress::new()),
            false => app,
        };
        Ok(Self { app, options: limits::options(config), logs, tls })
    }

    /// What opens the log again, and what ends it.
    pub fn log(&self) -> Log {
        Log { logs: self.logs.clone(), tls: self.tls.clone() }
    }
}

/// What a server tells those who run it, and what it shows its clients of itself.
#[derive(Clone)]
pub struct Log {
    logs: Logs,
    tls: Option<Tls>,
}

impl Log {
    /// Opens the file of the log again, which somebody has moved away.
    pub fn reopen(&self) {
        self.logs.reopen();
    }

    /// Writes what is left of it.
    pub fn finish(&self) {
        self.logs.finish();
    }

    /// Has the server tell what it has to tell: its warnings and, where that was asked for, why connections were closed; and
    /// has it speak TLS, where there is a certificate.
    pub fn listen(&self, server: Server) -> Server {
        let server = server.on_warning(say);
        let server = match self.tls.clone() {
            Some(tls) => server.tls(tls),
            None => server,
        };
        match self.logs.connections.clone() {
            Some(sink) => logs::tell_closed(server, Arc::clone(&sink)),
            None => server,
        }
    }
}

/// What is counted of an app and what is beside it, for as long as its process lives.
pub struct Metrics(beside::Beside);

impl Metrics {
    /// Answers at the address of the configuration with what `text` says then; `None` where there is no such address.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn start(
        config: &Config,
        text: impl Fn() -> String + Send + Sync + 'static,
    ) -> Result<Option<Self>, Problem> {
        Ok(beside::Beside::metrics(config, number8::metrics::app(text))?.map(Self))
    }

    /// Where, to be printed with [`greeting`].
    pub fn greeting(&self) -> String {
        self.0.tell_metrics()
    }
}

/// Listens where the configuration says, or where whoever started us listens already.
///
/// # Errors
/// The first place that cannot be had.
pub fn listen(config: &Config) -> Result<Vec<Listener>, Problem> {
    listening::listen(config)
}

/// What to print once `listeners` are bound, a line for each.
///
/// # Errors
/// A certificate is to be made here, and cannot be.
pub fn greeting(config: &Config, listeners: &[Listener]) -> Result<String, Problem> {
    // Also where nothing is printed: each process then finds what this one has made.
    let opened = config.tls.as_ref().map(Certificate::open).transpose()?;
    if config.log.quiet {
        return Ok(String::new());
    }
    let places = places(listeners.iter().map(Listener::local_addr));
    let interfaces = banner::interfaces();
    let mut text = banner::text(config, &places, &interfaces, false);
    if let Some((_, Some(authority))) = opened {
        text.push_str(&banner::trust(config, &authority, (&places, &[]), &interfaces));
    }
    Ok(text)
}

/// What is served and where, in one line for the service manager.
pub fn status(config: &Config, listeners: &[Listener]) -> String {
    banner::status(config, &places(listeners.iter().map(Listener::local_addr)))
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn what_an_app_answers_is_compressed_where_that_is_asked_for() {
        for (flag, coding) in [(None, None), (Some("--compress"), Some("gzip"))] {
            let arguments = ["number8", "app", "shop"].into_iter().chain(flag);
            let ended = crate::run_app(arguments.map(Into::into), |config| {
                let beside = Beside::new(config).unwrap();
                let app = beside.app.get("/", async || "Hello, world. ".repeat(100));
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                let answer = runtime.block_on(async {
                    let server = app.test();
                    server.get("/").field("Accept-Encoding", "gzip").send().await.unwrap()
                });
                assert_eq!(answer.field("content-encoding"), coding);
                ExitCode::SUCCESS
            });
            assert_eq!(ended, ExitCode::SUCCESS);
        }
    }
}
