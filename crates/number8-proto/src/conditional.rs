//! Conditional requests (RFC 9110 §13): entity-tags and the order of preconditions.
//!
//! Pure functions of what the request says and what the representation is. A malformed member of a
//! list matches nothing and a malformed date is ignored, as if it was not there.

use crate::date;

/// An entity-tag (RFC 9110 §8.8.3).
///
/// ```
/// use number8_proto::conditional::EntityTag;
/// let strong = EntityTag::parse(b"\"v1\"").unwrap();
/// let weak = EntityTag::parse(b"W/\"v1\"").unwrap();
/// assert!(strong.matches_weakly(weak) && !strong.matches_strongly(weak));
/// assert_eq!(EntityTag::parse(b"v1"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityTag<'a> {
    /// True for `W/"…"`: equal in meaning, not in every byte.
    pub weak: bool,
    /// What stands between the quotes.
    pub opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads one entity-tag and nothing else.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::parse_prefix(value)?;
        rest.is_empty().then_some(tag)
    }

    /// The tag that `value` starts with, and what follows it.
    ///
    /// entity-tag = [ %s"W/" ] DQUOTE *( %x21 / %x23-7E / obs-text ) DQUOTE
    fn parse_prefix(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, quoted) = match value.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, value),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        let end = inner.iter().position(|&b| b == b'"' || b <= b' ' || b == 0x7f)?;
        let rest = inner[end..].strip_prefix(b"\"")?;
        Some((Self { weak, opaque: &inner[..end] }, rest))
    }

    /// Strong comparison (RFC 9110 §8.8.3.2): both are strong and equal.
    #[must_use]
    pub fn matches_strongly(self, other: Self) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison (RFC 9110 §8.8.3.2): equal, weak or not.
    #[must_use]
    pub fn matches_weakly(self, other: Self) -> bool {
        self.opaque == other.opaque
    }
}

/// The entity-tags of a list, such as the value of If-None-Match, in order.
///
/// Members that are no entity-tag are left out.
///
/// ```
/// use number8_proto::conditional::entity_tags;
/// let all: Vec<_> = entity_tags(b"\"a,b\", junk, W/\"c\"").map(|tag| tag.opaque).collect();
/// assert_eq!(all, [&b"a,b"[..], b"c"]);
/// ```
pub fn entity_tags(value: &[u8]) -> impl Iterator<Item = EntityTag<'_>> {
    let mut rest = value;
    core::iter::from_fn(move || {
        while !rest.is_empty() {
            let (tag, after) = match EntityTag::parse_prefix(rest.trim_ascii_start()) {
                Some((tag, after)) => (Some(tag), after),
                None => (None, rest),
            };
            // A comma inside a tag was passed over with it, so the next one ends the member.
            let mut halves = after.splitn(2, |&b| b == b',');
            let trailing = halves.next().unwrap_or_default();
            rest = halves.next().unwrap_or_default();
            if tag.is_some() && trailing.trim_ascii().is_empty() {
                return tag;
            }
        }
        None
    })
}

/// The four precondition fields of a request, each as on the wire.
///
/// A field that came in several lines is their values joined by `", "` (RFC 9110 §5.3).
#[derive(Clone, Copy, Debug, Default)]
pub struct Preconditions<'a> {
    /// If-Match (RFC 9110 §13.1.1).
    pub if_match: Option<&'a [u8]>,
    /// If-Unmodified-Since (RFC 9110 §13.1.4).
    pub if_unmodified_since: Option<&'a [u8]>,
    /// If-None-Match (RFC 9110 §13.1.2).
    pub if_none_match: Option<&'a [u8]>,
    /// If-Modified-Since (RFC 9110 §13.1.3).
    pub if_modified_since: Option<&'a [u8]>,
}

/// What the server knows of the selected representation.
///
/// The default is that of a resource that does not exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validators<'a> {
    /// The value of its ETag field, with quotes and, when weak, `W/`.
    pub etag: Option<&'a [u8]>,
    /// Its Last-Modified, in seconds since 1970-01-01T00:00:00Z.
    pub last_modified: Option<i64>,
    /// Whether there is a representation, which is what `*` asks.
    pub exists: bool,
}

/// What the preconditions allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Perform the method.
    Proceed,
    /// Answer 304 (Not Modified).
    NotModified,
    /// Answer 412 (Precondition Failed).
    PreconditionFailed,
}

/// Evaluates the preconditions of a request in the order of RFC 9110 §13.2.2.
///
/// `get_or_head` says whether the method is GET or HEAD; `now` is the current time in seconds
/// since 1970-01-01T00:00:00Z. Call it only when the answer without preconditions would be a 2xx
/// (RFC 9110 §13.2.1). The last step of the order, If-Range, is [`if_range_matches`].
///
/// ```
/// use number8_proto::conditional::{Outcome, Preconditions, Validators, evaluate};
/// let file = Validators { etag: Some(b"\"v1\""), last_modified: None, exists: true };
/// let request = Preconditions { if_none_match: Some(b"W/\"v1\""), ..Default::default() };
/// assert_eq!(evaluate(&request, true, &file, 0), Outcome::NotModified);
/// ```
#[must_use]
pub fn evaluate(
    preconditions: &Preconditions<'_>,
    get_or_head: bool,
    validators: &Validators<'_>,
    now: i64,
) -> Outcome {
    // Steps 1 and 2: is it still what the client last saw?
    if let Some(if_match) = preconditions.if_match {
        if !matches_any(if_match, validators, EntityTag::matches_strongly) {
            return Outcome::PreconditionFailed;
        }
    } else if let Some(date) = preconditions.if_unmodified_since
        && modified_since(date, validators, now) == Some(true)
    {
        return Outcome::PreconditionFailed;
    }
    // Steps 3 and 4: is it something new?
    if let Some(if_none_match) = preconditions.if_none_match {
        if matches_any(if_none_match, validators, EntityTag::matches_weakly) {
            return if get_or_head { Outcome::NotModified } else { Outcome::PreconditionFailed };
        }
    } else if let Some(date) = preconditions.if_modified_since
        && get_or_head
        && modified_since(date, validators, now) == Some(false)
    {
        return Outcome::NotModified;
    }
    Outcome::Proceed
}

/// `value` is `*`, and there is a representation, or a list, and it holds the representation's tag.
fn matches_any<'a>(
    value: &'a [u8],
    validators: &Validators<'a>,
    same: fn(EntityTag<'a>, EntityTag<'a>) -> bool,
) -> bool {
    if value.trim_ascii() == b"*" {
        return validators.exists;
    }
    let Some(current) = validators.etag.and_then(EntityTag::parse) else { return false };
    entity_tags(value).any(|tag| same(tag, current))
}

/// Whether the representation is newer than the date; `None` when either is unknown.
fn modified_since(date: &[u8], validators: &Validators<'_>, now: i64) -> Option<bool> {
    Some(validators.last_modified? > date::parse(date, now)?)
}

/// Whether the condition of an If-Range field holds, so that the Range field beside it counts
/// (RFC 9110 §13.1.5).
///
/// `date` is what the answer's Date field will say, in seconds since 1970-01-01T00:00:00Z. An
/// entity-tag has to match strongly. A date has to be the Last-Modified itself, and that has to
/// be older than `date`: within the same second the representation may change once more without
/// the date telling (RFC 9110 §8.8.2.2).
///
/// ```
/// use number8_proto::conditional::{Validators, if_range_matches};
/// let file = Validators { etag: Some(b"\"v1\""), last_modified: Some(784_111_777), exists: true };
/// assert!(if_range_matches(b"\"v1\"", &file, 784_111_778));
/// assert!(if_range_matches(b"Sun, 06 Nov 1994 08:49:37 GMT", &file, 784_111_778));
/// assert!(!if_range_matches(b"Sun, 06 Nov 1994 08:49:37 GMT", &file, 784_111_777));
/// ```
#[must_use]
pub fn if_range_matches(value: &[u8], validators: &Validators<'_>, date: i64) -> bool {
    if let Some(tag) = EntityTag::parse(value) {
        let current = validators.etag.and_then(EntityTag::parse);
        return current.is_some_and(|current| tag.matches_strongly(current));
    }
    let asked = date::parse(value, date);
    asked.is_some() && asked == validators.last_modified && asked < Some(date)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// The second that `LM` names below: Tue, 02 Jan 2024 03:04:05 GMT.
    const MODIFIED: i64 = 1_704_164_645;
    const NOW: i64 = MODIFIED + 1_000_000;

    const LM: &str = "Tue, 02 Jan 2024 03:04:05 GMT";
    const LM_LESS_1: &str = "Tue, 02 Jan 2024 03:04:04 GMT";
    const LM_PLUS_1: &str = "Tue, 02 Jan 2024 03:04:06 GMT";
    const EPOCH: &str = "Thu, 01 Jan 1970 00:00:00 GMT";

    const FILE: Validators<'static> =
        Validators { etag: Some(b"\"v1\""), last_modified: Some(MODIFIED), exists: true };
    const FRESH_FILE: Validators<'static> = Validators { etag: Some(b"W/\"v1\""), ..FILE };
    const NO_FILE: Validators<'static> =
        Validators { etag: None, last_modified: None, exists: false };
    const BARE_FILE: Validators<'static> = Validators { exists: true, ..NO_FILE };

    /// Evaluates fields written as `name: value; name: value`, with short names.
    fn outcome(fields: &str, get_or_head: bool, validators: &Validators<'_>) -> Outcome {
        let mut preconditions = Preconditions::default();
        for field in fields.split("; ") {
            let (name, value) = field.split_once(": ").expect("name: value");
            let slot = match name {
                "IM" => &mut preconditions.if_match,
                "IUS" => &mut preconditions.if_unmodified_since,
                "INM" => &mut preconditions.if_none_match,
                "IMS" => &mut preconditions.if_modified_since,
                _ => panic!("no field {name}"),
            };
            *slot = Some(value.as_bytes());
        }
        evaluate(&preconditions, get_or_head, validators, NOW)
    }

    #[test]
    fn a_get_of_a_file() {
        use Outcome::{NotModified, PreconditionFailed, Proceed};
        for (fields, expected) in [
            ("INM: \"v1\"", NotModified),
            ("INM: W/\"v1\"", NotModified),
            ("INM: *", NotModified),
            ("INM: \"v2\"", Proceed),
            ("INM: \"a\", \"v1\", \"b\"", NotModified),
            ("INM: \"a\",\"v1\",\"b\"", NotModified),
            ("INM: \"a,b\", \"v1\"", NotModified),
            ("INM: \"a,\"v1\"", Proceed),
            ("INM: v1", Proceed),
            ("INM: w/\"v1\"", Proceed),
            ("INM: \"v1", Proceed),
            ("INM: ", Proceed),
            ("INM: \"v2\"; IMS: Tue, 02 Jan 2024 03:04:05 GMT", Proceed),
            ("INM: junk; IMS: Tue, 02 Jan 2024 03:04:05 GMT", Proceed),
            ("INM: \"v1\"; IMS: Thu, 01 Jan 1970 00:00:00 GMT", NotModified),
            ("IMS: Tue, 02 Jan 2024 03:04:05 GMT", NotModified),
            ("IMS: Tuesday, 02-Jan-24 03:04:05 GMT", NotModified),
            ("IMS: Tue Jan  2 03:04:05 2024", NotModified),
            ("IMS: Tue, 02 Jan 2024 03:04:04 GMT", Proceed),
            ("IMS: Tue, 02 Jan 2024 03:04:06 GMT", NotModified),
            ("IMS: Fri, 31 Dec 9999 23:59:59 GMT", NotModified),
            ("IMS: yesterday", Proceed),
            ("IMS: Wed, 99 Foo 2024 99:99:99 GMT", Proceed),
            ("IM: \"v1\"", Proceed),
            ("IM: *", Proceed),
            ("IM: \"v2\"", PreconditionFailed),
            ("IM: W/\"v1\"", PreconditionFailed),
            ("IM: \"a\", \"v1\"", Proceed),
            ("IM: v1", PreconditionFailed),
            ("IUS: Tue, 02 Jan 2024 03:04:05 GMT", Proceed),
            ("IUS: Tue, 02 Jan 2024 03:04:04 GMT", PreconditionFailed),
            ("IUS: Tue, 02 Jan 2024 03:04:06 GMT", Proceed),
            ("IUS: Tuesday, 02-Jan-24 03:04:04 GMT", PreconditionFailed),
            ("IUS: Tue Jan  2 03:04:04 2024", PreconditionFailed),
            ("IUS: never", Proceed),
            ("IM: *; IUS: Thu, 01 Jan 1970 00:00:00 GMT", Proceed),
            ("IM: \"v2\"; IUS: Tue, 02 Jan 2024 03:04:05 GMT", PreconditionFailed),
            ("IM: *; INM: \"v1\"", NotModified),
            ("IM: \"v2\"; INM: \"v1\"", PreconditionFailed),
            (
                "IUS: Tue, 02 Jan 2024 03:04:04 GMT; IMS: Tue, 02 Jan 2024 03:04:05 GMT",
                PreconditionFailed,
            ),
        ] {
            assert_eq!(outcome(fields, true, &FILE), expected, "{fields}");
        }
    }

    #[test]
    fn another_method_fails_where_a_get_would_be_told_nothing_is_new() {
        use Outcome::{PreconditionFailed, Proceed};
        for (fields, expected) in [
            ("INM: \"v1\"", PreconditionFailed),
            ("INM: *", PreconditionFailed),
            ("INM: \"v2\"", Proceed),
            ("IMS: Tue, 02 Jan 2024 03:04:05 GMT", Proceed),
            ("IM: \"v1\"", Proceed),
            ("IM: \"v2\"", PreconditionFailed),
            ("IUS: Tue, 02 Jan 2024 03:04:04 GMT", PreconditionFailed),
        ] {
            assert_eq!(outcome(fields, false, &FILE), expected, "{fields}");
        }
    }

    #[test]
    fn what_is_not_known_never_matches() {
        use Outcome::{NotModified, PreconditionFailed, Proceed};
        for (fields, validators, expected) in [
            ("IM: *", NO_FILE, PreconditionFailed),
            ("IM: \"v1\"", NO_FILE, PreconditionFailed),
            ("INM: *", NO_FILE, Proceed),
            ("IUS: Thu, 01 Jan 1970 00:00:00 GMT", NO_FILE, Proceed),
            ("IM: *", BARE_FILE, Proceed),
            ("IM: \"v1\"", BARE_FILE, PreconditionFailed),
            ("INM: *", BARE_FILE, NotModified),
            ("INM: \"v1\"", BARE_FILE, Proceed),
            ("IUS: Thu, 01 Jan 1970 00:00:00 GMT", BARE_FILE, Proceed),
            ("IMS: Tue, 02 Jan 2024 03:04:05 GMT", BARE_FILE, Proceed),
            ("IM: \"v1\"", FRESH_FILE, PreconditionFailed),
            ("IM: W/\"v1\"", FRESH_FILE, PreconditionFailed),
            ("INM: \"v1\"", FRESH_FILE, NotModified),
        ] {
            assert_eq!(outcome(fields, true, &validators), expected, "{fields} {validators:?}");
        }
    }

    #[test]
    fn if_range_wants_the_very_same_representation() {
        for (value, validators, date, expected) in [
            ("\"v1\"", FILE, NOW, true),
            ("\"v2\"", FILE, NOW, false),
            ("W/\"v1\"", FILE, NOW, false),
            ("\"v1\"", FRESH_FILE, NOW, false),
            ("W/\"v1\"", FRESH_FILE, NOW, false),
            ("\"v1\"", BARE_FILE, NOW, false),
            ("\"a\", \"v1\"", FILE, NOW, false),
            ("*", FILE, NOW, false),
            ("wrong", FILE, NOW, false),
            ("", FILE, NOW, false),
            (LM, FILE, NOW, true),
            (LM, FRESH_FILE, NOW, true),
            (LM_LESS_1, FILE, NOW, false),
            (LM_PLUS_1, FILE, NOW, false),
            (LM, FILE, MODIFIED + 1, true),
            (LM, FILE, MODIFIED, false),
            (LM, FILE, MODIFIED - 1, false),
            (LM, BARE_FILE, NOW, false),
            (EPOCH, NO_FILE, NOW, false),
        ] {
            let matches = if_range_matches(value.as_bytes(), &validators, date);
            assert_eq!(matches, expected, "{value} {validators:?} at {date}");
        }
    }

    #[test]
    fn lists_of_entity_tags() {
        for (value, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("\"a\"", &["a"]),
            ("\t\"a\" , W/\"b\",", &["a", "b"]),
            ("\"\"", &[""]),
            ("\"a,b\",\"c\"", &["a,b", "c"]),
            ("\"a\" \"b\", \"c\"", &["c"]),
            ("\"a\"b, \"c\"", &["c"]),
            ("a\"b\", \"c\"", &["c"]),
            ("\"a b\", \"c\"", &["c"]),
            ("\"a\u{7f}\", \"c\"", &["c"]),
            ("\"a\\\", \"c\"", &["a\\", "c"]),
            ("W/ \"a\", W\"b\", w/\"c\", W/\"d\"", &["d"]),
            ("\"\u{e9}\"", &["\u{e9}"]),
            ("*, \"a\"", &["a"]),
            ("\"a", &[]),
        ] {
            let found: Vec<_> = entity_tags(value.as_bytes()).map(|tag| tag.opaque).collect();
            let expected: Vec<_> = expected.iter().map(|tag| tag.as_bytes()).collect();
            assert_eq!(found, expected, "{value}");
        }
    }
}
