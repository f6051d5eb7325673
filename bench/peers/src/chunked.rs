//! Takes the chunked coding (RFC 9112, section 7.1) off a body that comes in parts.

use crate::Error;

#[derive(Debug, PartialEq)]
pub enum Dechunker {
    /// In the line that gives a chunk's size.
    Size(u64),
    /// After the digits, to the end of that line.
    Extension(u64),
    /// In a chunk of which so many bytes are to come.
    Data(u64),
    /// In the line end after a chunk.
    DataEnd,
    /// After the chunk of size nought: the rest are trailers.
    Ended,
}

impl Default for Dechunker {
    fn default() -> Self {
        Self::Size(0)
    }
}

impl Dechunker {
    /// Hands each piece of content in `input` to `content`.
    pub fn feed(
        &mut self,
        mut input: &[u8],
        mut content: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        while let Some((&first, rest)) = input.split_first() {
            match *self {
                Self::Ended => return Ok(()),
                Self::Data(left) => {
                    let count = input.len().min(usize::try_from(left)?);
                    let (piece, after) = input.split_at(count);
                    content(piece)?;
                    *self = match left - count as u64 {
                        0 => Self::DataEnd,
                        left => Self::Data(left),
                    };
                    input = after;
                    continue;
                }
                Self::DataEnd if first == b'\n' => *self = Self::Size(0),
                Self::DataEnd if first == b'\r' => {}
                Self::Size(0) | Self::Extension(0) if first == b'\n' => *self = Self::Ended,
                Self::Size(size) | Self::Extension(size) if first == b'\n' => {
                    *self = Self::Data(size);
                }
                Self::Extension(_) => {}
                Self::Size(size) if matches!(first, b'\r' | b';') => *self = Self::Extension(size),
                Self::Size(size) => *self = Self::Size(grown(size, first)?),
                Self::DataEnd => return Err("a chunk longer than its size".into()),
            }
            input = rest;
        }
        Ok(())
    }
}

fn grown(size: u64, digit: u8) -> Result<u64, Error> {
    let value = char::from(digit).to_digit(16).ok_or("a chunk size that is no number")?;
    let shifted = size.checked_mul(16).ok_or("a chunk size beyond all bounds")?;
    Ok(shifted + u64::from(value))
}

#[cfg(test)]
mod tests {
    use super::Dechunker;

    #[test]
    fn content_is_the_same_however_it_comes() {
        let body = b"5\r\nhello\r\n00B;x=y\r\n, world\r\n\r\n\r\n0\r\nTrailer: 1\r\n\r\n";
        for step in 1..body.len() {
            let mut dechunker = Dechunker::default();
            let mut content = Vec::new();
            for part in body.chunks(step) {
                dechunker
                    .feed(part, |piece| {
                        content.extend_from_slice(piece);
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(content, b"hello, world\r\n\r\n");
            assert_eq!(dechunker, Dechunker::Ended);
        }
    }

    #[test]
    fn what_is_not_chunked_is_an_error() {
        for body in ["data: x", "1\r\nxy\r\n", "11111111111111111\r\n"] {
            assert!(Dechunker::default().feed(body.as_bytes(), |_| Ok(())).is_err(), "{body}");
        }
    }
}
