//! What each worker counts of its connections and requests, where somebody wants to know
//! ([`Options::metrics`](super::Options::metrics)): relaxed counters of its own, added up when somebody looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use number8_proto::CloseReason;
use number8_proto::http1::Method;

use super::connection::Closed;
use super::lane::Lane;
use super::worker::Told;
use crate::metrics::Sheet;

/// Upper bounds of durations: from a file in memory to a client on a bad line.
const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "other"];

const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Why connections end, as labels.
const REASONS: [&str; 20] = [
    "by_client",
    "last_answer",
    "session_over",
    "fault",
    "too_many",
    "not_announced",
    "first_byte_timeout",
    "idle",
    "head_timeout",
    "body_timeout",
    "write_timeout",
    "behind",
    "logged_out",
    "evicted",
    "stopping",
    "cut",
    "broken",
    "protocol",
    "handshake_timeout",
    "not_secured",
];

/// The counters of one worker.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    requests: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    /// One more than there are bounds.
    durations: [AtomicU64; SECONDS.len() + 1],
    micros: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    accepted: AtomicU64,
    turned_away: [AtomicU64; Refused::LABELS.len()],
    closed: [AtomicU64; REASONS.len()],
    over_buffered: AtomicU64,
    listeners: Open,
    sessions: Open,
}

/// Why a connection is not served, or a request not passed on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refused {
    /// There are as many connections as there may be.
    Connections,
    /// This client has as many as it may.
    OfClient,
    /// There are so many that it was not even told.
    Silently,
}

impl Refused {
    const LABELS: [&str; 3] = ["connections", "connections_per_client", "connections_silently"];
}

/// How many of something there are.
#[derive(Debug, Default)]
struct Open {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Open {
    /// Those that there are now.
    fn now(&self) -> u64 {
        // Read first: what ends in between has begun before.
        let ended = read(&self.ended);
        read(&self.begun).saturating_sub(ended)
    }
}

/// What a connection does for long.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Opened {
    /// It is sent what is sent to many.
    Listener,
    /// It speaks another protocol.
    Session,
}

/// Counts one of something until it is dropped.
#[derive(Debug)]
pub(crate) struct OneOpen(Option<Arc<Counts>>, Opened);

impl OneOpen {
    pub(crate) fn new(counts: Option<Arc<Counts>>, what: Opened) -> Self {
        if let Some(counts) = &counts {
            add(&counts.open(what).begun, 1);
        }
        Self(counts, what)
    }
}

impl Drop for OneOpen {
    fn drop(&mut self) {
        if let Some(counts) = &self.0 {
            add(&counts.open(self.1).ended, 1);
        }
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Counts {
    fn open(&self, what: Opened) -> &Open {
        match what {
            Opened::Listener => &self.listeners,
            Opened::Session => &self.sessions,
        }
    }

    /// An answer has been sent.
    pub(crate) fn answered(&self, method: Option<Method>, told: Told) {
        let class = usize::from(told.status / 100);
        let class = if class < CLASSES.len() { class } else { 0 };
        add(&self.requests[place_of(method)][class], 1);
        let seconds = told.duration.as_secs_f64();
        add(&self.durations[SECONDS.partition_point(|bound| *bound < seconds)], 1);
        add(&self.micros, u64::try_from(told.duration.as_micros()).unwrap_or(u64::MAX));
        add(&self.sent, told.sent);
        add(&self.received, told.received);
    }

    pub(crate) fn accepted(&self) {
        add(&self.accepted, 1);
    }

    pub(crate) fn refused(&self, why: Refused) {
        add(&self.turned_away[why as usize], 1);
    }

    /// A request was refused, as the server holds as much as it may.
    pub(crate) fn over_buffered(&self) {
        add(&self.over_buffered, 1);
    }

    pub(crate) fn closed(&self, why: Closed) {
        add(&self.closed[reason_of(why)], 1);
    }

    /// Adds what was counted to the sheet.
    pub(crate) fn measure(&self, sheet: &mut Sheet) {
        self.measure_requests(sheet);
        let accepted = read(&self.accepted) as f64;
        sheet.counter("number8_connections_accepted_total", "Connections accepted.", &[], accepted);
        for (label, count) in Refused::LABELS.iter().zip(&self.turned_away) {
            let help = "Connections that were turned away, by the limit that they met.";
            let labels = [("limit", *label)];
            sheet.counter("number8_connections_refused_total", help, &labels, read(count) as f64);
        }
        for (label, count) in REASONS.iter().zip(&self.closed) {
            let help = "Connections that have ended, and why.";
            let labels = [("reason", *label)];
            sheet.counter("number8_connections_closed_total", help, &labels, read(count) as f64);
        }
        let help = "Requests answered 503, as the server held as much as it may.";
        let over = read(&self.over_buffered) as f64;
        sheet.counter("number8_requests_over_buffered_total", help, &[], over);
        let help = "Connections that are sent events.";
        sheet.gauge("number8_event_subscribers", help, &[], self.listeners.now() as f64);
        let help = "Connections that speak another protocol: WebSockets, terminals.";
        sheet.gauge("number8_websockets", help, &[], self.sessions.now() as f64);
        let help = "WebSockets and the like that have begun.";
        let begun = read(&self.sessions.begun) as f64;
        sheet.counter("number8_websockets_opened_total", help, &[], begun);
    }

    fn measure_requests(&self, sheet: &mut Sheet) {
        for (method, classes) in METHODS.iter().zip(&self.requests) {
            for (class, count) in CLASSES.iter().zip(classes) {
                let count = read(count);
                // Most never occur.
                if count > 0 {
                    let labels = [("method", *method), ("status", *class)];
                    let help = "Requests answered, by method and class of status.";
                    sheet.counter("number8_requests_total", help, &labels, count as f64);
                }
            }
        }
        let durations: Vec<f64> = self.durations.iter().map(|count| read(count) as f64).collect();
        sheet.histogram(
            "number8_request_duration_seconds",
            "From the arrival of a request to the last byte of its answer.",
            &SECONDS,
            &durations,
            read(&self.micros) as f64 / 1e6,
        );
        let help = "Content of answers that was sent.";
        sheet.counter("number8_sent_bytes_total", help, &[], read(&self.sent) as f64);
        let help = "Content of requests that was read.";
        sheet.counter("number8_received_bytes_total", help, &[], read(&self.received) as f64);
    }
}

/// Adds what there is to know of the lane to the sheet.
pub(crate) fn measure_lane(lane: &Lane, sheet: &mut Sheet) {
    let look = lane.look();
    let help = "Calls that wait for a thread of the lane.";
    sheet.gauge("number8_lane_queue", help, &[], look.queue as f64);
    let help = "Calls that may wait for one.";
    sheet.gauge("number8_lane_queue_max", help, &[], look.queue_max as f64);
    let rest = look.threads.saturating_sub(look.working);
    for (state, count) in [("busy", look.working), ("idle", rest)] {
        let help = "Threads of the lane, inside a call or not.";
        sheet.gauge("number8_lane_threads", help, &[("state", state)], count as f64);
    }
    let help = "Calls that the lane refused, as too many were waiting.";
    sheet.counter("number8_lane_rejected_total", help, &[], look.refused as f64);
    let help = "Calls that were promised not to wait, and took too long.";
    let slow = lane.slow_inline_calls() as f64;
    sheet.counter("number8_slow_inline_calls_total", help, &[], slow);
}

fn place_of(method: Option<Method>) -> usize {
    match method {
        Some(Method::Get) => 0,
        Some(Method::Head) => 1,
        Some(Method::Post) => 2,
        Some(Method::Put) => 3,
        Some(Method::Delete) => 4,
        Some(Method::Options) => 5,
        Some(Method::Patch) => 6,
        _ => 7,
    }
}

fn reason_of(why: Closed) -> usize {
    match why {
        Closed::ByClient => 0,
        Closed::Answered(CloseReason::HandedOver) => 2,
        Closed::Answered(CloseReason::Fault) | Closed::Fault(_) => 3,
        Closed::Answered(_) => 1,
        Closed::TooMany => 4,
        Closed::NotAnnounced => 5,
        Closed::FirstByteTimeout => 6,
        Closed::Idle => 7,
        Closed::HeadTimeout => 8,
        Closed::BodyTimeout => 9,
        Closed::WriteTimeout => 10,
        Closed::Behind => 11,
        Closed::LoggedOut => 12,
        Closed::Evicted => 13,
        Closed::Stopping => 14,
        Closed::Cut => 15,
        Closed::Broken(_) => 16,
        Closed::Protocol(_) => 17,
        Closed::HandshakeTimeout => 18,
        Closed::NotSecured(_) => 19,
    }
}
