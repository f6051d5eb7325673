//! What can be wrong with content.

use std::{fmt, io};

/// Why the body of a request could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// It is larger than is allowed.
    TooLarge,
    /// It came too slowly.
    TimedOut,
    /// The client left.
    Disconnected,
    /// Whoever writes it gave up.
    Unfinished,
    /// Its framing is not valid.
    Malformed(number8_proto::Error),
}

impl BodyError {
    /// The status code that answers it.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::TimedOut => 408,
            Self::Disconnected => 400,
            Self::Unfinished => 500,
            Self::Malformed(error) => error.status(),
        }
    }

    /// Whether content that is sent on cannot be read because of the client that it is from.
    pub(super) fn is_of_client(error: &io::Error) -> bool {
        let body = error.get_ref().and_then(|source| source.downcast_ref::<Self>());
        body.is_some_and(|body| *body != Self::Unfinished)
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the content is larger than is allowed here"),
            Self::TimedOut => f.write_str("the content comes too slowly"),
            Self::Disconnected => f.write_str("the client left before its content was whole"),
            Self::Unfinished => f.write_str("the content was not finished"),
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BodyError {}
