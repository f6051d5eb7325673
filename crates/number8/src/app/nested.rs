//! An app inside another one.

use std::sync::Arc;

use number8_proto::http1::{Head, OwnedHead};

use super::App;
use super::answer::{Begun, Waiting};
use crate::access::Access;
use crate::caller::Caller;
use crate::handler::values::Values;
use crate::handler::{Answer, Call, Handler};
use crate::layer::Waited;
use crate::response::Response;
use crate::server::lane::Lane;

/// Answers what is below a prefix with an app: its routes, mounts, layers, pages for errors and states.
pub(super) struct Nested(pub(super) Arc<App>);

impl Handler for Nested {
    /// What may be asked of its routes it says itself.
    fn allow(&self) -> &str {
        "OPTIONS"
    }

    fn measure(&self, sheet: &mut crate::metrics::Sheet) {
        self.0.measure(sheet);
    }

    fn handle(&self, call: Call<'_>) -> Answer {
        let app = &self.0;
        let Call { head, path, caller, body, lane, access, .. } = call;
        let (values, states) = (Values::default(), &app.states);
        let call = Call {
            head,
            path,
            caller: &mut *caller,
            body,
            lane,
            values,
            states,
            access,
            is_here: None,
        };
        match app.pass_layers(call, 0) {
            Begun::Answer(Answer::Ready(response)) => app.pass_out(head, caller, response).into(),
            Begun::Answer(Answer::Later(answer)) => {
                let (app, head, caller) = (Arc::clone(app), head.to_owned(), caller.clone());
                Answer::later(async move { app.leave(&head.head(), caller, answer.await) })
            }
            Begun::Wait(waiting) => {
                // The connection has to know it, too.
                caller.departure();
                let request = Owned {
                    head: head.to_owned(),
                    path: path.to_vec(),
                    caller: caller.clone(),
                    lane: lane.clone(),
                    access: Arc::clone(access),
                };
                Answer::later(go_on(Arc::clone(app), request, waiting))
            }
        }
    }
}

/// What a request is made of, for as long as a layer waits.
struct Owned {
    head: OwnedHead,
    path: Vec<u8>,
    caller: Caller,
    lane: Lane,
    access: Arc<Access>,
}

/// Waits for a layer, then passes those after it.
async fn go_on(app: Arc<App>, mut request: Owned, mut waiting: Waiting) -> Response {
    let response = loop {
        let Waiting { waited, next, body } = waiting;
        match waited.await {
            Waited::Answer(response) => break response,
            Waited::Go { user } => request.caller.user = user,
        }
        let begun = {
            let call = Call {
                head: &request.head.head(),
                path: &request.path,
                caller: &mut request.caller,
                body,
                lane: &request.lane,
                values: Values::default(),
                states: &app.states,
                access: &request.access,
                is_here: None,
            };
            app.pass_layers(call, next.layer)
        };
        match begun {
            Begun::Answer(Answer::Ready(response)) => break response,
            Begun::Answer(Answer::Later(answer)) => break answer.await,
            Begun::Wait(next) => waiting = next,
        }
    };
    app.leave(&request.head.head(), request.caller, response)
}

impl App {
    /// As [`pass_out`](Self::pass_out) after a wait, with a caller that the answer takes along to those outside.
    fn leave(&self, head: &Head<'_>, mut caller: Caller, mut response: Response) -> Response {
        caller.learn(response.caller.take());
        let mut response = self.pass_out(head, &caller, response);
        response.caller = Some(Box::new(caller));
        response
    }

    /// What an app inside another one makes of an answer: what it has no page for, the outer one explains.
    fn pass_out(&self, head: &Head<'_>, caller: &Caller, response: Response) -> Response {
        let response = self.put_page(response);
        self.put_page(self.pass_layers_back(head, caller, response))
    }
}
