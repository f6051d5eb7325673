//! What goes on in tasks beside the jobs of a lane and is to end with the server: programs.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::Lane;

/// Tells all guests that the server ends, and knows when none is left.
pub(super) struct Guests(watch::Sender<bool>);

/// Hears that the server ends, and is waited for until it is dropped.
pub(crate) struct Guest(watch::Receiver<bool>);

/// Tells the guests of a lane when it is dropped. The lane goes on: what is cut at the end may have to tidy up there.
pub(crate) struct SeesOff<'a>(pub(crate) &'a Lane);

impl Default for Guests {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Lane {
    pub(crate) fn guest(&self) -> Guest {
        Guest(self.0.guests.0.subscribe())
    }
}

impl SeesOff<'_> {
    /// Waits until no guest is left, but no longer than that.
    pub(crate) async fn end(self, time_max: Duration) {
        let guests = &self.0.0.guests.0;
        drop(self);
        let _ = timeout(time_max, guests.closed()).await;
    }
}

impl Drop for SeesOff<'_> {
    fn drop(&mut self) {
        self.0.0.guests.0.send_replace(true);
    }
}

impl Guest {
    /// Waits until the server ends.
    pub(crate) async fn told(&mut self) {
        // It is gone altogether where nobody can tell any more.
        let _ = self.0.wait_for(|ends| *ends).await;
    }
}
