use number8_proto::conditional::{
    EntityTag, Outcome, Preconditions, Validators, entity_tags, evaluate, if_range_matches,
};
use number8_proto::date;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::field_value;

/// Members of a list that never match the tag `"current"`: other tags, and what is none.
fn other_members() -> impl Strategy<Value = Vec<String>> {
    vec(prop_oneof!["(W/)?\"[!-+\\--~&&[^\"c]]{0,6},?\"", "[a-z*]{0,6}"], 0..5)
}

proptest! {
    #[test]
    fn a_tag_is_found_wherever_it_stands_in_a_list(
        mut members in other_members(), at in any::<Index>(), weak in any::<bool>(),
    ) {
        let file = Validators { etag: Some(b"\"current\""), last_modified: None, exists: true };
        let decide = |members: &[String], get_or_head| {
            let list = members.join(" , ");
            let list = Some(list.as_bytes());
            let if_none_match = Preconditions { if_none_match: list, ..Default::default() };
            let if_match = Preconditions { if_match: list, ..Default::default() };
            [&if_none_match, &if_match].map(|asked| evaluate(asked, get_or_head, &file, 0))
        };
        prop_assume!(members.join("").trim() != "*");
        prop_assert_eq!(decide(&members, true), [Outcome::Proceed, Outcome::PreconditionFailed]);

        let tag = if weak { "W/\"current\"" } else { "\"current\"" };
        members.insert(at.index(members.len() + 1), tag.to_owned());
        let if_match = if weak { Outcome::PreconditionFailed } else { Outcome::Proceed };
        prop_assert_eq!(decide(&members, true), [Outcome::NotModified, if_match]);
        prop_assert_eq!(decide(&members, false), [Outcome::PreconditionFailed, if_match]);
    }

    #[test]
    fn dates_compare_as_numbers(
        modified in 0..4_000_000_000_i64, away in -3..3_i64, now in 0..4_000_000_000_i64,
    ) {
        let value = date::format(modified + away);
        let file = Validators { etag: None, last_modified: Some(modified), exists: true };
        let since = Preconditions { if_modified_since: Some(&value), ..Default::default() };
        let expected = if away < 0 { Outcome::Proceed } else { Outcome::NotModified };
        prop_assert_eq!(evaluate(&since, true, &file, now), expected);
        let since = Preconditions { if_unmodified_since: Some(&value), ..Default::default() };
        let expected = if away < 0 { Outcome::PreconditionFailed } else { Outcome::Proceed };
        prop_assert_eq!(evaluate(&since, true, &file, now), expected);
        prop_assert_eq!(if_range_matches(&value, &file, now), away == 0 && modified < now);
    }

    #[test]
    fn whatever_is_asked_a_304_is_for_get_and_a_found_tag_is_a_tag(
        fields in [field_value(), field_value(), field_value(), field_value()],
        etag in field_value(), last_modified in any::<i64>(), now in any::<i64>(),
    ) {
        let [a, b, c, d] = &fields;
        let preconditions = Preconditions {
            if_match: Some(a), if_unmodified_since: Some(b),
            if_none_match: Some(c), if_modified_since: Some(d),
        };
        let (etag, last_modified) = (Some(&etag[..]), Some(last_modified));
        let file = Validators { etag, last_modified, exists: true };
        prop_assert_ne!(evaluate(&preconditions, false, &file, now), Outcome::NotModified);
        for tag in entity_tags(a) {
            let written = [if tag.weak { &b"W/\""[..] } else { b"\"" }, tag.opaque, b"\""].concat();
            prop_assert_eq!(EntityTag::parse(&written), Some(tag));
        }
        if if_range_matches(a, &file, now) {
            prop_assert!(Some(&a[..]) == etag || date::parse(a, now) == last_modified);
        }
    }
}
