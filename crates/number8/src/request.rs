//! A request as a handler sees it.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use number8_proto::headers::Known;
use number8_proto::http1::{Head, Method, OwnedHead};
use number8_proto::syntax::decimal;
use number8_proto::uri::Query;

use crate::body::Body;
use crate::caller::Caller;
use crate::departure::Departure;
use crate::error::Error;
use crate::handler::values::Values;
use crate::handler::{Argument, Call, Taken};
use crate::server::lane::Lane;
use crate::state::States;

/// A request that owns its parts, so that a handler may keep it as long as it likes.
///
/// ```
/// use number8::{App, Request};
///
/// async fn greet(request: Request) -> String {
///     let name = request.query("name").flatten().unwrap_or_else(|| "world".into());
///     format!("Hello, {name}.")
/// }
///
/// let app = App::new().get("/greet", greet);
/// ```
pub struct Request {
    head: OwnedHead,
    caller: Caller,
    body: Body,
    values: Values,
    states: Arc<States>,
}

impl Request {
    /// Method, target, version and fields, as they came.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        self.head.head()
    }

    /// The method; `Other` for one that this server has no name for.
    #[must_use]
    pub fn method(&self) -> Method {
        self.head().method()
    }

    /// Path and query as they came (row R3), with U+FFFD for what is no UTF-8; [`Head::target`] has the bytes. A fragment never
    /// leaves the browser.
    #[must_use]
    pub fn target(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.head.head().target())
    }

    /// The path as it came, still percent-encoded (row R4), with U+FFFD for what is no UTF-8.
    #[must_use]
    pub fn path(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.head.head().path())
    }

    /// The value of the first field of that name, in any case; `None` too where it is no UTF-8.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.head().named(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// What the query says about a key, in the first of its entries (row R6): `Some(None)` for a key without a value
    /// (`?key`), `Some(Some(value))` for one with a value, which may be empty. Percent-encoding and `+` are
    /// undone; bytes that are no UTF-8 become U+FFFD.
    #[must_use]
    pub fn query(&self, key: &str) -> Option<Option<String>> {
        let head = self.head();
        let pair = Query::new(head.query()?).find(|pair| *pair.key == *key.as_bytes())?;
        Some(pair.value.map(|value| String::from_utf8_lossy(&value).into_owned()))
    }

    /// All entries of the query in order (row R7), decoded as by [`Request::query`].
    #[must_use]
    pub fn queries(&self) -> Vec<(String, Option<String>)> {
        let lossy = |bytes: Cow<'_, [u8]>| String::from_utf8_lossy(&bytes).into_owned();
        Query::new(self.head().query().unwrap_or_default())
            .map(|pair| (lossy(pair.key), pair.value.map(lossy)))
            .collect()
    }

    /// As [`Request::query`], for those who take bytes as they are: nothing has to be UTF-8.
    #[must_use]
    pub fn query_bytes(&self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let head = self.head();
        let pair = Query::new(head.query()?).find(|pair| *pair.key == *key)?;
        Some(pair.value.map(Cow::into_owned))
    }

    /// As [`Request::queries`], for those who take bytes as they are.
    #[must_use]
    pub fn queries_bytes(&self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        Query::new(self.head().query().unwrap_or_default())
            .map(|pair| (pair.key.into_owned(), pair.value.map(Cow::into_owned)))
            .collect()
    }

    /// The length of the content that the client announces (row R5); `None` where it announces none, as for content in
    /// chunks.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.head().get(Known::ContentLength).and_then(decimal)
    }

    /// What a placeholder of the route stands for, decoded: `value("id")` for `/users/{id}`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name)
    }

    /// All placeholders of the route and what they stand for, in order; a star of a pattern is called `*`.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter()
    }

    /// What was given to the app with [`App::state`](crate::App::state).
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.states.find()
    }

    /// The other end of the connection; `None` over a Unix socket.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.caller.peer
    }

    /// Who asks: the client's address and user, as far as layers have found out.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The content, to be read as it arrives.
    pub fn body(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The content alone.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("head", &self.head)
            .field("caller", &self.caller)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// The whole request; where the head alone is asked for, [`Call`] copies nothing.
impl Argument for Request {
    const TAKES_CONTENT: bool = true;

    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        Ok(Taken::Now(Self {
            head: call.head.to_owned(),
            caller: call.caller.clone(),
            body: std::mem::take(&mut call.body),
            values: call.values.clone(),
            states: Arc::clone(call.states),
        }))
    }
}

/// The content, to be read as it arrives.
impl Argument for Body {
    const TAKES_CONTENT: bool = true;

    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        Ok(Taken::Now(std::mem::take(&mut call.body)))
    }
}

/// Whether the client is still there.
impl Argument for Departure {
    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        Ok(Taken::Now(call.caller.departure()))
    }
}

/// Where work goes that may block.
impl Argument for Lane {
    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        Ok(Taken::Now(call.lane.clone()))
    }
}
