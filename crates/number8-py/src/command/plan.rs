//! What the supervisor of an app's processes has to know and to say.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, RawFd};

use number8::server::{self, Listener};
use number8_cli::config::{Config, Hosted};
use number8_cli::host::{self, Metrics};
use number8_cli::notify;
use number8_cli::problem::Problem;
use pyo3::prelude::*;

use super::metrics::Gathered;

/// How the processes that run an app are to be kept. Its listening sockets are bound as long as it lives.
#[pyclass(frozen, module = "number8._native")]
pub(crate) struct Plan {
    pub(super) listeners: Vec<Listener>,
    app: Hosted,
    arguments: Vec<OsString>,
    grace: f64,
    pub(super) greeting: String,
    pub(super) status: String,
    /// What processes have counted, and where that is told.
    pub(super) counted: Gathered,
    metrics: Option<Metrics>,
}

impl Plan {
    /// Binds what the configuration says. `arguments` are those of the command, without its name.
    pub(super) fn new(config: &Config, arguments: Vec<OsString>) -> Result<Self, Problem> {
        let app = config.app.clone().ok_or_else(|| Problem::usage("there is no app"))?;
        server::raise_nofile_limit();
        let listeners = host::listen(config)?;
        let counted = Gathered::default();
        let gathered = counted.clone();
        let metrics = Metrics::start(config, move || gathered.text())?;
        let mut greeting = host::greeting(config, &listeners)?;
        if let Some(metrics) = metrics.as_ref().filter(|_| !config.log.quiet) {
            greeting.push_str(&metrics.greeting());
        }
        Ok(Self {
            greeting,
            status: host::status(config, &listeners),
            grace: config.workers.grace.as_secs_f64(),
            listeners,
            app,
            arguments,
            counted,
            metrics,
        })
    }
}

#[pymethods]
impl Plan {
    /// The listening sockets, which the processes inherit.
    #[getter]
    fn descriptors(&self) -> Vec<RawFd> {
        self.listeners.iter().map(AsRawFd::as_raw_fd).collect()
    }

    /// The arguments of the command, without its name.
    #[getter]
    fn arguments(&self) -> Vec<OsString> {
        self.arguments.clone()
    }

    /// How many processes.
    #[getter]
    fn workers(&self) -> usize {
        self.app.workers
    }

    /// How many processes a signal may lead to.
    #[getter]
    fn workers_max(&self) -> usize {
        self.app.workers_max
    }

    /// Resident bytes beyond which a process is replaced; None for never.
    #[getter]
    fn rss_bytes_max(&self) -> Option<u64> {
        self.app.rss_bytes_max
    }

    /// Whether a process that ended is replaced.
    #[getter]
    fn respawns(&self) -> bool {
        self.app.respawns
    }

    /// Whether processes are replaced when the code changes.
    #[getter]
    fn reloads(&self) -> bool {
        self.app.reloads
    }

    /// Where the code is.
    #[getter]
    fn folder(&self) -> &OsStr {
        self.app.folder.as_os_str()
    }

    /// Seconds that requests may go on after a signal to stop.
    #[getter]
    fn grace(&self) -> f64 {
        self.grace
    }

    /// What to print once the app is served: where.
    #[getter]
    fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Whether anybody may ask what is counted.
    #[getter]
    fn has_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    /// Asks that process what it has counted: by a byte in one pipe, for an answer in the other.
    fn count(&self, py: Python<'_>, process: i32, ask: RawFd, answers: RawFd) -> PyResult<()> {
        Ok(py.detach(|| self.counted.add(process, ask, answers))?)
    }

    /// That process has ended; what it has counted stays.
    fn forget(&self, py: Python<'_>, process: i32) {
        py.detach(|| self.counted.remove(process));
    }

    /// The seconds in which the service manager wants to hear from us; None if it does not.
    #[getter]
    fn watchdog(&self) -> Option<f64> {
        notify::watchdog().map(|limit| limit.as_secs_f64())
    }

    /// Tells the service manager that the app is served.
    fn ready(&self) {
        notify::ready(&self.status);
        // From here on there is little to do.
        number8::server::release_start();
    }

    /// Tells it that the processes are being replaced, until `ready`.
    #[allow(clippy::unused_self, reason = "for Python it is one object")]
    fn reloading(&self) {
        notify::reloading();
    }

    /// Tells it that the app is stopped.
    #[allow(clippy::unused_self, reason = "for Python it is one object")]
    fn stopping(&self) {
        notify::stopping();
    }

    /// Tells it that we are there.
    #[allow(clippy::unused_self, reason = "for Python it is one object")]
    fn alive(&self) {
        notify::alive();
    }
}
