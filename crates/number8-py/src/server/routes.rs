//! What is served, as a table from which the app is built anew after each change.

use std::sync::Arc;

use number8::access::{Access, Rights, Rule};
use number8::layers::auth::Auth;
use number8::layers::cors::Cors;
use number8::{App, Handler, Method, RouteError};

use super::Shared;
use super::layers::{AskFirst, Asked};

/// The table; a clone shares the handlers.
#[derive(Clone, Default)]
pub(crate) struct Routes {
    /// In the order of registration: the first that fits a path and a method answers (rows U11 and U12).
    patterns: Vec<Pattern>,
    /// Paths with placeholders, of which the most specific answers.
    paths: Vec<Pattern>,
    /// What answers where nothing else does.
    rest: Option<Arc<dyn Handler>>,
    required: Option<Vec<u8>>,
    asked: Vec<(Asked, usize)>,
    is_shared: bool,
}

#[derive(Clone)]
struct Pattern {
    methods: Vec<Method>,
    pattern: String,
    handler: Arc<dyn Handler>,
}

impl Routes {
    /// Has a handler answer methods of what fits a pattern, unless one that was added before does.
    pub(crate) fn add(&mut self, methods: Vec<Method>, pattern: &str, handler: Arc<dyn Handler>) {
        self.patterns.push(Pattern { methods, pattern: pattern.to_owned(), handler });
    }

    /// Has a handler answer methods of a path.
    pub(crate) fn add_path(&mut self, methods: Vec<Method>, path: &str, handler: Arc<dyn Handler>) {
        self.paths.push(Pattern { methods, pattern: path.to_owned(), handler });
    }

    /// Has a handler answer whatever no other does.
    pub(crate) fn answer_rest(&mut self, handler: Arc<dyn Handler>) {
        self.rest = Some(handler);
    }

    /// Has a callback decide about each request.
    pub(crate) fn ask_first(&mut self, asked: Asked, number: usize) {
        self.asked.push((asked, number));
    }

    /// Lets in who sends this value of Authorization (row U7).
    pub(crate) fn require(&mut self, value: Vec<u8>) {
        self.required = Some(value);
    }

    /// Lets pages of every site read (row U5).
    pub(crate) fn share(&mut self) {
        self.is_shared = true;
    }

    /// The app.
    ///
    /// # Errors
    /// A pattern is none.
    pub(crate) fn app(&self, shared: &Arc<Shared>) -> Result<App, RouteError> {
        // What may be done with files is the business of whoever set up a room for it, and of `file_acl`.
        let everyone = Rule::everyone("/", Rights::RW | Rights::REPL);
        let mut app = App::new().access(Access::new(everyone));
        if self.is_shared {
            app = app.layer(Cors::any());
        }
        if let Some(value) = &self.required {
            app = app.layer(Auth::header(value.clone()));
        }
        for (asked, number) in &self.asked {
            app = app.layer(AskFirst::new(shared, *asked, *number));
        }
        for Pattern { methods, pattern, handler } in &self.patterns {
            app = app.pattern(methods, pattern, Arc::clone(handler));
        }
        for Pattern { methods, pattern, handler } in &self.paths {
            for method in methods {
                app = app.route(*method, pattern, Arc::clone(handler));
            }
        }
        if let Some(handler) = &self.rest {
            app = app.mount("/", Arc::clone(handler));
        }
        app.check()?;
        Ok(app)
    }
}
