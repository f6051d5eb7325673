//! Whatever an event holds, a client reads one event or none: each line that is written is a field that was
//! asked for, a blank line stands at the end and nowhere else, and the data come back joined by LF.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::sse::{Event, is_sendable};

fuzz_target!(|input: (Option<&str>, Option<&str>, Option<u64>, Option<&str>, Option<&str>)| {
    let (name, id, retry_ms, data, comment) = input;
    let mut out = Vec::new();
    let result = Event { name, id, retry_ms, data, comment }.put(&mut out);
    let refused = !name.is_none_or(is_sendable) || !id.is_none_or(is_sendable);
    assert_eq!(result.is_err(), refused);
    if refused {
        return assert!(out.is_empty());
    }
    let stream = std::str::from_utf8(&out).unwrap().strip_suffix("\n").unwrap();
    let (mut read, mut fields) = (Vec::new(), Vec::new());
    for line in stream.split_terminator('\n') {
        assert!(!line.contains('\r'), "a CR ends a line for clients");
        let (field, value) = line.split_once(": ").unwrap();
        if field == "data" {
            read.push(value);
        }
        fields.push(field);
    }
    let expected = data.map(|data| data.replace("\r\n", "\n").replace('\r', "\n"));
    assert_eq!(data.map(|_| read.join("\n")), expected);
    fields.dedup();
    let wanted = [("", comment.is_some()), ("event", name.is_some()), ("id", id.is_some())];
    let wanted =
        wanted.into_iter().chain([("retry", retry_ms.is_some()), ("data", data.is_some())]);
    let wanted: Vec<_> = wanted.filter(|(_, is)| *is).map(|(field, _)| field).collect();
    assert_eq!(fields, wanted);
});
