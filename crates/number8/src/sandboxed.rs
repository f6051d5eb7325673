//! Files of people who are not trusted with everything that a page of ours may do.

use std::fmt;
use std::sync::Arc;

use crate::access::{Access, Rights};
use crate::handler::{Answer, Call, Handler};
use crate::response::Response;

/// Serves the files of a handler in a sandbox, where somebody may write them who has not a certain right elsewhere.
///
/// SECURITY: an HTML or SVG file is a page of this site. Where pages of this site can do something for their visitor, such
/// as to run programs, whoever may put files there could do it in the name of everybody who looks at them. In a sandbox
/// (CSP `sandbox`) scripts run, and the page is of no site: it gets no cookie, and every request of it is one of another
/// site.
///
/// ```no_run
/// use number8::access::{Access, Rights, Rule};
/// use number8::{App, Files, Sandboxed};
///
/// let rules = [Rule::user("ann", "/", Rights::ALL)?, Rule::user("joe", "/in", Rights::UP)?];
/// let access = Access::new(rules);
/// // What is below /in is Joe's, and Joe may not run programs.
/// let files = Sandboxed::new(Files::new("site")?, &access, Rights::RUN, "/.number8/run");
/// let app = App::new().access(access).mount("/", files);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sandboxed<H> {
    handler: H,
    strangers: Strangers,
}

/// Who may write somewhere and has not the right; `None` is everyone.
#[derive(Debug, Clone)]
struct Strangers(Arc<[Option<Arc<str>>]>);

impl<H: Handler> Sandboxed<H> {
    /// In a sandbox is what anybody may write who has not all of `rights` at the path `at`. The rules are those of the app.
    pub fn new(handler: H, access: &Access, rights: Rights, at: &str) -> Self {
        let strangers = access.writers_without(rights, at).into_iter();
        Self { handler, strangers: Strangers(strangers.map(|user| user.map(Arc::from)).collect()) }
    }
}

impl Strangers {
    /// Whether a stranger may write this path, or what may stand for it: where it names a folder something in it, else a page of
    /// that name.
    fn may_write(&self, access: &Access, path: &[u8]) -> bool {
        let is_folder = path.ends_with(b"/");
        self.0.iter().any(|user| {
            let writes =
                |path: &[u8]| access.rights(user.as_deref(), path).intersects(Rights::WRITING);
            let below = || access.rules().iter().map(|rule| rule.path().as_bytes());
            writes(path)
                || writes(&[path, b".html"].concat())
                || is_folder && below().filter(|rule| rule.starts_with(path)).any(writes)
        })
    }
}

impl<H: Handler> Handler for Sandboxed<H> {
    fn handle(&self, call: Call<'_>) -> Answer {
        if self.strangers.0.is_empty() {
            return self.handler.handle(call);
        }
        let (access, story) = (Arc::clone(call.access()), call.caller.story.clone());
        let is_theirs = self.strangers.may_write(&access, &call.url_path());
        if is_theirs {
            story.tell("sandbox", || WHY.to_owned());
        }
        let (strangers, mount) = (self.strangers.clone(), call.mount().into_owned());
        let look = move |response: Response| {
            let is_page_theirs = || {
                let page = response.stands_in()?;
                Some(strangers.may_write(&access, &[&mount, &b"/"[..], page].concat()))
            };
            if !is_theirs {
                if is_page_theirs() != Some(true) {
                    return response;
                }
                story.tell("sandbox", || WHY.to_owned());
            }
            sandboxed(response)
        };
        match self.handler.handle(call) {
            Answer::Ready(response) => look(response).into(),
            Answer::Later(answer) => Answer::later(async move { look(answer.await) }),
        }
    }

    fn allow(&self) -> &str {
        self.handler.allow()
    }

    fn measure(&self, sheet: &mut crate::metrics::Sheet) {
        self.handler.measure(sheet);
    }
}

const WHY: &str =
    "somebody may write here who may not do all that our pages can: its pages are of no site";

/// A listing is ours, and what the app explains; anything else may be theirs, whatever its fields.
fn sandboxed(response: Response) -> Response {
    if response.is_ours || response.is_explained() {
        return response;
    }
    response
        .with_known("Content-Security-Policy", "sandbox allow-scripts allow-forms")
        .with_known("X-Content-Type-Options", "nosniff")
}

impl<H> fmt::Debug for Sandboxed<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandboxed").field("strangers", &self.strangers).finish_non_exhaustive()
    }
}
