//! The cookies of a request, and those that an answer sets.

use number8_proto::cookie::{Cookie, CookieError, cookies};
use number8_proto::http1::Head;

use crate::error::Error;
use crate::handler::{Argument, Call, Taken};
use crate::request::Request;
use crate::response::Response;
use crate::results::IntoResponse;

/// The cookies that a request brings (RFC 6265 §5.4), as an argument.
///
/// ```
/// use number8::{App, Cookies};
///
/// async fn visits(cookies: Cookies) -> String {
///     format!("You were here {} times.", cookies.get("visits").unwrap_or("no"))
/// }
///
/// let app = App::new().get("/", visits);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cookies {
    /// The values of all Cookie fields, joined.
    value: Vec<u8>,
}

impl Cookies {
    /// The value of the first cookie of that name, which is the one for the closest path; `None` too where it is no
    /// UTF-8. Names are told apart by case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        first(cookies(&self.value), name)
    }

    /// Every cookie in order, as bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        cookies(&self.value)
    }
}

impl Argument for Cookies {
    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        let fields: Vec<&[u8]> = fields(call.head).collect();
        Ok(Taken::Now(Self { value: fields.join(&b"; "[..]) }))
    }
}

impl Request {
    /// The value of the first cookie of that name: as [`Cookies::get`], without a copy.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        first(fields(&self.head()).flat_map(cookies), name)
    }

    /// All cookies in order; bytes that are no UTF-8 become U+FFFD.
    #[must_use]
    pub fn cookies(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let head = self.head();
        fields(&head).flat_map(cookies).map(|(name, value)| (text(name), text(value))).collect()
    }
}

impl Response {
    /// The same answer, which sets a cookie besides those that it sets already.
    ///
    /// ```
    /// use number8::{App, Cookie, Error, IntoResponse, Response};
    ///
    /// async fn log_in() -> Result<Response, Error> {
    ///     Ok("Welcome.".into_response().with_cookie(&Cookie::new("session", "8f31").secure())?)
    /// }
    ///
    /// let app = App::new().post("/log-in", log_in);
    /// ```
    ///
    /// # Errors
    /// The cookie cannot be sent, or a browser would drop it.
    pub fn with_cookie(self, cookie: &Cookie) -> Result<Self, CookieError> {
        let value = cookie.field_value()?;
        Ok(self.with_known("Set-Cookie", value))
    }
}

/// 500: the program tried to set a cookie that cannot be set.
impl IntoResponse for CookieError {
    fn into_response(self) -> Response {
        Error::from(self).into_response()
    }
}

/// One Cookie field is what clients send; a proxy may have taken it apart (RFC 9113 §8.2.3).
fn fields<'b>(head: &Head<'b>) -> impl Iterator<Item = &'b [u8]> + use<'b> {
    let named = |(name, _): &(&[u8], &[u8])| name.eq_ignore_ascii_case(b"cookie");
    head.fields().filter(named).map(|(_, value)| value)
}

fn first<'b>(
    mut cookies: impl Iterator<Item = (&'b [u8], &'b [u8])>,
    name: &str,
) -> Option<&'b str> {
    let (_, value) = cookies.find(|(other, _)| *other == name.as_bytes())?;
    std::str::from_utf8(value).ok()
}
