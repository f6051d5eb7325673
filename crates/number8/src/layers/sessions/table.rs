//! The sessions that there are. Time is passed in.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::SessionLimits;
use crate::accounts::Mac;
use crate::server::clock::{self, millis};
use crate::standing::{Ending, Lasting, Look};

pub(super) struct Table {
    by_id: HashMap<Mac, Kept>,
    limits: SessionLimits,
}

/// The place of a session in the table: where it goes, the session ends, whatever the reason.
struct Kept(Arc<Session>);

/// A session, for the table and for what it has opened.
pub(super) struct Session {
    pub(super) user: Arc<str>,
    pub(super) stamp: Mac,
    /// When it is over, however much it is used.
    until_ms: u64,
    idle_ms: u64,
    used_ms: AtomicU64,
    is_ended: AtomicBool,
    ending: Ending,
}

impl Session {
    fn new(user: Arc<str>, stamp: Mac, limits: &SessionLimits, now_ms: u64) -> Self {
        Self {
            user,
            stamp,
            until_ms: now_ms.saturating_add(millis(limits.life)),
            idle_ms: millis(limits.idle),
            used_ms: AtomicU64::new(now_ms),
            is_ended: AtomicBool::new(false),
            ending: Ending::default(),
        }
    }

    fn used_ms(&self) -> u64 {
        self.used_ms.load(Ordering::Relaxed)
    }

    fn is_over(&self, now_ms: u64) -> bool {
        self.left_ms(now_ms) == 0
    }

    /// For how long it goes on where nobody uses or ends it.
    fn left_ms(&self, now_ms: u64) -> u64 {
        let until_ms = self.used_ms().saturating_add(self.idle_ms).min(self.until_ms);
        until_ms.saturating_sub(now_ms)
    }
}

impl Lasting for Session {
    fn lasts(&self, look: Look) -> Option<Duration> {
        let now_ms = clock::monotonic_ms();
        if self.is_ended.load(Ordering::Acquire) || self.is_over(now_ms) {
            return None;
        }
        if look == Look::Use {
            self.used_ms.fetch_max(now_ms, Ordering::Relaxed);
        }
        Some(Duration::from_millis(self.left_ms(now_ms)))
    }

    fn ending(&self) -> &Ending {
        &self.ending
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.is_ended.store(true, Ordering::Release);
        self.0.ending.tell();
    }
}

impl Table {
    pub(super) fn new(limits: SessionLimits) -> Self {
        Self { by_id: HashMap::new(), limits }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Only who has the password of a user begins a session, so none of others has to give way to a guess.
    pub(super) fn begin(&mut self, id: Mac, user: Arc<str>, stamp: Mac, now_ms: u64) {
        self.by_id.retain(|_, kept| !kept.0.is_over(now_ms));
        let own = self.by_id.values().filter(|kept| kept.0.user == user).count();
        if own >= self.limits.sessions_per_user_max.max(1) {
            self.end_unused_longest(|session| session.user == user);
        }
        if self.by_id.len() >= self.limits.sessions_max.max(1) {
            self.end_unused_longest(|_| true);
        }
        let session = Session::new(user, stamp, &self.limits, now_ms);
        self.by_id.insert(id, Kept(Arc::new(session)));
    }

    /// A session that goes on; it counts as used.
    pub(super) fn find(&mut self, id: &Mac, now_ms: u64) -> Option<Arc<Session>> {
        let session = &self.by_id.get(id)?.0;
        if session.is_over(now_ms) {
            self.by_id.remove(id);
            return None;
        }
        session.used_ms.fetch_max(now_ms, Ordering::Relaxed);
        Some(Arc::clone(session))
    }

    pub(super) fn end(&mut self, id: &Mac) {
        self.by_id.remove(id);
    }

    pub(super) fn end_all_of(&mut self, user: &str) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|_, kept| *kept.0.user != *user);
        before - self.by_id.len()
    }

    /// Ends all but those of which this is true, of a user and their stamp.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&str, Mac) -> bool) {
        self.by_id.retain(|_, kept| is_kept(&kept.0.user, kept.0.stamp));
    }

    fn end_unused_longest(&mut self, among: impl Fn(&Session) -> bool) {
        let among = self.by_id.iter().filter(|(_, kept)| among(&kept.0));
        if let Some(id) = among.min_by_key(|(_, kept)| kept.0.used_ms()).map(|(id, _)| *id) {
            self.by_id.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::accounts::Key;

    fn table() -> Table {
        Table::new(SessionLimits {
            idle: Duration::from_secs(10),
            life: Duration::from_secs(30),
            sessions_max: 4,
            sessions_per_user_max: 2,
        })
    }

    fn mac(text: &str) -> Mac {
        Key::of_process().unwrap().mac(text.as_bytes())
    }

    fn begin(table: &mut Table, id: &str, user: &str, now_ms: u64) {
        table.begin(mac(id), user.into(), mac("stamp"), now_ms);
    }

    #[test]
    fn a5_a_session_ends_when_it_is_not_used_and_in_any_case_in_the_end() {
        let mut table = table();
        begin(&mut table, "unused", "joe", 1000);
        begin(&mut table, "used", "joe", 1000);
        // Used every nine seconds: the absolute limit is what ends it.
        for (now_ms, unused, used) in [(10_000, true, true), (19_000, true, true)] {
            assert_eq!(table.find(&mac("unused"), now_ms).is_some(), unused, "{now_ms}");
            assert_eq!(table.find(&mac("used"), now_ms).is_some(), used, "{now_ms}");
        }
        assert!(table.find(&mac("used"), 28_000).is_some());
        assert!(table.find(&mac("unused"), 29_000).is_none());
        assert!(table.find(&mac("used"), 30_999).is_some());
        assert!(table.find(&mac("used"), 31_000).is_none());
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a5_what_went_unused_longest_gives_way() {
        let mut table = table();
        for (at, (id, user)) in [("a", "joe"), ("b", "joe"), ("c", "ann")].into_iter().enumerate() {
            begin(&mut table, id, user, at as u64);
        }
        assert!(table.find(&mac("a"), 5).is_some());
        // Joe has two.
        begin(&mut table, "d", "joe", 6);
        assert!(table.find(&mac("b"), 7).is_none());
        // The server has four.
        begin(&mut table, "e", "ann", 8);
        begin(&mut table, "f", "eve", 9);
        assert!(table.find(&mac("c"), 9).is_none());
        for id in ["a", "d", "e", "f"] {
            assert!(table.find(&mac(id), 10).is_some(), "{id}");
        }
        assert_eq!(table.end_all_of("joe"), 2);
        table.end(&mac("e"));
        assert_eq!(table.len(), 1);
        // Those whose time is over make room by themselves.
        begin(&mut table, "g", "joe", 20_000);
        assert_eq!(table.len(), 1);
    }
}
