//! The pages of the board, as they are without a script. Where `make web` has built the scripts, each page loads its own,
//! which makes more of what stands there; every address and every form works without.

mod template;

use std::sync::Arc;

use number8::access::{Rights, Rule};
use number8::accounts::random_text;
use number8::layers::sessions::LoginPage;
use number8::store::OnClash;
use number8::{
    Answer, App, Asset, Assets, Call, Events, Handler, IntoResponse, Method, Overlay, Redirect,
    Response, Runner, WebReplPage,
};

use self::template::{Template, escaped};

static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What all pages know of the server.
#[derive(Clone, Debug)]
pub(crate) struct Pages(Arc<Site>);

#[derive(Debug)]
struct Site {
    /// What stands before every path.
    prefix: String,
    /// Where events are heard, if they are.
    events: Option<String>,
    /// What runs programs, if anything does, and in which languages.
    runner: Option<(Runner, Vec<String>)>,
    has_terminal: bool,
    /// What becomes of a file that is there when one of its name is added.
    on_clash: OnClash,
}

/// One page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Board,
    Files,
    Terminal,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Board, Kind::Files, Kind::Terminal];

    /// The last part of its path, and the name of its script.
    fn name(self) -> &'static str {
        match self {
            Kind::Board => "board",
            Kind::Files => "files",
            Kind::Terminal => "terminal",
        }
    }

    /// What leads to it.
    fn title(self) -> &'static str {
        match self {
            Kind::Board => "Program",
            Kind::Files => "Files",
            Kind::Terminal => "Terminal",
        }
    }

    fn content(self) -> &'static str {
        match self {
            Kind::Board => include_str!("board.html"),
            Kind::Files => include_str!("files.html"),
            Kind::Terminal => include_str!("terminal.html"),
        }
    }

    /// What it takes to see it, and where.
    fn needs(self) -> (Rights, &'static str) {
        match self {
            Kind::Board => (Rights::RUN, "/.number8/run"),
            Kind::Files => (Rights::LIST, "/"),
            Kind::Terminal => (Rights::REPL, "/.number8/repl"),
        }
    }
}

impl Pages {
    pub(crate) fn new(
        prefix: &str,
        events: Option<String>,
        runner: Option<(Runner, Vec<String>)>,
        has_terminal: bool,
        on_clash: OnClash,
    ) -> Self {
        let prefix = prefix.to_owned();
        Self(Arc::new(Site { prefix, events, runner, has_terminal, on_clash }))
    }

    /// The pages that there are.
    fn kinds(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| match kind {
            Kind::Board => self.0.runner.is_some(),
            Kind::Files => true,
            // It is nothing without its script.
            Kind::Terminal => self.0.has_terminal && have_scripts(),
        })
    }

    /// Adds every page, and what they load.
    pub(crate) fn mount(&self, mut app: App) -> App {
        let under = |name: &str| format!("{}/.number8/{name}", self.0.prefix);
        if self.0.runner.is_none() {
            app = app.mount(&under(Kind::Board.name()), self.home());
        }
        for kind in self.kinds() {
            app = app.mount(&under(kind.name()), Page { pages: self.clone(), kind: Some(kind) });
        }
        app.mount(&under("assets"), assets())
    }

    /// The page to begin with.
    pub(crate) fn home(&self) -> impl Handler + use<> {
        Page { pages: self.clone(), kind: None }
    }

    /// The page for logging in.
    pub(crate) fn login(&self, page: &LoginPage<'_>) -> Response {
        let problem = page.problem.map_or_else(String::new, |problem| {
            format!("<p class=\"problem\" role=\"alert\">{}.</p>", escaped(problem))
        });
        let text = Template::new(include_str!("login.html"))
            .text("prefix", &self.0.prefix)
            .text("action", page.action)
            .text("to", page.to)
            .text("name", page.name)
            .html("problem", &problem)
            .page();
        respond(text, "")
    }
}

/// What it takes to see the page at a path, and where; `None` where no page is.
pub(crate) fn needs(prefix: &str, path: &[u8]) -> Option<(Rights, String)> {
    let name = path.strip_prefix(prefix.as_bytes())?.strip_prefix(b"/.number8/")?;
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let kind = Kind::ALL.into_iter().find(|kind| kind.name().as_bytes() == name)?;
    let (rights, at) = kind.needs();
    Some((rights, format!("{prefix}{at}")))
}

/// The page of the port for the clients of WebREPL, and what it loads. `board` is where the other pages are, if there are any:
/// their port and path.
pub(crate) fn webrepl(board: Option<(u16, String)>) -> impl Fn(&WebReplPage<'_>) -> Response {
    move |page| {
        let link = board.as_ref().filter(|_| !page.host.is_empty()).map(|(port, path)| {
            let (host, path) = (escaped(page.host), escaped(path));
            format!("<p><a href=\"http://{host}:{port}{path}\">The pages of the board</a> are for browsers.</p>")
        });
        let password = if page.asks_password { " and are asked for a password" } else { "" };
        let place = if page.place.is_empty() { "HOST:PORT" } else { page.place };
        let text = Template::new(include_str!("webrepl.html"))
            .text("place", place)
            .text("password", password)
            .html("board", &link.unwrap_or_default())
            .page();
        respond(text, "")
    }
}

/// What pages load.
pub(crate) fn assets() -> impl Handler {
    Assets::new(ASSETS)
}

/// The folder itself: its index file, or the page to begin with. Whoever asks for a listing, or is no browser, gets what
/// there would be without pages.
pub(crate) struct Home<P, R> {
    /// The index file, as far as there is one.
    pub(crate) index: Overlay,
    pub(crate) page: P,
    pub(crate) rest: R,
}

impl<P: Handler, R: Handler> Handler for Home<P, R> {
    fn handle(&self, call: Call<'_>) -> Answer {
        let accept = call.head.named("accept").unwrap_or_default();
        let is_browser = accept.windows(9).any(|part| part.eq_ignore_ascii_case(b"text/html"));
        if call.path != b"/" || call.head.query().is_some() || !is_browser {
            return self.rest.handle(call);
        }
        // Who has rights further below alone is led there by a page, and by no index file.
        match call.caller.user.is_some() && call.may(Rights::READ).is_err() {
            true => self.page.handle(call),
            false => self.index.handle(call),
        }
    }

    fn allow(&self) -> &str {
        self.rest.allow()
    }

    fn measure(&self, sheet: &mut number8::metrics::Sheet) {
        self.index.measure(sheet);
        self.rest.measure(sheet);
    }
}

/// Tells those who look at the files that somebody has changed something. What it was is told to nobody: who listens may
/// not be allowed to see it.
pub(crate) struct Telling<H> {
    pub(crate) handler: H,
    pub(crate) events: Events,
}

/// The topic that pages with files listen to.
pub(crate) const FILES_TOPIC: &str = "files";

impl<H: Handler> Handler for Telling<H> {
    fn handle(&self, call: Call<'_>) -> Answer {
        if matches!(call.head.method(), Method::Get | Method::Head | Method::Options) {
            return self.handler.handle(call);
        }
        let events = self.events.clone();
        let tell = move |response: Response| {
            if response.status() < 400 {
                events.dispatch_to(FILES_TOPIC, "changed");
            }
            response
        };
        match self.handler.handle(call) {
            Answer::Ready(response) => tell(response).into(),
            Answer::Later(answer) => Answer::later(async move { tell(answer.await) }),
        }
    }

    fn allow(&self) -> &str {
        self.handler.allow()
    }

    fn measure(&self, sheet: &mut number8::metrics::Sheet) {
        self.handler.measure(sheet);
    }
}

#[derive(Clone)]
struct Page {
    pages: Pages,
    /// `None` for the first that whoever asks may see.
    kind: Option<Kind>,
}

/// Pages are only looked at.
const ALLOW: &str = "GET, HEAD, OPTIONS";

impl Handler for Page {
    fn handle(&self, call: Call<'_>) -> Answer {
        match call.head.method() {
            Method::Get | Method::Head => {}
            Method::Options => return Response::options(ALLOW).into(),
            _ => return Response::not_allowed(ALLOW).into(),
        }
        if !matches!(call.path, b"" | b"/") {
            return Response::error(404, "there is nothing at this address").into();
        }
        self.show(&call).unwrap_or_else(IntoResponse::into_response).into()
    }
}

impl Page {
    fn show(&self, call: &Call<'_>) -> Result<Response, number8::Error> {
        let site = &self.pages.0;
        let user = call.caller.user.as_deref();
        let may = |rights, path: &str| {
            call.access().decide(user, rights, format!("{}{path}", site.prefix).as_bytes())
        };
        let folders = match may(Rights::LIST, "/") {
            Ok(()) => Vec::new(),
            Err(_) => self.folders(call),
        };
        let may_see = |kind: Kind| {
            let (rights, path) = kind.needs();
            may(rights, path).or_else(|refusal| match kind {
                Kind::Files if !folders.is_empty() => Ok(()),
                _ => Err(refusal),
            })
        };
        let seen: Vec<Kind> = self.pages.kinds().filter(|kind| may_see(*kind).is_ok()).collect();
        let kind = self.kind.or(seen.first().copied()).or(self.pages.kinds().next());
        let kind = kind.unwrap_or(Kind::Files);
        if let Err(error) = call.allowed(may_see(kind)) {
            // The address that the command prints is for everybody who has an account.
            return match seen.first() {
                Some(other) if kind == Kind::Board && error.status() == 403 => {
                    let to = format!("{}/.number8/{}", site.prefix, other.name());
                    Ok(Redirect::to(to).into_response())
                }
                _ => Err(error),
            };
        }
        if kind == Kind::Files && script(kind).is_none() {
            let folder = folders.first().map_or_else(|| "/".to_owned(), |path| in_address(path));
            return Ok(Redirect::to(format!("{}{folder}?list", site.prefix)).into_response());
        }
        let nonce = random_text(26)?;
        let links: String = seen.iter().map(|other| self.link(*other, kind)).collect();
        // Who may not listen is not to try it again and again.
        let events = site
            .events
            .as_deref()
            .filter(|path| call.access().decide(user, Rights::READ, path.as_bytes()).is_ok());
        let page = Template::new(include_str!("page.html")).part("content", kind.content());
        let page = match &site.runner {
            Some((runner, languages)) if kind == Kind::Board => {
                program(page, runner, languages, &site.prefix)
            }
            _ => page,
        };
        let text = page
            .text("title", kind.title())
            .html("links", &links)
            .html("logout", &self.logout(call))
            .html("script", &self.loads(kind))
            .text("prefix", &site.prefix)
            .text("events", site.events.as_deref().unwrap_or_default())
            .text("listens", events.unwrap_or_default())
            .text("folders", &folders.join("\n"))
            .text("overwrite", in_words(site.on_clash))
            .html("lists", &plain_lists(&site.prefix, &folders))
            .text("token", call.caller.form_token.as_deref().unwrap_or_default())
            .text("nonce", &nonce)
            .page();
        Ok(match kind {
            // The terminal makes styles of its own, and knows no nonce.
            Kind::Terminal => respond(text, "'unsafe-inline'"),
            _ => respond(text, &format!("'nonce-{nonce}'")),
        })
    }

    /// What a page loads: its style, where it has one of its own, and its script.
    fn loads(&self, kind: Kind) -> String {
        let prefix = escaped(&self.pages.0.prefix);
        let sheet = format!("{}.css", kind.name());
        let style =
            ASSETS.iter().find(|asset| asset.name == sheet).map_or_else(String::new, |asset| {
                format!(
                    "<link rel=\"stylesheet\" href=\"{prefix}/.number8/assets/{}\">\n",
                    asset.name
                )
            });
        let script = script(kind).map_or_else(String::new, |asset| {
            format!(
                "<script type=\"module\" src=\"{prefix}/.number8/assets/{}\"></script>",
                asset.name
            )
        });
        style + &script
    }

    /// The button that ends the session, or the way to one for whom nobody knows.
    fn logout(&self, call: &Call<'_>) -> String {
        if call.caller.user.is_none()
            && let Some(doors) = &call.caller.doors
        {
            let login = doors.login_for(call.head.target());
            return format!("<p class=\"logout\"><a href=\"{}\">Log in</a></p>", escaped(&login));
        }
        call.caller.form_token.as_deref().map_or_else(String::new, |token| {
            Template::new(include_str!("logout.html"))
                .text("prefix", &self.pages.0.prefix)
                .text("token", token)
                .text("user", call.caller.user.as_deref().unwrap_or_default())
                .page()
        })
    }

    /// The folders that somebody who has logged in may look into or add to, by the rules: for whom there is no listing of the
    /// first of all.
    fn folders(&self, call: &Call<'_>) -> Vec<String> {
        let Some(user) = call.caller.user.as_deref() else { return Vec::new() };
        let (access, prefix) = (call.access(), self.pages.0.prefix.as_str());
        let rules =
            access.rules().iter().filter(|rule| rule.named().is_none_or(|name| name == user));
        let mut folders: Vec<String> = rules
            .map(Rule::path)
            .filter(|path| {
                let rights = access.rights(Some(user), path.as_bytes());
                rights.intersects(Rights::LIST | Rights::CREATE)
            })
            .filter_map(|path| {
                let folder = format!("{}/", path.trim_end_matches('/'));
                match format!("{prefix}/").starts_with(&folder) {
                    true => Some("/".to_owned()),
                    false => {
                        folder.strip_prefix(&format!("{prefix}/")).map(|rest| format!("/{rest}"))
                    }
                }
            })
            .collect();
        folders.sort();
        folders.dedup();
        folders
    }

    fn link(&self, kind: Kind, current: Kind) -> String {
        let current = if kind == current { " aria-current=\"page\"" } else { "" };
        let prefix = escaped(&self.pages.0.prefix);
        format!("<a href=\"{prefix}/.number8/{}\"{current}>{}</a>", kind.name(), kind.title())
    }
}

/// As `--overwrite` has it.
fn in_words(on_clash: OnClash) -> &'static str {
    match on_clash {
        OnClash::Refuse => "error",
        OnClash::Replace => "replace",
        OnClash::KeepBoth => "rename",
    }
}

/// A path of a rule, as it stands in an address; browsers see to the rest.
fn in_address(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3F").replace('#', "%23")
}

/// What leads to the files where there are no scripts.
fn plain_lists(prefix: &str, folders: &[String]) -> String {
    let prefix = escaped(prefix);
    let link = |folder: &str, name: &str| {
        let (path, name) = (escaped(&in_address(folder)), escaped(name));
        format!("<p><a href=\"{prefix}{path}?list\">{name} as a plain list</a></p>")
    };
    match folders {
        [] => link("/", "The files"),
        _ => folders.iter().map(|folder| link(folder, folder)).collect(),
    }
}

/// What the page with the program shows of what runs, or ran last.
fn program(page: Template, runner: &Runner, languages: &[String], prefix: &str) -> Template {
    let code = runner.code();
    let prefix = escaped(prefix);
    let status = match (runner.is_running(), &code) {
        (true, _) => format!("A program runs. <a href=\"{prefix}/.number8/run\">Look at it</a>"),
        (false, Some(_)) => format!(
            "<a href=\"{prefix}/.number8/run/output?plain\">What the last program has written</a>"
        ),
        (false, None) => String::new(),
    };
    let options: String = languages
        .iter()
        .map(|language| {
            let language = escaped(language);
            let name = match &*language {
                "py" => "Python",
                "sh" => "Shell",
                "js" => "JavaScript",
                other => other,
            };
            format!("<option value=\"{language}\">{name}</option>")
        })
        .collect();
    page.text("code", code.as_deref().unwrap_or_default())
        .html("languages", &options)
        .html("status", &status)
}

/// Whether the pages have their scripts; a terminal is nothing without.
pub(crate) fn have_scripts() -> bool {
    script(Kind::Terminal).is_some()
}

/// The script of a page, where there is one.
fn script(kind: Kind) -> Option<&'static Asset> {
    let name = format!("{}.js", kind.name());
    ASSETS.iter().find(|asset| asset.name == name)
}

/// SECURITY: nothing from other sites, no script and no style but ours, shown in no frame of others.
fn respond(text: String, style: &str) -> Response {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' {style}; img-src 'self' blob:; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    let fields = [
        ("Content-Security-Policy", policy.as_str()),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("Cache-Control", "no-store"),
    ];
    (fields, number8::Html(text)).into_response()
}
