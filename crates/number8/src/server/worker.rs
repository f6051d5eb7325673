//! What the connections of one thread share: the table that deadlines are swept over, and buffers that are free.
//!
//! Short locks, never held over a wait. Under [`Server::run`](super::Server::run) each thread has a worker
//! of its own, so the locks are never contended.

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

use number8_proto::http1::{Head, Stamp, Version};
use tokio::sync::Notify;

use super::beat::Beat;
use super::clock::{self, Attention};
use super::connection::Work;
use super::counts::{Counts, OneOpen, Opened, Refused};
use super::shared::{REFUSED_MAX, Shared, Stop, Watched};
use crate::app::App;
use crate::caller::Caller;
use crate::layers::access_log::{Format, Formatter, Record};
use crate::store::kept::{self, LetGo};
use crate::sync::lock;

/// One thread's share of a server.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    table: Arc<Mutex<Table>>,
    /// Where somebody wants to know.
    counts: Option<Arc<Counts>>,
    /// Told when the table is no longer empty.
    busy: Notify,
    beat: Arc<Beat>,
    desk: Mutex<Desk>,
    /// Of the access log, and the app whose format it is.
    formatter: Mutex<Option<(u64, Formatter)>>,
}

/// Buffers kept for the next connection that has something to do; more are given back to the system.
const FREE_MAX: usize = 16;

/// How often deadlines are looked at.
const SWEEP: Duration = Duration::from_millis(250);

/// Sweeps between two flushes of the access log.
const SWEEPS_PER_FLUSH: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<Option<Arc<Entry>>>,
    vacant: Vec<usize>,
}

impl Table {
    /// How many connections wait for a request, and how many do not.
    pub(super) fn idle_and_busy(&self) -> (u32, u32) {
        self.entries.iter().flatten().fold((0, 0), |(idle, busy), entry| {
            match entry.standing() == Standing::Idle as u8 {
                true => (idle + 1, busy),
                false => (idle, busy + 1),
            }
        })
    }
}

/// What a connection needs when it has something to do; under one lock, since it needs all.
#[derive(Debug, Default)]
struct Desk {
    attention: Attention,
    #[allow(clippy::vec_box, reason = "they go from here to connections and back as they are")]
    free: Vec<Box<Work>>,
    current: Option<Arc<Current>>,
}

/// What is the same for every request of one second.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) shared: Arc<Shared>,
    pub(crate) app: Arc<App>,
    /// Seconds since 1970.
    pub(crate) unix: i64,
    /// Date and Server.
    pub(crate) stamp: Stamp,
}

/// What stays the same while a connection runs until it has to wait: found out once, however many
/// requests came together.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The server, its app, and what every answer of this second has.
    pub(crate) current: Arc<Current>,
    /// Milliseconds on the clock of deadlines, see [`Worker::now_ms`].
    pub(crate) ms: u64,
    /// When it began, where the log tells how long requests take.
    pub(crate) begun: Option<Instant>,
}

/// A connection as the sweep sees it.
#[derive(Debug)]
pub(crate) struct Entry {
    index: usize,
    is_admitted: bool,
    waker: OnceLock<Waker>,
    /// In milliseconds of [`Worker::now_ms`]; `u64::MAX` is never.
    deadline_ms: AtomicU64,
    standing: AtomicU8,
    is_evicted: AtomicBool,
}

/// How easily a connection can be spared where descriptors are short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Standing {
    /// It waits for a request.
    Idle,
    /// A part of a head has come: a slow client, or one that holds as many connections as it can.
    Beginning,
    /// Something is being answered.
    Busy,
}

/// A connection's place in a worker, from when it is dealt out until it ends. Whatever becomes of it, dropping
/// this counts it out.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) worker: Arc<Worker>,
    pub(crate) entry: Arc<Entry>,
    /// Whose connection it counts as.
    client: Option<IpAddr>,
}

impl Place {
    /// A balancer says whose connection it is; false where that client has as many as it may.
    pub(crate) fn identify(&mut self, client: Option<IpAddr>) -> bool {
        let is_admitted = client.is_none_or(|client| self.worker.shared.admit_client(client));
        if is_admitted {
            // Where the rules have changed since it came, the balancer itself was counted.
            let before = std::mem::replace(&mut self.client, client);
            before.inspect(|before| self.worker.shared.dismiss_client(*before));
        }
        is_admitted
    }

    /// False: the connection is only told that there are too many.
    pub(crate) fn is_admitted(&self) -> bool {
        self.entry.is_admitted
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.leave(&self.entry, self.client);
    }
}

impl Entry {
    /// Remembers how to wake the connection; its task never changes.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    pub(crate) fn set_deadline(&self, at_ms: u64, standing: Standing) {
        self.deadline_ms.store(at_ms, Ordering::Relaxed);
        self.standing.store(standing as u8, Ordering::Relaxed);
    }

    fn standing(&self) -> u8 {
        self.standing.load(Ordering::Relaxed)
    }

    pub(crate) fn has_passed(&self, now_ms: u64) -> bool {
        self.deadline_ms.load(Ordering::Relaxed) <= now_ms
    }

    pub(crate) fn is_evicted(&self) -> bool {
        self.is_evicted.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let (table, counts) = (Arc::default(), shared.options.metrics.then(Arc::default));
        if let Some(counts) = &counts {
            let (table, counts) = (Arc::clone(&table), Arc::clone(counts));
            lock(&shared.watched).push(Watched { table, counts });
        }
        Self {
            beat: shared.beats.add(),
            shared,
            table,
            counts,
            busy: Notify::new(),
            desk: Mutex::default(),
            formatter: Mutex::default(),
        }
    }

    /// A place for a new connection; `None` where there are so many that it cannot even be told so.
    pub(crate) fn enter(self: &Arc<Self>, peer: Option<SocketAddr>) -> Option<Place> {
        let shared = &self.shared;
        // A balancer is no client: whose connection it is will be told, see `Place::identify`.
        let is_client = !shared.app().expects_header(peer);
        let client = peer.filter(|_| is_client).map(|peer| peer.ip());
        let refused = shared.admit(client).err();
        let is_admitted = refused.is_none();
        if let Some(mut why) = refused {
            let refused =
                shared.connections().saturating_sub(shared.admitted.load(Ordering::Acquire));
            if refused >= REFUSED_MAX {
                why = Refused::Silently;
            }
            self.count(|counts| counts.refused(why));
            if refused >= REFUSED_MAX {
                return None;
            }
        }
        self.count(Counts::accepted);
        shared.connections.fetch_add(1, Ordering::AcqRel);
        let mut table = lock(&self.table);
        let index = table.vacant.pop().unwrap_or_else(|| {
            table.entries.push(None);
            table.entries.len() - 1
        });
        let entry = Arc::new(Entry {
            index,
            is_admitted,
            waker: OnceLock::new(),
            deadline_ms: AtomicU64::new(u64::MAX),
            standing: AtomicU8::new(Standing::Busy as u8),
            is_evicted: AtomicBool::new(false),
        });
        table.entries[index] = Some(Arc::clone(&entry));
        drop(table);
        self.beat.begin();
        self.busy.notify_one();
        Some(Place { worker: Arc::clone(self), entry, client })
    }

    fn leave(&self, entry: &Entry, client: Option<IpAddr>) {
        let mut table = lock(&self.table);
        table.entries[entry.index] = None;
        table.vacant.push(entry.index);
        drop(table);
        if entry.is_admitted {
            self.shared.dismiss(client);
        }
        self.shared.connections.fetch_sub(1, Ordering::AcqRel);
        if self.shared.stop() != Stop::No {
            self.shared.connection_ended.notify_waiters();
        }
    }

    /// Counts something, where somebody wants to know.
    #[inline]
    pub(crate) fn count(&self, count: impl FnOnce(&Counts)) {
        if let Some(counts) = &self.counts {
            count(counts);
        }
    }

    /// Counts one of something until it is dropped, where somebody wants to know.
    pub(crate) fn open(&self, what: Opened) -> OneOpen {
        OneOpen::new(self.counts.clone(), what)
    }

    /// Whether somebody wants to know.
    pub(crate) fn counts(&self) -> bool {
        self.counts.is_some()
    }

    /// Connections that this worker serves.
    pub(crate) fn connections(&self) -> usize {
        let table = lock(&self.table);
        table.entries.len() - table.vacant.len()
    }

    /// Closes up to `count` connections on which nothing is being answered: first those that wait for a
    /// request, then those with a part of one, the longest waiting first. Returns how many.
    pub(crate) fn evict_idle(&self, count: usize) -> usize {
        let table = lock(&self.table);
        let mut idle: Vec<&Arc<Entry>> = table
            .entries
            .iter()
            .flatten()
            .filter(|entry| entry.standing() != Standing::Busy as u8 && !entry.is_evicted())
            .collect();
        idle.sort_by_key(|entry| (entry.standing(), entry.deadline_ms.load(Ordering::Relaxed)));
        idle.truncate(count);
        for entry in &idle {
            entry.is_evicted.store(true, Ordering::Relaxed);
            entry.wake();
        }
        idle.len()
    }

    pub(crate) fn wake_all(&self) {
        lock(&self.table).entries.iter().flatten().for_each(|entry| entry.wake());
    }

    /// Wakes connections whose deadline has passed, for ever; sleeps while there are none.
    pub(crate) async fn sweep(&self) {
        let mut sweeps = 0;
        loop {
            if self.connections() == 0 {
                self.flush_log();
                self.beat.rest();
                // It may be replaced meanwhile, and nothing would come round to tell.
                let resting = lock(&self.desk).current.take();
                let_go_of(resting);
                self.rest().await;
            }
            self.beat.come_round();
            tokio::time::sleep(SWEEP).await;
            let now_ms = self.now_ms();
            for entry in lock(&self.table).entries.iter().flatten() {
                if entry.has_passed(now_ms) {
                    entry.wake();
                }
            }
            self.forget_replaced_app();
            self.let_go_of_idle_files(clock::monotonic_ms());
            sweeps += 1;
            if sweeps % SWEEPS_PER_FLUSH == 0 {
                self.flush_log();
            }
        }
    }

    /// Sleeps until there is a connection.
    async fn rest(&self) {
        while kept::count() > 0 {
            let nap = Duration::from_millis(kept::IDLE_MS);
            if tokio::time::timeout(nap, self.busy.notified()).await.is_ok() {
                return;
            }
            self.let_go_of_idle_files(clock::monotonic_ms());
        }
        self.busy.notified().await;
    }

    fn let_go_of_idle_files(&self, now_ms: u64) {
        if kept::is_time(now_ms)
            && let Ok(job) = self.shared.lane.submit(|| kept::let_go(LetGo::Idle))
        {
            job.detach();
        }
    }

    /// Gives up an app that was replaced, though nothing has been asked since: whoever still listens to it is
    /// to notice that nobody can send any more.
    fn forget_replaced_app(&self) {
        let is_replaced = |it: &mut Arc<Current>| it.app.id() != self.shared.app_id();
        let forgotten = lock(&self.desk).current.take_if(is_replaced);
        let_go_of(forgotten);
    }

    fn flush_log(&self) {
        let app = self.shared.app();
        if let Some(log) = app.log() {
            log.sink.flush();
        }
        if let Some(sink) = app.dump_sink() {
            sink.flush();
        }
    }

    /// Milliseconds on the clock of deadlines, in which time that this worker was held up does not count.
    pub(crate) fn now_ms(&self) -> u64 {
        lock(&self.desk).attention.look(clock::monotonic_ms())
    }

    /// For a connection that has something to do: what is the same for all, and buffers.
    pub(crate) fn begin(&self) -> (Turn, Box<Work>) {
        let mut desk = lock(&self.desk);
        let turn = self.turn_at(&mut desk);
        let work = desk.free.pop();
        drop(desk);
        (turn, work.unwrap_or_default())
    }

    /// For a connection that has something to do and its buffers: what is the same for all.
    pub(crate) fn turn(&self) -> Turn {
        self.turn_at(&mut lock(&self.desk))
    }

    pub(crate) fn give_back(&self, work: Box<Work>) {
        let free = &mut lock(&self.desk).free;
        if free.len() < FREE_MAX {
            free.push(work);
        }
    }

    fn turn_at(&self, desk: &mut Desk) -> Turn {
        let ms = desk.attention.look(clock::monotonic_ms());
        let current = self.current_at(desk);
        let is_timed = current.shared.options.metrics || current.app.is_timed();
        Turn { ms, begun: is_timed.then(Instant::now), current }
    }

    /// The app that is served, with the fields of this second.
    fn current_at(&self, desk: &mut Desk) -> Arc<Current> {
        let unix = clock::unix_seconds();
        let app_id = self.shared.app_id();
        match &desk.current {
            Some(current) if current.unix == unix && current.app.id() == app_id => {
                Arc::clone(current)
            }
            _ => {
                let (shared, app) = (Arc::clone(&self.shared), self.shared.app());
                let stamp = app.stamp(unix);
                let new = Arc::new(Current { shared, app, unix, stamp });
                Arc::clone(desk.current.insert(new))
            }
        }
    }

    /// Counts one request, and writes its line.
    pub(crate) fn log(
        &self,
        current: &Current,
        caller: &Caller,
        head: Option<&Head<'_>>,
        told: Told,
    ) {
        self.count(|counts| counts.answered(head.map(Head::method), told));
        let app = &current.app;
        let Some(settings) = app.log() else { return };
        let record = record(&settings.format, caller, head, told);
        let mut formatter = lock(&self.formatter);
        let formatter = match &mut *formatter {
            Some((of, formatter)) if *of == app.id() => formatter,
            other => {
                let new = Formatter::new(settings.format.clone());
                &mut other.insert((app.id(), new)).1
            }
        };
        settings.sink.push_with(|lines| formatter.write(&record, lines));
    }

    /// Writes the line of a request whose answer was slow to begin.
    #[cold]
    pub(crate) fn log_slow(
        &self,
        current: &Current,
        caller: &Caller,
        head: Option<&Head<'_>>,
        told: Told,
    ) {
        let Some(slow) = current.app.slow() else { return };
        let mut line = Vec::new();
        let mut formatter = Formatter::new(slow.log.format.clone());
        formatter.write(&record(&slow.log.format, caller, head, told), &mut line);
        slow.log.sink.push(&line);
        slow.log.sink.flush();
    }
}

/// What the user has put into an app may do anything as it goes: this is not for while a lock is held, and a panic ends no worker.
fn let_go_of(current: Option<Arc<Current>>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(current)));
}

/// What a connection tells of a request for its line in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// By which the request came.
    pub(crate) version: Version,
    pub(crate) status: u16,
    /// Bytes of content of the answer, and of the request.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) duration: Duration,
}

/// What a line of that format tells of a request.
fn record<'a>(
    format: &Format,
    caller: &'a Caller,
    head: Option<&Head<'a>>,
    told: Told,
) -> Record<'a> {
    let head_fields = head.map(crate::app::log_fields).unwrap_or_default();
    Record {
        peer: caller.ip,
        method: head.map_or(b"", Head::method_bytes),
        target: head.map_or(b"", Head::target),
        version: told.version,
        status: told.status,
        bytes: told.sent,
        received: told.received,
        duration: told.duration,
        time: SystemTime::UNIX_EPOCH + clock::unix_time(),
        user: caller.user.as_deref(),
        host: head.filter(|_| format.tells_host()).and_then(Head::host),
        referer: head_fields.0,
        user_agent: head_fields.1,
        request_id: caller.request_id.as_ref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Options;

    /// A reload may begin to trust a balancer whose connection has come before.
    #[test]
    fn g11_whoever_is_announced_is_counted_in_place_of_who_announces() {
        let mut options = Options::default();
        options.limits.connections_per_client_max = 1;
        let shared = Arc::new(Shared::new(App::new(), options));
        let worker = Arc::new(Worker::new(Arc::clone(&shared)));
        let [balancer, client] = ["10.0.0.1", "192.0.2.1"].map(|ip| ip.parse().unwrap());
        let mut place = worker.enter(Some(SocketAddr::new(balancer, 4711))).unwrap();
        assert!(!shared.admit_client(balancer));
        assert!(place.identify(Some(client)));
        assert!(shared.admit_client(balancer) && !shared.admit_client(client));
        drop(place);
        assert!(shared.admit_client(client));
    }
}
