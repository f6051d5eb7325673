//! Functions as handlers: `async fn` where the request was parsed, `fn` on the lane, `inline` where it is promised that
//! the function does not wait.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use super::{Answer, Arguments, Call, Handler, Needs, Taken};
use crate::app;
use crate::response::{Response, busy, failed};
use crate::results::IntoResponse;
use crate::server::lane::Lane;

/// What can be made a handler: an `async fn`, a plain `fn`, an [`inline`] one, or what is a [`Handler`] already.
///
/// A function takes up to eight [`Argument`](crate::Argument)s and returns what is [`IntoResponse`]. `Kind` only
/// tells the implementations apart.
///
/// - An `async fn` runs where the request was parsed, so it must not block.
/// - A plain `fn` runs on the lane, where it may: it can never keep a connection waiting.
/// - `inline(function)` runs where the request was parsed, too: the caller's promise that it does not wait.
///
/// ```
/// use number8::{App, inline};
///
/// async fn user(id: u32) -> String {
///     format!("user {id}")
/// }
///
/// fn reading() -> std::io::Result<String> {
///     std::fs::read_to_string("/proc/uptime")
/// }
///
/// let app = App::new()
///     .get("/users/{id}", user)
///     .get("/uptime", reading)
///     .get("/", inline(|| "Hello, world."));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer requests",
    label = "not a handler",
    note = "a handler is an `async fn`, a `fn` or an `inline(fn)` of up to eight arguments, each of them an `Argument`, whose result is `IntoResponse`",
    note = "where an `async fn` awaits it holds nothing that has to stay in its thread, such as the guard of a `std::sync::Mutex`",
    note = "with an attribute such as `#[get(\"/\")]` on the function, the compiler says which argument it is, or what is held"
)]
pub trait IntoHandler<Kind> {
    /// The handler that calls this function; `route` names it in what is logged.
    fn into_handler(self, route: &str) -> Box<dyn Handler>;

    /// What the function takes.
    #[must_use]
    fn needs() -> Needs {
        Needs::default()
    }
}

/// What is a handler is one.
pub struct Ready(());

impl<H: Handler> IntoHandler<Ready> for H {
    fn into_handler(self, _: &str) -> Box<dyn Handler> {
        Box::new(self)
    }
}

/// An `async fn` with these arguments.
pub struct AsyncFunction<Args>(PhantomData<Args>);

/// A plain `fn` with these arguments.
pub struct PlainFunction<Args>(PhantomData<Args>);

/// An [`inline`] `fn` with these arguments.
pub struct InlineFunction<Args>(PhantomData<Args>);

/// A function that does not wait: see [`inline`].
#[derive(Debug, Clone, Copy)]
pub struct Inline<F>(F);

/// A plain function that runs where the request was parsed.
///
/// That is as quick as it gets, and a promise that the function does not wait: while it runs, no other connection
/// of its thread is served. A call that takes longer than 10 ms ([`LaneOptions::inline_max`](crate::server::LaneOptions))
/// is logged with its route, as a warning, and counted ([`Handle::slow_inline_calls`](crate::Handle::slow_inline_calls)).
pub fn inline<F>(function: F) -> Inline<F> {
    Inline(function)
}

struct Called<F>(F);

impl<F> Handler for Called<F>
where
    F: Fn(Call<'_>) -> Answer + Send + Sync + 'static,
{
    fn handle(&self, call: Call<'_>) -> Answer {
        (self.0)(call)
    }
}

macro_rules! functions {
    ($($name:ident)*) => {
        #[allow(non_snake_case, reason = "the same for any number")]
        impl<Function, Result, $($name,)*> IntoHandler<AsyncFunction<($($name,)*)>> for Function
        where
            Function: Fn($($name),*) -> Result + Send + Sync + 'static,
            Result: Future<Output: IntoResponse> + Send + 'static,
            ($($name,)*): Arguments,
        {
            fn into_handler(self, _: &str) -> Box<dyn Handler> {
                async_handler(move |($($name,)*)| self($($name),*))
            }

            fn needs() -> Needs {
                <($($name,)*)>::needs()
            }
        }

        #[allow(non_snake_case, reason = "the same for any number")]
        impl<Function, Result, $($name,)*> IntoHandler<PlainFunction<($($name,)*)>> for Function
        where
            Function: Fn($($name),*) -> Result + Send + Sync + 'static,
            Result: IntoResponse + 'static,
            ($($name,)*): Arguments,
        {
            fn into_handler(self, _: &str) -> Box<dyn Handler> {
                plain_handler(move |($($name,)*)| self($($name),*))
            }

            fn needs() -> Needs {
                <($($name,)*)>::needs()
            }
        }

        #[allow(non_snake_case, reason = "the same for any number")]
        impl<Function, Result, $($name,)*> IntoHandler<InlineFunction<($($name,)*)>> for Inline<Function>
        where
            Function: Fn($($name),*) -> Result + Send + Sync + 'static,
            Result: IntoResponse + 'static,
            ($($name,)*): Arguments,
        {
            fn into_handler(self, route: &str) -> Box<dyn Handler> {
                inline_handler(route, move |($($name,)*)| (self.0)($($name),*))
            }

            fn needs() -> Needs {
                <($($name,)*)>::needs()
            }
        }
    };
}

functions!();
functions!(A);
functions!(A B);
functions!(A B C);
functions!(A B C D);
functions!(A B C D E);
functions!(A B C D E F);
functions!(A B C D E F G);
functions!(A B C D E F G H);

fn async_handler<Args, F, R>(function: F) -> Box<dyn Handler>
where
    Args: Arguments,
    F: Fn(Args) -> R + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    let function = Arc::new(function);
    Box::new(Called(move |mut call: Call<'_>| match Args::take(&mut call) {
        Ok(Taken::Now(args)) => {
            let answer = function(args);
            Answer::later(async move { answer.await.into_response() })
        }
        Ok(Taken::Later(args)) => {
            let function = Arc::clone(&function);
            Answer::later(async move {
                match args.await {
                    Ok(args) => function(args).await.into_response(),
                    Err(error) => error.into_response(),
                }
            })
        }
        Err(error) => error.into_response().into(),
    }))
}

fn plain_handler<Args, F, R>(function: F) -> Box<dyn Handler>
where
    Args: Arguments,
    F: Fn(Args) -> R + Send + Sync + 'static,
    R: IntoResponse + 'static,
{
    let function = Arc::new(function);
    Box::new(Called(move |mut call: Call<'_>| {
        let function = Arc::clone(&function);
        match Args::take(&mut call) {
            Ok(Taken::Now(args)) => on_lane(call.lane, move || function(args).into_response()),
            Ok(Taken::Later(args)) => {
                let lane = call.lane.clone();
                Answer::later(async move {
                    match args.await {
                        Ok(args) => {
                            on_lane(&lane, move || function(args).into_response()).wait().await
                        }
                        Err(error) => error.into_response(),
                    }
                })
            }
            Err(error) => error.into_response().into(),
        }
    }))
}

/// Has the lane call a function; 503 where it takes no more calls, 500 where the function panics.
fn on_lane(lane: &Lane, function: impl FnOnce() -> Response + Send + 'static) -> Answer {
    // Whoever listens to the request hears its function, too.
    let span = app::are_wanted().then(tracing::Span::current);
    let function = move || match span {
        Some(span) => span.in_scope(function),
        None => function(),
    };
    match lane.submit(function) {
        Ok(job) => Answer::later(async { job.await.unwrap_or_else(|_| failed()) }),
        Err(full) => busy(full.to_string()).into(),
    }
}

fn inline_handler<Args, F, R>(route: &str, function: F) -> Box<dyn Handler>
where
    Args: Arguments,
    F: Fn(Args) -> R + Send + Sync + 'static,
    R: IntoResponse + 'static,
{
    let route: Arc<str> = route.into();
    let function = Arc::new(move |args: Args, lane: &Lane| {
        let begun = Instant::now();
        let response = function(args).into_response();
        let took = begun.elapsed();
        if lane.judge_inline(took) {
            let took_ms = took.as_millis();
            tracing::warn!(%route, took_ms, "an inline handler kept other connections waiting");
        }
        response
    });
    Box::new(Called(move |mut call: Call<'_>| match Args::take(&mut call) {
        Ok(Taken::Now(args)) => function(args, call.lane).into(),
        Ok(Taken::Later(args)) => {
            let (function, lane) = (Arc::clone(&function), call.lane.clone());
            Answer::later(async move {
                args.await.map_or_else(IntoResponse::into_response, |args| function(args, &lane))
            })
        }
        Err(error) => error.into_response().into(),
    }))
}
