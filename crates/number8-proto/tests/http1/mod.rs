//! Each property holds for any bytes, and for bytes that are made to get far. What depends on the moment
//! of a call, and so is no page in `wire`, is here too.

// Whatever comes, however it is cut: the same events, and nothing after a fault.
mod anything;
// What is accepted means the same when it is written down again.
mod heads;
// What is encoded decodes to itself.
mod bodies;
// The order of reading and answering.
mod order;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Requests that are nearly right: pieces that belong together, in any order.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let word = select(vec![
        "GET ",
        "HEAD ",
        "POST ",
        "/",
        "/?early",
        "/?status=204&continue",
        "/?unknown&content=ab",
        "http://h/",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        "Host: a\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Expect: 100-continue\r\n",
        "X: y\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        "abc",
        "3\r\nabc\r\n",
        "1;x=y\r\na\r\n",
        "0\r\n",
        "0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /?early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]);
    let pieces = prop_oneof![
        8 => word.prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}
