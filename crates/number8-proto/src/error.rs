//! What a peer can do wrong, and the status that tells it so.

use core::fmt;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $text:literal;)*) => {
        /// A fault in what the peer sent. After it the connection gives at most one answer and closes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[$doc])* $name,)*
        }

        impl Error {
            /// The status code that answers this fault (RFC 9110 §15).
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The fault in words, for a log and for the person at the other end.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

errors! {
    /// RFC 9112 §3: method, one space, target, one space, version.
    RequestLine = 400, "the request line is not a method, a target and a version with one space between";
    /// RFC 9112 §3: longer than any method that exists.
    MethodTooLong = 501, "the method is not known here";
    /// RFC 9112 §3.2: no known form, or a form that this method cannot have.
    Target = 400, "the request target is not valid";
    /// RFC 9112 §2.3: the version is not `HTTP/` DIGIT `.` DIGIT.
    Version = 400, "the HTTP version is not valid";
    /// RFC 9110 §15.6.6: a major version other than 1.
    VersionNotSupported = 505, "only versions 1.0 and 1.1 of HTTP are spoken here";
    /// The target is longer than `Limits::uri_bytes_max`.
    UriTooLong = 414, "the request target is too long";
    /// The head is longer than `Limits::head_bytes_max`.
    HeadTooLarge = 431, "the request head is too large";
    /// There are more fields than `Limits::fields_max`.
    TooManyFields = 431, "the request has too many fields";
    /// RFC 9112 §2.2: LF without CR.
    BareLineFeed = 400, "a line ends with a bare LF";
    /// RFC 9112 §2.2: CR without LF.
    BareCarriageReturn = 400, "a CR stands without its LF";
    /// RFC 9110 §5.1: a field name that is no token, or a line without a colon.
    FieldName = 400, "a field name is not valid";
    /// RFC 9112 §5.1: white space between name and colon.
    SpaceBeforeColon = 400, "white space stands before the colon of a field";
    /// RFC 9112 §5.2: obsolete line folding, or white space before the first field.
    Folded = 400, "a field is folded over two lines";
    /// RFC 9110 §5.5: a control byte in a field value.
    FieldValue = 400, "a field value holds a control byte";
    /// RFC 9112 §3.2: HTTP/1.1 without Host.
    HostMissing = 400, "the Host field is missing";
    /// RFC 9112 §3.2: Host more than once.
    HostRepeated = 400, "the Host field stands more than once";
    /// RFC 9112 §3.2: Host or the authority of the target is not valid.
    Host = 400, "the host is not valid";
    /// RFC 9113 §8.3.1: `:authority` and Host differ.
    Authority = 400, "Host and :authority name different hosts";
    /// RFC 9113 §8.2.2: a field that says how to use a connection of HTTP/1.1.
    ConnectionField = 400, "a field of the request belongs to HTTP/1.1 connections";
    /// RFC 9112 §6.3: Content-Length is not one number in range.
    ContentLength = 400, "Content-Length is not one number";
    /// RFC 9112 §6.3: both Content-Length and Transfer-Encoding.
    LengthAndCoding = 400, "Content-Length and Transfer-Encoding stand together";
    /// RFC 9112 §6.1: Transfer-Encoding in HTTP/1.0.
    CodingInOldVersion = 400, "version 1.0 of HTTP has no Transfer-Encoding";
    /// RFC 9112 §6.1: `chunked` is not there exactly once and last.
    Coding = 400, "Transfer-Encoding is not one final chunked";
    /// RFC 9112 §6.1: a transfer coding other than `chunked`.
    CodingUnknown = 501, "the transfer coding is not known here";
    /// RFC 9110 §10.1.1: an expectation other than 100-continue.
    Expectation = 417, "the expectation is not known here";
    /// RFC 9110 §9.3.6: CONNECT is for proxies.
    Connect = 501, "this server is no proxy";
    /// RFC 9112 §7.1: a chunk's size line or its end is not valid.
    Chunk = 400, "a chunk of the body is not framed as it must be";
    /// The chunk extensions of a body are longer than `Limits::chunk_extension_bytes_max`.
    ChunkExtension = 400, "the chunk extensions are too long";
    /// The trailer section is longer than `Limits::trailer_bytes_max`.
    TrailersTooLarge = 400, "the trailer section is too large";
    /// RFC 9110 §6.5.1: a trailer field that frames, routes or authenticates.
    TrailerForbidden = 400, "a trailer field has no place in a trailer";
    /// The peer closed before its request was whole.
    Truncated = 400, "the request ends too early";
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Error {}

/// Why a connection ends after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The client asked for it, or speaks HTTP/1.0 without keep-alive.
    ClientAsked,
    /// The server asked for it: it stops, or the answer says so.
    ServerAsked,
    /// The answer has no length that an HTTP/1.0 client understands: the end is its mark.
    LengthUnknown,
    /// Part of the request's body was not read, and reading it costs too much.
    BodyUnread,
    /// The request was at fault: what follows cannot be trusted to be a request.
    Fault,
    /// Another protocol took over, and has ended.
    HandedOver,
}
