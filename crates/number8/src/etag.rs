//! The entity-tag of a file (RFC 9110 §8.8.3): the same for whoever serves it and whoever writes it.

use number8_proto::negotiate::Coding;

use crate::store::Meta;

/// `"<mtime in ns>-<size>[-coding]"` in hexadecimal digits, `size` being that of the content in the coding; weak while the
/// file may still change unseen.
pub(crate) fn etag(meta: &Meta, size: u64, coding: Coding, is_weak: bool) -> Vec<u8> {
    let weak = if is_weak { "W/" } else { "" };
    let modified = meta.modified_ns;
    match coding {
        Coding::Identity => format!("{weak}\"{modified:x}-{size:x}\""),
        coding => format!("{weak}\"{modified:x}-{size:x}-{}\"", coding.name()),
    }
    .into_bytes()
}
