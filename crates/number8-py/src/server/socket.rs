//! WebSockets of functions: each has a thread of its own, or a task on the event loop, so that it may wait for its client.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use number8::{
    Answer, Argument, Call, CloseCode, Handler, IntoResponse, Message, Socket, SocketError,
    SocketReceiver, SocketSender, Taken, WebSocket,
};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use tokio::sync::oneshot;

use super::callback::{Kind, busy, failed, log_error};
use super::request::Request;
use super::text::{content, octets};
use super::{ClientGone, Shared};
use crate::lock::lock;
use crate::waiting::wait;

/// WebSockets of one function that are open at once, each with a thread; one more is answered 503.
pub(crate) const SOCKETS_MAX: usize = 256;

/// Opens a WebSocket and has a function talk.
pub(crate) struct Talks {
    shared: Arc<Shared>,
    number: usize,
    room: WebSocket,
    open: Arc<AtomicUsize>,
}

impl Talks {
    pub(crate) fn new(shared: &Arc<Shared>, number: usize) -> Self {
        let room = WebSocket::new(async |_| ());
        Self { shared: Arc::clone(shared), number, room, open: Arc::default() }
    }
}

impl Handler for Talks {
    fn handle(&self, mut call: Call<'_>) -> Answer {
        let opening = match self.room.opening(call.head, call.caller) {
            Ok(opening) => opening,
            Err(refusal) => return refusal.into_response().into(),
        };
        let Some(place) = Place::take(&self.open) else { return busy().into() };
        let Ok(Taken::Now(request)) = number8::Request::take(&mut call) else {
            return failed().into();
        };
        let (request, _) = Request::new(Arc::clone(&self.shared), Kind::Written, request);
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        let talk = move |socket: Socket| async move {
            let (ended, has_ended) = oneshot::channel();
            let (sender, receiver) = socket.split();
            let socket = TalkSocket {
                sender,
                receiver: Mutex::new(Some(receiver)),
                ended: Mutex::new(Some(ended)),
                place: Mutex::new(Some(place)),
            };
            let calls = shared.calls.clone();
            let begun = calls.submit(move |py| begin(py, &shared, number, request, socket));
            match begun {
                // Where the function is dropped without a word, it has failed.
                Ok(()) => has_ended.await.unwrap_or(Err(SocketError::Lost)),
                Err(_) => Err(SocketError::Full),
            }
        };
        opening.open(None, talk).into()
    }

    fn allow(&self) -> &str {
        "GET, OPTIONS"
    }
}

/// Has the function begin, on a thread of its own.
fn begin(py: Python<'_>, shared: &Shared, number: usize, request: Request, socket: TalkSocket) {
    let Some((function, _server)) = shared.callback(py, number) else { return };
    let module = py.import("number8._sockets");
    let begun = module.and_then(|module| module.call_method1("begin", (function, request, socket)));
    if let Err(error) = begun {
        log_error(py, "a WebSocket cannot be talked to", &error);
    }
}

/// One of the WebSockets that may be open.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let taken = open.fetch_add(1, Ordering::AcqRel);
        let place = Self(Arc::clone(open));
        (taken < SOCKETS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A WebSocket, for the function that talks. It may be used by several threads.
#[pyclass(frozen, name = "WebSocket", module = "number8")]
pub(crate) struct TalkSocket {
    sender: SocketSender,
    /// `None` while a thread waits for a message.
    receiver: Mutex<Option<SocketReceiver>>,
    ended: Mutex<Option<oneshot::Sender<Result<(), SocketError>>>>,
    /// `None` when the function has ended: others may have it, however long somebody holds this object.
    place: Mutex<Option<Place>>,
}

#[pymethods]
impl TalkSocket {
    /// The next message, str or bytes; waits for it. None when the client has closed, or the server stops.
    fn receive(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let Some(mut receiver) = lock(&self.receiver).take() else {
            return Err(PyRuntimeError::new_err("another thread waits for this WebSocket"));
        };
        let (receiver, received) = py.detach(move || {
            let received = wait(receiver.receive());
            (receiver, received)
        });
        *lock(&self.receiver) = Some(receiver);
        Ok(match received.map_err(gone)? {
            Some(Message::Text(text)) => Some(PyString::new(py, &text).into_any().unbind()),
            Some(Message::Binary(bytes)) => Some(PyBytes::new(py, &bytes).into_any().unbind()),
            None => None,
        })
    }

    /// Sends a message, text for str, else binary; waits while the client is behind.
    fn send(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let message = match data.cast::<PyString>() {
            Ok(text) => Message::Text(text.to_str()?.to_owned()),
            Err(_) => Message::Binary(content("data", data)?),
        };
        py.detach(|| wait(self.sender.send(message))).map_err(gone)
    }

    /// Closes, with a code and a reason.
    #[pyo3(signature = (code=1000, reason=None))]
    fn close(&self, code: u16, reason: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let reason = reason.map(|reason| octets("reason", reason)).transpose()?.unwrap_or_default();
        let Some(code) = CloseCode::new(code) else {
            let why =
                format!("a WebSocket cannot be closed with {code}: 1000, or 3000 to 4999, can");
            return Err(PyValueError::new_err(why));
        };
        self.sender.close(code, &String::from_utf8_lossy(&reason));
        Ok(())
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// The next message; ends when the client has closed.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.receive(py)
    }

    /// The function has returned, or raised.
    fn _end(&self, has_failed: bool) {
        drop(lock(&self.place).take());
        if let Some(ended) = lock(&self.ended).take() {
            let _ = ended.send(if has_failed { Err(SocketError::Lost) } else { Ok(()) });
        }
    }
}

fn gone(error: SocketError) -> PyErr {
    ClientGone::new_err(error.to_string())
}
