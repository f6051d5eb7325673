//! Who asks for a file, asked again once it is known which file answers, and what stands beside it.

use std::sync::Arc;

use crate::access::{Access, Rights, Rule};
use crate::handler::{Call, refused};
use crate::response::Response;
use crate::store::SafePath;

/// Who asks, and by which rules.
pub(super) struct Asker {
    access: Arc<Access>,
    user: Option<Arc<str>>,
    /// The decoded path of the mount.
    mount: Vec<u8>,
}

impl Asker {
    /// `None` where everybody may read everything, and write all of it or nothing.
    pub(super) fn of(call: &Call<'_>) -> Option<Self> {
        let access = call.access();
        let everywhere = access.everywhere();
        let adds = everywhere.contains(Rights::CREATE) && !everywhere.contains(Rights::OVERWRITE);
        if everywhere.contains(Rights::READ) && !adds {
            return None;
        }
        let (user, mount) = (call.caller.user.clone(), call.mount().into_owned());
        Some(Self { access: Arc::clone(access), user, mount })
    }

    /// The refusal, where this reader may not read the file under its own name.
    ///
    /// SECURITY: a rule for a file is about its own name, whatever other path leads to it: that of the page without its
    /// extension, or any, where a single-page app has one page for all.
    pub(super) fn refusal(&self, file: &SafePath) -> Option<Response> {
        let decision = self.access.decide(self.user.as_deref(), Rights::READ, &self.url_path(file));
        decision.err().map(|refusal| refused(&refusal))
    }

    /// Whether what stands beside a file may be sent in its place.
    ///
    /// SECURITY: whoever can put it there changes what others get for the file, and so has to have the right to replace it.
    pub(super) fn trusts(&self, beside: &SafePath, file: &SafePath) -> bool {
        let (beside, file) = (self.url_path(beside), self.url_path(file));
        let writing = Rights::CREATE | Rights::OVERWRITE;
        let writers = self.access.rules().iter().filter(|rule| rule.rights().intersects(writing));
        // A function that decides about files says the same to all, whom rules may give nothing to write.
        let mut writers = writers
            .map(Rule::named)
            .chain([None])
            .filter(|user| self.access.rights(*user, &beside).intersects(writing));
        writers.all(|user| self.access.rights(user, &file).contains(Rights::OVERWRITE))
    }

    /// The path by which rules know it.
    fn url_path(&self, file: &SafePath) -> Vec<u8> {
        [&self.mount, &b"/"[..], file.as_bytes()].concat()
    }
}
