//! How a server that runs is steered and asked.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "runner")]
use super::lane::Lane;
use super::shared::{Shared, Stop};
use crate::app::App;
use crate::handler::inline;
use crate::metrics::{self, Sheet};
use crate::router::RouteError;

/// A way to steer a server from elsewhere: any thread, any task, a handler.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

impl Handle {
    /// Stops gracefully: no new connections, idle ones close, requests are answered within
    /// [`Options::grace`](super::Options::grace).
    pub fn shutdown(&self) {
        self.shared.set_stop(Stop::Gracefully);
    }

    /// Stops at once: what is not sent is not sent.
    pub fn shutdown_now(&self) {
        self.shared.set_stop(Stop::Now);
    }

    /// Serves another app from the next request on; handlers that have begun go on.
    ///
    /// # Errors
    /// The app has a mistake ([`App::check`]); the old one goes on.
    pub fn replace(&self, app: App) -> Result<(), RouteError> {
        app.check()?;
        self.shared.replace_app(app);
        Ok(())
    }

    /// The app that is served now.
    #[must_use]
    pub fn app(&self) -> Arc<App> {
        self.shared.app()
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// Bytes that connections hold while they wait: parts of requests, and answers that clients have not
    /// taken yet ([`Limits::buffered_bytes_max`](super::Limits::buffered_bytes_max)).
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.shared.buffered()
    }

    /// What there is to count of the server and its app now, with [`Options::metrics`](super::Options::metrics); without, only
    /// what has not to be counted beforehand.
    #[must_use]
    pub fn measure(&self) -> Sheet {
        let mut sheet = Sheet::new();
        self.shared.measure(&mut sheet);
        sheet
    }

    /// An app that answers `/metrics` with [`Handle::measure`], for a server of its own: at an address that clients do not
    /// reach.
    ///
    /// ```no_run
    /// use number8::server::{Listener, bind};
    /// use number8::{App, Options, Server};
    ///
    /// let options = Options { metrics: true, ..Options::default() };
    /// let server = Server::new(App::new(), options, bind(&["0.0.0.0:80".parse()?], 80)?);
    /// let metrics = Server::bind(server.handle().metrics(), "127.0.0.1:9100")?;
    /// std::thread::spawn(move || metrics.run());
    /// server.run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> App {
        let handle = self.clone();
        App::new().get("/metrics", inline(move || metrics::page(handle.measure().text())))
    }

    /// Calls of [`inline`](crate::inline) functions that took longer than [`LaneOptions::inline_max`](super::LaneOptions::inline_max) since the server was
    /// made: other connections had to wait for each of them. The log has their routes.
    #[must_use]
    pub fn slow_inline_calls(&self) -> u64 {
        self.shared.lane.slow_inline_calls()
    }

    /// Where work goes that may block.
    #[cfg(feature = "runner")]
    pub(crate) fn lane(&self) -> &Lane {
        &self.shared.lane
    }

    /// How long ago the slowest worker came round to looking at its connections; zero where none has any. Half a
    /// second is usual; a minute means that something which should not wait holds up that thread.
    #[must_use]
    pub fn stalled(&self) -> Duration {
        self.shared.beats.slowest()
    }
}
