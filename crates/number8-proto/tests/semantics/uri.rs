use number8_proto::uri::{Query, Target, decode_path, encode_path_segment};
use proptest::collection::vec;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..32), "[a%+=&?/0-9A-F]{0,32}".prop_map(String::into_bytes)]
}

proptest! {
    #[test]
    fn an_encoded_segment_decodes_to_itself(segment in bytes()) {
        let encoded = encode_path_segment(&segment);
        let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$()*,=%".contains(&b);
        prop_assert!(encoded.bytes().all(harmless));
        let decoded = decode_path(encoded.as_bytes());
        prop_assert_eq!(decoded.as_deref(), Ok(&segment[..]));
    }

    #[test]
    fn a_path_decodes_unless_an_escape_is_wrong(path in bytes()) {
        let escapes = || path.split(|&b| b == b'%').skip(1);
        let right = escapes().all(|after| {
            after.len() >= 2 && after.iter().take(2).all(u8::is_ascii_hexdigit)
        });
        match decode_path(&path) {
            Ok(decoded) => {
                prop_assert!(right);
                prop_assert_eq!(decoded.len(), path.len() - 2 * escapes().count());
            }
            Err(_) => prop_assert!(!right),
        }
    }

    #[test]
    fn a_written_query_reads_back(written in vec((bytes(), proptest::option::of(bytes())), 0..5)) {
        let entry = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
            let encode = |bytes: &[u8]| encode_path_segment(bytes).replace('=', "%3D");
            let value = value.as_deref().map(|value| format!("={}", encode(value)));
            encode(key) + &value.unwrap_or_default()
        };
        // An empty key without value is an empty entry, which is left out.
        let written = written.into_iter().filter(|entry| *entry != (vec![], None));
        let written: Vec<_> = written.collect();
        let query = written.iter().map(entry).collect::<Vec<_>>().join("&");
        let read: Vec<_> = Query::new(query.as_bytes())
            .map(|pair| (pair.key.into_owned(), pair.value.map(|value| value.into_owned())))
            .collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn a_target_is_its_parts(target in bytes()) {
        let Target { path, query } = Target::split(&target);
        prop_assert!(!path.contains(&b'?'));
        let joined = query.map_or(path.to_vec(), |query| [path, b"?", query].concat());
        prop_assert_eq!(&joined, &target);
        for pair in Query::new(query.unwrap_or_default()) {
            let size = pair.key.len() + pair.value.map_or(0, |value| value.len() + 1);
            prop_assert!(size <= query.map_or(0, <[u8]>::len));
        }
    }
}
