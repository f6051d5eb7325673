//! Wire cases as pages: what the Markdown files beside this one say, made into bytes.
//!
//! A case is a `##` heading and fenced blocks: `request` (with options after the word), `log`, and
//! `sent` where the bytes of the answers matter. A table makes a family of cases: its head names
//! placeholders, and each row puts its cells in their places.
//!
//! In `request` and `sent`, ends of lines mean nothing, and `\r \n \t \0 \\ \xNN` are bytes. `\{N*text}`
//! is a text N times, and `§` in a cell ends a line of the log. Options of a request: `lenient`, `eof`
//! (the client then closes its half), `show=a,b` (see `Server::show`) and the limits by their names.

use number8_proto::Limits;

/// One case, ready to be played.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) request: Vec<u8>,
    pub(crate) log: String,
    pub(crate) sent: Option<Vec<u8>>,
    pub(crate) show: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) has_eof: bool,
}

/// A case as written: its blocks still hold placeholders.
#[derive(Default)]
struct Page<'t> {
    name: &'t str,
    blocks: Vec<(&'t str, String)>,
    rows: Vec<Vec<&'t str>>,
}

/// Every case of every page in that folder.
pub(crate) fn all(folder: &str) -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder of pages")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.sort();
    let texts = files.iter().map(|path| std::fs::read_to_string(path).expect("a page of text"));
    texts.flat_map(|text| pages(&text).iter().flat_map(Page::cases).collect::<Vec<_>>()).collect()
}

fn pages(text: &str) -> Vec<Page<'_>> {
    let mut pages: Vec<Page<'_>> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("## ") {
            pages.push(Page { name, ..Page::default() });
        }
        let Some(page) = pages.last_mut() else { continue };
        if let Some(info) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            page.blocks.push((info, block.join("\n")));
        } else if let Some(row) = line.strip_prefix("| ") {
            let row = row.strip_suffix(" |").unwrap_or(row);
            page.rows.push(row.split(" | ").map(|cell| cell.trim().trim_matches('`')).collect());
        }
    }
    pages
}

impl Page<'_> {
    fn cases(&self) -> Vec<Case> {
        let Some((placeholders, rows)) = self.rows.split_first() else {
            return vec![self.case(&[])];
        };
        // The second row is the line under the head.
        let rows = rows[1..].iter().map(|row| {
            assert_eq!(row.len(), placeholders.len(), "{}: {row:?}", self.name);
            placeholders.iter().copied().zip(row.iter().copied()).collect::<Vec<_>>()
        });
        rows.map(|row| self.case(&row)).collect()
    }

    fn case(&self, row: &[(&str, &str)]) -> Case {
        let fill = |text: &str| {
            let text =
                row.iter().fold(text.to_owned(), |text, (name, cell)| text.replace(name, cell));
            repeat(&text)
        };
        let block = |kind: &str| {
            let mut blocks = self.blocks.iter();
            blocks
                .find(|(info, _)| info.split(' ').next() == Some(kind))
                .map(|(info, text)| (fill(info), fill(text)))
        };
        let (info, request) = block("request").expect(self.name);
        let cells: Vec<_> = row.iter().map(|(_, cell)| *cell).collect();
        let mut case = Case {
            name: format!("{} {}", self.name, cells.join(" ")),
            request: bytes(&request),
            log: block("log").expect(self.name).1.replace('§', "\n"),
            sent: block("sent").map(|(_, text)| bytes(&text)),
            show: Vec::new(),
            limits: Limits::default(),
            has_eof: false,
        };
        for option in info.split(' ').skip(1) {
            case.set(option);
        }
        case
    }
}

impl Case {
    fn set(&mut self, option: &str) {
        let (name, value) = option.split_once('=').unwrap_or((option, "0"));
        let number: usize = value.parse().unwrap_or(0);
        match name {
            "eof" => self.has_eof = true,
            "lenient" => self.limits.lenient = true,
            "show" => self.show = value.split(',').map(Into::into).collect(),
            "head_bytes_max" => self.limits.head_bytes_max = number,
            "fields_max" => self.limits.fields_max = number,
            "uri_bytes_max" => self.limits.uri_bytes_max = number,
            "chunk_extension_bytes_max" => self.limits.chunk_extension_bytes_max = number,
            "trailer_bytes_max" => self.limits.trailer_bytes_max = number,
            "drain_bytes_max" => self.limits.drain_bytes_max = number as u64,
            other => panic!("{}: there is no option {other}", self.name),
        }
    }
}

/// Writes out what is to be repeated.
fn repeat(text: &str) -> String {
    let Some((before, rest)) = text.split_once("\\{") else { return text.to_owned() };
    let (inner, after) = rest.split_once('}').expect("\\{N*text}");
    let (count, inner) = inner.split_once('*').expect("\\{N*text}");
    let count = count.parse().expect("a number before *");
    before.to_owned() + &inner.repeat(count) + &repeat(after)
}

/// The bytes that a block spells.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '\n' => {}
            '\\' => rest = escape(rest, &mut bytes),
            other => bytes.extend_from_slice(other.to_string().as_bytes()),
        }
    }
    bytes
}

/// Appends what stands after a backslash; returns the rest.
fn escape<'t>(text: &'t str, out: &mut Vec<u8>) -> &'t str {
    let simple = |byte, out: &mut Vec<u8>| {
        out.push(byte);
        &text[1..]
    };
    match text.as_bytes().first() {
        Some(b'r') => simple(b'\r', out),
        Some(b'n') => simple(b'\n', out),
        Some(b't') => simple(b'\t', out),
        Some(b'0') => simple(0, out),
        Some(b'\\') => simple(b'\\', out),
        Some(b'x') => {
            out.push(u8::from_str_radix(&text[1..3], 16).expect("two digits after \\x"));
            &text[3..]
        }
        _ => panic!("no such escape: \\{text}"),
    }
}
