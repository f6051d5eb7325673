use number8_proto::negotiate::{Coding, accepted_encodings, prefers_json};
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::field_value;

const CODED: [Coding; 3] = [Coding::Gzip, Coding::Br, Coding::Zstd];

proptest! {
    #[test]
    fn the_best_is_there_and_accepted(
        value in field_value(), available in subsequence(CODED.to_vec(), 0..=3),
    ) {
        let accepted = accepted_encodings(&value);
        match accepted.best(&available) {
            Some(best) => {
                prop_assert!(accepted.accepts(best));
                prop_assert!(best == Coding::Identity || available.contains(&best));
            }
            None => prop_assert!(available.iter().all(|&coding| !accepted.accepts(coding))),
        }
    }

    #[test]
    fn the_greatest_weight_wins(weights in [0..=1000_u32, 0..=1000_u32, 0..=1000_u32]) {
        let q = |weight: u32| format!("{}.{:03}", weight / 1000, weight % 1000);
        let members = CODED.map(Coding::name).into_iter().zip(weights);
        let members = members.map(|(name, weight)| format!("{name};q={}", q(weight)));
        let value = members.collect::<Vec<_>>().join(",");
        let greatest = weights.into_iter().zip(CODED).max().filter(|&(weight, _)| weight > 0);
        let expected = greatest.map_or(Coding::Identity, |(_, coding)| coding);
        prop_assert_eq!(accepted_encodings(value.as_bytes()).best(&CODED), Some(expected));

        let [json, html, any] = weights;
        let (json_q, html_q, any_q) = (q(json), q(html), q(any));
        let accept = format!("application/json;q={json_q}, */*;q={any_q}, text/html; q={html_q}");
        prop_assert_eq!(prefers_json(accept.as_bytes()), json > html);
    }

    #[test]
    fn json_is_for_those_who_name_it(accept in field_value()) {
        let names = |part: &str| String::from_utf8_lossy(&accept).to_lowercase().contains(part);
        prop_assert!(!prefers_json(&accept) || names("application/") || names("*/*"));
    }
}
