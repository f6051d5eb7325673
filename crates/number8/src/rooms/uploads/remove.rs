//! DELETE (rows U24 and U25).

use std::sync::Arc;

use number8_proto::headers::{Known, is_media_type};
use number8_proto::http1::Head;
use number8_proto::uri::Query;

use super::Inner;
use super::answer::{self, Fail};
use super::conditions::Conditions;
use super::permit::Permits;
use super::target::Target;

use crate::body::Body;
use crate::handler::{Answer, Call};
use crate::response::Response;
use crate::store::{Kind, WriteError};

/// Removes a file, or a folder, whose path ends in a slash.
pub(super) fn answer(
    inner: &Arc<Inner>,
    call: &Call<'_>,
    target: Target,
) -> Result<Answer, Box<Response>> {
    let is_forced = is_forced(call.head);
    Permits::of(call).remove(&target, is_forced)?;
    let (inner, conditions) = (Arc::clone(inner), Conditions::of(call.head));
    let (all, path) = (Arc::clone(&inner), target.path.clone());
    let turn = async move { all.turns.take(&path).await };
    Ok(answer::by_lane(call.lane, turn, move || {
        let claim = inner.roots.of(&target.path)?.root.claim(&target.path, false)?;
        let Some(current) = claim.current()? else { return Err(WriteError::NotFound.into()) };
        if current.kind == Kind::Directory && !target.path.names_folder() {
            // A slip of the pen should not remove a folder.
            let why = "this is a folder: its path ends with a slash";
            return Err(Fail::Answer(answer::refused(409, why)));
        }
        conditions.check(Some(&current))?;
        claim.remove(is_forced)?;
        Ok(Response::new(204, Body::empty()))
    }))
}

/// A form cannot send DELETE: it posts nothing to `?delete`.
pub(super) fn is_asked(head: &Head<'_>) -> bool {
    let query = head.query().unwrap_or_default();
    let content_type = head.get(Known::ContentType).unwrap_or_default();
    is_media_type(content_type, b"application/x-www-form-urlencoded")
        && Query::new(query).any(|pair| *pair.key == *b"delete")
}

/// The listing of the folder above, for a browser.
pub(super) fn page_after(head: &Head<'_>, target: &Target) -> Option<&'static str> {
    let up = if target.path.names_folder() { "../?list" } else { "./?list" };
    answer::is_browser(head).then_some(up)
}

/// `?force=1`, and nothing like it.
fn is_forced(head: &Head<'_>) -> bool {
    let query = head.query().unwrap_or_default();
    Query::new(query).any(|pair| *pair.key == *b"force" && pair.value.as_deref() == Some(b"1"))
}
