//! Tests of the access log through its public interface.

use std::fs;
use std::io::{self, Read};
use std::iter;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use number8_proto::http1::Version;
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn line(format: &str, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    Formatter::new(format.parse().unwrap()).write(record, &mut out);
    String::from_utf8(out).unwrap()
}

fn example() -> Record<'static> {
    Record {
        peer: Some([192, 0, 2, 7].into()),
        method: b"GET",
        target: b"/a/b.html?x=1",
        version: Version::Http11,
        status: 206,
        bytes: 1_234_567,
        received: 89,
        duration: Duration::from_micros(12_045),
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_709_210_096_007),
        user: Some("ana"),
        host: Some(b"board.local"),
        referer: Some(b"http://board.local/"),
        user_agent: Some(b"Agent/1.0 (X; Y)"),
        request_id: Some(ID.get_or_init(|| 0x2a.into())),
    }
}

static ID: std::sync::OnceLock<RequestId> = std::sync::OnceLock::new();

#[test]
fn formats_fill_in_every_variable() {
    let nothing = Record::default();
    let cases: &[(&str, Record<'_>, &str)] = &[
        (
            "short",
            example(),
            "2024-02-29T12:34:56.007Z 192.0.2.7 GET /a/b.html?x=1 206 1234567 12.045ms",
        ),
        (
            "combined",
            example(),
            r#"192.0.2.7 - ana [29/Feb/2024:12:34:56 +0000] "GET /a/b.html?x=1 HTTP/1.1" 206 1234567 "http://board.local/" "Agent/1.0 (X; Y)""#,
        ),
        ("combined", nothing, r#"- - - [01/Jan/1970:00:00:00 +0000] "- - HTTP/1.1" 0 0 "-" "-""#),
        (
            "json",
            example(),
            r#"{"time":"2024-02-29T12:34:56.007Z","remote_addr":"192.0.2.7","method":"GET","target":"/a/b.html?x=1","protocol":"HTTP/1.1","status":206,"bytes_sent":1234567,"bytes_received":89,"duration_ms":12.045,"user":"ana","host":"board.local","referer":"http://board.local/","user_agent":"Agent/1.0 (X; Y)","request_id":"000000000000002a"}"#,
        ),
        (
            "json",
            nothing,
            r#"{"time":"1970-01-01T00:00:00.000Z","remote_addr":null,"method":"","target":"","protocol":"HTTP/1.1","status":0,"bytes_sent":0,"bytes_received":0,"duration_ms":0.000,"user":null,"host":null,"referer":null,"user_agent":null,"request_id":null}"#,
        ),
        ("$path ${host} <$request_id>", example(), "/a/b.html board.local <000000000000002a>"),
        ("$bytes_received/$request_id", example(), "89/000000000000002a"),
        ("$bytes_received/$request_id", nothing, "0/-"),
        ("$$$status$$", example(), "$206$"),
        (
            "$remote_addr",
            Record { peer: "::ffff:10.0.0.255".parse().ok(), ..nothing },
            "10.0.0.255",
        ),
        ("$remote_addr", Record { peer: "fe80::1".parse().ok(), ..nothing }, "fe80::1"),
        ("$protocol", Record { version: Version::Http10, ..nothing }, "HTTP/1.0"),
        ("$protocol", Record { version: Version::Http2, ..nothing }, "HTTP/2.0"),
        (
            "$user|$user_agent",
            Record { user: Some("a b"), user_agent: Some(b"a b"), ..nothing },
            r"a\x20b|a b",
        ),
        (
            "$target",
            Record { target: b"/\"\\\r\n\x1b[2J\x7f\xc3\xa9", ..nothing },
            r"/\x22\x5C\x0D\x0A\x1B[2J\x7F\xC3\xA9",
        ),
        ("$bytes_sent", Record { bytes: u64::MAX, ..nothing }, "18446744073709551615"),
    ];
    for (format, record, want) in cases {
        assert_eq!(line(format, record), format!("{want}\n"), "format {format}");
    }
    assert_eq!(line("off", &example()), "");
}

#[test]
fn each_byte_is_escaped_wherever_it_stands() {
    let escaped = |value: &[u8], spaces: bool| -> String {
        let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ' && spaces;
        let one = |&byte: &u8| match byte {
            byte if is_plain(byte) && byte != b'"' && byte != b'\\' => char::from(byte).to_string(),
            byte => format!("\\x{byte:02X}"),
        };
        value.iter().map(one).collect()
    };
    for byte in 0..=u8::MAX {
        for length in 1..20 {
            for at in 0..length {
                let mut value = vec![b'~'; length];
                value[at] = byte;
                let record =
                    Record { target: &value, user_agent: Some(&value), ..Record::default() };
                let expected = format!("{}|{}", escaped(&value, false), escaped(&value, true));
                assert_eq!(line("$target|$user_agent", &record), format!("{expected}\n"));
            }
        }
    }
}

#[test]
fn json_escapes_what_text_cannot_hold() {
    let cases: &[(&[u8], &str)] = &[
        (b"a\"b\\c", r#""a\"b\\c""#),
        (b"\r\n\x1b\x7f", r#""\u000d\u000a\u001b\u007f""#),
        ("é\u{2028}😀".as_bytes(), r#""\u00e9\u2028\ud83d\ude00""#),
        (b"a\xffb", r#""a\ufffdb""#),
    ];
    for (sent, want) in cases {
        let line = line("json", &Record { user_agent: Some(sent), ..example() });
        assert!(line.contains(&format!(r#""user_agent":{want},"#)), "{line}");
    }
}

#[test]
fn times_are_right_at_the_edges_of_months_and_years() {
    let cases = [
        (0, "1970-01-01T00:00:00.000Z 01/Jan/1970:00:00:00 +0000"),
        (951_782_399, "2000-02-28T23:59:59.000Z 28/Feb/2000:23:59:59 +0000"),
        (951_868_799, "2000-02-29T23:59:59.000Z 29/Feb/2000:23:59:59 +0000"),
        (951_868_800, "2000-03-01T00:00:00.000Z 01/Mar/2000:00:00:00 +0000"),
        (1_798_761_599, "2026-12-31T23:59:59.000Z 31/Dec/2026:23:59:59 +0000"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z 01/Mar/2100:00:00:00 +0000"),
        (253_402_300_799, "9999-12-31T23:59:59.000Z 31/Dec/9999:23:59:59 +0000"),
        (300_000_000_000, "9999-12-31T23:59:59.000Z 31/Dec/9999:23:59:59 +0000"),
    ];
    // One formatter, so that a stale second would show.
    let mut formatter = Formatter::new("$time_iso8601 $time_local".parse().unwrap());
    for (second, want) in cases {
        let mut out = Vec::new();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        formatter.write(&Record { time, ..example() }, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{want}\n"), "second {second}");
    }
}

#[test]
fn a_template_that_cannot_work_is_refused_with_advice() {
    let cases = [
        ("", "neither short, combined, json, off nor a template"),
        ("combine", "'combine' is neither"),
        ("$$", "neither"),
        ("$satus", "unknown variable $satus; known are $remote_addr $time_iso8601"),
        ("${status", "$ needs the name"),
        ("5 $", "write $$ for a dollar sign"),
        ("$status\n", "printable ASCII"),
        ("$status é", "printable ASCII"),
    ];
    for (template, want) in cases {
        let message = template.parse::<Format>().unwrap_err().to_string();
        assert!(message.contains(want), "{template:?}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

/// What a client may send, owned.
#[derive(Debug)]
struct Sent {
    peer: Option<IpAddr>,
    numbers: (u8, u16, u64, u64),
    id: Option<RequestId>,
    times: (Duration, SystemTime),
    user: Option<String>,
    /// Method, target, Host, Referer, User-Agent.
    fields: [Vec<u8>; 5],
}

impl Sent {
    fn line(&self, format: &str) -> String {
        let [method, target, host, referer, user_agent] = &self.fields;
        let record = Record {
            peer: self.peer,
            method,
            target,
            version: [Version::Http10, Version::Http11, Version::Http2]
                [usize::from(self.numbers.0 % 3)],
            status: self.numbers.1,
            bytes: self.numbers.2,
            duration: self.times.0,
            time: self.times.1,
            user: self.user.as_deref(),
            host: Some(host),
            referer: Some(referer),
            user_agent: Some(user_agent),
            received: self.numbers.3,
            request_id: self.id.as_ref(),
        };
        line(format, &record)
    }
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let bytes = || prop::collection::vec(prop_oneof![any::<u8>(), b' '..b'~'], 0..80);
    let fields = [bytes(), bytes(), bytes(), bytes(), bytes()];
    (
        any::<Option<IpAddr>>(),
        any::<(u8, u16, u64, u64)>(),
        any::<(Duration, SystemTime)>(),
        any::<Option<String>>(),
        any::<Option<u64>>(),
        fields,
    )
        .prop_map(|(peer, numbers, times, user, id, fields)| Sent {
            peer,
            numbers,
            id: id.map(RequestId::from),
            times,
            user,
            fields,
        })
}

proptest! {
    #[test]
    fn any_record_is_one_line_of_printable_ascii(sent in any_sent()) {
        for format in ["short", "combined", "json", "$user $host"] {
            let line = sent.line(format);
            let text = line.strip_suffix('\n').unwrap();
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{format}: {text:?}");
        }
    }

    #[test]
    fn any_record_keeps_its_columns(sent in any_sent()) {
        prop_assert_eq!(sent.line("short").split(' ').count(), 7);
        let combined = sent.line("combined");
        prop_assert_eq!(combined.split('"').count(), 7);
        prop_assert_eq!(combined.split('"').next().unwrap().split(' ').count(), 6);
    }

    #[test]
    fn any_record_is_valid_json(sent in any_sent()) {
        let line = sent.line("json");
        prop_assert!(serde_json::from_str::<serde_json::Value>(&line).unwrap().is_object());
    }

    #[test]
    fn json_keeps_text(agent in any::<String>()) {
        let line = line("json", &Record { user_agent: Some(agent.as_bytes()), ..example() });
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["user_agent"].as_str(), Some(agent.as_str()));
    }

    #[test]
    fn any_template_is_parsed_or_refused(template in "[ -~\\$\\{\\}a-z_]{0,40}") {
        if let Ok(format) = template.parse::<Format>() {
            let mut out = Vec::new();
            Formatter::new(format).write(&example(), &mut out);
            prop_assert!(out.ends_with(b"\n"));
        }
    }
}

#[test]
fn the_sink_keeps_every_line_of_every_thread_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let sink = Arc::new(Sink::file(&path).unwrap());
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let sink = Arc::clone(&sink);
            std::thread::spawn(move || {
                for number in 0..200 {
                    sink.push(format!("{thread} {number} {}\n", "x".repeat(500)).as_bytes());
                    if number % 50 == 0 {
                        assert!(sink.finish(LONG));
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(sink);

    let text = fs::read_to_string(&path).unwrap();
    for thread in 0..4 {
        let numbers: Vec<usize> = text
            .lines()
            .filter_map(|line| {
                line.strip_prefix(&format!("{thread} "))?
                    .strip_suffix(&"x".repeat(500))?
                    .trim()
                    .parse()
                    .ok()
            })
            .collect();
        assert_eq!(numbers, (0..200).collect::<Vec<_>>(), "thread {thread}");
    }
}

#[test]
fn a_pipe_that_nobody_reads_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let told = |error: io::Error| assert_eq!(error.to_string(), "nobody reads from this pipe");
    told(Sink::file(&path).unwrap_err());

    // Opened for both, so that this does not wait either.
    let open = || fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let reader = open();
    let sink = Sink::file(&path).unwrap();
    sink.push(b"one\n");
    assert!(sink.finish(LONG));
    let mut line = [0; 4];
    (&reader).read_exact(&mut line).unwrap();
    assert_eq!(&line, b"one\n");

    drop(reader);
    // A child that another test begins just now has it for a moment, too.
    let begun = Instant::now();
    let mut tries = iter::repeat_with(|| sink.reopen()).take_while(|_| begun.elapsed() < LONG);
    told(tries.find_map(Result::err).unwrap());
    let reader = open();
    sink.reopen().unwrap();
    sink.push(b"two\n");
    assert!(sink.finish(LONG));
    (&reader).read_exact(&mut line).unwrap();
    assert_eq!(&line, b"two\n");
}

#[test]
fn a_line_waits_for_a_flush_and_a_rotated_file_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    fs::write(&path, "earlier\n").unwrap();
    let sink = Sink::file(&path).unwrap();
    sink.push(b"one\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "earlier\n");
    assert!(sink.finish(LONG));
    assert_eq!(fs::read_to_string(&path).unwrap(), "earlier\none\n");

    fs::rename(&path, &moved).unwrap();
    sink.push(b"two\n");
    sink.reopen().unwrap();
    sink.push(b"three\n");
    assert!(sink.finish(LONG));
    assert_eq!(fs::read_to_string(&moved).unwrap(), "earlier\none\ntwo\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");

    folder.close().unwrap();
    assert!(sink.reopen().is_err(), "the folder is gone");
    sink.push(b"four\n");
    assert!(sink.finish(LONG), "the old file is still written");
    assert_eq!(sink.lost(), 0);
}

#[test]
fn an_output_that_fails_costs_lines_and_nothing_else() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for output in [std::os::fd::OwnedFd::from(writer), full.into()] {
        let sink = Sink::descriptor(output).unwrap();
        sink.push(b"one\ntwo\n");
        assert!(sink.finish(LONG));
        sink.push(b"three\n");
        assert!(sink.finish(LONG));
        assert_eq!(sink.lost(), 3);
    }
}

#[test]
fn what_is_lost_is_told_with_why() {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&lines);
    let sink = Sink::file("/dev/full").unwrap().on_lost(|_| panic!("the last one counts"));
    let sink = sink.on_lost(move |line| heard.lock().unwrap().push(line.to_owned()));
    let begun = Instant::now();
    for lines in [&b"one\ntwo\n"[..], b"three\n", b"four\n"] {
        sink.push(lines);
        assert!(sink.finish(LONG));
    }
    // Once, and what was lost since at the end.
    let full = "No space left on device (os error 28)";
    let first = format!("log file /dev/full: 2 lines are lost: {full}");
    let told = || lines.lock().unwrap().clone();
    let until_now = told();
    // A machine that was away for long may tell of them between.
    if begun.elapsed() < sink::TELL_EVERY {
        assert_eq!(until_now, std::slice::from_ref(&first));
    }
    drop(sink);
    let lost = |line: &String| {
        let count = line.strip_prefix("log file /dev/full: ")?.split_once(" line")?.0;
        line.ends_with(full).then(|| count.parse::<u64>().ok())?
    };
    let count = || told().iter().map(|line| lost(line).unwrap()).sum::<u64>();
    let end = Instant::now() + LONG;
    while count() < 4 && Instant::now() < end {
        std::thread::yield_now();
    }
    assert_eq!((told().first(), count()), (Some(&first), 4));
}

#[test]
fn a_reader_that_stopped_reading_blocks_nobody() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let sink = Sink::descriptor(writer).unwrap();
    let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
    let pushed = 4096;
    for _ in 0..pushed {
        sink.push(&line);
    }
    assert!(sink.lost() > 0, "4 MiB fit neither the queue nor the pipe");
    assert!(!sink.finish(Duration::ZERO));

    let lost = sink.lost();
    let read = std::thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).map(|_| text.len() / 1024)
    });
    assert!(sink.finish(LONG));
    drop(sink);
    assert_eq!(read.join().unwrap().unwrap() as u64, pushed - lost);
}
