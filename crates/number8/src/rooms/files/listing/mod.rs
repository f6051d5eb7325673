//! A folder's listing as an HTML page or a JSON document.
//!
//! Both come as an iterator of chunks, so that a long page is sent while it is made. All links are relative: they hold
//! behind any prefix and any proxy. They count on the page's own URL ending in a slash.

pub(crate) mod html;
pub(crate) mod json;
#[cfg(test)]
mod tests;

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::store::{Entry, Kind, ListOptions, Listing, Sort};

/// What a client asks for in the query of a folder's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// `json`: the JSON document, whatever Accept says.
    pub(crate) json: bool,
    /// The document with uhttpd's keys alone.
    pub(crate) plain: bool,
    /// `list`: the HTML page, whatever stands for the folder.
    pub(crate) list: bool,
    /// `sort=name`, `size` or `modified`.
    pub(crate) sort: Sort,
    /// `order=asc` or `desc`.
    pub(crate) descending: bool,
    /// `page=1` and up.
    pub(crate) page: usize,
    /// Entries on a page.
    pub(crate) page_entries: usize,
}

impl View {
    /// What is shown when nothing is asked for.
    pub(crate) fn new(page_entries: usize) -> Self {
        Self {
            json: false,
            plain: false,
            list: false,
            sort: Sort::Name,
            descending: false,
            page: 1,
            page_entries,
        }
    }

    /// Reads the query, without its `?`. What we do not know is left out: somebody else's parameter is no error.
    pub(crate) fn read(&mut self, query: &str) {
        for pair in query.split('&') {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("json", _) => self.json = true,
                ("list", _) => self.list = true,
                ("sort", "name") => self.sort = Sort::Name,
                ("sort", "size") => self.sort = Sort::Size,
                ("sort", "modified") => self.sort = Sort::Modified,
                ("order", order) => self.descending = order == "desc",
                ("page", page) => self.page = page.parse().unwrap_or(1).max(1),
                _ => {}
            }
        }
    }

    /// Which entries to list for this view.
    pub(crate) fn options(&self) -> ListOptions {
        ListOptions {
            sort: self.sort,
            descending: self.descending,
            offset: (self.page - 1).saturating_mul(self.page_entries),
            limit: self.page_entries,
            ..Default::default()
        }
    }

    /// The link to this view from any other of the same folder. Defaults are left out.
    fn href(&self) -> String {
        let mut pairs = Vec::new();
        if self.json {
            pairs.push("json".to_owned());
        }
        if self.list {
            pairs.push("list".to_owned());
        }
        if self.sort != Sort::Name || self.descending {
            let order = if self.descending { "desc" } else { "asc" };
            pairs.push(format!("sort={}&order={order}", sort_key(self.sort)));
        }
        if self.page > 1 {
            pairs.push(format!("page={}", self.page));
        }
        if pairs.is_empty() { "./".to_owned() } else { format!("?{}", pairs.join("&")) }
    }

    fn at_page(self, page: usize) -> Self {
        Self { page, ..self }
    }
}

fn sort_key(sort: Sort) -> &'static str {
    match sort {
        Sort::Name => "name",
        Sort::Size => "size",
        Sort::Modified => "modified",
    }
}

fn pages(view: &View, listing: &Listing) -> usize {
    listing.total.div_ceil(view.page_entries).max(1)
}

/// Puts `head`, the rows and `foot` together, some rows to a chunk.
fn chunks(
    head: String,
    entries: Vec<Entry>,
    row: impl Fn(&mut String, &Entry) + Send + 'static,
    foot: String,
) -> impl Iterator<Item = Vec<u8>> + Send {
    let mut entries = entries.into_iter().peekable();
    let rows = std::iter::from_fn(move || {
        entries.peek()?;
        let mut chunk = String::new();
        for entry in entries.by_ref().take(CHUNK_ENTRIES) {
            row(&mut chunk, &entry);
        }
        Some(chunk)
    });
    std::iter::once(head).chain(rows).chain(std::iter::once(foot)).map(String::into_bytes)
}

/// The link from the page to an entry.
///
/// SECURITY: a colon is encoded too, so no name can be taken for a scheme such as `javascript:`.
fn href(entry: &Entry) -> String {
    let slash = if entry.kind == Kind::Directory { "/" } else { "" };
    format!("{}{slash}", percent_encode(&entry.name, NOT_UNRESERVED))
}

/// A time of day and date in UTC.
struct Utc {
    days: i64,
    second: i64,
}

impl Utc {
    /// Times that RFC 3339 cannot write, before the year 0 or after 9999, become the nearest that it can.
    fn from_ns(ns: i128) -> Self {
        let seconds = i64::try_from(ns.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
        let seconds = seconds.clamp(YEAR_0, YEAR_9999_END);
        Self { days: seconds.div_euclid(86_400), second: seconds.rem_euclid(86_400) }
    }

    /// Year, month and day of the proleptic Gregorian calendar, counted in years that begin in March, so that the
    /// leap day is the last.
    fn date(&self) -> (i64, i64, i64) {
        let days = self.days + DAYS_TO_1970;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        (era * 400 + year + carry, month, day)
    }

    fn day(&self) -> String {
        let (year, month, day) = self.date();
        format!("{year:04}-{month:02}-{day:02}")
    }

    fn clock(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.second / 3600, self.second / 60 % 60, self.second % 60)
    }
}

/// As RFC 3339 writes it: `2026-01-31T23:59:59Z`.
impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}Z", self.day(), self.clock())
    }
}

/// How many entries a page has: enough for nearly every folder, and a page that a phone can still show.
pub(crate) const PAGE_ENTRIES: usize = 1000;

/// About 16 KiB of HTML.
const CHUNK_ENTRIES: usize = 64;

/// All but the unreserved characters of RFC 3986 §2.3.
const NOT_UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// From 1 March of the year 0.
const DAYS_TO_1970: i64 = 719_468;

/// Seconds from 1970 to 0000-01-01T00:00:00Z and to 9999-12-31T23:59:59Z.
const YEAR_0: i64 = -62_167_219_200;
const YEAR_9999_END: i64 = 253_402_300_799;
