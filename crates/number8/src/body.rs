//! Content: of an answer, to be sent; of a request, as it arrives.

mod error;
mod incoming;
#[cfg_attr(not(feature = "tower"), allow(dead_code, reason = "a service has such content"))]
mod limited;
mod read;
mod sender;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes};
use futures_core::Stream;
use number8_proto::headers::Fields;
use number8_proto::http1::BodySize;

pub use error::BodyError;
#[cfg_attr(
    not(feature = "http2"),
    allow(unused_imports, reason = "HTTP/2 has windows of its own")
)]
pub(crate) use incoming::channel_in;
#[cfg(feature = "uploads")]
pub(crate) use incoming::join_small;
pub(crate) use incoming::{Feeder, Gathered, Incoming, Memory, Queue, channel};
use limited::{Limited, Sized};
pub use read::BodyReader;
pub use sender::Sender;

use crate::broadcast::{Frame, Subscription};
use crate::session::Session;
use crate::store::File;

/// A stream of content, chunk by chunk; an error cuts the message where it is.
pub type ChunkStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The content of a message: nothing, bytes, parts of files, a stream, or what a client is sending.
///
/// ```
/// let body = number8::Body::from("Hello, world.");
/// assert_eq!(body.len(), Some(13));
/// ```
#[derive(Default)]
pub struct Body {
    pub(crate) kind: Kind,
}

#[derive(Default)]
pub(crate) enum Kind {
    #[default]
    Empty,
    Bytes(Bytes, Whose),
    /// Bytes and parts of files in turn: one file, a range of it, or several ranges with their heads.
    Parts(VecDeque<Part>),
    /// A stream, its length where it is known, and what it tells.
    Stream(ChunkStream, Option<u64>, Option<Box<Told>>),
    Incoming(Incoming),
    Limited(Box<Limited>),
    Broadcast(Box<Broadcast>),
    /// Nothing of HTTP follows: the connection is handed over.
    Session(Box<Takeover>),
}

/// What a stream tells of itself, where it does.
#[derive(Default)]
pub(crate) struct Told {
    /// How many bytes it holds: the sum of these.
    held: Vec<Held>,
    /// The fields behind it.
    trailers: Option<Trailing>,
}

/// Where stands how many bytes content holds.
#[derive(Clone)]
pub(crate) enum Held {
    Told(Arc<AtomicUsize>),
    Queued(Queue),
}

impl Held {
    fn bytes(&self) -> usize {
        match self {
            Self::Told(bytes) => bytes.load(Ordering::Relaxed),
            Self::Queued(queue) => queue.bytes(),
        }
    }
}

/// The fields behind a stream, once it is at its end.
pub(crate) type Trailing = Arc<Mutex<Option<Fields>>>;

/// What takes over a connection.
pub(crate) struct Takeover {
    /// The protocol that 101 names; without one there is no head at all.
    pub(crate) protocol: Option<&'static str>,
    pub(crate) session: Box<dyn Session>,
}

/// What many connections get at once.
pub(crate) struct Broadcast {
    /// For this connection alone, before everything else.
    pub(crate) first: Option<Frame>,
    pub(crate) subscription: Subscription,
}

/// Where the next content of a message is ([`Body::chunk_into`]).
#[derive(Debug)]
pub enum Chunk {
    /// In the memory that was given, the last so many bytes; at least one.
    Received(usize),
    /// By itself, as it had come before or comes another way; not empty, and the memory is as it was.
    Apart(Bytes),
    /// There is no more.
    End,
}

/// A piece of content whose length is known.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Bytes(Bytes, Whose),
    File(FileRange),
}

impl Part {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes, _) => bytes.len() as u64,
            Self::File(range) => range.end - range.start,
        }
    }
}

/// A part of a file: the bytes from `start` up to and without `end`.
#[derive(Debug, Clone)]
pub(crate) struct FileRange {
    pub(crate) file: File,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// The pages are known to be in memory: no need to ask.
    pub(crate) warm: bool,
}

/// Whose memory content is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The answer's.
    Own,
    /// It is kept for many, and counted there: however many answers wait, it is there once.
    Kept,
}

impl Whose {
    /// What counts for one answer, of so many bytes that it holds.
    pub(crate) fn count(self, bytes: usize) -> usize {
        if self == Self::Own { bytes } else { 0 }
    }
}

impl Body {
    /// No content.
    #[must_use]
    pub const fn empty() -> Self {
        Self { kind: Kind::Empty }
    }

    /// Content of unknown length, sent as it comes.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self { kind: Kind::Stream(Box::pin(stream), None, None) }
    }

    /// Has the server count what a stream holds ready: `held` is to be so many bytes at each time. With what the server holds
    /// itself it is limited by [`Limits::buffered_bytes_max`](crate::server::Limits::buffered_bytes_max). Content that is no stream
    /// stays as it is.
    ///
    /// ```
    /// use std::io;
    /// use std::pin::Pin;
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use std::task::{Context, Poll};
    ///
    /// use bytes::Bytes;
    /// use futures_core::Stream;
    /// use number8::Body;
    ///
    /// struct Ready(Option<Bytes>, Arc<AtomicUsize>);
    ///
    /// impl Stream for Ready {
    ///     type Item = io::Result<Bytes>;
    ///
    ///     fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
    ///         self.1.store(0, Ordering::Relaxed);
    ///         Poll::Ready(self.0.take().map(Ok))
    ///     }
    /// }
    ///
    /// let held = Arc::new(AtomicUsize::new(11));
    /// let body = Body::stream(Ready(Some("all at once".into()), held.clone())).holding(held);
    /// # let _ = body;
    /// ```
    #[must_use]
    pub fn holding(mut self, bytes: Arc<AtomicUsize>) -> Self {
        if let Kind::Stream(_, _, told) = &mut self.kind {
            told.get_or_insert_default().held = vec![Held::Told(bytes)];
        }
        self
    }

    /// What this holds, for the count of content that is made of it.
    #[cfg_attr(not(feature = "compression"), allow(dead_code, reason = "a layer changes content"))]
    pub(crate) fn held(&self) -> Vec<Held> {
        match &self.kind {
            Kind::Stream(_, _, Some(told)) => told.held.clone(),
            Kind::Incoming(incoming) => vec![Held::Queued(incoming.queue_to_client())],
            _ => Vec::new(),
        }
    }

    /// Has a stream hold what that of which it is made holds.
    #[cfg_attr(not(feature = "compression"), allow(dead_code, reason = "a layer changes content"))]
    pub(crate) fn counting(mut self, held: Vec<Held>) -> Self {
        if let Kind::Stream(_, _, told) = &mut self.kind {
            told.get_or_insert_default().held = held;
        }
        self
    }

    /// Has those fields follow a stream that are there at its end.
    #[cfg_attr(not(feature = "compression"), allow(dead_code, reason = "a layer changes content"))]
    pub(crate) fn trailed_by(mut self, trailers: Trailing) -> Self {
        if let Kind::Stream(_, _, told) = &mut self.kind {
            told.get_or_insert_default().trailers = Some(trailers);
        }
        self
    }

    /// Content of a length that is known before it is there. What the stream gives beyond it is not sent; where it ends
    /// before, the answer is cut, so that the client sees that something is missing.
    pub fn sized_stream(
        length: u64,
        stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Self {
        let stream = Box::pin(Sized::new(stream, length));
        Self { kind: Kind::Stream(stream, Some(length), None) }
    }

    /// Those bytes of a file, sent without a copy where the system can; an answer is cut where the file is shorter by then.
    ///
    /// ```
    /// use number8::Body;
    /// use number8::store::File;
    ///
    /// let file = File::adopt(std::fs::File::open("Cargo.toml")?.into())?;
    /// let end = file.meta().size;
    /// assert_eq!(Body::file_part(file, 10..end).len(), Some(end - 10));
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn file_part(file: File, range: Range<u64>) -> Self {
        let Range { start, end } = range;
        match start < end {
            true => Self::parts([Part::File(FileRange { file, start, end, warm: false })]),
            false => Self::empty(),
        }
    }

    /// Content that is kept for many.
    pub(crate) fn kept(bytes: Bytes) -> Self {
        let is_empty = bytes.is_empty();
        Self { kind: if is_empty { Kind::Empty } else { Kind::Bytes(bytes, Whose::Kept) } }
    }

    pub(crate) fn parts(parts: impl Into<VecDeque<Part>>) -> Self {
        Self { kind: Kind::Parts(parts.into()) }
    }

    #[cfg_attr(not(feature = "events"), allow(dead_code, reason = "a room broadcasts"))]
    pub(crate) fn broadcast(broadcast: Broadcast) -> Self {
        Self { kind: Kind::Broadcast(Box::new(broadcast)) }
    }

    pub(crate) fn session(protocol: Option<&'static str>, session: Box<dyn Session>) -> Self {
        Self { kind: Kind::Session(Box::new(Takeover { protocol, session })) }
    }

    pub(crate) fn incoming(incoming: Incoming) -> Self {
        Self { kind: Kind::Incoming(incoming) }
    }

    /// The length in bytes, where it is known before the end.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        match &self.kind {
            Kind::Empty => Some(0),
            Kind::Bytes(bytes, _) => Some(bytes.len() as u64),
            Kind::Parts(parts) => Some(parts.iter().map(Part::len).sum()),
            Kind::Stream(_, length, _) => *length,
            Kind::Incoming(_) | Kind::Limited(_) | Kind::Broadcast(_) | Kind::Session(_) => None,
        }
    }

    /// The length in bytes that a client announces (`Content-Length`), before any of it is taken; `None` for content in chunks. That
    /// of other content is [its length](Body::len).
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        match &self.kind {
            Kind::Incoming(incoming) => incoming.announced(),
            _ => self.len(),
        }
    }

    /// True when there is surely no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Whether no length is known of it; most content has one, which is seen at once.
    #[inline]
    pub(crate) fn is_endless(&self) -> bool {
        !matches!(self.kind, Kind::Empty | Kind::Bytes(..) | Kind::Parts(_)) && self.len().is_none()
    }

    pub(crate) fn size(&self) -> BodySize {
        self.len().map_or(BodySize::Unknown, BodySize::Known)
    }

    /// The next chunk; `None` at the end. Chunks are never empty.
    ///
    /// # Errors
    /// The client's body is cut, too large or not valid ([`BodyError`] is the source), or a stream fails.
    /// Parts of files cannot be read this way.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Like [`Body::chunk`], where content that is still to come may be received right into memory of the caller's, behind what is
    /// there: as much as fits into its next [chunk](BufMut::chunk_mut). So it need not be copied to where it is wanted.
    ///
    /// Read (`AsRef`), the memory has to be all that was written to it, as a `Vec` and a `BytesMut` are: where the future is dropped before
    /// its end, what had come is taken from there, so nothing of the content is lost, but the memory is.
    ///
    /// ```
    /// use number8::{Body, Chunk};
    ///
    /// async fn count_lines(mut body: Body) -> std::io::Result<String> {
    ///     let (mut memory, mut lines) = (Vec::with_capacity(64 * 1024), 0);
    ///     loop {
    ///         memory.clear();
    ///         let chunk;
    ///         (chunk, memory) = body.chunk_into(memory).await?;
    ///         let bytes = match &chunk {
    ///             Chunk::Received(_) => &memory[..],
    ///             Chunk::Apart(bytes) => bytes,
    ///             Chunk::End => return Ok(lines.to_string()),
    ///         };
    ///         lines += bytes.iter().filter(|&&byte| byte == b'\n').count();
    ///     }
    /// }
    ///
    /// let app = number8::App::new().post("/lines", count_lines);
    /// ```
    ///
    /// # Errors
    /// As for [`Body::chunk`]; the memory is gone.
    pub async fn chunk_into<M>(&mut self, memory: M) -> io::Result<(Chunk, M)>
    where
        M: BufMut + AsRef<[u8]> + Send + 'static,
    {
        let Kind::Incoming(incoming) = &mut self.kind else {
            let chunk = self.chunk().await?;
            return Ok((chunk.map_or(Chunk::End, Chunk::Apart), memory));
        };
        let mut memory = Some(Box::new(memory) as Box<dyn Memory>);
        let next = poll_fn(|cx| incoming.poll_chunk_into(&mut memory, cx));
        let chunk = next.await.map_err(io::Error::other)?;
        let memory = memory.and_then(|memory| (memory as Box<dyn Any>).downcast().ok());
        // It comes back as what it was.
        let memory = memory.ok_or_else(|| io::Error::other("memory that was lent is gone"))?;
        Ok((chunk, *memory))
    }

    /// Like [`Body::chunk`], for those who poll.
    ///
    /// # Errors
    /// As for [`Body::chunk`].
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let chunk = match &mut self.kind {
                Kind::Empty => None,
                Kind::Bytes(bytes, _) => {
                    Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())
                }
                Kind::Parts(_) | Kind::Broadcast(_) | Kind::Session(_) => {
                    return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
                }
                Kind::Stream(stream, ..) => ready!(stream.as_mut().poll_next(cx)).transpose()?,
                Kind::Limited(limited) => ready!(limited.poll_chunk(cx))?,
                Kind::Incoming(incoming) => {
                    ready!(incoming.poll_chunk(cx)).map_err(io::Error::other)?
                }
            };
            match chunk {
                // An empty chunk of a stream is no end.
                Some(chunk) if chunk.is_empty() => {}
                Some(chunk) => return Poll::Ready(Ok(Some(chunk))),
                None => {
                    // What may have fields behind it is kept.
                    let is_kept = match &self.kind {
                        Kind::Incoming(_) => true,
                        Kind::Stream(_, _, Some(told)) => told.trailers.is_some(),
                        _ => false,
                    };
                    if !is_kept {
                        self.kind = Kind::Empty;
                    }
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }

    /// Like [`Body::poll_chunk`], for whoever sends it: tells why it fails, unless that is the client's doing.
    pub(crate) fn poll_to_client(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        let polled = self.poll_chunk(cx);
        if let Poll::Ready(Err(error)) = &polled
            && !BodyError::is_of_client(error)
        {
            let cause: &(dyn std::error::Error + 'static) = error;
            tracing::error!(cause, "the content of an answer failed");
        }
        polled
    }

    /// Everything that is left, as one piece.
    ///
    /// # Errors
    /// As for [`Body::chunk`]. How much may come is limited by the server (`Limits::body_bytes_max`).
    pub async fn bytes(mut self) -> io::Result<Bytes> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let gathered = self.gathered();
        let mut all = Vec::from(first);
        all.extend_from_slice(&second);
        gathered.is(all.len());
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(&chunk);
            gathered.is(all.len());
        }
        Ok(all.into())
    }

    /// The same content, of which a client may send so many bytes: in place of the server's limit
    /// (`Limits::body_bytes_max`), for handlers that take more, or less, than others.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        match &mut self.kind {
            Kind::Incoming(incoming) => incoming.limit(bytes),
            Kind::Limited(limited) => limited.limit = bytes,
            _ => {}
        }
        self
    }

    /// The trailer fields that followed a client's chunked body, once it has been read to its end.
    #[must_use]
    pub fn trailers(&self) -> Vec<(String, Vec<u8>)> {
        match &self.kind {
            Kind::Incoming(incoming) => incoming.trailers(),
            _ => Vec::new(),
        }
    }

    /// Where whoever keeps content until more has come says how much that is: it counts as what the server holds.
    pub(crate) fn gathered(&self) -> Gathered {
        match &self.kind {
            Kind::Incoming(incoming) => incoming.gathered(),
            _ => Gathered::default(),
        }
    }

    /// Bytes of an answer that were handed over and wait for the client.
    pub(crate) fn queued_for_client(&self) -> usize {
        match &self.kind {
            Kind::Incoming(incoming) => incoming.queued_for_client(),
            Kind::Stream(_, _, Some(told)) => told.held.iter().map(Held::bytes).sum(),
            _ => 0,
        }
    }

    /// Says whether the server has so much memory left that more may wait for a client that keeps up.
    pub(crate) fn may_grow(&self, may: bool) {
        if let Kind::Incoming(incoming) = &self.kind {
            incoming.may_grow(may);
        }
    }

    /// The fields that stand behind an answer, once its content has been read to its end.
    pub(crate) fn trailers_to_client(&self) -> Option<Fields> {
        match &self.kind {
            Kind::Incoming(incoming) => incoming.trailers_to_client(),
            Kind::Stream(_, _, Some(told)) => {
                let trailers = told.trailers.as_ref()?;
                trailers.lock().unwrap_or_else(PoisonError::into_inner).take()
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { kind: if bytes.is_empty() { Kind::Empty } else { Kind::Bytes(bytes, Whose::Own) } }
    }
}

/// The whole file as it was when it was opened, sent without a copy where the system can.
impl From<File> for Body {
    fn from(file: File) -> Self {
        let end = file.meta().size;
        Self::parts([Part::File(FileRange { file, start: 0, end, warm: false })])
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::kept(Bytes::from_static(text.as_bytes()))
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Self::kept(Bytes::from_static(bytes))
    }
}

/// Such as those of `include_bytes!`.
impl<const N: usize> From<&'static [u8; N]> for Body {
    fn from(bytes: &'static [u8; N]) -> Self {
        bytes.as_slice().into()
    }
}
