//! The sessions that there are. Time is passed in.

use std::collections::HashMap;
use std::sync::Arc;

use super::SessionLimits;
use crate::accounts::Mac;
use crate::server::clock::millis;

pub(super) struct Table {
    by_id: HashMap<Mac, Entry>,
    limits: SessionLimits,
}

struct Entry {
    user: Arc<str>,
    stamp: Mac,
    begun_ms: u64,
    used_ms: u64,
}

impl Entry {
    fn is_over(&self, limits: &SessionLimits, now_ms: u64) -> bool {
        now_ms >= self.used_ms.saturating_add(millis(limits.idle))
            || now_ms >= self.begun_ms.saturating_add(millis(limits.life))
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
        self.by_id.retain(|_, entry| !entry.is_over(&self.limits, now_ms));
        let own = self.by_id.values().filter(|entry| entry.user == user).count();
        if own >= self.limits.sessions_per_user_max.max(1) {
            self.end_unused_longest(|entry| entry.user == user);
        }
        if self.by_id.len() >= self.limits.sessions_max.max(1) {
            self.end_unused_longest(|_| true);
        }
        self.by_id.insert(id, Entry { user, stamp, begun_ms: now_ms, used_ms: now_ms });
    }

    pub(super) fn find(&mut self, id: &Mac, now_ms: u64) -> Option<(Arc<str>, Mac)> {
        let entry = self.by_id.get_mut(id)?;
        if entry.is_over(&self.limits, now_ms) {
            self.by_id.remove(id);
            return None;
        }
        entry.used_ms = now_ms;
        Some((Arc::clone(&entry.user), entry.stamp))
    }

    /// Whether it goes on; that it is asked for is no use of it.
    pub(super) fn has(&self, id: &Mac, now_ms: u64) -> bool {
        self.by_id.get(id).is_some_and(|entry| !entry.is_over(&self.limits, now_ms))
    }

    pub(super) fn end(&mut self, id: &Mac) {
        self.by_id.remove(id);
    }

    pub(super) fn end_all_of(&mut self, user: &str) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|_, entry| *entry.user != *user);
        before - self.by_id.len()
    }

    fn end_unused_longest(&mut self, among: impl Fn(&Entry) -> bool) {
        let among = self.by_id.iter().filter(|(_, entry)| among(entry));
        if let Some(id) = among.min_by_key(|(_, entry)| entry.used_ms).map(|(id, _)| *id) {
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
