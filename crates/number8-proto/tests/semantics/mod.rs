//! Each property compares with something simpler than the code under test, or states a rule that
//! every input keeps to. Arbitrary bytes are among the inputs of every reader.

// Written dates read back, in every form.
mod date;
// Ranges against a model that asks of every byte whether it is meant.
mod range;
// Preconditions against lists made around a known tag.
mod conditional;
// A cookie that is set comes back, and nothing beside it.
mod cookie;
// What was encoded decodes to itself.
mod uri;
// Hosts made from the grammar, and what no valid one holds.
mod host;
// Requests of HTTP/2 as heads.
mod http2;
// Which media type a field names, however it is written.
mod media_type;
// What a file is to be called, in every spelling.
mod disposition;
// What proxies say of clients, and whose an origin is.
mod forwarded;
// Choices are among what is there and what is accepted.
mod negotiate;

use proptest::collection::vec;
use proptest::prelude::*;

/// Any bytes, and bytes from the alphabet that fields are made of, so that some get far.
fn field_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..64),
        "[bytes=0-9,;:/.*\"\\\\WqQgziprds% \t-]{0,64}".prop_map(String::into_bytes),
    ]
}
