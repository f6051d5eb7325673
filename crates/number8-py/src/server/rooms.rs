//! The rooms of the library where uhttpd has them (rows U15 to U31).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use number8::access::FileAcl;
use number8::layers::same_origin::SameOrigin;
use number8::{
    Answer, Before, Call, Consulted, Events, Files, Handler, Layer, Overlay, Response, Uploads,
};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};

use super::Shared;
use super::callback::log_error;

/// A room below a prefix: what follows that, behind a base, is the path in its folder (row U16).
struct Placed {
    handler: Arc<dyn Handler>,
    prefix: Vec<u8>,
    /// As it stands in a URL.
    base: Vec<u8>,
}

impl Handler for Placed {
    fn handle(&self, call: Call<'_>) -> Answer {
        let rest = call.path.strip_prefix(self.prefix.as_slice());
        let Some(rest) = rest.filter(|rest| rest.starts_with(b"/")) else {
            return Response::error(404, "there is nothing at this address").into();
        };
        if self.base.is_empty() {
            let mut call = call;
            call.path = rest;
            return self.handler.handle(call);
        }
        let path = [&self.base, rest].concat();
        let mut call = call;
        call.path = &path;
        self.handler.handle(call)
    }

    fn allow(&self) -> &str {
        self.handler.allow()
    }
}

/// A room that takes all in one place.
struct Endpoint(Uploads);

impl Handler for Endpoint {
    fn handle(&self, mut call: Call<'_>) -> Answer {
        call.path = b"";
        self.0.handle(call)
    }

    fn allow(&self) -> &str {
        self.0.allow()
    }
}

/// What is for pages of this server and for programs alone.
struct Ours {
    handler: Arc<dyn Handler>,
    same_origin: SameOrigin,
    why: &'static str,
}

/// Keeps pages of other sites from a handler, and those of names that are not among ours, where there are any.
pub(crate) fn ours(
    handler: Arc<dyn Handler>,
    hosts: Option<Vec<String>>,
    why: &'static str,
) -> Arc<dyn Handler> {
    let Some(hosts) = hosts else { return handler };
    let same_origin = hosts.into_iter().fold(SameOrigin::new(), SameOrigin::host);
    Arc::new(Ours { handler, same_origin, why })
}

impl Handler for Ours {
    fn handle(&self, mut call: Call<'_>) -> Answer {
        // SECURITY: any page that a browser shows can have it post something here. A browser says so itself; what says
        // nothing is a program.
        let is_of_page =
            ["Origin", "Sec-Fetch-Site"].iter().any(|name| call.head.named(name).is_some());
        if is_of_page && !matches!(self.same_origin.before(&mut call), Before::Go) {
            return Response::error(403, self.why).into();
        }
        self.handler.handle(call)
    }

    fn allow(&self) -> &str {
        self.handler.allow()
    }
}

/// A room whose files a callback may be asked about, once there is one.
struct Watched {
    shared: Arc<Shared>,
    plain: Arc<dyn Handler>,
    consulted: Consulted,
}

impl Watched {
    /// `resolved` makes the path in the folder of the one by which the room knows it.
    fn new(
        shared: &Arc<Shared>,
        plain: Arc<dyn Handler>,
        resolved: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::clone(shared);
        let ask = move |path: Vec<u8>| ask(Arc::clone(&asked), resolved(&path));
        let consulted = Consulted::new(Arc::clone(&plain), ask);
        Self { shared: Arc::clone(shared), plain, consulted }
    }
}

impl Handler for Watched {
    fn handle(&self, call: Call<'_>) -> Answer {
        match self.shared.file_acl() {
            Some(_) => self.consulted.handle(call),
            None => self.plain.handle(call),
        }
    }

    fn allow(&self) -> &str {
        self.plain.allow()
    }
}

/// What the callback says of a path; what fails denies.
async fn ask(shared: Arc<Shared>, path: Vec<u8>) -> FileAcl {
    let denied = FileAcl::Refuse(403);
    let Some(number) = shared.file_acl() else { return denied };
    let (answer, asked) = tokio::sync::oneshot::channel();
    let job = {
        let shared = Arc::clone(&shared);
        move |py: Python<'_>| {
            let Some((function, _server)) = shared.callback(py, number) else { return };
            let path = String::from_utf8_lossy(&path);
            let code = function.bind(py).call1((path.as_ref(),)).and_then(|code| {
                // A bool is a number to Python, and no answer to this.
                let is_number = code.is_instance_of::<PyInt>() && !code.is_instance_of::<PyBool>();
                if is_number { code.extract::<i64>() } else { Ok(0) }
            });
            let acl = code.map_or_else(
                |error| {
                    log_error(py, "the function of file_acl failed", &error);
                    denied
                },
                FileAcl::of_code,
            );
            let _ = answer.send(acl);
        }
    };
    match shared.calls.submit(job) {
        Ok(()) => asked.await.unwrap_or(denied),
        Err(_) => FileAcl::Refuse(503),
    }
}

/// Where a file server or a receiver stands.
pub(crate) struct Place {
    pub(crate) prefix: String,
    /// As it stands in a URL.
    pub(crate) base: String,
    pub(crate) base_decoded: String,
}

impl Place {
    fn place(&self, shared: &Arc<Shared>, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
        let (prefix, base) = (self.prefix.clone().into_bytes(), self.base.clone().into_bytes());
        let decoded = self.base_decoded.clone().into_bytes();
        let placed = Placed { handler, prefix: prefix.clone(), base };
        Arc::new(Watched::new(shared, Arc::new(placed), move |path| {
            let rest = path.strip_prefix(prefix.as_slice()).unwrap_or(path);
            [&decoded, rest].concat()
        }))
    }
}

/// Serves files (rows U15 to U20).
///
/// # Errors
/// A folder is not there.
pub(crate) fn files(
    shared: &Arc<Shared>,
    place: &Place,
    root: PathBuf,
    over: Option<PathBuf>,
    lists: bool,
) -> io::Result<Arc<dyn Handler>> {
    let of = |folder: PathBuf| Ok::<_, io::Error>(Files::new(folder)?.documents().listing(lists));
    let lower = of(root)?;
    let handler: Arc<dyn Handler> = match over {
        Some(folder) => Arc::new(Overlay::new(of(folder)?, lower)),
        None => Arc::new(lower),
    };
    Ok(place.place(shared, handler))
}

/// Takes files (rows U21 to U28): below the place, or all of them there. With `hosts`, our names, pages of other sites are
/// refused.
///
/// # Errors
/// A folder is not there.
pub(crate) fn uploads(
    shared: &Arc<Shared>,
    place: &Place,
    root: PathBuf,
    only: Option<PathBuf>,
    is_endpoint: bool,
    hosts: Option<Vec<String>>,
) -> io::Result<Arc<dyn Handler>> {
    let mut uploads = Uploads::new(root)?.verbatim();
    if let Some(folder) = only {
        uploads = uploads.external(folder, true);
    }
    let handler: Arc<dyn Handler> = if is_endpoint {
        let endpoint = Arc::new(Endpoint(uploads.endpoint("/")));
        Arc::new(Watched::new(shared, endpoint, <[u8]>::to_vec))
    } else {
        place.place(shared, Arc::new(uploads))
    };
    let why = "a page of another site, or by a name that is not ours, sent this: Server(hosts=…) adds names, cors=True lets all sites do so";
    Ok(ours(handler, hosts, why))
}

/// Answers those who want to listen.
pub(crate) struct Listening(pub(crate) Events);

impl Handler for Listening {
    fn handle(&self, call: Call<'_>) -> Answer {
        self.0.listen(call.head, "").into()
    }

    fn allow(&self) -> &str {
        "GET, HEAD, OPTIONS"
    }
}
