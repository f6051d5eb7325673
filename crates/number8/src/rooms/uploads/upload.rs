//! One file on its way: checked, received piece by piece, checked again, committed.

use std::sync::Arc;
use std::task::Context;

use bytes::Bytes;

use super::Inner;
use super::answer::{self, Fail};
use super::conditions::Conditions;
use super::date;
use super::permit::{Permit, Permits};
use super::roots::Place;
use super::target::Target;
use crate::body::Body;
use crate::handler::Call;
use crate::receive::{Sink, receive};
use crate::response::Response;
use crate::server::lane::{Lane, OnLane, begin_on_lane, on_lane};
use crate::store::{Clash, Kind, Meta, OnClash, Staged, WriteError, Written};

/// Where a file goes, and what has to hold for it.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) inner: Arc<Inner>,
    pub(super) target: Target,
    conditions: Conditions,
    on_clash: OnClash,
    permit: Permit,
    /// When the file was changed, as the client tells it.
    modified_ns: Option<i128>,
    /// A file before it in the same form has the same name.
    repeats: bool,
}

/// A file that is there.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) target: Target,
    pub(super) written: Written,
    /// It is from the time that the client has told.
    is_dated: bool,
}

/// A file of which some has been received.
#[derive(Debug)]
pub(super) struct Receiving {
    upload: Upload,
    place: Place,
    pub(super) staged: Staged,
}

impl Upload {
    /// # Errors
    /// This client may not write there, whatever is there; or the date that it tells is none.
    pub(super) fn new(
        inner: &Arc<Inner>,
        call: &Call<'_>,
        target: Target,
    ) -> Result<Self, Box<Response>> {
        let permit = Permits::of(call).store(&target)?;
        let conditions = Conditions::of(call.head);
        // RFC 9110 §13.1.1: such a change is made to what was seen, and to nothing beside it.
        let on_clash = match conditions.name_what_is_there() {
            true => OnClash::Replace,
            false => inner.settings.on_clash,
        };
        let (modified_ns, repeats) = (date::of(call.head)?, false);
        let inner = Arc::clone(inner);
        Ok(Self { inner, target, conditions, on_clash, permit, modified_ns, repeats })
    }

    /// A file of a form: preconditions are about the folder that the request names.
    #[cfg(feature = "multipart")]
    pub(super) fn of_form(
        inner: &Arc<Inner>,
        target: Target,
        permit: Permit,
        repeats: bool,
    ) -> Self {
        let (conditions, on_clash) = (Conditions::default(), inner.settings.on_clash);
        let (inner, modified_ns) = (Arc::clone(inner), None);
        Self { inner, target, conditions, on_clash, permit, modified_ns, repeats }
    }

    /// A file whose content comes from another one: preconditions are about that.
    pub(super) fn of_copy(
        inner: &Arc<Inner>,
        target: Target,
        permit: Permit,
        on_clash: OnClash,
    ) -> Self {
        let (conditions, modified_ns, repeats) = (Conditions::default(), None, false);
        let inner = Arc::clone(inner);
        Self { inner, target, conditions, on_clash, permit, modified_ns, repeats }
    }

    /// Finds out what can be known before there is content; waits for the disk.
    pub(super) fn begin(self, length: Option<u64>) -> Result<Receiving, Fail> {
        let place = self.inner.roots.for_new()?;
        match place.root.claim(&self.target.path, false) {
            Ok(claim) => {
                self.check(&place, claim.current()?)?;
                claim.check_file(self.on_clash)?;
            }
            // A folder on the way is missing: it will be made.
            Err(WriteError::NotFound) => {
                self.check(&place, None)?;
            }
            Err(error) => return Err(error.into()),
        }
        let staged = place.root.stage(&self.target.path, length, self.inner.settings.stage)?;
        self.inner.begun.add(1);
        Ok(Receiving { upload: self, place, staged })
    }

    /// Looks at what readers find there; says whether that is anything.
    fn check(&self, place: &Place, current: Option<Meta>) -> Result<bool, Fail> {
        let current = match current {
            Some(current) => Some(current),
            None => place.of_other(&self.target.path)?,
        };
        let on_clash = self.on_clash;
        let is_taken = current.is_some() || self.repeats;
        self.permit.check(is_taken && on_clash != OnClash::KeepBoth)?;
        if is_taken && on_clash == OnClash::Refuse {
            return Err(WriteError::Clash(Clash::Exists).into());
        }
        self.conditions.check(current.as_ref())?;
        match current.is_some_and(|current| current.kind == Kind::Directory) {
            true if on_clash == OnClash::Replace => Err(WriteError::Clash(Clash::Folder).into()),
            _ => Ok(is_taken),
        }
    }
}

impl Stored {
    pub(super) fn into_response(self) -> Response {
        let response = answer::written(&self.target.prefix, &self.written);
        match self.is_dated {
            true => response.with_known("X-OC-Mtime", "accepted"),
            false => response,
        }
    }
}

impl Sink for Receiving {
    type Error = Fail;

    fn write(mut self, chunks: &[Bytes]) -> Result<Self, Fail> {
        self.staged.write(chunks)?;
        Ok(self)
    }
}

impl Receiving {
    /// Waits for the disk, which then has the content.
    pub(super) fn finish(mut self) -> Result<Self, Fail> {
        self.staged.finish()?;
        Ok(self)
    }

    /// Waits for the disk, and for another change of the same name.
    pub(super) fn commit(self) -> Result<Stored, Fail> {
        let claim = self.staged.claim()?.beside(self.place.other.as_ref());
        let is_taken = self.upload.check(&self.place, claim.current()?)?;
        let on_clash = self.upload.on_clash;
        let is_dated = self.set_date()?;
        let mut written = self.staged.commit(claim, on_clash)?;
        // What was beneath is hidden now: that is no new file to its readers.
        written.created &= !is_taken || on_clash == OnClash::KeepBoth;
        self.upload.inner.stored.add(1);
        Ok(Stored { target: self.upload.target, written, is_dated })
    }

    /// Has the file be from the time that the client tells; says whether it is.
    fn set_date(&self) -> Result<bool, Fail> {
        match self.upload.modified_ns {
            Some(ns) if !date::tells_versions(&self.place, &self.upload.target.path)? => {
                Ok(self.staged.set_modified(ns)?)
            }
            _ => Ok(false),
        }
    }
}

/// Stores a body as it is.
pub(super) async fn store(
    upload: Upload,
    mut body: Body,
    length: Option<u64>,
    lane: Lane,
) -> Response {
    let (inner, path) = (Arc::clone(&upload.inner), upload.target.path.clone());
    let stored = async {
        let turn = inner.turns.take(&path).await;
        let begin = move || {
            let _turn = turn;
            upload.begin(length)
        };
        let receiving = begin_on_lane(&lane, begin).await?;
        let gathered = body.gathered();
        let next = |cx: &mut Context<'_>| body.poll_chunk(cx).map_err(Fail::Content);
        let (receiving, rest) = receive(&lane, receiving, &gathered, next).await?;
        let finish = move || receiving.take()?.write(&rest)?.finish();
        let receiving = OnLane::new(on_lane(&lane, finish).await?, &lane);
        let turn = inner.turns.take(&path).await;
        let commit = move || {
            let _turn = turn;
            receiving.take()?.commit()
        };
        on_lane(&lane, commit).await
    };
    match stored.await {
        Ok(stored) => stored.into_response(),
        Err(fail) => fail.into_response(),
    }
}
