//! Content-Type: which media type it names.

use number8_proto::headers::{is_media_type, media_type};
use proptest::prelude::*;

#[test]
fn a_media_type_is_named_in_any_case_and_before_any_parameters() {
    for (content_type, is_form) in [
        ("application/x-www-form-urlencoded", true),
        ("application/x-www-form-urlencoded;charset=UTF-8", true),
        ("Application/X-WWW-Form-URLencoded \t; charset=UTF-8", true),
        (" application/x-www-form-urlencoded;", true),
        ("application/x-www-form-urlencodedx", false),
        ("application/x-www-form-urlencode", false),
        ("application/x-www-form-urlencoded charset=UTF-8", false),
        ("application /x-www-form-urlencoded", false),
        ("text/plain;application/x-www-form-urlencoded", false),
        (";application/x-www-form-urlencoded", false),
        ("", false),
    ] {
        let named = is_media_type(content_type.as_bytes(), b"application/x-www-form-urlencoded");
        assert_eq!(named, is_form, "{content_type}");
    }
}

proptest! {
    /// Whatever a type is, it is found however it is written, and a longer one is another one.
    #[test]
    fn a_type_is_itself_and_no_other(
        named in "[a-z]{1,9}/[a-z.+-]{1,20}",
        spaces in "[ \t]{0,3}",
        parameters in "(;[ -~]{0,20})?",
        more in "[a-z.+-]{1,5}",
    ) {
        let is = |content_type: &str| is_media_type(content_type.as_bytes(), named.as_bytes());
        for written in [named.clone(), named.to_ascii_uppercase()] {
            let content_type = format!("{spaces}{written}{spaces}{parameters}");
            prop_assert!(is(&content_type), "{}", content_type);
            let content_type = format!("{spaces}{written}{more}{spaces}{parameters}");
            prop_assert!(!is(&content_type), "{}", content_type);
        }
    }

    /// What is named is part of the value, and has neither a parameter nor a space around it.
    #[test]
    fn any_value_is_read(value in super::field_value()) {
        let named = media_type(&value);
        prop_assert!(!named.contains(&b';'));
        prop_assert_eq!(named, number8_proto::syntax::trim_ows(named));
        prop_assert!(named.is_empty() || value.windows(named.len()).any(|window| window == named));
        prop_assert!(is_media_type(&value, named));
    }
}
