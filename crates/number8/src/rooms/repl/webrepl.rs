//! The terminal for the clients of MicroPython's WebREPL, on a listener of its own.
//!
//! A request goes through these steps, and each may end it:
//!
//! 1. a request for no WebSocket gets a page;
//! 2. a page that sent it has to be ours, while programs may name any host;
//! 3. nobody else is connected, and the client has not guessed too often;
//! 4. the password, within a minute;
//! 5. the account that it stands for has the right `repl`.
//!
//! Then there are two directions until one of them ends: what the program writes, as texts; and what the client sends,
//! which is typed, or asks for a file.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use number8_proto::headers::Known;
use number8_proto::http1::{Head, Method};
use number8_proto::webrepl::{CONNECTED, Code, Conn, Event, PROMPT, Request};
use number8_proto::ws::{Kind, handshake};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Repl;
use super::terminal::{Role, Seat};
use super::transfer::{Files, Get, Put};
use crate::access::{Access, Rights};
use crate::accounts::{AccountError, Accounts};
use crate::app::{not_allowed, options};
use crate::handler::{Answer, Call, Handler};
use crate::layers::auth::failures::Failures;
use crate::layers::same_origin::SameOrigin;
use crate::response::{Response, try_again};
use crate::results::IntoResponse;
use crate::server::clock;
use crate::server::lane::Lane;
use crate::server::worker::lock;
use crate::store::{Reach, Root, RootOptions};
use crate::ws::{
    ALLOW, CloseCode, Message, Origins, Settings, Socket, SocketError, SocketReceiver,
    SocketSender, open,
};

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
    page: Option<Bytes>,
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Login {
    user: Arc<str>,
    accounts: Accounts,
}

struct Shared {
    failures: Mutex<Failures>,
    /// Clients that have not said the password yet.
    unknown: Mutex<Vec<Option<IpAddr>>>,
    /// Each hash takes memory and time of a core.
    hashing: Arc<Semaphore>,
}

impl WebRepl {
    /// The terminal of this room. Nobody is asked for a password: what everyone may do goes.
    #[must_use]
    pub fn new(repl: &Repl) -> Self {
        let shared = Shared {
            failures: Mutex::new(Failures::new(FAILURES_FREE)),
            unknown: Mutex::default(),
            hashing: Arc::new(Semaphore::new(HASHES_MAX)),
        };
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
    /// A client that has been wrong three times has to wait: a second, then twice as long each time, up to a minute.
    ///
    /// # Errors
    /// The password is empty, or the hash is not whole; or the system gives no random bytes.
    pub fn password(mut self, account: &str, secret: &str) -> Result<Self, AccountError> {
        let accounts = Accounts::new()?.password(account, secret)?;
        Arc::make_mut(&mut self.inner).login = Some(Login { user: account.into(), accounts });
        Ok(self)
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

    /// The page, as HTML, for browsers that ask for no WebSocket. Default: a text that says what this port is for.
    #[must_use]
    pub fn page(mut self, html: impl Into<Bytes>) -> Self {
        Arc::make_mut(&mut self.inner).page = Some(html.into());
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
            Method::Options => return options(ALLOW).into(),
            Method::Get | Method::Head => {}
            _ => return not_allowed(ALLOW).into(),
        }
        if call.head.method() == Method::Head || handshake(call.head, true).is_err() {
            return self.inner.page().into();
        }
        if let Some(refusal) = self.inner.refusal(&call) {
            return refusal.into();
        }
        // Those who keep to the standard answer pings; the others have never heard of them.
        let is_standard = call.head.named("Sec-WebSocket-Version").is_some();
        let mut settings = Settings { origins: Origins::Any, ..Settings::default() };
        settings.limits.lenient = true;
        settings.ping_every = settings.ping_every.filter(|_| is_standard);
        let access = Arc::clone(call.access());
        let (inner, lane, client) = (Arc::clone(&self.inner), call.lane.clone(), call.caller.ip);
        let user = call.caller.user.clone();
        let talk = |socket| -> crate::ws::Talking {
            Box::pin(async move {
                let client = Client { inner, access, user, lane, client };
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
    fn page(&self) -> Response {
        match &self.page {
            Some(page) => crate::results::Html(page.clone()).into_response(),
            None => ABOUT.into_response(),
        }
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
        if self.login.is_some() && !Unknown::has_room(&lock(&self.shared.unknown), call.caller.ip) {
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

/// One client, and what is known of it.
struct Client {
    inner: Arc<Inner>,
    access: Arc<Access>,
    user: Option<Arc<str>>,
    lane: Lane,
    client: Option<IpAddr>,
}

impl Client {
    async fn talk(mut self, socket: Socket) -> Result<CloseCode, SocketError> {
        let (sender, mut receiver) = socket.split();
        let mut left = Bytes::new();
        let mut conn = Conn::open();
        if let Some(login) = self.inner.login.clone() {
            conn = Conn::new(PASSWORD_BYTES_MAX);
            let Some(_place) = Unknown::take(&self.inner.shared, self.client) else {
                return Ok(CloseCode::TRY_AGAIN);
            };
            sender.send(PROMPT).await?;
            let known = self.log_in(&mut conn, &login, &mut receiver);
            match timeout(LOGIN_TIME, known).await {
                Ok(Ok(Some(rest))) => left = rest,
                Ok(Ok(None)) => {
                    sender.send(conn.login(false)).await?;
                    return Ok(CloseCode::POLICY);
                }
                Ok(Err(error)) => return Err(error),
                Err(_late) => return Ok(CloseCode::POLICY),
            }
            self.user = Some(login.user);
        }
        let Some(seat) = self.inner.repl.terminal().sit(Role::Alone, &self.lane) else {
            return Ok(CloseCode::TRY_AGAIN);
        };
        let first = self.first_prompt(&seat).await;
        // The text holds the prompt that is there.
        sender
            .send(match self.inner.login {
                Some(_) => conn.login(true),
                None => CONNECTED,
            })
            .await?;
        tokio::select! {
            end = show(&sender, &seat, first) => end,
            end = self.hear(&sender, &mut receiver, conn, &seat, left) => end,
        }?;
        Ok(CloseCode::NORMAL)
    }

    /// What the message of the right password holds besides; `None` where it is wrong.
    async fn log_in(
        &self,
        conn: &mut Conn,
        login: &Login,
        receiver: &mut SocketReceiver,
    ) -> Result<Option<Bytes>, SocketError> {
        loop {
            let Some(message) = receiver.receive().await? else { return Err(SocketError::Closed) };
            let (kind, mut bytes) = content(message);
            let (used, event) = conn.receive(kind, &bytes);
            let Event::Password(password) = event else { continue };
            let password = password.map(<[u8]>::to_vec);
            let left = bytes.split_off(used);
            let is_right = match password {
                Some(password) => self.is_right(login, password).await,
                None => false,
            };
            let may = self.access.decide(Some(&login.user), Rights::REPL, b"/").is_ok();
            let mut failures = lock(&self.inner.shared.failures);
            match is_right {
                true => failures.succeeded(self.client),
                false => failures.failed(self.client, clock::monotonic_ms()),
            }
            return Ok((is_right && may).then_some(left));
        }
    }

    async fn is_right(&self, login: &Login, password: Vec<u8>) -> bool {
        let Ok(permit) = Arc::clone(&self.inner.shared.hashing).acquire_owned().await else {
            return false;
        };
        let login = login.clone();
        let check = move || {
            let is_right = login.accounts.user(&login.user, &password).is_some();
            // SECURITY: a hash goes on when its client has gone, so the permit stays with the hash.
            drop(permit);
            is_right
        };
        match self.lane.submit(check) {
            Ok(job) => job.await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// Waits for the prompt of a program that is just starting. What there is by then nobody is sent.
    async fn first_prompt(&self, seat: &Seat) -> u64 {
        if seat.told().ended.is_some() {
            seat.restart(&self.lane);
        }
        if self.inner.repl.terminal().is_agent() && !seat.has_spoken() {
            let mut news = seat.news();
            let spoken = async { while !seat.shows(b">>> ") && news.changed().await.is_ok() {} };
            // If it takes longer, it is shown late.
            let _ = timeout(PROMPT_TIME, spoken).await;
        }
        seat.end()
    }

    /// Takes what the client sends.
    async fn hear(
        &self,
        sender: &SocketSender,
        receiver: &mut SocketReceiver,
        mut conn: Conn,
        seat: &Seat,
        left: Bytes,
    ) -> Result<(), SocketError> {
        let mut transfer = Transfer::Nothing;
        self.take(sender, &mut conn, seat, &mut transfer, (Kind::Binary, left)).await?;
        loop {
            let message = match conn.is_holding() {
                false => receiver.receive().await?,
                true => match timeout(HELD_TIME, receiver.receive()).await {
                    Ok(message) => message?,
                    Err(_late) => {
                        let typed = Bytes::copy_from_slice(conn.release());
                        seat.write(typed).await;
                        continue;
                    }
                },
            };
            let Some(message) = message else { return Ok(()) };
            if !seat.hear() {
                return Ok(());
            }
            self.take(sender, &mut conn, seat, &mut transfer, content(message)).await?;
        }
    }

    /// Takes one message.
    async fn take(
        &self,
        sender: &SocketSender,
        conn: &mut Conn,
        seat: &Seat,
        transfer: &mut Transfer,
        (kind, mut bytes): (Kind, Bytes),
    ) -> Result<(), SocketError> {
        while !bytes.is_empty() {
            let (used, event) = conn.receive(kind, &bytes);
            let next = match event {
                Event::NeedMore | Event::Password(_) => return Ok(()),
                Event::Input(typed) => Next::Type(Bytes::copy_from_slice(typed)),
                Event::Content { bytes, is_last } => {
                    Next::Write { bytes: Bytes::copy_from_slice(bytes), is_last }
                }
                Event::More => Next::Read,
                Event::Request(Request::Version) => Next::Version,
                Event::Request(Request::Unknown) => Next::Refuse,
                Event::Request(Request::Put { name, size }) => {
                    Next::Put { name: name.into(), size }
                }
                Event::Request(Request::Get { name }) => Next::Get { name: name.into() },
            };
            let _ = bytes.split_to(used);
            self.go_on(sender, conn, seat, transfer, next).await?;
        }
        Ok(())
    }

    async fn go_on(
        &self,
        sender: &SocketSender,
        conn: &mut Conn,
        seat: &Seat,
        transfer: &mut Transfer,
        next: Next,
    ) -> Result<(), SocketError> {
        let files = &self.inner.files;
        let who = (&*self.access, self.user.as_deref());
        let answer = match next {
            Next::Type(bytes) => {
                seat.write(bytes).await;
                return Ok(());
            }
            Next::Version => {
                let version = conn.version(VERSION);
                return sender.send(version.to_vec()).await;
            }
            Next::Refuse => Code::BAD_REQUEST,
            Next::Put { name, size } => match files.put(&self.lane, who, &name, size).await {
                Ok(put) if size == 0 => {
                    sender.send(conn.answer(Code::OK).to_vec()).await?;
                    put.commit(&self.lane).await
                }
                Ok(put) => {
                    *transfer = Transfer::Put(put);
                    Code::OK
                }
                Err(code) => code,
            },
            Next::Write { bytes, is_last } => {
                let Transfer::Put(put) = transfer else { return Ok(()) };
                put.write(&self.lane, bytes).await;
                match (is_last, std::mem::take(transfer)) {
                    (true, Transfer::Put(put)) => put.commit(&self.lane).await,
                    (_, going_on) => {
                        *transfer = going_on;
                        return Ok(());
                    }
                }
            }
            Next::Get { name } => match files.get(&self.lane, who, &name).await {
                Ok(get) => {
                    *transfer = Transfer::Get(get);
                    Code::OK
                }
                Err(code) => code,
            },
            Next::Read => {
                let Transfer::Get(get) = transfer else { return Ok(()) };
                let piece = get.read(&self.lane).await;
                let mut out = Vec::new();
                let code = match &piece {
                    Ok(piece) if !piece.is_empty() => None,
                    Ok(_) => Some(Code::OK),
                    Err(code) => Some(*code),
                };
                conn.piece(&piece.unwrap_or_default(), &mut out);
                sender.send(out).await?;
                match code {
                    None => return Ok(()),
                    Some(code) => {
                        *transfer = Transfer::Nothing;
                        code
                    }
                }
            }
        };
        sender.send(conn.answer(answer).to_vec()).await
    }
}

/// Sends what the program writes from `place` on.
async fn show(sender: &SocketSender, seat: &Seat, mut place: u64) -> Result<(), SocketError> {
    let mut news = seat.news();
    loop {
        loop {
            let text = seat.read(&mut place);
            if text.is_empty() {
                break;
            }
            sender.send(text).await?;
        }
        if seat.is_taken() || news.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// What the client sent, as our own.
enum Next {
    Type(Bytes),
    Write { bytes: Bytes, is_last: bool },
    Read,
    Version,
    Refuse,
    Put { name: Vec<u8>, size: u32 },
    Get { name: Vec<u8> },
}

/// The file that is under way.
#[derive(Default)]
enum Transfer {
    #[default]
    Nothing,
    Put(Put),
    Get(Get),
}

fn content(message: Message) -> (Kind, Bytes) {
    match message {
        Message::Text(text) => (Kind::Text, text.into()),
        Message::Binary(bytes) => (Kind::Binary, bytes),
    }
}

/// A place among those who have not said the password.
struct Unknown {
    shared: Arc<Shared>,
    client: Option<IpAddr>,
}

impl Unknown {
    fn take(shared: &Arc<Shared>, client: Option<IpAddr>) -> Option<Self> {
        let mut unknown = lock(&shared.unknown);
        if !Self::has_room(&unknown, client) {
            return None;
        }
        unknown.push(client);
        Some(Self { shared: Arc::clone(shared), client })
    }

    /// SECURITY: those who never say the password must not keep others out.
    fn has_room(unknown: &[Option<IpAddr>], client: Option<IpAddr>) -> bool {
        let own = unknown.iter().filter(|other| **other == client).count();
        own < UNKNOWN_PER_CLIENT_MAX && unknown.len() < UNKNOWN_MAX
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
/// The version of the protocol's device that is told: that of MicroPython whose raw REPL the agent speaks.
const VERSION: [u8; 3] = [1, 22, 0];
/// SECURITY: a device keeps ten characters; nobody's password is longer than this, and what is longer is wrong.
const PASSWORD_BYTES_MAX: usize = 128;
/// Clients that are asked for their password at once, and such connections of one address.
const UNKNOWN_MAX: usize = 32;
const UNKNOWN_PER_CLIENT_MAX: usize = 4;
const LOGIN_TIME: Duration = Duration::from_secs(60);
const HASHES_MAX: usize = 2;
const FAILURES_FREE: u32 = 3;
/// How long the first prompt is waited for.
const PROMPT_TIME: Duration = Duration::from_secs(5);
/// How long `W` may be the beginning of a record.
const HELD_TIME: Duration = Duration::from_millis(250);
