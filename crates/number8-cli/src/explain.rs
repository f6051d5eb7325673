//! `number8 explain`: which rule decides about a request, and what answers it, in words.

use std::io;
use std::sync::Arc;

use number8::access::{Access, Rights};
use number8::testing::TestResponse;
use number8::{App, Story, decode_path};
use tokio::runtime;

use crate::app::{self, Kept};
use crate::config::Config;
use crate::limits;
use crate::logs::Logs;
use crate::problem::{Problem, one_line};
use crate::tls::Certificate;

/// What is asked about.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who asks; `None` for somebody who has not logged in.
    pub user: Option<String>,
    /// The method of the request.
    pub method: String,
    /// Its path as it stands in a URL, with its query.
    pub target: String,
    /// Fields of the request.
    pub fields: Vec<(String, String)>,
}

impl Question {
    /// The answer, some lines of text.
    ///
    /// # Errors
    /// The method or the path is none that there are rules for, or what is configured cannot be served.
    pub fn answer(&self, config: &Config) -> Result<String, Problem> {
        let decision = self.decision(&config.access.rules).map_err(Problem::usage)?;
        Ok(decision + &self.way(config)?)
    }

    /// What the rules say.
    fn decision(&self, access: &Access) -> Result<String, String> {
        if !self.target.starts_with('/') {
            return Err(format!("{}: a path begins with a slash", self.target));
        }
        let path = self.target.split('?').next().unwrap_or_default();
        let path = decode_path(path.as_bytes()).map_err(|error| format!("{path}: {error}"))?;
        let (method, user) = (self.method.to_ascii_uppercase(), self.user.as_deref());
        let asker = user.unwrap_or("anybody");
        let mut text = format!("{method} {} by {asker}\n", self.target);
        for (rights, where_) in needs(&method, path.ends_with(b"/"))? {
            let decided = match access.decide(user, rights, &path) {
                Ok(()) => "allowed".to_owned(),
                Err(refusal) if refusal.status() == 401 => "needs a login (401)".to_owned(),
                Err(refusal) => format!("refused ({})", refusal.status()),
            };
            text.push_str(&format!("  {decided}: {rights}{where_}\n"));
        }
        text.push_str("because\n");
        let mut has_rule = false;
        for rule in access.deciding(user, &path) {
            text.push_str(&format!("  {rule}\n"));
            has_rule = true;
        }
        if !has_rule {
            text.push_str("  no rule is about this path and this user\n");
        }
        Ok(text)
    }

    /// What answers: the request is made, of a server that nobody else sees. One that would change something is not made;
    /// what would be there for it is asked instead.
    fn way(&self, config: &Config) -> Result<String, Problem> {
        let method = self.method.to_ascii_uppercase();
        let is_safe = matches!(method.as_str(), "GET" | "HEAD");
        let method = if is_safe { &method } else { "OPTIONS" };
        let story = Story::begin();
        let answer = self
            .ask(config, method, &story)
            .map_err(|error| Problem::failure(format!("the request cannot be made: {error}")))??;
        let mut text = match is_safe {
            true => format!("answered {} by\n", answer.status()),
            false => format!(
                "not tried, since it would change something; OPTIONS is answered {} by\n",
                answer.status()
            ),
        };
        let steps = story.steps();
        for (about, step) in &steps {
            let more = if *about == "mount" { mounted(config, step) } else { String::new() };
            text.push_str(&format!("  {about}: {step}{more}\n"));
        }
        if steps.is_empty() {
            text.push_str("  the server itself, before anything that is mounted is asked\n");
        }
        text.push_str("with\n");
        for (name, value) in answer.fields().filter(|(name, _)| !is_of_connection(name)) {
            text.push_str(&format!("  {name}: {}\n", one_line(&String::from_utf8_lossy(value))));
        }
        Ok(text)
    }

    fn ask(
        &self,
        config: &Config,
        method: &str,
        story: &Story,
    ) -> io::Result<Result<TestResponse, Problem>> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let app = match self.app(config, story) {
            Ok(app) => app,
            Err(problem) => return Ok(Err(problem)),
        };
        runtime.block_on(async {
            let server = number8::testing::TestServer::new(app, limits::options(config));
            let request = server.request(method, &encoded(&self.target));
            let host = config.listen.hosts.first();
            let request = match host {
                Some(host)
                    if !self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) =>
                {
                    request.field("Host", host)
                }
                _ => request,
            };
            let fields = self.fields.iter();
            let request = fields.fold(request, |request, (name, value)| request.field(name, value));
            Ok(Ok(request.send_for_head().await?))
        })
    }

    /// The app that would be served, where that user, if there is one, has logged in already, and without what it would write.
    fn app(&self, config: &Config, story: &Story) -> Result<App, Problem> {
        let mut config = config.clone();
        if self.user.is_some() {
            config.access.accounts = None;
        }
        if let Some(run) = &mut config.run {
            run.programs = None;
        }
        let authority = config.tls.as_ref().map(Certificate::preview).transpose()?.flatten();
        let kept = Kept::new(&config, &Logs::none(), authority)?;
        let (story, user) = (story.clone(), self.user.as_deref().map(Arc::from));
        let asked = App::new().before(move |call| {
            call.caller.story = story.clone();
            call.caller.user = user.clone();
            None
        });
        app::build(asked, &config, &kept)
    }
}

/// What is mounted there, as far as the configuration says it.
fn mounted(config: &Config, place: &str) -> String {
    let is_there = |url: &str| url.trim_end_matches('/') == place.trim_end_matches('/');
    let prefix = &config.listen.path_prefix;
    if let Some(mount) =
        config.files.mounts.iter().find(|mount| is_there(&format!("{prefix}{}", mount.url)))
    {
        return format!(", where {} is served", mount.path.display());
    }
    match is_there(&app::authority_path(config)) {
        true => ", where devices get the authority that they are to trust".to_owned(),
        false => String::new(),
    }
}

/// A target as it may be sent: what stands in no URL is escaped.
fn encoded(target: &str) -> String {
    let byte = |byte: u8| match byte {
        b'!'..=b'~' if byte != b'#' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    target.bytes().map(byte).collect()
}

/// Fields that say nothing of what was asked for.
fn is_of_connection(name: &str) -> bool {
    ["Date", "Server", "Connection"].iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// The rights that a method takes, and when.
fn needs(method: &str, names_folder: bool) -> Result<Vec<(Rights, &'static str)>, String> {
    Ok(match method {
        "GET" | "HEAD" if names_folder => {
            vec![(Rights::LIST, ", for the listing"), (Rights::READ, ", for an index file")]
        }
        "GET" | "HEAD" => vec![(Rights::READ, "")],
        "PUT" | "POST" => vec![
            (Rights::CREATE, ", where nothing is there"),
            (Rights::OVERWRITE, ", where something is"),
        ],
        "DELETE" => vec![(Rights::DELETE, "")],
        "MOVE" => vec![
            (Rights::MOVE | Rights::DELETE, ", from here"),
            (Rights::CREATE, ", to here, where nothing is"),
            (Rights::OVERWRITE, ", to here, where something is"),
        ],
        "COPY" => vec![
            (Rights::READ, ", from here"),
            (Rights::CREATE, ", to here, where nothing is"),
            (Rights::OVERWRITE, ", to here, where something is"),
        ],
        "MKCOL" => vec![(Rights::CREATE, "")],
        _ => {
            let all = "GET, HEAD, PUT, POST, DELETE, MOVE, COPY or MKCOL";
            return Err(format!("{method}: take {all}"));
        }
    })
}
