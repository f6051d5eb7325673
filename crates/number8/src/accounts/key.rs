//! A key of this process, and what can be said of secrets with it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use blake2::Blake2sMac256;
use blake2::digest::{KeyInit, Mac as _};
use subtle::ConstantTimeEq;

use super::AccountError;

/// Random bytes that never leave the process.
#[derive(Clone)]
pub(crate) struct Key([u8; 32]);

/// A secret under a key: as good for comparing, useless to anybody else.
#[derive(Clone, Copy, Eq)]
pub(crate) struct Mac([u8; 32]);

impl Key {
    /// The key of this process: the same each time, so that sessions outlive accounts that are loaded again.
    pub(crate) fn of_process() -> Result<Self, AccountError> {
        static KEY: OnceLock<Key> = OnceLock::new();
        if let Some(key) = KEY.get() {
            return Ok(key.clone());
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| AccountError::NoRandomness)?;
        Ok(KEY.get_or_init(|| Self(bytes)).clone())
    }

    pub(crate) fn mac(&self, secret: &[u8]) -> Mac {
        let mut mac = Blake2sMac256::new(&self.0.into());
        mac.update(secret);
        Mac(mac.finalize().into_bytes().into())
    }
}

impl Mac {
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In a time that tells nothing of where they differ.
impl PartialEq for Mac {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for Mac {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(***)")
    }
}
