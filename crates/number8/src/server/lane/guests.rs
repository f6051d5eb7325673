//! What goes on beside the jobs of a lane and is to end with it: programs, which live in tasks.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::Lane;

/// Tells all guests that the lane closes, and knows when none is left.
pub(super) struct Guests(watch::Sender<bool>);

/// Hears that the lane closes, and is waited for until it is dropped.
pub(crate) struct Guest(watch::Receiver<bool>);

impl Default for Guests {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Guests {
    pub(super) fn tell(&self) {
        self.0.send_replace(true);
    }
}

impl Lane {
    pub(crate) fn guest(&self) -> Guest {
        Guest(self.0.guests.0.subscribe())
    }

    /// Refuses new jobs, and waits until no guest is left, but no longer than that.
    pub(crate) async fn end(&self, time_max: Duration) {
        self.refuse();
        let _ = timeout(time_max, self.0.guests.0.closed()).await;
    }
}

impl Guest {
    /// Waits until the lane closes.
    pub(crate) async fn told(&mut self) {
        // It is gone altogether where nobody can tell any more.
        let _ = self.0.wait_for(|closes| *closes).await;
    }
}
