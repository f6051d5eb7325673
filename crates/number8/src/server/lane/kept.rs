//! Work on the lane whose value has an end that may wait for the disk, such as a large file that is given up: the end has
//! to come on the lane, too, whatever becomes of whoever waits.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Job, Lane, LaneFull};

/// Why the lane gave no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneFailure {
    /// It takes no more calls for now.
    Full,
    /// The function panicked.
    Panicked,
}

impl fmt::Display for LaneFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too many calls wait already",
            Self::Panicked => "a call panicked",
        })
    }
}

impl Error for LaneFailure {}

/// What a function gives that may wait for the disk, and with which something begins: where the lane is full, nothing does.
/// It is called in any case, also when nobody waits for it any more: what it owns is a file whose end may take time.
pub(crate) async fn begin_on_lane<T, E>(
    lane: &Lane,
    function: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<LaneFailure> + Send + 'static,
{
    done(lane.submit(function)).await
}

/// As [`begin_on_lane`], for what goes on with something that has begun ([`Lane::go_on`]).
pub(crate) async fn on_lane<T, E>(
    lane: &Lane,
    function: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<LaneFailure> + Send + 'static,
{
    done(lane.go_on(function)).await
}

async fn done<T, E>(job: Result<Job<Result<T, E>>, LaneFull>) -> Result<T, E>
where
    T: Send + 'static,
    E: From<LaneFailure> + Send + 'static,
{
    let job = job.map_err(|_| LaneFailure::Full)?;
    Sure(Some(job)).await.map_err(|_| LaneFailure::Panicked)?
}

/// A job that is done even if this is dropped.
struct Sure<T: Send + 'static>(Option<Job<T>>);

impl<T: Send + 'static> Future for Sure<T> {
    type Output = <Job<T> as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(job) = &mut self.0 else { return Poll::Pending };
        let result = Pin::new(job).poll(cx);
        if result.is_ready() {
            self.0 = None;
        }
        result
    }
}

impl<T: Send + 'static> Drop for Sure<T> {
    fn drop(&mut self) {
        if let Some(job) = self.0.take() {
            job.detach();
        }
    }
}

/// A value that ends on the lane: giving up a large file takes the disk's time, not that of other connections.
#[derive(Debug)]
pub(crate) struct OnLane<T: Send + 'static> {
    value: Option<T>,
    lane: Lane,
}

impl<T: Send + 'static> OnLane<T> {
    pub(crate) fn new(value: T, lane: &Lane) -> Self {
        Self { value: Some(value), lane: lane.clone() }
    }

    /// The value, for a thread of the lane.
    pub(crate) fn take(mut self) -> Result<T, LaneFailure> {
        self.value.take().ok_or(LaneFailure::Panicked)
    }
}

impl<T: Send + 'static> Drop for OnLane<T> {
    fn drop(&mut self) {
        // A lane that takes nothing more is about to end, and so are all connections.
        if let Some(value) = self.value.take()
            && let Ok(job) = self.lane.go_on(move || drop(value))
        {
            job.detach();
        }
    }
}
