//! Attributes that make a function a route of [number8](https://docs.rs/number8), which re-exports them.
//!
//! They are sugar. Of
//!
//! ```
//! use number8::get;
//!
//! #[get("/users/{id}")]
//! async fn user(id: u32) -> String {
//!     format!("user {id}")
//! }
//! ```
//!
//! remains a function that adds the route to an app, so that `app.add(user)` is what `app.get("/users/{id}", user)`
//! would be without the attribute:
//!
//! ```
//! use number8::App;
//!
//! fn user(app: App) -> App {
//!     async fn user(id: u32) -> String {
//!         format!("user {id}")
//!     }
//!     app.get("/users/{id}", user)
//! }
//! ```
//!
//! What they add are errors that point at the argument, the result or the path that is wrong.

mod expand;
mod path;
mod rule;

use proc_macro::TokenStream;

macro_rules! attributes {
    ($($name:ident $method:literal $article:literal;)*) => {$(
        #[doc = concat!("Makes a function the answer to ", $method, " requests for a path", $article, ".")]
        ///
        /// Each name in the path is the name of an argument, in the same order; `_name` will do for `name`. A plain
        /// `fn` runs where it may block, unless `inline` after the path promises that it does not:
        ///
        /// ```
        #[doc = concat!("use number8::{App, ", stringify!($name), "};")]
        ///
        #[doc = concat!("#[", stringify!($name), "(\"/songs/{id}\")]")]
        /// async fn song(id: u32) -> String {
        ///     format!("song {id}")
        /// }
        ///
        #[doc = concat!("#[", stringify!($name), "(\"/hello\", inline)]")]
        /// fn hello() -> &'static str {
        ///     "Hello, world."
        /// }
        ///
        /// let app = App::new().add((song, hello));
        /// # assert_eq!(app.check(), Ok(()));
        /// ```
        #[proc_macro_attribute]
        pub fn $name(rule: TokenStream, item: TokenStream) -> TokenStream {
            expand::attribute(Some($method), rule.into(), &item.into()).into()
        }
    )*};
}

attributes! {
    get "GET" ", and to HEAD";
    post "POST" "";
    put "PUT" "";
    patch "PATCH" "";
    delete "DELETE" "";
}

/// Makes a function the answer to requests with one of several methods, or with one that has no attribute of its own.
/// Else it is as [`macro@get`].
///
/// ```
/// use number8::{App, Request, route};
///
/// #[route(PUT, PATCH, "/songs/{id}")]
/// async fn change(id: u32, request: Request) -> String {
///     format!("{:?} of song {id}", request.method())
/// }
///
/// let app = App::new().add(change);
/// # assert_eq!(app.check(), Ok(()));
/// ```
#[proc_macro_attribute]
pub fn route(rule: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(None, rule.into(), &item.into()).into()
}
