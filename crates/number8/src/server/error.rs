//! Why a server does not listen, does not start, or has not ended as it should.

use std::fmt;
use std::io;

use super::bind::{BindError, ParseBindError};
use crate::router::RouteError;

/// Why a server does not listen at an address.
#[derive(Debug)]
#[non_exhaustive]
pub enum ListenError {
    /// It is no address.
    Address(ParseBindError),
    /// It cannot be had.
    Bind(BindError),
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Bind(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address(error) => error.source(),
            Self::Bind(error) => error.source(),
        }
    }
}

/// A server that could not start, or could not go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// A listener could not be registered, or a runtime or thread could not be made.
    Start(io::Error),
    /// The app has a mistake ([`App::check`](crate::App::check)).
    App(RouteError),
    /// The grace passed with so many connections still at work; they were cut.
    Cut(usize),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "cannot start serving: {error}"),
            Self::App(mistake) => mistake.fmt(f),
            Self::Cut(count) => {
                write!(f, "the grace is over: {count} connections were cut while at work")
            }
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(error) => error.source(),
            Self::App(mistake) => mistake.source(),
            Self::Cut(_) => None,
        }
    }
}
