//! `number8 explain`: which rule decides about a request, and what answers it, in words.

mod needs;

use std::io;
use std::sync::Arc;

use number8::access::{Refusal, Rule};
use number8::accounts::Accounts;
use number8::testing::TestResponse;
use number8::{App, Story, decode_path};
use tokio::runtime;

use crate::app::{self, Kept};
use crate::config::Config;
use crate::limits;
use crate::logs::Logs;
use crate::problem::{Problem, one_line};
use crate::tls::Certificate;
use needs::Need;

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
        let decision = self.decision(config).map_err(Problem::usage)?;
        Ok(decision + &self.way(config)?)
    }

    /// What the rules say.
    fn decision(&self, config: &Config) -> Result<String, String> {
        if !self.target.starts_with('/') {
            return Err(format!("{}: a path begins with a slash", self.target));
        }
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let path = decode_path(path.as_bytes()).map_err(|error| format!("{path}: {error}"))?;
        let (method, user) = (self.method.to_ascii_uppercase(), self.user.as_deref());
        let access = &config.access.rules;
        let mut text = format!("{method} {} by {}\n", self.target, user.unwrap_or("anybody"));
        let needs = needs::of(config, &method, &path, query)?;
        if needs.is_empty() {
            return Ok(text + "  no right is asked for\n");
        }
        let mut decided_at = vec![path.to_vec()];
        for Need { rights, at, is_below, when } in needs {
            let at = at.unwrap_or_else(|| path.to_vec());
            let decision = match is_below {
                true => access.decide_tree(user, rights, &at),
                false => access.decide(user, rights, &at),
            };
            text.push_str(&format!("  {}: {rights}{when}", decided(&decision)));
            // Where it is another place that decides, that is told.
            let place = decision.map_or_else(|refusal| refusal.path().as_bytes().to_vec(), |()| at);
            if place != *path {
                text.push_str(&format!(", for {}", one_line(&String::from_utf8_lossy(&place))));
            }
            text.push('\n');
            if !decided_at.contains(&place) {
                decided_at.push(place);
            }
        }
        text.push_str("because\n");
        text.push_str(&self.because(config, &decided_at));
        Ok(text)
    }

    /// The rules that decide about these paths.
    fn because(&self, config: &Config, paths: &[Vec<u8>]) -> String {
        let (access, user) = (&config.access.rules, self.user.as_deref());
        let mut text = String::new();
        let is_known = |user: &&str| {
            config.access.accounts.iter().flat_map(Accounts::names).any(|name| name == *user)
        };
        if let Some(stranger) = user.filter(|user| !is_known(user)) {
            text.push_str(&format!("  there is no account of the name {}\n", one_line(stranger)));
        }
        let mut rules: Vec<&Rule> = Vec::new();
        for rule in paths.iter().flat_map(|path| access.deciding(user, path)) {
            if !rules.contains(&rule) {
                text.push_str(&format!("  {rule}\n"));
                rules.push(rule);
            }
        }
        if rules.is_empty() {
            text.push_str("  no rule is about this path and this user\n");
        }
        text
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

fn decided(decision: &Result<(), Refusal>) -> String {
    match decision.as_ref().map_err(Refusal::status) {
        Ok(()) => "allowed".to_owned(),
        Err(401) => "needs a login (401)".to_owned(),
        Err(status) => format!("refused ({status})"),
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
