//! Durations and sizes as people type them.

use std::time::Duration;

const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZES: [(&str, u64); 10] = [
    ("", 1),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
];

/// Reads a duration: a whole number and `ms`, `s`, `m`, `h` or `d`; zero needs no unit.
///
/// # Errors
/// Says what a duration looks like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    scaled(text, &DURATIONS).map(Duration::from_millis).ok_or_else(|| {
        "a duration is a number and ms, s, m, h or d, such as 250ms or 30s".to_owned()
    })
}

/// Reads a size in bytes: a whole number and, in either case, `K`, `M` or `G` (also `KiB` …) for powers of 1024,
/// or `KB`, `MB`, `GB` for powers of 1000.
///
/// # Errors
/// Says what a size looks like.
pub fn parse_size(text: &str) -> Result<u64, String> {
    scaled(&text.to_ascii_lowercase(), &SIZES)
        .ok_or_else(|| "a size is a number and K, M or G, such as 512, 64K or 1GiB".to_owned())
}

/// A size as [`parse_size`] reads it back, in the largest unit that is exact.
pub fn size_text(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        _ if bytes.trailing_zeros() >= 30 => format!("{}GiB", bytes >> 30),
        _ if bytes.trailing_zeros() >= 20 => format!("{}MiB", bytes >> 20),
        _ if bytes.trailing_zeros() >= 10 => format!("{}KiB", bytes >> 10),
        _ => bytes.to_string(),
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let cases = [
            ("0", Some(0)),
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("30", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("1.5s", None),
            ("30 s", None),
            ("99999999999999999999s", None),
            ("9999999999999999999h", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse_duration(text).ok(), want.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024_unless_they_say_kb() {
        let cases = [
            ("512", Some(512)),
            ("64K", Some(65_536)),
            ("64k", Some(65_536)),
            ("10M", Some(10 << 20)),
            ("1GiB", Some(1 << 30)),
            ("8kib", Some(8192)),
            ("10MB", Some(10_000_000)),
            ("", None),
            ("K", None),
            ("1X", None),
            ("1.5M", None),
            ("-1", None),
            ("18446744073709551615G", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse_size(text).ok(), want, "{text:?}");
        }
    }

    #[test]
    fn a_size_is_written_in_the_largest_exact_unit() {
        for (bytes, want) in
            [(0, "0"), (1000, "1000"), (1024, "1KiB"), (64 << 20, "64MiB"), (3 << 30, "3GiB")]
        {
            assert_eq!(size_text(bytes), want);
        }
    }

    proptest! {
        #[test]
        fn a_size_is_read_as_it_was_written(bytes: u64) {
            prop_assert_eq!(parse_size(&size_text(bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = (parse_size(&text), parse_duration(&text));
        }
    }
}
