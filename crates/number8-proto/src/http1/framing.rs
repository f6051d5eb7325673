//! Where the body of a request ends: the one decision, and the only place that makes it.

use crate::error::Error;
use crate::headers::Known;
use crate::http1::head::{Head, Version};
use crate::syntax;

/// How the length of a request's body is known (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    None,
    /// `Content-Length`, in bytes; more than 0.
    Known(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What a head says about the message and the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// How long the body is.
    pub body: BodyLength,
    /// The client would use the connection again (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub expect_continue: bool,
}

/// Reads the framing of a request from its head.
///
/// # Errors
/// Whatever two readers of the same bytes could understand differently. SECURITY: request smuggling
/// lives on such differences, so nothing is guessed and the connection ends.
pub fn framing(head: &Head<'_>) -> Result<Framing, Error> {
    if !head.has_any(&FRAMING_FIELDS) {
        // Most requests: no body (step 7 of the list), and what the version says of the connection.
        let keep_alive = head.version() == Version::Http11;
        return Ok(Framing { body: BodyLength::None, keep_alive, expect_continue: false });
    }
    let body = body_length(head)?;
    Ok(Framing {
        body,
        keep_alive: keep_alive(head),
        expect_continue: expects_continue(head, body)?,
    })
}

/// Every field that a [`Framing`] depends on.
const FRAMING_FIELDS: [Known; 4] =
    [Known::Connection, Known::ContentLength, Known::Expect, Known::TransferEncoding];

/// RFC 9112 §6.3, in the order of its list.
fn body_length(head: &Head<'_>) -> Result<BodyLength, Error> {
    // Steps 1 and 2 are about responses.

    // Step 3: both fields at once. A proxy may drop the length and go on; an origin need not.
    if head.has(Known::TransferEncoding) {
        if head.version() == Version::Http10 {
            return Err(Error::CodingInOldVersion);
        }
        if head.has(Known::ContentLength) {
            return Err(Error::LengthAndCoding);
        }
        // Step 4: chunked must be the final coding; it is also the only one we know.
        return transfer_coding(head);
    }

    // Step 5: a length that is no number. One field, one value, digits: a list of equal values,
    // which the RFC lets us take, is refused too.
    let mut lengths = head.all(Known::ContentLength);
    match (lengths.next(), lengths.next()) {
        (Some(digits), None) => match syntax::decimal(digits) {
            // Lengths above i64 are beyond every file; peers that use signed numbers would wrap.
            Some(length) if length > i64::MAX as u64 => Err(Error::ContentLength),
            Some(0) => Ok(BodyLength::None),
            // Step 6: the length is the length.
            Some(length) => Ok(BodyLength::Known(length)),
            None => Err(Error::ContentLength),
        },
        (Some(_), Some(_)) => Err(Error::ContentLength),
        // Step 7: a request with neither has no body, whatever its method.
        (None, _) => Ok(BodyLength::None),
    }
}

fn transfer_coding(head: &Head<'_>) -> Result<BodyLength, Error> {
    let value = head.joined(Known::TransferEncoding).unwrap_or_default();
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(BodyLength::Chunked);
    }
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let chunked = syntax::list(&value).filter(|coding| is_chunked(coding)).count();
    let chunked_is_last = syntax::list(&value).last().is_some_and(is_chunked);
    let codings = syntax::list(&value).count();
    if syntax::list(&value).all(syntax::is_token)
        && codings > chunked
        && (chunked == 0 || chunked == 1 && chunked_is_last)
    {
        return Err(Error::CodingUnknown);
    }
    Err(Error::Coding)
}

/// RFC 9112 §9.3.
fn keep_alive(head: &Head<'_>) -> bool {
    let mut values = head.all(Known::Connection);
    match (values.next(), values.next()) {
        (None, _) => return head.version() == Version::Http11,
        // What browsers send, without reading it as a list.
        (Some(b"keep-alive"), None) => return true,
        _ => {}
    }
    let asks = |option: &[u8]| {
        head.all(Known::Connection)
            .flat_map(syntax::list)
            .any(|element| element.eq_ignore_ascii_case(option))
    };
    !asks(b"close") && (head.version() == Version::Http11 || asks(b"keep-alive"))
}

/// RFC 9110 §10.1.1: HTTP/1.0 clients cannot mean it, and without a body there is nothing to wait for.
fn expects_continue(head: &Head<'_>, body: BodyLength) -> Result<bool, Error> {
    for value in head.all(Known::Expect) {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Error::Expectation);
        }
    }
    Ok(head.has(Known::Expect) && head.version() == Version::Http11 && body != BodyLength::None)
}
