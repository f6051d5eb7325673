//! From a program to a process that is seen to its end: for what a request has brought, and for what is saved.

use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Runner;
use super::attend::{Attended, Told, start};
use super::hub::Starter;
use super::interpreter::Interpreter;
use super::library::Name;
use super::lines::Lines;
use super::posted::Posted;
use super::programs::{no_library, no_name, no_such};
use crate::error::Error;
use crate::server::Handle;
use crate::server::lane::Lane;

impl Runner {
    /// Starts a program that is saved ([`Runner::programs`]), as if somebody had posted it: when the server starts, say. Its language
    /// is what its name ends with, `py` for `blink.py`; without such an end it is that of the first interpreter. Inside the
    /// runtime that serves, which sees it to its end: in the future of [`Server::run_with`](crate::Server::run_with), or in a handler.
    ///
    /// ```no_run
    /// use number8::{App, Runner, Server};
    ///
    /// let runner = Runner::new("/srv/farm")?.programs("/var/lib/farm")?;
    /// let server = Server::bind(App::new().mount("/run", runner.clone()), "127.0.0.1:8080")?;
    /// let handle = server.handle();
    /// server.run_with(async move {
    ///     if let Err(error) = runner.run_saved("blink.py", &handle).await {
    ///         eprintln!("blink.py does not run: {}", error.message());
    ///     }
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// With the status that a request would get: no such program is saved (404), it is no text (400), another one runs (409), nothing
    /// runs its language (422, 501), or it could not be started (500, 503, 507).
    pub async fn run_saved(&self, name: &str, handle: &Handle) -> Result<(), Error> {
        let library = self.settings.library.clone().ok_or_else(no_library)?;
        let path = Name::new(name.as_bytes()).ok_or_else(no_name)?;
        let lane = handle.lane();
        let read = lane.submit(move || library.read(&path));
        let read = read.map_err(|full| Error::new(503, BUSY).because(full))?.await;
        let unreadable = || Error::new(500, "the program could not be read");
        let content =
            read.map_err(|_| unreadable())?.map_err(|error| unreadable().because(error))?;
        let mut posted = Posted::read(b"", false, &content.ok_or_else(no_such)?)?;
        posted.language = name.rsplit_once('.').map(|(_, language)| language.to_owned());
        posted.name = Some(name.to_owned());
        self.run(posted, Starter { by: None, at_start: true }, lane.clone()).await
    }

    /// Starts this, if the place is free.
    pub(super) async fn run(
        &self,
        posted: Posted,
        starter: Starter,
        lane: Lane,
    ) -> Result<(), Error> {
        let Some(interpreter) = self.settings.interpreter(posted.language.as_deref()).cloned()
        else {
            let known: Vec<&str> =
                self.settings.interpreters.iter().map(Interpreter::language).collect();
            let why = format!("no interpreter for that language; there are: {}", known.join(", "));
            return Err(Error::new(422, why));
        };
        let reserved = self.hub.reserve(&self.settings, &posted, starter, interpreter.language());
        let Some((mut slot, past, orders, waiting)) = reserved else {
            return Err(Error::new(409, "a program runs; stop it first, or wait for its end"));
        };
        let (started, wait_for_start) = oneshot::channel();
        // Before it is started, so that a server that ends waits for it.
        let guest = lane.guest();
        let settings = Arc::clone(&self.settings);
        // A task of its own: a client that leaves does not leave half a program.
        tokio::spawn(async move {
            let lines = Lines::new(u32::try_from(past.code.lines().count()).unwrap_or(u32::MAX));
            let pace = posted.pace;
            let (of_start, by) = (Arc::clone(&settings), interpreter.clone());
            let job = lane.submit(move || start(&of_start, &by, &past, pace));
            let child = match job {
                Ok(job) => match job.await {
                    Ok(Ok((child, file))) => child.watch().map(|child| (child, file)),
                    Ok(Err(error)) => Err(error),
                    Err(panicked) => Err(io::Error::other(panicked)),
                },
                Err(full) => Err(io::Error::new(io::ErrorKind::WouldBlock, full)),
            };
            match child {
                Ok((child, file)) => {
                    slot.begin(file);
                    let _ = started.send(Ok(()));
                    let told = Told::new();
                    let attended = Attended {
                        slot,
                        settings,
                        interpreter,
                        orders,
                        waiting,
                        lines,
                        lane,
                        guest,
                        told,
                    };
                    attended.attend(child).await;
                }
                Err(error) => {
                    slot.give_up();
                    let _ = started.send(Err((error, interpreter)));
                }
            }
        });
        match wait_for_start.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err((error, interpreter))) => Err(not_started(error, &interpreter)),
            Err(_) => Err(Error::new(503, "the server stops")),
        }
    }
}

fn not_started(error: io::Error, interpreter: &Interpreter) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            let why = format!("the interpreter was not found on the server: {interpreter}");
            Error::new(501, why).because(error)
        }
        io::ErrorKind::WouldBlock => Error::new(503, BUSY).because(error),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::new(507, "the disk is full").because(error)
        }
        _ => Error::new(500, "the program could not be started").because(error),
    }
}

const BUSY: &str = "too much else is to be done";
