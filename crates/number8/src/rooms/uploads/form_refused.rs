//! Forms, where the feature `multipart` is off: they are refused, since nobody wants a form's encoding as a file.

use std::sync::Arc;

use number8_proto::headers::Known;
use number8_proto::http1::Head;

use super::Inner;
use super::answer::refused;
use super::target::Target;
use crate::handler::{Answer, Call};
use crate::response::Response;

pub(super) fn is_form(head: &Head<'_>) -> bool {
    let content_type = head.get(Known::ContentType).unwrap_or_default();
    let form = b"multipart/form-data";
    content_type.get(..form.len()).is_some_and(|start| start.eq_ignore_ascii_case(form))
}

pub(super) fn store(_: &Arc<Inner>, _: Call<'_>, _: Target) -> Result<Answer, Box<Response>> {
    Err(refused(415, "forms are not taken here: send each file by PUT"))
}
