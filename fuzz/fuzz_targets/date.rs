//! What httpdate takes for a date is the same moment here; a date that is read and written again is the same; what is not
//! written as one of the three forms is none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8_proto::date::{format, parse};

const NOW: i64 = 1_764_000_000;
/// Of the years 1 to 9999.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

fn of_httpdate(text: &str) -> Option<i64> {
    // It takes white space off.
    let time = httpdate::parse_http_date(text).ok().filter(|_| text == text.trim())?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

fuzz_target!(|input: &[u8]| {
    if let Some(number) = input.first_chunk() {
        let time = i64::from_be_bytes(*number).clamp(FIRST, LAST);
        let written = format(time);
        assert_eq!(parse(&written, NOW), Some(time));
        let text = str::from_utf8(&written).unwrap();
        // httpdate begins with 1970.
        assert!(time < 0 || of_httpdate(text) == Some(time), "{text}");
    }
    let read = parse(input, NOW);
    if let Some(time) = read {
        assert!((FIRST..=LAST).contains(&time));
        assert_eq!(parse(&format(time), NOW), read);
        assert!((24..=33).contains(&input.len()), "{}", input.escape_ascii());
    }
    let Some(theirs) = str::from_utf8(input).ok().and_then(of_httpdate) else { return };
    let is_short = input.get(3).is_some_and(|byte| !matches!(byte, b',' | b' '));
    match read {
        // Which century two digits mean, httpdate decides without a look at the clock.
        Some(ours) if is_short => {
            let (ours, theirs) = (format(ours), format(theirs));
            assert_eq!(ours[5..12], theirs[5..12]);
            assert_eq!(ours[14..25], theirs[14..25]);
        }
        // httpdate does not look at what stands before the hour there.
        None if is_short && input[input.len() - 13] != b' ' => {}
        ours => assert_eq!(ours, Some(theirs), "{}", input.escape_ascii()),
    }
});
