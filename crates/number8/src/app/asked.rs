//! What an app has been asked and has not answered yet: how a connection of either version of HTTP waits for it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use number8_proto::http1::Head;

use super::App;
use super::answer::{Begun, Waiting};
use super::spans::Next;
use crate::body::Body;
use crate::caller::Caller;
use crate::handler::values::Values;
use crate::handler::{Answer, Call};
use crate::layer::Waited;
use crate::response::{Response, failed};
use crate::server::lane::Lane;

/// What is waited for. Whatever panics is answered 500.
pub(crate) enum Asked {
    /// The decision of a layer whether there is to be an answer.
    Decision(Waiting),
    /// The answer.
    Answer(Pin<Box<dyn Future<Output = Response> + Send>>),
}

/// What has come of it.
enum Said {
    /// This is the answer.
    Answer(Response),
    /// A layer lets the request go on, from there.
    GoOn(Body, Next),
}

impl App {
    /// A request as this app sees it before anything of it is known.
    #[inline]
    pub(crate) fn call<'a>(
        &'a self,
        head: &'a Head<'a>,
        caller: &'a mut Caller,
        body: Body,
        lane: &'a Lane,
    ) -> Call<'a> {
        Call {
            head,
            path: head.path(),
            caller,
            body,
            lane,
            values: Values::default(),
            states: &self.states,
            access: &self.access,
            is_here: None,
        }
    }

    /// Asks for an answer; gives back what has to be waited for. An answer that needs no waiting after all is common enough
    /// to be spared the trouble.
    #[inline]
    pub(crate) fn ask(&self, call: Call<'_>, cx: &mut Context<'_>) -> Result<Response, Asked> {
        self.ask_from(call, Next::default(), cx)
    }

    /// Looks whether the answer is there. `caller` becomes whom a layer has found out to ask.
    pub(crate) fn poll(
        &self,
        asked: &mut Asked,
        head: &Head<'_>,
        caller: &mut Caller,
        lane: &Lane,
        cx: &mut Context<'_>,
    ) -> Poll<Response> {
        loop {
            let looked = catch_unwind(AssertUnwindSafe(|| asked.look(caller, cx)));
            match ready!(looked.unwrap_or_else(|_| Poll::Ready(Said::Answer(failed())))) {
                Said::Answer(response) => return Poll::Ready(response),
                Said::GoOn(body, next) => {
                    match self.ask_from(self.call(head, caller, body, lane), next, cx) {
                        Ok(response) => return Poll::Ready(response),
                        Err(other) => *asked = other,
                    }
                }
            }
        }
    }

    /// As [`ask`](Self::ask), from that layer on.
    #[inline]
    fn ask_from(
        &self,
        mut call: Call<'_>,
        next: Next,
        cx: &mut Context<'_>,
    ) -> Result<Response, Asked> {
        let asked = catch_unwind(AssertUnwindSafe(|| {
            let mut response = match self.begin(&mut call, next) {
                Begun::Answer(Answer::Ready(response)) => response,
                Begun::Answer(Answer::Later(mut future)) => match future.as_mut().poll(cx) {
                    Poll::Ready(response) => response,
                    Poll::Pending => return Err(Asked::Answer(future)),
                },
                Begun::Wait(waiting) => return Err(Asked::Decision(waiting)),
            };
            call.caller.learn(response.take_caller());
            Ok(response)
        }));
        asked.unwrap_or_else(|_| Ok(failed()))
    }
}

impl Asked {
    fn look(&mut self, caller: &mut Caller, cx: &mut Context<'_>) -> Poll<Said> {
        Poll::Ready(match self {
            Self::Answer(future) => {
                let mut response = ready!(future.as_mut().poll(cx));
                caller.learn(response.take_caller());
                Said::Answer(response)
            }
            Self::Decision(waiting) => match ready!(waiting.waited.as_mut().poll(cx)) {
                Waited::Answer(response) => Said::Answer(response),
                Waited::Go { user } => {
                    caller.user = user;
                    Said::GoOn(std::mem::take(&mut waiting.body), std::mem::take(&mut waiting.next))
                }
            },
        })
    }
}
