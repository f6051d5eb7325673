//! Callbacks that are asked before a request is handled: who may come in (rows U4 and U8), or what answers.

use std::sync::Arc;

use number8::{Argument, Before, Body, Call, Layer, Response, Taken, Waited};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::Shared;
use super::answer::of_value;
use super::callback::{Kind, busy, failed, failure, is_later, log_error};
use super::request::Request;

/// What a callback that is asked first decides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Whether the request is let in: by a value that is true.
    Allowed,
    /// What answers the request: a value that is not None.
    Answer,
}

/// Calls a callback with each request, before its content is read.
pub(crate) struct AskFirst {
    shared: Arc<Shared>,
    asked: Asked,
    number: usize,
}

impl AskFirst {
    pub(crate) fn new(shared: &Arc<Shared>, asked: Asked, number: usize) -> Self {
        Self { shared: Arc::clone(shared), asked, number }
    }
}

impl Layer for AskFirst {
    fn before(&self, call: &mut Call<'_>) -> Before {
        // The content is for whoever answers.
        let body = std::mem::replace(&mut call.body, Body::empty());
        let taken = number8::Request::take(call);
        call.body = body;
        let Ok(Taken::Now(request)) = taken else { return Before::Answer(failed()) };
        let user = call.caller.user.clone();
        let (request, answer) = Request::new(Arc::clone(&self.shared), Kind::Written, request);
        let (shared, asked, number) = (Arc::clone(&self.shared), self.asked, self.number);
        let (go, decided) = tokio::sync::oneshot::channel();
        let job = move |py: Python<'_>| {
            let _ = go.send(ask(py, &shared, asked, number, request));
        };
        if self.shared.calls.submit(job).is_err() {
            return Before::Answer(busy());
        }
        Before::wait(async move {
            match decided.await {
                Ok(None) => Waited::go(user),
                Ok(Some(response)) => Waited::Answer(answer.await.unwrap_or(response)),
                Err(_) => Waited::Answer(failed()),
            }
        })
    }
}

/// The answer of the callback; `None` where the request goes on.
fn ask(
    py: Python<'_>,
    shared: &Arc<Shared>,
    asked: Asked,
    number: usize,
    request: Request,
) -> Option<Response> {
    let Some((function, _server)) = shared.callback(py, number) else { return Some(failed()) };
    let Ok(request) = Py::new(py, request) else { return Some(failed()) };
    let result = function.bind(py).call1((&request,));
    let request = request.bind(py);
    let answered = request.get().has_begun();
    let decided = result.and_then(|value| match asked {
        // SECURITY: a coroutine is true, whatever it would come to.
        _ if is_later(&value) => {
            Err(PyTypeError::new_err("a plain function is needed, not async def"))
        }
        Asked::Allowed => {
            Ok((!value.is_truthy()?).then(|| Response::error(403, "this is refused")))
        }
        Asked::Answer if value.is_none() => Ok(None),
        Asked::Answer => of_value(shared, &value).map(Some),
    });
    let has_failed = decided.is_err();
    let refusal = match decided {
        Ok(None) if !answered => return None,
        Ok(None) => failed(),
        Ok(Some(response)) => response,
        Err(error) if asked == Asked::Answer && !answered => {
            failure(request, shared, "a callback failed", &error)
        }
        Err(error) => {
            log_error(py, "a callback failed", &error);
            Response::error(403, "this is refused")
        }
    };
    // What the callback has written itself goes before this; where it has failed, that is not all of it.
    request.get().end(!has_failed);
    Request::answer(request, refusal);
    Some(failed())
}
