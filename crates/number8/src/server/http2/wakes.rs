//! Who of one connection has something to do: so that an event for one stream costs nothing of the others, and what the
//! connection's own task causes does not wake it once more.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::sync::{AtomicBool, Mutex, Ordering, lock};

/// What was woken since it was last looked at.
pub(super) struct Wakes {
    task: Waker,
    woken: Mutex<Woken>,
}

#[derive(Default)]
struct Woken {
    /// The task runs, and looks again before it waits.
    is_running: bool,
    connection: bool,
    streams: Vec<usize>,
}

/// The waker of the streams that have that place, one after another.
pub(super) struct StreamWake {
    place: usize,
    is_woken: AtomicBool,
    wakes: Arc<Wakes>,
}

impl Wakes {
    pub(super) fn new(task: Waker) -> Arc<Self> {
        Arc::new(Self { task, woken: Mutex::default() })
    }

    /// The task begins to run.
    pub(super) fn begin(&self) {
        lock(&self.woken).is_running = true;
    }

    /// Whether the connection itself was woken; then it is not any more.
    pub(super) fn take_connection(&self) -> bool {
        std::mem::take(&mut lock(&self.woken).connection)
    }

    /// Exchanges an empty list for that of the streams that were woken.
    pub(super) fn take_streams(&self, streams: &mut Vec<usize>) {
        streams.clear();
        std::mem::swap(&mut lock(&self.woken).streams, streams);
    }

    /// The task would wait now; false where something was woken in the meantime.
    pub(super) fn may_wait(&self) -> bool {
        let mut woken = lock(&self.woken);
        woken.is_running = woken.connection || !woken.streams.is_empty();
        !woken.is_running
    }

    /// The task waits although there is something to do: it is woken for that at once.
    pub(super) fn pause(&self) {
        lock(&self.woken).is_running = false;
        self.task.wake_by_ref();
    }

    fn note(&self, note: impl FnOnce(&mut Woken)) {
        let mut woken = lock(&self.woken);
        let was_asleep = !woken.is_running && !woken.connection && woken.streams.is_empty();
        note(&mut woken);
        drop(woken);
        if was_asleep {
            self.task.wake_by_ref();
        }
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.note(|woken| woken.connection = true);
    }
}

impl StreamWake {
    pub(super) fn new(place: usize, wakes: &Arc<Wakes>) -> Arc<Self> {
        Arc::new(Self { place, is_woken: AtomicBool::new(false), wakes: Arc::clone(wakes) })
    }

    /// The stream is about to run: what comes from now on wakes it again.
    pub(super) fn begin(&self) {
        // Not a mere store: what was there before a wake that this takes back has to be seen by the stream.
        self.is_woken.swap(false, Ordering::AcqRel);
    }
}

impl Wake for StreamWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            self.wakes.note(|woken| woken.streams.push(self.place));
        }
    }
}
