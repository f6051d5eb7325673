//! Values to text. Runs once per request, so the common cases neither allocate nor go through `std::fmt`.

use std::io::Write;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use number8_proto::decimal;
use number8_proto::http1::Version;

use super::Record;
use super::format::{Literal, Piece, Variable};

/// Writes values as plain words.
pub(super) struct Text<'a>(pub(super) &'a mut Vec<u8>);

impl Text<'_> {
    pub(super) fn pieces(&mut self, pieces: &[Piece], record: &Record<'_>, time: &Timestamp) {
        for Piece { variable, after } in pieces {
            self.variable(*variable, record, time);
            self.literal(after);
        }
    }

    #[inline(always)]
    pub(super) fn literal(&mut self, literal: &Literal) {
        match literal {
            Literal::Short(text, length) => put(self.0, text, usize::from(*length)),
            Literal::Long(text) => self.0.extend_from_slice(text.as_bytes()),
        }
    }

    #[inline(always)]
    fn variable(&mut self, variable: Variable, record: &Record<'_>, time: &Timestamp) {
        match variable {
            Variable::RemoteAddr => match record.peer {
                Some(peer) => address(self.0, peer),
                None => self.0.push(b'-'),
            },
            Variable::TimeIso8601 => time.iso8601(self.0),
            Variable::TimeLocal => self.0.extend_from_slice(&time.common_log),
            Variable::Method => self.word(record.method),
            Variable::Target => self.word(record.target),
            Variable::Path => self.word(record.path()),
            Variable::Protocol => protocol(self.0, record.version),
            Variable::Status => status(self.0, record.status),
            Variable::BytesSent => decimal::push(record.bytes, self.0),
            Variable::BytesReceived => decimal::push(record.received, self.0),
            Variable::DurationMs => milliseconds(self.0, record.duration),
            Variable::User => self.word(record.user.unwrap_or_default().as_bytes()),
            Variable::Host => self.word(record.host.unwrap_or_default()),
            Variable::Referer => self.words(record.referer.unwrap_or_default()),
            Variable::UserAgent => self.words(record.user_agent.unwrap_or_default()),
            Variable::RequestId => match record.request_id {
                Some(id) => id.write(self.0),
                None => self.0.push(b'-'),
            },
        }
    }

    /// A value that is one word: its spaces are escaped too, so that it cannot pretend to be the next columns.
    #[inline(always)]
    fn word(&mut self, value: &[u8]) {
        match value {
            b"" => self.0.push(b'-'),
            value => self.escaped(value, b'!'),
        }
    }

    /// A value in which spaces are usual; templates put it between quotes.
    #[inline(always)]
    fn words(&mut self, value: &[u8]) {
        match value {
            b"" => self.0.push(b'-'),
            value => self.escaped(value, b' '),
        }
    }

    /// Copies `value`; a byte below `first`, a quote, a backslash or a byte that is not ASCII becomes `\xHH`.
    fn escaped(&mut self, value: &[u8], first: u8) {
        // Nearly every value is plain to its end, and many are short.
        let (chunks, rest) = value.as_chunks::<CHUNK>();
        let mut last = [b'!'; CHUNK];
        last[..rest.len()].copy_from_slice(rest);
        if !chunks.iter().chain([&last]).all(|chunk| is_plain(*chunk, first)) {
            return self.escaped_slowly(value, first);
        }
        if !chunks.is_empty() {
            self.0.extend_from_slice(chunks.as_flattened());
        }
        put(self.0, &last, rest.len());
    }

    #[cold]
    fn escaped_slowly(&mut self, mut value: &[u8], first: u8) {
        loop {
            let (plain, rest) = value.split_at(plain_prefix(value, first));
            self.0.extend_from_slice(plain);
            let Some((&byte, rest)) = rest.split_first() else { break };
            self.0.extend_from_slice(&[
                b'\\',
                b'x',
                HEX_UPPER[usize::from(byte >> 4)],
                HEX_UPPER[usize::from(byte & 15)],
            ]);
            value = rest;
        }
    }
}

/// Writes a record as one JSON object.
pub(super) struct Json<'a>(pub(super) &'a mut Vec<u8>);

impl Json<'_> {
    pub(super) fn record(&mut self, record: &Record<'_>, time: &Timestamp) {
        self.0.extend_from_slice(b"{\"time\":\"");
        time.iso8601(self.0);
        self.0.extend_from_slice(b"\",\"remote_addr\":");
        match record.peer {
            Some(peer) => {
                self.0.push(b'"');
                address(self.0, peer);
                self.0.push(b'"');
            }
            None => self.0.extend_from_slice(b"null"),
        }
        self.text("method", Some(record.method));
        self.text("target", Some(record.target));
        self.0.extend_from_slice(b",\"protocol\":\"");
        protocol(self.0, record.version);
        self.0.extend_from_slice(b"\",\"status\":");
        decimal::push(record.status.into(), self.0);
        self.0.extend_from_slice(b",\"bytes_sent\":");
        decimal::push(record.bytes, self.0);
        self.0.extend_from_slice(b",\"bytes_received\":");
        decimal::push(record.received, self.0);
        self.0.extend_from_slice(b",\"duration_ms\":");
        milliseconds(self.0, record.duration);
        self.text("user", record.user.map(str::as_bytes));
        self.text("host", record.host);
        self.text("referer", record.referer);
        self.text("user_agent", record.user_agent);
        // A number is text, too: a reader that keeps numbers as f64 would round it.
        match record.request_id {
            Some(id) => {
                self.0.extend_from_slice(b",\"request_id\":\"");
                id.write(self.0);
                self.0.extend_from_slice(b"\"}");
            }
            None => self.0.extend_from_slice(b",\"request_id\":null}"),
        }
    }

    /// A member whose value is text or, when there is none, null.
    fn text(&mut self, name: &str, value: Option<&[u8]>) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        let Some(value) = value else { return self.0.extend_from_slice(b"null") };
        self.0.push(b'"');
        for chunk in value.utf8_chunks() {
            self.escaped(chunk.valid());
            if !chunk.invalid().is_empty() {
                self.unit(0xfffd);
            }
        }
        self.0.push(b'"');
    }

    /// RFC 8259 §7, with everything outside ASCII escaped as well: a raw U+0085 or U+2028 ends the line for some readers.
    fn escaped(&mut self, mut text: &str) {
        while !text.is_empty() {
            let (plain, rest) = text.split_at(plain_prefix(text.as_bytes(), b' '));
            self.0.extend_from_slice(plain.as_bytes());
            let mut rest = rest.chars();
            match rest.next() {
                Some(c @ ('"' | '\\')) => self.0.extend_from_slice(&[b'\\', c as u8]),
                Some(c) => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| self.unit(*unit)),
                None => {}
            }
            text = rest.as_str();
        }
    }

    fn unit(&mut self, unit: u16) {
        self.0.extend_from_slice(b"\\u");
        self.0.extend([12, 8, 4, 0].map(|shift| HEX_LOWER[usize::from(unit >> shift & 15)]));
    }
}

const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";
const HEX_LOWER: &[u8; 16] = b"0123456789abcdef";

/// So many bytes are looked at together.
const CHUNK: usize = 8;

/// Whether none of these bytes is below `first`, a quote, a backslash or not printable ASCII.
#[inline(always)]
fn is_plain(chunk: [u8; CHUNK], first: u8) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES * 0x80;
    let chunk = u64::from_ne_bytes(chunk);
    // Each byte's highest bit, where that of the byte itself is not set: the lowest that is set is right, and so is none.
    let below = |bytes: u64, bound: u8| bytes.wrapping_sub(ONES * u64::from(bound)) & !bytes & HIGH;
    let equal = |byte: u8| below(chunk ^ (ONES * u64::from(byte)), 1);
    let others = below(chunk, first) | equal(b'"') | equal(b'\\') | equal(0x7f) | chunk & HIGH;
    others == 0
}

/// How many bytes at the start of `value` are plain.
fn plain_prefix(value: &[u8], first: u8) -> usize {
    let whole = value.as_chunks::<CHUNK>().0.iter().take_while(|chunk| is_plain(**chunk, first));
    let whole = whole.count() * CHUNK;
    whole + value[whole..].iter().take_while(|&&byte| is_plain([byte; CHUNK], first)).count()
}

/// Appends the first bytes of an array. A copy of fixed length is a few instructions, one of any length is a call.
#[inline(always)]
fn put<const N: usize>(out: &mut Vec<u8>, text: &[u8; N], length: usize) {
    let end = out.len() + length;
    out.extend_from_slice(text);
    out.truncate(end);
}

fn address(out: &mut Vec<u8>, peer: IpAddr) {
    // A dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d.
    match peer.to_canonical() {
        IpAddr::V4(v4) => {
            let mut text = [0; "255.255.255.255.".len()];
            let mut end = 0;
            for octet in v4.octets() {
                let (digits, length) = &OCTETS[usize::from(octet)];
                text[end..end + 4].copy_from_slice(digits);
                end += usize::from(*length);
            }
            // Without the last dot.
            put(out, &text, end - 1);
        }
        IpAddr::V6(v6) => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{v6}");
        }
    }
}

/// Each number of a byte with a dot behind it, filled up to four, and how many of those count.
static OCTETS: [([u8; 4], u8); 256] = {
    let mut octets = [([0; 4], 0); 256];
    let mut number = 0;
    while number < octets.len() {
        let digits = [number / 100, number / 10 % 10, number % 10];
        let mut at = match number {
            0..10 => 2,
            10..100 => 1,
            _ => 0,
        };
        let (text, length) = &mut octets[number];
        while at < digits.len() {
            text[*length as usize] = b'0' + digits[at] as u8;
            *length += 1;
            at += 1;
        }
        text[*length as usize] = b'.';
        *length += 1;
        number += 1;
    }
    octets
};

/// A status has three digits; only what is no answer of HTTP has another number.
fn status(out: &mut Vec<u8>, status: u16) {
    match status {
        100..1000 => out
            .extend([status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8)),
        _ => decimal::push(status.into(), out),
    }
}

/// As other servers write it, since that is what reads logs.
fn protocol(out: &mut Vec<u8>, version: Version) {
    out.extend_from_slice(match version {
        Version::Http2 => b"HTTP/2.0",
        version => version.as_str().as_bytes(),
    });
}

/// Milliseconds to the microsecond: `1.250`.
fn milliseconds(out: &mut Vec<u8>, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    decimal::push(micros / 1000, out);
    let mut fraction = *b".000";
    digits(&mut fraction[1..], micros % 1000);
    out.extend_from_slice(&fraction);
}

/// Fills `place` with the last digits of `number`.
fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A time, with the text of its second kept for the records that follow in the same one.
#[derive(Clone, Debug)]
pub(super) struct Timestamp {
    time: SystemTime,
    second: u64,
    millis: u32,
    iso8601: [u8; 19],
    common_log: [u8; 26],
}

impl Default for Timestamp {
    fn default() -> Self {
        Timestamp {
            time: SystemTime::UNIX_EPOCH,
            second: 0,
            millis: 0,
            iso8601: *b"1970-01-01T00:00:00",
            common_log: *b"01/Jan/1970:00:00:00 +0000",
        }
    }
}

impl Timestamp {
    /// Moves to `time`; years outside 1970 to 9999 stop at the nearer end.
    pub(super) fn set(&mut self, time: SystemTime) {
        const LAST: u64 = 253_402_300_799; // 9999-12-31T23:59:59Z
        if time == self.time {
            return;
        }
        self.time = time;
        let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.millis = since_epoch.subsec_millis();
        let second = since_epoch.as_secs().min(LAST);
        if second != self.second {
            self.second = second;
            self.render();
        }
    }

    /// The second, and the millisecond of it where that is told as well.
    pub(super) fn as_told(&self, by_millis: bool) -> (u64, u32) {
        (self.second, if by_millis { self.millis } else { 0 })
    }

    fn iso8601(&self, out: &mut Vec<u8>) {
        let mut fraction = *b".000Z";
        digits(&mut fraction[1..4], self.millis.into());
        out.extend_from_slice(&self.iso8601);
        out.extend_from_slice(&fraction);
    }

    fn render(&mut self) {
        const MONTHS: [&[u8; 3]; 12] = [
            b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
            b"Dec",
        ];
        let (year, month, day) = civil(self.second / 86_400);
        let of_day = self.second % 86_400;
        let clock = [of_day / 3600, of_day / 60 % 60, of_day % 60];
        for (start, value) in [(5, month), (8, day), (11, clock[0]), (14, clock[1]), (17, clock[2])]
        {
            digits(&mut self.iso8601[start..start + 2], value);
        }
        digits(&mut self.iso8601[..4], year);
        for (start, value) in [(0, day), (12, clock[0]), (15, clock[1]), (18, clock[2])] {
            digits(&mut self.common_log[start..start + 2], value);
        }
        digits(&mut self.common_log[7..11], year);
        self.common_log[3..6].copy_from_slice(MONTHS[month as usize - 1]);
    }
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Years are taken to begin in March, which puts the leap day last, and are counted from 0000-03-01 in eras of 400.
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day_of_month)
}
