//! One request and its answer, as the application sees them: what `receive` gives and `send` takes.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use number8::{Body, Departure, Fields, IntoResponse, Response, Sender};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::awaits::{Awaitable, Side, Waiters};
use super::content::{Content, bytes_of, file_at};
use super::host::Loop;
use super::hub::Arrival;
use super::line::Line;
use super::message::{flag, kind, wrong};
use super::start::{Start, each_field, unsendable};
use crate::lock::lock;

/// A request under way.
#[pyclass(frozen, module = "number8._native")]
pub(super) struct HttpExchange {
    of: Arc<Loop>,
    id: u64,
    waker: Waker,
    line: Arc<Line>,
    departure: Departure,
    state: Mutex<State>,
    waiters: Waiters,
}

struct State {
    content: Content,
    phase: Phase,
    is_head: bool,
    /// The application knows that its client has left.
    has_heard: bool,
}

/// How far the answer has come.
enum Phase {
    /// Nothing was sent.
    Nothing,
    /// Status and fields were.
    Begun(Start),
    /// Content is being sent; of an announced length so much is left.
    Streaming { sender: Sender, left: Option<u64>, has_trailers: bool },
    /// All content was sent; fields follow.
    Trailers(Option<Sender>, Fields),
    /// The answer is complete.
    Complete,
    /// It was cut, or never came: whoever asks learns that the client is gone.
    Failed,
}

/// What `receive` finds.
enum Received {
    Part { bytes: Bytes, more: bool },
    Disconnect,
}

impl State {
    /// What follows the head of an answer to HEAD is taken by nobody. Who has announced how long it is comes to an end, and does then
    /// what is to be done at the end of an answer.
    fn is_endless_head(&self) -> bool {
        self.is_head && !matches!(self.phase, Phase::Streaming { left: Some(_), .. })
    }
}

impl HttpExchange {
    pub(super) fn new(
        of: &Arc<Loop>,
        id: u64,
        waker: Waker,
        arrival: Arrival,
        is_head: bool,
    ) -> Self {
        if is_head {
            arrival.line.tell_when_over(waker.clone());
        }
        let content = Content::new(arrival.body);
        let state = State { content, phase: Phase::Nothing, is_head, has_heard: false };
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

    /// What there is for `receive`, if there is something.
    fn poll_received(&self) -> Poll<Received> {
        let mut state = lock(&self.state);
        let mut cx = Context::from_waker(&self.waker);
        // Whoever has answered hears no more of the content.
        if matches!(state.phase, Phase::Complete | Phase::Failed) {
            return Poll::Ready(Received::Disconnect);
        }
        if let Some(polled) = state.content.poll(&mut cx) {
            return polled.map(|part| match part {
                Ok((bytes, more)) => Received::Part { bytes, more },
                // The client learns what is wrong with its content, if it can still be told.
                Err(error) => {
                    state.phase = Phase::Failed;
                    self.line.answer(number8::Error::from(error).into_response());
                    Received::Disconnect
                }
            });
        }
        if state.is_endless_head() && self.line.is_over() {
            return Poll::Ready(Received::Disconnect);
        }
        self.departure.poll(&mut cx).map(|()| {
            state.has_heard = true;
            Received::Disconnect
        })
    }

    /// Whether it makes events that nobody gets any more, since the server stops, and has asked neither for what the client says nor for
    /// room: it waits for something else.
    pub(super) fn is_unheard(&self) -> bool {
        let state = lock(&self.state);
        self.departure.is_of_server()
            && matches!(state.phase, Phase::Streaming { .. })
            && !state.has_heard
    }

    /// The next message for the application; `None` when it has to wait.
    pub(super) fn received<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Poll::Ready(received) = self.poll_received() else { return Ok(None) };
        let message = PyDict::new(py);
        match received {
            Received::Part { bytes, more } => {
                message.set_item(intern!(py, "type"), intern!(py, "http.request"))?;
                message.set_item(intern!(py, "body"), PyBytes::new(py, &bytes))?;
                message.set_item(intern!(py, "more_body"), more)?;
            }
            Received::Disconnect => {
                message.set_item(intern!(py, "type"), intern!(py, "http.disconnect"))?;
            }
        }
        Ok(Some(message.into_any()))
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

    /// Whether there is room for more content; an error when nobody is left to take it.
    pub(super) fn has_room(&self, py: Python<'_>) -> PyResult<bool> {
        let mut state = lock(&self.state);
        let goes_on = state.is_head && !state.is_endless_head();
        let Phase::Streaming { sender, .. } = &mut state.phase else { return Ok(true) };
        match sender.poll_ready(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(_)) if goes_on => Ok(true),
            // The client has left, or wants no content (HEAD): whoever makes it is to end.
            Poll::Ready(Err(_)) => {
                state.phase = Phase::Failed;
                Err(self.of.disconnected(py))
            }
        }
    }

    fn send_start(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let start = Start::read(message)?;
        let mut state = lock(&self.state);
        match state.phase {
            Phase::Nothing if self.line.is_over() => return Err(self.of.disconnected(py)),
            Phase::Nothing => state.phase = Phase::Begun(start),
            Phase::Failed => return Err(self.of.disconnected(py)),
            _ => return Err(wrong("http.response.start", "the answer has begun already")),
        }
        Ok(())
    }

    /// Takes content; false when the client is behind.
    fn send_body(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<bool> {
        let piece = match message.get_item(intern!(py, "body"))? {
            Some(body) => bytes_of(&body)?,
            None => Bytes::new(),
        };
        let more = flag(message, intern!(py, "more_body"))?;
        let mut state = lock(&self.state);
        let (is_first, is_head) = (matches!(state.phase, Phase::Begun(_)), state.is_head);
        match std::mem::replace(&mut state.phase, Phase::Failed) {
            Phase::Begun(start) if !more && !start.has_trailers => {
                check_length(&start, piece.len() as u64, is_head)?;
                let response = start.respond(piece);
                state.phase = Phase::Complete;
                drop(state);
                if !self.line.answer(response) {
                    return Err(self.of.disconnected(py));
                }
                self.waiters.wake(py);
                return Ok(true);
            }
            Phase::Begun(start) => {
                let (has_trailers, length) = (start.has_trailers, start.length());
                let (sender, body) = Body::channel();
                if !self.line.answer(start.respond(body)) {
                    return Err(self.of.disconnected(py));
                }
                state.phase = Phase::Streaming { sender, left: length, has_trailers };
            }
            phase @ (Phase::Streaming { .. } | Phase::Complete) => state.phase = phase,
            Phase::Nothing => {
                state.phase = Phase::Nothing;
                return Err(wrong("http.response.body", "the answer has not begun"));
            }
            phase @ Phase::Trailers(..) => {
                state.phase = phase;
                return Err(wrong("http.response.body", "the content is complete"));
            }
            Phase::Failed => return Err(self.of.disconnected(py)),
        }
        drop(state);
        self.stream(piece, more)?;
        if !more {
            self.waiters.wake(py);
        }
        // Who has just begun an answer to HEAD may end it; who goes on learns that nobody takes it.
        if is_first && is_head {
            return Ok(true);
        }
        self.has_room(py)
    }

    /// Hands a piece of content on.
    fn stream(&self, piece: Bytes, more: bool) -> PyResult<()> {
        let mut state = lock(&self.state);
        let is_head = state.is_head;
        // "Any further messages on the channel will be ignored."
        let Phase::Streaming { sender, left, has_trailers } = &mut state.phase else {
            return Ok(());
        };
        if let Some(left) = left.as_mut().filter(|_| !is_head) {
            let Some(rest) = left.checked_sub(piece.len() as u64) else {
                state.phase = Phase::Failed;
                return Err(PyRuntimeError::new_err(
                    "the content is longer than its announced length",
                ));
            };
            *left = rest;
            if !more && rest > 0 {
                state.phase = Phase::Failed;
                return Err(PyRuntimeError::new_err(
                    "the content is shorter than its announced length",
                ));
            }
        }
        // Whether anybody takes it is seen when room is asked for.
        sender.push(piece);
        if more {
            return Ok(());
        }
        let next =
            if *has_trailers { Phase::Trailers(None, Fields::new()) } else { Phase::Complete };
        if let Phase::Streaming { sender, .. } = std::mem::replace(&mut state.phase, next) {
            match &mut state.phase {
                Phase::Trailers(kept, _) => *kept = Some(sender),
                _ => sender.finish(),
            }
        }
        Ok(())
    }

    /// Takes a whole file for the content.
    fn send_file(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let path = message.get_item(intern!(py, "path"))?;
        let path = path.ok_or_else(|| PyTypeError::new_err("a file has to have a 'path'"))?;
        let file = file_at(&path)?;
        let size = file.meta().size;
        let mut state = lock(&self.state);
        let start = match std::mem::replace(&mut state.phase, Phase::Failed) {
            Phase::Begun(start) => start,
            Phase::Failed => return Err(self.of.disconnected(py)),
            phase => {
                state.phase = phase;
                return Err(wrong("http.response.pathsend", "the answer has not just begun"));
            }
        };
        check_length(&start, size, state.is_head)?;
        state.phase = Phase::Complete;
        drop(state);
        if !self.line.answer(start.respond(Body::file_part(file, 0..size))) {
            return Err(self.of.disconnected(py));
        }
        self.waiters.wake(py);
        Ok(())
    }

    fn send_trailers(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let mut more = Vec::new();
        if let Some(headers) = message.get_item(intern!(py, "headers"))? {
            each_field(&headers, |name, value| {
                more.push((name.to_owned(), value.to_vec()));
                Ok(())
            })?;
        }
        let is_last = !flag(message, intern!(py, "more_trailers"))?;
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Failed) {
            return Err(self.of.disconnected(py));
        }
        let Phase::Trailers(sender, fields) = &mut state.phase else {
            return Err(wrong(
                "http.response.trailers",
                "none were announced, or content is missing",
            ));
        };
        for (name, value) in more {
            fields.push(&name, &value).map_err(|error| unsendable(&name, &error))?;
        }
        if is_last {
            let (sender, fields) = (sender.take(), std::mem::take(fields));
            state.phase = Phase::Complete;
            if let Some(sender) = sender {
                sender.finish_with(fields).map_err(|error| unsendable("trailers", &error))?;
            }
        }
        Ok(())
    }
}

#[pymethods]
impl HttpExchange {
    /// What the client sends: its content, then that it has left.
    fn receive(slf: Py<Self>) -> Awaitable {
        Awaitable::http(slf, Side::Receive)
    }

    /// Takes a part of the answer.
    fn send(slf: Py<Self>, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<Py<PyAny>> {
        let kind = kind(message)?;
        let this = slf.get();
        let has_room = match kind.to_str()? {
            "http.response.start" => this.send_start(py, message).map(|()| true)?,
            "http.response.body" => this.send_body(py, message)?,
            "http.response.pathsend" => this.send_file(py, message).map(|()| true)?,
            "http.response.trailers" => this.send_trailers(py, message).map(|()| true)?,
            other => return Err(wrong(other, "it is no message of an answer")),
        };
        if has_room {
            return Ok(this.of.done(py));
        }
        Ok(Py::new(py, Awaitable::http(slf, Side::Send))?.into_any())
    }

    /// The application has come to its end: an answer that is not complete is cut, or one that says so. True when there is
    /// nothing to complain about.
    fn ended(&self, py: Python<'_>, _failed: bool) -> bool {
        // Before an answer goes out that may be the client's reason to leave.
        let has_left = self.departure.is_known();
        let mut state = lock(&self.state);
        let phase = std::mem::replace(&mut state.phase, Phase::Failed);
        let is_taken = state.is_head && self.line.is_over();
        let is_well = is_taken || matches!(phase, Phase::Complete | Phase::Failed);
        drop(state);
        if matches!(phase, Phase::Nothing | Phase::Begun(_) | Phase::Failed) {
            // Where there was an answer, this is none.
            self.line.answer(Response::error(500, "the application failed"));
        }
        // A sender that is dropped here cuts the answer.
        drop(phase);
        self.of.forget(self.id);
        self.waiters.wake(py);
        is_well || has_left
    }
}

/// Content that is here as a whole has the length that was announced. For HEAD it is that of what GET would get.
fn check_length(start: &Start, given: u64, is_head: bool) -> PyResult<()> {
    match start.length() {
        Some(length) if !is_head && length != given => Err(PyRuntimeError::new_err(format!(
            "the content has {given} bytes and not the {length} that were announced"
        ))),
        _ => Ok(()),
    }
}
