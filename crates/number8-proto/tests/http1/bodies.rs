use number8_proto::Limits;
use number8_proto::headers::Fields;
use number8_proto::http1::{
    BodyLength, BodySize, Conn, Decoder, Event, HeadParser, Piece, Prepared, SendBody, Stamp,
};
use proptest::collection::vec;
use proptest::prelude::*;

type Decoded = (Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>, usize);

/// Data, trailers and how many bytes it took, when `size` bytes come at a time.
fn decode(body: BodyLength, bytes: &[u8], size: usize) -> Option<Decoded> {
    let mut decoder = Decoder::new(body);
    let (mut data, mut trailers) = (Vec::new(), Vec::new());
    let (mut start, mut end) = (0, 0);
    loop {
        let (used, piece) = decoder.decode(&bytes[start..end], &Limits::default()).ok()?;
        start += used;
        match piece {
            Piece::NeedMore if end == bytes.len() => return None,
            // What can be nothing but content may be read past the decoder.
            Piece::NeedMore if size.is_multiple_of(2) && decoder.ahead() > 0 && start == end => {
                let ahead = usize::try_from(decoder.ahead()).map_or(size, |ahead| ahead.min(size));
                end = bytes.len().min(start + ahead);
                data.extend_from_slice(&bytes[start..end]);
                decoder.took_data((end - start) as u64);
                start = end;
            }
            Piece::NeedMore => end = bytes.len().min(end + size),
            Piece::Data(piece) => data.extend_from_slice(piece),
            Piece::Trailer { name, value } => trailers.push((name.to_vec(), value.to_vec())),
            Piece::End => return Some((data, trailers, start)),
        }
    }
}

/// The content of an answer as it is sent.
fn encode(contents: &[Vec<u8>], trailers: &Fields, size: BodySize) -> (SendBody, Vec<u8>) {
    let (mut conn, mut parser, limits) = (Conn::new(), HeadParser::new(), Limits::default());
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    conn.receive(&mut parser, request, &limits).expect("a request");
    let (mut head, mut body) = (Vec::new(), Vec::new());
    let answer = Prepared::new(200, &Fields::new(), size);
    let how = conn.respond((&answer).into(), &Stamp::default(), &limits, &mut head);
    for (number, content) in contents.iter().enumerate() {
        // Both ways to send a piece give the same bytes.
        if number % 2 == 0 {
            conn.send_body(content, &mut body);
        } else {
            let (length, behind) = conn.send_apart(content.len(), &mut body);
            body.extend_from_slice(&content[..length]);
            body.extend_from_slice(behind);
        }
    }
    conn.finish(trailers, &mut body);
    (how, body)
}

proptest! {
    #[test]
    fn chunks_that_are_encoded_decode_to_themselves(
        contents in vec(vec(any::<u8>(), 0..300), 0..6),
        trailers in vec(("X-[0-9a-z]{1,8}", "[!-~]{0,10}"), 0..4),
        after in vec(any::<u8>(), 0..10),
        size in 1usize..50,
    ) {
        let mut fields = Fields::new();
        for (name, value) in &trailers {
            fields.push(name, value.as_bytes()).expect("a field that can be sent");
        }
        let (how, mut wire) = encode(&contents, &fields, BodySize::Unknown);
        prop_assert_eq!(how, SendBody::Chunked);
        let length = wire.len();
        wire.extend(after);
        let (data, got, used) = decode(BodyLength::Chunked, &wire, size).expect("a whole body");
        prop_assert_eq!(data, contents.concat());
        prop_assert_eq!(used, length);
        let want = trailers.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()));
        prop_assert_eq!(got, want.collect::<Vec<_>>());
    }

    #[test]
    fn content_of_known_length_is_exactly_that_long(
        contents in vec(vec(any::<u8>(), 0..100), 0..6),
        announced in 1u64..300,
        size in 1usize..50,
    ) {
        let whole = contents.concat();
        let (how, wire) = encode(&contents, &Fields::new(), BodySize::Known(announced));
        prop_assert_eq!(how, SendBody::Plain);
        prop_assert_eq!(&wire[..], &whole[..whole.len().min(announced as usize)]);
        let decoded = decode(BodyLength::Known(announced), &wire, size);
        let want = (wire.len() as u64 == announced).then(|| (wire.clone(), vec![], wire.len()));
        prop_assert_eq!(decoded, want);
    }
}

#[test]
fn content_that_the_caller_reads_itself_counts() {
    let (mut conn, mut parser, limits) = (Conn::new(), HeadParser::new(), Limits::default());
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(conn.content_ahead(), 0);
    conn.receive(&mut parser, head, &limits).expect("a head");
    assert_eq!(conn.content_ahead(), 10);
    conn.received(4);
    assert_eq!((conn.content_ahead(), conn.is_receiving()), (6, true));
    let mut out = Vec::new();
    conn.send_continue(&mut out);
    assert!(out.is_empty(), "who sends does not wait to be told so");
    let rest = conn.receive(&mut parser, b"456", &limits).expect("content");
    assert!(matches!(rest, (3, Event::Data(b"456"))));
    conn.received(3);
    assert_eq!((conn.content_ahead(), conn.is_receiving()), (0, false));
    assert!(matches!(conn.receive(&mut parser, b"GET ", &limits), Ok((0, Event::End))));
}
