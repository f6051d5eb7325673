//! Whether what a client is known by lasts, for what goes on after the answer to its request.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::unconstrained;
use tokio::time::{Instant, timeout_at};

/// Whether what a client is known by still counts: a session can be ended while a WebSocket that it has opened is open.
#[derive(Clone)]
pub(crate) struct Standing(Arc<dyn Lasting>, Option<Arc<dyn Lasting>>);

/// What a client can be known by for a time.
pub(crate) trait Lasting: Send + Sync {
    /// For how long it will count, unless it is ended; `None` where it does not any more.
    fn lasts(&self, look: Look) -> Option<Duration>;

    /// Tells all who wait when it is ended.
    fn ending(&self) -> &Ending;
}

/// Tells that something may not count any more.
#[derive(Debug, Default)]
pub(crate) struct Ending(Notify);

/// How much earlier than asked for a timer may come.
const TICK: Duration = Duration::from_millis(1);

/// How often anything was told by an [`Ending`]: who waits sees here that there is nothing to look at.
static ENDINGS: AtomicU64 = AtomicU64::new(0);

/// Waits until something counts no more. To poll it for another reason than that it woke its task costs next to nothing,
/// since thousands of streams do that with each event.
pub(crate) struct Over {
    standing: Standing,
    /// [`ENDINGS`] at the last look.
    seen: u64,
    /// When it counts no more by itself; `None` is never.
    until: Option<Instant>,
    /// Whom `change` wakes, which waits for a reason to look again.
    waker: Waker,
    change: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// How to look whether something counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is used, and so lasts longer.
    #[cfg_attr(not(feature = "repl"), allow(dead_code, reason = "who types in a terminal uses it"))]
    Use,
    /// It is only looked at.
    Glance,
}

impl Standing {
    #[cfg_attr(not(feature = "accounts"), allow(dead_code, reason = "sessions are of accounts"))]
    pub(crate) fn new(lasting: Arc<dyn Lasting>) -> Self {
        Self(lasting, None)
    }

    /// What counts for as long as this does, and what has been before.
    pub(crate) fn and(before: Option<Self>, lasting: Arc<dyn Lasting>) -> Self {
        match before {
            Some(before) => Self(before.0, Some(lasting)),
            None => Self(lasting, None),
        }
    }

    pub(crate) fn lasts(&self, look: Look) -> bool {
        self.left(look).is_some()
    }

    fn left(&self, look: Look) -> Option<Duration> {
        let left = self.0.lasts(look)?;
        match &self.1 {
            Some(other) => Some(left.min(other.lasts(look)?)),
            None => Some(left),
        }
    }

    /// Waits until it counts no more. That costs nothing in between: whoever ends it tells, and until when it counts by
    /// itself is known.
    pub(crate) fn over(self) -> Over {
        Over { standing: self, seen: 0, until: None, waker: Waker::noop().clone(), change: None }
    }

    /// Waits until one is told of its end.
    async fn told(self) {
        match self {
            Self(one, None) => one.ending().0.notified().await,
            Self(one, Some(other)) => tokio::select! {
                () = one.ending().0.notified() => {}
                () = other.ending().0.notified() => {}
            },
        }
    }
}

impl Ending {
    pub(crate) fn tell(&self) {
        // First, so that whoever is woken sees it.
        ENDINGS.fetch_add(1, Ordering::Release);
        self.0.notify_waiters();
    }
}

impl Over {
    /// Whether there is a reason to look.
    fn may_have_come(&self, waker: &Waker) -> bool {
        self.change.is_none()
            || !self.waker.will_wake(waker)
            || self.seen != ENDINGS.load(Ordering::Acquire)
            || self.until.is_some_and(|until| Instant::now() >= until)
    }
}

impl Future for Over {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.may_have_come(cx.waker()) {
            return Poll::Pending;
        }
        loop {
            // Before the look, so that what is told between the two is seen.
            self.seen = ENDINGS.load(Ordering::Acquire);
            let Some(left) = self.standing.left(Look::Glance) else { return Poll::Ready(()) };
            self.until = Instant::now().checked_add(left.saturating_add(TICK));
            // Unconstrained: what has to wait for its turn first would not be told yet.
            let told = unconstrained(self.standing.clone().told());
            let mut change: Pin<Box<dyn Future<Output = ()> + Send>> = match self.until {
                None => Box::pin(told),
                Some(until) => Box::pin(async move {
                    let _ = unconstrained(timeout_at(until, told)).await;
                }),
            };
            let is_told = change.as_mut().poll(cx).is_ready();
            if !is_told && self.seen == ENDINGS.load(Ordering::Acquire) {
                self.change = Some(change);
                self.waker.clone_from(cx.waker());
                return Poll::Pending;
            }
        }
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Standing").field(&self.lasts(Look::Glance)).finish()
    }
}

impl PartialEq for Standing {
    fn eq(&self, other: &Self) -> bool {
        let others = match (&self.1, &other.1) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        Arc::ptr_eq(&self.0, &other.0) && others
    }
}

impl Eq for Standing {}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Mutex;

    use tokio::task::yield_now;
    use tokio::time::advance;

    use super::*;
    use crate::sync::lock;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Counts for a time, or until it is ended.
    struct Pass {
        until: Mutex<Option<Instant>>,
        ending: Ending,
    }

    impl Pass {
        fn new(left: Duration) -> Arc<Self> {
            let until = Mutex::new(Some(Instant::now() + left));
            Arc::new(Self { until, ending: Ending::default() })
        }

        fn end(&self) {
            *lock(&self.until) = None;
            self.ending.tell();
        }
    }

    impl Lasting for Pass {
        fn lasts(&self, _: Look) -> Option<Duration> {
            let left = (*lock(&self.until))?.checked_duration_since(Instant::now())?;
            (!left.is_zero()).then_some(left)
        }

        fn ending(&self) -> &Ending {
            &self.ending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a5_whichever_of_two_is_ended_whoever_waits_then_is_told() {
        for which in 0..2 {
            let passes = [Pass::new(HOUR), Pass::new(HOUR)];
            let standing = Standing::and(Some(Standing::new(passes[0].clone())), passes[1].clone());
            let mut over = pin!(standing.over());
            // Another task looks first.
            assert!(over.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let before = Instant::now();
            tokio::join!(over, async {
                yield_now().await;
                passes[which].end();
            });
            assert!(before.elapsed() < HOUR, "{which}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a5_what_counts_for_a_time_is_over_then_whatever_else_ends() {
        let (short, other) = (Pass::new(HOUR), Pass::new(2 * HOUR));
        let before = Instant::now();
        let mut over = pin!(Standing::new(short.clone()).over());
        tokio::join!(over.as_mut(), async {
            yield_now().await;
            other.end();
        });
        assert_eq!(before.elapsed().as_secs(), HOUR.as_secs());
        advance(HOUR).await;
        Standing::new(short).over().await;
    }
}
