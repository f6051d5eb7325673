//! One process that runs an app.

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use number8::server::{self, Bind, Listener};
use number8::{Before, Call, Handle, Layer};
use number8_cli::config::{Config, Hosted};
use number8_cli::host::{Beside, Log};
use number8_cli::notify;
use number8_cli::problem::{self, Problem, say};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};

use super::metrics::Counted;
use super::plan::Plan;
use super::{failed, number};
use crate::hosting::{self, Base, How, Sockets, Telling};
use crate::lock::lock;
use crate::wsgi;

/// Runs the app that the command line names in this process, at listening sockets that it has inherited, until a signal ends
/// it or the process `parent` has ended; returns the exit code. `status` is asked for the app, and told how things are;
/// `metrics` are pipes to be asked by what is counted, and to answer in.
#[pyfunction]
pub(super) fn work(
    py: Python<'_>,
    arguments: Vec<OsString>,
    descriptors: Vec<RawFd>,
    parent: i32,
    status: &Bound<'_, PyAny>,
    metrics: Option<(RawFd, RawFd)>,
) -> u8 {
    let status = status.clone().unbind();
    // Where whoever replaces it is gone, it is not to stay either.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    // It may have gone before that.
    if getppid() != Pid::from_raw(parent) {
        return number(ExitCode::FAILURE);
    }
    let host = |config: &Config| {
        let binds: Vec<Bind> = descriptors.into_iter().map(Bind::Fd).collect();
        let listeners = match server::bind(&binds, 0) {
            Ok(listeners) => listeners,
            Err(error) => return Problem::failure(error.to_string()).report(),
        };
        Python::attach(|py| {
            let ready = {
                let status = status.clone_ref(py);
                move || tell(&status, "ready")
            };
            let counted = Arc::new(Mutex::new(None));
            let serves = {
                let counted = Arc::clone(&counted);
                move |handle| {
                    if let Some((asked, answers)) = metrics {
                        *lock(&counted) = Counted::begin(asked, answers, handle);
                    }
                }
            };
            let result = run(py, config, listeners, &status, serves, ready);
            if let Some(counted) = lock(&counted).take() {
                py.detach(|| counted.finish());
            }
            result.unwrap_or_else(|error| failed(py, &error))
        })
    };
    py.detach(|| number(number8_cli::run_app(arguments, host)))
}

/// The same in the process that was started by hand, where nobody would replace it.
pub(super) fn alone(py: Python<'_>, config: &Config, plan: Plan) -> PyResult<ExitCode> {
    let worker = py.import("number8._worker")?;
    worker.call_method0("alone")?;
    let status = worker.getattr("Status")?.call1((None::<RawFd>,))?;
    let Plan { listeners, greeting, status: served, counted, .. } = plan;
    let serves = move |handle| counted.own(handle);
    let ready = move || {
        problem::tell(&greeting);
        notify::ready(&served);
    };
    run(py, config, listeners, &status.unbind(), serves, ready)
}

fn run(
    py: Python<'_>,
    config: &Config,
    listeners: Vec<Listener>,
    status: &Py<PyAny>,
    serves: impl Fn(Handle) + Send + 'static,
    ready: impl FnOnce() + Send + 'static,
) -> PyResult<ExitCode> {
    problem::serves();
    let Some(hosted) = &config.app else {
        return Err(PyRuntimeError::new_err("there is no app"));
    };
    let Hosted { module, attribute, folder, is_factory, reloads, .. } = hosted;
    // As text: a path of Python's would bring modules along that every process pays for.
    let named = (module, attribute, folder.as_os_str(), is_factory, reloads);
    let loaded = status.call_method1(py, "load", named)?;
    if loaded.is_none(py) {
        return Ok(ExitCode::FAILURE);
    }
    let keep_free = config.uploads.keep_free_bytes;
    let beside = match Beside::new(config) {
        Ok(beside) => beside,
        Err(problem) => return Ok(problem.report()),
    };
    let log = beside.log();
    py.detach(|| watch(log.clone()));
    let mut app = beside.app;
    if let Some(requests_max) = hosted.requests_max {
        app = app.layer(Wear::new(requests_max, hosted.requests_jitter, status.clone_ref(py)));
    }
    let (serves, ready) = (Box::new(serves), Box::new(ready));
    let telling = Telling::Command { log: log.clone(), serves, ready };
    let base = Base { app, options: beside.options, listeners, telling };
    let how = How {
        interface: &hosted.interface,
        threads: hosted.threads,
        body_memory: wsgi::BODY_MEMORY,
        keep_free,
        event_loop: &hosted.event_loop,
        root_path: &hosted.root_path,
        has_others: hosted.workers > 1,
        sockets: Sockets {
            message_bytes_max: hosted.message_bytes_max,
            ping_every: hosted.ping_every,
        },
    };
    let result = hosting::host(py, base, loaded, &how);
    py.detach(|| log.finish());
    result.map(|()| ExitCode::SUCCESS)
}

/// Opens the log again on SIGUSR1, and tells a service manager that we are there, whatever the other threads do. Returns once the
/// signal is heard: before that it would end the process.
fn watch(log: Log) {
    let (heard, hears) = mpsc::channel();
    let watched = move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut asked = signal(SignalKind::user_defined1())?;
            let _ = heard.send(());
            let often = notify::watchdog().map_or(Duration::MAX, |limit| limit / 2);
            loop {
                match tokio::time::timeout(often, asked.recv()).await {
                    Ok(_) => log.reopen(),
                    Err(_) => notify::alive(),
                }
            }
        })
    };
    let told = move || {
        if let Err(error) = watched() {
            say(&format!("signals cannot be watched: {error}"));
        }
    };
    match thread::Builder::new().name("number8-log".to_owned()).spawn(told) {
        // An end without it has said why.
        Ok(_) => drop(hears.recv()),
        Err(error) => say(&format!("signals cannot be watched: {error}")),
    }
}

/// Tells whoever started this process; where that fails there is nobody left to tell.
fn tell(status: &Py<PyAny>, what: &str) {
    Python::attach(|py| {
        if let Err(error) = status.call_method0(py, what) {
            error.print(py);
        }
    });
}

/// Counts requests, and says when there were enough.
struct Wear {
    left: AtomicU64,
    status: Py<PyAny>,
}

impl Wear {
    fn new(requests_max: u64, jitter: u64, status: Py<PyAny>) -> Self {
        let left = AtomicU64::new(requests_max.saturating_add(by_chance(jitter)));
        Self { left, status }
    }
}

impl Layer for Wear {
    fn before(&self, _: &mut Call<'_>) -> Before {
        // It goes on below zero, and so says it once.
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            tell(&self.status, "worn");
        }
        Before::Go
    }
}

/// A number from 0 to `most`.
fn by_chance(most: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // A seed of the system's, by the way of the standard library.
    RandomState::new().hash_one(()) % most.saturating_add(1).max(1)
}
