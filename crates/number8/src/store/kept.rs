//! Files that are kept open for whoever asks next: what keeps them is told when to let go. So many may be open at most, by all
//! keepers together.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};

use rustix::process::{Resource, getrlimit};

use super::Meta;
use crate::server::clock;
use crate::sync::lock;

/// Keeps files open.
pub(crate) trait Keeper: Send + Sync {
    /// Closes these, but for whom they are being sent to.
    fn let_go(&self, which: LetGo);

    /// Closes one that has not been asked for lately.
    fn let_go_of_one(&self);

    /// How many it keeps open.
    fn count(&self) -> usize;
}

/// Which files are let go of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LetGo {
    /// The one with this inode, which has lost a name.
    File(Meta),
    /// Those that have no name any more.
    Deleted,
    /// Those that nobody has asked for since this was said the last time.
    Idle,
}

/// Open files that are kept for one name, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Kept(usize);

impl Kept {
    pub(crate) fn new(count: usize) -> Self {
        if count > 0 && KEPT.fetch_add(count, Ordering::Relaxed) == 0 {
            DUE_MS.store(clock::monotonic_ms() + IDLE_MS, Ordering::Relaxed);
        }
        Self(count)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// How many files are kept open, by all keepers.
pub(crate) fn count() -> usize {
    KEPT.load(Ordering::Relaxed)
}

/// From now on this one is told.
pub(crate) fn add(keeper: Weak<dyn Keeper>) {
    let mut keepers = lock(&KEEPERS);
    keepers.retain(|keeper| keeper.strong_count() > 0);
    keepers.push(keeper);
}

/// Tells all keepers. A last close may have to give back a large file's place on the disk: for a thread that may wait.
pub(crate) fn let_go(which: LetGo) {
    if count() == 0 {
        return;
    }
    keepers().iter().for_each(|keeper| keeper.let_go(which));
}

/// Lets go of what is too much, after another one was kept.
pub(crate) fn shrink() {
    while count() > *MOST && let_go_of_one() {}
}

/// Where descriptors are short. The keeper of most gives one up, so that each can keep as many as the others; false where
/// nothing was kept.
pub(crate) fn let_go_of_one() -> bool {
    let before = count();
    if before > 0
        && let Some(keeper) = keepers().iter().max_by_key(|keeper| keeper.count())
    {
        keeper.let_go_of_one();
    }
    count() < before
}

fn keepers() -> Vec<Arc<dyn Keeper>> {
    lock(&KEEPERS).iter().filter_map(Weak::upgrade).collect()
}

/// Whether it is time to let go of what is idle: true for one of those who ask, each [`IDLE_MS`].
pub(crate) fn is_time(now_ms: u64) -> bool {
    let due_ms = DUE_MS.load(Ordering::Relaxed);
    count() > 0
        && now_ms >= due_ms
        && DUE_MS
            .compare_exchange(due_ms, now_ms + IDLE_MS, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
}

/// What nobody asks for is kept open for so long, or twice: as long as it is open a file that others delete takes its place
/// on the disk, and the disk cannot be unmounted.
pub(crate) const IDLE_MS: u64 = 10_000;

/// How many are kept at most; and no more than this share of what the process may open.
const KEPT_MAX: usize = 512;
const SHARE: u64 = 8;

/// A server has set its limit before it sends a file.
pub(crate) static MOST: LazyLock<usize> = LazyLock::new(|| {
    let share = getrlimit(Resource::Nofile).current.map_or(u64::MAX, |all| all / SHARE);
    usize::try_from(share).map_or(KEPT_MAX, |share| share.min(KEPT_MAX))
});

static KEPT: AtomicUsize = AtomicUsize::new(0);
static KEEPERS: Mutex<Vec<Weak<dyn Keeper>>> = Mutex::new(Vec::new());
static DUE_MS: AtomicU64 = AtomicU64::new(0);
