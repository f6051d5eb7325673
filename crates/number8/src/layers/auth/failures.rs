//! Whoever guesses has to wait, longer each time.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

/// Wrong credentials by client. An IPv6 client is its /64: it may have all addresses there.
#[derive(Debug)]
pub(crate) struct Failures {
    by_client: HashMap<Option<IpAddr>, Failed>,
    names: RandomState,
    /// How many are free.
    free: u32,
}

#[derive(Debug)]
struct Failed {
    count: u32,
    last_ms: u64,
    /// When the first was, or when they were halved.
    halved_ms: u64,
    /// How many of them were for which name, by its hash.
    by_name: Vec<(u64, u32)>,
}

impl Failed {
    /// The first wait is a second; each one more doubles it.
    fn until_ms(&self, free: u32) -> u64 {
        let Some(doublings) = self.count.checked_sub(free.saturating_add(1)) else { return 0 };
        let wait_ms = 1000_u64.checked_shl(doublings).unwrap_or(WAIT_MAX_MS);
        self.last_ms.saturating_add(if doublings < 16 {
            wait_ms.min(WAIT_MAX_MS)
        } else {
            WAIT_MAX_MS
        })
    }

    /// A failure now and then, in a network of many, is not to keep all of them waiting for ever.
    fn halve_in_time(&mut self, now_ms: u64) {
        let next_ms = self.halved_ms.saturating_add(FORGOTTEN_AFTER_MS);
        if now_ms < next_ms {
            return;
        }
        self.halved_ms = next_ms;
        self.count /= 2;
        // SECURITY: rounded down, so that no name has more to be forgiven than is left of it.
        self.by_name.retain_mut(|(_, count)| {
            *count /= 2;
            *count > 0
        });
    }

    fn is_forgotten(&self, now_ms: u64) -> bool {
        now_ms >= self.last_ms.saturating_add(FORGOTTEN_AFTER_MS)
    }
}

impl Failures {
    /// With so many failures before there is a wait.
    pub(crate) fn new(free: u32) -> Self {
        Self { by_client: HashMap::new(), names: RandomState::new(), free }
    }

    /// How long this client has to wait, in milliseconds; 0 where it may try.
    pub(crate) fn wait_ms(&self, client: Option<IpAddr>, now_ms: u64) -> u64 {
        let failed =
            self.by_client.get(&network(client)).filter(|failed| !failed.is_forgotten(now_ms));
        failed.map_or(0, |failed| failed.until_ms(self.free).saturating_sub(now_ms))
    }

    /// A credential of this client was wrong; it named that user, if any.
    pub(crate) fn failed(&mut self, client: Option<IpAddr>, name: Option<&str>, now_ms: u64) {
        let client = network(client);
        let name = name.map(|name| self.names.hash_one(name));
        if self.by_client.len() >= CLIENTS_MAX && !self.by_client.contains_key(&client) {
            self.make_room(now_ms);
        }
        let failed = self.by_client.entry(client).or_insert(Failed {
            count: 0,
            last_ms: now_ms,
            halved_ms: now_ms,
            by_name: Vec::new(),
        });
        if failed.is_forgotten(now_ms) {
            failed.count = 0;
            failed.halved_ms = now_ms;
            failed.by_name.clear();
        }
        failed.halve_in_time(now_ms);
        failed.count = failed.count.saturating_add(1);
        failed.last_ms = now_ms;
        let Some(name) = name else { return };
        let has_room = failed.by_name.len() < NAMES_MAX;
        match failed.by_name.iter_mut().find(|(other, _)| *other == name) {
            Some((_, count)) => *count = count.saturating_add(1),
            None if has_room => failed.by_name.push((name, 1)),
            None => {}
        }
    }

    /// A credential of this client was right, of that user.
    ///
    /// SECURITY: what was wrong for others stays counted, or whoever has an account could guess at theirs without waiting.
    pub(crate) fn succeeded(&mut self, client: Option<IpAddr>, name: &str) {
        let client = network(client);
        let Some(failed) = self.by_client.get_mut(&client) else { return };
        let name = self.names.hash_one(name);
        if let Some(at) = failed.by_name.iter().position(|(other, _)| *other == name) {
            let (_, count) = failed.by_name.swap_remove(at);
            failed.count = failed.count.saturating_sub(count);
        }
        if failed.count == 0 {
            self.by_client.remove(&client);
        }
    }

    /// SECURITY: somebody with many addresses must not be able to have others forgotten for nothing; who failed least
    /// goes first.
    fn make_room(&mut self, now_ms: u64) {
        self.by_client.retain(|_, failed| !failed.is_forgotten(now_ms));
        if self.by_client.len() < CLIENTS_MAX {
            return;
        }
        let least = self.by_client.iter().min_by_key(|(_, failed)| (failed.count, failed.last_ms));
        if let Some(client) = least.map(|(client, _)| *client) {
            self.by_client.remove(&client);
        }
    }
}

/// Whom a client is counted as.
pub(crate) fn network(client: Option<IpAddr>) -> Option<IpAddr> {
    client.map(|client| match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    })
}

const WAIT_MAX_MS: u64 = 60_000;

/// After so long without a failure all are forgotten, and half of them each time so long has passed.
const FORGOTTEN_AFTER_MS: u64 = 10 * 60_000;

const CLIENTS_MAX: usize = 4096;

/// Names of one client whose failures can be forgiven.
const NAMES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a7_each_failure_doubles_the_wait() {
        let mut failures = Failures::new(2);
        let joe = client("192.0.2.1");
        let mut now_ms = 5000;
        for want_ms in [0, 0, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
            failures.failed(joe, Some("joe"), now_ms);
            assert_eq!(failures.wait_ms(joe, now_ms), want_ms);
            now_ms += want_ms;
            assert_eq!(failures.wait_ms(joe, now_ms), 0);
        }
        for _ in 0..100 {
            failures.failed(joe, Some("joe"), now_ms);
        }
        assert_eq!(failures.wait_ms(joe, now_ms), 60_000);
        assert_eq!(failures.wait_ms(client("192.0.2.2"), now_ms), 0);
        failures.succeeded(joe, "joe");
        assert_eq!(failures.wait_ms(joe, now_ms), 0);
    }

    #[test]
    fn failures_are_forgotten_in_time() {
        let mut failures = Failures::new(0);
        let joe = client("192.0.2.1");
        failures.failed(joe, None, 0);
        failures.failed(joe, None, 0);
        assert_eq!(failures.wait_ms(joe, 0), 2000);
        failures.failed(joe, None, FORGOTTEN_AFTER_MS);
        assert_eq!(failures.wait_ms(joe, FORGOTTEN_AFTER_MS), 1000);
    }

    #[test]
    fn what_is_right_forgives_what_was_wrong_for_the_same_name() {
        let mut failures = Failures::new(2);
        let class = client("192.0.2.1");
        // A class behind one address, whose typing errors are forgiven one by one.
        for number in 0..100 {
            let name = format!("pupil {number}");
            failures.failed(class, Some(&name), 0);
            failures.succeeded(class, &name);
        }
        assert!(failures.by_client.is_empty());
        for _ in 0..4 {
            failures.failed(class, Some("teacher"), 0);
            failures.succeeded(class, "pupil 1");
        }
        assert_eq!(failures.wait_ms(class, 0), 2000);
        for number in 0..1000 {
            failures.failed(class, Some(&number.to_string()), 0);
        }
        assert_eq!(failures.by_client[&class].by_name.len(), NAMES_MAX);
        failures.succeeded(class, "teacher");
        assert_eq!(failures.wait_ms(class, 0), 60_000);
    }

    /// A script whose password is no longer right, at the address of a whole school.
    #[test]
    fn a_failure_now_and_then_makes_nobody_wait() {
        let mut failures = Failures::new(5);
        let school = client("192.0.2.1");
        for now_ms in (0..100).map(|number| number * 9 * 60_000) {
            failures.failed(school, None, now_ms);
            assert_eq!(failures.wait_ms(school, now_ms), 0, "{now_ms}");
        }
    }

    #[test]
    fn a7_what_time_forgave_is_not_forgiven_again() {
        let mut failures = Failures::new(2);
        let class = client("192.0.2.1");
        for (name, now_ms) in [("joe", 0), ("joe", 0), ("joe", 0), ("joe", FORGOTTEN_AFTER_MS - 1)]
        {
            failures.failed(class, Some(name), now_ms);
        }
        for _ in 0..3 {
            failures.failed(class, Some("ann"), FORGOTTEN_AFTER_MS);
        }
        failures.succeeded(class, "joe");
        // All three for her are left.
        assert_eq!(failures.wait_ms(class, FORGOTTEN_AFTER_MS), 1000);
    }

    #[test]
    fn clients_of_one_network_are_one() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let mut failures = Failures::new(0);
            failures.failed(client(one), None, 0);
            assert_eq!(failures.wait_ms(client(other), 0) > 0, same, "{one} {other}");
        }
    }

    #[test]
    fn many_addresses_do_not_make_it_forget_whoever_failed_often() {
        let mut failures = Failures::new(0);
        let guesser = client("192.0.2.1");
        failures.failed(guesser, None, 0);
        failures.failed(guesser, None, 0);
        for number in 0..2 * CLIENTS_MAX as u32 {
            failures.failed(Some(IpAddr::V4(number.into())), None, 0);
            assert!(failures.by_client.len() <= CLIENTS_MAX);
        }
        assert!(failures.wait_ms(guesser, 0) > 0);
    }
}
