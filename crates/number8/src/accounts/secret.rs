//! What proves to be a user: a password, or a hash of one.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use bcrypt::HashParts;
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
        can_be_password(text)?;
        Ok(Self::Plain(key.mac(text.as_bytes())))
    }

    /// A hash as files of passwords have it. Nothing is hashed for it: that may take as long as somebody has written there.
    pub(super) fn of_hash(text: &str) -> Result<Self, AccountError> {
        let kind = text.split('$').nth(1).unwrap_or_default();
        let secret = match kind {
            "argon2id" => argon2_params(text).map(|_| Self::Argon2(text.to_owned())),
            "2a" | "2b" | "2y" => bcrypt_cost(text).map(|_| Self::Bcrypt(text.to_owned())),
            "6" => sha_crypt_rounds(text).and_then(|_| text.parse().ok()).map(Self::ShaCrypt),
            _ => return Err(AccountError::UnknownHash),
        };
        secret.ok_or(AccountError::BrokenHash)
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

    /// What checking a password against it costs, in milliseconds of one core of a usual machine: an estimate, the same on
    /// every machine.
    pub(super) fn work_ms(&self) -> u64 {
        match self {
            Self::Plain(_) => 0,
            // A MiB is filled in about a millisecond, in each pass.
            Self::Argon2(hash) => argon2_params(hash).map_or(0, |params| {
                (u64::from(params.m_cost()) * u64::from(params.t_cost())).div_ceil(1 << 10)
            }),
            // Each step takes twice as long; 12 are a quarter of a second.
            Self::Bcrypt(hash) => bcrypt_cost(hash).map_or(0, |cost| (1_u64 << cost).div_ceil(16)),
            // Of a password that fits into one block.
            Self::ShaCrypt(hash) => {
                sha_crypt_rounds(hash.as_str()).map_or(0, |rounds| u64::from(rounds).div_ceil(2000))
            }
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

/// The parameters of a hash that is there in full.
fn argon2_params(text: &str) -> Option<Params> {
    let hash =
        PasswordHash::new(text).ok().filter(|hash| hash.salt.is_some() && hash.hash.is_some())?;
    Params::try_from(&hash).ok()
}

/// The cost of a hash that is there in full.
fn bcrypt_cost(text: &str) -> Option<u32> {
    let cost = text.parse::<HashParts>().ok()?.get_cost();
    (4..=31).contains(&cost).then_some(cost)
}

/// The rounds of a hash that is there in full: `$6$rounds=N$SALT$DIGEST`, without `rounds=` so many as is usual.
fn sha_crypt_rounds(text: &str) -> Option<u32> {
    let is_digit = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'/';
    let (rest, digest) = text.strip_prefix("$6$")?.rsplit_once('$')?;
    // The last digit has two bits of them, the least.
    let is_whole = digest.len() == SHA512_CRYPT_CHARS
        && digest.bytes().all(is_digit)
        && digest.ends_with(['.', '/', '0', '1']);
    let is_possible = |rounds: &u32| {
        (sha_crypt::Params::ROUNDS_MIN..=sha_crypt::Params::ROUNDS_MAX).contains(rounds)
    };
    let named = |field: &str| field.strip_prefix("rounds=")?.parse().ok().filter(is_possible);
    let rounds = match rest.split_once('$') {
        Some((field, salt)) => named(field).filter(|_| !salt.contains('$'))?,
        // Whatever names no rounds is salt.
        None if named(rest).is_none() => sha_crypt::Params::RECOMMENDED_ROUNDS,
        None => return None,
    };
    is_whole.then_some(rounds)
}

/// 512 bits in digits of 6.
const SHA512_CRYPT_CHARS: usize = 86;

fn can_be_password(text: &str) -> Result<(), AccountError> {
    match text.len() {
        0 => Err(AccountError::Empty),
        length if length > PASSWORD_BYTES_MAX => Err(AccountError::LongPassword),
        _ => Ok(()),
    }
}

/// SECURITY: `$6$` goes over the password in every round, and as often as it has bytes, so a client could make checking as
/// dear as it likes. The system's own crypt(3) takes no more either.
pub(super) const PASSWORD_BYTES_MAX: usize = 511;

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
/// The password is empty or longer than 511 bytes, or the system gives no random bytes.
///
/// ```
/// use number8::accounts::hash_password;
///
/// assert!(hash_password("correct horse")?.starts_with("$argon2id$"));
/// # Ok::<(), number8::accounts::AccountError>(())
/// ```
pub fn hash_password(password: &str) -> Result<String, AccountError> {
    can_be_password(password)?;
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|_| AccountError::NoRandomness)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::Error;
    use proptest::prelude::*;

    use super::*;

    /// 42, by `openssl passwd -6`.
    const DIGEST: &str =
        "aHjH/5eU8.TNwCG1ESLJioJx2NxeAKhCdu6P9tpoHt1q16bptbHBvBwuba9D1yxJMB/kM0omXsD8aPFA4hlZC0";

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

        /// Invariant: what is taken for whole without trying can be checked, and what is not cannot.
        #[test]
        fn a2_what_is_taken_for_whole_can_be_checked(
            rounds in prop_oneof![
                Just(String::new()), "rounds=1?[0-9]{3}\\$", "rounds=[+a-c0-9]{0,5}\\$", "[a-z=]{1,4}\\$",
            ],
            salt in "[a-zA-Z0-9./+=,_$-]{0,18}",
            end in "[./0-3A-Za-z]",
            cut in 0usize..4,
        ) {
            let digest = format!("{}{end}", &DIGEST[cut.saturating_sub(2)..85]);
            let text = format!("$6${rounds}{salt}${digest}");
            let checked = text.parse::<sha_crypt::PasswordHash>().is_ok_and(|hash| {
                let verified = ShaCrypt::SHA512.verify_password(b"", &hash);
                matches!(verified, Ok(()) | Err(Error::PasswordInvalid))
            });
            let is_whole = checked && digest.len() == SHA512_CRYPT_CHARS;
            prop_assert_eq!(Secret::of_hash(&text).is_ok(), is_whole, "{}", text);
        }
    }
}
