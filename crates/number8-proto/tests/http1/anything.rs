use number8_proto::Limits;
use proptest::collection::vec;
use proptest::prelude::*;

use super::request;
use crate::wire::Server;

/// Small enough that generated requests come up against each of them.
fn limits(lenient: bool) -> Limits {
    Limits {
        head_bytes_max: 100,
        fields_max: 4,
        uri_bytes_max: 30,
        chunk_extension_bytes_max: 8,
        trailer_bytes_max: 16,
        drain_bytes_max: 20,
        lenient,
    }
}

fn play<'b>(pieces: impl Iterator<Item = &'b [u8]>, lenient: bool) -> Server {
    let mut server = Server::new(limits(lenient));
    pieces.for_each(|piece| server.feed(piece));
    server.end();
    server
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn where_the_bytes_are_cut_changes_nothing(
        request in prop_oneof![request(), vec(any::<u8>(), 0..100)],
        sizes in vec(1usize..20, 1..20),
        lenient: bool,
    ) {
        let whole = play(std::iter::once(&request[..]), lenient);
        let mut rest = &request[..];
        let mut sizes = sizes.iter().cycle();
        let pieces = std::iter::from_fn(|| {
            let size = (*sizes.next()?).min(rest.len());
            let (piece, after) = rest.split_at(size);
            rest = after;
            (size > 0).then_some(piece)
        });
        let cut = play(pieces, lenient);
        prop_assert_eq!(&whole.log, &cut.log);
        prop_assert_eq!(&whole.out, &cut.out);
        prop_assert_eq!(&whole.heads, &cut.heads);
    }

    // That nothing is received after a fault, `Server` asserts itself.
    #[test]
    fn a_request_has_one_answer_and_a_fault_at_most_one(request in request(), lenient: bool) {
        let server = play(std::iter::once(&request[..]), lenient);
        let faults = usize::from(server.fault.is_some());
        prop_assert!(server.answers <= server.heads.len() + faults);
        prop_assert!(server.taken <= request.len());
        let after_fault = server.log.iter().skip_while(|line| !line.contains("error ")).skip(1);
        prop_assert_eq!(after_fault.count(), 0);
    }
}
