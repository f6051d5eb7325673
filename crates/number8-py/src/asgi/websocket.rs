//! One WebSocket as the application sees it: what `receive` gives and `send` takes.
//!
//! ```text
//!  Connecting ──connect──▶ Deciding ──accept──▶ Open ──close, or the client──▶ Closed
//!                             ├──close──▶ 403
//!                             └──websocket.http.response.…──▶ that answer
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use number8::{
    Body, CloseCode, Departure, Fields, Message, Opening, Response, SocketError, SocketReceiver,
    SocketSender,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::awaits::{Awaitable, Side, Waiters};
use super::content::bytes_of;
use super::host::Loop;
use super::hub::Arrival;
use super::line::Line;
use super::message::{flag, kind, wrong};
use super::start::{Start, each_field, unsendable};
use crate::lock::lock;

/// A WebSocket, asked for or open.
#[pyclass(frozen, module = "number8._native")]
pub(super) struct WebSocketExchange {
    of: Arc<Loop>,
    id: u64,
    waker: Waker,
    line: Arc<Line>,
    departure: Departure,
    state: Mutex<State>,
    waiters: Waiters,
}

struct State {
    phase: Phase,
    /// Messages for which there was no room.
    unsent: VecDeque<Message>,
}

enum Phase {
    /// The application has not heard of it.
    Connecting(Opening),
    /// It has, and thinks about it.
    Deciding(Opening),
    /// It refuses with an answer of its own.
    Refusing(Start, Vec<u8>),
    Open {
        sender: SocketSender,
        receiver: SocketReceiver,
        over: Arc<Over>,
    },
    Closed {
        code: u16,
        reason: String,
        by_application: bool,
    },
}

/// Tells the connection that the application is through with it.
#[derive(Default)]
struct Over(Mutex<(bool, Option<Waker>)>);

impl Over {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.0);
        state.1 = Some(cx.waker().clone());
        if state.0 { Poll::Ready(()) } else { Poll::Pending }
    }

    fn tell(&self) {
        let mut state = lock(&self.0);
        state.0 = true;
        let connection = state.1.take();
        drop(state);
        connection.into_iter().for_each(Waker::wake);
    }
}

enum Received {
    Connect,
    Message(Message),
    Disconnect { code: u16, reason: String },
}

/// RFC 6455 §7.4.1: none was given; the connection was lost.
const NO_CODE: u16 = 1005;
const LOST: u16 = 1006;

impl WebSocketExchange {
    pub(super) fn new(
        of: &Arc<Loop>,
        id: u64,
        waker: Waker,
        arrival: Arrival,
        opening: Opening,
    ) -> Self {
        let state = State { phase: Phase::Connecting(opening), unsent: VecDeque::new() };
        Self {
            of: Arc::clone(of),
            id,
            waker,
            line: arrival.line,
            departure: arrival.departure,
            state: Mutex::new(state),
            waiters: Waiters::default(),
        }
    }

    /// A future to wait with until something has changed.
    pub(super) fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.waiters.add(py, &self.of)
    }

    /// Nobody waits with that future any more.
    pub(super) fn give_up(&self, future: &Py<PyAny>) {
        self.waiters.remove(future);
    }

    /// Something has changed.
    pub(super) fn look(&self, py: Python<'_>) {
        self.waiters.wake(py);
    }

    fn poll_received(&self) -> Poll<Received> {
        let mut state = lock(&self.state);
        let mut cx = Context::from_waker(&self.waker);
        let phase = std::mem::replace(&mut state.phase, closed(LOST));
        if let Phase::Connecting(opening) = phase {
            state.phase = Phase::Deciding(opening);
            return Poll::Ready(Received::Connect);
        }
        state.phase = phase;
        match &mut state.phase {
            Phase::Open { receiver, over, .. } => {
                let (code, reason) = match receiver.poll_receive(&mut cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(Some(message))) => {
                        return Poll::Ready(Received::Message(message));
                    }
                    Poll::Ready(Ok(None)) => match receiver.farewell() {
                        Some((code, reason)) => (code.get(), reason),
                        None => (NO_CODE, String::new()),
                    },
                    Poll::Ready(Err(SocketError::Fault(fault))) => {
                        (fault.code().get(), fault.text().to_owned())
                    }
                    Poll::Ready(Err(_)) => (LOST, String::new()),
                };
                over.tell();
                state.phase = Phase::Closed { code, reason: reason.clone(), by_application: false };
                Poll::Ready(Received::Disconnect { code, reason })
            }
            Phase::Closed { code, reason, .. } => {
                Poll::Ready(Received::Disconnect { code: *code, reason: reason.clone() })
            }
            _ => self.departure.poll(&mut cx).map(|()| {
                state.phase = closed(LOST);
                // The connection waits for a decision, which nobody can make any more.
                self.line.answer(Response::error(403, "the client has left"));
                Received::Disconnect { code: LOST, reason: String::new() }
            }),
        }
    }

    /// The next message for the application; `None` when it has to wait.
    pub(super) fn received<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Poll::Ready(received) = self.poll_received() else { return Ok(None) };
        let message = PyDict::new(py);
        let kind = intern!(py, "type");
        match received {
            Received::Connect => message.set_item(kind, intern!(py, "websocket.connect"))?,
            Received::Message(content) => {
                let (text, bytes) = match &content {
                    Message::Text(text) => (Some(text.as_str()), None),
                    Message::Binary(bytes) => (None, Some(PyBytes::new(py, bytes))),
                };
                message.set_item(kind, intern!(py, "websocket.receive"))?;
                message.set_item(intern!(py, "text"), text)?;
                message.set_item(intern!(py, "bytes"), bytes)?;
            }
            Received::Disconnect { code, reason } => {
                message.set_item(kind, intern!(py, "websocket.disconnect"))?;
                message.set_item(intern!(py, "code"), code)?;
                message.set_item(intern!(py, "reason"), reason)?;
            }
        }
        Ok(Some(message.into_any()))
    }

    /// Sends what waits while there is room; true when nothing waits any more.
    pub(super) fn has_room(&self, py: Python<'_>) -> PyResult<bool> {
        let mut state = lock(&self.state);
        let State { phase, unsent } = &mut *state;
        while let Some(message) = unsent.front() {
            let Phase::Open { sender, over, .. } = phase else {
                unsent.clear();
                return Err(self.of.disconnected(py));
            };
            match sender.poll_send(&mut Context::from_waker(&self.waker), message) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(())) => drop(unsent.pop_front()),
                Poll::Ready(Err(_)) => {
                    unsent.clear();
                    over.tell();
                    return Err(self.of.disconnected(py));
                }
            }
        }
        Ok(true)
    }

    fn accept(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let protocol = match message.get_item(intern!(py, "subprotocol"))? {
            Some(protocol) if !protocol.is_none() => Some(protocol.extract::<String>()?),
            _ => None,
        };
        let mut fields = Fields::new();
        if let Some(headers) = message.get_item(intern!(py, "headers"))? {
            each_field(&headers, |name, value| {
                fields.push(name, value).map_err(|error| unsendable(name, &error))
            })?;
        }
        if fields.first("Sec-WebSocket-Protocol").is_some() {
            let why =
                "the protocol of a WebSocket is agreed upon by 'subprotocol', not by a header";
            return Err(PyValueError::new_err(why));
        }
        let mut state = lock(&self.state);
        let opening = match std::mem::replace(&mut state.phase, closed(LOST)) {
            Phase::Connecting(opening) | Phase::Deciding(opening) => opening,
            phase => {
                let has_left = matches!(phase, Phase::Closed { by_application: false, .. });
                state.phase = phase;
                return Err(match has_left {
                    true => self.of.disconnected(py),
                    false => wrong("websocket.accept", "there is nothing to accept"),
                });
            }
        };
        let offers =
            protocol.as_deref().is_none_or(|it| opening.protocols().iter().any(|o| **o == *it));
        if !offers {
            let why = format!("the client does not offer the protocol {protocol:?}");
            state.phase = Phase::Deciding(opening);
            return Err(PyValueError::new_err(why));
        }
        let over = Arc::new(Over::default());
        let mut halves = None;
        let response = opening.open(protocol.as_deref(), |socket| {
            halves = Some(socket.split());
            let over = Arc::clone(&over);
            async move { std::future::poll_fn(|cx| over.poll(cx)).await }
        });
        if let Some((sender, receiver)) = halves {
            state.phase = Phase::Open { sender, receiver, over };
        }
        let response = fields.iter().fold(response, |response, (name, value)| {
            response
                .with(name, value)
                .unwrap_or_else(|_| Response::error(500, "the application failed"))
        });
        if !self.line.answer(response) {
            state.phase = closed(LOST);
            return Err(self.of.disconnected(py));
        }
        drop(state);
        // Who waits already, beside the one that accepts, has waited for nothing but the client's leaving.
        self.waiters.wake(py);
        Ok(())
    }

    fn send_message(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<bool> {
        let bytes = message.get_item(intern!(py, "bytes"))?.filter(|bytes| !bytes.is_none());
        let text = message.get_item(intern!(py, "text"))?.filter(|text| !text.is_none());
        let content = match (text, bytes) {
            (Some(text), None) => Message::Text(text.extract()?),
            (None, Some(bytes)) => Message::Binary(bytes_of(&bytes)?),
            _ => return Err(PyTypeError::new_err("a message is either 'text' or 'bytes'")),
        };
        let mut state = lock(&self.state);
        match &state.phase {
            Phase::Open { .. } => state.unsent.push_back(content),
            Phase::Closed { by_application: false, .. } => return Err(self.of.disconnected(py)),
            _ => return Err(wrong("websocket.send", "the WebSocket is not open")),
        }
        drop(state);
        self.has_room(py)
    }

    fn close(&self, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = message.py();
        let code: u16 = match message.get_item(intern!(py, "code"))? {
            Some(code) if !code.is_none() => code.extract()?,
            _ => CloseCode::NORMAL.get(),
        };
        let reason: String = match message.get_item(intern!(py, "reason"))? {
            Some(reason) if !reason.is_none() => reason.extract()?,
            _ => String::new(),
        };
        let mut state = lock(&self.state);
        let next = Phase::Closed { code, reason: reason.clone(), by_application: true };
        match std::mem::replace(&mut state.phase, next) {
            Phase::Connecting(_) | Phase::Deciding(_) => {
                let why = "the application does not accept this WebSocket";
                self.line.answer(Response::error(403, why));
            }
            Phase::Open { sender, receiver, over } => {
                let Some(code) = CloseCode::new(code) else {
                    state.phase = Phase::Open { sender, receiver, over };
                    let why = format!("{code} is no code that a WebSocket may be closed with");
                    return Err(PyValueError::new_err(why));
                };
                sender.close(code, &reason);
                over.tell();
            }
            // The client may have been faster, which the application cannot know.
            phase @ Phase::Closed { by_application: false, .. } => state.phase = phase,
            phase => {
                state.phase = phase;
                return Err(wrong("websocket.close", "the WebSocket is not open"));
            }
        }
        drop(state);
        self.waiters.wake(py);
        Ok(())
    }

    fn refuse(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let start = Start::read(message)?;
        let mut state = lock(&self.state);
        match &state.phase {
            Phase::Connecting(_) | Phase::Deciding(_) => {
                state.phase = Phase::Refusing(start, Vec::new());
                Ok(())
            }
            Phase::Closed { by_application: false, .. } => Err(self.of.disconnected(py)),
            _ => Err(wrong("websocket.http.response.start", "the request has its answer")),
        }
    }

    fn refuse_with(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let piece = match message.get_item(intern!(py, "body"))? {
            Some(body) => bytes_of(&body)?,
            None => Vec::new().into(),
        };
        let more = flag(message, intern!(py, "more_body"))?;
        let mut state = lock(&self.state);
        let content = match &mut state.phase {
            Phase::Refusing(_, content) => content,
            Phase::Closed { by_application: false, .. } => return Err(self.of.disconnected(py)),
            _ => return Err(wrong("websocket.http.response.body", "the answer has not begun")),
        };
        content.extend_from_slice(&piece);
        if more {
            return Ok(());
        }
        if let Phase::Refusing(start, content) = std::mem::replace(&mut state.phase, closed(LOST)) {
            state.phase = Phase::Closed { code: LOST, reason: String::new(), by_application: true };
            self.line.answer(start.respond(Body::from(content)));
        }
        drop(state);
        self.waiters.wake(py);
        Ok(())
    }
}

#[pymethods]
impl WebSocketExchange {
    /// What the client does.
    fn receive(slf: Py<Self>) -> Awaitable {
        Awaitable::websocket(slf, Side::Receive)
    }

    /// Takes a decision, or a message.
    fn send(slf: Py<Self>, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<Py<PyAny>> {
        let kind = kind(message)?;
        let this = slf.get();
        let has_room = match kind.to_str()? {
            "websocket.send" => this.send_message(py, message)?,
            "websocket.accept" => this.accept(py, message).map(|()| true)?,
            "websocket.close" => this.close(message).map(|()| true)?,
            "websocket.http.response.start" => this.refuse(py, message).map(|()| true)?,
            "websocket.http.response.body" => this.refuse_with(py, message).map(|()| true)?,
            other => return Err(wrong(other, "it is no message of a WebSocket")),
        };
        if has_room {
            return Ok(this.of.done(py));
        }
        Ok(Py::new(py, Awaitable::websocket(slf, Side::Send))?.into_any())
    }

    /// The application has come to its end, well or not: what is open is closed. True when there is nothing to complain
    /// about.
    fn ended(&self, py: Python<'_>, failed: bool) -> bool {
        // Before an answer goes out that may be the client's reason to leave.
        let has_left = self.departure.is_known();
        let mut state = lock(&self.state);
        let next = Phase::Closed { code: LOST, reason: String::new(), by_application: true };
        let is_well = match std::mem::replace(&mut state.phase, next) {
            Phase::Connecting(_) | Phase::Deciding(_) | Phase::Refusing(..) => {
                self.line.answer(Response::error(500, "the application failed"));
                false
            }
            Phase::Open { sender, over, .. } => {
                let code = if failed { CloseCode::INTERNAL } else { CloseCode::NORMAL };
                sender.close(code, "");
                over.tell();
                true
            }
            Phase::Closed { .. } => true,
        };
        drop(state);
        self.of.forget(self.id);
        self.waiters.wake(py);
        is_well || has_left
    }
}

fn closed(code: u16) -> Phase {
    Phase::Closed { code, reason: String::new(), by_application: false }
}
