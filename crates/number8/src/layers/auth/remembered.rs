//! Credentials that were right a short while ago, so that not every request costs a password hash.

use std::collections::HashMap;
use std::sync::Arc;

use crate::accounts::Mac;

/// The users of credentials, by a keyed hash: the passwords themselves are kept nowhere.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    by_mac: HashMap<Mac, (Arc<str>, u64)>,
}

impl Remembered {
    /// The user of a credential that was right not too long ago.
    pub(super) fn user(&self, mac: &Mac, now_ms: u64) -> Option<Arc<str>> {
        let (user, until_ms) = self.by_mac.get(mac)?;
        (now_ms < *until_ms).then(|| Arc::clone(user))
    }

    /// Remembers a credential for so long.
    pub(super) fn keep(&mut self, mac: Mac, user: Arc<str>, now_ms: u64, for_ms: u64) {
        if self.by_mac.len() >= ENTRIES_MAX {
            self.by_mac.retain(|_, (_, until_ms)| now_ms < *until_ms);
        }
        // With so many users at once, forgetting all of them costs a hash each: rare, and simple.
        if self.by_mac.len() >= ENTRIES_MAX {
            self.by_mac.clear();
        }
        self.by_mac.insert(mac, (user, now_ms.saturating_add(for_ms)));
    }

    /// Forgets everything: the accounts have changed.
    pub(super) fn clear(&mut self) {
        self.by_mac.clear();
    }
}

/// Only right credentials are kept, so this bounds the users that are active at once.
const ENTRIES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Key;

    #[test]
    fn a_credential_is_remembered_for_a_time_and_until_the_accounts_change() {
        let key = Key::of_process().unwrap();
        let (mac, other) = (key.mac(b"joe:a"), key.mac(b"joe:b"));
        let mut remembered = Remembered::default();
        remembered.keep(mac, "joe".into(), 1000, 300_000);
        for (now_ms, known) in [(1000, true), (300_999, true), (301_000, false)] {
            assert_eq!(remembered.user(&mac, now_ms).is_some(), known, "{now_ms}");
        }
        assert!(remembered.user(&other, 1000).is_none());
        remembered.clear();
        assert!(remembered.user(&mac, 1000).is_none());
    }

    #[test]
    fn no_more_is_remembered_than_may_be() {
        let key = Key::of_process().unwrap();
        let mut remembered = Remembered::default();
        for number in 0..2 * ENTRIES_MAX as u64 {
            remembered.keep(key.mac(&number.to_le_bytes()), "joe".into(), number, 10);
            assert!(remembered.by_mac.len() <= ENTRIES_MAX);
        }
    }
}
