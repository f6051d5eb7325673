//! One file on its way: checked, received piece by piece, checked again, committed.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::Inner;
use super::answer::{self, Fail};
use super::conditions::Conditions;
use super::permit::{Permit, Permits};
use super::target::Target;
use crate::body::Body;
use crate::handler::Call;
use crate::response::Response;
use crate::server::lane::{Job, Lane};
use crate::store::{Clash, Meta, OnClash, Staged, WriteError, Written};

/// How much content is gathered before it is written: fewer, larger writes cost less, more would only cost memory.
const PIECE_BYTES: usize = 512 * 1024;

/// Where a file goes, and what has to hold for it.
#[derive(Debug)]
pub(super) struct Upload {
    inner: Arc<Inner>,
    pub(super) target: Target,
    conditions: Conditions,
    permit: Permit,
}

/// A file of which some has been received.
#[derive(Debug)]
pub(super) struct Receiving {
    upload: Upload,
    staged: Staged,
}

impl Upload {
    /// # Errors
    /// This client may not write there, whatever is there.
    pub(super) fn new(
        inner: &Arc<Inner>,
        call: &Call<'_>,
        target: Target,
    ) -> Result<Self, Box<Response>> {
        let permit = Permits::of(call).store(&target)?;
        let conditions = Conditions::of(call.head);
        Ok(Self { inner: Arc::clone(inner), target, conditions, permit })
    }

    /// A file of a form: preconditions are about the request as a whole, which names a folder.
    #[cfg(feature = "multipart")]
    pub(super) fn of_form(inner: &Arc<Inner>, target: Target, permit: Permit) -> Self {
        Self { inner: Arc::clone(inner), target, conditions: Conditions::default(), permit }
    }

    /// Finds out what can be known before there is content; waits for the disk.
    pub(super) fn begin(self, length: Option<u64>) -> Result<Receiving, Fail> {
        let root = self.inner.roots.for_new()?;
        let current = match root.claim(&self.target.path, false) {
            Ok(claim) => claim.current()?,
            // A folder on the way is missing: it will be made.
            Err(WriteError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        self.check(current.as_ref())?;
        let staged = root.stage(&self.target.path, length, self.inner.settings.stage)?;
        Ok(Receiving { upload: self, staged })
    }

    fn check(&self, current: Option<&Meta>) -> Result<(), Fail> {
        let on_clash = self.inner.settings.on_clash;
        self.permit.check(current.is_some() && on_clash != OnClash::KeepBoth)?;
        if current.is_some() && on_clash == OnClash::Refuse {
            return Err(WriteError::Clash(Clash::Exists).into());
        }
        self.conditions.check(current)
    }
}

impl Receiving {
    /// Waits for the disk.
    pub(super) fn write(mut self, chunks: &[Bytes]) -> Result<Self, Fail> {
        self.staged.write(chunks)?;
        Ok(self)
    }

    /// Waits for the disk, and for another change of the same name.
    pub(super) fn commit(mut self) -> Result<(Target, Written), Fail> {
        self.staged.finish()?;
        let claim = self.staged.claim()?;
        self.upload.check(claim.current()?.as_ref())?;
        let written = self.staged.commit(claim, self.upload.inner.settings.on_clash)?;
        Ok((self.upload.target, written))
    }
}

/// Stores a body as it is.
pub(super) async fn store(
    upload: Upload,
    mut body: Body,
    length: Option<u64>,
    lane: Lane,
) -> Response {
    let stored = async {
        let receiving = on_lane(&lane, move || upload.begin(length)).await?;
        let (receiving, rest) = receive(&lane, receiving, &mut body).await?;
        on_lane(&lane, move || receiving.take()?.write(&rest)?.commit()).await
    };
    match stored.await {
        Ok((target, written)) => answer::written(&target.prefix, &written),
        Err(fail) => fail.into_response(),
    }
}

/// Where content comes from.
pub(super) trait Source {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fail>>;
}

impl Source for Body {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fail>> {
        Self::poll_chunk(self, cx).map_err(Fail::Content)
    }
}

/// Writes content as it comes. The last of it, less than a piece, is left to whoever writes and commits at once.
pub(super) async fn receive(
    lane: &Lane,
    receiving: Receiving,
    source: &mut impl Source,
) -> Result<(OnLane<Receiving>, Vec<Bytes>), Fail> {
    let mut receiving = OnLane::new(receiving, lane);
    let mut piece = Vec::new();
    let mut length = 0;
    while let Some(chunk) = poll_fn(|cx| source.poll_chunk(cx)).await? {
        length += chunk.len();
        piece.push(chunk);
        if length >= PIECE_BYTES {
            let rest = cut_excess(&mut piece, length % PIECE_BYTES);
            let (file, chunks) = (receiving, std::mem::replace(&mut piece, rest));
            let written = on_lane(lane, move || file.take()?.write(&chunks)).await?;
            receiving = OnLane::new(written, lane);
            length %= PIECE_BYTES;
        }
    }
    Ok((receiving, piece))
}

/// Takes the last `excess` bytes away, so that what stays is whole pieces: the kernel keeps a file that is written at even
/// places in fewer, larger runs of pages, and both writing and syncing cost less.
fn cut_excess(chunks: &mut [Bytes], excess: usize) -> Vec<Bytes> {
    match chunks.last_mut() {
        // A chunk that completes a piece begins before its end.
        Some(last) if excess > 0 => vec![last.split_off(last.len() - excess)],
        _ => Vec::new(),
    }
}

/// What a function gives that may wait for the disk. It is called in any case, also when nobody waits for it any more: what
/// it owns is a file whose end may take time.
pub(super) async fn on_lane<T: Send + 'static>(
    lane: &Lane,
    function: impl FnOnce() -> Result<T, Fail> + Send + 'static,
) -> Result<T, Fail> {
    let job = lane.submit(function).map_err(|_| Fail::Answer(Box::new(answer::busy())))?;
    Sure(Some(job)).await.map_err(|_| Fail::Answer(Box::new(answer::failed())))?
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
pub(super) struct OnLane<T: Send + 'static> {
    value: Option<T>,
    lane: Lane,
}

impl<T: Send + 'static> OnLane<T> {
    pub(super) fn new(value: T, lane: &Lane) -> Self {
        Self { value: Some(value), lane: lane.clone() }
    }

    /// The value, for a thread of the lane.
    pub(super) fn take(mut self) -> Result<T, Fail> {
        self.value.take().ok_or_else(|| Fail::Answer(Box::new(answer::failed())))
    }
}

impl<T: Send + 'static> Drop for OnLane<T> {
    fn drop(&mut self) {
        // A lane that takes nothing more is about to end, and so are all connections.
        if let Some(value) = self.value.take()
            && let Ok(job) = self.lane.submit(move || drop(value))
        {
            job.detach();
        }
    }
}
