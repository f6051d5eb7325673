//! A handler before which a function says what may be done with the files of each request.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::{Access, FileAcl};
use crate::handler::{Answer, Call, Handler};

/// Asks a function what may be done with the files of a request before a room serves or takes them (row U31), in place of
/// the rules. Unlike [`Access::file_acl`] it may wait: for a database, another thread, another language.
///
/// The room is asked twice: what it wants to know of [`Access`] is noted the first time, with no content to take and nothing
/// allowed; the function is called for each path of it; then the room gets the request. So it has to be one
/// that does nothing before it has asked, as all rooms of this library that have to do with files are. What it asks later, while it works, is about names
/// that it lists, which may be seen, and about files that may not be written: a compressed copy beside a file, `a.js.gz`, is sent in its place
/// unasked, so whoever may write that should also have the right to replace `a.js`.
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
        let wanted = Arc::new(Mutex::new(Vec::new()));
        let refusing = Arc::new(noting(call.access, &wanted));
        let refused = self.handler.handle(Call { access: &refusing, ..call.again() });
        let wanted = std::mem::take(&mut *wanted.lock().unwrap_or_else(PoisonError::into_inner));
        if wanted.is_empty() {
            // It has to do with no file: a path that is none, a method that is not answered.
            return refused;
        }
        drop(refused);
        let (handler, ask) = (Arc::clone(&self.handler), Arc::clone(&self.ask));
        let mut kept = call.keep();
        let body = call.body;
        Answer::later(async move {
            let mut known = HashMap::new();
            for path in wanted {
                let acl = ask(path.clone()).await;
                known.insert(path, acl);
            }
            let is_late = Arc::new(AtomicBool::new(false));
            kept.access = Arc::new(knowing(&kept.access, known, &is_late));
            let answer = kept.ask(&*handler, body);
            is_late.store(true, Ordering::Relaxed);
            let response = answer.wait().await;
            kept.told(response)
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

/// Allows nothing, and notes what was asked about.
fn noting(access: &Access, wanted: &Arc<Mutex<Vec<Vec<u8>>>>) -> Access {
    let wanted = Arc::clone(wanted);
    access.clone().file_acl(move |path| {
        let mut wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if !wanted.iter().any(|other| other == path) {
            wanted.push(path.to_vec());
        }
        FileAcl::Refuse(403)
    })
}

/// Allows what is known to be allowed.
fn knowing(access: &Access, known: HashMap<Vec<u8>, FileAcl>, is_late: &Arc<AtomicBool>) -> Access {
    let is_late = Arc::clone(is_late);
    access.clone().file_acl(move |path| match known.get(path) {
        Some(acl) => *acl,
        // Names of a folder that may be listed.
        None if is_late.load(Ordering::Relaxed) => FileAcl::ReadOnly,
        // SECURITY: nobody has said that this may be touched.
        None => FileAcl::Refuse(403),
    })
}
