//! Saved programs, and those that ran before (row X4).

use std::sync::Arc;

use number8_proto::http1::Method;
use number8_proto::uri::decode_path;
use serde_json::json;

use super::Runner;
use super::answer::{document, read_all};
use super::library::{Library, Name};
use crate::body::Body;
use crate::error::Error;
use crate::handler::{Answer, Call};
use crate::response::{Response, busy, failed};
use crate::results::IntoResponse;
use crate::server::lane::Lane;
use crate::store::WriteError;

/// Answers below `/programs`, to who may.
pub(super) fn answer(runner: &Runner, call: Call<'_>) -> Result<Answer, Error> {
    let rest = call.path.strip_prefix(b"/programs").unwrap_or_default();
    let rest = decode_path(rest.strip_prefix(b"/").unwrap_or(rest))
        .map_err(|_| Error::new(400, "the path has an escape that is none"))?
        .into_owned();
    let method = call.head.method();
    let is_read = matches!(method, Method::Get | Method::Head);
    if rest.is_empty() || rest.starts_with(b"history/") {
        return match method {
            Method::Options => Ok(Response::options(READ).into()),
            _ if !is_read => Ok(Response::not_allowed(READ).into()),
            _ if rest.is_empty() => Ok(all(runner, call.lane)),
            _ => past(runner, rest.strip_prefix(b"history/").unwrap_or_default()).map(Answer::from),
        };
    }
    let name = Name::new(&rest).ok_or_else(no_name)?;
    let library = runner.settings.library.clone().ok_or_else(no_library)?;
    Ok(match method {
        Method::Options => Response::options(READ_WRITE).into(),
        Method::Put => save(runner, library, name, call),
        Method::Delete => on_lane(call.lane, move || match library.remove(&name)? {
            true => Ok(Response::new(204, Body::empty())),
            false => Err(no_such().into()),
        }),
        _ if is_read => on_lane(call.lane, move || {
            let content = library.read(&name).map_err(WriteError::Io)?.ok_or_else(no_such)?;
            Ok(text(Body::from(content)))
        }),
        _ => Response::not_allowed(READ_WRITE).into(),
    })
}

fn all(runner: &Runner, lane: &Lane) -> Answer {
    let history: Vec<_> = runner
        .hub
        .history()
        .into_iter()
        .map(|past| {
            json!({
                "id": past.id,
                "started": past.started,
                "name": past.name,
                "language": past.language,
                "exit": past.exit_json(),
                "stopped": past.stopped.map(super::hub::Stopped::as_str),
            })
        })
        .collect();
    let Some(library) = runner.settings.library.clone() else {
        return document(&json!({"programs": [], "history": history})).into();
    };
    on_lane(lane, move || {
        let saved = library.list().map_err(WriteError::Io)?;
        let programs: Vec<_> = saved
            .into_iter()
            .map(|one| json!({"name": one.name, "modified": one.modified, "size": one.size}))
            .collect();
        Ok(document(&json!({"programs": programs, "history": history})))
    })
}

fn past(runner: &Runner, id: &[u8]) -> Result<Response, Error> {
    let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
    let past = runner.hub.history().into_iter().find(|past| Some(past.id) == id);
    let past = past.ok_or_else(|| Error::new(404, "no such program is remembered"))?;
    Ok(text(Body::from(past.code.to_string())))
}

fn save(runner: &Runner, library: Arc<Library>, name: Name, call: Call<'_>) -> Answer {
    let (body, lane) = (call.body, call.lane.clone());
    let (code_max, programs_max) = (runner.settings.code_max, runner.settings.programs_max);
    Answer::later(async move {
        let content = match read_all(body, code_max, "a program").await {
            Ok(content) => content,
            Err(error) => return error.into_response(),
        };
        let stored =
            on_lane(&lane, move || match library.write(&name, &content, programs_max)? {
                Some(created) => Ok(Response::new(if created { 201 } else { 204 }, Body::empty())),
                None => Err(Fail::Answer(Error::new(507, "as many programs are saved as may be"))),
            });
        match stored {
            Answer::Ready(response) => response,
            Answer::Later(response) => response.await,
        }
    })
}

/// A program's text, which is nobody's page.
fn text(body: Body) -> Response {
    Response::new(200, body)
        .with_known("Content-Type", "text/plain; charset=utf-8")
        .with_known("X-Content-Type-Options", "nosniff")
        .with_known("Cache-Control", "no-store")
}

enum Fail {
    Write(WriteError),
    Answer(Error),
}

impl From<WriteError> for Fail {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Answer(error) => error,
            Self::Write(WriteError::NotFound) => no_such(),
            Self::Write(WriteError::NoSpace | WriteError::TooLarge) => {
                Error::new(507, "the disk has no room for it")
            }
            Self::Write(WriteError::Clash(_)) => Error::new(409, "something else has that name"),
            Self::Write(error) => Error::new(500, "the folder of programs fails").because(error),
        };
        error.into_response()
    }
}

fn on_lane(
    lane: &Lane,
    function: impl FnOnce() -> Result<Response, Fail> + Send + 'static,
) -> Answer {
    let Ok(job) = lane.submit(function) else { return busy("too much else is to be done").into() };
    Answer::later(async move {
        match job.await {
            Ok(Ok(response)) => response,
            Ok(Err(fail)) => fail.into_response(),
            Err(_) => failed(),
        }
    })
}

pub(super) fn no_name() -> Error {
    let why = "a program's name is 1 to 100 bytes without a slash, and does not begin with a dot";
    Error::new(404, why)
}

pub(super) fn no_library() -> Error {
    Error::new(404, "this server has no folder for programs")
}

pub(super) fn no_such() -> Error {
    Error::new(404, "no program of that name is saved")
}

const READ: &str = "GET, HEAD, OPTIONS";
const READ_WRITE: &str = "GET, HEAD, PUT, DELETE, OPTIONS";
