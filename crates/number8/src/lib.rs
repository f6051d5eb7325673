//! A small, fast web server as a library.
//!
//! ```no_run
//! # #[cfg(feature = "macros")] {
//! use number8::{App, Server, get};
//!
//! #[get("/")]
//! async fn hello() -> &'static str {
//!     "Hello, world."
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let app = App::new().add(hello).get("/closures", async || "are fine, too");
//!     Server::bind(app, "127.0.0.1:8080")?.run()?;
//!     Ok(())
//! }
//! # }
//! ```

#[cfg(not(any(target_os = "linux", target_os = "android")))]
compile_error!(
    "number8 is made of what Linux has, and is built for no other system: see docs/packages.md"
);

pub mod access;
#[cfg(feature = "accounts")]
pub mod accounts;
mod app;
mod body;
#[cfg_attr(not(feature = "events"), allow(dead_code, reason = "a room broadcasts"))]
mod broadcast;
mod by_method;
mod caller;
#[cfg(feature = "children")]
#[cfg_attr(
    not(all(feature = "runner", feature = "repl")),
    allow(dead_code, unused_imports, reason = "each of the rooms that start programs uses a part")
)]
mod children;
mod consulted;
mod content;
mod cookies;
mod departure;
mod doors;
#[cfg(feature = "http")]
mod edge;
mod error;
#[cfg(any(feature = "files", feature = "uploads"))]
mod etag;
mod gateway;
mod handler;
mod https;
#[cfg(feature = "json")]
mod json;
mod layer;
pub mod layers;
#[cfg(any(feature = "files", feature = "compression"))]
mod media;
pub mod metrics;
#[cfg(feature = "multipart")]
mod multipart;
mod overlay;
mod prefilled;
#[cfg(feature = "uploads")]
mod receive;
mod request;
mod request_id;
mod response;
mod results;
mod rooms;
mod router;
mod routes;
mod sandboxed;
pub mod server;
mod session;
#[cfg_attr(
    not(all(feature = "accounts", feature = "repl")),
    allow(dead_code, reason = "logins tell, and what outlives its request asks")
)]
mod standing;
mod state;
pub mod store;
mod story;
mod sync;
mod sys;
#[cfg(feature = "websocket")]
mod ws;

pub use app::{AccessLog, App, ErrorPage, SlowLog};
pub use body::{Body, BodyError, BodyReader, Chunk, ChunkStream, Sender};
pub use by_method::ByMethod;
pub use caller::Caller;
#[cfg(feature = "children")]
pub use children::reap_strangers;
pub use consulted::Consulted;
pub use content::{Content, ContentLimit, Limited, content_limit};
pub use cookies::Cookies;
pub use departure::Departure;
pub use doors::Doors;
#[cfg(feature = "http")]
pub use edge::IntoHttpError;
#[cfg(feature = "tower")]
pub use edge::{AppService, Tower};
pub use error::Error;
pub use gateway::GatewayHead;
pub use handler::{
    Answer, Argument, Arguments, AsyncFunction, Call, Handler, Inline, InlineFunction, IntoHandler,
    Needs, PlainFunction, Ready, Taken, inline,
};
pub use https::ToHttps;
#[cfg(feature = "json")]
pub use json::{Form, Json, Query};
pub use layer::{Before, Layer, Waited};
#[cfg(feature = "multipart")]
pub use multipart::{Multipart, MultipartLimits, Part};
#[cfg(feature = "macros")]
pub use number8_macros::{delete, get, patch, post, put, route};
pub use number8_proto::Error as ProtocolError;
pub use number8_proto::cookie::{Cookie, CookieError, SameSite};
pub use number8_proto::headers::{FieldError, Fields, Known, is_media_type};
pub use number8_proto::http1::{BodySize, Head, Method, OwnedHead, Prepared, Version};
pub use number8_proto::uri::{BadEscape, decode_path};
pub use overlay::Overlay;
pub use prefilled::Prefilled;
pub use request::Request;
pub use request_id::RequestId;
pub use response::Response;
pub use results::{Html, IntoResponse, Redirect};
#[cfg(feature = "compression")]
pub use rooms::assets::{Asset, Assets};
#[cfg(feature = "events")]
pub use rooms::events::{Event, EventError, Events};
#[cfg(feature = "files")]
pub use rooms::files::{Files, media_type};
#[cfg(feature = "repl")]
pub use rooms::repl::{Console, ConsoleOutput, Repl, WebRepl, WebReplLimits, WebReplPage};

#[cfg(feature = "runner")]
pub use rooms::runner::{Interpreter, InterpreterError, Runner};
#[cfg(feature = "uploads")]
pub use rooms::uploads::Uploads;
#[cfg(feature = "websocket")]
pub use rooms::websocket::WebSocket;
pub use router::RouteError;
pub use routes::Routes;
pub use sandboxed::Sandboxed;
pub use server::testing;
#[cfg(feature = "self-signed")]
pub use server::tls::Authority;
#[cfg(feature = "tls")]
pub use server::tls::{Tls, TlsError};
pub use server::{Handle, Options, ServeError, Server};
pub use session::{Session, SessionInput, SessionStep};
pub use state::State;
pub use store::Reach;
pub use story::Story;
#[cfg(feature = "websocket")]
pub use ws::{
    CloseCode, Message, Opening, Outcome, Socket, SocketError, SocketReceiver, SocketSender,
};

/// The guide, chapter by chapter; its text is in `docs/guide`, and its examples are tested.
#[cfg(all(
    any(doc, doctest),
    feature = "accounts",
    feature = "json",
    feature = "files",
    feature = "multipart",
    feature = "events",
    feature = "websocket"
))]
pub mod guide {
    #[doc = include_str!("../guide/first-app.md")]
    pub mod first_app {}
    #[doc = include_str!("../guide/routes.md")]
    pub mod routes {}
    #[doc = include_str!("../guide/arguments.md")]
    pub mod arguments {}
    #[doc = include_str!("../guide/results.md")]
    pub mod results {}
    #[doc = include_str!("../guide/state.md")]
    pub mod state {}
    #[doc = include_str!("../guide/layers.md")]
    pub mod layers {}
    #[doc = include_str!("../guide/content.md")]
    pub mod content {}
    #[doc = include_str!("../guide/multipart.md")]
    pub mod multipart {}
    #[doc = include_str!("../guide/uploads.md")]
    pub mod uploads {}
    #[doc = include_str!("../guide/events.md")]
    pub mod events {}
    #[doc = include_str!("../guide/websocket.md")]
    pub mod websocket {}
    #[doc = include_str!("../guide/access.md")]
    pub mod access {}
    #[doc = include_str!("../guide/testing.md")]
    pub mod testing {}
    #[doc = include_str!("../guide/running.md")]
    pub mod running {}
    #[doc = include_str!("../guide/watching.md")]
    pub mod watching {}
}

/// The pages of `docs`, whose examples are tested here.
#[cfg(all(
    doctest,
    feature = "files",
    feature = "uploads",
    feature = "events",
    feature = "websocket"
))]
mod pages {
    #[cfg(feature = "accounts")]
    #[doc = include_str!("../../../docs/access.md")]
    mod access {}
    #[doc = include_str!("../../../docs/rooms/events.md")]
    mod events {}
    #[cfg(feature = "files")]
    #[doc = include_str!("../../../docs/rooms/files.md")]
    mod files {}
    #[cfg(feature = "repl")]
    #[doc = include_str!("../../../docs/rooms/repl.md")]
    mod repl {}
    #[cfg(feature = "runner")]
    #[doc = include_str!("../../../docs/rooms/runner.md")]
    mod runner {}
    #[cfg(feature = "self-signed")]
    #[doc = include_str!("../../../docs/tls.md")]
    mod tls {}
    #[doc = include_str!("../../../docs/rooms/uploads.md")]
    mod uploads {}
    #[doc = include_str!("../../../docs/rooms/websocket.md")]
    mod websocket {}
}
