//! The pages of the board, as they are without a script. Where `make web` has built the scripts, each page loads its own,
//! which makes more of what stands there; every address and every form works without.

mod template;

use std::sync::Arc;

use number8::access::Rights;
use number8::accounts::random_text;
use number8::layers::sessions::LoginPage;
use number8::{
    Answer, App, Asset, Assets, Call, Events, Handler, IntoResponse, Method, Redirect, Response,
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
}

/// One page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Files,
}

impl Kind {
    const ALL: [Kind; 1] = [Kind::Files];

    /// The last part of its path, and the name of its script.
    fn name(self) -> &'static str {
        match self {
            Kind::Files => "files",
        }
    }

    /// What leads to it.
    fn title(self) -> &'static str {
        match self {
            Kind::Files => "Files",
        }
    }

    /// What it takes to see it, and where.
    fn needs(self) -> (Rights, &'static str) {
        match self {
            Kind::Files => (Rights::LIST, "/"),
        }
    }
}

impl Pages {
    pub(crate) fn new(prefix: &str, events: Option<String>) -> Self {
        Self(Arc::new(Site { prefix: prefix.to_owned(), events }))
    }

    /// Adds every page, and what they load.
    pub(crate) fn mount(&self, mut app: App) -> App {
        let under = |name: &str| format!("{}/.number8/{name}", self.0.prefix);
        for kind in Kind::ALL {
            app = app.mount(&under(kind.name()), Page { pages: self.clone(), kind });
        }
        app.mount(&under("assets"), Assets::new(ASSETS)).mount(&under("board"), self.home())
    }

    /// The page to begin with.
    pub(crate) fn home(&self) -> impl Handler + use<> {
        Page { pages: self.clone(), kind: Kind::Files }
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

/// The folder itself: its index file, or the page to begin with. Whoever asks for a listing, or is no browser, gets what
/// there would be without pages.
pub(crate) struct Home<P, R> {
    pub(crate) page: P,
    pub(crate) rest: R,
}

impl<P: Handler, R: Handler> Handler for Home<P, R> {
    fn handle(&self, call: Call<'_>) -> Answer {
        let accept = call.head.named("accept").unwrap_or_default();
        let is_browser = accept.windows(9).any(|part| part.eq_ignore_ascii_case(b"text/html"));
        match call.path == b"/" && call.head.query().is_none() && is_browser {
            true => self.page.handle(call),
            false => self.rest.handle(call),
        }
    }

    fn allow(&self) -> &str {
        self.rest.allow()
    }
}

/// Tells those who look at the files that somebody has changed something. What it was is told to nobody: who listens may
/// not be allowed to see it.
pub(crate) struct Telling<H> {
    pub(crate) handler: H,
    pub(crate) events: Events,
}

/// The topic that pages with files listen to.
const FILES_TOPIC: &str = "files";

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
}

#[derive(Clone)]
struct Page {
    pages: Pages,
    kind: Kind,
}

impl Handler for Page {
    fn handle(&self, call: Call<'_>) -> Answer {
        if !matches!(call.head.method(), Method::Get | Method::Head) {
            return Response::error(405, "this page can only be looked at").into();
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
        let may = |kind: Kind| {
            let (rights, path) = kind.needs();
            call.access().decide(user, rights, format!("{}{path}", site.prefix).as_bytes())
        };
        call.allowed(may(self.kind))?;
        if self.kind == Kind::Files && script(self.kind).is_none() {
            return Ok(Redirect::to(format!("{}/?list", site.prefix)).into_response());
        }
        let nonce = random_text(26)?;
        let links: String = Kind::ALL
            .into_iter()
            .filter(|kind| may(*kind).is_ok())
            .map(|kind| self.link(kind))
            .collect();
        let script = script(self.kind).map_or_else(String::new, |asset| {
            let (prefix, name) = (escaped(&site.prefix), asset.name);
            format!("<script type=\"module\" src=\"{prefix}/.number8/assets/{name}\"></script>")
        });
        let token = call.caller.form_token.as_deref();
        let logout = token.map_or_else(String::new, |token| {
            Template::new(include_str!("logout.html"))
                .text("prefix", &site.prefix)
                .text("token", token)
                .text("user", user.unwrap_or_default())
                .page()
        });
        let content = match self.kind {
            Kind::Files => include_str!("files.html"),
        };
        let text = Template::new(include_str!("page.html"))
            .part("content", content)
            .text("title", self.kind.title())
            .html("links", &links)
            .html("logout", &logout)
            .html("script", &script)
            .text("prefix", &site.prefix)
            .text("events", site.events.as_deref().unwrap_or_default())
            .text("token", token.unwrap_or_default())
            .text("nonce", &nonce)
            .page();
        Ok(respond(text, &nonce))
    }

    fn link(&self, kind: Kind) -> String {
        let current = if kind == self.kind { " aria-current=\"page\"" } else { "" };
        let prefix = escaped(&self.pages.0.prefix);
        format!("<a href=\"{prefix}/.number8/{}\"{current}>{}</a>", kind.name(), kind.title())
    }
}

/// The script of a page, where there is one.
fn script(kind: Kind) -> Option<&'static Asset> {
    let name = format!("{}.js", kind.name());
    ASSETS.iter().find(|asset| asset.name == name)
}

/// SECURITY: nothing from other sites, no script and no style but ours, shown in no frame of others.
fn respond(text: String, nonce: &str) -> Response {
    let style = match nonce {
        "" => "'self'".to_owned(),
        nonce => format!("'self' 'nonce-{nonce}'"),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src {style}; img-src 'self' blob:; connect-src 'self'; \
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
