//! Whether what a client is known by lasts, for what goes on after the answer to its request.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Whether what a client is known by still counts: a session can be ended while a WebSocket that it has opened is open.
#[derive(Clone)]
pub(crate) struct Standing(Arc<dyn Lasting>);

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
        Self(lasting)
    }

    pub(crate) fn lasts(&self, look: Look) -> bool {
        self.0.lasts(look).is_some()
    }

    /// Waits until it counts no more. That costs nothing in between: whoever ends it tells, and until when it counts by
    /// itself is known.
    pub(crate) async fn over(self) {
        loop {
            let mut ended = pin!(self.0.ended().notified());
            // Before the look, so that no end comes between the two.
            ended.as_mut().enable();
            let Some(left) = self.0.lasts(Look::Glance) else { return };
            let _ = timeout(left, ended).await;
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
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Standing {}
