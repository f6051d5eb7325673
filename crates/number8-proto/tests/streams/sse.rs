use number8_proto::sse::{Event, FieldError};
use proptest::option;
use proptest::prelude::*;

/// What a client makes of a stream: "interpreting an event stream" of the HTML standard.
#[derive(Debug, Default, PartialEq, Eq)]
struct Client {
    last_id: String,
    retry_ms: Option<u64>,
    /// Name and data of the events that listeners were called with.
    events: Vec<(String, String)>,
}

impl Client {
    fn read(stream: &[u8]) -> Self {
        let stream = std::str::from_utf8(stream).unwrap();
        let (mut client, mut id) = (Self::default(), String::new());
        let (mut name, mut data) = (String::new(), String::new());
        for line in stream.replace("\r\n", "\n").split(['\r', '\n']) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => {
                    client.last_id.clone_from(&id);
                    let name = std::mem::take(&mut name);
                    if let Some(data) = std::mem::take(&mut data).strip_suffix('\n') {
                        client.events.push((name, data.to_owned()));
                    }
                }
                "event" => value.clone_into(&mut name),
                "data" => data.extend([value, "\n"]),
                "id" if !value.contains('\0') => value.clone_into(&mut id),
                "retry" => client.retry_ms = value.parse().ok().or(client.retry_ms),
                _ => {}
            }
        }
        client
    }
}

fn encoded(event: Event<'_>) -> Result<Vec<u8>, FieldError> {
    let mut out = Vec::new();
    event.put(&mut out).map(|()| out)
}

#[test]
fn events_look_like_this() {
    let nothing = Event::default();
    for (event, bytes) in [
        (nothing, "\n"),
        (Event { data: Some(""), ..nothing }, "data: \n\n"),
        (Event { data: Some(" x"), ..nothing }, "data:  x\n\n"),
        (
            Event { data: Some("a\r\nb\rc\nd\n"), ..nothing },
            "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n",
        ),
        (Event { data: Some("\r\r\n\n"), ..nothing }, "data: \ndata: \ndata: \ndata: \n\n"),
        (Event { comment: Some(""), ..nothing }, ": \n\n"),
        (Event { comment: Some("a\nretry: 1"), ..nothing }, ": a\n: retry: 1\n\n"),
        (Event { retry_ms: Some(0), ..nothing }, "retry: 0\n\n"),
        (Event { id: Some(""), ..nothing }, "id: \n\n"),
        (
            Event {
                name: Some("n: m"),
                id: Some("1"),
                retry_ms: Some(250),
                data: Some("d"),
                comment: Some("c"),
            },
            ": c\nevent: n: m\nid: 1\nretry: 250\ndata: d\n\n",
        ),
    ] {
        assert_eq!(encoded(event).as_deref(), Ok(bytes.as_bytes()), "{event:?}");
    }
}

#[test]
fn what_would_begin_another_field_is_refused() {
    for bad in ["a\nb", "a\rb", "\r\n", "a\0", "\n"] {
        let nothing = Event { data: Some("d"), ..Event::default() };
        assert_eq!(encoded(Event { name: Some(bad), ..nothing }), Err(FieldError::Name), "{bad:?}");
        assert_eq!(encoded(Event { id: Some(bad), ..nothing }), Err(FieldError::Id), "{bad:?}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c\r\n: \0é]{0,12}", any::<String>()]
}

proptest! {
    #[test]
    fn a_client_gets_what_was_sent_or_nothing_was(
        events in proptest::collection::vec(
            (option::of(text()), option::of(text()), option::of(any::<u64>()), option::of(text()), option::of(text())),
            0..4,
        )
    ) {
        let (mut out, mut expected) = (Vec::new(), Client::default());
        for (name, id, retry_ms, data, comment) in &events {
            let before = out.len();
            let [name, id, data, comment] = [name, id, data, comment].map(Option::as_deref);
            let event = Event { name, id, retry_ms: *retry_ms, data, comment };
            let is_bad = |text: &str| text.contains(['\r', '\n', '\0']);
            if name.is_some_and(is_bad) || id.is_some_and(is_bad) {
                prop_assert!(event.put(&mut out).is_err());
                prop_assert_eq!(out.len(), before);
                continue;
            }
            prop_assert_eq!(event.put(&mut out), Ok(()));
            expected.retry_ms = retry_ms.or(expected.retry_ms);
            if let Some(id) = id {
                expected.last_id = id.to_owned();
            }
            if let Some(data) = data {
                let data = data.replace("\r\n", "\n").replace('\r', "\n");
                expected.events.push((name.unwrap_or_default().to_owned(), data));
            }
        }
        prop_assert_eq!(Client::read(&out), expected);
    }
}
