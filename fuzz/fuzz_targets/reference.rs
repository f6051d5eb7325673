//! What the targets compare with: slow, plain readers that share no code with the crate. They look at a
//! line when it is whole, and at nothing twice.

use number8_proto::Limits;

/// So small that inputs of a few hundred bytes come up against each of them.
pub const LIMITS: Limits = Limits {
    head_bytes_max: 1024,
    fields_max: 16,
    uri_bytes_max: 256,
    chunk_extension_bytes_max: 16,
    trailer_bytes_max: 64,
    drain_bytes_max: 64,
    lenient: false,
};

/// What came of reading.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// It ended after so many bytes.
    Whole(usize),
    /// It is right as far as it goes, or its last line is not whole.
    Cut,
    Wrong,
}

/// A body in chunks (RFC 9112 §7.1); what it holds goes to `data`, and a line for each trailer.
pub fn chunked(input: &[u8], limits: &Limits, data: &mut Vec<u8>) -> Read {
    let (mut at, mut extensions) = (0, 0);
    loop {
        let Some(line) = line(&input[at..]) else { return Read::Cut };
        at += line.len() + 2;
        let digits = line.split(|&b| b == b';').next().unwrap_or_default();
        let size = str::from_utf8(digits).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
        extensions += line.len() - digits.len();
        let is_plain = digits.len() < 16 && digits.iter().all(u8::is_ascii_hexdigit);
        let Some(size) = size.filter(|_| is_plain && is_value(line)) else { return Read::Wrong };
        if extensions > limits.chunk_extension_bytes_max {
            return Read::Wrong;
        }
        if size == 0 {
            return trailers(input, at, limits, data);
        }
        let rest = &input[at..];
        let chunk = &rest[..rest.len().min(size as usize)];
        data.extend(chunk);
        at += chunk.len();
        match &input[at..] {
            [] | [b'\r'] => return Read::Cut,
            [b'\r', b'\n', ..] => at += 2,
            _ => return Read::Wrong,
        }
    }
}

fn trailers(input: &[u8], start: usize, limits: &Limits, data: &mut Vec<u8>) -> Read {
    const FORBIDDEN: &str = " authorization cache-control connection content-encoding content-length \
        content-range content-type cookie expect forwarded host keep-alive max-forwards pragma \
        proxy-authorization proxy-connection range te trailer transfer-encoding upgrade x-real-ip ";
    let mut at = start;
    while let Some(line) = line(&input[at..]) {
        at += line.len() + 2;
        if line.is_empty() {
            return Read::Whole(at);
        }
        let Some((name, value)) = field(line) else { return Read::Wrong };
        let lower = name.to_ascii_lowercase();
        let is_forbidden = FORBIDDEN.contains(&format!(" {lower} "))
            || ["if-", "x-forwarded-"].iter().any(|begin| lower.starts_with(begin));
        if is_forbidden || at - start > limits.trailer_bytes_max {
            return Read::Wrong;
        }
        data.extend([b"\n", name.as_bytes(), b": ", value].concat());
    }
    Read::Cut
}

/// What stands before the first CRLF.
pub fn line(input: &[u8]) -> Option<&[u8]> {
    input.windows(2).position(|end| end == b"\r\n").map(|end| &input[..end])
}

/// Name and value, white space around it taken off, of a field line without its end.
pub fn field(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|&b| b == b':')?;
    let (name, value) = (str::from_utf8(&line[..colon]).ok()?, &line[colon + 1..]);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let is_ows = |b: &u8| *b == b' ' || *b == b'\t';
    let start = value.iter().position(|b| !is_ows(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !is_ows(b)).map_or(start, |last| last + 1);
    let is_field = !name.is_empty() && name.chars().all(is_name) && is_value(value);
    is_field.then_some((name, &value[start..end]))
}

fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| b == b'\t' || !b.is_ascii_control())
}
