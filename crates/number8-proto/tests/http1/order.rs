use number8_proto::Limits;
use number8_proto::headers::Fields;
use number8_proto::http1::{BodySize, Conn, Event, HeadParser, Next, Prepared, Stamp};

/// What is sent when a client with `Expect: 100-continue` has sent so much of its body unasked.
fn answer_after(sent: &[u8]) -> (String, Next) {
    let (mut conn, mut parser, limits) = (Conn::new(), HeadParser::new(), Limits::default());
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    conn.receive(&mut parser, head, &limits).expect("a head");
    let (_, event) = conn.receive(&mut parser, sent, &limits).expect("a part of the body");
    assert_eq!(matches!(event, Event::Data(_)), !sent.is_empty());
    let mut out = Vec::new();
    let answer = Prepared::new(413, &Fields::new(), BodySize::Known(0));
    conn.respond((&answer).into(), &Stamp::default(), &limits, &mut out);
    conn.finish(&Fields::new(), &mut out);
    conn.send_continue(&mut out);
    (String::from_utf8_lossy(&out).into_owned(), conn.advance())
}

#[test]
fn a_client_that_did_not_wait_for_100_keeps_its_connection() {
    let (out, next) = answer_after(b"ab");
    assert_eq!(next, Next::Drain);
    assert!(!out.contains("Connection: close") && !out.contains("100"), "{out}");
}

#[test]
fn a_client_that_waits_is_answered_and_the_connection_closed() {
    let (out, next) = answer_after(b"");
    assert!(matches!(next, Next::Close(_)));
    assert!(out.contains("Connection: close\r\n") && !out.contains("100"), "{out}");
}

#[test]
fn a_body_is_whole_for_who_reads_it_until_the_answer_is_finished() {
    let limits = Limits { drain_bytes_max: 4, ..Limits::default() };
    for size in [BodySize::Known(0), BodySize::Known(2), BodySize::Unknown] {
        let (mut conn, mut parser, mut out) = (Conn::new(), HeadParser::new(), Vec::new());
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
        conn.receive(&mut parser, head, &limits).expect("a head");
        let answer = Prepared::new(200, &Fields::new(), size);
        conn.respond((&answer).into(), &Stamp::default(), &limits, &mut out);
        conn.send_body(b"ok", &mut out);
        let (_, event) = conn.receive(&mut parser, b"0123456789", &limits).expect("the body");
        assert!(matches!(event, Event::Data(b"0123456789")), "{size:?} {event:?}");
        conn.finish(&Fields::new(), &mut out);
        let next = conn.advance();
        assert!(matches!(next, Next::Close(_)), "{next:?}");
    }
}
