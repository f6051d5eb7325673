//! MOVE (RFC 4918 §9.9, for one file or folder).

use std::sync::Arc;

use super::Inner;
use super::answer::{self, Fail};
use super::conditions::Conditions;
use super::permit::Permits;
use super::target::Target;
use crate::handler::{Answer, Call};
use crate::response::Response;
use crate::store::{Clash, OnClash, WriteError};

/// Moves a file or a folder to the place that Destination names.
pub(super) fn answer(
    inner: &Arc<Inner>,
    call: &Call<'_>,
    target: Target,
) -> Result<Answer, Box<Response>> {
    let to = target.of_destination(call, &inner.roots)?;
    let permit = Permits::of(call).rename(&target, &to)?;
    let overwrite = call.head.named("overwrite");
    // RFC 4918 §10.6; without the field our own rule holds.
    let on_clash = match overwrite {
        Some(b"F" | b"f") => OnClash::Refuse,
        Some(b"T" | b"t") => OnClash::Replace,
        Some(_) => return Err(answer::refused(400, "Overwrite is T or F")),
        None => inner.settings.on_clash,
    };
    let is_told = overwrite.is_some();
    let (inner, conditions) = (Arc::clone(inner), Conditions::of(call.head));
    answer::by_lane(call.lane, move || {
        let (claim, place) = inner.roots.of(&target.path)?.claim_two(&target.path, &to.path)?;
        let Some(current) = claim.current()? else { return Err(WriteError::NotFound.into()) };
        let is_taken = place.current()?.is_some();
        permit.check(is_taken && on_clash == OnClash::Replace)?;
        conditions.check(Some(&current))?;
        match claim.rename(place, on_clash) {
            Ok(written) => Ok(answer::written(&to.prefix, &written)),
            Err(WriteError::Clash(Clash::Exists)) if is_told => Err(Fail::Unmet),
            Err(error) => Err(error.into()),
        }
    })
}
