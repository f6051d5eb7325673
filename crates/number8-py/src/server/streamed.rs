//! Content that comes from Python: pieces of an iterator, and files.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use number8::store::{Opened, Root, RootOptions};
use number8::{Body, Response, media_type};
use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyIterator;
use tokio::sync::oneshot;

use super::answer::typed;
use super::callback::log_error;
use super::text::content;
use super::{LeadsNowhere, Shared};

/// What an iterator gives, piece by piece, as fast as the client reads: each is asked for on the thread of callbacks, and no
/// thread waits meanwhile.
struct Pieces {
    shared: Arc<Shared>,
    iterator: Arc<Py<PyIterator>>,
    next: Option<oneshot::Receiver<io::Result<Option<Bytes>>>>,
    has_ended: bool,
}

impl Pieces {
    fn ask(&self) -> io::Result<oneshot::Receiver<io::Result<Option<Bytes>>>> {
        let (piece, next) = oneshot::channel();
        let iterator = Arc::clone(&self.iterator);
        let job = move |py: Python<'_>| {
            let next = iterator.bind(py).clone().next();
            let given = next.map_or(Ok(None), |value| content("a piece", &value?).map(Some));
            let _ = piece.send(given.map_err(|error| {
                log_error(py, "an iterator failed", &error);
                io::Error::other("the iterator failed")
            }));
        };
        let over = |_| io::Error::other("the server has stopped");
        self.shared.calls.go_on(job).map_err(over)?;
        Ok(next)
    }
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.has_ended {
            return Poll::Ready(None);
        }
        if this.next.is_none() {
            this.next = Some(this.ask()?);
        }
        let Some(next) = &mut this.next else { return Poll::Pending };
        let given = ready!(Pin::new(next).poll(cx));
        this.next = None;
        let given = given.unwrap_or_else(|_| Err(io::Error::other("the server has stopped")));
        this.has_ended = !matches!(given, Ok(Some(_)));
        Poll::Ready(given.transpose())
    }
}

/// A generator is closed where the client has left.
impl Drop for Pieces {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let iterator = Arc::clone(&self.iterator);
        // Where the server has stopped it ends with the interpreter.
        let _ = self.shared.calls.go_on(move |py| {
            if let Ok(close) = iterator.bind(py).getattr("close")
                && let Err(error) = close.call0()
            {
                log_error(py, "an iterator failed", &error);
            }
        });
    }
}

/// The answer that is streamed from an iterable.
///
/// # Errors
/// It is none.
pub(crate) fn of_iterable(shared: &Arc<Shared>, value: &Bound<'_, PyAny>) -> PyResult<Response> {
    let iterator = value.try_iter().map_err(|_| {
        let kind = value.get_type().name().map(|name| name.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!(
            "a callback cannot answer with {kind}: return str, bytes, dict, list, (body, status, headers), a path or an iterator"
        ))
    })?;
    let shared = Arc::clone(shared);
    let iterator = Arc::new(iterator.unbind());
    let pieces = Pieces { shared, iterator, next: None, has_ended: false };
    typed("text/html; charset=utf-8", Body::stream(pieces))
}

/// Whether a path leads to nothing, rather than to something that cannot be read.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    // A name may be too long, or hold NUL.
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename | InvalidInput)
}

/// The answer with a file.
///
/// # Errors
/// It cannot be read; [`LeadsNowhere`] where there is none.
pub(crate) fn of_file(py: Python<'_>, path: &Path) -> PyResult<Response> {
    let name = path.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
    let opened = py.detach(|| {
        let (root, path) = Root::open_file(path, RootOptions::default())?;
        root.open_blocking(&path).map_err(|error| io::Error::other(format!("{error:?}")))
    });
    match opened {
        Ok(Opened::File(file)) => typed(&media_type(&name), Body::from(file)),
        Ok(Opened::Dir(_)) => Err(PyOSError::new_err(format!("{} is a folder", path.display()))),
        Err(error) if is_nothing(&error) => {
            Err(LeadsNowhere::new_err(format!("{}: {error}", path.display())))
        }
        Err(error) => Err(error.into()),
    }
}
