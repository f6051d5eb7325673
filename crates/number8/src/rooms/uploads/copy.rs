//! COPY (RFC 4918 §9.8), of one file: its content is staged as that of an upload is, and comes from the disk.

use std::sync::Arc;

use super::Inner;
use super::answer::{self, Fail, refused};
use super::conditions::Conditions;
use super::permit::Permits;
use super::rename::overwrite;
use super::target::Target;
use super::upload::{Receiving, Stored, Upload};
use crate::handler::{Answer, Call};
use crate::response::Response;
use crate::server::lane::{Lane, OnLane, begin_on_lane, on_lane};
use crate::store::{Clash, File, Opened, WriteError};

/// How much is copied before others have their turn on the lane.
const STEP_BYTES: u64 = 1024 * 1024;

/// A copy that is to be made.
struct Copy {
    from: Target,
    conditions: Conditions,
    to: Upload,
}

/// A file of which some has been copied.
struct Copying {
    from: File,
    copied: u64,
    to: Receiving,
}

/// Copies a file to the place that Destination names.
pub(super) fn answer(
    inner: &Arc<Inner>,
    call: &Call<'_>,
    from: Target,
) -> Result<Answer, Box<Response>> {
    let to = from.of_destination(call, &inner.roots)?;
    let permit = Permits::of(call).copy(&from, &to)?;
    let (on_clash, is_told) = overwrite(inner, call.head)?;
    if from.path.as_bytes() == to.path.as_bytes() {
        return Err(refused(403, "a file cannot be copied to where it is"));
    }
    if from.path.names_folder() || to.path.names_folder() {
        return Err(no_folder());
    }
    let to = Upload::of_copy(inner, to, permit, on_clash);
    let copy = Copy { from, conditions: Conditions::of(call.head), to };
    let (inner, lane) = (Arc::clone(inner), call.lane.clone());
    Ok(Answer::later(async move {
        match make(&inner, &lane, copy).await {
            Ok(stored) => stored.into_response(),
            Err(Fail::Write(WriteError::Clash(Clash::Exists))) if is_told => {
                Fail::Unmet.into_response()
            }
            Err(fail) => fail.into_response(),
        }
    }))
}

async fn make(inner: &Inner, lane: &Lane, copy: Copy) -> Result<Stored, Fail> {
    let path = copy.to.target.path.clone();
    let turn = inner.turns.take(&path).await;
    let begin = move || {
        let _turn = turn;
        copy.begin()
    };
    let mut copying = OnLane::new(begin_on_lane(lane, begin).await?, lane);
    loop {
        let step = move || copying.take()?.step();
        let (now, is_whole) = on_lane(lane, step).await?;
        copying = OnLane::new(now, lane);
        if is_whole {
            break;
        }
    }
    let finish = move || copying.take()?.finish();
    let receiving = OnLane::new(on_lane(lane, finish).await?, lane);
    let turn = inner.turns.take(&path).await;
    let commit = move || {
        let _turn = turn;
        receiving.take()?.commit()
    };
    on_lane(lane, commit).await
}

fn no_folder() -> Box<Response> {
    refused(403, "only files are copied: make the folder and copy what is in it")
}

impl Copy {
    fn begin(self) -> Result<Copying, Fail> {
        let path = &self.from.path;
        let opened = self.to.inner.roots.of(path)?.root.open_blocking(path);
        let Opened::File(from) = opened.map_err(WriteError::from)? else {
            return Err(no_folder().into());
        };
        self.conditions.check(Some(from.meta()))?;
        if from.meta().size > self.to.inner.settings.bytes_max {
            return Err(answer::too_large().into());
        }
        from.hold().map_err(WriteError::Io)?;
        let mut to = self.to.begin(Some(from.meta().size))?;
        to.staged.set_mode_of(&from)?;
        Ok(Copying { from, copied: 0, to })
    }
}

impl Copying {
    /// Copies some; says whether that was the last of it.
    fn step(mut self) -> Result<(Self, bool), Fail> {
        let left = self.from.meta().size - self.copied;
        let count = self.to.staged.copy(&self.from, self.copied, left.min(STEP_BYTES))?;
        self.copied += count;
        let is_whole = count == left;
        match count {
            0 if !is_whole => Err(changed()),
            _ => Ok((self, is_whole)),
        }
    }

    fn finish(self) -> Result<Receiving, Fail> {
        if !self.from.is_same_content() {
            return Err(changed());
        }
        self.to.finish()
    }
}

fn changed() -> Fail {
    refused(409, "the file has changed while it was copied").into()
}
