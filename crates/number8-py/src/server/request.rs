//! The Request that callbacks are given (rows R1 to R14).

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use number8::{Body, BodyError, Response, Sender, is_media_type};
use pyo3::exceptions::{PyRecursionError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString};
use tokio::sync::oneshot;

use super::after;
use super::answer::Described;
use super::callback::{Kind, answer_nothing, finish};
use super::text::{content, octets};
use super::verbs::verb;
use super::{ClientGone, Shared};
use crate::lock::lock;
use crate::waiting::wait;

/// A request that is being answered.
#[pyclass(frozen, module = "number8")]
pub(crate) struct Request {
    shared: Arc<Shared>,
    head: Mutex<number8::Request>,
    content: Mutex<Content>,
    out: Mutex<Out>,
    /// Functions look at the answer: what they would write themselves would have them look again, and again.
    is_looked_at: AtomicBool,
    pub(crate) kind: Kind,
}

/// What the client sends.
#[derive(Default)]
struct Content {
    /// `None` while a thread waits for some of it.
    body: Option<Body>,
    /// What has come and was not asked for yet.
    left: Bytes,
    /// The status that tells why it cannot be read.
    failed: Option<u16>,
}

/// What the client gets.
enum Out {
    /// Nothing yet.
    Nothing(oneshot::Sender<Response>),
    /// Some of it, in chunks, or verbatim.
    Chunks(Sender),
    Raw(Sender),
    /// All of it.
    Done,
    /// A thread waits until the client has taken some.
    Busy,
}

impl Request {
    /// The request, and where its answer is handed over.
    pub(crate) fn new(
        shared: Arc<Shared>,
        kind: Kind,
        mut request: number8::Request,
    ) -> (Self, oneshot::Receiver<Response>) {
        let (sender, receiver) = oneshot::channel();
        let body = std::mem::take(request.body())
            .limit(shared.body_bytes_max.get().copied().unwrap_or_default());
        let content = Content { body: Some(body), ..Content::default() };
        let request = Self {
            shared,
            kind,
            head: Mutex::new(request),
            content: Mutex::new(content),
            out: Mutex::new(Out::Nothing(sender)),
            is_looked_at: AtomicBool::new(false),
        };
        (request, receiver)
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(&*lock(&self.out), Out::Nothing(sender) if sender.is_closed())
    }

    /// Whether the answer has begun.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(&*lock(&self.out), Out::Nothing(_))
    }

    /// Answers, unless something has been answered; functions that look at answers see it first.
    pub(crate) fn answer(slf: &Bound<'_, Self>, response: Response) {
        let this = slf.get();
        if !this.has_begun() {
            let response = Self::looked_at(slf, response);
            this.begin(Out::Done, response);
        }
    }

    /// What the functions that look at answers make of one.
    fn looked_at(slf: &Bound<'_, Self>, response: Response) -> Response {
        let this = slf.get();
        this.is_looked_at.store(true, Ordering::Relaxed);
        let response = after::look(&this.shared, slf, response);
        this.is_looked_at.store(false, Ordering::Relaxed);
        response
    }

    /// Whether an answer may be written now.
    fn check_writing(&self) -> PyResult<()> {
        match self.is_looked_at.load(Ordering::Relaxed) {
            true => Err(PyRuntimeError::new_err(LOOKED_AT)),
            false => Ok(()),
        }
    }

    /// Hands over the answer, unless another one is; what follows goes by `out`.
    fn begin(&self, out: Out, response: Response) {
        let mut current = lock(&self.out);
        if !matches!(&*current, Out::Nothing(_)) {
            return;
        }
        if let Out::Nothing(sender) = std::mem::replace(&mut *current, out) {
            // A client that is gone needs none.
            let _ = sender.send(response);
        }
    }

    /// Ends an answer that has begun: as one that is whole, or as one that is cut where it is. Says whether there was more
    /// to be expected.
    pub(crate) fn end(&self, is_whole: bool) -> bool {
        let mut out = lock(&self.out);
        let (sender, is_chunked) = match std::mem::replace(&mut *out, Out::Done) {
            Out::Chunks(sender) => (sender, true),
            Out::Raw(sender) => (sender, false),
            other => {
                *out = other;
                return false;
            }
        };
        drop(out);
        // One that is dropped cuts the answer.
        if is_whole {
            sender.finish();
        }
        is_chunked
    }

    /// The status that tells why the content could not be read, where it was tried.
    pub(crate) fn content_failure(&self) -> Option<u16> {
        lock(&self.content).failed
    }

    /// The values of the path, by name.
    pub(crate) fn values(&self) -> Vec<(String, String)> {
        let head = lock(&self.head);
        head.values().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Waits for up to so many bytes of the content, or for all of it.
    fn receive(&self, py: Python<'_>, count: Option<usize>) -> PyResult<Bytes> {
        let mut content = lock(&self.content);
        if count.is_some_and(|count| count <= content.left.len()) {
            return Ok(content.left.split_to(count.unwrap_or_default()));
        }
        let Some(mut body) = content.body.take() else {
            return Err(PyRuntimeError::new_err("another thread reads this request"));
        };
        let first = std::mem::take(&mut content.left);
        drop(content);
        let (body, read) = py.detach(move || {
            let read = wait(read(&mut body, first, count));
            (body, read)
        });
        let mut content = lock(&self.content);
        content.body = Some(body);
        let mut bytes = read.inspect_err(|error| content.failed = Some(status_of(error)))?;
        if let Some(count) = count
            && count < bytes.len()
        {
            content.left = bytes.split_off(count);
        }
        Ok(bytes)
    }

    /// Sends a piece of an answer that has begun; waits, detached, while the client is behind.
    fn send_piece(
        &self,
        py: Python<'_>,
        mut sender: Sender,
        piece: Bytes,
    ) -> (Sender, io::Result<()>) {
        if piece.is_empty() {
            return (sender, Ok(()));
        }
        py.detach(move || {
            let sent = wait(sender.send(piece));
            (sender, sent)
        })
    }
}

/// Nobody takes content any more: who makes it is to end, also where the client wanted none of it (HEAD).
fn gone(_: io::Error) -> PyErr {
    ClientGone::new_err("the client is gone, or wants no content")
}

/// Reads until there is as much as is wanted, or no more.
async fn read(body: &mut Body, first: Bytes, count: Option<usize>) -> io::Result<Bytes> {
    let mut all = BytesMut::from(first);
    while count.is_none_or(|count| all.len() < count) {
        match body.chunk().await? {
            Some(chunk) if all.is_empty() && count.is_some_and(|count| count <= chunk.len()) => {
                return Ok(chunk);
            }
            Some(chunk) => all.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(all.freeze())
}

fn status_of(error: &io::Error) -> u16 {
    let body = error.get_ref().and_then(|error| error.downcast_ref::<BodyError>());
    body.map_or(500, |error| error.status())
}

const LOOKED_AT: &str = "a function of `after` changes the Response that it is given, or returns another: it writes nothing itself";

const BEGUN: &str = "this request has been answered already: write() is called once, and goes neither with send_chunk() nor with send()";

#[pymethods]
impl Request {
    /// The Server that this request came to.
    fn server<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.shared.server(py).ok_or_else(|| PyRuntimeError::new_err("the server is gone"))
    }

    /// The verb: GET, POST, DELETE or another constant of this package; HEAD is GET.
    fn method(&self) -> i64 {
        verb(lock(&self.head).head().method())
    }

    /// The address with its query, as the client sent it.
    fn uri(&self) -> String {
        lock(&self.head).target().into_owned()
    }

    /// The address without its query, as the client sent it.
    fn path(&self) -> String {
        lock(&self.head).path().into_owned()
    }

    /// The length of the content as the client tells it; 0 where it tells none.
    fn length(&self) -> u64 {
        lock(&self.head).content_length().unwrap_or(0)
    }

    /// The first value of a key of the query: bytes, True where the key has no value, None where there is no such key.
    fn query<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
        let key = octets("key", key)?;
        let value = lock(&self.head).query_bytes(&key);
        match value {
            Some(value) => query_value(py, value),
            None => Ok(py.None()),
        }
    }

    /// The query as a dict; of entries with one key the last.
    fn parse_qs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let pairs = lock(&self.head).queries_bytes();
        let all = PyDict::new(py);
        for (key, value) in pairs {
            all.set_item(PyBytes::new(py, &key), query_value(py, value)?)?;
        }
        Ok(all)
    }

    /// At most `len` bytes of the content, or all of it; waits for them. Empty at the end.
    #[pyo3(signature = (len=None))]
    fn read<'py>(&self, py: Python<'py>, len: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        // What is negative is no count.
        let count = len.and_then(|len| usize::try_from(len).ok());
        Ok(PyBytes::new(py, &self.receive(py, count)?))
    }

    /// Reads into a buffer; returns how many bytes, 0 at the end.
    fn readinto(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let view = py.import("builtins")?.getattr("memoryview")?.call1((buffer,))?;
        let view = view.call_method1("cast", ("B",))?;
        if view.getattr("readonly")?.is_truthy()? {
            return Err(PyValueError::new_err("the buffer is read-only"));
        }
        let bytes = self.receive(py, Some(view.len()?))?;
        let part = pyo3::types::PySlice::new(py, 0, isize::try_from(bytes.len())?, 1);
        view.set_item(part, PyBytes::new(py, &bytes))?;
        Ok(bytes.len())
    }

    /// Answers with this content, once.
    #[pyo3(signature = (data, status=None, mime=None, headers=None, allow_cors=false))]
    fn write(
        slf: &Bound<'_, Self>,
        data: &Bound<'_, PyAny>,
        status: Option<&Bound<'_, PyAny>>,
        mime: Option<&Bound<'_, PyAny>>,
        headers: Option<&Bound<'_, PyDict>>,
        allow_cors: bool,
    ) -> PyResult<()> {
        slf.get().check_writing()?;
        if slf.get().has_begun() {
            return Err(PyRuntimeError::new_err(BEGUN));
        }
        let described = Described { status, mime, headers, allow_cors };
        Self::answer(slf, described.response(content("data", data)?)?);
        Ok(())
    }

    /// Sends a piece of an answer whose length is not known; None ends it. The first call gives status and headers.
    #[pyo3(signature = (data, status=None, mime=None, headers=None, allow_cors=false))]
    fn send_chunk(
        slf: &Bound<'_, Self>,
        data: &Bound<'_, PyAny>,
        status: Option<&Bound<'_, PyAny>>,
        mime: Option<&Bound<'_, PyAny>>,
        headers: Option<&Bound<'_, PyDict>>,
        allow_cors: bool,
    ) -> PyResult<()> {
        let piece = if data.is_none() { None } else { Some(content("data", data)?) };
        let (this, py) = (slf.get(), slf.py());
        this.check_writing()?;
        if !this.has_begun() {
            let (sender, body) = Body::channel();
            let described = Described { status, mime, headers, allow_cors };
            let response = Self::looked_at(slf, described.response(body)?);
            this.begin(Out::Chunks(sender), response);
        }
        // Nothing of Python's runs while this is held.
        let mut out = lock(&this.out);
        let sender = match std::mem::replace(&mut *out, Out::Busy) {
            Out::Chunks(sender) => sender,
            other => {
                *out = other;
                return Err(PyRuntimeError::new_err(BEGUN));
            }
        };
        let Some(piece) = piece else {
            *out = Out::Done;
            drop(out);
            sender.finish();
            return Ok(());
        };
        drop(out);
        let (sender, sent) = this.send_piece(py, sender, piece);
        *lock(&this.out) = Out::Chunks(sender);
        sent.map_err(gone)
    }

    /// Sends bytes as they are, status line and headers included; the connection ends after them.
    fn send(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let piece = content("data", data)?;
        self.check_writing()?;
        if !self.has_begun() {
            let (sender, body) = Body::channel();
            self.begin(Out::Raw(sender), Response::raw(body));
        }
        let mut out = lock(&self.out);
        let sender = match std::mem::replace(&mut *out, Out::Busy) {
            Out::Raw(sender) => sender,
            other => {
                *out = other;
                return Err(PyRuntimeError::new_err(BEGUN));
            }
        };
        drop(out);
        let (sender, sent) = self.send_piece(py, sender, piece);
        *lock(&self.out) = Out::Raw(sender);
        sent.map_err(gone)
    }

    /// The headers of the request: a mapping whose keys have no case.
    #[getter]
    fn headers(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        static HEADERS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let make = HEADERS.get_or_try_init(py, || {
            PyResult::Ok(py.import("number8._request")?.getattr("Headers")?.unbind())
        })?;
        let fields: Vec<(String, String)> = {
            let head = lock(&self.head);
            let latin_1 = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect();
            head.head().fields().map(|(name, value)| (latin_1(name), latin_1(value))).collect()
        };
        make.call1(py, (fields,))
    }

    /// The address of the client, without its port; behind a proxy that is trusted, the one that the proxy tells.
    #[getter]
    fn remote_addr(&self) -> Option<String> {
        lock(&self.head).caller().ip.map(|ip| ip.to_string())
    }

    /// The other end of the connection as (address, port); None over a Unix socket.
    #[getter]
    fn peer(&self) -> Option<(String, u16)> {
        let peer: Option<SocketAddr> = lock(&self.head).peer();
        peer.map(|peer| (peer.ip().to_string(), peer.port()))
    }

    /// The cookies as a dict; of several with one name the first, which is for the closest path.
    #[getter]
    fn cookies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (name, value) in lock(&self.head).cookies() {
            if !all.contains(&name)? {
                all.set_item(name, value)?;
            }
        }
        Ok(all)
    }

    /// What the placeholders of the path stand for, by name.
    #[getter]
    fn args(&self) -> std::collections::HashMap<String, String> {
        self.values().into_iter().collect()
    }

    /// Ends the request with what a callback returns, which has taken its time.
    fn _finish(slf: &Bound<'_, Self>, value: Bound<'_, PyAny>) {
        finish(slf, &slf.get().shared, Ok(value));
    }

    /// Ends the request with what a callback raised.
    fn _fail(slf: &Bound<'_, Self>, error: Bound<'_, PyAny>) {
        finish(slf, &slf.get().shared, Err(PyErr::from_value(error)));
    }

    /// Answers that there is nothing at this address.
    fn _nothing(slf: &Bound<'_, Self>) {
        answer_nothing(slf, &slf.get().shared);
    }

    /// The content as text: UTF-8. What is none is the client's fault, as with `json` and `form`: a 400, where the exception is let through.
    fn text<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let bytes = self.receive(py, None)?;
        PyString::from_bytes(py, &bytes).map_err(|error| of_client(py, error, 400))
    }

    /// The content as JSON says it.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let bytes = self.receive(py, None)?;
        let loaded = py.import("json")?.call_method1("loads", (PyBytes::new(py, &bytes),));
        loaded.map_err(|error| {
            let is_of_client = error.is_instance_of::<PyValueError>(py)
                || error.is_instance_of::<PyRecursionError>(py);
            if is_of_client { of_client(py, error, 400) } else { error }
        })
    }

    /// The fields of a form as a dict of str; of several with one name the last. Content that is said to be something else than
    /// an urlencoded form, such as one with files, is a ValueError, and a 415.
    fn form<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if !lock(&self.head).head().named("content-type").is_none_or(is_urlencoded) {
            let error =
                PyValueError::new_err("the content is not application/x-www-form-urlencoded");
            return Err(of_client(py, error, 415));
        }
        let text = self.text(py)?;
        let pairs = py.import("urllib.parse")?.call_method1("parse_qsl", (text, true))?;
        py.import("builtins")?.getattr("dict")?.call1((pairs,))
    }

    /// What the client asks for, for people.
    fn __repr__(&self) -> String {
        let head = lock(&self.head);
        let method = String::from_utf8_lossy(head.head().method_bytes()).into_owned();
        format!("<Request {method} {}>", head.target())
    }
}

/// The attribute of an exception that says which answer it is.
const STATUS: &str = "_number8_status";

/// Has an exception be an answer that says that what the client has sent is at fault, where the callback lets it through.
fn of_client(py: Python<'_>, error: PyErr, status: u16) -> PyErr {
    // Without it, it is a fault of the callback.
    let _ = error.value(py).setattr(STATUS, status);
    error
}

/// The status of an exception of [`of_client`].
pub(crate) fn fault_of_client(py: Python<'_>, error: &PyErr) -> Option<u16> {
    error.value(py).getattr(STATUS).ok()?.extract().ok()
}

fn is_urlencoded(content_type: &[u8]) -> bool {
    is_media_type(content_type, b"application/x-www-form-urlencoded")
}

fn query_value(py: Python<'_>, value: Option<Vec<u8>>) -> PyResult<Py<PyAny>> {
    Ok(match value {
        Some(value) => PyBytes::new(py, &value).into_any().unbind(),
        None => true.into_pyobject(py)?.to_owned().into_any().unbind(),
    })
}
