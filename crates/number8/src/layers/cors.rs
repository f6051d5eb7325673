//! Lets pages of other sites read answers (the Fetch standard's CORS protocol).
//!
//! An answer says who may read it; a preflight (an OPTIONS request of the browser's own) asks beforehand what may be
//! sent. Nothing here keeps anybody from sending: that is [`same_origin`](super::same_origin).

use std::time::Duration;

use number8_proto::headers::{FieldError, Fields, Known};
use number8_proto::http1::{Head, Method};

use crate::body::Body;
use crate::caller::Caller;
use crate::handler::Call;
use crate::layer::{Before, Layer};
use crate::response::Response;

/// The fields of answers with files that pages have a use for: what to hand to [`Cors::exposed`].
pub const FILE_FIELDS: &str = "Content-Range, ETag, Location";

/// Says who else may read the answers.
///
/// It is to be the first of the layers that may refuse, so that it sees what they refuse. A preflight of a page that may read is
/// answered by it, with the methods that the address has where that is known: no handler is called but one of OPTIONS
/// ([`Handler::allow`](crate::Handler::allow), where it is mounted).
///
/// ```
/// use number8::{App, layers::cors::Cors};
///
/// let app = App::new().get("/", async || "Hello, world.").layer(Cors::any());
/// ```
#[derive(Clone, Debug)]
pub struct Cors {
    /// None for any.
    origins: Option<Vec<String>>,
    methods: Option<String>,
    headers: Option<String>,
    exposed: Option<String>,
    credentials: bool,
    private_network: bool,
    max_age: Duration,
}

impl Cors {
    /// Pages of any site may read: `*` in every answer (row U5). Never with the credentials of the visitor.
    #[must_use]
    pub fn any() -> Self {
        Self {
            origins: None,
            methods: None,
            headers: None,
            exposed: None,
            credentials: false,
            private_network: false,
            max_age: Duration::from_secs(600),
        }
    }

    /// Pages of these sites may read, such as `https://app.example`.
    ///
    /// # Errors
    /// An origin cannot be sent.
    pub fn origins<S: Into<String>>(
        origins: impl IntoIterator<Item = S>,
    ) -> Result<Self, FieldError> {
        let origins: Vec<String> = origins.into_iter().map(Into::into).collect();
        origins.iter().try_for_each(|origin| sendable(origin))?;
        Ok(Self { origins: Some(origins), ..Self::any() })
    }

    /// The methods that may be used, with commas between. By default those that the address has.
    ///
    /// # Errors
    /// They cannot be sent.
    pub fn methods(self, methods: &str) -> Result<Self, FieldError> {
        sendable(methods)?;
        Ok(Self { methods: Some(methods.to_owned()), ..self })
    }

    /// The fields that may be sent, with commas between. By default whatever is asked for.
    ///
    /// # Errors
    /// They cannot be sent.
    pub fn headers(self, headers: &str) -> Result<Self, FieldError> {
        sendable(headers)?;
        Ok(Self { headers: Some(headers.to_owned()), ..self })
    }

    /// The fields of answers that pages may see besides the usual ones, with commas between. By default none.
    ///
    /// # Errors
    /// They cannot be sent.
    pub fn exposed(self, fields: &str) -> Result<Self, FieldError> {
        sendable(fields)?;
        Ok(Self { exposed: Some(fields.to_owned()), ..self })
    }

    /// Lets pages of the named sites act with the credentials of their visitor. For any site this does nothing: no
    /// browser would do it.
    #[must_use]
    pub fn credentials(self) -> Self {
        Self { credentials: self.origins.is_some(), ..self }
    }

    /// Lets pages from the internet reach this server in a private network, where browsers ask for that.
    #[must_use]
    pub fn private_network(self) -> Self {
        Self { private_network: true, ..self }
    }

    /// How long a browser may remember what it was told. Default 10 minutes.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// The origin to name, if this one may read.
    fn allowed<'a>(&self, origin: Option<&'a [u8]>) -> Option<&'a [u8]> {
        let Some(origins) = &self.origins else { return Some(b"*") };
        let origin = origin?;
        origins.iter().any(|other| origin.eq_ignore_ascii_case(other.as_bytes())).then_some(origin)
    }

    fn share(&self, origin: &[u8], mut response: Response) -> Result<Response, FieldError> {
        response = response.with("Access-Control-Allow-Origin", origin)?;
        if self.credentials {
            response = response.with("Access-Control-Allow-Credentials", "true")?;
        }
        match &self.exposed {
            Some(exposed) => response.with("Access-Control-Expose-Headers", exposed),
            None => Ok(response),
        }
    }

    /// The answer to a preflight, made of the one that OPTIONS has without it.
    fn preflight(
        &self,
        origin: &[u8],
        head: &Head<'_>,
        response: Response,
    ) -> Result<Response, FieldError> {
        let asked = head.named(REQUEST_METHOD).unwrap_or_default();
        let methods = match (&self.methods, response.field("Allow")) {
            (Some(methods), _) => methods.clone().into_bytes(),
            (None, Some(allow)) => allow.to_vec(),
            (None, None) => asked.to_vec(),
        };
        // The question is free, whoever may ask the real one: browsers ask it without credentials. They take no for an answer
        // where the status is not one of success, so what does not know the question says nothing.
        let response = match response.status() {
            200..=299 => response,
            _ => Response::new(204, Body::empty()),
        };
        let mut response = self
            .share(origin, response)?
            .with("Access-Control-Allow-Methods", methods)?
            .with("Access-Control-Max-Age", self.max_age.as_secs().to_string())?;
        let asked = head.named("Access-Control-Request-Headers");
        if let Some(headers) = self.headers.as_ref().map(String::as_bytes).or(asked) {
            response = response.with("Access-Control-Allow-Headers", headers)?;
        }
        let asks_for_private = head.named("Access-Control-Request-Private-Network").is_some();
        if self.private_network && asks_for_private {
            response = response.with("Access-Control-Allow-Private-Network", "true")?;
        }
        Ok(response)
    }
}

impl Layer for Cors {
    fn before(&self, call: &mut Call<'_>) -> Before {
        if is_preflight(call.head) && self.allowed(call.head.get(Known::Origin)).is_some() {
            call.caller.asks_first = true;
        }
        Before::Go
    }

    fn after(&self, head: &Head<'_>, _: &Caller, response: Response) -> Response {
        let origin = head.get(Known::Origin);
        let says_itself = response
            .fields()
            .any(|(name, _)| name.eq_ignore_ascii_case("Access-Control-Allow-Origin"));
        if says_itself {
            return response;
        }
        let shared = match self.allowed(origin) {
            Some(allowed) if is_preflight(head) => self.preflight(allowed, head, response),
            Some(allowed) => self.share(allowed, response),
            None => Ok(response),
        };
        let varied = match (shared, &self.origins) {
            // For caches: another origin gets another answer.
            (Ok(response), Some(_)) => response.with("Vary", "Origin"),
            (shared, _) => shared,
        };
        // What was asked for came in a valid head, so it can be sent.
        varied.unwrap_or_else(|_| Response::error(400, "this cannot be allowed"))
    }
}

/// Whether a browser asks what a page may send.
fn is_preflight(head: &Head<'_>) -> bool {
    head.method() == Method::Options
        && head.has(Known::Origin)
        && head.named(REQUEST_METHOD).is_some()
}

fn sendable(value: &str) -> Result<(), FieldError> {
    Fields::new().push("Access-Control-Allow-Origin", value.as_bytes())
}

const REQUEST_METHOD: &str = "Access-Control-Request-Method";
