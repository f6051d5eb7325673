//! Who there is, and what proves to be them.
//!
//! Passwords stand here as they were given or, better, as argon2id, bcrypt or `$6$` hashes; a file of hashes as
//! htpasswd writes it is read again when it has changed. What a user may do is no matter of this module.

mod costs;
mod file;
mod key;
mod secret;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::access::Rights;
use crate::access::Rule;

pub use self::file::FileError;
pub(crate) use self::key::{Key, Mac};
pub use self::secret::hash_password;

use self::costs::Costs;
pub(crate) use self::costs::WORK_MAX;
use self::file::Stamp;
use self::secret::{PASSWORD_BYTES_MAX, Secret};

/// The users of an app.
///
/// ```
/// use number8::accounts::{Accounts, hash_password};
///
/// let accounts = Accounts::new()?
///     .password("joe", "correct horse")?
///     .password("ann", &hash_password("battery staple")?)?
///     .token("backup", "b5c7c1a2f0")?;
/// assert!(accounts.verify("ann", "battery staple"));
/// assert!(!accounts.verify("joe", "battery staple"));
/// # Ok::<(), number8::accounts::AccountError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Accounts {
    key: Key,
    given: Vec<(Arc<str>, Secret)>,
    tokens: Vec<(Arc<str>, Mac)>,
    file: Option<File>,
    costs: Costs,
}

#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    stamp: Stamp,
    users: Vec<(Arc<str>, Secret)>,
}

impl Accounts {
    /// Nobody yet.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new() -> Result<Self, AccountError> {
        let (given, tokens) = Default::default();
        let costs = Costs::new(WORK_MAX);
        Ok(Self { key: Key::of_process()?, given, tokens, file: None, costs })
    }

    /// How much work checking a password may be, as the time that it takes on a usual machine. It is one hash of each kind and cost
    /// that there is, whoever logs in, and a hash that would make it more is refused. Say it before they are added. Default 5
    /// seconds: 10,000,000 rounds of `$6$`, bcrypt with a cost of 16, or argon2id with 2 GiB in two passes.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use number8::accounts::Accounts;
    ///
    /// let hash = "$2y$17$abcdefghijklmnopqrstuuA4XfWzJzZ1N5ZtY5wDg3mPw0mYJ1oG2";
    /// assert!(Accounts::new()?.password("joe", hash).is_err());
    /// assert!(Accounts::new()?.work_max(Duration::from_secs(10)).password("joe", hash).is_ok());
    /// # Ok::<(), number8::accounts::AccountError>(())
    /// ```
    #[must_use]
    pub fn work_max(mut self, time: Duration) -> Self {
        self.costs.work_max = time;
        self
    }

    /// Adds a user with a password, or with its hash: argon2id, bcrypt or `$6$`.
    ///
    /// # Errors
    /// The name cannot log in or is there already, the password is empty or longer than 511 bytes, or the hash is not whole or
    /// [too much work](Self::work_max).
    pub fn password(mut self, name: &str, secret: &str) -> Result<Self, AccountError> {
        rule_name(name)?;
        if self.given.iter().any(|(other, _)| **other == *name) {
            return Err(AccountError::Twice(name.to_owned()));
        }
        let secret = Secret::of_text(secret, &self.key)?;
        self.costs.add(name, &secret)?;
        self.given.push((name.into(), secret));
        Ok(self)
    }

    /// Lets whoever sends this token (RFC 6750) be that user. It has to be hard to guess: no hash slows guesses down.
    ///
    /// # Errors
    /// The name cannot log in, or the token is empty or cannot be sent.
    pub fn token(mut self, name: &str, token: &str) -> Result<Self, AccountError> {
        rule_name(name)?;
        // RFC 6750 §2.1: b64token, without its rule for where "=" may stand.
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        if token.is_empty() || !token.bytes().all(is_plain) {
            return Err(AccountError::Token);
        }
        let mac = self.key.mac(token.as_bytes());
        self.tokens.push((name.into(), mac));
        Ok(self)
    }

    /// Adds the users of a file as htpasswd writes it, with `name:hash` in each line. A user that was given directly
    /// goes before one of that name in the file.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is wrong, or its hash [too much work](Self::work_max).
    pub fn file(self, path: impl AsRef<Path>) -> Result<Self, FileError> {
        self.with_file(path.as_ref())
    }

    /// The names of all users with a password.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.users().map(|(name, _)| &**name)
    }

    /// Whether this is the password of that user. It takes as long for a name that there is not as for any other,
    /// and, with hashes, long enough to block: call it where that harms nobody.
    #[must_use]
    pub fn verify(&self, name: &str, password: &str) -> bool {
        self.user(name, password.as_bytes()).is_some()
    }

    /// The user of this name, if it is their password.
    pub(crate) fn user(&self, name: &str, password: &[u8]) -> Option<Arc<str>> {
        if password.len() > PASSWORD_BYTES_MAX {
            return None;
        }
        let user = self.users().find(|(other, _)| **other == *name);
        let mut is_right = false;
        // SECURITY: one hash of each cost, whoever is asked for; else the time would tell which names there are.
        for dummy in self.costs.kinds() {
            match user {
                Some((_, secret)) if secret.cost() == dummy.cost() => {
                    is_right = secret.verify(password, &self.key);
                }
                _ => drop(std::hint::black_box(dummy.verify(password, &self.key))),
            }
        }
        user.filter(|_| is_right).map(|(name, _)| Arc::clone(name))
    }

    /// The user of a token.
    pub(crate) fn bearer(&self, token: &[u8]) -> Option<Arc<str>> {
        let mac = self.key.mac(token);
        self.tokens.iter().find(|(_, other)| *other == mac).map(|(name, _)| Arc::clone(name))
    }

    /// What a credential is remembered by.
    pub(crate) fn mac(&self, credential: &[u8]) -> Mac {
        self.key.mac(credential)
    }

    /// What a session of this user goes with: it changes with the password. `None` where there is no such user.
    pub(crate) fn stamp(&self, name: &str) -> Option<Mac> {
        let (name, secret) = self.users().find(|(other, _)| **other == *name)?;
        let text = [name.as_bytes(), b"\0", secret.as_bytes()].concat();
        Some(self.key.mac(&text))
    }

    /// Whether there is a file that may change.
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// These accounts with what the file says now; `None` where it is as it was. Blocks.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is wrong: these accounts stay right.
    pub(crate) fn read_again(&self) -> Result<Option<Self>, FileError> {
        let Some(file) = &self.file else { return Ok(None) };
        if file::stamp(&file.path).is_ok_and(|stamp| stamp == file.stamp) {
            return Ok(None);
        }
        self.clone().with_file(&file.path).map(Some)
    }

    fn users(&self) -> impl Iterator<Item = &(Arc<str>, Secret)> {
        self.given.iter().chain(self.file.iter().flat_map(|file| &file.users))
    }

    /// These accounts with that file in place of the one that was there.
    fn with_file(mut self, path: &Path) -> Result<Self, FileError> {
        let mut costs = Costs::new(self.costs.work_max);
        for (name, secret) in &self.given {
            // They were taken in before.
            let _ = costs.add(name, secret);
        }
        self.file = Some(File::read(path, &mut costs)?);
        self.costs = costs;
        Ok(self)
    }
}

impl File {
    fn read(path: &Path, costs: &mut Costs) -> Result<Self, FileError> {
        let (stamp, users) = file::read(path, costs)?;
        let users = users.into_iter().map(|(name, secret)| (name.into(), secret)).collect();
        Ok(Self { path: path.to_owned(), stamp, users })
    }
}

/// Letters and digits that nobody can guess, for a password (16 of them are enough) or a nonce: five bits each, less a
/// little. None looks like another.
///
/// ```
/// let password = number8::accounts::random_text(16)?;
/// assert_eq!(password.len(), 16);
/// # Ok::<(), number8::accounts::AccountError>(())
/// ```
///
/// # Errors
/// The system gives no random bytes.
pub fn random_text(length: usize) -> Result<String, AccountError> {
    const DIGITS: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(|_| AccountError::NoRandomness)?;
        // Each digit is as likely as any other.
        let fair = bytes.iter().filter(|byte| usize::from(**byte) < DIGITS.len() * 8);
        let digits = fair.map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()]));
        text.extend(digits.take(length - text.len()));
    }
    Ok(text)
}

/// A name that a rule can be about.
fn rule_name(name: &str) -> Result<(), AccountError> {
    Rule::user(name, "/", Rights::NONE).map(drop).map_err(|_| AccountError::Name)
}

/// Why somebody cannot be a user. It never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountError {
    /// The name is empty, or has a colon or a control character in it.
    Name,
    /// Two users have this name.
    Twice(String),
    /// The password is empty.
    Empty,
    /// The password is longer than 511 bytes.
    LongPassword,
    /// It begins like a hash, and is none of those that are known.
    UnknownHash,
    /// It begins like a hash that is known, and is not a whole one.
    BrokenHash,
    /// With the hash of this user, checking a password is more work than may be.
    TooMuchWork {
        /// Whose hash it is.
        user: String,
        /// What a check would take on a usual machine.
        work: Duration,
        /// What it may take.
        work_max: Duration,
    },
    /// There is no colon in the line.
    NoHash,
    /// A token is empty, or has a byte that cannot be sent (RFC 6750 §2.1).
    Token,
    /// The file cannot be read, and why.
    Unreadable(String),
    /// The file is longer than 1 MiB.
    TooLong,
    /// The system gives no random bytes.
    NoRandomness,
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => {
                "the name of a user is not empty and has no colon and no control characters"
            }
            Self::Twice(name) => return write!(f, "there are two users called {}", name.escape_debug()),
            Self::Empty => "the password is empty",
            Self::LongPassword => "a password is at most 511 bytes",
            Self::UnknownHash => {
                "this is no argon2id, bcrypt or $6$ hash: htpasswd -B makes one"
            }
            Self::BrokenHash => "this hash is not whole: make a new one",
            Self::TooMuchWork { user, work, work_max } => {
                let (user, work) = (user.escape_debug(), work.as_millis().div_ceil(1000));
                return write!(
                    f,
                    "with the hash of {user} each login takes about {work} s of work, and {work_max:?} are allowed: make a new \
                     hash, or allow more"
                );
            }
            Self::NoHash => "a line is name:hash",
            Self::Token => "a token is letters, digits and -._~+/= and not empty",
            Self::Unreadable(why) => return write!(f, "the file of passwords cannot be read: {why}"),
            Self::TooLong => "a file of passwords is at most 1 MiB",
            Self::NoRandomness => "the system gives no random bytes",
        })
    }
}

impl std::error::Error for AccountError {}
