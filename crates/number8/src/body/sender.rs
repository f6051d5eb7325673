//! Content of an answer, handed over piece by piece by whoever makes it.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use number8_proto::headers::{FieldError, Fields};

use super::incoming::{Feeder, channel_to_client};
use super::{Body, BodyError};

/// The writing end of [`Body::channel`].
///
/// What is sent waits in a small window until the client takes it, so a slow client slows the sender down. A sender
/// that is dropped without [`Sender::finish`] cuts the answer, so that no client takes a part for the whole.
#[derive(Debug)]
pub struct Sender {
    feeder: Feeder,
}

impl Body {
    /// Content that is written while it is sent (row R11), in chunks; to HTTP/1.0 until the connection closes.
    ///
    /// ```
    /// use number8::{App, Body};
    ///
    /// async fn count() -> Body {
    ///     let (mut sender, body) = Body::channel();
    ///     tokio::spawn(async move {
    ///         for number in 0..3 {
    ///             sender.send(format!("{number}\n")).await?;
    ///         }
    ///         sender.finish();
    ///         std::io::Result::Ok(())
    ///     });
    ///     body
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let server = App::new().get("/count", count).test();
    /// assert_eq!(server.get("/count").send().await?.text(), "0\n1\n2\n");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn channel() -> (Sender, Self) {
        let (feeder, incoming) = channel_to_client();
        (Sender { feeder }, Self::incoming(incoming))
    }
}

impl Sender {
    /// Hands over the next piece, as soon as there is room for it. An empty piece is nothing.
    ///
    /// # Errors
    /// Nobody reads any more ([`io::ErrorKind::BrokenPipe`]): the client is gone, or wants no content (HEAD).
    pub async fn send(&mut self, piece: impl Into<Bytes>) -> io::Result<()> {
        poll_fn(|cx| self.poll_ready(cx)).await?;
        let piece = piece.into();
        if !piece.is_empty() {
            self.feeder.push(piece);
        }
        Ok(())
    }

    /// Hands over the next piece at once, whether there is room for it or not: for those who wait for room afterwards, with
    /// [`Sender::poll_ready`], so that no more than one piece is too much. Where nobody reads any more it is forgotten.
    pub fn push(&mut self, piece: impl Into<Bytes>) {
        let piece = piece.into();
        if !piece.is_empty() {
            self.feeder.push(piece);
        }
    }

    /// Whether there is room for a piece, for those who poll.
    ///
    /// # Errors
    /// As for [`Sender::send`].
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.feeder.poll_room(cx)
    }

    /// That was all.
    pub fn finish(self) {
        self.feeder.end(Ok(()));
    }

    /// That was all, but for fields behind it: for clients that say they read them (`TE: trailers`) and
    /// speak HTTP/1.1; others get the same content without them (RFC 9110 §6.5).
    ///
    /// # Errors
    /// One of the fields has to stand before the content, as it says how to read it. The answer is cut.
    pub fn finish_with(self, trailers: Fields) -> Result<(), FieldError> {
        if trailers.iter().any(|(name, _)| is_needed_before(name)) {
            return Err(FieldError::Trailer);
        }
        self.feeder.set_trailers(trailers);
        self.feeder.end(Ok(()));
        Ok(())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.feeder.end(Err(BodyError::Unfinished));
    }
}

/// Framing, routing, authentication, caching and what says how content is to be read (RFC 9110 §6.5.1): a client that
/// merges such a field into the head could be made to read the answer in another way.
fn is_needed_before(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "Age",
        "Authorization",
        "Cache-Control",
        "Content-Encoding",
        "Content-Location",
        "Content-Range",
        "Content-Type",
        "Expires",
        "Host",
        "Location",
        "Retry-After",
        "Set-Cookie",
        "TE",
        "Vary",
        "Warning",
        "WWW-Authenticate",
    ];
    NAMES.iter().any(|other| name.eq_ignore_ascii_case(other))
}
