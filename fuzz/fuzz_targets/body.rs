//! A body decodes to the same data and trailers however it is cut; a slow reader that shares no code
//! agrees on them, on where the body ends and on what is wrong, though it sees that only when a line is
//! whole; a body of known length is that many bytes.
#![no_main]

mod reference;

use libfuzzer_sys::fuzz_target;
use number8_proto::http1::{BodyLength, Decoder, Piece};
use reference::{LIMITS, Read};

fn decode(body: BodyLength, input: &[u8], step: usize) -> (Read, Vec<u8>) {
    let (mut decoder, mut data, mut start, mut end) = (Decoder::new(body), Vec::new(), 0, 0);
    while let Ok((used, piece)) = decoder.decode(&input[start..end], &LIMITS) {
        start += used;
        match piece {
            Piece::NeedMore if end == input.len() => return (Read::Cut, data),
            // What can be nothing but content may be read past the decoder.
            Piece::NeedMore if step.is_multiple_of(2) && decoder.ahead() > 0 && start == end => {
                let ahead = usize::try_from(decoder.ahead()).map_or(step, |ahead| ahead.min(step));
                end = input.len().min(start + ahead);
                data.extend_from_slice(&input[start..end]);
                decoder.took_data((end - start) as u64);
                start = end;
            }
            Piece::NeedMore => end = input.len().min(end + step),
            Piece::Data(piece) => data.extend_from_slice(piece),
            Piece::Trailer { name, value } => data.extend([b"\n", name, b": ", value].concat()),
            Piece::End => return (Read::Whole(start), data),
        }
    }
    (Read::Wrong, data)
}

fuzz_target!(|input: &[u8]| {
    let (half, step) = (input.len() / 2, 2 + input.first().map_or(0, |&b| usize::from(b) % 16));
    let known = decode(BodyLength::Known(half as u64), input, step);
    assert_eq!(known, (Read::Whole(half), input[..half].to_vec()));
    let (mut slow_data, whole) = (Vec::new(), decode(BodyLength::Chunked, input, half * 2 + 1));
    assert_eq!(whole, decode(BodyLength::Chunked, input, 1));
    assert_eq!(whole, decode(BodyLength::Chunked, input, step));
    let slow = reference::chunked(input, &LIMITS, &mut slow_data);
    assert_eq!(whole.1, slow_data);
    assert!(whole.0 == slow || (whole.0 == Read::Wrong && slow == Read::Cut), "{slow:?}");
});
