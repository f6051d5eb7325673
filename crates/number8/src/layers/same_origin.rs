//! Keeps pages of other sites from doing things here with a visitor's browser.
//!
//! What only reads is let through. A request that changes something, or that opens a WebSocket, goes through these
//! steps:
//!
//! 1. Sec-Fetch-Site, which browsers write and pages cannot, has to say same-origin, or none (a person typed it);
//! 2. Origin, where there is one, has to be that of this server, with TLS where the request came by it;
//! 3. and Host has to be one of its names: a page that has its own name lead here (DNS rebinding) has the same Origin
//!    and Host, and Host is not ours.
//!
//! Programs send none of the first two and pass.

use number8_proto::headers::Known;
use number8_proto::host::{is_literal_or_localhost, is_origin_of, name_of};
use number8_proto::http1::{Head, Method};

use crate::caller::Caller;
use crate::handler::Call;
use crate::layer::{Before, Layer};
use crate::response::Response;

/// Refuses what pages of other sites send: 403 where it comes from elsewhere, 421 where it is for another host.
///
/// Every IP address and `localhost` count as ours: a page can only have a name lead here.
///
/// ```
/// use number8::{App, layers::same_origin::SameOrigin};
///
/// let app = App::new()
///     .post("/lamp", async || "on")
///     .layer(SameOrigin::new().host("farm.local").origin("https://app.example"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct SameOrigin {
    hosts: Vec<String>,
    origins: Vec<String>,
    ports: Vec<u16>,
    hint: String,
}

impl SameOrigin {
    /// Only `localhost` and IP addresses are our names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a name by which clients reach this server.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// Adds another site whose pages may do things here, such as `https://app.example`.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Takes pages that this port of the host serves, whatever its name, for our own: where one app listens at several.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// What the page of a refusal says behind it, such as how a site or a host is added.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    pub(crate) fn refusal(&self, head: &Head<'_>, caller: &Caller) -> Option<Response> {
        let told = caller.host.as_deref().map(str::as_bytes);
        // Only HTTP/1.0 has no Host, and browsers do not speak it.
        let host = told.or_else(|| head.host()).unwrap_or(b"localhost");
        if !self.is_from_here(head, caller, host) {
            let why = "a page of another site sent this";
            return Some(Response::refusal(403, why, &self.hint));
        }
        let name = name_of(host);
        let is_ours = is_literal_or_localhost(host)
            || self.hosts.iter().any(|ours| name.eq_ignore_ascii_case(ours.as_bytes()));
        if is_ours {
            return None;
        }
        let why = "this server does not take that for the host of this request";
        Some(Response::refusal(421, why, &self.hint))
    }

    fn is_from_here(&self, head: &Head<'_>, caller: &Caller, host: &[u8]) -> bool {
        let origin = head.get(Known::Origin);
        let is_invited = |origin: &[u8]| {
            self.origins.iter().any(|other| origin.eq_ignore_ascii_case(other.as_bytes()))
        };
        let is_of_other_port = |origin: &[u8]| {
            self.ports.iter().any(|port| {
                let here = [name_of(host), format!(":{port}").as_bytes()].concat();
                is_origin_of(origin, &here)
            })
        };
        if origin.is_some_and(|origin| is_invited(origin) || is_of_other_port(origin)) {
            return true;
        }
        let site = head.named("Sec-Fetch-Site");
        site.is_none_or(|site| site == b"same-origin" || site == b"none")
            && origin.is_none_or(|origin| caller.is_of_page_of(origin, host))
    }
}

impl Layer for SameOrigin {
    fn before(&self, call: &mut Call<'_>) -> Before {
        let only_reads = matches!(call.head.method(), Method::Get | Method::Head | Method::Options);
        if only_reads && !call.head.has(Known::Upgrade) {
            return Before::Go;
        }
        self.refusal(call.head, call.caller).map_or(Before::Go, Before::Answer)
    }
}
