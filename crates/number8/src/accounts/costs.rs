//! What checking a password costs: a hash of each kind that there is, whoever is asked for.

use std::time::Duration;

use super::AccountError;
use super::secret::Secret;

/// The kinds of hashes that there are, and how much work one of each is.
#[derive(Clone, Debug)]
pub(super) struct Costs {
    /// One secret for each time that verifying may take.
    kinds: Vec<Secret>,
    work_ms: u64,
    pub(super) work_max: Duration,
}

/// Twice what the dearest hash takes that is recommended: argon2id with 2 GiB (RFC 9106 §4).
pub(crate) const WORK_MAX: Duration = Duration::from_secs(5);

impl Costs {
    pub(super) fn new(work_max: Duration) -> Self {
        Self { kinds: Vec::new(), work_ms: 0, work_max }
    }

    /// Takes a secret in.
    ///
    /// # Errors
    /// A check would be more work than may be.
    pub(super) fn add(&mut self, user: &str, secret: &Secret) -> Result<(), AccountError> {
        if self.kinds.iter().any(|other| other.cost() == secret.cost()) {
            return Ok(());
        }
        let work_ms = self.work_ms.saturating_add(secret.work_ms());
        let work = Duration::from_millis(work_ms);
        if work > self.work_max {
            let (user, work_max) = (user.to_owned(), self.work_max);
            return Err(AccountError::TooMuchWork { user, work, work_max });
        }
        self.work_ms = work_ms;
        self.kinds.push(secret.clone());
        Ok(())
    }

    /// One secret of each kind.
    pub(super) fn kinds(&self) -> &[Secret] {
        &self.kinds
    }
}
