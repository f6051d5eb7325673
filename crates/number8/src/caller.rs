//! Who asks: what is known of the other end of a request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use number8_proto::host::is_origin_of;

use crate::departure::Departure;
use crate::doors::Doors;
use crate::request_id::RequestId;
use crate::standing::Standing;
use crate::story::Story;

/// Who sent a request. A [`Layer`](crate::Layer) may find out more than the connection tells: the address
/// behind a proxy, the user who has logged in. The access log shows what stands here in the end.
///
/// ```
/// use number8::{App, Before, Call, Layer};
///
/// struct Everyone;
///
/// impl Layer for Everyone {
///     fn before(&self, call: &mut Call<'_>) -> Before {
///         call.caller.user = Some("guest".into());
///         Before::Go
///     }
/// }
/// let app = App::new().layer(Everyone);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The other end of the connection; `None` over a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The address of the client itself: that of `peer`, unless a proxy that is trusted tells another.
    pub ip: Option<IpAddr>,
    /// The name under which the client has proved to be known.
    pub user: Option<Arc<str>>,
    /// Whether the client's request travelled encrypted, as far as is known.
    pub is_secure: bool,
    /// What a form on a page for this client has to send back in its address, as `?token=…`, where the client is known by
    /// a session ([`sessions`](crate::layers)): a page of another site does not know it.
    pub form_token: Option<Box<str>>,
    /// Where people log in and out, where there is a page for it.
    pub doors: Option<Arc<Doors>>,
    /// The host that the client asked for, where a proxy that is trusted tells another than Host.
    pub host: Option<Box<str>>,
    /// What the request is called: by a trusted proxy in X-Request-Id, or by us where somebody wants to know
    /// ([`App::request_ids`](crate::App::request_ids), or a log that shows it).
    pub request_id: Option<RequestId>,
    /// What is told of the way to the answer, where somebody listens.
    pub story: Story,
    /// It is a browser that asks what a page of another site may send, and is told by a layer: nothing is to be done.
    pub(crate) asks_first: bool,
    /// Whether what the client is known by still counts, where that may end before what the request has begun.
    pub(crate) standing: Option<Standing>,
    /// Whom to tell when the client leaves, where somebody wants to know.
    pub(crate) departure: Option<Departure>,
}

impl Caller {
    /// What a connection tells.
    #[must_use]
    pub fn new(peer: Option<SocketAddr>) -> Self {
        Self { peer, ip: peer.map(|peer| peer.ip()), ..Self::default() }
    }

    /// Whether an Origin is that of pages of the host that this request is for.
    ///
    /// SECURITY: pages without TLS may be anybody's who is on the way. The other way round says nothing: what ends TLS in front of
    /// us need not be known.
    pub(crate) fn is_of_page_of(&self, origin: &[u8], host: &[u8]) -> bool {
        let is_lesser = self.is_secure && origin.starts_with(b"http:");
        !is_lesser && is_origin_of(origin, host)
    }

    /// Tells whoever works for this request when its client leaves.
    pub fn departure(&mut self) -> Departure {
        self.departure.get_or_insert_default().clone()
    }

    /// Takes over what was found out where only a copy of this was at hand, behind a wait: an answer brings it along.
    ///
    /// SECURITY: what goes on after its answer ends by the standing that was found there.
    pub(crate) fn learn(&mut self, found: Option<Box<Self>>) {
        if let Some(found) = found {
            *self = *found;
        }
    }

    /// The client has left.
    pub(crate) fn depart(&mut self) {
        if let Some(departure) = self.departure.take() {
            departure.tell(false);
        }
    }

    /// The server stops, and ends the answer.
    pub(crate) fn part(&mut self) {
        if let Some(departure) = self.departure.take() {
            departure.tell(true);
        }
    }

    /// Forgets what was found out about the request before; most often that was nothing.
    #[inline]
    pub(crate) fn begin_again(&mut self, peer: &Option<SocketAddr>, is_secure: bool) {
        if self.user.is_some()
            || self.host.is_some()
            || self.form_token.is_some()
            || self.doors.is_some()
            || self.is_secure != is_secure
            || self.asks_first
            || self.request_id.is_some()
            || self.departure.is_some()
            || self.standing.is_some()
            || self.story.is_heard()
            || self.ip != peer.map(|peer| peer.ip())
        {
            self.forget(*peer, is_secure);
        }
    }

    fn forget(&mut self, peer: Option<SocketAddr>, is_secure: bool) {
        *self = Self { is_secure, ..Self::new(peer) };
    }
}
