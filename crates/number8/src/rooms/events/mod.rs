//! The room that sends events: `text/event-stream`, for `EventSource` in a page and for whoever reads lines.
//!
//! An event is encoded once and kept for a while; each listener is a place among what is kept. So whoever comes
//! back with the id of its last event gets what it missed, and a listener that is slow harms nobody: when what
//! it has not taken is kept no longer, it is cut off, and comes back.

mod event;
mod publish;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use number8_proto::http1::{Head, Method};
use number8_proto::sse;
use number8_proto::uri::{Query, decode_path};

use crate::access::Rights;
use crate::body::{Body, Broadcast};
use crate::broadcast::{Channel, Frame, Heartbeat, Start};
use crate::handler::{Answer, Call, Handler};
use crate::response::Response;
use crate::results::IntoResponse;
use crate::server::clock;
use crate::sync::lock;
pub use event::{Event, EventError};
use publish::{Named, publish};

const ALLOW: &str = "GET, HEAD, POST, OPTIONS";

/// Bytes of the name of a topic.
const TOPIC_BYTES_MAX: usize = 256;

/// Events for everyone who listens. Mount it where they listen; keep a clone to send with.
///
/// | request | what it does | right |
/// |---|---|---|
/// | `GET /events` | listens to the main topic | `read` |
/// | `GET /events/kitchen` | listens to the topic `kitchen` | `read` |
/// | `POST /events`, `POST /events/kitchen` | sends its content; `?event=NAME&id=ID` name the event | `events` |
///
/// The answer to a POST is how many listen.
///
/// ```
/// use number8::{App, Event, Events};
///
/// # fn main() -> Result<(), number8::EventError> {
/// let events = Events::new();
/// let app = App::new().mount("/events", events.clone());
///
/// // In a page: new EventSource("/events").onmessage = event => show(event.data)
/// events.dispatch("the kettle boils");
/// // In a page: source.addEventListener("temperature", …)
/// events.dispatch(Event::new("98.6").name("temperature")?);
/// // In a page: new EventSource("/events/kitchen")
/// let somebody_listens = events.dispatch_to("kitchen", "dinner is ready");
/// assert!(!somebody_listens);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Events {
    hub: Arc<Hub>,
    settings: Settings,
}

#[derive(Debug)]
struct Hub {
    topics: Mutex<Topics>,
    /// The first half of ids, so that those of one run of the program are never taken for those of another.
    run: String,
}

type Topics = HashMap<Box<str>, Topic>;

#[derive(Debug)]
struct Topic {
    channel: Channel,
    named_by: By,
}

/// Who has named a topic. Those of the program and those that only clients have named are counted apart, so that neither takes
/// the other's room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Program,
    Client,
}

#[derive(Debug, Clone)]
struct Settings {
    listeners_max: usize,
    topics_max: usize,
    kept_bytes_max: usize,
    event_bytes_max: usize,
    heartbeat: Option<Heartbeat>,
    /// What each listener gets first.
    first: Option<Frame>,
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Events {
    /// Nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let hub = Hub { topics: Mutex::default(), run: format!("{:x}", since.as_millis()) };
        let settings = Settings {
            listeners_max: 16_384,
            topics_max: 256,
            kept_bytes_max: 256 * 1024,
            event_bytes_max: 64 * 1024,
            heartbeat: None,
            first: None,
        };
        Self { hub: Arc::new(hub), settings }.heartbeat(Duration::from_secs(15))
    }

    /// So many may listen at once, over all topics (16,384); one more gets 503. 0: nobody.
    #[must_use]
    pub fn listeners_max(mut self, count: usize) -> Self {
        self.settings.listeners_max = count;
        self
    }

    /// So many topics may exist at once, the main one among them, of which each is listened to or keeps events (256); where one
    /// more would be made, listeners get 503 and events are lost. 1: only the main topic.
    ///
    /// As many more may exist that the program has named, by [`topic`](Self::topic) or by sending to them: clients that listen
    /// to names of their own take nobody the room for those, nor for the main topic.
    #[must_use]
    pub fn topics_max(mut self, count: usize) -> Self {
        self.settings.topics_max = count;
        self
    }

    /// Names a topic before anything is sent to it, so that there is room for those who listen to it. Say it last: a topic keeps
    /// the settings that it is named with.
    #[must_use]
    pub fn topic(self, name: &str) -> Self {
        self.channel(&mut lock(&self.hub.topics), name, By::Program);
        self
    }

    /// Events are kept up to so many bytes, for each topic (256 KiB; an event takes 128 more than its own). That is
    /// how far a listener may fall behind, and how much one that comes back can get.
    #[must_use]
    pub fn kept_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.kept_bytes_max = bytes;
        self
    }

    /// The data of an event that is posted have at most so many bytes (64 KiB); more is 413.
    #[must_use]
    pub fn event_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.event_bytes_max = bytes;
        self
    }

    /// A listener who has got nothing for this time gets an empty comment (15 s), so that proxies keep the
    /// connection, and one that is dead is found out.
    #[must_use]
    pub fn heartbeat(mut self, after: impl Into<Option<Duration>>) -> Self {
        let frame = || event::frame(&sse::Event { comment: Some(""), ..sse::Event::default() });
        self.settings.heartbeat =
            after.into().map(|after| Heartbeat { frame: frame(), after_ms: clock::millis(after) });
        self
    }

    /// How long a browser waits before it comes back, where it shall not be what it likes.
    #[must_use]
    pub fn retry(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.settings.first = after.into().map(|after| {
            let retry_ms = Some(event::millis(after));
            event::frame(&sse::Event { retry_ms, ..sse::Event::default() })
        });
        self
    }

    /// Sends an event to all who listen to the main topic; false when nobody does. It is kept for those who come
    /// back in either case.
    pub fn dispatch(&self, event: impl Into<Event>) -> bool {
        self.dispatch_to("", event)
    }

    /// Sends an event to all who listen to a topic; false when nobody does.
    pub fn dispatch_to(&self, topic: &str, event: impl Into<Event>) -> bool {
        self.send(topic, &event.into(), By::Program).is_some_and(|listeners| listeners > 0)
    }

    /// How many listen, over all topics.
    #[must_use]
    pub fn listeners(&self) -> usize {
        listeners(&lock(&self.hub.topics))
    }

    /// Returns how many listen; `None` where there is no room for the topic.
    fn send(&self, topic: &str, event: &Event, by: By) -> Option<usize> {
        let channel = self.channel(&mut lock(&self.hub.topics), topic, by)?;
        let run = &self.hub.run;
        Some(channel.send(|number| event.encode(|| format!("{run}-{number}"))))
    }

    /// The channel of a topic; `None` where there are as many as there may be. There is always room for the main one.
    fn channel(&self, topics: &mut Topics, topic: &str, by: By) -> Option<Channel> {
        let is_full = |topics: &Topics| {
            let others = topics.iter().filter(|(name, it)| !name.is_empty() && it.named_by == by);
            !topic.is_empty() && others.count() + 1 >= self.settings.topics_max
        };
        if let Some(known) = topics.get(topic) {
            let channel = known.channel.clone();
            // Where the program has as many as it may, it stays one of the clients'.
            if known.named_by == By::Client && by == By::Program && !is_full(topics) {
                let named_by = by;
                topics.insert(topic.into(), Topic { channel: channel.clone(), named_by });
            }
            return Some(channel);
        }
        if is_full(topics) {
            topics.retain(|_, it| it.named_by != by || !it.channel.is_idle());
        }
        if is_full(topics) {
            return None;
        }
        let channel = Channel::new(self.settings.kept_bytes_max, self.settings.heartbeat.clone());
        topics.insert(topic.into(), Topic { channel: channel.clone(), named_by: by });
        Some(channel)
    }

    /// Answers one who wants to listen to a topic: for a handler of your own, which has decided that they may.
    ///
    /// ```
    /// use number8::{App, Events, Request, State};
    ///
    /// let app = App::new().state(Events::new()).get("/news", async |events: State<Events>, request: Request| {
    ///     events.listen(&request.head(), "news")
    /// });
    /// ```
    #[must_use]
    pub fn listen(&self, head: &Head<'_>, topic: &str) -> Response {
        let last_id = last_id(head);
        let start = last_id.as_deref().map_or(Start::Now, Start::After);
        let mut topics = lock(&self.hub.topics);
        let listeners = listeners(&topics);
        // Under the lock, so that the topic is not taken for one that is not used.
        let channel = match self.channel(&mut topics, topic, By::Client) {
            Some(channel) if listeners < self.settings.listeners_max => channel,
            _ => return full(),
        };
        let subscription = channel.subscribe(start);
        drop(topics);
        let first = self.settings.first.clone();
        Response::new(200, Body::broadcast(Broadcast { first, subscription }))
            .with_known("Content-Type", "text/event-stream")
            .with_known("Cache-Control", "no-store")
            // nginx would gather events in a buffer.
            .with_known("X-Accel-Buffering", "no")
    }
}

impl Handler for Events {
    fn handle(&self, mut call: Call<'_>) -> Answer {
        let Some(topic) = topic(call.path) else {
            return Response::error(404, "this is no name of a topic").into();
        };
        match call.head.method() {
            Method::Get | Method::Head => match call.may_go_on(Rights::READ) {
                Ok(()) => self.listen(call.head, &topic).into(),
                Err(refused) => refused.into_response().into(),
            },
            Method::Post => match (call.may(Rights::EVENTS), Named::of(call.head)) {
                (Err(error), _) | (Ok(()), Err(error)) => error.into_response().into(),
                (Ok(()), Ok(named)) => {
                    Answer::later(publish(self.clone(), topic, named, call.body))
                }
            },
            Method::Options => Response::options(ALLOW).into(),
            _ => Response::not_allowed(ALLOW).into(),
        }
    }

    fn allow(&self) -> &str {
        ALLOW
    }
}

fn listeners(topics: &Topics) -> usize {
    topics.values().map(|it| it.channel.listeners()).sum()
}

/// The topic that the rest of a path names.
fn topic(path: &[u8]) -> Option<String> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let name = String::from_utf8(decode_path(path).ok()?.into_owned()).ok()?;
    (name.len() <= TOPIC_BYTES_MAX && !name.contains(char::is_control)).then_some(name)
}

/// The id of the last event that a client got: a browser sends it when it comes back; a page that has been told
/// one may ask with it.
fn last_id(head: &Head<'_>) -> Option<String> {
    let id = match head.named("Last-Event-ID") {
        Some(id) => id.to_vec(),
        None => Query::new(head.query()?)
            .find(|pair| *pair.key == *b"last-event-id")?
            .value?
            .into_owned(),
    };
    String::from_utf8(id).ok().filter(|id| !id.is_empty())
}

fn full() -> Response {
    Response::error(503, "as many listen already as may").with_known("Retry-After", "5")
}
