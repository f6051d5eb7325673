//! The dict that describes a request to an application.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::IntoRawFd;
use std::sync::Mutex;

use foldhash::fast::RandomState;
use number8::server::{Listener, LocalAddr};
use number8::{Caller, Head, Method, decode_path};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::Options;
use super::file;
use super::input::{Content, NoInput};
use super::spool::{Piece, Spooled};
use crate::lock::lock;

/// What the dicts of all requests have in common.
pub(super) struct Environ {
    template: Py<PyDict>,
    /// The keys of fields, by their names as clients send them.
    keys: Mutex<Keys>,
}

/// Keys by names; none where the application does not see the field.
#[derive(Default)]
struct Keys(HashMap<Box<[u8]>, Option<Py<PyString>>, RandomState>);

/// SECURITY: clients choose the names of fields, so what is kept of them has an end. Names beyond cost a new key each time.
const KEYS_MAX: usize = 512;

/// The longest name that is kept, in bytes.
const KEY_BYTES_MAX: usize = 64;

/// A request, as far as the dict tells of it.
pub(super) struct Request<'a> {
    pub(super) head: &'a Head<'a>,
    pub(super) caller: &'a Caller,
    /// What is left of the path for the application, as it came.
    pub(super) path: &'a [u8],
}

impl Environ {
    pub(super) fn new(
        py: Python<'_>,
        listeners: &[Listener],
        options: &Options<'_>,
    ) -> PyResult<Self> {
        let (name, port) = server_name(listeners);
        let template = PyDict::new(py);
        for (key, value) in [
            ("REQUEST_METHOD", "GET"),
            ("SCRIPT_NAME", options.root_path),
            ("PATH_INFO", ""),
            ("QUERY_STRING", ""),
            ("SERVER_NAME", &name),
            ("SERVER_PORT", &port),
            ("SERVER_PROTOCOL", number8::Version::Http11.as_str()),
            ("REMOTE_ADDR", ""),
            ("REMOTE_PORT", ""),
            ("REQUEST_URI", ""),
            ("wsgi.url_scheme", "http"),
        ] {
            template.set_item(PyString::intern(py, key), PyString::intern(py, value))?;
        }
        template.set_item(intern!(py, "wsgi.version"), (1, 0))?;
        template.set_item(intern!(py, "wsgi.input"), NoInput::new(py)?)?;
        let mut errors = py.import("sys")?.getattr("stderr")?;
        if errors.is_none() {
            errors = py.import("number8._wsgi")?.call_method0("Nowhere")?;
        }
        template.set_item(intern!(py, "wsgi.errors"), errors)?;
        template.set_item(intern!(py, "wsgi.multithread"), options.threads > 1)?;
        template.set_item(intern!(py, "wsgi.multiprocess"), options.has_others)?;
        template.set_item(intern!(py, "wsgi.run_once"), false)?;
        file::offer(&template)?;
        // All content is there before the application is called, so it has an end.
        template.set_item(intern!(py, "wsgi.input_terminated"), true)?;
        Ok(Self { template: template.unbind(), keys: Mutex::default() })
    }

    /// The dict of a request without content.
    pub(super) fn of<'py>(
        &self,
        py: Python<'py>,
        request: &Request<'_>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.template.bind(py).copy()?;
        let Request { head, caller, path } = request;
        if head.method() != Method::Get {
            environ.set_item(intern!(py, "REQUEST_METHOD"), method(py, head))?;
        }
        let whole = head.path();
        let prefix = whole.strip_suffix(*path).unwrap_or_default();
        if !prefix.is_empty() {
            environ.set_item(intern!(py, "SCRIPT_NAME"), decoded(py, prefix))?;
        }
        environ.set_item(intern!(py, "PATH_INFO"), decoded(py, path))?;
        if let Some(query) = head.query() {
            environ.set_item(intern!(py, "QUERY_STRING"), latin1(py, query))?;
        }
        environ.set_item(intern!(py, "REQUEST_URI"), latin1(py, head.target()))?;
        if head.version() != number8::Version::Http11 {
            let protocol = PyString::new(py, head.version().as_str());
            environ.set_item(intern!(py, "SERVER_PROTOCOL"), protocol)?;
        }
        self.set_fields(&environ, head)?;
        set_caller(&environ, caller)?;
        Ok(environ)
    }

    fn set_fields(&self, environ: &Bound<'_, PyDict>, head: &Head<'_>) -> PyResult<()> {
        let py = environ.py();
        let mut keys = lock(&self.keys);
        for (name, value) in head.fields() {
            let Some(key) = keys.key(py, name) else { continue };
            let before = environ.len();
            environ.set_item(&key, latin1(py, value))?;
            if environ.len() == before {
                // The field is repeated, which is seldom enough to look for the others now.
                environ.set_item(&key, joined(py, &key, head)?)?;
            }
        }
        Ok(())
    }
}

impl Keys {
    /// The key of a field; `None` for one that the application does not see.
    fn key<'py>(&mut self, py: Python<'py>, name: &[u8]) -> Option<Bound<'py, PyString>> {
        if let Some(key) = self.0.get(name) {
            return key.as_ref().map(|key| key.bind(py).clone());
        }
        let is_kept = self.0.len() < KEYS_MAX && name.len() <= KEY_BYTES_MAX;
        // SECURITY: Python 3.12 never frees what is interned, and clients choose the names.
        let string = if is_kept { PyString::intern } else { PyString::new };
        let key = variable(name).map(|key| string(py, &key));
        if is_kept {
            self.0.insert(name.into(), key.clone().map(Bound::unbind));
        }
        key
    }
}

/// The values of all fields with that key.
fn joined<'py>(
    py: Python<'py>,
    key: &Bound<'py, PyString>,
    head: &Head<'_>,
) -> PyResult<Bound<'py, PyString>> {
    let key = key.to_str()?;
    let between: &[u8] = if key == "HTTP_COOKIE" { b"; " } else { b"," };
    let same = head.fields().filter(|(name, _)| variable(name).as_deref() == Some(key));
    let values: Vec<&[u8]> = same.map(|(_, value)| value).collect();
    Ok(latin1(py, &values.join(between)))
}

/// The name of a field as the Common Gateway Interface has it (RFC 3875 §4.1.18).
///
/// SECURITY: one with `_` would be taken for the one with `-`, which may be what a proxy vouches for.
fn variable(name: &[u8]) -> Option<String> {
    if name.contains(&b'_') {
        return None;
    }
    let upper = name.iter().map(|byte| match byte {
        b'-' => '_',
        byte => char::from(byte.to_ascii_uppercase()),
    });
    let name: String = upper.collect();
    Some(match name.as_str() {
        "CONTENT_TYPE" | "CONTENT_LENGTH" => name,
        _ => format!("HTTP_{name}"),
    })
}

fn set_caller(environ: &Bound<'_, PyDict>, caller: &Caller) -> PyResult<()> {
    let py = environ.py();
    if let Some(ip) = caller.ip {
        environ.set_item(intern!(py, "REMOTE_ADDR"), address(py, ip))?;
    }
    // The port of a proxy is nobody's business.
    if let Some(peer) = caller.peer.filter(|peer| Some(peer.ip()) == caller.ip) {
        environ.set_item(intern!(py, "REMOTE_PORT"), port(py, peer.port()))?;
    }
    if let Some(user) = &caller.user {
        environ.set_item(intern!(py, "REMOTE_USER"), &**user)?;
    }
    if let Some(host) = &caller.host {
        environ.set_item(intern!(py, "HTTP_HOST"), &**host)?;
    }
    if caller.is_secure {
        environ.set_item(intern!(py, "wsgi.url_scheme"), intern!(py, "https"))?;
    }
    Ok(())
}

fn address(py: Python<'_>, ip: IpAddr) -> Bound<'_, PyString> {
    if ip == IpAddr::from([127, 0, 0, 1]) {
        return intern!(py, "127.0.0.1").clone();
    }
    PyString::new(py, &ip.to_string())
}

/// A number as text, without an allocation on the way.
fn port(py: Python<'_>, port: u16) -> Bound<'_, PyString> {
    let mut digits = *b"00000";
    let mut start = digits.len();
    let mut left = port;
    while left > 0 || start == digits.len() {
        start -= 1;
        digits[start] += (left % 10) as u8;
        left /= 10;
    }
    latin1(py, &digits[start..])
}

fn method<'py>(py: Python<'py>, head: &Head<'_>) -> Bound<'py, PyString> {
    match head.method() {
        Method::Post => intern!(py, "POST").clone(),
        Method::Head => intern!(py, "HEAD").clone(),
        _ => latin1(py, head.method_bytes()),
    }
}

/// A path without its percent-encoding; one whose encoding is none stands for itself.
fn decoded<'py>(py: Python<'py>, path: &[u8]) -> Bound<'py, PyString> {
    latin1(py, &decode_path(path).unwrap_or(Cow::Borrowed(path)))
}

/// Bytes as PEP 3333 has them: a character each.
fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match bytes.is_ascii().then(|| std::str::from_utf8(bytes)) {
        Some(Ok(text)) => PyString::new(py, text),
        _ => PyString::new(py, &bytes.iter().map(|&byte| char::from(byte)).collect::<String>()),
    }
}

/// Where the server listens, for URLs of requests that do not name a host.
fn server_name(listeners: &[Listener]) -> (String, String) {
    let address = listeners.iter().find_map(|listener| match listener.local_addr() {
        LocalAddr::Ip(address) => Some(*address),
        _ => None,
    });
    match address {
        Some(address) if address.ip().is_unspecified() => {
            ("localhost".to_owned(), address.port().to_string())
        }
        Some(address) => (address.ip().to_string(), address.port().to_string()),
        // A Unix socket has no port; a URL without one means this.
        None => ("localhost".to_owned(), "80".to_owned()),
    }
}

/// Content up to this size, in bytes, is one object of Python's, which copies the least for those who read all of it.
const JOINED_MAX: usize = 64 * 1024;

/// Gives a request its content.
pub(super) fn set_content(environ: &Bound<'_, PyDict>, content: Spooled) -> PyResult<()> {
    let py = environ.py();
    let (input, length) = match content {
        Spooled::Memory { pieces, held } => {
            let length: usize = pieces.iter().map(Piece::len).sum();
            if length > JOINED_MAX {
                (Content::reader(py, pieces, length, held)?, length as u64)
            } else {
                (joined_content(py, &pieces, length)?, length as u64)
            }
        }
        Spooled::File(file, length) => {
            let number = file.into_raw_fd();
            (py.import("number8._wsgi")?.call_method1("Spooled", (number,))?, length)
        }
    };
    environ.set_item(intern!(py, "wsgi.input"), input)?;
    // Of what came in chunks the length is known now, and how it came is no business of the application.
    environ.set_item(intern!(py, "CONTENT_LENGTH"), length.to_string())?;
    if environ.contains(intern!(py, "HTTP_TRANSFER_ENCODING"))? {
        environ.del_item(intern!(py, "HTTP_TRANSFER_ENCODING"))?;
    }
    Ok(())
}

/// Content as a reader of all of it in one piece.
fn joined_content<'py>(
    py: Python<'py>,
    pieces: &[Piece],
    length: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let bytes = PyBytes::new_with(py, length, |mut buffer| {
        for piece in pieces {
            let (here, rest) = buffer.split_at_mut(piece.len());
            here.copy_from_slice(piece.as_ref());
            buffer = rest;
        }
        Ok(())
    })?;
    static READER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    READER.import(py, "io", "BytesIO")?.call1((bytes,))
}

/// A request in a few words, for the log.
pub(super) fn line(environ: &Bound<'_, PyDict>) -> String {
    let value = |key| match environ.get_item(key) {
        Ok(Some(value)) => value.to_string(),
        _ => String::new(),
    };
    format!("{} {:?}", value("REQUEST_METHOD"), value("REQUEST_URI"))
}
