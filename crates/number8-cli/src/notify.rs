//! What a service manager is told: ready, loading again, stopping, still alive. Without one (`NOTIFY_SOCKET` is not
//! set) nothing is said.

use std::time::Duration;

use number8::Handle;
use sd_notify::NotifyState;

use crate::problem::say;

/// It serves; `status` is shown by `systemctl status`.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It reads its configuration again, until [`ready`].
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        // Without the time the manager would take it for a failure.
        Err(error) => say(&format!("the service manager is not told of the reload: {error}")),
    }
}

/// It serves no more, and finishes what it has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing the requests under way")]);
}

/// In which time the service manager wants to hear that we are there, if it does.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero())
}

/// We are there.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Says that every worker still comes round, twice as often as the service manager wants to hear it; where one does
/// not, nothing is said, so that the manager ends and starts us again. Never returns.
pub async fn watched(handle: &Handle) {
    let Some(limit) = watchdog() else {
        return std::future::pending().await;
    };
    let mut rounds = tokio::time::interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        rounds.tick().await;
        if handle.stalled() < limit {
            alive();
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        say(&format!("the service manager cannot be told: {error}"));
    }
}
