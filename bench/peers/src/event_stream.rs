//! Reads an event stream that comes in parts. Of each event only the data matters here; comments,
//! which servers send as heartbeats, make no event. Lines end with LF or CRLF: no server here ends
//! them with CR alone, which the standard would allow.

use memchr::memchr;

use crate::Error;

#[derive(Default)]
pub struct EventParser {
    /// A line that has not ended yet.
    line: Vec<u8>,
    /// The data of the event that has not ended yet, each line with an LF after it.
    data: Vec<u8>,
}

impl EventParser {
    /// Hands the data of each event that ends in `input` to `event`.
    pub fn feed(
        &mut self,
        mut input: &[u8],
        mut event: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        while let Some(end) = memchr(b'\n', input) {
            if self.line.is_empty() {
                take_line(&mut self.data, &input[..end], &mut event)?;
            } else {
                self.line.extend_from_slice(&input[..end]);
                take_line(&mut self.data, &self.line, &mut event)?;
                self.line.clear();
            }
            input = &input[end + 1..];
        }
        self.line.extend_from_slice(input);
        Ok(())
    }
}

fn take_line(
    data: &mut Vec<u8>,
    line: &[u8],
    event: &mut impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if let Some(value) = line.strip_prefix(b"data:") {
        data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        data.push(b'\n');
    } else if line.is_empty()
        && let Some(whole) = data.strip_suffix(b"\n")
    {
        event(whole)?;
        data.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::EventParser;

    #[test]
    fn events_are_the_same_however_they_come() {
        let stream = b": hello\n\nid: 1\ndata: one\n\nevent: x\r\ndata:two\r\ndata:  three\r\n\r\n\ndata: left";
        for step in 1..stream.len() {
            let mut parser = EventParser::default();
            let mut events = Vec::new();
            for part in stream.chunks(step) {
                parser
                    .feed(part, |data| {
                        events.push(data.to_vec());
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(events, [&b"one"[..], b"two\n three"]);
        }
    }
}
