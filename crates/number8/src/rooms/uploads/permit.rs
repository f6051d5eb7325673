//! What this client may do, asked while the request is at hand, and applied once it is known what is there.

use std::sync::Arc;

use super::answer::{self, Fail};
use super::target::Target;
use crate::access::{Access, Refusal, Rights};
use crate::handler::{Call, refused};
use crate::response::Response;
use crate::standing::{Look, Standing};

/// Who asks, by which rules, and whether what they are known by lasts.
#[derive(Debug, Clone)]
pub(super) struct Permits {
    access: Arc<Access>,
    user: Option<Arc<str>>,
    standing: Option<Standing>,
}

/// Whether something may be made at a place, and whether something may be replaced there.
#[derive(Debug)]
pub(super) struct Permit {
    create: Result<(), Refusal>,
    overwrite: Result<(), Refusal>,
    permits: Permits,
    change: Change,
}

/// What is to be done, as rules know it.
#[derive(Debug)]
enum Change {
    Store { path: Vec<u8> },
    Rename { from: Vec<u8>, to: Vec<u8> },
    Copy { from: Vec<u8>, to: Vec<u8> },
}

impl Change {
    fn decide(&self, access: &Access, user: Option<&str>, replaces: bool) -> Result<(), Refusal> {
        let arrives = if replaces { Rights::OVERWRITE } else { Rights::CREATE };
        match self {
            Self::Store { path } => access.decide(user, arrives, path),
            Self::Rename { from, to } => access.decide_move(user, from, to, replaces),
            Self::Copy { from, to } => {
                let reads = access.decide(user, Rights::READ, from);
                // A function of the user's is asked about both, whatever it says of the first.
                let arrives = access.decide(user, arrives, to);
                reads.and(arrives)
            }
        }
    }
}

impl Permits {
    pub(super) fn of(call: &Call<'_>) -> Self {
        Self {
            access: Arc::clone(call.access()),
            user: call.caller.user.clone(),
            standing: call.caller.standing.clone(),
        }
    }

    /// For content that is to be stored.
    ///
    /// # Errors
    /// It may neither be made nor take the place of a file.
    pub(super) fn store(&self, target: &Target) -> Result<Permit, Box<Response>> {
        Permit::new(self, Change::Store { path: target.url_path.clone() })
    }

    /// For what is to be moved, with all that it holds.
    ///
    /// # Errors
    /// It may not be moved away, or neither be made nor take the place of something where it goes.
    pub(super) fn rename(&self, from: &Target, to: &Target) -> Result<Permit, Box<Response>> {
        Permit::new(self, Change::Rename { from: from.url_path.clone(), to: to.url_path.clone() })
    }

    /// For a file that is to be copied.
    ///
    /// # Errors
    /// It may not be read, or neither be made nor take the place of something where it goes.
    pub(super) fn copy(&self, from: &Target, to: &Target) -> Result<Permit, Box<Response>> {
        Permit::new(self, Change::Copy { from: from.url_path.clone(), to: to.url_path.clone() })
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
    fn new(permits: &Permits, change: Change) -> Result<Self, Box<Response>> {
        let decide = |replaces| change.decide(&permits.access, permits.user(), replaces);
        let (create, overwrite) = (decide(false), decide(true));
        match (&create, &overwrite) {
            (Err(refusal), Err(_)) => Err(Box::new(refused(refusal))),
            _ => Ok(Self { create, overwrite, permits: permits.clone(), change }),
        }
    }

    /// Refuses what is not allowed, now that it is known whether something would be replaced.
    ///
    /// SECURITY: content can take hours to come, after which there may be other rules, or no such user. A function of the
    /// user's is not asked again.
    pub(super) fn check(&self, replaces: bool) -> Result<(), Fail> {
        let Permits { access, standing, .. } = &self.permits;
        if standing.as_ref().is_some_and(|standing| !standing.lasts(Look::Glance)) {
            return Err(answer::refused(403, "the login that this began with has ended").into());
        }
        let decision = if replaces { &self.overwrite } else { &self.create };
        decision.as_ref().copied().map_err(|refusal| Box::new(refused(refusal)))?;
        let Some(now) = access.followed_by() else { return Ok(()) };
        let still = self.change.decide(&now, self.permits.user(), replaces);
        still.map_err(|refusal| Box::new(refused(&refusal)).into())
    }
}
