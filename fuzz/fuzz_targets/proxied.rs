//! A PROXY header takes no more than there is, reads the same without what follows it, and no part of it is read as
//! another one; Forwarded and X-Forwarded-For have an entry for each comma at most, and any bytes are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::forwarded::{parse_forwarded, parse_x_forwarded_for};
use number8_proto::proxy::parse;

fuzz_target!(|input: &[u8]| {
    let read = parse(input);
    if let Err(error) = &read {
        assert!(error.to_string().contains("PROXY"));
    }
    if let Ok(Some(proxied)) = read {
        assert!(proxied.length <= input.len());
        assert_eq!(parse(&input[..proxied.length]), Ok(Some(proxied)));
        for cut in 0..proxied.length {
            assert_eq!(parse(&input[..cut]), Ok(None));
        }
    }
    let commas = input.iter().filter(|&&b| b == b',').count();
    assert_eq!(parse_x_forwarded_for(input).count(), commas + 1);
    if let Some(hops) = parse_forwarded(input) {
        assert!(hops.len() <= commas + 1);
    }
});
