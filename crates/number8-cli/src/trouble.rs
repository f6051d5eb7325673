//! What the library tells of itself, such as why an answer is 500, on standard error: it says so by `tracing`, and clients hear nothing of it.

use std::error::Error;
use std::fmt::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Level, Metadata};

use crate::problem::say;

/// The same again is told of after this time only, as a disk that fails does so at each request.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// From here on what goes wrong inside is a line on standard error.
pub(crate) fn listen() {
    // Where this process listens already, it is told there.
    let _ = set_global_default(Listener::default());
}

/// Hears warnings and errors of ours.
#[derive(Default)]
struct Listener {
    last: Mutex<Option<(Instant, String)>>,
}

impl Listener {
    /// Whether this is news at that time.
    fn is_news(&self, line: &str, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_some_and(|(at, told)| told == line && now < *at + AGAIN_AFTER) {
            return false;
        }
        *last = Some((now, line.to_owned()));
        true
    }
}

impl Subscriber for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && *metadata.level() <= Level::WARN
            && metadata.target().split("::").next() == Some("number8")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let line = line.whole();
        if self.is_news(&line, Instant::now()) {
            say(&line);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event in words.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
    cause: String,
}

impl Line {
    fn whole(self) -> String {
        let Self { message, fields, cause } = self;
        message + &fields + &cause
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {name} {value:?}"),
        };
    }

    fn record_error(&mut self, _: &Field, value: &(dyn Error + 'static)) {
        let mut next = Some(value);
        while let Some(error) = next {
            let _ = write!(self.cause, ": {error}");
            next = error.source();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_again_is_no_news_for_a_while() {
        let (listener, start) = (Listener::default(), Instant::now());
        for (line, after, is_news) in
            [("a", 0, true), ("a", 4, false), ("b", 4, true), ("b", 8, false), ("b", 9, true)]
        {
            let now = start + Duration::from_secs(after);
            assert_eq!(listener.is_news(line, now), is_news, "{line} after {after}");
        }
    }
}
