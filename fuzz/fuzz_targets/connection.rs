//! A whole connection, with a server that answers each request as its query asks: the same log and the
//! same output however the input is cut; no more answers than heads, and one for a fault, after which
//! nothing happens; the output is one well-formed answer after another; no more is taken than came; and
//! a head begins only where a slow reader of its own says that the body before it ends.
#![no_main]

mod exchange;
mod reference;
#[path = "../../crates/number8-proto/tests/wire/server.rs"]
mod server;

use libfuzzer_sys::fuzz_target;
use number8_proto::Limits;
use reference::LIMITS;
use server::Server;

fn play(input: &[u8], step: usize, lenient: bool) -> Server {
    let mut server = Server::new(Limits { lenient, ..LIMITS });
    server.show = ["path", "query", "Host"].map(Into::into).into();
    input.chunks(step).for_each(|piece| server.feed(piece));
    server.end();
    server
}

fuzz_target!(|input: &[u8]| for lenient in [false, true] {
    let whole = play(input, input.len().max(1), lenient);
    for step in [1, 2 + input.first().map_or(0, |&b| usize::from(b) % 16)] {
        let cut = play(input, step, lenient);
        assert_eq!((&whole.log, &whole.out, &whole.heads), (&cut.log, &cut.out, &cut.heads));
    }
    assert!(whole.taken <= input.len());
    assert!(whole.answers <= whole.heads.len() + usize::from(whole.fault.is_some()));
    assert_eq!(exchange::answers(&whole.out, &whole.heads), whole.answers);
    for (number, (start, head)) in whole.heads.iter().enumerate() {
        let body = start + head.len();
        let length = exchange::body_length(head, &input[body..], &LIMITS);
        let next = whole.heads.get(number + 1).map(|(next, _)| Some(next - body));
        assert!(next.is_none_or(|next| next == length), "a head in a body");
    }
});
