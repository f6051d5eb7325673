//! The rights that a request takes, by what is mounted where it goes.

use number8::access::Rights;

use crate::config::Config;
use crate::pages;
use crate::tls::Certificate;

/// Rights that are asked for.
pub(super) struct Need {
    pub(super) rights: Rights,
    /// The path that they are asked for, where that is not the request's.
    pub(super) at: Option<Vec<u8>>,
    /// Whether they are asked for all that is below it, too.
    pub(super) is_below: bool,
    /// What for, or when, as it is told behind their names.
    pub(super) when: &'static str,
}

/// Who answers at a path.
#[derive(Clone, Copy)]
enum Room {
    /// What everybody may have.
    Open,
    Files,
    Events,
    Runner,
    Terminal,
}

/// The rights that a method takes, and when; none where nobody is asked for any.
///
/// # Errors
/// Nothing takes that method.
pub(super) fn of(
    config: &Config,
    method: &str,
    path: &[u8],
    query: &str,
) -> Result<Vec<Need>, String> {
    let of_files = of_files(method, path.ends_with(b"/"), query)?;
    let prefix = &config.listen.path_prefix;
    if config.board
        && let Some((rights, at)) = pages::needs(prefix, path)
    {
        return Ok(vec![Need { at: Some(at.into()), ..need(rights, ", to see the page") }]);
    }
    Ok(match (room(config, path), method) {
        (Room::Open, _) => Vec::new(),
        (Room::Files, _) => of_files,
        (Room::Events, "GET" | "HEAD") => vec![need(Rights::READ, ", to listen")],
        (Room::Events, _) => vec![need(Rights::EVENTS, ", to send")],
        (Room::Runner, _) => vec![need(Rights::RUN, "")],
        (Room::Terminal, _) => vec![need(Rights::REPL, "")],
    })
}

/// The room that is mounted nearest to a path.
fn room(config: &Config, path: &[u8]) -> Room {
    let (prefix, answers) = (&config.listen.path_prefix, &config.answers);
    // These have their paths without the prefix.
    if [&answers.health, &answers.ready].into_iter().flatten().any(|url| url.as_bytes() == path) {
        return Room::Open;
    }
    let has_login = config.access.accounts.is_some() && config.access.sessions.is_some();
    let has_authority = matches!(config.tls, Some(Certificate::Made { .. }));
    let open = [
        ("/.number8/login", has_login),
        ("/.number8/logout", has_login),
        ("/.number8/assets", config.board),
        ("/.number8/ca.crt", has_authority),
    ];
    let open = open.into_iter().filter(|(_, is_there)| *is_there);
    let open = open.map(|(url, _)| (url.to_owned(), Room::Open));
    let events = config.answers.events.iter().map(|url| (url.clone(), Room::Events));
    let runner = config.run.iter().map(|_| ("/.number8/run".to_owned(), Room::Runner));
    let is_on = config.repl.is_on;
    let terminal = is_on.then(|| ("/.number8/repl".to_owned(), Room::Terminal));
    let files = config.files.mounts.iter().map(|mount| (mount.url.clone(), Room::Files));
    let all = open.chain(events).chain(runner).chain(terminal).chain(files);
    let mounted = all.map(|(url, room)| (format!("{prefix}{}", url.trim_end_matches('/')), room));
    let here = mounted.filter(|(url, _)| {
        let rest = path.strip_prefix(url.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    });
    here.max_by_key(|(url, _)| url.len()).map_or(Room::Files, |(_, room)| room)
}

fn of_files(method: &str, names_folder: bool, query: &str) -> Result<Vec<Need>, String> {
    let asks = |wanted| query.split('&').any(|pair| pair.trim_end_matches('=') == wanted);
    let is_forced = asks("force=1");
    let delete = match (is_forced, names_folder) {
        (true, _) => Need { is_below: true, ..need(Rights::DELETE, ", with all that it holds") },
        (false, true) => need(Rights::DELETE, ", of an empty folder"),
        (false, false) => need(Rights::DELETE, ""),
    };
    let stored = [
        need(Rights::CREATE, ", where nothing is there"),
        need(Rights::OVERWRITE, ", where something is"),
    ];
    let to_here = [
        need(Rights::CREATE, ", to here, where nothing is"),
        need(Rights::OVERWRITE, ", to here, where something is"),
    ];
    Ok(match method {
        "GET" | "HEAD" if names_folder => {
            vec![need(Rights::LIST, ", for the listing"), need(Rights::READ, ", for an index file")]
        }
        "GET" | "HEAD" => vec![need(Rights::READ, "")],
        "POST" if asks("delete") => {
            let [create, overwrite] = stored;
            let create = Need { when: ", of content that is no form", ..create };
            let overwrite = Need { when: ", by content that is no form", ..overwrite };
            let when = match delete.is_below {
                true => ", with all that it holds, by an empty form",
                false => ", by an empty form",
            };
            vec![Need { when, ..delete }, create, overwrite]
        }
        "PUT" | "POST" => stored.into(),
        "DELETE" => vec![delete],
        "MOVE" => {
            let from_here = need(Rights::MOVE | Rights::DELETE, ", from here");
            let all = std::iter::once(from_here).chain(to_here);
            all.map(|need| Need { is_below: true, ..need }).collect()
        }
        "COPY" => std::iter::once(need(Rights::READ, ", from here")).chain(to_here).collect(),
        "MKCOL" => vec![need(Rights::CREATE, "")],
        _ => {
            let all = "GET, HEAD, PUT, POST, DELETE, MOVE, COPY or MKCOL";
            return Err(format!("{method}: take {all}"));
        }
    })
}

fn need(rights: Rights, when: &'static str) -> Need {
    Need { rights, at: None, is_below: false, when }
}
