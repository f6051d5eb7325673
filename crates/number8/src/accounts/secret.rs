//! What proves to be a user: a password, or a hash of one.

use std::fmt;

use argon2::password_hash::Error;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use sha_crypt::ShaCrypt;

use super::AccountError;
use super::key::{Key, Mac};

/// A password that has to be matched. Nothing shows it.
#[derive(Clone)]
pub(super) enum Secret {
    /// The password itself, told apart by a keyed hash.
    Plain(Mac),
    Argon2(String),
    Bcrypt(String),
    ShaCrypt(sha_crypt::PasswordHash),
}

impl Secret {
    /// A hash by its prefix, else a password.
    pub(super) fn of_text(text: &str, key: &Key) -> Result<Self, AccountError> {
        if looks_like_hash(text) {
            return Self::of_hash(text);
        }
        if text.is_empty() {
            Err(AccountError::Empty)
        } else {
            Ok(Self::Plain(key.mac(text.as_bytes())))
        }
    }

    /// A hash as files of passwords have it.
    pub(super) fn of_hash(text: &str) -> Result<Self, AccountError> {
        let kind = text.split('$').nth(1).unwrap_or_default();
        match kind {
            "argon2id" if is_whole_argon2(text) => Ok(Self::Argon2(text.to_owned())),
            "2a" | "2b" | "2y" if text.parse::<bcrypt::HashParts>().is_ok() => {
                Ok(Self::Bcrypt(text.to_owned()))
            }
            "6" => match text.parse::<sha_crypt::PasswordHash>() {
                Ok(hash) if is_whole_sha_crypt(&hash) => Ok(Self::ShaCrypt(hash)),
                _ => Err(AccountError::BrokenHash),
            },
            "argon2id" | "2a" | "2b" | "2y" => Err(AccountError::BrokenHash),
            _ => Err(AccountError::UnknownHash),
        }
    }

    /// Whether this password is meant. Takes as long as the hash was made to take.
    pub(super) fn verify(&self, password: &[u8], key: &Key) -> bool {
        match self {
            Self::Plain(mac) => key.mac(password) == *mac,
            Self::Argon2(hash) => {
                Argon2::default().verify_password(password, hash.as_str()).is_ok()
            }
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::ShaCrypt(hash) => ShaCrypt::SHA512.verify_password(password, hash).is_ok(),
        }
    }

    /// What tells it from any other.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Plain(mac) => mac.bytes(),
            Self::Argon2(hash) | Self::Bcrypt(hash) => hash.as_bytes(),
            Self::ShaCrypt(hash) => hash.as_str().as_bytes(),
        }
    }

    /// What says how long verifying takes: the text up to the salt.
    pub(super) fn cost(&self) -> &str {
        match self {
            Self::Plain(_) => "plain",
            Self::Argon2(hash) => fields(hash, 4),
            Self::Bcrypt(hash) => fields(hash, 3),
            Self::ShaCrypt(hash) => {
                let text = hash.as_str();
                let has_rounds =
                    text.split('$').nth(2).is_some_and(|field| field.starts_with("rounds="));
                fields(text, if has_rounds { 3 } else { 2 })
            }
        }
    }
}

/// Whether a text is meant as a hash, known or not: `$6$…`, `{SHA}…`. A password may well begin with a `$`.
fn looks_like_hash(text: &str) -> bool {
    let named = text.strip_prefix('$').and_then(|rest| rest.split_once('$')).map(|(name, _)| name);
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    named.is_some_and(is_name) || text.starts_with("{SHA}")
}

/// The first fields of a hash, `$` between: `$2y$10`.
fn fields(hash: &str, count: usize) -> &str {
    hash.match_indices('$').nth(count).map_or(hash, |(end, _)| &hash[..end])
}

fn is_whole_argon2(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| hash.salt.is_some() && hash.hash.is_some())
}

/// Whether the hash is there in full; verifying then tells a wrong password from whatever else may be wrong.
fn is_whole_sha_crypt(hash: &sha_crypt::PasswordHash) -> bool {
    let digest = hash.as_str().rsplit('$').next().unwrap_or_default();
    let verified = ShaCrypt::SHA512.verify_password(b"", hash);
    digest.len() == SHA512_CRYPT_CHARS && matches!(verified, Ok(()) | Err(Error::PasswordInvalid))
}

/// 512 bits in digits of 6.
const SHA512_CRYPT_CHARS: usize = 86;

/// SECURITY: neither a password nor a hash, which can be guessed at, belongs in a log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The hash to keep in place of a password: argon2id with the parameters that the crate recommends (19 MiB, 2
/// passes) and a salt of its own.
///
/// # Errors
/// The password is empty, or the system gives no random bytes.
///
/// ```
/// use number8::accounts::hash_password;
///
/// assert!(hash_password("correct horse")?.starts_with("$argon2id$"));
/// # Ok::<(), number8::accounts::AccountError>(())
/// ```
pub fn hash_password(password: &str) -> Result<String, AccountError> {
    if password.is_empty() {
        return Err(AccountError::Empty);
    }
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|_| AccountError::NoRandomness)
}
