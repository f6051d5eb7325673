//! What a server is given before it runs. Of each, what was given last counts.

use std::fmt;
use std::sync::Arc;

use super::shared::{OnClosed, Shared};
#[cfg(feature = "tls")]
use super::tls::Tls;

/// What is called with a warning.
pub(super) type Warn = Arc<dyn Fn(&str) + Send + Sync>;

pub(super) struct Given {
    pub(super) on_warning: Warn,
    pub(super) on_closed: Option<OnClosed>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            on_warning: Arc::new(|_| {}),
            on_closed: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl Given {
    /// Nothing more is given: the connections see the rest.
    pub(super) fn settle(self, shared: &Shared) -> Warn {
        if let Some(report) = self.on_closed {
            let _ = shared.on_closed.set(report);
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls {
            let _ = shared.tls.set(tls);
        }
        self.on_warning
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive()
    }
}
