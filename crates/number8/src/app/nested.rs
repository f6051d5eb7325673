//! An app inside another one.

use std::sync::Arc;

use number8_proto::http1::Head;

use super::App;
use super::answer::{Begun, Waiting};
use crate::caller::Caller;
use crate::handler::values::Values;
use crate::handler::{Answer, Call, Handler, Kept};
use crate::layer::Waited;
use crate::response::Response;

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
        let mut call =
            Call { values: Values::default(), states: &app.states, is_here: None, ..call };
        let head = call.head;
        match app.pass_layers(&mut call, 0) {
            Begun::Answer(Answer::Ready(response)) => {
                app.pass_out(head, call.caller, response).into()
            }
            Begun::Answer(Answer::Later(answer)) => {
                let (app, head, caller) = (Arc::clone(app), head.to_owned(), call.caller.clone());
                Answer::later(async move { app.leave(&head.head(), caller, answer.await) })
            }
            Begun::Wait(waiting) => Answer::later(go_on(Arc::clone(app), call.keep(), waiting)),
        }
    }
}

/// Waits for a layer, then passes those after it.
async fn go_on(app: Arc<App>, mut request: Kept, mut waiting: Waiting) -> Response {
    let response = loop {
        let Waiting { waited, next, body } = waiting;
        match waited.await {
            Waited::Answer(response) => break response,
            Waited::Go { user } => request.caller.user = user,
        }
        match request.lend(body, |mut call| app.pass_layers(&mut call, next.layer)) {
            Begun::Answer(Answer::Ready(response)) => break response,
            Begun::Answer(Answer::Later(answer)) => break answer.await,
            Begun::Wait(next) => waiting = next,
        }
    };
    let Kept { head, caller, .. } = request;
    app.leave(&head.head(), caller, response)
}

impl App {
    /// As [`pass_out`](Self::pass_out) after a wait, with a caller that the answer takes along to those outside.
    fn leave(&self, head: &Head<'_>, mut caller: Caller, mut response: Response) -> Response {
        caller.learn(response.take_caller());
        let mut response = self.pass_out(head, &caller, response);
        response.tell_caller(caller);
        response
    }

    /// What an app inside another one makes of an answer: what it has no page for, the outer one explains.
    fn pass_out(&self, head: &Head<'_>, caller: &Caller, response: Response) -> Response {
        let response = self.put_page(response);
        self.put_page(self.pass_layers_back(head, caller, response))
    }
}
