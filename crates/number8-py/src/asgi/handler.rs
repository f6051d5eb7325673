//! Where a request leaves the server for the loop.

use std::sync::Arc;
use std::task::{Context, Waker};

use number8::{Answer, Call, Handler, IntoResponse, Opening, WebSocket};

use super::hub::{Arrival, Hub};
use super::line::{Line, Waiting};

/// Hands every request to the application.
pub(super) struct Application {
    pub(super) hub: Arc<Hub>,
    /// How a WebSocket is opened, where one is asked for.
    pub(super) websocket: WebSocket,
}

impl Handler for Application {
    fn handle(&self, call: Call<'_>) -> Answer {
        let opening = if Opening::is_asked_for(call.head) {
            match self.websocket.opening(call.head, call.caller) {
                Ok(opening) => Some(opening),
                Err(refusal) => return refusal.into_response().into(),
            }
        } else {
            None
        };
        let mut body = call.body;
        // Content that is on its way already is here when the application asks for it; whoever expects 100 first is asked
        // for it only when the application wants it.
        if !body.is_empty() && call.head.named("expect").is_none() {
            // Nothing can be lost: the connection reads when this has returned.
            drop(body.poll_chunk(&mut Context::from_waker(Waker::noop())));
        }
        let line = Line::new(&self.hub);
        self.hub.arrive(Arrival {
            head: call.head.to_owned(),
            departure: call.caller.departure(),
            caller: call.caller.clone(),
            body,
            line: Arc::clone(&line),
            opening,
        });
        Answer::later(Waiting(line))
    }
}
