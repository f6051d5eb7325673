//! Whatever a field says: spans lie within the representation and frame to the length foretold; no
//! tag is both matched and not; a date decides exactly when it reads, and then can be written;
//! If-Range wants the validator itself; the coding chosen is an accepted one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::conditional::{Outcome, Preconditions, Validators, evaluate, if_range_matches};
use number8_proto::negotiate::{Coding, accepted_encodings, prefers_json};
use number8_proto::{date, range};

const NOW: i64 = 1_705_000_000;
const MODIFIED: Option<i64> = Some(1_704_164_645); // Tue, 02 Jan 2024 03:04:05 GMT
const FILE: Validators<'_> =
    Validators { etag: Some(b"\"v1\""), last_modified: MODIFIED, exists: true };

// The input is a head, so that whole requests are seeds; its field names do not matter.
fuzz_target!(|head: &[u8]| head.split(|&b| b == b'\n').for_each(|line| {
    let value = line.splitn(2, |&b| b == b':').last().unwrap_or_default().trim_ascii();
    if let range::RangeOutcome::Satisfiable(spans) = range::resolve(value, 13, 8) {
        let (spans, mut frame, mut kind) = (spans.as_slice(), Vec::new(), Vec::new());
        let multipart = range::Multipart { boundary: b"B", content_type: Some(b"a/b"), length: 13 };
        spans.iter().for_each(|&span| multipart.part_head(span, &mut frame));
        multipart.end(&mut frame);
        multipart.content_type(&mut kind);
        assert!(kind.ends_with(b"=B") && frame.ends_with(b"\r\n--B--\r\n"));
        let size: u64 = spans.iter().map(|span| span.size()).sum();
        assert!(
            size <= 13 && spans.iter().all(|span| span.first() <= span.last() && span.last() < 13)
        );
        assert_eq!(multipart.content_length(spans), frame.len() as u64 + size);
    }
    let (tag, date) = (Some(value), date::parse(value, NOW));
    let tags = Preconditions { if_match: tag, if_none_match: tag, ..Default::default() };
    assert_eq!(evaluate(&tags, false, &FILE, NOW), Outcome::PreconditionFailed);
    let dates =
        Preconditions { if_unmodified_since: tag, if_modified_since: tag, ..Default::default() };
    assert_eq!(evaluate(&dates, true, &FILE, NOW) == Outcome::Proceed, date.is_none());
    assert_eq!(date.and_then(|date| date::parse(&date::format(date), NOW)), date);
    assert!(!if_range_matches(value, &FILE, NOW) || tag == FILE.etag || date == MODIFIED);
    let accepted = accepted_encodings(value);
    assert!(accepted.best(&[Coding::Gzip]).is_none_or(|best| accepted.accepts(best)));
    assert!(!prefers_json(value) || value.contains(&b'/'));
}));
