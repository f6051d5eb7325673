//! One event.

use std::time::Duration;

pub use number8_proto::sse::FieldError as EventError;
use number8_proto::sse::{self, is_sendable};

use crate::broadcast::Frame;

/// What the listeners of a page get, and how they know it.
///
/// ```
/// use number8::Event;
///
/// let event = Event::new("98.6").name("temperature")?.id("reading-17")?;
/// // A name is one line, whatever a user has typed.
/// assert!(Event::new("98.6").name("temperature\ndata: 0").is_err());
/// # Ok::<(), number8::EventError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    data: String,
    name: Option<Box<str>>,
    id: Option<Box<str>>,
    retry: Option<Duration>,
}

impl Event {
    /// An event with that data, which arrive as they are, but for line ends: each is LF then.
    pub fn new(data: impl Into<String>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// The name that a page listens for; without it the event is a `message`.
    ///
    /// # Errors
    /// It holds a line end or NUL.
    pub fn name(mut self, name: impl Into<Box<str>>) -> Result<Self, EventError> {
        self.name = Some(name.into());
        if self.name.as_deref().is_none_or(is_sendable) { Ok(self) } else { Err(EventError::Name) }
    }

    /// What a client that comes back names as its last event; without it there is one that no other event has.
    ///
    /// # Errors
    /// It holds a line end or NUL.
    pub fn id(mut self, id: impl Into<Box<str>>) -> Result<Self, EventError> {
        self.id = Some(id.into());
        if self.id.as_deref().is_none_or(is_sendable) { Ok(self) } else { Err(EventError::Id) }
    }

    /// From now on, a browser that lost the connection waits for this time before it comes back.
    #[must_use]
    pub fn retry(mut self, after: Duration) -> Self {
        self.retry = Some(after);
        self
    }

    /// The event as it is sent, and its id.
    pub(super) fn encode(&self, other_id: impl FnOnce() -> String) -> (Box<str>, Frame) {
        let id = self.id.clone().unwrap_or_else(|| other_id().into());
        let frame = frame(&sse::Event {
            name: self.name.as_deref(),
            id: Some(&id),
            retry_ms: self.retry.map(millis),
            data: Some(&self.data),
            comment: None,
        });
        (id, frame)
    }
}

impl From<&str> for Event {
    fn from(data: &str) -> Self {
        Self::new(data)
    }
}

impl From<String> for Event {
    fn from(data: String) -> Self {
        Self::new(data)
    }
}

/// An event whose name and id have been looked at.
pub(super) fn frame(event: &sse::Event<'_>) -> Frame {
    let mut content = Vec::new();
    if event.put(&mut content).is_err() {
        debug_assert!(false, "an event was not looked at");
        content.extend_from_slice(b":\n\n");
    }
    Frame::new(&content)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
