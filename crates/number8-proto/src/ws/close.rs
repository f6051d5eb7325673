//! Why a WebSocket ends.

use core::fmt;

/// A status code of a close frame (RFC 6455 §7.4): one that may be sent.
///
/// ```
/// use number8_proto::ws::CloseCode;
/// assert_eq!(CloseCode::new(4000).map(CloseCode::get), Some(4000));
/// assert_eq!(CloseCode::new(1006), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server stops, or the client leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer does not keep to the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// A kind of message that is not taken here.
    pub const UNSUPPORTED: Self = Self(1003);
    /// What should be text is none.
    pub const INVALID_DATA: Self = Self(1007);
    /// What was sent is not allowed.
    pub const POLICY: Self = Self(1008);
    /// A message is too large.
    pub const TOO_LARGE: Self = Self(1009);
    /// The server has met with something unexpected.
    pub const INTERNAL: Self = Self(1011);
    /// Come back later.
    pub const TRY_AGAIN: Self = Self(1013);

    /// The code of that number, where it may stand in a frame: those that the registry of RFC 6455 §11.7 has
    /// for it, those of libraries (3000 to 3999) and private ones (4000 to 4999).
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $code:ident, $text:literal;)*) => {
        /// A fault in what a client sent. Nothing that follows it is looked at; the connection ends with a
        /// close frame of that code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// The code that answers this fault.
            #[must_use]
            pub const fn code(self) -> CloseCode {
                match self { $(Self::$name => CloseCode::$code,)* }
            }

            /// The fault in words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

faults! {
    /// RFC 6455 §5.2: a reserved bit without an extension.
    ReservedBit = PROTOCOL, "a frame has a reserved bit";
    /// RFC 6455 §5.2: an opcode that has no meaning.
    Opcode = PROTOCOL, "a frame has an unknown opcode";
    /// RFC 6455 §5.1: a client's frame without a mask.
    Unmasked = PROTOCOL, "a frame is not masked";
    /// RFC 6455 §5.2: a length that has a shorter form, or the highest bit.
    Length = PROTOCOL, "the length of a frame is not valid";
    /// RFC 6455 §5.5: a control frame that is not one frame of at most 125 bytes.
    Control = PROTOCOL, "a control frame is fragmented or too long";
    /// RFC 6455 §5.4: a continuation without a beginning.
    Continuation = PROTOCOL, "a continuation continues nothing";
    /// RFC 6455 §5.4: another message within a fragmented one.
    Interleaved = PROTOCOL, "a message begins within another";
    /// RFC 6455 §5.5.1: one byte is no close code.
    CloseLength = PROTOCOL, "a close frame ends within its code";
    /// RFC 6455 §7.4: a code that must not be sent.
    CloseCode = PROTOCOL, "a close frame has a code that is none";
    /// RFC 6455 §8.1: a text, or the reason of a close frame, is not UTF-8.
    Utf8 = INVALID_DATA, "a text is not UTF-8";
    /// A message is larger than `WebSocketLimits::message_bytes_max`.
    TooLarge = TOO_LARGE, "a message is too large";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Fault {}
