//! What went wrong in a handler: what the client may know, and what only the log does.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::body::BodyError;
use crate::response::Response;
use crate::results::IntoResponse;

/// An error with a status, a sentence for the client, and a source that is only logged (by `tracing`, as an error).
///
/// Any other error becomes one by `?`: a 500 that tells the client nothing, or, where the content of the request is at
/// fault, what is wrong with it.
///
/// ```
/// use number8::{App, Error};
///
/// async fn half(number: String) -> Result<String, Error> {
///     let number: i64 = number.parse().map_err(|_| Error::new(422, "that is no number"))?;
///     Ok((number / 2).to_string())
/// }
///
/// async fn motto() -> Result<String, Error> {
///     Ok(String::from_utf8(b"mend it".to_vec())?)
/// }
///
/// let app = App::new().get("/half/{number}", half).get("/motto", motto);
/// ```
pub struct Error {
    status: u16,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// The answer, where it is more than status and sentence.
    response: Option<Box<Response>>,
}

impl Error {
    /// An error with that status and a sentence that the client may read.
    pub fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), source: None, response: None }
    }

    /// The same, because of what only the log tells.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The sentence that the client may read.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What it is because of, which only the log tells.
    #[must_use]
    pub fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.source.as_deref()
    }
}

/// An answer in place of the value.
impl From<Response> for Error {
    fn from(response: Response) -> Self {
        let status = response.status();
        Self { response: Some(Box::new(response)), ..Self::new(status, "") }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let io = (&error as &dyn Any).downcast_ref::<io::Error>();
        let body = io.and_then(|io| io.get_ref()?.downcast_ref::<BodyError>());
        match body {
            Some(body) => Self::new(body.status(), body.to_string()),
            None => Self::new(500, "the handler failed").because(error),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Some(source) = &self.source {
            let (status, cause) = (self.status, &**source);
            tracing::error!(status, cause, "a handler failed: {}", self.message);
        }
        match self.response {
            Some(response) => *response,
            None => Response::error(self.status, self.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("status", &self.status)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}
