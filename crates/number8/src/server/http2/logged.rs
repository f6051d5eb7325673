//! What of a request's head is still of use while its answer is sent: what stands in the log.

use number8_proto::Limits;
use number8_proto::headers::Known;
use number8_proto::http1::{Head, HeadParser, OwnedHead, Version};

/// Bytes of a field that are kept.
const FIELD_BYTES_MAX: usize = 1024;

/// The fields of a [`Record`](crate::layers::access_log::Record).
const FIELDS: [(&str, Known); 3] =
    [("host", Known::Host), ("referer", Known::Referer), ("user-agent", Known::UserAgent)];

/// A copy of that.
///
/// SECURITY: to repeat a field takes the client next to nothing (RFC 7541), and it can let a hundred answers wait for it.
pub(super) fn shortened(head: &Head<'_>) -> OwnedHead {
    let mut bytes = [head.method_bytes(), b" ", head.target(), b" HTTP/1.1\r\n"].concat();
    for (name, known) in FIELDS {
        let Some(value) = head.get(known) else { continue };
        let value = value.get(..FIELD_BYTES_MAX).unwrap_or(value);
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    let mut parser = HeadParser::new();
    match parser.parse_as(Version::Http2, &bytes, &Limits::default()) {
        Ok(_) => parser.head(&bytes).to_owned(),
        // Larger than is usual: it stays as it is.
        Err(_) => head.to_owned(),
    }
}
