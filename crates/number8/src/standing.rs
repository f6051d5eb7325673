//! Whether what a client is known by lasts, for what goes on after the answer to its request.

use std::fmt;
use std::sync::Arc;

/// Whether what a client is known by still counts: a session can be ended while a WebSocket that it has opened is open.
#[derive(Clone)]
pub(crate) struct Standing(Arc<dyn Fn(Look) -> bool + Send + Sync>);

/// How to look whether something counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is used, and so lasts longer.
    Use,
    /// It is only looked at.
    Glance,
}

impl Standing {
    pub(crate) fn new(lasts: impl Fn(Look) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(lasts))
    }

    pub(crate) fn lasts(&self, look: Look) -> bool {
        (self.0)(look)
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
