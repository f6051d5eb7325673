//! The JSON document: what uhttpd sends for a folder, with more keys.

use serde_json::Value;

use super::{Utc, View, chunks, href, pages};
use crate::access::Rights;
use crate::store::{Entry, Kind, Listing};

/// Makes the document for the folder at the decoded URL path `path`, which begins and ends with `/`.
///
/// `path` and `list` with `path`, `type` and `size` are uhttpd's, `..` in front included. Of ours: `total` and `offset`
/// count the entries without `..`; `next` links to the next page, if there is one; `truncated` is there, and true, if the
/// folder holds more than was looked at; `rights` are the verbs of what who asks may do in the folder; an entry has `modified` (RFC 3339, UTC) and `href`, which also holds for names
/// that are not UTF-8.
pub(crate) fn document(
    path: &[u8],
    view: View,
    listing: Listing,
    rights: Rights,
) -> impl Iterator<Item = Vec<u8>> + Send + use<> {
    let mut head = format!(r#"{{"path":{}"#, string(path));
    if !view.plain {
        head += &format!(r#","total":{},"offset":{}"#, listing.total, listing.offset);
    }
    if !view.plain && view.page < pages(&view, &listing) {
        let next = View { json: true, ..view.at_page(view.page + 1) };
        head += &format!(r#","next":{}"#, Value::from(next.href()));
    }
    if listing.truncated && !view.plain {
        head += r#","truncated":true"#;
    }
    if !view.plain {
        let verbs: Vec<_> = rights.verbs().collect();
        head += &format!(r#","rights":{}"#, Value::from(verbs));
    }
    head += r#","list":[{"path":"..","type":"directory","size":0}"#;
    let row = move |out: &mut String, entry: &Entry| row(out, entry, view.plain);
    chunks(head, listing.entries, row, "]}\n".to_owned())
}

fn row(out: &mut String, entry: &Entry, is_plain: bool) {
    let kind = match entry.kind {
        Kind::Directory => "directory",
        Kind::File => "file",
    };
    *out += &format!(
        r#",{{"path":{},"type":"{kind}","size":{}"#,
        string(&entry.name),
        // As on a board, a folder has no size.
        if is_plain && entry.kind == Kind::Directory { 0 } else { entry.size },
    );
    if is_plain {
        out.push('}');
        return;
    }
    *out += &format!(
        r#","modified":"{}","href":{}}}"#,
        Utc::from_ns(entry.modified_ns),
        Value::from(href(entry)),
    );
}

/// A JSON string; bytes that are not UTF-8 become U+FFFD.
fn string(bytes: &[u8]) -> Value {
    Value::from(String::from_utf8_lossy(bytes))
}
