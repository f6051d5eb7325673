//! The date that a file is to have, as ownCloud, Nextcloud and rclone tell it: so that a photo that is copied here stays from its day.

use std::time::{SystemTime, UNIX_EPOCH};

use number8_proto::http1::Head;

use super::answer::{Fail, refused};
use super::roots::Place;
use crate::etag::SIBLINGS;
use crate::response::Response;
use crate::store::SafePath;

const SECOND_NS: i128 = 1_000_000_000;

/// The time that a request tells, in nanoseconds since 1970-01-01T00:00Z: `X-OC-Mtime`, or `X-Timestamp`, in seconds.
///
/// Digits that are not told are those of this moment: entity-tags are made of times and lengths, and so two files that are stored
/// under one name, with one date and one length, still have two of them.
///
/// # Errors
/// It is no time.
pub(super) fn of(head: &Head<'_>) -> Result<Option<i128>, Box<Response>> {
    let told = head.named("x-oc-mtime").or_else(|| head.named("x-timestamp"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    told.map(|value| {
        let why = "X-OC-Mtime is a time in seconds since 1970, such as 1704164645 or 1704164645.25";
        parse(value, now.subsec_nanos()).ok_or_else(|| refused(400, why))
    })
    .transpose()
}

/// `["-"] 1*DIGIT ["." 1*DIGIT]`
fn parse(value: &[u8], now_ns: u32) -> Option<i128> {
    let text = std::str::from_utf8(value).ok()?;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if ![seconds, fraction].iter().all(|part| is_digits(part)) {
        return None;
    }
    let seconds = i128::from(seconds.parse::<i64>().ok()?);
    let told = digits.split_once('.').map_or(0, |(_, told)| told.len().min(9));
    let unit = 10_i128.pow(9 - u32::try_from(told).ok()?);
    let fraction = fraction[..told.max(1)].parse::<i128>().ok()? * unit;
    Some(sign * (seconds * SECOND_NS + fraction) + i128::from(now_ns) % unit)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether times tell which version of a file its compressed copies are of, at that place: then each has to be that of its upload.
pub(super) fn tells_versions(place: &Place, path: &SafePath) -> Result<bool, Fail> {
    for (suffix, _) in SIBLINGS {
        let beside = [path.with_suffix(suffix).ok(), path.without_suffix(suffix)];
        for path in beside.into_iter().flatten() {
            if place.root.taken(&path)?.is_some() || place.of_other(&path)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f9_a_time_is_seconds_and_digits_that_are_not_told_are_those_of_now() {
        for (value, now_ns, want) in [
            ("1704164645", 0, 1_704_164_645_000_000_000),
            ("1704164645", 123_456_789, 1_704_164_645_123_456_789),
            ("1704164645.25", 123_456_789, 1_704_164_645_253_456_789),
            ("1704164645.123456789", 5, 1_704_164_645_123_456_789),
            ("1704164645.1234567891234", 5, 1_704_164_645_123_456_789),
            ("0", 7, 7),
            // The second is the one that was told, also before 1970.
            ("-5", 7, -4_999_999_993),
            ("-1.5", 0, -1_500_000_000),
        ] {
            assert_eq!(parse(value.as_bytes(), now_ns), Some(want), "{value}");
        }
        for value in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "+1",
            "1e9",
            "0x10",
            "1 2",
            "--1",
            "1.-5",
            "NaN",
            "Tue, 02 Jan 2024 03:04:05 GMT",
            "99999999999999999999",
            "1.5.2",
            "\u{661}",
        ] {
            assert_eq!(parse(value.as_bytes(), 0), None, "{value}");
        }
        assert_eq!(parse(b"\xff", 0), None);
    }
}
