//! A request that is handed on: to several handlers in turn, or after a wait.

use std::sync::Arc;

use number8_proto::http1::OwnedHead;

use super::values::Values;
use super::{Answer, Call, Handler};
use crate::access::Access;
use crate::body::Body;
use crate::caller::Caller;
use crate::response::Response;
use crate::server::lane::Lane;
use crate::state::States;

/// A [`Call`] without its content, which outlives the connection's turn: for a handler that waits before it asks another.
pub(crate) struct Kept {
    pub(crate) head: OwnedHead,
    path: Vec<u8>,
    /// Who asks, as far as that was found out.
    pub(crate) caller: Caller,
    lane: Lane,
    values: Values,
    states: Arc<States>,
    /// Who may do what; another one may be put in its place.
    pub(crate) access: Arc<Access>,
}

impl Call<'_> {
    /// The same request without its content, for another handler to look at.
    pub(crate) fn again(&mut self) -> Call<'_> {
        let values = self.values.clone();
        self.lent(Body::empty(), values)
    }

    /// The request as it is handed on, with these values of its path: what only one can have goes with it.
    #[inline]
    pub(crate) fn handed_on(&mut self, values: Values) -> Call<'_> {
        let body = std::mem::take(&mut self.body);
        self.lent(body, values)
    }

    #[inline]
    fn lent(&mut self, body: Body, values: Values) -> Call<'_> {
        Call {
            head: self.head,
            path: self.path,
            caller: &mut *self.caller,
            body,
            lane: self.lane,
            values,
            states: self.states,
            access: self.access,
            is_here: self.is_here,
        }
    }

    /// The same without its content, for as long as somebody waits.
    pub(crate) fn keep(&mut self) -> Kept {
        // The connection has to know it, too.
        self.caller.departure();
        Kept {
            head: self.head.to_owned(),
            path: self.path.to_vec(),
            caller: self.caller.clone(),
            lane: self.lane.clone(),
            values: self.values.clone(),
            states: Arc::clone(self.states),
            access: Arc::clone(self.access),
        }
    }
}

impl Kept {
    /// Has a handler answer it, with that content.
    pub(crate) fn ask(&mut self, handler: &dyn Handler, body: Body) -> Answer {
        self.lend(body, |call| handler.handle(call))
    }

    /// Lends the request to whoever goes on with it, with that content.
    pub(crate) fn lend<T>(&mut self, body: Body, to: impl FnOnce(Call<'_>) -> T) -> T {
        to(Call {
            head: &self.head.head(),
            path: &self.path,
            caller: &mut self.caller,
            body,
            lane: &self.lane,
            values: self.values.clone(),
            states: &self.states,
            access: &self.access,
            is_here: None,
        })
    }

    /// Has the answer tell whoever waits for it what was found out of the caller.
    pub(crate) fn told(mut self, mut response: Response) -> Response {
        self.caller.learn(response.take_caller());
        response.tell_caller(self.caller);
        response
    }
}
