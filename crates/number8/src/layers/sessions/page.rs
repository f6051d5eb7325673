//! The page for logging in where the program has none of its own.

use super::LoginPage;
use crate::app::Escaped;
use crate::response::Response;

/// No script, nothing from outside, nothing but the form.
pub(super) fn plain(page: &LoginPage<'_>) -> Response {
    let (action, to, name) = (Escaped(page.action), Escaped(page.to), Escaped(page.name));
    let problem = page.problem.map_or_else(String::new, |problem| {
        format!("<p role=\"alert\">{}.</p>\n", Escaped(problem))
    });
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Log in</title>\n<h1>Log in</h1>\n{problem}\
         <form method=\"post\" action=\"{action}\">\n<input type=\"hidden\" name=\"to\" value=\"{to}\">\n\
         <p><label>Name <input name=\"name\" value=\"{name}\" autocomplete=\"username\" required></label>\n\
         <p><label>Password <input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>\n\
         <p><button>Log in</button>\n</form>\n</html>\n",
    );
    Response::new(200, text)
        .with_known("Content-Type", "text/html; charset=utf-8")
        .with_known("Content-Security-Policy", POLICY)
        .with_known("X-Content-Type-Options", "nosniff")
}

const POLICY: &str =
    "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
