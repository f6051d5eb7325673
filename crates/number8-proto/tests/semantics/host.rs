use number8_proto::host::valid_host;
use proptest::prelude::*;

use super::field_value;

proptest! {
    #[test]
    fn hosts_made_from_the_grammar_are_valid(
        name in "([a-zA-Z0-9._~!$&'()*+;=-]|%[0-9a-fA-F]{2}){1,40}",
        v4 in any::<std::net::Ipv4Addr>(),
        v6 in any::<std::net::Ipv6Addr>(),
        port in any::<u16>(),
    ) {
        for host in [name, v4.to_string(), format!("[{v6}]")] {
            for authority in [host.clone(), format!("{host}:"), format!("{host}:{port}")] {
                prop_assert!(valid_host(authority.as_bytes()), "{}", authority);
            }
            let wrong = ["u@HOST", "HOST/", "HOST:x", "HOST:80:80", "HOST:65536"];
            for wrong in wrong.map(|wrong| wrong.replace("HOST", &host)) {
                prop_assert!(!valid_host(wrong.as_bytes()), "{}", wrong);
            }
        }
    }

    #[test]
    fn a_valid_host_holds_nothing_that_ends_a_host(value in field_value()) {
        if valid_host(&value) {
            let ends_a_host = |b| b"/?#@\\,<>\"^`{|}".contains(b);
            let harmless = value.iter().all(|b| b.is_ascii_graphic() && !ends_a_host(b));
            prop_assert!(harmless);
            prop_assert!(value[0] != b':');
        }
    }
}
