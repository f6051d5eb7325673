//! The opening handshake (RFC 6455 §4.2): what is asked, and the proof that it was understood.

use core::fmt;

use sha1_smol::Sha1;

use crate::headers::Known;
use crate::http1::{Head, Method};
use crate::syntax::{is_token, list};

/// The text that RFC 6455 §1.3 has hashed with every key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Accept`: the base64 of 20 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accept([u8; 28]);

impl Accept {
    fn of(key: &[u8]) -> Self {
        let mut hash = Sha1::new();
        hash.update(key);
        hash.update(GUID);
        Self(base64(hash.digest().bytes()))
    }
}

impl AsRef<[u8]> for Accept {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Why a request opens no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Not GET.
    Method,
    /// No upgrade to `websocket` is asked for.
    Upgrade,
    /// A version other than 13; the answer has to name that (RFC 6455 §4.4).
    Version,
    /// The key is not the base64 of 16 bytes, or stands more than once.
    Key,
}

impl Refusal {
    /// The status that answers the request.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Upgrade | Self::Version => 426,
            Self::Key => 400,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "a WebSocket is opened by GET",
            Self::Upgrade => "this address is for WebSocket clients",
            Self::Version => "only version 13 of WebSocket is spoken here",
            Self::Key => "the key of the WebSocket is not 16 bytes in base64",
        })
    }
}

impl core::error::Error for Refusal {}

/// Looks at a request that should open a WebSocket. `lenient` is that of
/// [`WebSocketLimits`](crate::limits::WebSocketLimits).
///
/// # Errors
/// The request opens none.
pub fn handshake(head: &Head<'_>, lenient: bool) -> Result<Accept, Refusal> {
    if head.method() != Method::Get {
        return Err(Refusal::Method);
    }
    if !names(head, Known::Upgrade, "websocket") || !names(head, Known::Connection, "upgrade") {
        return Err(Refusal::Upgrade);
    }
    let mut keys = all(head, "Sec-WebSocket-Key");
    let (Some(key), None) = (keys.next(), keys.next()) else { return Err(Refusal::Key) };
    if lenient {
        return if key.is_empty() { Err(Refusal::Key) } else { Ok(Accept::of(key)) };
    }
    let mut versions = all(head, "Sec-WebSocket-Version");
    if (versions.next(), versions.next()) != (Some(b"13"), None) {
        return Err(Refusal::Version);
    }
    match is_nonce(key) {
        true => Ok(Accept::of(key)),
        false => Err(Refusal::Key),
    }
}

/// The digits of base64 (RFC 4648 §4).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// 20 bytes in base64.
fn base64(bytes: [u8; 20]) -> [u8; 28] {
    let mut encoded = [b'='; 28];
    // Three bytes are four digits of six bits each; the last two bytes are three.
    for (bytes, digits) in bytes.chunks(3).zip(encoded.chunks_mut(4)) {
        let at = |place| bytes.get(place).map_or(0, |&byte| u32::from(byte));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for (place, digit) in digits.iter_mut().take(bytes.len() + 1).enumerate() {
            *digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
        }
    }
    encoded
}

/// Whether this is 16 bytes in base64: 22 digits, the last of which stands for two bits, and no other spelling of the same.
fn is_nonce(key: &[u8]) -> bool {
    let value = |digit: &u8| DIGITS.iter().position(|other| other == digit);
    match key.strip_suffix(b"==") {
        Some(digits @ [.., last]) if digits.len() == 22 => {
            digits.iter().all(|digit| value(digit).is_some())
                && value(last).is_some_and(|value| value % 16 == 0)
        }
        _ => false,
    }
}

/// The subprotocols that the client offers, the one it likes best first (RFC 6455 §11.3.4).
pub fn offered_protocols<'b>(head: &Head<'b>) -> impl Iterator<Item = &'b str> + use<'b> {
    all(head, "Sec-WebSocket-Protocol")
        .flat_map(list)
        .filter(|protocol| is_token(protocol))
        .filter_map(|protocol| core::str::from_utf8(protocol).ok())
}

fn names(head: &Head<'_>, field: Known, wanted: &str) -> bool {
    head.all(field).flat_map(list).any(|one| one.eq_ignore_ascii_case(wanted.as_bytes()))
}

fn all<'b>(head: &Head<'b>, name: &'static str) -> impl Iterator<Item = &'b [u8]> + use<'b> {
    head.fields()
        .filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value)
}
