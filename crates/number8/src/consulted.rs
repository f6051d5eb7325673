//! A handler before which a function says what may be done with the files of each request.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::{Access, FileAcl, Rights};
use crate::handler::{Answer, Call, Handler};
use number8_proto::http1::Method;

/// Asks a function what may be done with the files of a request before a room serves or takes them (row U31), in place of
/// the rules. Unlike [`Access::file_acl`] it may wait: for a database, another thread, another language.
///
/// The room is asked twice: what it wants to know of [`Access`] is noted the first time, with no content to take and nothing
/// allowed; the function is called for each path of it; then the room gets the request. So it has to be one
/// that does nothing before it has asked, as all rooms of this library that have to do with files are. Where it finds another file to send then, such as
/// `page.html` for `/page`, the function is called for that one, too, and the room once more. Names that it lists may be seen, and what lies beside a file
/// may not be written: a compressed copy, `a.js.gz`, is sent in its place unasked, so whoever may write that should also have the right to replace `a.js`.
///
/// ```no_run
/// use number8::access::FileAcl;
/// use number8::{App, Consulted, Files};
///
/// let files = Consulted::new(Files::new("shared")?, async |path: Vec<u8>| match path.ends_with(b".key") {
///     true => FileAcl::Refuse(404),
///     false => FileAcl::ReadOnly,
/// });
/// let app = App::new().mount("/", files);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Consulted {
    handler: Arc<dyn Handler>,
    ask: Arc<Ask>,
}

type Ask = dyn Fn(Vec<u8>) -> Pin<Box<dyn Future<Output = FileAcl> + Send>> + Send + Sync;

impl Consulted {
    /// Has `ask` say what may be done with each path, as [`Access`] knows it, before `handler` does it.
    pub fn new<F, R>(handler: impl Handler, ask: F) -> Self
    where
        F: Fn(Vec<u8>) -> R + Send + Sync + 'static,
        R: Future<Output = FileAcl> + Send + 'static,
    {
        Self { handler: Arc::new(handler), ask: Arc::new(move |path| Box::pin(ask(path))) }
    }
}

impl Handler for Consulted {
    fn handle(&self, mut call: Call<'_>) -> Answer {
        let wanted = Arc::new(Paths::default());
        let refusing = Arc::new(noting(call.access, &wanted));
        let refused = self.handler.handle(Call { access: &refusing, ..call.again() });
        let wanted = taken(&wanted);
        if wanted.is_empty() {
            // It has to do with no file: a path that is none, a method that is not answered.
            return refused;
        }
        drop(refused);
        let (handler, ask) = (Arc::clone(&self.handler), Arc::clone(&self.ask));
        let rules = Arc::clone(call.access());
        // What changes nothing can be asked for again.
        let is_safe = matches!(call.head.method(), Method::Get | Method::Head);
        let mut again = if is_safe { AGAIN_MAX } else { 0 };
        let mut kept = call.keep();
        let mut body = call.body;
        Answer::later(async move {
            let (mut known, mut wanted) = (HashMap::new(), wanted);
            loop {
                for path in wanted {
                    let acl = ask(path.clone()).await;
                    known.insert(path, acl);
                }
                let unknown = Arc::new(Paths::default());
                kept.access = Arc::new(knowing(&rules, known.clone(), &unknown));
                let response = kept.ask(&*handler, std::mem::take(&mut body)).wait().await;
                wanted = taken(&unknown);
                if wanted.is_empty() || again == 0 {
                    return kept.told(response);
                }
                again -= 1;
            }
        })
    }

    fn allow(&self) -> &str {
        self.handler.allow()
    }

    fn measure(&self, sheet: &mut crate::metrics::Sheet) {
        self.handler.measure(sheet);
    }
}

impl fmt::Debug for Consulted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consulted").finish_non_exhaustive()
    }
}

/// How often a room may find another file to send: a page for a name, and a page for all.
const AGAIN_MAX: u8 = 2;

/// Paths that somebody wants to know of.
type Paths = Mutex<Vec<Vec<u8>>>;

fn note(wanted: &Paths, path: &[u8]) {
    let mut wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
    if !wanted.iter().any(|other| other == path) {
        wanted.push(path.to_vec());
    }
}

fn taken(wanted: &Paths) -> Vec<Vec<u8>> {
    std::mem::take(&mut *wanted.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Allows nothing, and notes what was asked about.
fn noting(access: &Access, wanted: &Arc<Paths>) -> Access {
    let wanted = Arc::clone(wanted);
    access.clone().asking(move |path, _| {
        note(&wanted, path);
        Err(FORBIDDEN)
    })
}

/// Allows what is known to be allowed; notes what is not known.
fn knowing(access: &Access, known: HashMap<Vec<u8>, FileAcl>, unknown: &Arc<Paths>) -> Access {
    let unknown = Arc::clone(unknown);
    access.clone().asking(move |path, wanted| match (known.get(path), wanted) {
        (Some(acl), _) => acl.rights(),
        // A name of a folder that may be listed.
        (None, None) => Ok(Rights::LIST),
        // SECURITY: nobody has said that this may be touched.
        (None, Some(_)) => {
            note(&unknown, path);
            Err(FORBIDDEN)
        }
    })
}

const FORBIDDEN: u16 = 403;
