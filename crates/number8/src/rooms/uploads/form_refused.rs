//! Forms, where the feature `multipart` is off: they are refused, since nobody wants a form's encoding as a file.

use std::sync::Arc;

use number8_proto::headers::{Known, is_media_type};
use number8_proto::http1::Head;

use super::Inner;
use super::answer::refused;
use super::target::Target;
use crate::handler::{Answer, Call};
use crate::response::Response;

pub(super) fn is_form(head: &Head<'_>) -> bool {
    is_media_type(head.get(Known::ContentType).unwrap_or_default(), b"multipart/form-data")
}

pub(super) fn store(_: &Arc<Inner>, _: Call<'_>, _: Target) -> Result<Answer, Box<Response>> {
    Err(refused(415, "forms are not taken here: send each file by PUT"))
}
