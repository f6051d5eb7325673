//! A template of the log is refused, or fills in what a plain reading of it does; whatever the values, a record is one line of
//! printable ASCII, and in JSON it says what was put in. What was written before makes no difference.
#![no_main]

use std::net::IpAddr;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use number8::layers::access_log::{Format, Formatter, Record};

/// The value of a variable; all times are the epoch.
fn value(name: &str, record: &Record<'_>) -> Option<String> {
    let escaped = |value: &[u8], space: &str| {
        if value.is_empty() {
            return "-".to_owned();
        }
        let byte = |&byte: &u8| match byte {
            b' ' => space.to_owned(),
            b'"' | b'\\' => format!("\\x{byte:02X}"),
            b'!'..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02X}"),
        };
        value.iter().map(byte).collect()
    };
    let word = |value: &[u8]| escaped(value, "\\x20");
    let path = record.target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let micros = record.duration.as_micros();
    Some(match name {
        "remote_addr" => record.peer.map_or("-".to_owned(), |peer| peer.to_string()),
        "time_iso8601" => "1970-01-01T00:00:00.000Z".to_owned(),
        "time_local" => "01/Jan/1970:00:00:00 +0000".to_owned(),
        "method" => word(record.method),
        "target" => word(record.target),
        "path" => word(path),
        "protocol" => "HTTP/1.1".to_owned(),
        "status" => record.status.to_string(),
        "bytes_sent" => record.bytes.to_string(),
        "bytes_received" => record.received.to_string(),
        "duration_ms" => format!("{}.{:03}", micros / 1000, micros % 1000),
        "user" => word(record.user.unwrap_or_default().as_bytes()),
        "host" => word(record.host.unwrap_or_default()),
        "referer" => escaped(record.referer.unwrap_or_default(), " "),
        "user_agent" => escaped(record.user_agent.unwrap_or_default(), " "),
        "request_id" => "-".to_owned(),
        _ => return None,
    })
}

/// The template filled in, character by character.
fn plain(template: &str, record: &Record<'_>) -> Option<String> {
    let mut line = String::new();
    let mut has_variable = false;
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        if !(' '..='~').contains(&c) {
            return None;
        }
        if c != '$' {
            line.push(c);
            continue;
        }
        let mut name = String::new();
        if chars.next_if_eq(&'$').is_some() {
            line.push('$');
            continue;
        } else if chars.next_if_eq(&'{').is_some() {
            loop {
                match chars.next()? {
                    '}' => break,
                    c => name.push(c),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                name.push(c);
            }
        }
        line.push_str(&value(&name, record)?);
        has_variable = true;
    }
    has_variable.then_some(line)
}

fn check_json(line: &str, record: &Record<'_>) {
    let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
    for (name, value) in [
        ("method", Some(record.method)),
        ("target", Some(record.target)),
        ("user", record.user.map(str::as_bytes)),
        ("host", record.host),
        ("referer", record.referer),
        ("user_agent", record.user_agent),
    ] {
        let text = value.map(|value| String::from_utf8_lossy(value).into_owned());
        assert_eq!(json[name].as_str().map(str::to_owned), text, "{name}");
    }
    assert_eq!(json["status"], record.status);
    assert_eq!(json["bytes_sent"], record.bytes);
    assert_eq!(json["bytes_received"], record.received);
}

fn line(formatter: &mut Formatter, record: &Record<'_>) -> String {
    let mut line = Vec::new();
    formatter.write(record, &mut line);
    let line = String::from_utf8(line).expect("ASCII");
    line.strip_suffix('\n').expect("a whole line").to_owned()
}

// A template and the values, with a byte between them that is in none.
fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|&byte| byte == 0xff);
    let template = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let mut next = || parts.next();
    let record = Record {
        method: next().unwrap_or_default(),
        target: next().unwrap_or_default(),
        host: next(),
        referer: next(),
        user_agent: next(),
        user: next().and_then(|user| std::str::from_utf8(user).ok()),
        ..Record::default()
    };
    let number =
        record.target.iter().fold(7_u64, |sum, &byte| sum.wrapping_mul(31) + u64::from(byte));
    let record = Record {
        status: number as u16,
        bytes: number,
        received: number >> 32,
        duration: Duration::from_micros(number >> 16),
        peer: record.host.map(|_| IpAddr::from((number as u32).to_be_bytes())),
        ..record
    };
    let other = Record { user: Some("joe"), ..record };
    for text in [&*template, "json", "short", "combined"] {
        let Ok(format) = text.parse::<Format>() else {
            assert_eq!(plain(text, &record), None, "it is refused");
            continue;
        };
        if format == Format::Off {
            continue;
        }
        let mut formatter = Formatter::new(format.clone());
        let written =
            [&record, &record, &other, &record].map(|record| line(&mut formatter, record));
        assert!(written[0].bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        assert!(written[0] == written[1] && written[0] == written[3]);
        match format {
            Format::Json => check_json(&written[0], &record),
            _ if matches!(text, "short" | "combined") => {}
            _ => assert_eq!(Some(&written[0]), plain(text, &record).as_ref()),
        }
        assert_eq!(line(&mut Formatter::new(format), &other), written[2]);
    }
});
