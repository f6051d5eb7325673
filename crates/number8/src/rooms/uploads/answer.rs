//! What is answered: where a new file is, or why nothing has changed.

use std::future::Future;
use std::io;

use number8_proto::headers::Known;
use number8_proto::http1::Head;
use number8_proto::uri::encode_path_segment;

use crate::body::Body;
use crate::etag::etag;
use crate::handler::Answer;
use crate::receive::{busy, failed, refuse_write};
use crate::response::Response;
use crate::results::IntoResponse;
use crate::server::lane::{Lane, LaneFailure};
use crate::store::{Kind, PathError, SafePath, WriteError, Written};

/// Why nothing has changed.
#[derive(Debug)]
pub(super) enum Fail {
    /// The folder says so.
    Write(WriteError),
    /// A precondition does not hold.
    Unmet,
    /// The folder that all files have to go to is not there.
    NoExternal,
    /// The content could not be read to its end.
    Content(io::Error),
    /// An answer that is made already.
    Answer(Box<Response>),
}

impl From<WriteError> for Fail {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<LaneFailure> for Fail {
    fn from(failure: LaneFailure) -> Self {
        Self::Answer(Box::new(match failure {
            LaneFailure::Full => busy(),
            LaneFailure::Panicked => failed(),
        }))
    }
}

impl From<Box<Response>> for Fail {
    fn from(response: Box<Response>) -> Self {
        Self::Answer(response)
    }
}

impl Fail {
    pub(super) fn into_response(self) -> Response {
        match self {
            Self::Write(error) => refuse_write(&error),
            Self::Unmet => Response::error(412, "the file is not what it was, or is there already"),
            Self::NoExternal => Response::error(503, "the disk that takes files is not there"),
            Self::Content(error) => error.into_response(),
            Self::Answer(response) => *response,
        }
    }
}

/// A refusal that says why.
pub(super) fn refused(status: u16, why: &'static str) -> Box<Response> {
    Box::new(Response::error(status, why))
}

/// RFC 9110 §12.5.3: what would do.
pub(super) fn no_coding() -> Box<Response> {
    let response = Response::error(415, "content is stored as it comes: send it without a coding");
    Box::new(response.with_known("Accept-Encoding", "identity"))
}

pub(super) fn too_large() -> Box<Response> {
    refused(413, "the content is larger than is allowed here")
}

pub(super) fn bad_path(error: &PathError) -> Box<Response> {
    match error {
        PathError::Hidden => refused(403, "hidden names cannot be written"),
        PathError::TooLong => refused(414, "the path or a name in it is too long"),
        _ => refused(400, "the path does not name a file"),
    }
}

/// 201 for what was not there before, with its place; else 204. A client may use the tag for its next If-Match.
pub(super) fn written(prefix: &[u8], written: &Written) -> Response {
    let mut response = match written.created {
        true => Response::new(201, Body::empty())
            .with_known("Location", location(prefix, &written.path, written.meta.kind)),
        false => Response::new(204, Body::empty()),
    };
    if written.meta.kind == Kind::File {
        response = response.with_known("ETag", etag(&written.meta));
    }
    response
}

/// Whether a person is to see the answer.
pub(super) fn is_browser(head: &Head<'_>) -> bool {
    let accept = head.joined(Known::Accept).unwrap_or_default();
    let html = b"text/html";
    accept.windows(html.len()).any(|part| part.eq_ignore_ascii_case(html))
}

/// The same answer; where it is a success and there is a page to show, that page.
pub(super) fn then_show(answer: Answer, page: Option<&'static str>) -> Answer {
    let Some(page) = page else { return answer };
    let show = move |response: Response| match response.status() {
        200..300 => Response::new(303, Body::empty()).with_known("Location", page),
        _ => response,
    };
    match answer {
        Answer::Ready(response) => show(response).into(),
        Answer::Later(answer) => Answer::later(async move { show(answer.await) }),
    }
}

/// The path of a URL that leads to a place in the folder.
pub(super) fn location(prefix: &[u8], path: &SafePath, kind: Kind) -> Vec<u8> {
    let mut location: Vec<u8> = prefix.iter().copied().filter(u8::is_ascii_graphic).collect();
    for name in path.as_bytes().split(|&b| b == b'/') {
        location.push(b'/');
        location.extend_from_slice(encode_path_segment(name).as_bytes());
    }
    if kind == Kind::Directory && !location.ends_with(b"/") {
        location.push(b'/');
    }
    location
}

/// The answer that a function on the lane gives, once there is what has to be waited for.
pub(super) fn by_lane<T: Send + 'static>(
    lane: &Lane,
    turn: impl Future<Output = T> + Send + 'static,
    function: impl FnOnce() -> Result<Response, Fail> + Send + 'static,
) -> Answer {
    let lane = lane.clone();
    Answer::later(async move {
        let turn = turn.await;
        let job = lane.submit(move || {
            let _turn = turn;
            function()
        });
        match job {
            Err(_) => busy(),
            Ok(job) => match job.await {
                Ok(Ok(response)) => response,
                Ok(Err(fail)) => fail.into_response(),
                Err(_) => failed(),
            },
        }
    })
}
