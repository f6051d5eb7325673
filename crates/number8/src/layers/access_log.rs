//! The access log: one request, one line.
//!
//! Three parts, none of which knows a socket or parses HTTP:
//!
//! - [`Format`] is what a line looks like, read from what the user typed;
//! - [`Formatter`] appends a [`Record`] to a buffer as one line;
//! - [`Sink`] takes lines from any thread and writes them to a file or to standard error.
//!
//! ```
//! use number8::layers::access_log::{Format, Formatter, Record};
//!
//! let format: Format = r#"$remote_addr "$method $target" $status"#.parse()?;
//! let record = Record {
//!     peer: Some([192, 0, 2, 7].into()),
//!     method: b"GET",
//!     target: b"/a\nb",
//!     status: 404,
//!     ..Record::default()
//! };
//! let mut line = Vec::new();
//! Formatter::new(format).write(&record, &mut line);
//! assert_eq!(line, b"192.0.2.7 \"GET /a\\x0Ab\" 404\n");
//! # Ok::<(), number8::layers::access_log::FormatError>(())
//! ```
//!
//! SECURITY: nearly every field is chosen by the client. Whatever it sends, a record is exactly one line of printable
//! ASCII, so it can neither forge a second record nor steer the terminal that shows the log.

mod format;
mod sink;
mod text;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use number8_proto::http1::Version;

pub use format::{Format, FormatError, Template};
pub use sink::Sink;
use text::{Json, Text, Timestamp};

use crate::request_id::RequestId;

/// What is known of one request once its answer has been sent.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The client's address; `None` on a Unix socket.
    pub peer: Option<IpAddr>,
    /// The method; empty when the request line could not be read.
    pub method: &'a [u8],
    /// The request target as sent, with its query; empty when the request line could not be read.
    pub target: &'a [u8],
    /// The version by which the request came.
    pub version: Version,
    /// The status code of the answer.
    pub status: u16,
    /// Bytes of the answer's body that were sent.
    pub bytes: u64,
    /// Bytes of the request's body that were read.
    pub received: u64,
    /// From the first byte of the request to the last byte of the answer.
    pub duration: Duration,
    /// When the request was complete; shown in UTC.
    pub time: SystemTime,
    /// The account the request was made with.
    pub user: Option<&'a str>,
    /// The `Host` field.
    pub host: Option<&'a [u8]>,
    /// The `Referer` field.
    pub referer: Option<&'a [u8]>,
    /// The `User-Agent` field.
    pub user_agent: Option<&'a [u8]>,
    /// What the request is called, where that was found out.
    pub request_id: Option<&'a RequestId>,
}

impl Default for Record<'_> {
    /// A record of nothing at the epoch, for `..Record::default()`.
    fn default() -> Self {
        Record {
            peer: None,
            method: b"",
            target: b"",
            version: Version::Http11,
            status: 0,
            bytes: 0,
            received: 0,
            duration: Duration::ZERO,
            time: SystemTime::UNIX_EPOCH,
            user: None,
            host: None,
            referer: None,
            user_agent: None,
            request_id: None,
        }
    }
}

impl<'a> Record<'a> {
    /// The target without its query.
    fn path(&self) -> &'a [u8] {
        self.target.split(|&byte| byte == b'?').next().unwrap_or_default()
    }
}

/// Turns records into lines; one per worker, since it remembers the text of the current second, and how the last line
/// begins: the requests of one client mostly come together.
#[derive(Clone, Debug)]
pub struct Formatter {
    format: Format,
    timestamp: Timestamp,
    opening: Opening,
}

/// What the lines begin with that tell of the same client at the same time: in the same second, or, where more of it is told, at
/// the same tick.
#[derive(Clone, Debug, Default)]
struct Opening {
    of: Option<(Option<IpAddr>, (u64, u32))>,
    text: Vec<u8>,
}

impl Formatter {
    /// A formatter for this format.
    pub fn new(format: Format) -> Self {
        Formatter { format, timestamp: Timestamp::default(), opening: Opening::default() }
    }

    /// Appends `record` to `out` as one line with its line end; nothing when the format is [`Format::Off`].
    pub fn write(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        match &self.format {
            Format::Off => return,
            Format::Json => {
                self.timestamp.set(record.time);
                Json(out).record(record, &self.timestamp);
            }
            Format::Lines(template) => {
                self.timestamp.set(record.time);
                let of = Some((record.peer, self.timestamp.as_told(template.opens_by_millis())));
                if self.opening.of != of || record.user.is_some() {
                    self.opening.text.clear();
                    let mut text = Text(&mut self.opening.text);
                    text.literal(template.before());
                    text.pieces(template.opening(), record, &self.timestamp);
                    self.opening.of = of.filter(|_| record.user.is_none());
                }
                out.extend_from_slice(&self.opening.text);
                Text(out).pieces(template.rest(), record, &self.timestamp);
            }
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
