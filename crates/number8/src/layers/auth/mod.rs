//! Finds out who asks: by a password, by a token, or as a function of the user's says.
//!
//! This layer only says who somebody is; what they may do is the matter of [`access`](crate::access). So a request
//! without a credential goes on, from nobody; one with a wrong credential is refused, whatever it asks for.

pub(super) mod checker;
pub(super) mod credentials;
pub(crate) mod failures;
mod remembered;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use number8_proto::headers::Known;
use number8_proto::http1::Head;
use subtle::ConstantTimeEq;

use self::checker::{Asked, Checker, Verdict};
use self::credentials::Credentials;
use self::failures::Failures;
use crate::accounts::{Accounts, FileError};
use crate::caller::Caller;
use crate::handler::{CHALLENGE, Call};
use crate::layer::{Before, Layer, Waited};
use crate::layers::sessions::Login;
use crate::response::Response;
use crate::server::clock;
use crate::sync::lock;

/// Who asks, found out in one of three ways.
///
/// ```
/// use number8::access::{Access, Rights, Rule};
/// use number8::accounts::Accounts;
/// use number8::layers::auth::Auth;
/// use number8::{App, Files};
///
/// let accounts = Accounts::new()?.password("joe", "correct horse")?;
/// let rules = [Rule::everyone("/", Rights::RO)?, Rule::user("joe", "/", Rights::RW)?];
/// let app = App::new()
///     .access(Access::new(rules))
///     .layer(Auth::accounts(accounts))
///     .mount("/", Files::new(".")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Auth(Way);

enum Way {
    Accounts(Arc<Checker>, Option<Login>),
    Header(Vec<u8>, Mutex<Failures>),
    Function(Box<Function>),
}

type Function = dyn Fn(&mut Call<'_>) -> bool + Send + Sync;

/// How much checking is done for whom.
#[derive(Clone, Debug)]
pub struct AuthLimits {
    /// How long a right password is remembered. Default 5 minutes.
    pub remember: Duration,
    /// Wrong credentials of one client before it has to wait: a second, then twice as long each time up to a minute,
    /// with 429. Half of them are forgotten every ten minutes, and all after ten minutes without a failure. Default 5.
    pub failures_free: u32,
    /// Password hashes at once: each may take 19 MiB and tens of milliseconds of a core. Default 2.
    pub hashes_max: usize,
    /// Requests that may wait for a hash; more are answered 503. Default 64.
    pub waiting_max: usize,
}

impl Default for AuthLimits {
    fn default() -> Self {
        Self {
            remember: Duration::from_secs(300),
            failures_free: 5,
            hashes_max: 2,
            waiting_max: 64,
        }
    }
}

impl Auth {
    /// By name and password (Basic, RFC 7617) or by token (Bearer, RFC 6750), with the default limits.
    #[must_use]
    pub fn accounts(accounts: Accounts) -> Self {
        Self::with_limits(accounts, AuthLimits::default(), |_| {})
    }

    /// As [`accounts`](Self::accounts), with limits of your own; the function is told when the file of accounts is
    /// wrong, after which the old accounts stay in use.
    #[must_use]
    pub fn with_limits(
        accounts: Accounts,
        limits: AuthLimits,
        on_problem: impl Fn(&FileError) + Send + Sync + 'static,
    ) -> Self {
        let checker = Checker::new(accounts, limits, Box::new(on_problem));
        Self(Way::Accounts(Arc::new(checker), None))
    }

    /// Also by a page, beside Basic and tokens; see [`Login`]. It goes through the same check, with the same waiting after
    /// wrong passwords. Where there are no accounts it changes nothing. Sessions of those who are not among the accounts, or have
    /// another password there, end, and so they do when the file of accounts changes.
    #[must_use]
    pub fn login(self, login: Login) -> Self {
        match self.0 {
            Way::Accounts(checker, _) => {
                let sessions = login.sessions().clone();
                checker.on_change(move |accounts| sessions.keep_those_of(accounts));
                Self(Way::Accounts(checker, Some(login)))
            }
            other => Self(other),
        }
    }

    /// Everything is only for those whose Authorization field has exactly this value (row U7), such as
    /// `Basic YW5zd2VyOjQy` for the name `answer` and the password `42`. Whoever sends wrong ones has to wait, as
    /// [`AuthLimits`] says of its defaults.
    ///
    /// ```
    /// use number8::{App, layers::auth::Auth};
    ///
    /// let app = App::new().get("/", async || "Hello, world.").layer(Auth::header("Basic YW5zd2VyOjQy"));
    /// ```
    #[must_use]
    pub fn header(value: impl Into<Vec<u8>>) -> Self {
        let failures = Failures::new(AuthLimits::default().failures_free);
        Self(Way::Header(value.into(), Mutex::new(failures)))
    }

    /// Everything is only for those whom a function lets through (row U8). It is called for each request, whatever is
    /// asked for, before anything of the content is read, and where the request was parsed: it must not wait. It may
    /// set the user.
    ///
    /// ```
    /// use number8::{App, layers::auth::Auth};
    ///
    /// let app = App::new()
    ///     .get("/", async || "Hello, world.")
    ///     .layer(Auth::function(|call| call.head.named("X-Token") == Some(b"8")));
    /// ```
    #[must_use]
    pub fn function(function: impl Fn(&mut Call<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Way::Function(Box::new(function)))
    }
}

impl Layer for Auth {
    fn before(&self, call: &mut Call<'_>) -> Before {
        match &self.0 {
            Way::Accounts(checker, login) => {
                let by_session = login.as_ref().and_then(|login| login.before(checker, call));
                by_session.unwrap_or_else(|| by_account(checker, call))
            }
            Way::Header(value, failures) => by_header(value, failures, call),
            Way::Function(function) if function(call) => Before::Go,
            Way::Function(_) => Before::Answer(Response::error(403, "this is not for you")),
        }
    }

    fn after(&self, head: &Head<'_>, caller: &Caller, response: Response) -> Response {
        match &self.0 {
            Way::Accounts(_, Some(login)) => login.after(head, caller, response),
            _ => response,
        }
    }
}

fn by_header(value: &[u8], failures: &Mutex<Failures>, call: &Call<'_>) -> Before {
    let Some(sent) = call.head.get(Known::Authorization) else {
        return Before::Answer(log_in("log in first"));
    };
    let (client, now_ms) = (call.caller.ip, clock::monotonic_ms());
    let mut failures = lock(failures);
    let wait_ms = failures.wait_ms(client, now_ms);
    if wait_ms > 0 {
        return Before::Answer(too_often(wait_ms));
    }
    // SECURITY: in a time that tells nothing of where they differ. The length is no secret.
    if sent.ct_eq(value).into() {
        failures.succeeded(client, "");
        return Before::Go;
    }
    failures.failed(client, Some(""), now_ms);
    Before::Answer(log_in("log in first"))
}

fn by_account(checker: &Arc<Checker>, call: &mut Call<'_>) -> Before {
    let mut values = call.head.all(Known::Authorization);
    let Some(value) = values.next() else { return Before::Go };
    let credentials = if values.next().is_none() { Credentials::parse(value) } else { None };
    let Some(credentials) = credentials else {
        return Before::Answer(log_in("log in with a name and a password"));
    };
    let wrong = match credentials {
        Credentials::Basic { .. } => "the name or the password is wrong",
        Credentials::Bearer { .. } => "the token is wrong",
    };
    let asked = Asked { credentials, client: call.caller.ip };
    if let Some(verdict) = checker.check_now(&asked) {
        return match answer(verdict, wrong) {
            Waited::Go { user } => {
                call.caller.user = user;
                Before::Go
            }
            Waited::Answer(response) => Before::Answer(response),
        };
    }
    let (checker, lane) = (Arc::clone(checker), call.lane.clone());
    Before::wait(async move { answer(checker.check(asked, lane).await, wrong) })
}

fn answer(verdict: Verdict, wrong: &'static str) -> Waited {
    Waited::Answer(match verdict {
        Verdict::User(user, _) => return Waited::Go { user: Some(user) },
        Verdict::Wrong => log_in(wrong),
        Verdict::TooOften { wait_ms } => too_often(wait_ms),
        Verdict::Busy => {
            let why = "too many passwords are being checked";
            Response::error(503, why).with_known("Retry-After", "1")
        }
    })
}

fn too_often(wait_ms: u64) -> Response {
    let seconds = wait_ms.div_ceil(1000);
    let why = format!("too many wrong passwords from this address: try again in {seconds} s");
    Response::error(429, why).with_known("Retry-After", seconds.to_string())
}

/// 401 with the challenge that makes browsers ask for a password.
fn log_in(why: &'static str) -> Response {
    Response::error(401, why).with_known("WWW-Authenticate", CHALLENGE)
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match &self.0 {
            Way::Accounts(..) => "accounts",
            Way::Header(..) => "header",
            Way::Function(_) => "function",
        };
        f.debug_tuple("Auth").field(&way).finish()
    }
}
