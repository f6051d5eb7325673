//! Where people log in and out by a page, and where they wanted to go before it came between.

use std::fmt::Write;

/// The target, if it is a path of this server and nothing else.
///
/// SECURITY: else a link to our login page could lead on to a page that looks like ours. `//host` and `/\host` are other
/// hosts to a browser, and it drops controls before it looks.
pub(crate) fn checked(to: &str) -> Option<&str> {
    let is_plain = to.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b'\\');
    (is_plain && to.starts_with('/') && !to.starts_with("//")).then_some(to)
}

/// Where people log in and out by a page ([`Login`](crate::layers)): what pages with a link to it need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Doors {
    /// The address of the form for logging in.
    pub login: String,
    /// The address that ends a session, by POST with the token of its forms.
    pub logout: String,
}

impl Doors {
    /// Under this path, without a slash at its end.
    #[cfg(feature = "accounts")]
    pub(crate) fn under(prefix: &str) -> Self {
        Self {
            login: format!("{prefix}/.number8/login"),
            logout: format!("{prefix}/.number8/logout"),
        }
    }

    /// The address of the form that leads back to this target.
    ///
    /// ```
    /// use number8::{App, Call, Handler, Answer, Response};
    ///
    /// /// A page with a link for those who have not logged in.
    /// struct Page;
    ///
    /// impl Handler for Page {
    ///     fn handle(&self, call: Call<'_>) -> Answer {
    ///         let link = call.caller.doors.as_ref().map(|doors| doors.login_for(call.head.target()));
    ///         Response::new(200, link.unwrap_or_default()).into()
    ///     }
    /// }
    /// let app = App::new().mount("/", Page);
    /// ```
    #[must_use]
    pub fn login_for(&self, target: &[u8]) -> String {
        login_for(&self.login, target)
    }
}

fn login_for(login: &str, target: &[u8]) -> String {
    let target = str::from_utf8(target).ok().and_then(checked).filter(|target| *target != "/");
    let Some(target) = target else { return login.to_owned() };
    let mut address = format!("{login}?to=");
    for byte in target.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            // A `String` takes whatever is written.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a5_the_login_page_leads_nowhere_else() {
        for (to, is_ours) in [
            ("/", true),
            ("/.number8/board?x=1&y=%2F%2Fa#b", true),
            ("/a//b", true),
            ("", false),
            ("a", false),
            ("//evil.example/", false),
            ("/\\evil.example/", false),
            ("\\\\evil.example", false),
            ("/\t/evil.example", false),
            ("/\n/evil.example", false),
            (" //evil.example", false),
            ("https://evil.example/", false),
            ("javascript:alert(1)", false),
            ("/ü", false),
        ] {
            assert_eq!(checked(to).is_some(), is_ours, "{to:?}");
        }
        assert_eq!(login_for("/login", b"/"), "/login");
        assert_eq!(login_for("/login", b"//evil.example"), "/login");
        assert_eq!(login_for("/login", b"/a/b?c=d&e"), "/login?to=/a/b%3Fc%3Dd%26e");
    }

    proptest! {
        #[test]
        fn what_is_kept_is_a_path_as_browsers_read_it(to in "[/\\\\a.:?#\t\r\n ]{0,8}") {
            if let Some(to) = checked(&to) {
                // WHATWG URL: tabs and line ends are dropped, `\` is `/`.
                let seen: String = to.chars().filter(|c| !"\t\r\n".contains(*c)).collect();
                let seen = seen.replace('\\', "/");
                prop_assert!(seen.starts_with('/') && !seen.starts_with("//"));
            }
        }
    }
}
