//! MOVE (RFC 4918 §9.9, for one file or folder).

use std::sync::Arc;

use number8_proto::http1::Head;

use super::Inner;
use super::answer::{self, Fail};
use super::conditions::Conditions;
use super::permit::Permits;
use super::roots::Place;
use super::target::Target;
use crate::handler::{Answer, Call};
use crate::response::Response;
use crate::store::{Clash, Kind, Meta, OnClash, WriteError};

/// Moves a file or a folder to the place that Destination names.
pub(super) fn answer(
    inner: &Arc<Inner>,
    call: &Call<'_>,
    target: Target,
) -> Result<Answer, Box<Response>> {
    let to = target.of_destination(call, &inner.roots)?;
    let permit = Permits::of(call).rename(&target, &to)?;
    let (on_clash, is_told) = overwrite(inner, call.head)?;
    let (inner, conditions) = (Arc::clone(inner), Conditions::of(call.head));
    let (all, paths) = (Arc::clone(&inner), vec![target.path.clone(), to.path.clone()]);
    let turns = async move { all.turns.take_all(paths).await };
    Ok(answer::by_lane(call.lane, turns, move || {
        let place = inner.roots.of(&target.path)?;
        let (claim, new) = place.root.claim_two(&target.path, &to.path)?;
        let Some(current) = claim.current()? else { return Err(WriteError::NotFound.into()) };
        let there = new.current()?;
        let of_other = match there {
            Some(_) if !place.is_beneath => None,
            _ => place.of_other(&to.path)?,
        };
        let replaces = on_clash == OnClash::Replace;
        permit.check(replaces && (there.is_some() || of_other.is_some()))?;
        conditions.check(Some(&current))?;
        if let Some(there) = &of_other
            && replaces
        {
            check_other(&place, &current, there)?;
        }
        match claim.rename(new.beside(place.other.as_ref()), on_clash) {
            Ok(mut written) => {
                written.created &= of_other.is_none() || !replaces;
                Ok(answer::written(&to.prefix, &written))
            }
            Err(WriteError::Clash(Clash::Exists)) if is_told => Err(Fail::Unmet),
            Err(error) => Err(error.into()),
        }
    }))
}

/// What to do where the name is taken, and whether the client has said that (RFC 4918 §10.6); else our own rule holds.
pub(super) fn overwrite(inner: &Inner, head: &Head<'_>) -> Result<(OnClash, bool), Box<Response>> {
    match head.named("overwrite") {
        Some(b"F" | b"f") => Ok((OnClash::Refuse, true)),
        Some(b"T" | b"t") => Ok((OnClash::Replace, true)),
        Some(_) => Err(answer::refused(400, "Overwrite is T or F")),
        None => Ok((inner.settings.on_clash, false)),
    }
}

/// Whether what the other folder has gives way: nothing but a file does, to a file that comes to lie over it.
fn check_other(place: &Place, moved: &Meta, there: &Meta) -> Result<(), WriteError> {
    match (moved.kind, there.kind) {
        (_, Kind::Directory) => Err(WriteError::Clash(Clash::Folder)),
        (Kind::Directory, _) => Err(WriteError::Clash(Clash::Exists)),
        _ if place.is_beneath => Err(WriteError::Clash(Clash::OtherDisk)),
        _ => Ok(()),
    }
}
