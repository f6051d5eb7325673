//! What RFC 9113 and RFC 7541 demand of a server, case by case.

use number8::{App, Body};

use super::wire::*;

/// What has to come of a case.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// The connection ends with one of these codes, or without a word.
    Ends(&'static [u32]),
    /// The stream ends with one of these codes, or the whole connection does.
    Resets(u32, &'static [u32]),
    /// The stream is answered with this status.
    Answers(u32, u16),
    /// A PING that follows is answered: nothing was wrong.
    GoesOn,
}

use Then::{Answers, Ends, GoesOn, Resets};

fn app() -> App {
    App::new()
        .get("/", async || "Hello, world.")
        .post("/", async |body: Body| body.bytes().await.map(|bytes| bytes.len().to_string()))
        .get("/never", async || std::future::pending::<String>().await)
}

/// Sends a case on a connection of its own and sees what comes of it; what, where that is something else.
async fn check(bytes: &[u8], then: Then) -> Result<(), String> {
    let server = app().test();
    let mut client = Client::connect(&server).await;
    client.send(bytes).await;
    client.send(&frame(PING, 0, 0, b"the end.")).await;
    loop {
        let Some(frame) = client.frame().await else {
            return match then {
                Ends(_) | Resets(..) => Ok(()),
                Answers(..) | GoesOn => Err("the connection ends".into()),
            };
        };
        let code = match frame.kind {
            GOAWAY => frame.number(4),
            RST_STREAM => frame.number(0),
            _ => 0,
        };
        let is_right = match (frame.kind, then) {
            (GOAWAY, Ends(codes) | Resets(_, codes)) => codes.contains(&code),
            (RST_STREAM, Resets(stream, codes)) if frame.stream == stream => codes.contains(&code),
            (GOAWAY | RST_STREAM, Answers(..) | GoesOn) => false,
            (HEADERS, Answers(stream, status)) if frame.stream == stream => {
                frame.status() == status
            }
            (PING, GoesOn) if frame.payload == b"the end." => frame.flags == ACK,
            (PING, Ends(_) | Resets(..)) if frame.payload == b"at last." => {
                return Err("nothing was found wrong".into());
            }
            // What becomes of a stream comes behind the answer to a PING, but before that to the next.
            (PING, _) if frame.payload == b"the end." => {
                client.send(&super::wire::frame(PING, 0, 0, b"at last.")).await;
                continue;
            }
            _ => continue,
        };
        return match is_right {
            true => Ok(()),
            false => Err(format!("{frame:?}")),
        };
    }
}

async fn check_all(cases: Vec<(&str, Vec<u8>, Then)>) {
    let mut wrong = Vec::new();
    for (name, bytes, then) in cases {
        if let Err(what) = check(&bytes, then).await {
            wrong.push(format!("{name}: {then:?} was expected: {what}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn together(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags, stream, &block(fields))
}

const M: (&str, &str) = (":method", "GET");
const POST: (&str, &str) = (":method", "POST");
const S: (&str, &str) = (":scheme", "http");
const P: (&str, &str) = (":path", "/");
const A: (&str, &str) = (":authority", "localhost");

/// RFC 9113 §4: the frame itself.
#[tokio::test]
async fn g7_frames_are_read_as_rfc_9113_section_4_says() {
    let open = headers(END_HEADERS, 1, &[POST, S, P, A]);
    let too_large = vec![0; 16_385];
    check_all(vec![
        ("an unknown kind of frame", frame(0x16, 0, 0, b"what?"), GoesOn),
        ("an unknown kind on a stream", together(&[open.clone(), frame(0x16, 0, 1, b"?")]), GoesOn),
        ("unknown flags", frame(PING, 0x16, 0, b"12345678"), GoesOn),
        ("the reserved bit", frame(PING, 0, 1 << 31, b"12345678"), GoesOn),
        (
            "content as large as a frame may be",
            together(&[open.clone(), frame(DATA, END_STREAM, 1, &too_large[1..])]),
            Answers(1, 200),
        ),
        (
            "content too large for a frame",
            together(&[open.clone(), frame(DATA, 0, 1, &too_large)]),
            Resets(1, &[FRAME_SIZE_ERROR]),
        ),
        (
            "fields too large for a frame",
            frame(HEADERS, WHOLE, 1, &too_large),
            Ends(&[FRAME_SIZE_ERROR]),
        ),
        (
            "fields that cannot be decoded",
            frame(HEADERS, WHOLE, 1, b"\xff\xff\xff\xff\xff"),
            Ends(&[COMPRESSION_ERROR, PROTOCOL_ERROR]),
        ),
        (
            "another frame inside of a field block",
            together(&[
                headers(END_STREAM, 1, &[M, S, P, A]),
                frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]),
            ]),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "the fields of another stream inside of a field block",
            together(&[headers(END_STREAM, 1, &[M, S, P, A]), request(3, "/")]),
            Ends(&[PROTOCOL_ERROR]),
        ),
    ])
    .await;
}

/// RFC 9113 §5: streams.
#[tokio::test]
async fn g7_streams_live_as_rfc_9113_section_5_says() {
    let open = headers(END_HEADERS, 1, &[POST, S, P, A]);
    let half = headers(WHOLE, 1, &[M, S, (":path", "/never"), A]);
    let closed = together(&[half.clone(), frame(RST_STREAM, 0, 1, &8u32.to_be_bytes())]);
    check_all(vec![
        ("content on an idle stream", frame(DATA, END_STREAM, 1, b"x"), Ends(&[PROTOCOL_ERROR])),
        (
            "the end of an idle stream",
            frame(RST_STREAM, 0, 1, &8u32.to_be_bytes()),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "a window for an idle stream",
            frame(WINDOW_UPDATE, 0, 1, &100u32.to_be_bytes()),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "CONTINUATION on an idle stream",
            frame(CONTINUATION, END_HEADERS, 1, &get("/", &[])),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "content after the end",
            together(&[half.clone(), frame(DATA, END_STREAM, 1, b"x")]),
            Resets(1, &[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        (
            "fields after the end",
            together(&[half.clone(), request(1, "/")]),
            Resets(1, &[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        (
            "CONTINUATION after the end",
            together(&[half.clone(), frame(CONTINUATION, END_HEADERS, 1, &get("/", &[]))]),
            Ends(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        (
            "CONTINUATION on a closed stream",
            together(&[closed.clone(), frame(CONTINUATION, END_HEADERS, 1, &get("/", &[]))]),
            Ends(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        (
            "content on a closed stream",
            together(&[closed.clone(), frame(DATA, END_STREAM, 1, b"x")]),
            Resets(1, &[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        (
            "a window for a closed stream",
            together(&[closed.clone(), frame(WINDOW_UPDATE, 0, 1, &9u32.to_be_bytes())]),
            GoesOn,
        ),
        ("a stream with an even number", request(2, "/"), Ends(&[PROTOCOL_ERROR])),
        (
            "a stream with a lower number",
            together(&[request(5, "/never"), request(3, "/")]),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "a stream that depends on itself",
            frame(
                HEADERS,
                WHOLE | PRIORITIZED,
                1,
                &[&[0, 0, 0, 1, 16][..], &get("/", &[])].concat(),
            ),
            Resets(1, &[PROTOCOL_ERROR]),
        ),
        (
            "PRIORITY of a stream on itself",
            together(&[open.clone(), frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 16])]),
            Resets(1, &[PROTOCOL_ERROR]),
        ),
        ("PRIORITY on an idle stream", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]), GoesOn),
        (
            "PRIORITY on a closed stream",
            together(&[closed, frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])]),
            GoesOn,
        ),
    ])
    .await;
}

/// RFC 9113 §6: each kind of frame.
#[tokio::test]
async fn g7_each_kind_of_frame_keeps_the_rules_of_rfc_9113_section_6() {
    let open = headers(END_HEADERS, 1, &[POST, S, P, A]);
    let after_open = |frame: Vec<u8>| [open.clone(), frame].concat();
    let never = request(1, "/never");
    let padded = |payload: &[u8]| frame(DATA, END_STREAM | PADDED, 1, payload);
    check_all(vec![
        ("DATA on stream 0", after_open(frame(DATA, END_STREAM, 0, b"x")), Ends(&[PROTOCOL_ERROR])),
        ("padding", after_open(padded(b"\x03abc\0\0\0")), Answers(1, 200)),
        ("more padding than content", after_open(padded(b"\x06abc")), Ends(&[PROTOCOL_ERROR])),
        ("HEADERS on stream 0", request(0, "/"), Ends(&[PROTOCOL_ERROR])),
        (
            "HEADERS with padding",
            frame(HEADERS, WHOLE | PADDED, 1, &[&[2][..], &get("/", &[]), &[0, 0]].concat()),
            Answers(1, 200),
        ),
        (
            "HEADERS with more padding than fields",
            frame(HEADERS, WHOLE | PADDED, 1, b"\xf0\x82"),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "HEADERS with a priority",
            frame(
                HEADERS,
                WHOLE | PRIORITIZED,
                1,
                &[&[0, 0, 0, 0, 16][..], &get("/", &[])].concat(),
            ),
            Answers(1, 200),
        ),
        ("PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 16]), Ends(&[PROTOCOL_ERROR])),
        (
            "PRIORITY of another length",
            after_open(frame(PRIORITY, 0, 1, &[0, 0, 0, 0])),
            Resets(1, &[FRAME_SIZE_ERROR]),
        ),
        (
            "RST_STREAM on stream 0",
            frame(RST_STREAM, 0, 0, &8u32.to_be_bytes()),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "RST_STREAM of another length",
            after_open(frame(RST_STREAM, 0, 1, &[0, 0, 0])),
            Ends(&[FRAME_SIZE_ERROR]),
        ),
        ("SETTINGS on a stream", after_open(frame(SETTINGS, 0, 1, b"")), Ends(&[PROTOCOL_ERROR])),
        (
            "SETTINGS of no whole settings",
            frame(SETTINGS, 0, 0, &[0, 3, 0, 0]),
            Ends(&[FRAME_SIZE_ERROR]),
        ),
        (
            "an acknowledgement with settings",
            frame(SETTINGS, ACK, 0, &setting(3, 1)),
            Ends(&[FRAME_SIZE_ERROR]),
        ),
        ("a setting that nobody knows", frame(SETTINGS, 0, 0, &setting(0xff, 1)), GoesOn),
        // RFC 9218: priorities are none of ours, and no fault.
        ("SETTINGS_NO_RFC7540_PRIORITIES", frame(SETTINGS, 0, 0, &setting(9, 1)), GoesOn),
        ("PRIORITY_UPDATE", frame(0x10, 0, 0, b"\0\0\0\x01u=1"), GoesOn),
        ("ENABLE_PUSH of 2", frame(SETTINGS, 0, 0, &setting(2, 2)), Ends(&[PROTOCOL_ERROR])),
        (
            "a window beyond the largest",
            frame(SETTINGS, 0, 0, &setting(4, 1 << 31)),
            Ends(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "a frame size below the least",
            frame(SETTINGS, 0, 0, &setting(5, 16_383)),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "a frame size beyond the largest",
            frame(SETTINGS, 0, 0, &setting(5, 1 << 24)),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "PUSH_PROMISE from a client",
            after_open(frame(
                PUSH_PROMISE,
                END_HEADERS,
                1,
                &[&[0, 0, 0, 2][..], &get("/", &[])].concat(),
            )),
            Ends(&[PROTOCOL_ERROR]),
        ),
        ("PING on a stream", frame(PING, 0, 1, b"12345678"), Ends(&[PROTOCOL_ERROR])),
        ("PING of another length", frame(PING, 0, 0, b"123456"), Ends(&[FRAME_SIZE_ERROR])),
        ("PING that is an answer", frame(PING, ACK, 0, b"12345678"), GoesOn),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), Ends(&[PROTOCOL_ERROR])),
        ("a window of 0 more", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), Ends(&[PROTOCOL_ERROR])),
        (
            "a stream's window of 0 more",
            [never.clone(), frame(WINDOW_UPDATE, 0, 1, &[0; 4])].concat(),
            Resets(1, &[PROTOCOL_ERROR]),
        ),
        (
            "WINDOW_UPDATE of another length",
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1]),
            Ends(&[FRAME_SIZE_ERROR]),
        ),
        (
            "a connection's window beyond the largest",
            frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffffu32.to_be_bytes()),
            Ends(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "a stream's window beyond the largest",
            [never.clone(), frame(WINDOW_UPDATE, 0, 1, &0x7fff_ffffu32.to_be_bytes())].concat(),
            Resets(1, &[FLOW_CONTROL_ERROR]),
        ),
        (
            "a stream's window made too large by a setting",
            [
                never,
                frame(WINDOW_UPDATE, 0, 1, &0x7000_0000u32.to_be_bytes()),
                frame(SETTINGS, 0, 0, &setting(4, 0x7fff_ffff)),
            ]
            .concat(),
            Ends(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "CONTINUATION",
            [
                headers(END_STREAM, 1, &[M, S]),
                frame(CONTINUATION, 0, 1, &block(&[P])),
                frame(CONTINUATION, END_HEADERS, 1, &block(&[A])),
            ]
            .concat(),
            Answers(1, 200),
        ),
        (
            "CONTINUATION on another stream",
            [headers(END_STREAM, 1, &[M, S, P]), frame(CONTINUATION, END_HEADERS, 3, &block(&[A]))]
                .concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "CONTINUATION on stream 0",
            [headers(END_STREAM, 1, &[M, S, P]), frame(CONTINUATION, END_HEADERS, 0, &block(&[A]))]
                .concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "CONTINUATION after the last",
            [request(1, "/never"), frame(CONTINUATION, END_HEADERS, 1, &block(&[("x", "y")]))]
                .concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
        (
            "CONTINUATION after content",
            [
                open.clone(),
                frame(DATA, 0, 1, b"x"),
                frame(CONTINUATION, END_HEADERS, 1, &block(&[("x", "y")])),
            ]
            .concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
    ])
    .await;
}

/// RFC 9113 §8: requests.
#[tokio::test]
async fn g7_malformed_requests_are_refused_as_rfc_9113_section_8_says() {
    const MALFORMED: Then = Resets(1, &[PROTOCOL_ERROR]);
    let of = |fields: &[(&str, &str)]| headers(WHOLE, 1, fields);
    let post = |length: &str, content: &[u8]| {
        let fields = [POST, S, P, A, ("content-length", length)];
        [headers(END_HEADERS, 1, &fields), frame(DATA, END_STREAM, 1, content)].concat()
    };
    let trailers = |flags, fields: &[(&str, &str)]| {
        [
            headers(END_HEADERS, 1, &[POST, S, P, A]),
            frame(DATA, 0, 1, b"x"),
            headers(flags, 1, fields),
        ]
        .concat()
    };
    check_all(vec![
        ("a request", of(&[M, S, P, A]), Answers(1, 200)),
        ("the host by Host alone", of(&[M, S, P, ("host", "localhost")]), Answers(1, 200)),
        ("the same host twice", of(&[M, S, P, A, ("host", "LOCALHOST")]), Answers(1, 200)),
        ("two hosts", of(&[M, S, P, A, ("host", "elsewhere")]), Answers(1, 400)),
        (
            "Host twice",
            of(&[M, S, P, ("host", "localhost"), ("host", "localhost")]),
            Answers(1, 400),
        ),
        ("no host", of(&[M, S, P]), Answers(1, 400)),
        ("a name in capitals", of(&[M, S, P, A, ("X-Test", "y")]), MALFORMED),
        ("an unknown pseudo-header field", of(&[M, S, P, A, (":test", "y")]), MALFORMED),
        ("a pseudo-header field of answers", of(&[M, S, P, A, (":status", "200")]), MALFORMED),
        ("a pseudo-header field behind a field", of(&[M, S, ("x", "y"), P, A]), MALFORMED),
        (
            "a pseudo-header field in trailers, which is dropped",
            trailers(WHOLE, &[(":method", "GET")]),
            Answers(1, 200),
        ),
        ("connection", of(&[M, S, P, A, ("connection", "keep-alive")]), MALFORMED),
        ("keep-alive", of(&[M, S, P, A, ("keep-alive", "1")]), MALFORMED),
        ("proxy-connection", of(&[M, S, P, A, ("proxy-connection", "close")]), MALFORMED),
        ("transfer-encoding", of(&[M, S, P, A, ("transfer-encoding", "chunked")]), MALFORMED),
        ("upgrade", of(&[M, S, P, A, ("upgrade", "websocket")]), MALFORMED),
        ("te with more than trailers", of(&[M, S, P, A, ("te", "trailers, deflate")]), MALFORMED),
        ("te with trailers", of(&[M, S, P, A, ("te", "trailers")]), Answers(1, 200)),
        ("a priority", of(&[M, S, P, A, ("priority", "u=1, i")]), Answers(1, 200)),
        ("an empty path", of(&[M, S, (":path", ""), A]), MALFORMED),
        ("a path that does not begin with a slash", of(&[M, S, (":path", "hello"), A]), MALFORMED),
        ("a whole address as the path", of(&[M, S, (":path", "http://localhost/"), A]), MALFORMED),
        ("the asterisk for another method", of(&[M, S, (":path", "*"), A]), MALFORMED),
        ("the asterisk", of(&[(":method", "OPTIONS"), S, (":path", "*"), A]), Answers(1, 204)),
        ("no method", of(&[S, P, A]), MALFORMED),
        ("no scheme", of(&[M, P, A]), MALFORMED),
        ("no path", of(&[M, S, A]), MALFORMED),
        ("two methods", of(&[M, M, S, P, A]), MALFORMED),
        ("two schemes", of(&[M, S, S, P, A]), MALFORMED),
        ("two paths", of(&[M, S, P, P, A]), MALFORMED),
        ("two authorities", of(&[M, S, P, A, A]), MALFORMED),
        (
            "a user in the authority",
            of(&[M, S, P, (":authority", "me@localhost")]),
            Answers(1, 400),
        ),
        ("a method that is no token", of(&[(":method", "G T"), S, P, A]), MALFORMED),
        ("CONNECT", of(&[(":method", "CONNECT"), A]), Answers(1, 501)),
        ("CONNECT without a host", of(&[(":method", "CONNECT")]), MALFORMED),
        ("an empty authority", of(&[M, S, P, (":authority", "")]), MALFORMED),
        ("a host that is none", of(&[M, S, P, ("host", "a/b")]), Answers(1, 400)),
        (
            "extended CONNECT",
            of(&[(":method", "CONNECT"), (":protocol", "websocket"), S, P, A]),
            MALFORMED,
        ),
        ("a line end in a value", of(&[M, S, P, A, ("x", "a\r\nb: c")]), MALFORMED),
        ("a space before a value", of(&[M, S, P, A, ("x", " y")]), MALFORMED),
        ("an empty name", of(&[M, S, P, A, ("", "y")]), MALFORMED),
        ("a name with a colon", of(&[M, S, P, A, ("a:b", "y")]), MALFORMED),
        ("content of the length announced", post("3", b"abc"), Answers(1, 200)),
        ("less content than announced", post("4", b"abc"), MALFORMED),
        ("more content than announced", post("2", b"abc"), MALFORMED),
        ("a length that is no number", post("x", b"abc"), MALFORMED),
        (
            "no content where some is announced",
            of(&[POST, S, P, A, ("content-length", "1")]),
            MALFORMED,
        ),
        (
            "an expectation that nobody knows",
            of(&[M, S, P, A, ("expect", "more")]),
            Answers(1, 417),
        ),
        ("trailers", trailers(WHOLE, &[("x", "y")]), Answers(1, 200)),
        (
            "fields behind content that are no trailers",
            trailers(END_HEADERS, &[("x", "y")]),
            MALFORMED,
        ),
    ])
    .await;
}

/// RFC 7541: compression.
#[tokio::test]
async fn g7_fields_are_decompressed_as_rfc_7541_says() {
    // The crate calls some of these PROTOCOL_ERROR; the connection ends all the same.
    const BROKEN: Then = Ends(&[COMPRESSION_ERROR, PROTOCOL_ERROR]);
    let of =
        |start: &[u8], end: &[u8]| frame(HEADERS, WHOLE, 1, &[start, &get("/", &[]), end].concat());
    check_all(vec![
        ("an index beyond the tables", of(b"", b"\xc6"), BROKEN),
        ("the index 0", of(b"", b"\x80"), BROKEN),
        ("a name by an index beyond the tables", of(b"", b"\x7f\x20\x01y"), BROKEN),
        ("a table size at the start", of(b"\x20", b""), Answers(1, 200)),
        ("a table size at the end", of(b"", b"\x20"), BROKEN),
        ("a table size beyond the largest", of(b"\x3f\xe2\x1f", b""), BROKEN),
        (
            "a value compressed with too much padding",
            of(b"", b"\0\x01x\x8d\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff\xff"),
            BROKEN,
        ),
        (
            "a value compressed with padding of zeros",
            of(b"", b"\0\x01x\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\x80"),
            BROKEN,
        ),
        (
            "a value that holds the end",
            of(b"", b"\0\x01x\x8f\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff\xff\xff\xff"),
            BROKEN,
        ),
        ("a value that is cut", of(b"", b"\0\x01x\x7fy"), BROKEN),
        ("a static field", of(b"", b"\x90"), Answers(1, 200)),
        (
            "a field for the table, then by its index",
            of(b"", b"\x40\x01x\x01y\xbe"),
            Answers(1, 200),
        ),
        ("a field never to be indexed", of(b"", b"\x10\x01x\x01y"), Answers(1, 200)),
        (
            "a value compressed",
            of(b"", b"\0\x01x\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"),
            Answers(1, 200),
        ),
    ])
    .await;
}

/// RFC 9113 §3.4: what comes first.
#[tokio::test]
async fn g7_a_connection_begins_with_the_preface_and_settings() {
    let server = app().test();
    // Byte by byte.
    let mut client = Client::new(server.connect());
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, b""), &request(1, "/")].concat();
    for byte in &hello {
        client.send(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    let first = client.frame().await.unwrap();
    assert_eq!((first.kind, first.flags), (SETTINGS, 0));
    // Neither push (2) nor extended CONNECT (RFC 8441, 8) is offered.
    assert!(first.payload.chunks(6).all(|setting| !matches!(setting[..2], [0, 2 | 8])));
    assert_eq!(client.status(1).await, 200);

    for (name, bytes) in [
        ("no settings", [PREFACE, &request(1, "/")].concat()),
        ("a preface that is wrong at its end", [&PREFACE[..22], b"XX"].concat()),
    ] {
        let mut client = Client::new(server.connect());
        client.send(&bytes).await;
        let mut code = None;
        // What is no preface is answered as HTTP/1.1, which ends the connection too.
        if name == "no settings" {
            while let Some(frame) = client.frame().await {
                if frame.kind == GOAWAY {
                    code = Some(frame.number(4));
                }
            }
            assert_eq!(code, Some(PROTOCOL_ERROR), "{name}");
        } else {
            let answer = client.end.read_to_end().await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 505"), "{name}");
        }
    }
}
