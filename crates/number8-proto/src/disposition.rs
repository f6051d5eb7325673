//! The Content-Disposition field (RFC 6266), which says what a file is to be called.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::syntax::{self, is_tchar};

/// The value of a Content-Disposition field.
///
/// ```
/// use number8_proto::disposition::ContentDisposition;
/// let field = ContentDisposition::parse(b"attachment; filename=\"/music/a b.mp3\"").unwrap();
/// assert!(field.is_attachment());
/// assert_eq!(field.filename.as_deref(), Some(&b"/music/a b.mp3"[..]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDisposition<'a> {
    /// What comes first, such as `attachment`, in any case.
    pub kind: &'a [u8],
    /// The name of the file, decoded: that of `filename*` where it is there and can be read, else that of `filename`
    /// (RFC 6266 §4.3). It may be a path, and holds whatever bytes the client chose.
    pub filename: Option<Cow<'a, [u8]>>,
}

impl<'a> ContentDisposition<'a> {
    /// Reads the whole value; `None` where it is not valid, which includes a parameter that comes twice.
    ///
    /// content-disposition = disposition-type *( OWS ";" OWS disposition-parm )
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (kind, mut rest) = take_token(value)?;
        let (mut plain, mut extended) = (None, None);
        loop {
            rest = syntax::trim_ows(rest);
            if rest.is_empty() {
                break;
            }
            rest = syntax::trim_ows(rest.strip_prefix(b";")?);
            if rest.is_empty() {
                // A semicolon at the end is common, and says nothing.
                break;
            }
            let (name, after) = take_token(rest)?;
            let after = syntax::trim_ows(after).strip_prefix(b"=")?;
            let (value, after) = take_value(syntax::trim_ows(after))?;
            rest = after;
            let seen = match name {
                name if name.eq_ignore_ascii_case(b"filename") => &mut plain,
                name if name.eq_ignore_ascii_case(b"filename*") => &mut extended,
                _ => continue,
            };
            if seen.replace(value).is_some() {
                return None;
            }
        }
        let extended = extended.and_then(|value| decode_extended(&value)).map(Cow::Owned);
        Some(Self { kind, filename: extended.or(plain) })
    }

    /// Whether the file is to be kept: `attachment`, or `attachement` as uhttpd's documentation spells it (row U27).
    #[must_use]
    pub fn is_attachment(&self) -> bool {
        let names: [&[u8]; 2] = [b"attachment", b"attachement"];
        names.iter().any(|name| self.kind.eq_ignore_ascii_case(name))
    }
}

/// The token in front, and what follows it.
fn take_token(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&b| !is_tchar(b)).unwrap_or(bytes.len());
    (end > 0).then(|| bytes.split_at(end))
}

/// value = token / quoted-string (RFC 9110 §5.6.4)
fn take_value(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let Some(quoted) = bytes.strip_prefix(b"\"") else {
        let (token, rest) = take_token(bytes)?;
        return Some((Cow::Borrowed(token), rest));
    };
    let plain = quoted.iter().position(|&b| b == b'"' || b == b'\\')?;
    let mut value = Cow::Borrowed(&quoted[..plain]);
    let mut rest = &quoted[plain..];
    loop {
        match rest {
            [b'"', rest @ ..] => return Some((value, rest)),
            [b'\\', byte, after @ ..] => {
                value.to_mut().push(*byte);
                rest = after;
            }
            [b'\\'] | [] => return None,
            [byte, after @ ..] => {
                value.to_mut().push(*byte);
                rest = after;
            }
        }
    }
}

/// ext-value = charset "'" [ language ] "'" value-chars (RFC 8187 §3.2.1)
fn decode_extended(value: &[u8]) -> Option<Vec<u8>> {
    let mut parts = value.splitn(3, |&b| b == b'\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let decoded = crate::uri::decode_path(encoded).ok()?;
    if charset.eq_ignore_ascii_case(b"utf-8") {
        return core::str::from_utf8(&decoded).is_ok().then(|| decoded.into_owned());
    }
    // Each byte is the character of that number.
    let latin1 = charset.eq_ignore_ascii_case(b"iso-8859-1");
    latin1.then(|| decoded.iter().map(|&b| char::from(b)).collect::<String>().into_bytes())
}
