//! Requests of HTTP/2 (RFC 9113 §8.3), read as requests are read here: fields → a head as HTTP/1.1 writes it.
//!
//! Frames and compression are the caller's. What this adds is that everything behind it, from the limits of a head to the
//! handlers, knows one kind of request: [`Pseudo::put`] writes the head, [`HeadParser`](crate::http1::HeadParser) reads
//! it with the same strictness, and [`announced`] says what it announces about its content.
//!
//! ```
//! use number8_proto::http1::{HeadParser, Version};
//! use number8_proto::http2::Pseudo;
//! use number8_proto::Limits;
//!
//! let pseudo = Pseudo { method: b"GET", authority: Some(b"localhost"), path: b"/hello" };
//! let mut head = Vec::new();
//! pseudo.put([(&b"accept"[..], &b"*/*"[..])].into_iter(), &mut head)?;
//!
//! let mut parser = HeadParser::new();
//! parser.parse_as(Version::Http2, &head, &Limits::default())?;
//! assert_eq!(parser.head(&head).path(), b"/hello");
//! assert_eq!(parser.head(&head).host(), Some(&b"localhost"[..]));
//! # Ok::<(), number8_proto::Error>(())
//! ```

use alloc::vec::Vec;

use crate::error::Error;
use crate::headers::Known;
use crate::http1::{Head, Method};
use crate::syntax;

/// What an HTTP/2 client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The pseudo-header fields of a request, of which `:scheme` decides nothing here.
#[derive(Debug, Clone, Copy)]
pub struct Pseudo<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:authority`; what Host says where there is none.
    pub authority: Option<&'a [u8]>,
    /// `:path`
    pub path: &'a [u8],
}

impl Pseudo<'_> {
    /// Appends the head that HTTP/1.1 would have for this request and these fields: with one Host field, and with one
    /// Cookie field for all of them (RFC 9113 §8.2.3).
    ///
    /// # Errors
    /// The request is malformed (RFC 9113 §8.1.1): a field belongs to the connection, a name is written in capitals, or
    /// `:authority` and Host name different hosts. SECURITY: also where a part would end its line in the head.
    pub fn put<'f>(
        &self,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if !syntax::is_token(self.method) {
            return Err(Error::RequestLine);
        }
        let is_connect = self.method == b"CONNECT";
        if !self.path.starts_with(b"/") && self.path != b"*" && !is_connect {
            return Err(Error::Target);
        }
        let target = if is_connect { self.authority.unwrap_or_default() } else { self.path };
        if target.is_empty() || syntax::target_run(target) < target.len() {
            return Err(Error::Target);
        }
        for part in [self.method, b" ", target, b" HTTP/1.1\r\n"] {
            out.extend_from_slice(part);
        }
        if let Some(host) = self.authority {
            put_line(b"host", host, out)?;
        }
        let mut cookies: Option<Vec<u8>> = None;
        for (name, value) in fields {
            match Known::of(name) {
                Known::Host if self.authority.is_some() => {
                    // RFC 9113 §8.3.1.
                    if !self.authority.is_some_and(|host| host.eq_ignore_ascii_case(value)) {
                        return Err(Error::Authority);
                    }
                }
                Known::Connection | Known::TransferEncoding | Known::Upgrade => {
                    return Err(Error::ConnectionField);
                }
                _ if is_of_connection(name, value) => return Err(Error::ConnectionField),
                _ if name == b"cookie" => {
                    let all = cookies.get_or_insert_default();
                    if !all.is_empty() && !value.is_empty() {
                        all.extend_from_slice(b"; ");
                    }
                    all.extend_from_slice(value);
                }
                _ => put_line(name, value, out)?,
            }
        }
        if let Some(cookies) = cookies {
            put_line(b"cookie", &cookies, out)?;
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

/// RFC 9113 §8.2.2: these say how to use a connection of HTTP/1.1; TE is let through for `trailers` alone.
fn is_of_connection(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"keep-alive" | b"proxy-connection" => true,
        b"te" => !value.eq_ignore_ascii_case(b"trailers"),
        _ => false,
    }
}

fn put_line(name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    if !syntax::is_token(name) || name.iter().any(u8::is_ascii_uppercase) {
        return Err(Error::FieldName);
    }
    // RFC 9113 §8.2.1: no white space at either end.
    if !syntax::is_field_value(value) || syntax::trim_ows(value).len() < value.len() {
        return Err(Error::FieldValue);
    }
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// What a head announces about the content behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Content-Length, in bytes.
    pub length: Option<u64>,
    /// The client waits for `100 Continue` before it sends the content (RFC 9110 §10.1.1).
    pub expect_continue: bool,
}

/// Reads what a head announces. Where the content ends is up to the frames.
///
/// # Errors
/// Content-Length is not one number, the expectation is not known, or the method is CONNECT.
pub fn announced(head: &Head<'_>) -> Result<Announced, Error> {
    if head.method() == Method::Connect {
        return Err(Error::Connect);
    }
    if !head.has_any(&[Known::ContentLength, Known::Expect]) {
        return Ok(Announced { length: None, expect_continue: false });
    }
    let mut lengths = head.all(Known::ContentLength);
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(digits), None) => match syntax::decimal(digits) {
            Some(length) if length <= i64::MAX as u64 => Some(length),
            _ => return Err(Error::ContentLength),
        },
        (Some(_), Some(_)) => return Err(Error::ContentLength),
    };
    let mut expectations = head.all(Known::Expect);
    if expectations.any(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
        return Err(Error::Expectation);
    }
    Ok(Announced { length, expect_continue: head.has(Known::Expect) })
}
