//! The cookie in which a browser keeps the id of its session, and what it is called.

use std::fmt::Write;
use std::time::Duration;

use number8_proto::cookie::{Cookie, SameSite, cookies};
use number8_proto::host::port_of;
use number8_proto::http1::Head;

use crate::caller::Caller;

/// The cookie of this server, as the client of one request reaches it.
///
/// Cookies know no port (RFC 6265 §8.5), and servers behind one proxy have one host: by one name for all of them, a login at
/// the one would end that at the other. So the port that the browser sees is in the name, and the path.
pub(super) struct IdCookie {
    name: String,
    is_secure: bool,
}

impl IdCookie {
    /// Of a server whose first page has this path, which ends with a slash.
    pub(super) fn of(head: &Head<'_>, caller: &Caller, home: &str) -> Self {
        let told = caller.host.as_deref().map(str::as_bytes);
        Self::of_host(told.or_else(|| head.host()).unwrap_or_default(), caller.is_secure, home)
    }

    /// SECURITY: a cookie that begins with `__Host-` is taken by browsers from this very host alone, by TLS.
    pub(super) fn of_host(host: &[u8], is_secure: bool, home: &str) -> Self {
        let name = if is_secure { "__Host-number8_session" } else { "number8_session" };
        let mut name = name.to_owned();
        for (mark, part) in [('_', port_of(host, b"")), ('.', home.trim_matches('/').as_bytes())] {
            if !part.is_empty() {
                name.push(mark);
            }
            for &byte in part {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    name.push(char::from(byte));
                } else {
                    // A `String` takes whatever is written.
                    let _ = write!(name, "%{byte:02X}");
                }
            }
        }
        Self { name, is_secure }
    }

    /// SECURITY: a page of another host below ours (without TLS), or on another port, can set cookies of this name beside ours.
    /// Where there are several, none counts.
    pub(super) fn id<'b>(&self, head: &Head<'b>) -> Option<&'b [u8]> {
        let mut ids = self.ids(head);
        ids.next().filter(|id| ids.next().is_none() && id.len() <= ID_BYTES_MAX)
    }

    pub(super) fn is_in(&self, head: &Head<'_>) -> bool {
        self.ids(head).next().is_some()
    }

    pub(super) fn with(&self, id: String, life: Duration) -> Cookie {
        self.guarded(Cookie::new(&self.name, id).max_age(life))
    }

    pub(super) fn removal(&self) -> Cookie {
        self.guarded(Cookie::removal(&self.name))
    }

    fn guarded(&self, cookie: Cookie) -> Cookie {
        let cookie = cookie.same_site(SameSite::Strict);
        if self.is_secure { cookie.secure() } else { cookie }
    }

    fn ids<'b>(&self, head: &Head<'b>) -> impl Iterator<Item = &'b [u8]> {
        let fields = head.fields().filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"));
        let all = fields.flat_map(|(_, value)| cookies(value));
        all.filter(|(name, _)| *name == self.name.as_bytes()).map(|(_, value)| value)
    }
}

/// Ids have 43 characters; a longer one is nobody's.
const ID_BYTES_MAX: usize = 64;
