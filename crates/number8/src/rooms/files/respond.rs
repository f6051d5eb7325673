//! From a file to the answer that a client asked for: preconditions, coding, range, in this order.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use number8_proto::conditional::{
    self, Outcome, Preconditions, Validators, entity_tags, if_range_matches,
};
use number8_proto::headers::Known;
use number8_proto::http1::{Head, Method};
use number8_proto::negotiate::{Coding, Encodings, accepted_encodings};
use number8_proto::range::{self, Multipart, RangeOutcome, Span, Spans};

use super::entry::Entry;
use super::refuse;
use super::representation::Representation;
use super::tell;
use crate::body::{Body, Part, Whose};
use crate::response::Response;
use crate::server::clock;
use crate::story::Story;

/// Parts of one file that one request may ask for; more of them are answered with the whole.
const RANGES_MAX: usize = 16;

/// Answers GET or HEAD with a file, or with `coded`, the same in another coding.
pub(super) fn respond(
    entry: &Entry,
    coded: Option<&Representation>,
    head: &Head<'_>,
    story: &Story,
) -> Response {
    let file = coded.unwrap_or(&entry.identity);
    match evaluate(file, head, story) {
        Outcome::Proceed => {}
        Outcome::NotModified => {
            return Response::prepared(Arc::clone(&file.not_modified), Body::empty());
        }
        Outcome::PreconditionFailed => {
            let why = "the file is not the one that the request is about";
            return about(file, Response::error(412, why));
        }
    }
    if head.method() == Method::Get && file.file().is_some_and(|open| open.hold().is_err()) {
        return refuse::busy();
    }
    if let Some(range) = asked_range(head)
        && head.get(Known::IfRange).is_none_or(|value| {
            // RFC 9110 §13.1.5: without If-Range, or when it matches.
            if_range_matches(value, &validators(file), clock::unix_seconds())
        })
    {
        match range::resolve(range, file.content.len(), RANGES_MAX) {
            RangeOutcome::Ignore => {}
            RangeOutcome::Satisfiable(Spans::One(span)) => {
                return one_part(entry, file, span);
            }
            RangeOutcome::Satisfiable(Spans::Many(spans)) => {
                return many_parts(entry, file, &spans);
            }
            RangeOutcome::Unsatisfiable => return unsatisfiable(file),
        }
    }
    Response::prepared(Arc::clone(&file.ok), entry.body(&file.content))
}

/// RFC 9110 §14.2: Range is defined for GET alone.
fn asked_range<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    if head.method() == Method::Get { head.get(Known::Range) } else { None }
}

/// What the client accepts; `identity` alone when it does not say.
pub(super) fn accepted(head: &Head<'_>) -> Encodings {
    match head.joined(Known::AcceptEncoding) {
        Some(value) => accepted_encodings(&value),
        None => Encodings::default(),
    }
}

/// The representation to serve; `None` is the file itself.
pub(super) fn choose(entry: &Entry, head: &Head<'_>) -> Option<Arc<Representation>> {
    if !head.has(Known::AcceptEncoding) {
        return None;
    }
    let accepted = accepted(head);
    // A part of a file is a part of what the user put there, where the client takes that.
    if asked_range(head).is_some() && accepted.accepts(Coding::Identity) {
        return None;
    }
    // A client that names one of them, and still would take it, is answered about that one, whichever is best by now.
    for named in [Known::IfMatch, Known::IfNoneMatch] {
        let Some(known) = head.joined(named) else { continue };
        let holds = |representation: &Representation| {
            accepted.accepts(representation.coding)
                && entity_tags(&known).any(|tag| {
                    conditional::EntityTag::parse(&representation.etag)
                        .is_some_and(|own| own.matches_weakly(tag))
                })
        };
        if holds(&entry.identity) {
            return None;
        }
        let held = entry.with_coded(|coded| coded.iter().find(|coded| holds(coded)).cloned());
        if held.is_some() {
            return held;
        }
    }
    entry.best(accepted)
}

fn validators(file: &Representation) -> Validators<'_> {
    Validators { etag: Some(&file.etag), last_modified: file.modified, exists: true }
}

fn evaluate(file: &Representation, head: &Head<'_>, story: &Story) -> Outcome {
    const PRECONDITIONS: [Known; 4] =
        [Known::IfMatch, Known::IfUnmodifiedSince, Known::IfNoneMatch, Known::IfModifiedSince];
    if !head.has_any(&PRECONDITIONS) {
        return Outcome::Proceed;
    }
    let if_match = head.joined(Known::IfMatch);
    let if_none_match = head.joined(Known::IfNoneMatch);
    let preconditions = Preconditions {
        if_match: if_match.as_deref(),
        if_unmodified_since: head.get(Known::IfUnmodifiedSince),
        if_none_match: if_none_match.as_deref(),
        if_modified_since: head.get(Known::IfModifiedSince),
    };
    let now = clock::unix_seconds();
    let outcome = conditional::evaluate(&preconditions, true, &validators(file), now);
    tell::outcome(story, &outcome, head);
    outcome
}

/// An answer that depended on what was chosen says on what that depends.
fn about(file: &Representation, response: Response) -> Response {
    match file.vary {
        Some(vary) => response.with_known("Vary", vary),
        None => response,
    }
}

/// 206 with the fields of the 200, but for those given.
fn partial(file: &Representation, skip: &str) -> Response {
    let mut response = Response::new(206, Body::empty());
    for (name, value) in file.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(skip)) {
        // These fields have been checked when the file was loaded.
        let _ = response.push(name, value);
    }
    response
}

fn one_part(entry: &Entry, file: &Representation, span: Span) -> Response {
    let mut content_range = Vec::new();
    range::content_range(span, file.content.len(), &mut content_range);
    let mut response = partial(file, "").with_known("Content-Range", content_range);
    response.body = Body::parts([entry.part(&file.content, span.first(), span.last() + 1)]);
    response
}

fn many_parts(entry: &Entry, file: &Representation, spans: &[Span]) -> Response {
    let boundary = boundary();
    let multipart = Multipart {
        boundary: boundary.as_bytes(),
        content_type: Some(file.content_type.as_bytes()),
        length: file.content.len(),
    };
    let mut parts = Vec::with_capacity(2 * spans.len() + 1);
    for &span in spans {
        let mut head = Vec::new();
        multipart.part_head(span, &mut head);
        parts.push(Part::Bytes(Bytes::from(head), Whose::Own));
        parts.push(entry.part(&file.content, span.first(), span.last() + 1));
    }
    let mut end = Vec::new();
    multipart.end(&mut end);
    parts.push(Part::Bytes(Bytes::from(end), Whose::Own));

    let mut content_type = Vec::new();
    multipart.content_type(&mut content_type);
    let mut response = partial(file, "Content-Type").with_known("Content-Type", content_type);
    response.body = Body::parts(parts);
    response
}

fn unsatisfiable(file: &Representation) -> Response {
    let mut content_range = Vec::new();
    range::content_range_unsatisfied(file.content.len(), &mut content_range);
    about(file, Response::error(416, "the file has no such part"))
        .with_known("Content-Range", content_range)
}

/// A line that no file holds, since nobody can foresee it: keyed hashes with keys of this process.
fn boundary() -> String {
    let draw = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", draw(), draw())
}
