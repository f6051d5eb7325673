//! A file that stands for a path which does not name it: the page without its extension, the one page of a single-page app.

use std::sync::Arc;

use number8_proto::uri::decode_path;

use super::entry::Entry;
use crate::access::{Access, Rights};
use crate::handler::{Call, refused};
use crate::response::Response;

/// Who reads, asked again once it is known which file it is.
///
/// SECURITY: a rule for a file is about its own name, whatever other path leads to it.
pub(super) struct Standin {
    access: Arc<Access>,
    user: Option<Arc<str>>,
    /// The decoded path of the mount.
    mount: Vec<u8>,
}

impl Standin {
    /// `None` where everybody may read everything.
    pub(super) fn of(call: &Call<'_>) -> Option<Self> {
        let access = call.access();
        if access.everywhere().contains(Rights::READ) {
            return None;
        }
        let mount = call.head.path().strip_suffix(call.path).unwrap_or_default();
        let mount = decode_path(mount).map_or_else(|_| mount.to_vec(), |mount| mount.into_owned());
        Some(Self { access: Arc::clone(access), user: call.caller.user.clone(), mount })
    }

    /// The refusal, where this reader may not read the file under its own name.
    pub(super) fn refusal(&self, entry: &Entry) -> Option<Response> {
        let path = [&self.mount, &b"/"[..], entry.path.as_bytes()].concat();
        let decision = self.access.decide(self.user.as_deref(), Rights::READ, &path);
        decision.err().map(|refusal| refused(&refusal))
    }
}
