//! Cookies (RFC 6265): those that a request brings, and one that an answer sets.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt::{self, Write};
use core::time::Duration;

use crate::syntax;

/// Name and value of each cookie in the value of a Cookie field, in order.
///
/// As lenient as browsers are about what other servers set: white space around names and values is dropped, a value
/// may hold any byte but `;`, quotes are part of it. What has no `=` or no name is left out.
///
/// ```
/// use number8_proto::cookie::cookies;
/// let all: Vec<_> = cookies(b"fence=8; ;gate = \"open\"").collect();
/// assert_eq!(all, [(&b"fence"[..], &b"8"[..]), (b"gate", b"\"open\"")]);
/// ```
pub fn cookies(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.split(|&byte| byte == b';').filter_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let name = syntax::trim_ows(&pair[..equals]);
        (!name.is_empty()).then(|| (name, syntax::trim_ows(&pair[equals + 1..])))
    })
}

/// With which requests of other sites a browser sends a cookie back (RFC 6265bis §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// None at all.
    Strict,
    /// Those by which a person comes to a page.
    Lax,
    /// All; only where the cookie is [`Cookie::secure`].
    None,
}

/// A cookie that an answer sets.
///
/// What is not said otherwise is the careful choice: the whole site (`Path=/`), but no other one (`SameSite=Lax`, no
/// `Domain`), no script (`HttpOnly`), until the browser closes.
///
/// ```
/// use core::time::Duration;
/// use number8_proto::cookie::Cookie;
///
/// let cookie = Cookie::new("session", "8f31").secure().max_age(Duration::from_secs(3600));
/// assert_eq!(
///     cookie.field_value()?,
///     "session=8f31; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax"
/// );
/// # Ok::<(), number8_proto::cookie::CookieError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    name: String,
    value: String,
    path: String,
    domain: Option<String>,
    max_age: Option<Duration>,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
}

impl Cookie {
    /// A cookie. Both are checked when it is sent: [`Cookie::field_value`].
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            path: "/".to_owned(),
            domain: None,
            max_age: None,
            secure: false,
            http_only: true,
            same_site: SameSite::Lax,
        }
    }

    /// Has the browser forget the cookie of that name. Path and domain have to be those with which it was set.
    pub fn removal(name: impl Into<String>) -> Self {
        Self::new(name, "").max_age(Duration::ZERO)
    }

    /// Sent back for this path and what is below it.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sent back to this host and all below it. Without a domain, only the host that set it gets it.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Kept for so long, in whole seconds, also when the browser closes.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Sent back over TLS only, and to this machine itself.
    #[must_use]
    pub fn secure(mut self) -> Self {
        self.secure = true;
        self
    }

    /// Scripts of the page may read it.
    #[must_use]
    pub fn readable_by_scripts(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// With which requests of other sites it is sent back.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// The value of the Set-Cookie field that sets it (RFC 6265 §4.1.1).
    ///
    /// # Errors
    /// It cannot be sent, or a browser would drop it without a word.
    pub fn field_value(&self) -> Result<String, CookieError> {
        self.check()?;
        let mut out = String::with_capacity(self.name.len() + self.value.len() + 64);
        out.extend([&self.name, "=", &self.value, "; Path=", &self.path]);
        if let Some(domain) = &self.domain {
            out.extend(["; Domain=", domain]);
        }
        if let Some(age) = self.max_age {
            // A `String` takes whatever is written.
            let _ = write!(out, "; Max-Age={}", age.as_secs());
        }
        if self.secure {
            out.push_str("; Secure");
        }
        if self.http_only {
            out.push_str("; HttpOnly");
        }
        out.push_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
        Ok(out)
    }

    fn check(&self) -> Result<(), CookieError> {
        if !syntax::is_token(self.name.as_bytes()) {
            return Err(CookieError::Name);
        }
        if !is_cookie_value(self.value.as_bytes()) {
            return Err(CookieError::Value);
        }
        if !self.path.starts_with('/') || !is_attribute(&self.path) {
            return Err(CookieError::Path);
        }
        if self.domain.as_ref().is_some_and(|domain| !is_domain(domain)) {
            return Err(CookieError::Domain);
        }
        let longest_attribute = self.path.len().max(self.domain.as_ref().map_or(0, String::len));
        if self.name.len() + self.value.len() > PAIR_BYTES_MAX
            || longest_attribute > ATTRIBUTE_BYTES_MAX
        {
            return Err(CookieError::TooLong);
        }
        let has_prefix = |prefix: &str| {
            self.name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let is_for_host = has_prefix("__Host-");
        let wants_secure =
            is_for_host || has_prefix("__Secure-") || self.same_site == SameSite::None;
        if wants_secure && !self.secure {
            return Err(CookieError::NotSecure);
        }
        if is_for_host && (self.path != "/" || self.domain.is_some()) {
            return Err(CookieError::NotForHost);
        }
        Ok(())
    }
}

/// Browsers drop a cookie whose name and value are longer together (RFC 6265bis §5.5).
const PAIR_BYTES_MAX: usize = 4096;

/// Browsers ignore a longer attribute (RFC 6265bis §5.4), and would set the cookie for something else.
const ATTRIBUTE_BYTES_MAX: usize = 1024;

/// `cookie-value = *cookie-octet / ( DQUOTE *cookie-octet DQUOTE )` (RFC 6265 §4.1.1).
fn is_cookie_value(value: &[u8]) -> bool {
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    quoted
        .unwrap_or(value)
        .iter()
        .all(|byte| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e))
}

/// `path-value = *av-octet`: anything but control characters and `;`; ASCII, as in targets.
fn is_attribute(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b';') && !value.ends_with(' ')
}

fn is_domain(domain: &str) -> bool {
    !domain.is_empty()
        && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

/// A cookie that cannot be sent, or that a browser would drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieError {
    /// The name is no token.
    Name,
    /// The value holds a control character, a space, `"`, `,`, `;`, `\` or what is not ASCII.
    Value,
    /// The path does not begin with `/`, or holds `;` or what is not visible ASCII.
    Path,
    /// The domain is no host name.
    Domain,
    /// Name and value, or an attribute, are longer than browsers take.
    TooLong,
    /// `SameSite=None` and the prefixes `__Secure-` and `__Host-` want [`Cookie::secure`].
    NotSecure,
    /// The prefix `__Host-` wants the path `/` and no domain.
    NotForHost,
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of a cookie must be a token",
            Self::Value => "the value of a cookie must be encoded: it holds what cannot be sent",
            Self::Path => "the path of a cookie must begin with `/` and be ASCII without `;`",
            Self::Domain => "the domain of a cookie must be a host name",
            Self::TooLong => "the cookie is longer than browsers take",
            Self::NotSecure => "browsers drop such a cookie unless it is secure",
            Self::NotForHost => "a `__Host-` cookie has the path `/` and no domain",
        })
    }
}

impl core::error::Error for CookieError {}
