//! Several handlers in one place, each for its own methods.

use crate::handler::{Answer, Call, Handler};
use crate::response::Response;

/// Joins handlers under one mount: each gets the requests with the methods that it answers ([`Handler::allow`]), and no
/// two need to know each other.
///
/// ```no_run
/// use number8::{App, ByMethod, Files, Uploads};
///
/// let shared = ByMethod::new().with(Files::new("shared")?).with(Uploads::new("shared")?);
/// let app = App::new().mount("/", shared);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Default)]
pub struct ByMethod {
    /// With the methods of each.
    handlers: Vec<(Vec<String>, Box<dyn Handler>)>,
    /// The methods of all, each once.
    allow: String,
}

impl ByMethod {
    /// Nothing, so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler for those of its methods that none before it answers.
    #[must_use]
    pub fn with(mut self, handler: impl Handler) -> Self {
        for method in methods(handler.allow()) {
            if !methods(&self.allow).any(|other| other == method) {
                if !self.allow.is_empty() {
                    self.allow.push_str(", ");
                }
                self.allow.push_str(method);
            }
        }
        let own = methods(handler.allow()).map(str::to_owned).collect();
        self.handlers.push((own, Box::new(handler)));
        self
    }
}

impl Handler for ByMethod {
    fn handle(&self, call: Call<'_>) -> Answer {
        let method = call.head.method_bytes();
        if method == b"OPTIONS" {
            return Response::options(&self.allow).into();
        }
        let answers = |methods: &[String]| methods.iter().any(|other| other.as_bytes() == method);
        match self.handlers.iter().find(|(methods, _)| answers(methods)) {
            Some((_, handler)) => handler.handle(call),
            None => Response::not_allowed(&self.allow).into(),
        }
    }

    fn allow(&self) -> &str {
        &self.allow
    }

    fn measure(&self, sheet: &mut crate::metrics::Sheet) {
        self.handlers.iter().for_each(|(_, handler)| handler.measure(sheet));
    }
}

impl std::fmt::Debug for ByMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByMethod").field("allow", &self.allow).finish_non_exhaustive()
    }
}

/// The members of an Allow field.
fn methods(allow: &str) -> impl Iterator<Item = &str> {
    allow.split(", ").filter(|method| !method.is_empty())
}
