//! Whether a credential is right, with as few password hashes as that takes.
//!
//! What was right a short while ago is looked up. Else one of a few permits is waited for, and the lane hashes. A file
//! of accounts is looked at on the way, at most once a second, by the lane.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Semaphore;

use super::AuthLimits;
use super::credentials::Credentials;
use super::failures::{Failures, network};
use super::remembered::Remembered;
use crate::accounts::{Accounts, FileError, Mac};
use crate::server::clock;
use crate::server::lane::Lane;
use crate::sync::lock;

/// What became of a credential.
#[derive(Debug)]
pub(in crate::layers) enum Verdict {
    /// It is that user's, by these accounts: there may be others by now.
    User(Arc<str>, Arc<Accounts>),
    /// It is nobody's.
    Wrong,
    /// The client has guessed too often and has to wait so long.
    TooOften { wait_ms: u64 },
    /// The server has too much to do to find out.
    Busy,
}

pub(in crate::layers) struct Checker {
    accounts: RwLock<Arc<Accounts>>,
    limits: AuthLimits,
    remembered: Mutex<Remembered>,
    failures: Mutex<Failures>,
    hashing: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    /// When the file of accounts was looked at last, and whether somebody looks at it now.
    looked_ms: AtomicU64,
    is_looked_at: AtomicBool,
    /// What was told of the file last, so that it is told once.
    problem: Mutex<Option<FileError>>,
    on_problem: Box<OnProblem>,
    on_change: Mutex<Option<Box<OnChange>>>,
}

/// Whom to tell that there are other accounts.
type OnChange = dyn Fn(&Accounts) + Send + Sync;

/// Whom to tell that a file of accounts is wrong.
pub(in crate::layers) type OnProblem = dyn Fn(&FileError) + Send + Sync;

impl Checker {
    pub(in crate::layers) fn new(
        accounts: Accounts,
        limits: AuthLimits,
        on_problem: Box<OnProblem>,
    ) -> Self {
        Self {
            accounts: RwLock::new(Arc::new(accounts)),
            remembered: Mutex::default(),
            failures: Mutex::new(Failures::new(limits.failures_free)),
            hashing: Arc::new(Semaphore::new(limits.hashes_max.max(1))),
            waiting: Mutex::default(),
            looked_ms: AtomicU64::new(clock::monotonic_ms()),
            is_looked_at: AtomicBool::new(false),
            limits,
            problem: Mutex::default(),
            on_problem,
            on_change: Mutex::default(),
        }
    }

    /// Tells of the accounts now, and again whenever there are others. Whoever was told before is told no more.
    pub(in crate::layers) fn on_change(&self, tell: impl Fn(&Accounts) + Send + Sync + 'static) {
        tell(&self.accounts());
        *lock(&self.on_change) = Some(Box::new(tell));
    }

    /// What can be said at once.
    pub(in crate::layers) fn check_now(&self, asked: &Asked) -> Option<Verdict> {
        if self.is_look_due() {
            return None;
        }
        match &asked.credentials {
            Credentials::Bearer { token } => Some(self.bearer(token, asked.client)),
            Credentials::Basic { name, password } => {
                let remembered = self.remembered(&self.mac(name, password));
                if remembered.is_some() {
                    lock(&self.failures).succeeded(asked.client, name);
                }
                // SECURITY: who has to wait takes none of the places of those who need not.
                remembered.or_else(|| self.wait(asked.client))
            }
        }
    }

    /// What can be said after waiting.
    pub(in crate::layers) async fn check(self: Arc<Self>, asked: Asked, lane: Lane) -> Verdict {
        if self.is_look_due() && !self.look_by(&lane).await {
            return Verdict::Busy;
        }
        if let Some(verdict) = self.check_now(&asked) {
            return verdict;
        }
        let Some(_place) = Place::take(&self.waiting, asked.client, self.limits.waiting_max) else {
            return Verdict::Busy;
        };
        let Ok(permit) = Arc::clone(&self.hashing).acquire_owned().await else {
            return Verdict::Busy;
        };
        let checking = Arc::clone(&self);
        let job = lane.submit(move || {
            let verdict = checking.verify(&asked);
            // SECURITY: a hash goes on when its client has gone, so the permit stays with the hash.
            drop(permit);
            verdict
        });
        match job {
            Ok(job) => job.await.unwrap_or(Verdict::Busy),
            Err(_) => Verdict::Busy,
        }
    }

    /// Blocks for as long as a password hash takes.
    fn verify(&self, asked: &Asked) -> Verdict {
        let Credentials::Basic { name, password } = &asked.credentials else {
            return Verdict::Wrong;
        };
        let mac = self.mac(name, password);
        // Another request with the same credential was first.
        if let Some(verdict) = self.remembered(&mac) {
            return verdict;
        }
        if let Some(wait) = self.wait(asked.client) {
            return wait;
        }
        let accounts = self.accounts();
        let user = accounts.user(name, password);
        let now_ms = clock::monotonic_ms();
        let Some(user) = user else {
            lock(&self.failures).failed(asked.client, Some(name), now_ms);
            return Verdict::Wrong;
        };
        lock(&self.failures).succeeded(asked.client, name);
        let mut remembered = lock(&self.remembered);
        // What the accounts of before say is not to be remembered by those of now.
        if Arc::ptr_eq(&accounts, &self.accounts()) {
            remembered.keep(mac, Arc::clone(&user), now_ms, clock::millis(self.limits.remember));
        }
        drop(remembered);
        Verdict::User(user, accounts)
    }

    fn bearer(&self, token: &[u8], client: Option<IpAddr>) -> Verdict {
        if let Some(wait) = self.wait(client) {
            return wait;
        }
        let accounts = self.accounts();
        match accounts.bearer(token) {
            Some(user) => Verdict::User(user, accounts),
            None => {
                lock(&self.failures).failed(client, None, clock::monotonic_ms());
                Verdict::Wrong
            }
        }
    }

    fn wait(&self, client: Option<IpAddr>) -> Option<Verdict> {
        let wait_ms = lock(&self.failures).wait_ms(client, clock::monotonic_ms());
        (wait_ms > 0).then_some(Verdict::TooOften { wait_ms })
    }

    fn remembered(&self, mac: &Mac) -> Option<Verdict> {
        let remembered = lock(&self.remembered);
        let user = remembered.user(mac, clock::monotonic_ms())?;
        // While it is locked, these are the accounts that it was right by.
        Some(Verdict::User(user, self.accounts()))
    }

    /// What a password is remembered by, however it was sent.
    fn mac(&self, name: &str, password: &[u8]) -> Mac {
        let length = (name.len() as u64).to_le_bytes();
        self.accounts().mac(&[&length, name.as_bytes(), password].concat())
    }

    /// What a session of that user goes with.
    pub(in crate::layers) fn stamp(&self, user: &str) -> Option<Mac> {
        self.accounts().stamp(user)
    }

    /// Looks at the file of accounts by the lane; false where that has too much to do. One look at a time is enough, where a disk
    /// does not answer: whoever comes meanwhile goes by what there was.
    pub(in crate::layers) async fn look_by(self: &Arc<Self>, lane: &Lane) -> bool {
        let Some(look) = Look::begin(self) else { return true };
        match lane.submit(move || look.0.look()) {
            Ok(job) => {
                drop(job.await);
                true
            }
            Err(_) => false,
        }
    }

    pub(in crate::layers) fn is_look_due(&self) -> bool {
        let looked_ms = self.looked_ms.load(Ordering::Relaxed);
        self.accounts().has_file()
            && clock::monotonic_ms() >= looked_ms + LOOK_EVERY_MS
            && !self.is_looked_at.load(Ordering::Relaxed)
    }

    /// Reads the file of accounts again if it has changed; a wrong one changes nothing.
    fn look(&self) {
        self.looked_ms.store(clock::monotonic_ms(), Ordering::Relaxed);
        match self.accounts().read_again() {
            Ok(None) => {}
            Ok(Some(accounts)) => {
                let mut remembered = lock(&self.remembered);
                *self.accounts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(accounts);
                remembered.clear();
                drop(remembered);
                if let Some(tell) = &*lock(&self.on_change) {
                    tell(&self.accounts());
                }
            }
            Err(problem) => {
                let mut told = lock(&self.problem);
                if told.as_ref() != Some(&problem) {
                    (self.on_problem)(&problem);
                    *told = Some(problem);
                }
                return;
            }
        }
        *lock(&self.problem) = None;
    }

    fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.accounts.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A look at the file of accounts, the only one.
struct Look(Arc<Checker>);

impl Look {
    /// `None` where somebody else looks.
    fn begin(checker: &Arc<Checker>) -> Option<Self> {
        let is_first = !checker.is_looked_at.swap(true, Ordering::Relaxed);
        is_first.then(|| Self(Arc::clone(checker)))
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.0.is_looked_at.store(false, Ordering::Relaxed);
    }
}

/// A credential and who sent it.
pub(in crate::layers) struct Asked {
    pub(in crate::layers) credentials: Credentials,
    pub(in crate::layers) client: Option<IpAddr>,
}

/// Who waits for a hash.
#[derive(Default)]
struct Waiting {
    all: usize,
    by_client: HashMap<Option<IpAddr>, usize>,
}

/// One of the places of those who wait.
struct Place<'a> {
    waiting: &'a Mutex<Waiting>,
    client: Option<IpAddr>,
}

impl<'a> Place<'a> {
    /// A place, of so many that there are.
    ///
    /// SECURITY: a quarter of them is for others than the one client that has the rest, who may be a guesser.
    fn take(waiting: &'a Mutex<Waiting>, client: Option<IpAddr>, most: usize) -> Option<Self> {
        let client = network(client);
        let mut now = lock(waiting);
        let of_client = now.by_client.get(&client).copied().unwrap_or(0);
        if now.all >= most || of_client >= most - most / 4 {
            return None;
        }
        now.all += 1;
        now.by_client.insert(client, of_client + 1);
        Some(Self { waiting, client })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut now = lock(self.waiting);
        now.all -= 1;
        if let Entry::Occupied(mut of_client) = now.by_client.entry(self.client) {
            *of_client.get_mut() -= 1;
            if *of_client.get() == 0 {
                of_client.remove();
            }
        }
    }
}

/// How long a change of the file may take to show.
const LOOK_EVERY_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::LaneOptions;

    fn asked(value: &str, client: &str) -> Asked {
        let credentials = Credentials::parse(value.as_bytes()).unwrap();
        Asked { credentials, client: Some(client.parse().unwrap()) }
    }

    fn checker(limits: AuthLimits) -> Arc<Checker> {
        let accounts = Accounts::new().unwrap().password("joe", "pw").unwrap();
        Arc::new(Checker::new(accounts, limits, Box::new(|_| {})))
    }

    #[tokio::test]
    async fn a7_one_client_does_not_take_the_places_of_all_who_log_in() {
        let checker = checker(AuthLimits { failures_free: 1, ..AuthLimits::default() });
        let lane = Lane::new(LaneOptions::default());
        let ask = |value: &str, client| checker.clone().check(asked(value, client), lane.clone());
        // What is right is remembered however it is spelled.
        let (right, again, wrong) = ("Basic am9lOnB3", "bAsIc   am9lOnB3", "Basic am9lOng=");
        assert!(checker.check_now(&asked(again, "192.0.2.1")).is_none());
        assert!(matches!(ask(right, "192.0.2.1").await, Verdict::User(..)));
        assert!(matches!(checker.check_now(&asked(again, "192.0.2.1")), Some(Verdict::User(..))));
        // Who has to wait is told so at once.
        while matches!(ask(wrong, "192.0.2.2").await, Verdict::Wrong) {}
        let told = checker.check_now(&asked(wrong, "192.0.2.2"));
        assert!(matches!(told, Some(Verdict::TooOften { .. })), "{told:?}");
        // A quarter of the places is for others.
        let place = |client: &str| Place::take(&checker.waiting, client.parse().ok(), 8);
        let of_one: Vec<_> = (0..8).filter_map(|_| place("192.0.2.3")).collect();
        let of_others: Vec<_> = (4..9).filter_map(|n| place(&format!("192.0.2.{n}"))).collect();
        assert_eq!((of_one.len(), of_others.len()), (6, 2));
        drop((of_one, of_others));
        assert!(lock(&checker.waiting).by_client.is_empty() && place("192.0.2.3").is_some());
    }

    #[tokio::test]
    async fn a2_a_disk_that_does_not_answer_holds_up_one_look_at_the_accounts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        std::fs::write(&path, "").unwrap();
        let accounts = Accounts::new().unwrap().file(&path).unwrap();
        let checker = Arc::new(Checker::new(accounts, AuthLimits::default(), Box::new(|_| {})));
        let lane = Lane::new(LaneOptions::default());
        let hash = crate::accounts::hash_password("pw").unwrap();
        std::fs::write(&path, format!("joe:{hash}\n")).unwrap();
        let hanging = Look::begin(&checker).unwrap();
        // Whoever comes goes by what there was, and takes no thread.
        assert!(checker.look_by(&lane).await);
        assert!(!checker.is_look_due() && checker.stamp("joe").is_none());
        drop(hanging);
        assert!(checker.look_by(&lane).await);
        assert!(checker.stamp("joe").is_some());
    }
}
