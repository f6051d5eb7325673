//! Functions that add to an app: what the attributes make of a handler.

use crate::app::App;

/// What [`App::add`] adds.
///
/// A function from an app to an app with more in it: an attribute such as `#[get("/")]` makes one of a handler, and
/// your own may add whatever belongs together. Tuples and arrays of them add one after the other.
///
/// ```
/// use number8::{App, Content};
///
/// fn songs(app: App) -> App {
///     app.get("/songs/{id}", async |id: u32| format!("song {id}"))
///         .post("/songs", async |title: Content| (201, title.to_vec()))
/// }
///
/// fn health(app: App) -> App {
///     app.get("/health", async || "fine")
/// }
///
/// let app = App::new().add((songs, health));
/// assert!(app.check().is_ok());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be added to an app",
    label = "not a route",
    note = "a route is a function with an attribute such as `#[get(\"/\")]`; without one, give its path: `app.get(\"/\", function)`"
)]
pub trait Routes {
    /// The app with these in it.
    fn add_to(self, app: App) -> App;
}

// The error about a function that adds nothing should speak of routes.
#[diagnostic::do_not_recommend]
impl<F: FnOnce(App) -> App> Routes for F {
    fn add_to(self, app: App) -> App {
        self(app)
    }
}

impl<R: Routes, const COUNT: usize> Routes for [R; COUNT] {
    fn add_to(self, app: App) -> App {
        self.into_iter().fold(app, App::add)
    }
}

macro_rules! tuples {
    ($($name:ident)*) => {
        #[allow(non_snake_case, reason = "the same for any number")]
        impl<$($name: Routes),*> Routes for ($($name,)*) {
            fn add_to(self, app: App) -> App {
                let ($($name,)*) = self;
                app$(.add($name))*
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
