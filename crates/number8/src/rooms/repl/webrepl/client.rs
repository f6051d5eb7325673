//! One client of WebREPL, from its password to its end: what the program writes goes to it, and what it sends is typed, or asks
//! for a file.

use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use number8_proto::webrepl::{CONNECTED, Code, Conn, Event, PROMPT, Request};
use number8_proto::ws::Kind;
use tokio::time::timeout;

use super::super::terminal::{Role, Seat};
use super::super::transfer::{Get, Put};
use super::{Inner, Login, Unknown};
use crate::access::{Access, Rights};
use crate::server::clock;
use crate::server::lane::Lane;
use crate::standing::Standing;
use crate::sync::lock;
use crate::ws::{CloseCode, Message, Socket, SocketError, SocketReceiver, SocketSender};

/// One client, and what is known of it.
pub(super) struct Client {
    pub(super) inner: Arc<Inner>,
    pub(super) access: Arc<Access>,
    pub(super) user: Option<Arc<str>>,
    /// The path that the right to the terminal is about.
    pub(super) path: Vec<u8>,
    pub(super) lane: Lane,
    pub(super) client: Option<IpAddr>,
}

impl Client {
    pub(super) async fn talk(mut self, socket: Socket) -> Result<CloseCode, SocketError> {
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
            match timeout(self.inner.shared.limits.login_time, known).await {
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
            () = self.forbidden() => return Ok(CloseCode::POLICY),
        }?;
        Ok(CloseCode::NORMAL)
    }

    /// Waits for other rules that take the right away.
    async fn forbidden(&self) {
        match self.access.granted_for(self.user.as_ref(), Rights::REPL, &self.path) {
            Some(granted) => Standing::new(granted).over().await,
            None => pending().await,
        }
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
            let may_guess = self.may_guess(login);
            let is_right = match password {
                Some(password) if may_guess => self.is_right(login, password).await,
                _ => false,
            };
            let may = self.access.decide(Some(&login.user), Rights::REPL, b"/").is_ok();
            if is_right {
                lock(&self.inner.shared.failures).succeeded(self.client, &login.user);
            }
            return Ok((is_right && may).then_some(left));
        }
    }

    /// Whether the client has not to wait after wrong passwords.
    ///
    /// SECURITY: this one counts as wrong until it was right, so that of those who were let in together one may try.
    fn may_guess(&self, login: &Login) -> bool {
        let mut failures = lock(&self.inner.shared.failures);
        let now_ms = clock::monotonic_ms();
        let may = failures.wait_ms(self.client, now_ms) == 0;
        if may {
            failures.failed(self.client, Some(&login.user), now_ms);
        }
        may
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
                        seat.write(&mut conn.release().into()).await;
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
                Event::Input(typed) => Next::Type(typed.into()),
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
            Next::Type(mut bytes) => {
                seat.write(&mut bytes).await;
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

/// Sends what the program writes from `place` on, to its end: the clients of WebREPL have no way to start it anew but to
/// come back.
async fn show(sender: &SocketSender, seat: &Seat, mut place: u64) -> Result<(), SocketError> {
    let mut news = seat.news();
    loop {
        // Before what it has written is read, so that none of that is missed.
        let has_ended = seat.told().ended.is_some();
        loop {
            let text = seat.read(&mut place);
            if text.is_empty() {
                break;
            }
            sender.send(text).await?;
        }
        if has_ended || seat.is_taken() || news.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// What the client sent, as our own.
enum Next {
    Type(BytesMut),
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

/// The version of the protocol's device that is told: that of MicroPython whose raw REPL the agent speaks.
const VERSION: [u8; 3] = [1, 22, 0];
/// SECURITY: a device keeps ten characters; nobody's password is longer than this, and what is longer is wrong.
const PASSWORD_BYTES_MAX: usize = 128;
/// How long the first prompt is waited for.
const PROMPT_TIME: Duration = Duration::from_secs(5);
/// How long `W` may be the beginning of a record.
const HELD_TIME: Duration = Duration::from_millis(250);
