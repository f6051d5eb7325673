//! What this client may do, asked while the request is at hand, and applied once it is known what is there.

use std::sync::Arc;

use super::answer::Fail;
use super::target::Target;
use crate::access::{Access, Refusal, Rights};
use crate::handler::{Call, refused};
use crate::response::Response;

/// Who asks, and by which rules.
#[derive(Debug)]
pub(super) struct Permits {
    access: Arc<Access>,
    user: Option<Arc<str>>,
}

/// Whether something may be made at a place, and whether something may be replaced there.
#[derive(Debug)]
pub(super) struct Permit {
    create: Result<(), Refusal>,
    overwrite: Result<(), Refusal>,
}

impl Permits {
    pub(super) fn of(call: &Call<'_>) -> Self {
        Self { access: Arc::clone(call.access()), user: call.caller.user.clone() }
    }

    /// For content that is to be stored.
    ///
    /// # Errors
    /// It may neither be made nor take the place of a file.
    pub(super) fn store(&self, target: &Target) -> Result<Permit, Box<Response>> {
        let decide = |right| self.access.decide(self.user(), right, &target.url_path);
        Permit::new(decide(Rights::CREATE), decide(Rights::OVERWRITE))
    }

    /// For what is to be moved, with all that it holds.
    ///
    /// # Errors
    /// It may not be moved away, or neither be made nor take the place of something where it goes.
    pub(super) fn rename(&self, from: &Target, to: &Target) -> Result<Permit, Box<Response>> {
        let decide =
            |replaces| self.access.decide_move(self.user(), &from.url_path, &to.url_path, replaces);
        Permit::new(decide(false), decide(true))
    }

    /// # Errors
    /// A folder may not be made there.
    pub(super) fn make_folder(&self, target: &Target) -> Result<(), Box<Response>> {
        let decision = self.access.decide(self.user(), Rights::CREATE, &target.url_path);
        decision.map_err(|refusal| Box::new(refused(&refusal)))
    }

    /// # Errors
    /// It may not be removed, or, with all that it holds, something below it may not.
    pub(super) fn remove(&self, target: &Target, recursive: bool) -> Result<(), Box<Response>> {
        let (user, path) = (self.user(), &target.url_path);
        let decision = match recursive {
            true => self.access.decide_tree(user, Rights::DELETE, path),
            false => self.access.decide(user, Rights::DELETE, path),
        };
        decision.map_err(|refusal| Box::new(refused(&refusal)))
    }

    fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

impl Permit {
    fn new(
        create: Result<(), Refusal>,
        overwrite: Result<(), Refusal>,
    ) -> Result<Self, Box<Response>> {
        match (&create, &overwrite) {
            (Err(refusal), Err(_)) => Err(Box::new(refused(refusal))),
            _ => Ok(Self { create, overwrite }),
        }
    }

    /// Refuses what is not allowed, now that it is known whether something would be replaced.
    pub(super) fn check(&self, replaces: bool) -> Result<(), Fail> {
        let decision = if replaces { &self.overwrite } else { &self.create };
        decision.as_ref().copied().map_err(|refusal| Box::new(refused(refusal)).into())
    }
}
