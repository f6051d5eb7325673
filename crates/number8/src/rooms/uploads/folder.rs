//! New folders: POST to a path that ends in a slash (row U23), and MKCOL (RFC 4918 §9.3).

use std::sync::Arc;

use super::answer::{self, Fail, refused};
use super::permit::Permits;
use super::target::Target;
use super::{ALLOW, Inner};
use crate::handler::{Answer, Call};
use crate::response::Response;
use crate::store::{Clash, WriteError};

/// Makes a folder, and those that are missing on the way to it.
pub(super) fn post(
    inner: &Arc<Inner>,
    call: &Call<'_>,
    target: Target,
) -> Result<Answer, Box<Response>> {
    make(inner, call, target, |inner, target| inner.make_folder(target))
}

/// Makes a folder in one that is there.
pub(super) fn mkcol(inner: &Arc<Inner>, call: &Call<'_>) -> Result<Answer, Box<Response>> {
    if call.body.announced() != Some(0) {
        return Err(refused(415, "a folder is made without content"));
    }
    let target = Target::of_folder(call, &inner.roots)?;
    make(inner, call, target, |inner, target| {
        if !inner.has_parent(target)? {
            return Err(refused(409, "the folder that it is to be in is not there").into());
        }
        inner.make_folder(target).map_err(|fail| match fail {
            Fail::Write(WriteError::Clash(Clash::Exists | Clash::Root)) => is_there().into(),
            fail => fail,
        })
    })
}

/// RFC 4918 §9.3: MKCOL is for what is not there.
fn is_there() -> Box<Response> {
    let response = Response::error(405, WriteError::Clash(Clash::Exists).to_string());
    Box::new(response.with_known("Allow", ALLOW))
}

fn make(
    inner: &Arc<Inner>,
    call: &Call<'_>,
    target: Target,
    make: impl FnOnce(&Inner, &Target) -> Result<Response, Fail> + Send + 'static,
) -> Result<Answer, Box<Response>> {
    Permits::of(call).make_folder(&target)?;
    let inner = Arc::clone(inner);
    let (all, path) = (Arc::clone(&inner), target.path.clone());
    let turn = async move { all.turns.take(&path).await };
    Ok(answer::by_lane(call.lane, turn, move || make(&inner, &target)))
}

impl Inner {
    fn make_folder(&self, target: &Target) -> Result<Response, Fail> {
        let place = self.roots.for_new()?;
        if place.of_other(&target.path)?.is_some() {
            return Err(WriteError::Clash(Clash::Exists).into());
        }
        place.root.check_files(self.settings.stage.keep_free_bytes)?;
        let written = place.root.make_folder(&target.path)?;
        Ok(answer::written(&target.prefix, &written))
    }

    /// Whether there is a folder that the new one would be in; readers see both of an overlay as one.
    fn has_parent(&self, target: &Target) -> Result<bool, Fail> {
        let place = self.roots.for_new()?;
        let roots = [Some(&place.root), place.other.as_ref()];
        let found = roots.into_iter().flatten().map(|root| root.has_parent(&target.path));
        let found: Result<Vec<_>, _> = found.collect();
        Ok(found.map_err(WriteError::from)?.contains(&true))
    }
}
