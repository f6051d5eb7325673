//! A transport inside TLS: bytes of the network on one side, those of the two who talk on the other.
//!
//! rustls is used without buffers of its own: what is read is decrypted from memory that the thread has for that, and what is
//! written is encrypted into such memory and sent from there. So a connection that waits keeps a part of a record, if that
//! much has come, and what the network has not taken yet; most often neither.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{Error, ServerConfig};

use super::super::transport::{Security, Transport};

/// Bytes of content that are encrypted for one write: four whole records.
const WRITE_BYTES: usize = 64 * 1024;

/// What a record has besides its content, at most (RFC 8446 §5.2).
const RECORD_OVERHEAD_BYTES: usize = 5 + 256;

/// Content of one record, at most.
const RECORD_BYTES: usize = 16 * 1024;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// SECURITY: bytes of a message that is not complete, at most. A greeting of a client has some hundred bytes, one that is
/// made for quantum computers 2 KiB; a record has a little more than 16 KiB.
pub(super) const UNFINISHED_BYTES_MAX: usize = 32 * 1024;

/// SECURITY: bytes that may come with hardly any content in them. New keys and empty records cost work (RFC 8446 §4.6.3, §5.4), and
/// nobody sees a deadline while they come as fast as they are read.
const BARREN_BYTES_MAX: usize = 256 * 1024;

/// One byte of content makes up for so many that came with it: enough for a record that is padded to a few hundred.
const BYTES_FOR_CONTENT: usize = 256;

/// The first byte of every connection that begins with TLS: a record of a handshake (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 0x16;

/// A [`Transport`] whose other end is to speak TLS. It reads and writes as it is until [`Transport::poll_secure`].
pub struct Secured<T> {
    io: T,
    state: Mutex<State>,
}

struct State {
    mode: Mode,
    /// Received, not complete enough to be decrypted.
    incoming: Vec<u8>,
    /// Decrypted and not yet taken, from there on.
    decrypted: Vec<u8>,
    taken: usize,
    /// Bytes received that no content has made up for.
    barren: usize,
    /// Encrypted and not yet sent, from there on.
    outgoing: Vec<u8>,
    sent: usize,
    /// The other end sends nothing more.
    has_ended: bool,
    /// This end sends nothing more, once everything is sent.
    is_closing: bool,
    /// The network has been told so.
    is_closed: bool,
    /// What was received is wrong.
    fault: Option<Error>,
}

enum Mode {
    /// Nothing is known yet.
    Before(Arc<ServerConfig>),
    /// The other end does not speak TLS.
    Missed,
    Tls(Box<UnbufferedServerConnection>),
}

thread_local! {
    /// What was just received. Within one call only.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; UNFINISHED_BYTES_MAX + READ_BYTES]);
    /// What is to be sent at once. Within one call only.
    static WRITE: RefCell<Vec<u8>> =
        RefCell::new(vec![0; WRITE_BYTES + (WRITE_BYTES / RECORD_BYTES + SLICES) * RECORD_OVERHEAD_BYTES]);
}

/// Slices encrypted for one write.
const SLICES: usize = 16;

impl<T> Secured<T> {
    /// Speaks TLS with the client at the other end of `io`, once it is asked to.
    pub fn new(io: T, config: Arc<ServerConfig>) -> Self {
        let state = State {
            mode: Mode::Before(config),
            incoming: Vec::new(),
            decrypted: Vec::new(),
            taken: 0,
            barren: 0,
            outgoing: Vec::new(),
            sent: 0,
            has_ended: false,
            is_closing: false,
            is_closed: false,
            fault: None,
        };
        Self { io, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // After a panic the connection ends; until then every step leaves what the next one needs.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: fmt::Debug> fmt::Debug for Secured<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of what was decrypted.
        f.debug_struct("Secured").field("io", &self.io).finish_non_exhaustive()
    }
}

impl<T: Transport> Transport for Secured<T> {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.lock();
        match state.reads_plainly() {
            true => self.io.try_read(buf),
            false => state.read(&self.io, &mut Room::of(buf)),
        }
    }

    fn try_read_onto(&self, buf: &mut dyn BufMut) -> io::Result<usize> {
        let mut state = self.lock();
        match state.reads_plainly() {
            true => self.io.try_read_onto(buf),
            false => state.read(&self.io, &mut Room::behind(buf)),
        }
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(buf)])
    }

    fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.lock();
        if !matches!(state.mode, Mode::Tls(_)) {
            return self.io.try_write_vectored(bufs);
        }
        if state.is_closing {
            return Err(ErrorKind::BrokenPipe.into());
        }
        state.send_outgoing(&self.io)?;
        state.write(&self.io, bufs)
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        // Whoever waits for the client only may still have to send the end, or what TLS itself has to say.
        if let Poll::Ready(Err(error)) = state.poll_outgoing(&self.io, cx) {
            return Poll::Ready(Err(error));
        }
        if state.has_decrypted() || state.has_ended || state.fault.is_some() {
            return Poll::Ready(Ok(()));
        }
        self.io.poll_read_ready(cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.lock().poll_outgoing(&self.io, cx))?;
        self.io.poll_write_ready(cx)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_outgoing(&self.io, cx)
    }

    fn poll_secure(&self, received: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        state.incoming.extend_from_slice(received);
        if !received.is_empty() {
            state.begin()?;
            state.receive_more(&mut Room::none());
        }
        loop {
            // What is wrong is told to the other end, if that takes it at once.
            let sent = state.poll_outgoing(&self.io, cx)?;
            if let Some(fault) = &state.fault {
                return Poll::Ready(Err(broken(fault)));
            }
            match &state.mode {
                Mode::Missed => return Poll::Ready(Ok(())),
                // Tickets may still wait: a client that sends much before it reads anything need not have room for them.
                Mode::Tls(tls) if !tls.is_handshaking() => return Poll::Ready(Ok(())),
                Mode::Before(_) | Mode::Tls(_) => {}
            }
            ready!(sent);
            if state.has_ended {
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
            match state.receive(&self.io, &mut Room::none()) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(self.io.poll_read_ready(cx))?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn security(&self) -> Security {
        match &self.lock().mode {
            Mode::Before(_) => Security::Expected,
            Mode::Missed => Security::Missed,
            Mode::Tls(_) => Security::Tls,
        }
    }

    fn has_chosen_http2(&self) -> bool {
        match &self.lock().mode {
            Mode::Tls(tls) => tls.alpn_protocol() == Some(super::HTTP2),
            Mode::Before(_) | Mode::Missed => false,
        }
    }

    fn held(&self) -> usize {
        let state = self.lock();
        state.incoming.len() + state.decrypted.len() + state.outgoing.len()
    }

    fn shutdown_write(&self) -> io::Result<()> {
        let mut state = self.lock();
        if !matches!(state.mode, Mode::Tls(_)) {
            return self.io.shutdown_write();
        }
        if !state.is_closing {
            state.say_end();
            state.is_closing = true;
        }
        match state.send_outgoing(&self.io) {
            // The rest goes out while the client's end is waited for.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            result => result,
        }
    }

    fn reset_on_drop(&self) {
        self.io.reset_on_drop();
    }

    fn set_unsent_max(&self, bytes: u32) {
        self.io.set_unsent_max(bytes);
    }
}

/// Where content goes that is read.
struct Room<'a> {
    place: Place<'a>,
    /// Bytes that have come.
    filled: usize,
    /// Bytes that may still come.
    left: usize,
}

enum Place<'a> {
    Slice(&'a mut [u8]),
    /// Behind what is there: memory that is not used yet need not be zeroed.
    Behind(&'a mut dyn BufMut),
}

impl<'a> Room<'a> {
    fn of(buf: &'a mut [u8]) -> Self {
        Self { left: buf.len(), place: Place::Slice(buf), filled: 0 }
    }

    fn behind(buf: &'a mut dyn BufMut) -> Self {
        Self { left: buf.chunk_mut().len(), place: Place::Behind(buf), filled: 0 }
    }

    /// For content that nobody waits for yet.
    fn none() -> Self {
        Self::of(&mut [])
    }

    /// Takes the first of these bytes, as many as there is room for, and returns the others.
    fn put<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(self.left));
        match &mut self.place {
            Place::Slice(buf) => buf[self.filled..][..now.len()].copy_from_slice(now),
            Place::Behind(buf) => buf.put_slice(now),
        }
        self.filled += now.len();
        self.left -= now.len();
        later
    }
}

impl State {
    /// Whether there is no TLS, and nothing is left of what was read to find that out.
    fn reads_plainly(&self) -> bool {
        !matches!(self.mode, Mode::Tls(_)) && !self.has_decrypted()
    }

    /// Reads what is there, until the room is full.
    fn read<T: Transport>(&mut self, io: &T, room: &mut Room<'_>) -> io::Result<usize> {
        self.take(room);
        while room.left > 0 && matches!(self.mode, Mode::Tls(_)) {
            let received = match &self.fault {
                Some(fault) => Err(broken(fault)),
                None if self.has_ended => break,
                None => self.receive(io, room),
            };
            match received {
                Ok(is_drained) if is_drained && room.filled > 0 => break,
                Ok(_) => {}
                Err(_) if room.filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(room.filled)
    }

    /// Copies what is decrypted already.
    fn take(&mut self, room: &mut Room<'_>) {
        let later = room.put(&self.decrypted[self.taken..]).len();
        self.taken = self.decrypted.len() - later;
        if later == 0 {
            self.decrypted = Vec::new();
            self.taken = 0;
        }
    }

    fn has_decrypted(&self) -> bool {
        self.taken < self.decrypted.len()
    }

    /// The first bytes say whether this is TLS at all.
    fn begin(&mut self) -> io::Result<()> {
        let Mode::Before(config) = &self.mode else { return Ok(()) };
        self.mode = match self.incoming.first() {
            None => return Ok(()),
            Some(&HANDSHAKE_RECORD) => {
                let tls = UnbufferedServerConnection::new(Arc::clone(config));
                Mode::Tls(Box::new(tls.map_err(io::Error::other)?))
            }
            Some(_) => {
                self.decrypted = std::mem::take(&mut self.incoming);
                Mode::Missed
            }
        };
        Ok(())
    }

    /// Reads once; content that there is no room for is kept. Returns whether that was all there is.
    fn receive<T: Transport>(&mut self, io: &T, room: &mut Room<'_>) -> io::Result<bool> {
        READ.with_borrow_mut(|memory| {
            let start = self.incoming.len();
            let end = start + READ_BYTES;
            memory[..start].copy_from_slice(&self.incoming);
            let count = io.try_read(&mut memory[start..end])?;
            if count == 0 {
                // Requests, chunks and frames say themselves where they end: what is cut is found out without TLS.
                self.has_ended = true;
                return Ok(true);
            }
            let is_drained = start + count < end;
            if let Mode::Before(_) = self.mode {
                self.incoming.extend_from_slice(&memory[start..start + count]);
                self.begin()?;
                self.receive_more(room);
                return Ok(is_drained);
            }
            let content = self.decrypt(&mut memory[..start + count], room);
            let worth = content.saturating_mul(BYTES_FOR_CONTENT);
            self.barren = (self.barren + count).saturating_sub(worth);
            if self.barren > BARREN_BYTES_MAX {
                self.fault.get_or_insert(Error::General("hardly any content comes".to_owned()));
            }
            match self.send_outgoing(io) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
                _ => Ok(is_drained),
            }
        })
    }

    /// Goes on with what was received before.
    fn receive_more(&mut self, room: &mut Room<'_>) {
        if matches!(self.mode, Mode::Tls(_)) {
            let mut incoming = std::mem::take(&mut self.incoming);
            self.decrypt(&mut incoming, room);
        }
    }

    /// Decrypts every complete record; keeps what follows, and content that there is no room for. Returns how much content it was.
    fn decrypt(&mut self, received: &mut [u8], room: &mut Room<'_>) -> usize {
        let Mode::Tls(tls) = &mut self.mode else { return 0 };
        let (mut used, mut content) = (0, 0);
        loop {
            let UnbufferedStatus { mut discard, state } =
                tls.process_tls_records(&mut received[used..]);
            let goes_on = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                discard += record.discard;
                                content += record.payload.len();
                                self.decrypted.extend_from_slice(room.put(record.payload));
                            }
                            Err(error) => self.fault = Some(error),
                        }
                    }
                    self.fault.is_none()
                }
                other => go_on(other, &mut self.outgoing, &mut self.has_ended, &mut self.fault),
            };
            used += discard;
            if !goes_on {
                break;
            }
        }
        if self.fault.is_some() {
            self.say_fault();
            return content;
        }
        self.incoming = received[used..].to_vec();
        if self.incoming.len() > UNFINISHED_BYTES_MAX {
            self.fault.get_or_insert(Error::General("a message is too long".to_owned()));
        }
        content
    }

    /// Has what is wrong told to the other end. rustls is not to look at anything received after that.
    fn say_fault(&mut self) {
        let Mode::Tls(tls) = &mut self.mode else { return };
        while tls.wants_write() {
            let Ok(ConnectionState::EncodeTlsData(mut data)) =
                tls.process_tls_records(&mut []).state
            else {
                return;
            };
            encode(&mut self.outgoing, |room| data.encode(room));
        }
    }

    /// Encrypts the start of what is to be written and sends it, or keeps it. Nothing is kept from before.
    fn write<T: Transport>(&mut self, io: &T, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        WRITE.with_borrow_mut(|memory| {
            let (taken, end) = self.encrypt(bufs, memory)?;
            let sent = match self.outgoing.is_empty() && end > 0 {
                true => match io.try_write(&memory[..end]) {
                    Ok(sent) => sent,
                    Err(error) if is_passing(&error) => 0,
                    Err(error) => return Err(error),
                },
                // What TLS itself has to say goes first.
                false => 0,
            };
            self.outgoing.extend_from_slice(&memory[sent..end]);
            Ok(taken)
        })
    }

    /// Returns how many bytes of content were taken, and how many bytes they are encrypted.
    fn encrypt(&mut self, bufs: &[IoSlice<'_>], memory: &mut [u8]) -> io::Result<(usize, usize)> {
        let (mut taken, mut end) = (0, 0);
        self.when_writable(|traffic| {
            for buf in bufs.iter().filter(|buf| !buf.is_empty()).take(SLICES) {
                let buf = &buf[..buf.len().min(WRITE_BYTES - taken)];
                end += traffic.encrypt(buf, &mut memory[end..])?;
                taken += buf.len();
            }
            Ok(())
        })?;
        Ok((taken, end))
    }

    /// Says that this end sends nothing more; a fault has said so.
    fn say_end(&mut self) {
        let mut end = Vec::new();
        let _ = self.when_writable(|traffic| {
            encode(&mut end, |room| match traffic.queue_close_notify(room) {
                Err(EncryptError::InsufficientSize(size)) => Err(size.into()),
                Err(EncryptError::EncryptExhausted) => Err(EncodeError::AlreadyEncoded),
                Ok(written) => Ok(written),
            });
            Ok(())
        });
        self.outgoing.append(&mut end);
    }

    /// Lets something be encrypted, after all that has to go before it.
    fn when_writable(
        &mut self,
        write: impl FnOnce(&mut WriteTraffic<'_, ServerConnectionData>) -> Result<(), EncryptError>,
    ) -> io::Result<()> {
        let Mode::Tls(tls) = &mut self.mode else { return Err(ErrorKind::NotConnected.into()) };
        if self.fault.is_some() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        loop {
            // With what there is of the next record: rustls knows how far into it it has come.
            let UnbufferedStatus { discard, state } = tls.process_tls_records(&mut self.incoming);
            let goes_on = match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    return write(&mut traffic).map_err(io::Error::other);
                }
                other => go_on(other, &mut self.outgoing, &mut self.has_ended, &mut self.fault),
            };
            self.incoming.drain(..discard);
            if !goes_on {
                return Err(ErrorKind::BrokenPipe.into());
            }
        }
    }

    /// Sends what is encrypted; then the end, if this is it.
    fn send_outgoing<T: Transport>(&mut self, io: &T) -> io::Result<()> {
        if self.outgoing.is_empty() && !self.is_closing {
            return Ok(());
        }
        while self.sent < self.outgoing.len() {
            match io.try_write(&self.outgoing[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outgoing = Vec::new();
        self.sent = 0;
        if self.is_closing && !self.is_closed {
            self.is_closed = true;
            return io.shutdown_write();
        }
        Ok(())
    }

    fn poll_outgoing<T: Transport>(
        &mut self,
        io: &T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            match self.send_outgoing(io) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(io.poll_write_ready(cx))?;
                }
                result => result?,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Does what TLS itself needs while somebody reads or writes content: notes what it has to say, that the other end has said its
/// last, and what is wrong. Returns whether that leads anywhere.
fn go_on(
    state: Result<ConnectionState<'_, '_, ServerConnectionData>, Error>,
    outgoing: &mut Vec<u8>,
    has_ended: &mut bool,
    fault: &mut Option<Error>,
) -> bool {
    match state {
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            encode(outgoing, |room| data.encode(room));
            true
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            true
        }
        Ok(ConnectionState::PeerClosed) => {
            *has_ended = true;
            true
        }
        // Data before the handshake is done (RFC 8446 §2.3) is off, as it may be sent twice.
        Ok(_) => false,
        Err(error) => {
            fault.get_or_insert(error);
            false
        }
    }
}

/// Appends what `encode` writes, into as much room as it asks for.
fn encode(out: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let start = out.len();
    let mut room = 256;
    loop {
        out.resize(start + room, 0);
        match encode(&mut out[start..]) {
            Ok(written) => return out.truncate(start + written),
            Err(EncodeError::InsufficientSize(size)) => room = size.required_size,
            Err(EncodeError::AlreadyEncoded) => return out.truncate(start),
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn broken(fault: &Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, fault.clone())
}
