//! The head of an answer.

use memchr::memmem;

use crate::Error;

/// Far more than any server here sends.
const HEAD_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, PartialEq)]
pub struct Head {
    pub status: u16,
    /// How many bytes the head takes, with the blank line.
    pub length: usize,
    /// Names in lower case.
    fields: Vec<(String, String)>,
}

impl Head {
    /// None until the whole head has come.
    pub fn parse(received: &[u8]) -> Result<Option<Self>, Error> {
        let Some(end) = memmem::find(received, b"\r\n\r\n") else {
            return match received.len() {
                ..HEAD_BYTES_MAX => Ok(None),
                length => Err(format!("a head of more than {length} bytes").into()),
            };
        };
        let text = std::str::from_utf8(&received[..end])?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "))
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or_else(|| format!("no status line: {text:?}"))?;
        let fields = lines
            .map(|line| {
                let (name, value) =
                    line.split_once(':').ok_or_else(|| format!("no field: {line:?}"))?;
                Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Some(Self { status, length: end + 4, fields }))
    }

    /// The first field of that `name`, which is in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(its, _)| its == name).map(|(_, value)| value.as_str())
    }

    pub fn is_chunked(&self) -> bool {
        self.field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    /// The length of a body that is not chunked; without one it has none or ends with the
    /// connection.
    pub fn content_length(&self) -> Result<usize, Error> {
        Ok(self.field("content-length").map_or(Ok(0), str::parse)?)
    }
}

#[cfg(test)]
mod tests {
    use super::Head;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: x: y\r\n\r\nhi";

    #[test]
    fn a_head_is_whole_or_not_there() {
        let end = ANSWER.len() - 2;
        for cut in 0..end {
            assert_eq!(Head::parse(&ANSWER[..cut]).unwrap(), None);
        }
        let head = Head::parse(ANSWER).unwrap().unwrap();
        assert_eq!((head.status, head.length), (200, end));
        assert_eq!(head.content_length().unwrap(), 2);
        assert_eq!(head.field("server"), Some("x: y"));
        assert!(!head.is_chunked());
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bytes in
            [&b"SSH-2.0\r\n\r\n"[..], b"HTTP/1.1 2\r\n\r\n", b"HTTP/1.1 200 OK\r\nx\r\n\r\n"]
        {
            assert!(Head::parse(bytes).is_err());
        }
    }
}
