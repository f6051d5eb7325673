//! Whether what a client is known by lasts, for what goes on after the answer to its request.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Whether what a client is known by still counts: a session can be ended while a WebSocket that it has opened is open.
#[derive(Clone)]
pub(crate) struct Standing(Arc<dyn Lasting>, Option<Arc<dyn Lasting>>);

/// What a client can be known by for a time.
pub(crate) trait Lasting: Send + Sync {
    /// For how long it will count, unless it is ended; `None` where it does not any more.
    fn lasts(&self, look: Look) -> Option<Duration>;

    /// Tells all who wait when it is ended.
    fn ended(&self) -> &Notify;
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
    pub(crate) async fn over(self) {
        loop {
            let other = self.1.as_ref().unwrap_or(&self.0);
            let (mut ended, mut changed) =
                (pin!(self.0.ended().notified()), pin!(other.ended().notified()));
            // Before the look, so that no end comes between the two.
            ended.as_mut().enable();
            changed.as_mut().enable();
            let Some(left) = self.left(Look::Glance) else { return };
            let _ = timeout(left, async {
                tokio::select! { () = ended => {}, () = changed => {} }
            })
            .await;
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
