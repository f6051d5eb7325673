//! Where the logs of the command go.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use number8::Server;
use number8::layers::access_log::{Format, Sink};
use number8::server::Closed;

use crate::config::Config;
use crate::problem::{self, Problem, say};

/// How long the last lines of the log may take.
const LOG_END: Duration = Duration::from_secs(1);

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
            Some(path) => {
                let opened = Sink::file(path).map_err(|error| {
                    Problem::failure(format!("log file {}: {error}", path.display()))
                });
                Some(Arc::new(opened?.on_lost(say)))
            }
            None => Some(stderr()?),
        };
        let if_asked = |is_asked| if is_asked { stderr().map(Some) } else { Ok(None) };
        Ok(Self {
            path,
            access,
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
        if let (Some(_), Some(file)) = (&self.path, &self.access) {
            file.finish(LOG_END);
        }
        // All else goes to standard error.
        problem::finish();
    }
}

fn stderr() -> Result<Arc<Sink>, Problem> {
    problem::standard_error().map_err(|error| Problem::failure(format!("standard error: {error}")))
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
