//! The page for logging in, the address for logging out, and the cookie between them.

use std::fmt;
use std::sync::Arc;

use number8_proto::headers::Known;
use number8_proto::http1::{Head, Method};
use number8_proto::uri::Query;
use subtle::ConstantTimeEq;

use super::cookie::IdCookie;
use super::{Sessions, page};
use crate::body::Body;
use crate::caller::Caller;
use crate::doors::{Doors, checked};
use crate::handler::Call;
use crate::layer::{Before, Waited};
use crate::layers::auth::checker::{Asked, Checker, Verdict};
use crate::layers::auth::credentials::Credentials;
use crate::response::Response;
use crate::standing::Standing;

/// Logging in by a page, beside Basic: give it to [`Auth::login`](crate::layers::auth::Auth::login).
///
/// It answers `/.number8/login` (GET: the form; POST of `name`, `password` and `to`: 303 to `to`, with the cookie) and
/// `/.number8/logout` (POST: ends the session, or with the field `everywhere` all those of its user). A browser that
/// comes to a page which is not for everybody is sent to the form, and back afterwards; programs get 401 as ever.
#[derive(Clone)]
pub struct Login {
    sessions: Sessions,
    doors: Arc<Doors>,
    home: String,
    page: Arc<Page>,
}

type Page = dyn Fn(&LoginPage<'_>) -> Response + Send + Sync;

/// What a page for logging in has to show.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LoginPage<'a> {
    /// Where the form is posted to.
    pub action: &'a str,
    /// The value of the hidden field `to`.
    pub to: &'a str,
    /// The name that was typed before, for the field `name`. The other field is `password`.
    pub name: &'a str,
    /// Why it is shown again.
    pub problem: Option<&'a str>,
    /// Who has logged in already.
    pub user: Option<&'a str>,
}

/// What a form for logging in holds.
#[derive(Default)]
struct Typed {
    name: String,
    password: Vec<u8>,
    to: String,
}

impl Login {
    /// With these sessions, under `/.number8`, with a plain page.
    #[must_use]
    pub fn new(sessions: Sessions) -> Self {
        let doors = Arc::new(Doors::under(""));
        Self { sessions, doors, home: "/".to_owned(), page: Arc::new(page::plain) }
    }

    /// Under this path, without a slash at its end, where everything else is: `/farm` for `/farm/.number8/login`.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.doors = Arc::new(Doors::under(prefix));
        self.home = format!("{prefix}/");
        self
    }

    /// With a page of your own. Status and Cache-Control are set afterwards.
    #[must_use]
    pub fn page(
        mut self,
        page: impl Fn(&LoginPage<'_>) -> Response + Send + Sync + 'static,
    ) -> Self {
        self.page = Arc::new(page);
        self
    }

    pub(in crate::layers) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// What this layer does with a request: answers it, or finds out by the cookie who asks.
    pub(in crate::layers) fn before(
        &self,
        checker: &Arc<Checker>,
        call: &mut Call<'_>,
    ) -> Option<Before> {
        call.caller.doors = Some(Arc::clone(&self.doors));
        let path = call.head.path();
        if path == self.doors.login.as_bytes() {
            return Some(self.log_in(checker, call));
        }
        let is_logout = path == self.doors.logout.as_bytes();
        // What a program says of itself goes before what a browser keeps.
        if !is_logout && call.head.has(Known::Authorization) {
            return None;
        }
        let id = self.cookie(call.head, call.caller).id(call.head);
        let found = id.and_then(|id| Some((id, self.sessions.find(id)?)));
        let Some((id, session)) = found else {
            return is_logout.then(|| self.log_out(call, None));
        };
        let token = self.sessions.form_token(id);
        if changes_something(call.head) && !is_from_our_page(call.head, &token) {
            let why = "this request does not say which page it comes from: load the page again";
            return Some(Before::Answer(Response::error(403, why)));
        }
        if is_logout {
            return Some(self.log_out(call, Some((id, &session.user))));
        }
        let (user, stamp) = (Arc::clone(&session.user), session.stamp);
        call.caller.form_token = Some(token.into());
        call.caller.standing = Some(Standing::new(session));
        if checker.is_look_due() {
            let (checker, lane) = (Arc::clone(checker), call.lane.clone());
            return Some(Before::wait(async move {
                checker.look_by(&lane).await;
                let is_still = checker.stamp(&user) == Some(stamp);
                Waited::Go { user: is_still.then_some(user) }
            }));
        }
        if checker.stamp(&user) == Some(stamp) {
            call.caller.user = Some(user);
        } else {
            self.sessions.end(id);
        }
        Some(Before::Go)
    }

    /// Shows browsers the form in place of a refusal that logging in could help.
    pub(in crate::layers) fn after(
        &self,
        head: &Head<'_>,
        caller: &Caller,
        response: Response,
    ) -> Response {
        // SECURITY: that a request with a cookie is for one person is told to caches by nothing else (RFC 9111 §3.5), and
        // after a logout the browser shall not show what it keeps.
        if caller.form_token.is_some() && response.field("Cache-Control").is_none() {
            return response.with_known("Cache-Control", "private, no-cache");
        }
        if response.status() != 401 || head.has(Known::Authorization) {
            return response;
        }
        if !is_navigation(head) {
            // A script of a page gets the refusal, and the browser no reason to ask for a password by itself.
            let is_script =
                head.named("sec-fetch-mode").is_some() || self.cookie(head, caller).is_in(head);
            return match is_script {
                true => response.replacing("WWW-Authenticate", CHALLENGE).unwrap_or_else(failed),
                false => response,
            };
        }
        let target = if head.method() == Method::Get { head.target() } else { b"/" };
        let location = self.doors.login_for(target);
        let redirect = Response::new(303, Body::empty()).with_known("Location", location);
        redirect.with_known("Cache-Control", "no-store")
    }

    fn cookie(&self, head: &Head<'_>, caller: &Caller) -> IdCookie {
        IdCookie::of(head, caller, &self.home)
    }

    fn log_in(&self, checker: &Arc<Checker>, call: &mut Call<'_>) -> Before {
        match call.head.method() {
            Method::Get | Method::Head => {
                let to = query_value(call.head, b"to").unwrap_or_default();
                let id = self.cookie(call.head, call.caller).id(call.head);
                let user = id.and_then(|id| self.sessions.find(id));
                let user = user.as_ref().map(|session| &*session.user);
                Before::Answer(self.show(200, &Typed { to, ..Typed::default() }, None, user))
            }
            Method::Post => {
                let body = std::mem::take(&mut call.body).limit(FORM_BYTES_MAX);
                let (login, checker) = (self.clone(), Arc::clone(checker));
                let (lane, client) = (call.lane.clone(), call.caller.ip);
                let cookie = self.cookie(call.head, call.caller);
                let old = cookie.id(call.head).map(<[u8]>::to_vec);
                Before::wait(async move {
                    let Ok(form) = body.bytes().await else {
                        let why = "the form is longer than a name and a password";
                        return Waited::Answer(Response::error(413, why));
                    };
                    let typed = Typed::read(&form);
                    let verdict = checker.check(typed.asked(client), lane).await;
                    Waited::Answer(login.decide(verdict, &typed, old.as_deref(), &cookie))
                })
            }
            Method::Options => Before::Answer(Response::options("GET, HEAD, POST, OPTIONS")),
            _ => Before::Answer(Response::not_allowed("GET, HEAD, POST, OPTIONS")),
        }
    }

    fn decide(
        &self,
        verdict: Verdict,
        typed: &Typed,
        old: Option<&[u8]>,
        cookie: &IdCookie,
    ) -> Response {
        let (user, accounts) = match verdict {
            Verdict::User(user, accounts) => (user, accounts),
            Verdict::Wrong => {
                // Not 401, for which a browser would ask by itself.
                return self.show(403, typed, Some("The name or the password is wrong"), None);
            }
            Verdict::TooOften { wait_ms } => {
                let seconds = wait_ms.div_ceil(1000);
                let why = format!("Too many wrong passwords: try again in {seconds} s");
                let page = self.show(429, typed, Some(&why), None);
                return page.with_known("Retry-After", seconds.to_string());
            }
            Verdict::Busy => {
                let why = "Too many people are logging in: try again in a moment";
                return self.show(503, typed, Some(why), None).with_known("Retry-After", "1");
            }
        };
        // SECURITY: never the id that the browser had, which somebody else may have given it.
        if let Some(old) = old {
            self.sessions.end(old);
        }
        // SECURITY: of the password that was right, which may be the old one by now.
        let begun = accounts.stamp(&user).map(|stamp| self.sessions.begin(&user, stamp));
        let Some(Ok(id)) = begun else {
            return Response::error(500, "no session could be begun");
        };
        let to = checked(&typed.to).unwrap_or(&self.home);
        Response::new(303, Body::empty())
            .with_known("Location", to)
            .with_known("Cache-Control", "no-store")
            .with_cookie(&cookie.with(id, self.sessions.life()))
            .unwrap_or_else(failed)
    }

    fn log_out(&self, call: &mut Call<'_>, session: Option<(&[u8], &Arc<str>)>) -> Before {
        match call.head.method() {
            Method::Post => {}
            Method::Options => return Before::Answer(Response::options("POST, OPTIONS")),
            _ => return Before::Answer(Response::not_allowed("POST, OPTIONS")),
        }
        let gone = Response::new(303, Body::empty())
            .with_known("Location", &self.doors.login)
            .with_known("Cache-Control", "no-store")
            .with_cookie(&self.cookie(call.head, call.caller).removal())
            .unwrap_or_else(failed);
        let Some((id, user)) = session else { return Before::Answer(gone) };
        self.sessions.end(id);
        let body = std::mem::take(&mut call.body).limit(FORM_BYTES_MAX);
        let (sessions, user) = (self.sessions.clone(), Arc::clone(user));
        Before::wait(async move {
            let form = body.bytes().await.unwrap_or_default();
            if Query::new(&form).any(|pair| *pair.key == *b"everywhere") {
                sessions.end_all_of(&user);
            }
            Waited::Answer(gone)
        })
    }

    fn show(
        &self,
        status: u16,
        typed: &Typed,
        problem: Option<&str>,
        user: Option<&str>,
    ) -> Response {
        let to = checked(&typed.to).unwrap_or(&self.home);
        let page = LoginPage { action: &self.doors.login, to, name: &typed.name, problem, user };
        (self.page)(&page).with_status(status).with_known("Cache-Control", "no-store")
    }
}

impl Typed {
    fn read(form: &[u8]) -> Self {
        let mut typed = Self::default();
        for pair in Query::new(form) {
            let value = pair.value.unwrap_or_default();
            match &*pair.key {
                b"name" => typed.name = String::from_utf8_lossy(&value).into_owned(),
                b"password" => typed.password = value.into_owned(),
                b"to" => typed.to = String::from_utf8_lossy(&value).into_owned(),
                _ => {}
            }
        }
        typed
    }

    fn asked(&self, client: Option<std::net::IpAddr>) -> Asked {
        let (name, password) = (self.name.clone(), self.password.clone());
        Asked { credentials: Credentials::Basic { name, password }, client }
    }
}

fn changes_something(head: &Head<'_>) -> bool {
    !matches!(head.method(), Method::Get | Method::Head | Method::Options)
        || head.has(Known::Upgrade)
}

/// Whether the browser says where the request comes from, which another layer checks, or the page knows the token.
fn is_from_our_page(head: &Head<'_>, token: &str) -> bool {
    if head.has(Known::Origin) || head.named("sec-fetch-site").is_some() {
        return true;
    }
    let in_field = head.named("x-number8-token").is_some_and(|sent| is_same(sent, token));
    in_field || query_value(head, b"token").is_some_and(|sent| is_same(sent.as_bytes(), token))
}

fn is_same(sent: &[u8], token: &str) -> bool {
    sent.ct_eq(token.as_bytes()).into()
}

fn query_value(head: &Head<'_>, key: &[u8]) -> Option<String> {
    let pair = Query::new(head.query()?).find(|pair| *pair.key == *key)?;
    String::from_utf8(pair.value?.into_owned()).ok()
}

/// Whether a person is to see the answer in a window of a browser.
fn is_navigation(head: &Head<'_>) -> bool {
    if !matches!(head.method(), Method::Get | Method::Head | Method::Post) {
        return false;
    }
    match head.named("sec-fetch-mode") {
        Some(mode) => mode == b"navigate",
        // Browsers leave that out over plain HTTP, and some always.
        None => {
            let accept = head.get(Known::Accept).unwrap_or_default();
            let html = b"text/html";
            accept.windows(html.len()).any(|part| part.eq_ignore_ascii_case(html))
        }
    }
}

fn failed<E>(_: E) -> Response {
    crate::response::failed()
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("login", &self.doors.login).finish_non_exhaustive()
    }
}

/// A name, a password and a target.
const FORM_BYTES_MAX: u64 = 16 << 10;

/// RFC 9110 §11.6.1: 401 has to have a challenge. This one is known to no browser.
const CHALLENGE: &str = "Session realm=\"number8\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Accounts;
    use crate::layers::auth::AuthLimits;
    use crate::server::LaneOptions;
    use crate::server::lane::Lane;
    use crate::sync::lock;

    /// Another password takes the place of one that is just being found right.
    #[tokio::test]
    async fn a5_no_session_of_a_new_password_begins_by_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let write = |password: &str| {
            let new = folder.path().join("new");
            let hash = crate::accounts::hash_password(password).unwrap();
            std::fs::write(&new, format!("joe:{hash}\n")).unwrap();
            std::fs::rename(&new, &path).unwrap();
        };
        write("old");
        let accounts = Accounts::new().unwrap().file(&path).unwrap();
        let checker = Arc::new(Checker::new(accounts, AuthLimits::default(), Box::new(|_| {})));
        let login = Login::new(Sessions::new().unwrap());
        let typed = Typed { name: "joe".into(), password: b"old".into(), to: String::new() };
        let lane = Lane::new(LaneOptions::default());
        let cookie = IdCookie::of_host(b"localhost", false, "/");
        // Found by its hash, then remembered.
        for checks in [1, 2] {
            write("old");
            assert!(checker.look_by(&lane).await);
            let mut verdict = Verdict::Busy;
            for _ in 0..checks {
                verdict = Arc::clone(&checker).check(typed.asked(None), lane.clone()).await;
            }
            write("new");
            assert!(checker.look_by(&lane).await);
            assert_eq!(login.decide(verdict, &typed, None, &cookie).status(), 303);
        }
        let now = checker.stamp("joe").unwrap();
        assert_eq!(login.sessions.count(), 2);
        lock(&login.sessions.0.table).keep(|_, stamp| stamp == now);
        assert_eq!(login.sessions.count(), 0);
    }
}
