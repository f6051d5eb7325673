//! Between the connections and Python's event loop: what has come, for the loop; who goes on, for the connections.
//!
//! Neither side calls the other. A connection puts here what has happened and rings; the loop takes all of it at once,
//! makes tasks of what is new and lets those go on that waited. No Python object is touched on the way.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use number8::{Body, Caller, Departure, Opening, OwnedHead};

use super::line::Line;
use crate::lock::lock;

/// A request that the application has not seen yet.
pub(super) struct Arrival {
    pub(super) head: OwnedHead,
    pub(super) caller: Caller,
    pub(super) departure: Departure,
    pub(super) body: Body,
    pub(super) line: Arc<Line>,
    /// A WebSocket is asked for.
    pub(super) opening: Option<Opening>,
}

/// What the loop finds.
#[derive(Default)]
pub(super) struct Mail {
    pub(super) arrivals: Vec<Arrival>,
    /// Requests under way for which something has changed.
    pub(super) news: Vec<u64>,
    /// The server has ended; with what it says where not all went well.
    pub(super) ended: Option<Option<String>>,
}

impl Mail {
    fn is_empty(&self) -> bool {
        self.arrivals.is_empty() && self.news.is_empty() && self.ended.is_none()
    }
}

#[derive(Default)]
struct State {
    mail: Mail,
    /// The connections that may go on; called where they run.
    wakes: Vec<Waker>,
    /// The turn of the loop that waits for mail.
    turn: Option<Waker>,
    /// The loop has been told, and has not looked yet.
    is_rung: bool,
}

/// How the loop is told that there is mail.
enum Bell {
    /// The server runs where the loop waits.
    Turn,
    /// The loop watches the other end.
    Pipe(PipeReader, PipeWriter),
}

pub(super) struct Hub {
    state: Mutex<State>,
    bell: Bell,
}

impl Hub {
    /// For a server that runs in the loop's own thread, while the loop waits.
    pub(super) fn inside() -> Self {
        Self { state: Mutex::default(), bell: Bell::Turn }
    }

    /// For a server in a thread of its own.
    pub(super) fn beside() -> std::io::Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        Ok(Self { state: Mutex::default(), bell: Bell::Pipe(reader, writer) })
    }

    /// What the loop watches to learn of mail; `None` where it is told in its turn.
    pub(super) fn bell(&self) -> Option<&PipeReader> {
        match &self.bell {
            Bell::Turn => None,
            Bell::Pipe(reader, _) => Some(reader),
        }
    }

    pub(super) fn arrive(&self, arrival: Arrival) {
        self.put(|mail| mail.arrivals.push(arrival));
    }

    pub(super) fn end(&self, complaint: Option<String>) {
        self.put(|mail| mail.ended = Some(complaint));
    }

    fn put(&self, letter: impl FnOnce(&mut Mail)) {
        let mut state = lock(&self.state);
        letter(&mut state.mail);
        if state.is_rung {
            return;
        }
        state.is_rung = true;
        let turn = state.turn.take();
        drop(state);
        match (&self.bell, turn) {
            (Bell::Turn, Some(turn)) => turn.wake(),
            // It looks before it waits.
            (Bell::Turn, None) => {}
            // One byte at a time: there is room. A loop that is gone reads nothing.
            (Bell::Pipe(_, writer), _) => drop((&*writer).write(b"8")),
        }
    }

    /// All mail that there is.
    pub(super) fn take(&self) -> Mail {
        let mut state = lock(&self.state);
        if std::mem::take(&mut state.is_rung)
            && let Bell::Pipe(reader, _) = &self.bell
        {
            let mut reader = reader;
            drop(reader.read(&mut [0; 8]));
        }
        std::mem::take(&mut state.mail)
    }

    /// Whether there is mail; if not, `turn` is woken when there is.
    pub(super) fn has_mail(&self, turn: &Waker) -> bool {
        let mut state = lock(&self.state);
        if !state.mail.is_empty() {
            return true;
        }
        state.turn = Some(turn.clone());
        false
    }

    /// Lets a connection go on: now, where it runs in another thread, else with the next turn of the loop, where that is
    /// no system call.
    pub(super) fn wake(&self, connection: Waker) {
        match self.bell {
            Bell::Turn => lock(&self.state).wakes.push(connection),
            Bell::Pipe(..) => connection.wake(),
        }
    }

    /// Calls the connections that may go on.
    pub(super) fn call(&self) {
        let wakes = std::mem::take(&mut lock(&self.state).wakes);
        wakes.into_iter().for_each(Waker::wake);
    }
}

/// Has the loop look at one request when what that waits for has come.
pub(super) struct Notice {
    pub(super) hub: Arc<Hub>,
    pub(super) id: u64,
}

impl Wake for Notice {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let id = self.id;
        self.hub.put(|mail| {
            if !mail.news.contains(&id) {
                mail.news.push(id);
            }
        });
    }
}
