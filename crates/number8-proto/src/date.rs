//! HTTP dates (RFC 9110 §5.6.7), written in one form and read in all three.
//!
//! Calendar arithmetic only: no clock, no time zone, no allocation. Years count from March inside
//! the conversions, so that a leap day is the last day of its year and needs no case of its own.

/// Writes a date as IMF-fixdate, for example `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// `unix_seconds` counts from 1970-01-01T00:00:00Z. The form has four digits for the year, so a
/// time outside the years 1 to 9999 becomes the first or the last second of them.
///
/// ```
/// use number8_proto::date;
/// assert_eq!(&date::format(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[must_use]
pub fn format(unix_seconds: i64) -> [u8; 29] {
    let at = Civil::at(unix_seconds);
    let mut out = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    out[0..3].copy_from_slice(&DAY_NAMES[at.weekday()]);
    out[5..7].copy_from_slice(&two_digits(at.day));
    out[8..11].copy_from_slice(&MONTH_NAMES[at.month as usize - 1]);
    out[12..14].copy_from_slice(&two_digits(at.year / 100));
    out[14..16].copy_from_slice(&two_digits(at.year % 100));
    out[17..19].copy_from_slice(&two_digits(at.second / 3600));
    out[20..22].copy_from_slice(&two_digits(at.second / 60 % 60));
    out[23..25].copy_from_slice(&two_digits(at.second % 60));
    out
}

/// Reads a date in any of the three forms: IMF-fixdate, RFC 850, asctime.
///
/// Returns seconds since 1970-01-01T00:00:00Z, or `None` when the value is no date, in which case
/// the field that held it is to be ignored. `now`, in the same unit, decides the century of RFC
/// 850's two-digit year: the latest year that is not more than 50 years ahead.
///
/// Names are compared in their one right case. The name of the day has to be one, but may be the
/// wrong one: the date is complete without it. A leap second counts as the second before it.
///
/// ```
/// use number8_proto::date;
/// let now = 1_700_000_000;
/// for same in [
///     &b"Sun, 06 Nov 1994 08:49:37 GMT"[..],
///     b"Sunday, 06-Nov-94 08:49:37 GMT",
///     b"Sun Nov  6 08:49:37 1994",
/// ] {
///     assert_eq!(date::parse(same, now), Some(784_111_777));
/// }
/// assert_eq!(date::parse(b"yesterday", now), None);
/// ```
#[must_use]
pub fn parse(value: &[u8], now: i64) -> Option<i64> {
    let date = match value.get(3)? {
        b',' => imf_fixdate(value)?,
        b' ' => asctime(value)?,
        _ => rfc850(value, Civil::at(now))?,
    };
    Some(date.unix_seconds())
}

/// IMF-fixdate = day-name "," SP 2DIGIT SP month SP 4DIGIT SP time-of-day SP "GMT"
fn imf_fixdate(value: &[u8]) -> Option<Civil> {
    let rest = after_day_name(value)?.strip_prefix(b", ")?;
    let &[d1, d2, b' ', m1, m2, m3, b' ', y1, y2, y3, y4, b' ', ref time @ ..] = rest else {
        return None;
    };
    let year = number(y1, y2)? * 100 + number(y3, y4)?;
    let second = second_of_day(time.strip_suffix(b" GMT")?)?;
    Civil::new(year, month([m1, m2, m3])?, number(d1, d2)?, second)
}

/// rfc850-date = day-name-l "," SP 2DIGIT "-" month "-" 2DIGIT SP time-of-day SP "GMT"
fn rfc850(value: &[u8], now: Civil) -> Option<Civil> {
    let comma = value.iter().position(|&b| b == b',')?;
    let (name, rest) = value.split_at(comma);
    let &[b',', b' ', d1, d2, b'-', m1, m2, m3, b'-', y1, y2, b' ', ref time @ ..] = rest else {
        return None;
    };
    if !DAY_NAMES_LONG.contains(&name) {
        return None;
    }
    let second = second_of_day(time.strip_suffix(b" GMT")?)?;
    let (month, day) = (month([m1, m2, m3])?, number(d1, d2)?);

    let latest = Civil { year: now.year + 50, ..now };
    let mut year = latest.year - latest.year % 100 + number(y1, y2)?;
    if (Civil { year, month, day, second }) > latest {
        year = year.checked_sub(100)?;
    }
    Civil::new(year, month, day, second)
}

/// asctime-date = day-name SP month SP ( 2DIGIT / ( SP 1DIGIT ) ) SP time-of-day SP 4DIGIT
fn asctime(value: &[u8]) -> Option<Civil> {
    let rest = after_day_name(value)?.strip_prefix(b" ")?;
    let &[m1, m2, m3, b' ', d1, d2, b' ', ref time @ .., b' ', y1, y2, y3, y4] = rest else {
        return None;
    };
    let day = number(if d1 == b' ' { b'0' } else { d1 }, d2)?;
    let year = number(y1, y2)? * 100 + number(y3, y4)?;
    Civil::new(year, month([m1, m2, m3])?, day, second_of_day(time)?)
}

/// What follows the three letters of a day's name.
fn after_day_name(value: &[u8]) -> Option<&[u8]> {
    let (name, rest) = value.split_first_chunk()?;
    DAY_NAMES.contains(name).then_some(rest)
}

/// time-of-day = 2DIGIT ":" 2DIGIT ":" 2DIGIT
fn second_of_day(time: &[u8]) -> Option<u32> {
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = time else { return None };
    let (hour, minute, second) = (number(h1, h2)?, number(m1, m2)?, number(s1, s2)?);
    (hour < 24 && minute < 60 && second <= 60).then(|| hour * 3600 + minute * 60 + second.min(59))
}

/// The month, January = 1, that `name` names.
fn month(name: [u8; 3]) -> Option<u32> {
    (1..).zip(MONTH_NAMES).find_map(|(month, known)| (known == name).then_some(month))
}

/// The number that two digits spell.
fn number(tens: u8, ones: u8) -> Option<u32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

/// `number`, which is under 100, as two digits.
fn two_digits(number: u32) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

/// A second of the Gregorian calendar, UTC; the order of the fields is the order of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Civil {
    /// 1 to 9999.
    year: u32,
    /// 1 to 12.
    month: u32,
    /// 1 to 31.
    day: u32,
    /// Of the day, 0 to 86,399.
    second: u32,
}

impl Civil {
    /// The second that these fields name, if there is one; `second` is taken as checked.
    fn new(year: u32, month: u32, day: u32, second: u32) -> Option<Self> {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 31,
        };
        ((1..=9999).contains(&year) && (1..=days).contains(&day)).then_some(Self {
            year,
            month,
            day,
            second,
        })
    }

    /// The calendar's view of a Unix time, held within the years 1 to 9999.
    fn at(unix_seconds: i64) -> Self {
        let seconds = unix_seconds.clamp(FIRST_SECOND, LAST_SECOND);
        let second = seconds.rem_euclid(86_400) as u32;
        let days = (seconds.div_euclid(86_400) + EPOCH_DAYS) as u32;

        let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
        // Leap days are taken out first, so that every year has 365 days.
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + u32::from(month <= 2);
        Self { year, month, day, second }
    }

    fn unix_seconds(self) -> i64 {
        i64::from(self.days()) * 86_400 - EPOCH_DAYS * 86_400 + i64::from(self.second)
    }

    /// 0 = Sunday.
    fn weekday(self) -> usize {
        // Day 0, the first of March of the year 0, is a Wednesday.
        ((self.days() + 3) % 7) as usize
    }

    /// Days since the first of March of the year 0.
    fn days(self) -> u32 {
        let year = self.year - u32::from(self.month <= 2);
        let month_from_march = (self.month + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        let (era, year_of_era) = (year / 400, year % 400);
        era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
    }
}

/// Days in 400 years, after which the calendar repeats.
const ERA_DAYS: u32 = 146_097;
/// Days from the first of March of the year 0 to the first of January 1970.
const EPOCH_DAYS: i64 = 719_468;
/// 0001-01-01T00:00:00Z.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;

const DAY_NAMES: [[u8; 3]; 7] = [*b"Sun", *b"Mon", *b"Tue", *b"Wed", *b"Thu", *b"Fri", *b"Sat"];
const DAY_NAMES_LONG: [&[u8]; 7] =
    [b"Sunday", b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday"];
const MONTH_NAMES: [[u8; 3]; 12] = [
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct",
    *b"Nov", *b"Dec",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-01-02T03:04:05Z.
    const NOW: i64 = 1_704_164_645;

    #[test]
    fn format_writes_imf_fixdate() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (NOW, "Tue, 02 Jan 2024 03:04:05 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (FIRST_SECOND, "Mon, 01 Jan 0001 00:00:00 GMT"),
            (FIRST_SECOND - 1, "Mon, 01 Jan 0001 00:00:00 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (LAST_SECOND + 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (i64::MIN, "Mon, 01 Jan 0001 00:00:00 GMT"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(str::from_utf8(&format(seconds)), Ok(text), "{seconds}");
        }
    }

    #[test]
    fn parse_takes_all_three_forms() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 02 Jan 2024 03:04:05 GMT", NOW),
            ("Tuesday, 02-Jan-24 03:04:05 GMT", NOW),
            ("Tue Jan  2 03:04:05 2024", NOW),
            ("Tue Jan 02 03:04:05 2024", NOW),
            ("Wed Feb 29 00:00:00 2012", 1_330_473_600),
            ("Fri, 31 Dec 9999 23:59:59 GMT", LAST_SECOND),
            ("Mon, 01 Jan 0001 00:00:00 GMT", FIRST_SECOND),
            // The name of the day does not have to be the right one.
            ("Fri, 02 Jan 2024 03:04:05 GMT", NOW),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_799),
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), Some(seconds), "{text}");
        }
    }

    #[test]
    fn parse_refuses_what_is_no_date() {
        for text in [
            "",
            "GMT",
            "yesterday",
            "never",
            "Wed, 99 Foo 2024 99:99:99 GMT",
            "Tue, 02 Jan 2024 03:04:05 +0000",
            "Tue, 02 Jan 2024 03:04:05 gmt",
            "Tue, 02 Jan 2024 03:04:05 GMT ",
            " Tue, 02 Jan 2024 03:04:05 GMT",
            "Tue, 02 Jan 2024 03:04:05 GMT, Tue, 02 Jan 2024 03:04:05 GMT",
            "Tue, 02 Jan 2024 03:04:05",
            "Tue, 2 Jan 2024 03:04:05 GMT",
            "Tue,  2 Jan 2024 03:04:05 GMT",
            "Tue, 02 Jan 24 03:04:05 GMT",
            "tue, 02 Jan 2024 03:04:05 GMT",
            "Tue, 02 JAN 2024 03:04:05 GMT",
            "Xyz, 02 Jan 2024 03:04:05 GMT",
            "Tue, 00 Jan 2024 03:04:05 GMT",
            "Tue, 32 Jan 2024 03:04:05 GMT",
            "Tue, 30 Feb 2024 03:04:05 GMT",
            "Tue, 29 Feb 2023 03:04:05 GMT",
            "Tue, 29 Feb 2100 03:04:05 GMT",
            "Tue, 31 Apr 2024 03:04:05 GMT",
            "Tue, 01 Jan 0000 03:04:05 GMT",
            "Tue, 02 Jan 2024 24:00:00 GMT",
            "Tue, 02 Jan 2024 03:60:05 GMT",
            "Tue, 02 Jan 2024 03:04:61 GMT",
            "Tue, 02 Jan 2024 +3:04:05 GMT",
            "Tue, 02 Jan 2024 3:04:05 GMT",
            "Tuesday, 02-Jan-2024 03:04:05 GMT",
            "Tuesday, 02 Jan 24 03:04:05 GMT",
            "Tues, 02-Jan-24 03:04:05 GMT",
            "Tuesday, 31-Feb-24 03:04:05 GMT",
            "Tue Jan  2 03:04:05 2024 GMT",
            "Tue Jan 2 03:04:05 2024",
            "Tue Jan   03:04:05 2024",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
    }

    #[test]
    fn a_two_digit_year_is_at_most_fifty_years_ahead() {
        let at = |text: &str| parse(text.as_bytes(), NOW).expect("a date in the table");
        for (now, short, full) in [
            // One second before, at and after now plus 50 years.
            (NOW, "Tuesday, 02-Jan-74 03:04:04 GMT", "Tue, 02 Jan 2074 03:04:04 GMT"),
            (NOW, "Tuesday, 02-Jan-74 03:04:05 GMT", "Tue, 02 Jan 2074 03:04:05 GMT"),
            (NOW, "Wednesday, 02-Jan-74 03:04:06 GMT", "Wed, 02 Jan 1974 03:04:06 GMT"),
            (NOW, "Friday, 31-Dec-99 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:59 GMT"),
            (NOW, "Saturday, 01-Jan-00 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:00 GMT"),
            (784_111_777, "Sunday, 01-Jan-40 00:00:00 GMT", "Sun, 01 Jan 2040 00:00:00 GMT"),
            (4_100_000_000, "Saturday, 01-Jan-01 00:00:00 GMT", "Sat, 01 Jan 2101 00:00:00 GMT"),
        ] {
            assert_eq!(parse(short.as_bytes(), now), Some(at(full)), "{short} at {now}");
        }
        assert_eq!(parse(b"Friday, 31-Dec-99 23:59:59 GMT", i64::MIN), None);
        assert_eq!(parse(b"Friday, 31-Dec-01 23:59:59 GMT", i64::MAX), None);
    }
}
