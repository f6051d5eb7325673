//! The rules that hold now, for what goes on after they were asked.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Access, Rights};
use crate::standing::{Ending, Lasting, Look};
use crate::sync::lock;

/// Which rules have taken the place of others; the same for all that follow one another.
#[derive(Default)]
pub(crate) struct Watch {
    /// `None` until there are others than the first.
    now: Mutex<Option<Arc<Access>>>,
    changed: Ending,
}

/// What somebody may do, asked again when there are other rules.
struct Granted {
    access: Arc<Access>,
    user: Option<Arc<str>>,
    rights: Rights,
    path: Vec<u8>,
}

impl Access {
    /// The same rules, for an app of their own.
    pub(crate) fn apart(self) -> Self {
        Self { watch: Arc::default(), ..self }
    }

    /// These rules take the place of others, under which something may go on.
    pub(crate) fn succeed(self: &mut Arc<Self>, before: &Self) {
        let watch = &before.watch;
        // Apart from the watch, which would hold itself.
        let now = Arc::new((**self).clone().apart());
        *lock(&watch.now) = Some(now);
        Arc::make_mut(self).watch = Arc::clone(watch);
        watch.changed.tell();
    }

    /// The rules that have taken the place of these; `None` where none have, or where a function of the user's says who has rights.
    #[cfg_attr(
        not(feature = "uploads"),
        allow(dead_code, reason = "what is asked again when it has come")
    )]
    pub(crate) fn followed_by(&self) -> Option<Arc<Self>> {
        let now = lock(&self.watch.now).clone()?;
        (self.file_acl.is_none() && now.file_acl.is_none()).then_some(now)
    }

    /// What lasts for as long as rules give that user these rights; `None` where a function of the user's says who has them.
    ///
    /// SECURITY: what everybody has now may be asked an account for by the rules that follow.
    #[cfg_attr(
        not(any(feature = "events", feature = "repl", feature = "runner")),
        allow(dead_code, reason = "what goes on after its answer")
    )]
    pub(crate) fn granted_for(
        self: &Arc<Self>,
        user: Option<&Arc<str>>,
        rights: Rights,
        path: &[u8],
    ) -> Option<Arc<dyn Lasting>> {
        if self.file_acl.is_some() {
            return None;
        }
        let (access, user, path) = (Arc::clone(self), user.cloned(), path.to_vec());
        Some(Arc::new(Granted { access, user, rights, path }))
    }
}

impl Lasting for Granted {
    fn lasts(&self, _: Look) -> Option<Duration> {
        let now = lock(&self.access.watch.now).clone();
        let may = now.is_none_or(|now| {
            now.file_acl.is_some()
                || now.rights(self.user.as_deref(), &self.path).contains(self.rights)
        });
        may.then_some(Duration::MAX)
    }

    fn ending(&self) -> &Ending {
        &self.access.watch.changed
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
