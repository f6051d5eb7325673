//! What all workers of a server share: the app, the options, how many connections there are, and whether it is to stop.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::Notify;

use super::beat::Beats;
use super::connection::Closed;
use super::counts::{Counts, Refused, measure_lane};
use super::lane::Lane;
use super::options::Options;
use super::served::Served;
use super::worker::Table;
use crate::app::App;
use crate::metrics::Sheet;
use crate::sync::lock;

/// What all workers of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) lane: Lane,
    app: Served<App>,
    stop: AtomicU8,
    /// Told when `stop` changes.
    stop_changed: Notify,
    /// Told when a connection ends while the server stops.
    pub(crate) connection_ended: Notify,
    /// All that are open.
    pub(super) connections: AtomicUsize,
    /// Those of them that are served, not turned away.
    pub(super) admitted: AtomicUsize,
    /// Of those, how many each client has.
    clients: Mutex<HashMap<IpAddr, usize>>,
    /// Bytes held by connections that wait.
    buffered: AtomicUsize,
    pub(crate) beats: Beats,
    /// What the workers count, and their connections.
    pub(super) watched: Mutex<Vec<Watched>>,
    pub(crate) on_closed: OnceLock<OnClosed>,
    #[cfg(feature = "tls")]
    pub(crate) tls: OnceLock<super::tls::Tls>,
    /// Connections are being accepted.
    pub(crate) is_serving: AtomicBool,
}

/// What is called with each connection that has ended.
pub(crate) struct OnClosed(pub(crate) Box<dyn Fn(Option<SocketAddr>, Closed) + Send + Sync>);

impl fmt::Debug for OnClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnClosed")
    }
}

/// Connections that are told at once that there are too many; further ones are closed without a word.
pub(super) const REFUSED_MAX: usize = 256;

/// How far a server is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stop {
    /// It serves.
    No,
    /// It finishes what it has begun.
    Gracefully,
    /// It ends.
    Now,
}

impl Shared {
    pub(crate) fn new(app: App, options: Options) -> Self {
        let id = app.id();
        Self {
            lane: Lane::new(options.lane.clone()),
            options,
            app: Served::new(app, id),
            stop: AtomicU8::new(Stop::No as u8),
            stop_changed: Notify::new(),
            connection_ended: Notify::new(),
            connections: AtomicUsize::new(0),
            admitted: AtomicUsize::new(0),
            clients: Mutex::new(HashMap::new()),
            buffered: AtomicUsize::new(0),
            beats: Beats::default(),
            watched: Mutex::default(),
            on_closed: OnceLock::new(),
            #[cfg(feature = "tls")]
            tls: OnceLock::new(),
            is_serving: AtomicBool::new(false),
        }
    }

    pub(crate) fn app(&self) -> Arc<App> {
        self.app.get()
    }

    pub(crate) fn app_id(&self) -> u64 {
        self.app.id()
    }

    pub(crate) fn replace_app(&self, app: App) {
        let id = app.id();
        self.app.replace(app, id, App::succeed);
    }

    pub(crate) fn stop(&self) -> Stop {
        match self.stop.load(Ordering::Acquire) {
            0 => Stop::No,
            1 => Stop::Gracefully,
            _ => Stop::Now,
        }
    }

    /// Waits until the server is at least that far on its way out.
    pub(crate) async fn stopped(&self, stop: Stop) {
        loop {
            let changed = self.stop_changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.stop() >= stop {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn set_stop(&self, stop: Stop) {
        self.stop.fetch_max(stop as u8, Ordering::AcqRel);
        self.stop_changed.notify_waiters();
        self.connection_ended.notify_waiters();
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Serves one more connection, of all and of this client's, if that may be; then it is counted in.
    pub(super) fn admit(&self, client: Option<IpAddr>) -> Result<(), Refused> {
        let limits = &self.options.limits;
        if self.admitted.fetch_add(1, Ordering::AcqRel) >= limits.connections_max {
            self.admitted.fetch_sub(1, Ordering::AcqRel);
            return Err(Refused::Connections);
        }
        let has_place = client.is_none_or(|client| self.admit_client(client));
        if !has_place {
            self.admitted.fetch_sub(1, Ordering::AcqRel);
            return Err(Refused::OfClient);
        }
        Ok(())
    }

    /// Why no new request is welcome; `None` where one is.
    pub(crate) fn unready(&self) -> Option<&'static str> {
        if self.stop() != Stop::No {
            Some("the server is stopping")
        } else if !self.is_serving.load(Ordering::Acquire) {
            Some("the server is starting")
        } else if self.admitted.load(Ordering::Acquire) >= self.options.limits.connections_max {
            Some("there are as many connections as there may be")
        } else if !self.has_room() {
            Some("the server holds as much as it may")
        } else if self.lane.is_full() {
            Some("the lane is full")
        } else {
            None
        }
    }

    /// Adds what is known of the whole server to the sheet.
    pub(crate) fn measure(&self, sheet: &mut Sheet) {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        sheet.gauge("number8_build_info", "The version that runs.", &version, 1.0);
        let ready = f64::from(u8::from(self.unready().is_none()));
        sheet.gauge("number8_ready", "1 where new requests are welcome.", &[], ready);
        let (mut idle, mut busy) = (0_u32, 0_u32);
        for Watched { table, counts } in lock(&self.watched).iter() {
            let (of_it_idle, of_it_busy) = lock(table).idle_and_busy();
            idle += of_it_idle;
            busy += of_it_busy;
            counts.measure(sheet);
        }
        for (state, count) in [("idle", idle), ("busy", busy)] {
            let help = "Open connections: those that wait for a request, and the others.";
            sheet.gauge("number8_connections", help, &[("state", state)], f64::from(count));
        }
        let max = self.options.limits.connections_max as f64;
        sheet.gauge("number8_connections_max", "Connections that there may be.", &[], max);
        let help =
            "Memory that waiting connections hold: parts of requests, answers not yet taken.";
        sheet.gauge("number8_buffered_bytes", help, &[], self.buffered() as f64);
        self.beats.measure(sheet);
        measure_lane(&self.lane, sheet);
        self.app().measure(sheet);
    }

    /// Whether this client may have one more connection; then it is counted in.
    pub(super) fn admit_client(&self, client: IpAddr) -> bool {
        let client = network(client);
        let mut clients = lock(&self.clients);
        let of_client = clients.entry(client).or_default();
        let may = *of_client < self.options.limits.connections_per_client_max;
        *of_client += usize::from(may);
        if *of_client == 0 {
            // Who is turned away leaves nothing here.
            clients.remove(&client);
        }
        may
    }

    pub(super) fn dismiss(&self, client: Option<IpAddr>) {
        self.admitted.fetch_sub(1, Ordering::AcqRel);
        if let Some(client) = client {
            self.dismiss_client(client);
        }
    }

    /// One connection less is that client's.
    pub(super) fn dismiss_client(&self, client: IpAddr) {
        let client = network(client);
        let mut clients = lock(&self.clients);
        if let Some(of_client) = clients.get_mut(&client) {
            *of_client -= 1;
            if *of_client == 0 {
                clients.remove(&client);
            }
        }
    }

    /// Bytes that connections hold while they wait.
    pub(crate) fn buffered(&self) -> usize {
        self.buffered.load(Ordering::Relaxed)
    }

    /// True while connections hold less than they may together.
    pub(crate) fn has_room(&self) -> bool {
        self.buffered() <= self.options.limits.buffered_bytes_max
    }

    /// True while connections hold so little that one which gains by it may hold more.
    pub(crate) fn has_much_room(&self) -> bool {
        self.buffered() <= self.options.limits.buffered_bytes_max / MUCH_ROOM_BELOW
    }

    /// A connection that held `before` bytes now holds `after`.
    pub(crate) fn holds(&self, before: usize, after: usize) {
        if after >= before {
            self.buffered.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.buffered.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}

/// The part of what may be buffered up to which clients that keep up may have more wait for them: a quarter.
const MUCH_ROOM_BELOW: usize = 4;

/// What there is to know of one worker.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) table: Arc<Mutex<Table>>,
    pub(super) counts: Arc<Counts>,
}

/// What counts as one client: an IPv4 address, or the /64 that one IPv6 host usually has to itself.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}
