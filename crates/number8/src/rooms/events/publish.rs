//! An event by POST: the content is its data, the query may name it.

use bytes::{Bytes, BytesMut};
use number8_proto::http1::Head;
use number8_proto::uri::Query;

use super::{By, Event, Events, full};
use crate::body::Body;
use crate::error::Error;
use crate::response::Response;
use crate::results::IntoResponse;

/// What the query says of an event.
#[derive(Debug, Default)]
pub(super) struct Named {
    name: Option<String>,
    id: Option<String>,
}

impl Named {
    /// `event` and `id`; what else there is belongs to somebody else.
    ///
    /// # Errors
    /// A value is not UTF-8.
    pub(super) fn of(head: &Head<'_>) -> Result<Self, Error> {
        let mut named = Self::default();
        for pair in Query::new(head.query().unwrap_or_default()) {
            let place = match &*pair.key {
                b"event" => &mut named.name,
                b"id" => &mut named.id,
                _ => continue,
            };
            let value = pair.value.unwrap_or_default().into_owned();
            *place = Some(String::from_utf8(value).map_err(|_| no_text())?);
        }
        Ok(named)
    }

    fn event(self, data: String) -> Result<Event, super::EventError> {
        let mut event = Event::new(data);
        if let Some(name) = self.name {
            event = event.name(name)?;
        }
        if let Some(id) = self.id {
            event = event.id(id)?;
        }
        Ok(event)
    }
}

/// Sends what a client has posted; says how many get it.
pub(super) async fn publish(events: Events, topic: String, named: Named, body: Body) -> Response {
    let data = match read(body, events.settings.event_bytes_max).await {
        Ok(data) => data,
        Err(error) => return error.into_response(),
    };
    let Ok(data) = String::from_utf8(data.into()) else { return no_text().into_response() };
    let event = match named.event(data) {
        Ok(event) => event,
        Err(error) => return Response::error(400, error.to_string()),
    };
    match events.send(&topic, &event, By::Client) {
        Some(listeners) => format!("{listeners}\n").into_response(),
        None => full(),
    }
}

async fn read(mut body: Body, bytes_max: usize) -> Result<Bytes, Error> {
    let gathered = body.gathered();
    let mut all = BytesMut::new();
    loop {
        match body.chunk().await {
            Ok(Some(chunk)) if all.len() + chunk.len() > bytes_max => {
                return Err(Error::new(413, format!("an event has at most {bytes_max} bytes")));
            }
            Ok(Some(chunk)) => {
                all.extend_from_slice(&chunk);
                gathered.is(all.len());
            }
            Ok(None) => return Ok(all.freeze()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn no_text() -> Error {
    Error::new(400, "an event is UTF-8")
}
