//! What the application is told of a request: its scope, built straight from the parsed head.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use number8::{Caller, Head, Method, Version, decode_path};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::hub::Arrival;
use crate::lock::lock;

/// Names of fields that most requests have, in lower case, as they stand in a scope.
const NAMES: [&str; 32] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "dnt",
    "forwarded",
    "host",
    "if-modified-since",
    "if-none-match",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-websocket-key",
    "sec-websocket-version",
    "te",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "x-forwarded-for",
];

/// A longer name is made anew each time.
const NAME_BYTES_MAX: usize = 32;

/// Clients whose addresses are kept as Python has them; with more they are forgotten and made again.
const CLIENTS_MAX: usize = 1024;

/// What scopes are made of.
pub(super) struct Scopes {
    http: Py<PyDict>,
    websocket: Py<PyDict>,
    extensions: Py<PyDict>,
    /// Is put before every path, as a proxy has taken it away.
    root_path: String,
    /// What the application has put there when it started.
    state: Py<PyDict>,
    names: HashMap<&'static [u8], Py<PyBytes>>,
    clients: Mutex<HashMap<(IpAddr, u16), Py<PyTuple>>>,
}

impl Scopes {
    /// `server` is where the server listens: host and port, or a path and `None`.
    pub(super) fn new(
        py: Python<'_>,
        server: &Bound<'_, PyAny>,
        root_path: &str,
        state: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let version = PyDict::new(py);
        version.set_item("version", "3.0")?;
        version.set_item("spec_version", "2.5")?;
        let template = PyDict::new(py);
        template.set_item(intern!(py, "type"), intern!(py, "http"))?;
        template.set_item(intern!(py, "asgi"), version)?;
        template.set_item(intern!(py, "http_version"), intern!(py, "1.1"))?;
        template.set_item(intern!(py, "scheme"), intern!(py, "http"))?;
        template.set_item(intern!(py, "root_path"), root_path)?;
        template.set_item(intern!(py, "server"), server)?;
        template.set_item(intern!(py, "client"), py.None())?;
        let websocket = template.copy()?;
        websocket.set_item(intern!(py, "type"), intern!(py, "websocket"))?;
        websocket.set_item(intern!(py, "scheme"), intern!(py, "ws"))?;
        let extensions = PyDict::new(py);
        extensions.set_item("http.response.trailers", PyDict::new(py))?;
        extensions.set_item("http.response.pathsend", PyDict::new(py))?;
        let names = NAMES.map(|name| (name.as_bytes(), PyBytes::new(py, name.as_bytes()).unbind()));
        Ok(Self {
            http: template.unbind(),
            websocket: websocket.unbind(),
            extensions: extensions.unbind(),
            root_path: root_path.to_owned(),
            state: state.clone().unbind(),
            names: HashMap::from(names),
            clients: Mutex::default(),
        })
    }

    /// The scope of one request.
    pub(super) fn build<'py>(
        &self,
        py: Python<'py>,
        arrival: &Arrival,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (head, caller) = (arrival.head.head(), &arrival.caller);
        let scope = match &arrival.opening {
            None => self.http.bind(py).copy()?,
            Some(_) => self.websocket.bind(py).copy()?,
        };
        match &arrival.opening {
            None => {
                scope.set_item(intern!(py, "method"), method(py, &head))?;
                let extensions = self.extensions.bind(py).copy()?;
                scope.set_item(intern!(py, "extensions"), extensions)?;
            }
            Some(opening) => {
                let protocols = PyList::new(py, opening.protocols().iter().map(|it| &**it))?;
                scope.set_item(intern!(py, "subprotocols"), protocols)?;
                let extensions = PyDict::new(py);
                extensions.set_item("websocket.http.response", PyDict::new(py))?;
                scope.set_item(intern!(py, "extensions"), extensions)?;
            }
        }
        if caller.is_secure {
            let scheme = if arrival.opening.is_none() { "https" } else { "wss" };
            scope.set_item(intern!(py, "scheme"), scheme)?;
        }
        match head.version() {
            Version::Http10 => scope.set_item(intern!(py, "http_version"), intern!(py, "1.0"))?,
            Version::Http2 => scope.set_item(intern!(py, "http_version"), intern!(py, "2"))?,
            _ => {}
        }
        let mut raw = Cow::Borrowed(head.path());
        let path = decode_path(head.path()).unwrap_or(Cow::Borrowed(head.path()));
        let mut path = String::from_utf8_lossy(&path);
        if !self.root_path.is_empty() {
            path = Cow::Owned(self.root_path.clone() + &path);
            raw = Cow::Owned([self.root_path.as_bytes(), &raw].concat());
        }
        scope.set_item(intern!(py, "path"), PyString::new(py, &path))?;
        scope.set_item(intern!(py, "raw_path"), PyBytes::new(py, &raw))?;
        let query = PyBytes::new(py, head.query().unwrap_or_default());
        scope.set_item(intern!(py, "query_string"), query)?;
        scope.set_item(intern!(py, "headers"), self.headers(py, &head, caller.host.as_deref())?)?;
        if let Some(client) = self.client(py, caller)? {
            scope.set_item(intern!(py, "client"), client)?;
        }
        scope.set_item(intern!(py, "state"), self.state.bind(py).copy()?)?;
        Ok(scope)
    }

    /// The fields; `host` is that of a trusted proxy, which takes the place of the other.
    fn headers<'py>(
        &self,
        py: Python<'py>,
        head: &Head<'_>,
        host: Option<&str>,
    ) -> PyResult<Bound<'py, PyList>> {
        let told = host.map(|host| (&b"host"[..], host.as_bytes()));
        let is_seen =
            |(name, _): &(&[u8], &[u8])| told.is_none() || !name.eq_ignore_ascii_case(b"host");
        let fields = told
            .into_iter()
            .chain(head.fields().filter(is_seen))
            .map(|(name, value)| PyTuple::new(py, [self.name(py, name), PyBytes::new(py, value)]));
        let fields: Vec<Bound<'py, PyTuple>> = fields.collect::<PyResult<_>>()?;
        PyList::new(py, fields)
    }

    /// The name of a field in lower case.
    fn name<'py>(&self, py: Python<'py>, name: &[u8]) -> Bound<'py, PyBytes> {
        let mut lower = [0; NAME_BYTES_MAX];
        let Some(lower) = lower.get_mut(..name.len()) else {
            return PyBytes::new(py, &name.to_ascii_lowercase());
        };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        match self.names.get(&*lower) {
            Some(known) => known.bind(py).clone(),
            None => PyBytes::new(py, lower),
        }
    }

    /// The client's address, and its port where that is the client's own.
    fn client<'py>(
        &self,
        py: Python<'py>,
        caller: &Caller,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some(ip) = caller.ip else { return Ok(None) };
        let own = caller.peer.filter(|peer| peer.ip() == ip);
        let port = own.map_or(0, |peer: SocketAddr| peer.port());
        if let Some(known) = lock(&self.clients).get(&(ip, port)) {
            return Ok(Some(known.bind(py).clone()));
        }
        let address = PyString::new(py, &ip.to_string()).into_any();
        let client = PyTuple::new(py, [address, port.into_pyobject(py)?.into_any()])?;
        let mut clients = lock(&self.clients);
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert((ip, port), client.clone().unbind());
        Ok(Some(client))
    }
}

fn method<'py>(py: Python<'py>, head: &Head<'_>) -> Bound<'py, PyString> {
    match head.method() {
        Method::Get => intern!(py, "GET").clone(),
        Method::Head => intern!(py, "HEAD").clone(),
        Method::Post => intern!(py, "POST").clone(),
        _ => {
            let method = String::from_utf8_lossy(head.method_bytes()).to_ascii_uppercase();
            PyString::new(py, &method)
        }
    }
}
