//! The terminal for the clients of MicroPython's WebREPL, on a listener of its own.
//!
//! A request goes through these steps, and each may end it:
//!
//! 1. a request for no WebSocket gets a page;
//! 2. a page that sent it has to be ours, while programs may name any host;
//! 3. nobody else is connected, and the client has not guessed too often;
//! 4. the password, in time, and still without having guessed too often;
//! 5. the account that it stands for has the right `repl`.
//!
//! Then there are two directions until one of them ends: what the program writes, as texts; and what the client sends,
//! which is typed, or asks for a file.

mod client;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use number8_proto::headers::Known;
use number8_proto::host::name_of;
use number8_proto::http1::{Head, Method};
use number8_proto::ws::handshake;
use tokio::sync::Semaphore;

use super::Repl;
use super::transfer::Files;
use crate::access::Rights;
use crate::accounts::{AccountError, Accounts, WORK_MAX};
use crate::handler::{Answer, Call, Handler};
use crate::layers::auth::failures::{Failures, network};
use crate::layers::same_origin::SameOrigin;
use crate::response::{Response, try_again};
use crate::results::IntoResponse;
use crate::server::clock;
use crate::store::{Reach, Root, RootOptions};
use crate::sync::lock;
use crate::ws::{ALLOW, CloseCode, Origins, Settings, open};
use client::Client;

/// Speaks MicroPython's WebREPL: terminal and files for `webrepl_cli.py`, Thonny, ViperIDE and the official page. Mount it
/// at `/` of an app of its own, with its own server: its clients name a foreign host and know no login but its own.
///
/// It is a viewer of a [`Repl`] that is alone at the keys while it is connected; a second client is turned away. What it
/// may do with files is what the app's rules allow the account of its password, or everyone where there is none.
///
/// ```no_run
/// use number8::access::{Access, Rights, Rule};
/// use number8::{App, Repl, Server, WebRepl};
///
/// let repl = Repl::new("shared")?;
/// let webrepl = WebRepl::new(&repl).password("joe", "secret")?.files("shared")?;
/// let access = Access::new([Rule::user("joe", "/", Rights::RW | Rights::REPL)?]);
/// Server::bind(App::new().access(access).mount("/", webrepl), "[::]:8266")?.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct WebRepl {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    repl: Repl,
    login: Option<Login>,
    files: Files,
    same_origin: SameOrigin,
    page: Option<Arc<Page>>,
    shared: Arc<Shared>,
}

type Page = dyn Fn(&WebReplPage<'_>) -> Response + Send + Sync;

/// What the page of this port can tell those who come with a browser.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WebReplPage<'a> {
    /// Where clients connect to, as the browser names it: a name or an address and, if there is one, the port.
    pub place: &'a str,
    /// The same without the port; an IPv6 address has brackets.
    pub host: &'a str,
    /// Whether they are asked for a password.
    pub asks_password: bool,
}

#[derive(Clone)]
struct Login {
    user: Arc<str>,
    accounts: Accounts,
}

struct Shared {
    limits: WebReplLimits,
    failures: Mutex<Failures>,
    /// The networks of clients that have not said the password yet.
    unknown: Mutex<Vec<Option<IpAddr>>>,
    /// Each hash takes memory and time of a core.
    hashing: Arc<Semaphore>,
}

/// How much is done for clients that have not said the password.
#[derive(Clone, Copy, Debug)]
pub struct WebReplLimits {
    /// How long a client may take to say it. Default 1 minute.
    pub login_time: Duration,
    /// Clients that are asked for it at a time; one more is answered 503. Default 32.
    pub asked_max: usize,
    /// The same, of one address, or one /64 of IPv6. Default 4.
    pub asked_per_client_max: usize,
    /// Password hashes at once, at least one: each may take 19 MiB and tens of milliseconds of a core. Default 2.
    pub hashes_max: usize,
    /// Wrong passwords of one client before it has to wait: a second, then twice as long each time up to a minute,
    /// with 429. Default 3.
    pub failures_free: u32,
    /// How much work checking the password may be, as
    /// [`Accounts::work_max`]. Default 5 seconds.
    pub work_max: Duration,
}

impl Default for WebReplLimits {
    fn default() -> Self {
        Self {
            login_time: Duration::from_secs(60),
            asked_max: 32,
            asked_per_client_max: 4,
            hashes_max: 2,
            failures_free: 3,
            work_max: WORK_MAX,
        }
    }
}

impl Shared {
    fn new(limits: WebReplLimits) -> Self {
        Self {
            limits,
            failures: Mutex::new(Failures::new(limits.failures_free)),
            unknown: Mutex::default(),
            hashing: Arc::new(Semaphore::new(limits.hashes_max.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// SECURITY: those who never say the password must not keep others out.
    fn has_room(&self, unknown: &[Option<IpAddr>], client: Option<IpAddr>) -> bool {
        let client = network(client);
        let own = unknown.iter().filter(|other| **other == client).count();
        own < self.limits.asked_per_client_max && unknown.len() < self.limits.asked_max
    }
}

impl WebRepl {
    /// The terminal of this room. Nobody is asked for a password: what everyone may do goes.
    #[must_use]
    pub fn new(repl: &Repl) -> Self {
        let shared = Shared::new(WebReplLimits::default());
        Self {
            inner: Arc::new(Inner {
                repl: repl.clone(),
                login: None,
                files: Files::default(),
                same_origin: SameOrigin::new(),
                page: None,
                shared: Arc::new(shared),
            }),
        }
    }

    /// Asks for this password, or that of this hash (argon2id, bcrypt or `$6$`). It stands for the account of that name:
    /// what the rules allow it bounds what the client may do.
    ///
    /// Who guesses has to wait: [`WebReplLimits::failures_free`].
    ///
    /// # Errors
    /// The password is empty, or the hash is not whole or more work than the [limits](Self::limits) that were given before
    /// allow; or the system gives no random bytes.
    pub fn password(mut self, account: &str, secret: &str) -> Result<Self, AccountError> {
        let work_max = self.inner.shared.limits.work_max;
        let accounts = Accounts::new()?.work_max(work_max).password(account, secret)?;
        Arc::make_mut(&mut self.inner).login = Some(Login { user: account.into(), accounts });
        Ok(self)
    }

    /// Does more, or less, for clients that have not said the password.
    #[must_use]
    pub fn limits(mut self, limits: WebReplLimits) -> Self {
        Arc::make_mut(&mut self.inner).shared = Arc::new(Shared::new(limits));
        self
    }

    /// Puts files into this folder, and gets them from there. Without, there are no files.
    ///
    /// # Errors
    /// It is not there.
    pub fn files(self, folder: impl AsRef<Path>) -> io::Result<Self> {
        self.files_with_reach(folder, Reach::default())
    }

    /// As [`WebRepl::files`], but says what may be reached.
    ///
    /// # Errors
    /// As for [`WebRepl::files`].
    pub fn files_with_reach(mut self, folder: impl AsRef<Path>, reach: Reach) -> io::Result<Self> {
        let root = Root::open(folder.as_ref(), RootOptions::from(reach))?;
        Arc::make_mut(&mut self.inner).files.root = Some(root);
        Ok(self)
    }

    /// The path under which the folder of the files is served: what access rules know it by. Default `/`.
    #[must_use]
    pub fn served_under(mut self, path: &str) -> Self {
        Arc::make_mut(&mut self.inner).files.prefix = path.trim_end_matches('/').into();
        self
    }

    /// The largest file that is taken. Default: as large as its length can say, 4 GiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        Arc::make_mut(&mut self.inner).files.bytes_max = bytes;
        self
    }

    /// Bytes that stay free on the disk. Default 64 MiB.
    #[must_use]
    pub fn keep_free(mut self, bytes: u64) -> Self {
        Arc::make_mut(&mut self.inner).files.stage.keep_free_bytes = bytes;
        self
    }

    /// A page of your own for browsers that ask for no WebSocket, at whatever path. Default: a text that says what this port
    /// is for.
    #[must_use]
    pub fn page(
        mut self,
        page: impl Fn(&WebReplPage<'_>) -> Response + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.inner).page = Some(Arc::new(page));
        self
    }

    /// Judges pages as this layer does, which knows our names and whom to let in.
    #[must_use]
    pub fn same_origin(mut self, layer: SameOrigin) -> Self {
        Arc::make_mut(&mut self.inner).same_origin = layer;
        self
    }

    /// Adds a name by which pages reach this server; IP addresses and `localhost` count as ours anyway.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        let inner = Arc::make_mut(&mut self.inner);
        inner.same_origin = std::mem::take(&mut inner.same_origin).host(name);
        self
    }

    /// Lets pages of this site in, too: `http://board.local` where the board's own pages are on another port.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        let inner = Arc::make_mut(&mut self.inner);
        inner.same_origin = std::mem::take(&mut inner.same_origin).origin(origin);
        self
    }
}

impl Handler for WebRepl {
    fn handle(&self, call: Call<'_>) -> Answer {
        match call.head.method() {
            Method::Options => return Response::options(ALLOW).into(),
            Method::Get | Method::Head => {}
            _ => return Response::not_allowed(ALLOW).into(),
        }
        if call.head.method() == Method::Head || handshake(call.head, true).is_err() {
            return self.inner.page(call.head).into();
        }
        if let Some(refusal) = self.inner.refusal(&call) {
            return refusal.into();
        }
        // Those who keep to the standard answer pings; the others have never heard of them.
        let is_standard = call.head.named("Sec-WebSocket-Version").is_some();
        let mut settings = Settings { origins: Origins::Any, ..Settings::default() };
        settings.limits.lenient = true;
        settings.patience.ping_every = settings.patience.ping_every.filter(|_| is_standard);
        let access = Arc::clone(call.access());
        let (inner, lane, client) = (Arc::clone(&self.inner), call.lane.clone(), call.caller.ip);
        let user = call.caller.user.clone();
        let path = match inner.login {
            Some(_) => b"/".to_vec(),
            None => call.url_path().into_owned(),
        };
        let talk = |socket| -> crate::ws::Talking {
            Box::pin(async move {
                let client = Client { inner, access, user, path, lane, client };
                match client.talk(socket).await {
                    Ok(code) => code,
                    Err(_) => CloseCode::NORMAL,
                }
            })
        };
        open(&settings, call.head, call.caller, talk).into()
    }

    fn allow(&self) -> &str {
        ALLOW
    }
}

impl fmt::Debug for WebRepl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRepl").field("files", &self.inner.files).finish_non_exhaustive()
    }
}

impl Inner {
    fn page(&self, head: &Head<'_>) -> Response {
        let Some(page) = &self.page else { return ABOUT.into_response() };
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        let place = head.host().unwrap_or_default();
        let asks_password = self.login.is_some();
        page(&WebReplPage { place: text(place), host: text(name_of(place)), asks_password })
    }

    /// Why this client gets no prompt.
    fn refusal(&self, call: &Call<'_>) -> Option<Response> {
        if is_of_page(call.head)
            && let Some(refusal) = self.same_origin.refusal(call.head, call.caller)
        {
            return Some(refusal);
        }
        if self.login.is_none()
            && let Err(refused) = call.may(Rights::REPL)
        {
            return Some(refused.into_response());
        }
        if self.repl.terminal().is_taken() {
            return Some(try_again("somebody else is connected"));
        }
        if self.login.is_some()
            && !self.shared.has_room(&lock(&self.shared.unknown), call.caller.ip)
        {
            return Some(try_again("as many are asked for their password as may"));
        }
        let wait_ms = lock(&self.shared.failures).wait_ms(call.caller.ip, clock::monotonic_ms());
        (wait_ms > 0).then(|| {
            Response::error(429, "too many wrong passwords; wait, then try again")
                .with_known("Retry-After", wait_ms.div_ceil(1000).to_string())
        })
    }
}

/// SECURITY: a browser says so itself where a page asks. What says nothing is a program.
fn is_of_page(head: &Head<'_>) -> bool {
    head.has(Known::Origin) || head.named("Sec-Fetch-Site").is_some()
}

/// A place among those who have not said the password.
struct Unknown {
    shared: Arc<Shared>,
    client: Option<IpAddr>,
}

impl Unknown {
    fn take(shared: &Arc<Shared>, client: Option<IpAddr>) -> Option<Self> {
        let mut unknown = lock(&shared.unknown);
        if !shared.has_room(&unknown, client) {
            return None;
        }
        let client = network(client);
        unknown.push(client);
        Some(Self { shared: Arc::clone(shared), client })
    }
}

impl Drop for Unknown {
    fn drop(&mut self) {
        let mut unknown = lock(&self.shared.unknown);
        if let Some(at) = unknown.iter().position(|client| *client == self.client) {
            unknown.swap_remove(at);
        }
    }
}

/// What a browser is shown.
const ABOUT: &str = "This port is for the WebREPL clients of MicroPython: webrepl_cli.py, Thonny, ViperIDE.\n\
    They connect to it as ws://HOST:PORT/ and ask for the password.\n";
