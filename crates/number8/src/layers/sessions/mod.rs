//! Who has logged in by the page for it, and still counts as that.
//!
//! A session is an entry in the memory of this process: a random id, which only the browser keeps (we keep a keyed hash
//! of it), a user, and when it was made and used last. So it can be ended from here, and ends by itself with the
//! process, with the password of its user, and in time.
//!
//! SECURITY: a browser sends its cookie along whatever page asks for a request. Three things keep pages of others out:
//! the cookie is `SameSite=Strict`; [`SameOrigin`](super::same_origin::SameOrigin), which belongs around every app with
//! sessions, looks at what browsers say of a request's origin; and a request that changes something and says nothing of
//! its origin has to bring a token that only our own pages know.

mod cookie;
mod login;
mod page;
mod table;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use self::login::{Login, LoginPage};

use self::table::{Session, Table};
use crate::accounts::{AccountError, Accounts, Key, Mac};
use crate::server::clock;
use crate::sync::lock;

/// The sessions of a server. A clone is the same sessions: an app that takes the place of another one keeps them so.
///
/// ```
/// use number8::accounts::Accounts;
/// use number8::layers::auth::Auth;
/// use number8::layers::same_origin::SameOrigin;
/// use number8::layers::sessions::{Login, Sessions};
/// use number8::{App, Files};
///
/// let accounts = Accounts::new()?.password("joe", "correct horse")?;
/// let sessions = Sessions::new()?;
/// let app = App::new()
///     .layer(SameOrigin::new())
///     .layer(Auth::accounts(accounts).login(Login::new(sessions.clone())))
///     .mount("/", Files::new(".")?);
/// assert_eq!(sessions.end_all_of("joe"), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    key: Key,
    table: Mutex<Table>,
    limits: SessionLimits,
}

/// How long sessions last, and how many there are.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// For how long a session may go unused. Default 8 hours.
    pub idle: Duration,
    /// For how long it lasts, however much it is used. Default 7 days.
    pub life: Duration,
    /// Sessions of the server; the one that went unused longest gives way to a new one. Default 1,000.
    pub sessions_max: usize,
    /// Sessions of one user, likewise. Default 20.
    pub sessions_per_user_max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(8 * 3600),
            life: Duration::from_secs(7 * 24 * 3600),
            sessions_max: 1000,
            sessions_per_user_max: 20,
        }
    }
}

impl Sessions {
    /// None yet, with the default limits.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new() -> Result<Self, AccountError> {
        Self::with_limits(SessionLimits::default())
    }

    /// As [`Sessions::new`], with limits of your own.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn with_limits(limits: SessionLimits) -> Result<Self, AccountError> {
        let key = Key::of_process()?;
        Ok(Self(Arc::new(Inner { key, table: Mutex::new(Table::new(limits)), limits })))
    }

    /// Ends every session of a user; gives how many there were.
    pub fn end_all_of(&self, user: &str) -> usize {
        lock(&self.0.table).end_all_of(user)
    }

    /// How many there are, those whose time is over included until somebody looks for them.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.0.table).len()
    }

    /// Begins a session and gives its id. The stamp tells when the user is not who they were.
    fn begin(&self, user: &Arc<str>, stamp: Mac) -> Result<String, AccountError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| AccountError::NoRandomness)?;
        let id = URL_SAFE_NO_PAD.encode(bytes);
        let user = Arc::clone(user);
        lock(&self.0.table).begin(self.mac(id.as_bytes()), user, stamp, clock::monotonic_ms());
        Ok(id)
    }

    /// A session that has not ended; it counts as used now.
    fn find(&self, id: &[u8]) -> Option<Arc<Session>> {
        lock(&self.0.table).find(&self.mac(id), clock::monotonic_ms())
    }

    /// Ends those of users that these accounts do not know, or know by another password.
    pub(in crate::layers) fn keep_those_of(&self, accounts: &Accounts) {
        let is_theirs = |user: &str, stamp| accounts.stamp(user) == Some(stamp);
        lock(&self.0.table).keep(is_theirs);
    }

    fn end(&self, id: &[u8]) {
        lock(&self.0.table).end(&self.mac(id));
    }

    fn mac(&self, id: &[u8]) -> Mac {
        self.0.key.mac(&[b"session ", id].concat())
    }

    /// What forms of this session send back. Nobody can tell the id from it.
    fn form_token(&self, id: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.0.key.mac(&[b"form ", id].concat()).bytes())
    }

    fn life(&self) -> Duration {
        self.0.limits.life
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("count", &self.count()).finish_non_exhaustive()
    }
}
