//! Content from readers, and content as a reader.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tokio::io::{AsyncRead, ReadBuf};

use super::Body;
use crate::server::lane::{Job, Lane};

/// Bytes read at once: enough for few calls, little for each client that is slow.
const READ_BYTES: usize = 16 * 1024;

impl Body {
    /// Content that is read as it is sent, from what waits for it without blocking.
    ///
    /// ```
    /// let body = number8::Body::from_async_reader(&b"Hello, world."[..]);
    /// assert_eq!(body.len(), None);
    /// ```
    pub fn from_async_reader(reader: impl AsyncRead + Send + 'static) -> Self {
        let buffer = vec![0; READ_BYTES].into();
        Self::stream(Pieces { reader: Box::pin(reader), buffer })
    }

    /// Content that is read as it is sent, by the lane, where reading may block.
    ///
    /// ```
    /// use std::io::Read;
    /// use number8::server::lane::Lane;
    /// use number8::{App, Body};
    ///
    /// async fn eights(lane: Lane) -> Body {
    ///     Body::from_reader(std::io::repeat(b'8').take(1_000_000), &lane)
    /// }
    ///
    /// let app = App::new().get("/eights", eights);
    /// ```
    pub fn from_reader(reader: impl Read + Send + 'static, lane: &Lane) -> Self {
        Self::stream(OnLane { lane: lane.clone(), reading: Reading::Not(Box::new(reader)) })
    }

    /// The content as a reader, for what wants one ([`AsyncRead`]).
    #[must_use]
    pub fn into_reader(self) -> BodyReader {
        BodyReader { body: self, left: Bytes::new() }
    }
}

/// Content as a reader (rows R8 and R9).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let mut reader = number8::Body::from("Hello, world.").into_reader();
/// let mut buffer = [0; 5];
/// assert_eq!(reader.read(&mut buffer).await?, 5);
/// assert_eq!(&buffer, b"Hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BodyReader {
    body: Body,
    /// What of the last chunk did not fit.
    left: Bytes,
}

impl BodyReader {
    /// Reads what is there, at most as much as fits; 0 at the end.
    ///
    /// # Errors
    /// As for [`Body::chunk`].
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_read(cx, &mut buffer)).await?;
        Ok(buffer.filled().len())
    }
}

impl AsyncRead for BodyReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { body, left } = self.get_mut();
        if left.is_empty() {
            match ready!(body.poll_chunk(cx))? {
                Some(chunk) => *left = chunk,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left.split_to(count));
        Poll::Ready(Ok(()))
    }
}

struct Pieces<R> {
    reader: Pin<Box<R>>,
    buffer: Box<[u8]>,
}

impl<R: AsyncRead> Stream for Pieces<R> {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { reader, buffer } = self.get_mut();
        let mut buffer = ReadBuf::new(buffer);
        ready!(reader.as_mut().poll_read(cx, &mut buffer))?;
        let piece = Bytes::copy_from_slice(buffer.filled());
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }
}

/// The reader goes to the lane and comes back with each piece.
struct OnLane {
    lane: Lane,
    reading: Reading,
}

type Reader = Box<dyn Read + Send>;

enum Reading {
    Not(Reader),
    Piece(Job<io::Result<(Reader, Bytes)>>),
    Ended,
}

impl Stream for OnLane {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { lane, reading } = self.get_mut();
        loop {
            *reading = match std::mem::replace(reading, Reading::Ended) {
                Reading::Not(reader) => match lane.go_on(move || read_piece(reader)) {
                    Ok(job) => Reading::Piece(job),
                    Err(full) => return Poll::Ready(Some(Err(io::Error::other(full)))),
                },
                Reading::Piece(mut job) => match Pin::new(&mut job).poll(cx) {
                    Poll::Ready(piece) => {
                        let (reader, piece) = piece.map_err(io::Error::other)??;
                        if piece.is_empty() {
                            return Poll::Ready(None);
                        }
                        *reading = Reading::Not(reader);
                        return Poll::Ready(Some(Ok(piece)));
                    }
                    Poll::Pending => {
                        *reading = Reading::Piece(job);
                        return Poll::Pending;
                    }
                },
                Reading::Ended => return Poll::Ready(None),
            };
        }
    }
}

fn read_piece(mut reader: Reader) -> io::Result<(Reader, Bytes)> {
    let mut piece = vec![0; READ_BYTES];
    loop {
        match reader.read(&mut piece) {
            Ok(count) => {
                piece.truncate(count);
                return Ok((reader, piece.into()));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
