use number8_proto::date::{format, parse};
use proptest::prelude::*;

use super::field_value;

/// Years 1 to 9999.
const REPRESENTABLE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
const FIFTY_YEARS: i64 = 50 * 31_556_952;
const TWO_DAYS: i64 = 2 * 86_400;

const LONG_NAMES: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The same date in the two obsolete forms.
fn obsolete_forms(imf: &[u8; 29]) -> [String; 2] {
    let text = str::from_utf8(imf).expect("dates are ASCII");
    let (name, day, month) = (&text[0..3], &text[5..7], &text[8..11]);
    let (year, time) = (&text[12..16], &text[17..25]);
    let long = LONG_NAMES.iter().find(|long| long.starts_with(name)).expect("a name of a day");
    let padded = day.strip_prefix('0').map_or(day.to_owned(), |ones| format!(" {ones}"));
    [
        format!("{long}, {day}-{month}-{} {time} GMT", &year[2..]),
        format!("{name} {month} {padded} {time} {year}"),
    ]
}

proptest! {
    #[test]
    fn a_written_date_reads_back(seconds in REPRESENTABLE, now in any::<i64>()) {
        let written = format(seconds);
        prop_assert_eq!(parse(&written, now), Some(seconds));
        prop_assert_eq!(parse(obsolete_forms(&written)[1].as_bytes(), now), Some(seconds));
    }

    #[test]
    fn the_next_day_has_the_next_name_and_the_same_time(seconds in REPRESENTABLE) {
        prop_assume!(REPRESENTABLE.contains(&(seconds + 86_400)));
        let (today, tomorrow) = (format(seconds), format(seconds + 86_400));
        let name = |date: &[u8]| {
            LONG_NAMES.iter().position(|name| name.as_bytes().starts_with(&date[..3]))
        };
        prop_assert_eq!(name(&tomorrow), name(&today).map(|day| (day + 1) % 7));
        prop_assert_eq!(&tomorrow[17..], &today[17..]);
        let day = |date: &[u8]| str::from_utf8(&date[5..7]).ok()?.parse::<u32>().ok();
        let one_more = day(&today).map(|day| day + 1);
        prop_assert!(day(&tomorrow) == one_more || day(&tomorrow) == Some(1));
    }

    #[test]
    fn a_two_digit_year_reads_back_within_fifty_years(
        now in 0..200_000_000_000_i64,
        away in -FIFTY_YEARS + TWO_DAYS..FIFTY_YEARS - TWO_DAYS,
    ) {
        let [rfc850, _] = obsolete_forms(&format(now + away));
        prop_assert_eq!(parse(rfc850.as_bytes(), now), Some(now + away));
    }

    #[test]
    fn what_reads_is_a_date_that_can_be_written(value in field_value(), now in any::<i64>()) {
        if let Some(seconds) = parse(&value, now) {
            prop_assert!(REPRESENTABLE.contains(&seconds));
        }
    }

    #[test]
    fn one_wrong_byte_never_reads_as_the_same_form(
        seconds in REPRESENTABLE, at in 0..29_usize, byte in any::<u8>(),
    ) {
        let mut date = format(seconds);
        date[at] = byte;
        if let Some(read) = parse(&date, 0) {
            // What is read is what is written, but for the name of the day and a leap second.
            let written = format(read);
            prop_assert!(written[3..] == date[3..] || &date[23..25] == b"60");
        }
    }
}
