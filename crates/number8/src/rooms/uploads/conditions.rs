//! Preconditions of a request that changes something (RFC 9110 §13).

use number8_proto::conditional::{self, Outcome, Preconditions, Validators};
use number8_proto::headers::Known;
use number8_proto::http1::Head;

use super::answer::Fail;
use crate::etag::{etag, of_version};
use crate::server::clock;
use crate::store::{Kind, Meta};

/// What has to hold, kept so that it can be asked again at the commit.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    if_match: Option<Vec<u8>>,
    if_none_match: Option<Vec<u8>>,
    if_unmodified_since: Option<Vec<u8>>,
}

impl Conditions {
    pub(super) fn of(head: &Head<'_>) -> Self {
        let joined = |known| head.joined(known).map(|value| value.into_owned());
        Self {
            if_match: joined(Known::IfMatch),
            if_none_match: joined(Known::IfNoneMatch),
            if_unmodified_since: joined(Known::IfUnmodifiedSince),
        }
    }

    /// Whether they are about a file that is to be there: then it is that file that the client wants to replace.
    pub(super) fn name_what_is_there(&self) -> bool {
        self.if_match.is_some() || self.if_unmodified_since.is_some()
    }

    /// Whether they hold for a folder, which has no tag.
    #[cfg(feature = "multipart")]
    pub(super) fn check_folder(&self, exists: bool) -> Result<(), Fail> {
        self.evaluate(&Validators { etag: None, last_modified: None, exists })
    }

    /// Whether they hold for what is there now.
    ///
    /// Each of our replacements has a time of its own, so the tag is a strong one here, also of a young file. Other writers
    /// may be faster than the clock of their file system; for them a client only ever got a weak tag, which matches
    /// nothing.
    pub(super) fn check(&self, current: Option<&Meta>) -> Result<(), Fail> {
        let file = current.filter(|meta| meta.kind == Kind::File);
        let tag = file.map(|meta| {
            // Whoever has read it in a coding has read this version.
            let fields = [&self.if_match, &self.if_none_match].into_iter().flatten();
            let coded = fields.filter_map(|field| of_version(field, meta)).next();
            coded.map_or_else(|| etag(meta), <[u8]>::to_vec)
        });
        let seconds = |meta: &Meta| i64::try_from(meta.modified_ns.div_euclid(1_000_000_000)).ok();
        let validators = Validators {
            etag: tag.as_deref(),
            last_modified: file.and_then(seconds),
            exists: current.is_some(),
        };
        self.evaluate(&validators)
    }

    fn evaluate(&self, validators: &Validators<'_>) -> Result<(), Fail> {
        let preconditions = Preconditions {
            if_match: self.if_match.as_deref(),
            if_none_match: self.if_none_match.as_deref(),
            if_unmodified_since: self.if_unmodified_since.as_deref(),
            if_modified_since: None,
        };
        match conditional::evaluate(&preconditions, false, validators, clock::unix_seconds()) {
            Outcome::Proceed => Ok(()),
            _ => Err(Fail::Unmet),
        }
    }
}
