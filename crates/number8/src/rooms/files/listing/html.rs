//! The HTML page: one table, no script, nothing loaded from anywhere.

use std::fmt::{self, Write};
use std::sync::Arc;

use super::{Utc, View, chunks, href, pages, sort_key};
use crate::handler::Call;
use crate::store::{Entry, Kind, Listing, Sort};

/// Forms that change the folder, for those who may, and the way to a login.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forms {
    /// What they send back ([`Caller::form_token`](crate::Caller::form_token)).
    pub(crate) token: Option<Box<str>>,
    /// The way in or out.
    pub(crate) door: Option<Door>,
    /// Whether files can be added.
    pub(crate) add: bool,
    /// Whether entries can be removed.
    pub(crate) remove: bool,
}

impl Forms {
    /// The query of a form's action.
    fn query(&self, what: &str) -> String {
        match &self.token {
            Some(token) => format!("?{what}&amp;token={}", Escaped(token)),
            None => format!("?{what}"),
        }
    }
}

/// The way to a login, or out of it.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// The address of the form.
    In(String),
    /// Who has logged in by it, and the address that ends that.
    Out { user: Arc<str>, logout: String },
}

impl Door {
    /// `None` where there is no page for logging in, or the caller is known without one.
    pub(crate) fn of(call: &Call<'_>) -> Option<Self> {
        let (doors, user) = (call.caller.doors.as_ref()?, call.caller.user.as_ref());
        match (user, &call.caller.form_token) {
            (None, _) => Some(Self::In(doors.login_for(call.head.target()))),
            (Some(user), Some(token)) => {
                let logout = format!("{}?token={token}", doors.logout);
                Some(Self::Out { user: Arc::clone(user), logout })
            }
            (Some(_), None) => None,
        }
    }
}

/// Makes the page for the folder at the decoded URL path `path`, which begins and ends with `/`; at `/` it has no link to
/// a parent folder.
pub(crate) fn page(
    path: &[u8],
    view: View,
    listing: Listing,
    forms: Forms,
) -> impl Iterator<Item = Vec<u8>> + Send + use<> {
    let path = String::from_utf8_lossy(path);
    let mut head = format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Files in {}</title>
<style>
{STYLE}</style>
</head>
<body>
"#,
        Escaped(&path)
    );
    if let Some(door) = &forms.door {
        head += &way(door);
    }
    crumbs(&mut head, &path, view.list);
    head += "<main>\n<table>\n";
    head += &format!("<caption>{}</caption>\n<thead>\n<tr>", summary(&view, &listing));
    for (sort, heading) in COLUMNS {
        column(&mut head, &view, sort, heading);
    }
    head += "</tr>\n</thead>\n<tbody>\n";
    if path != "/" {
        head += "<tr><td colspan=\"3\"><a href=\"../";
        head += if view.list { "?list" } else { "" };
        head += "\">.. <small>(parent folder)</small></a></td></tr>\n";
    }

    let mut foot = "</tbody>\n</table>\n".to_owned();
    if listing.total == 0 {
        foot += "<p>This folder is empty.</p>\n";
    }
    if listing.truncated {
        foot += "<p>This folder holds more than that. The rest is not shown.</p>\n";
    }
    pager(&mut foot, &view, &listing);
    if forms.add {
        foot += &format!(
            "<form method=\"post\" enctype=\"multipart/form-data\" action=\"./{}\">\n<label>Add files \
             <input type=\"file\" name=\"file\" multiple required></label> <button>Upload</button>\n</form>\n",
            forms.query("list")
        );
    }
    foot += "</main>\n</body>\n</html>\n";
    chunks(head, listing.entries, move |out, entry| row(out, entry, view.list, &forms), foot)
}

fn way(door: &Door) -> String {
    match door {
        Door::In(login) => {
            format!(
                "<p class=\"login\"><a href=\"{}\" rel=\"nofollow\">Log in</a></p>\n",
                Escaped(login)
            )
        }
        Door::Out { user, logout } => format!(
            "<form class=\"login\" method=\"post\" action=\"{}\"><bdi>{}</bdi> <button>Log out</button></form>\n",
            Escaped(logout),
            Escaped(user)
        ),
    }
}

fn crumbs(out: &mut String, path: &str, list: bool) {
    let list = if list { "?list" } else { "" };
    *out += "<nav aria-label=\"Folders above\">\n<ol>";
    let names: Vec<_> = path.split('/').filter(|name| !name.is_empty()).collect();
    let mut above = names.len();
    for name in std::iter::once("Home").chain(names) {
        let name = Escaped(name);
        *out += &match above {
            0 => format!("<li><h1><bdi>{name}</bdi></h1></li>"),
            _ => {
                format!("<li><a href=\"{}{list}\"><bdi>{name}</bdi></a></li>", "../".repeat(above))
            }
        };
        above = above.saturating_sub(1);
    }
    *out += "</ol>\n</nav>\n";
}

fn summary(view: &View, listing: &Listing) -> String {
    let total = Grouped(listing.total as u64);
    match listing.total {
        0 => "No entries".to_owned(),
        1 => "1 entry".to_owned(),
        count if count <= view.page_entries => format!("{total} entries"),
        _ if view.page > pages(view, listing) => format!("{total} entries, none on this page"),
        _ => {
            let first = listing.offset as u64 + 1;
            let last = (listing.offset + view.page_entries).min(listing.total) as u64;
            format!("Entries {} to {} of {total}", Grouped(first), Grouped(last))
        }
    }
}

/// A heading that sorts; the one that is sorted by turns the order round.
fn column(out: &mut String, view: &View, sort: Sort, heading: &str) {
    let is_current = view.sort == sort;
    // Who sorts by size or date wants the largest or the newest.
    let descending = if is_current { !view.descending } else { sort != Sort::Name };
    let aria = match (is_current, view.descending) {
        (false, _) => "",
        (true, false) => " aria-sort=\"ascending\"",
        (true, true) => " aria-sort=\"descending\"",
    };
    let link = Escaped(&View { sort, descending, ..view.at_page(1) }.href()).to_string();
    *out += &format!(
        "<th scope=\"col\" class=\"{}\"{aria}><a href=\"{link}\" rel=\"nofollow\">{heading}</a></th>",
        sort_key(sort)
    );
}

fn row(out: &mut String, entry: &Entry, list: bool, forms: &Forms) {
    let name = String::from_utf8_lossy(&entry.name);
    let name = Escaped(&name);
    let (slash, size) = match entry.kind {
        Kind::Directory => ("/", "folder".to_owned()),
        Kind::File => {
            let size = size(entry.size);
            ("", format!("<span title=\"{} bytes\">{size}</span>", Grouped(entry.size)))
        }
    };
    let time = Utc::from_ns(entry.modified_ns);
    let (day, clock) = (time.day(), time.clock());
    let href = href(entry);
    let query = if list && entry.kind == Kind::Directory { "?list" } else { "" };
    let removal = if forms.remove { removal(&href, &name, forms) } else { String::new() };
    *out += &format!(
        "<tr><td class=\"name\"><a href=\"{href}{query}\"><bdi>{name}</bdi>{slash}</a>{removal}</td>\
         <td class=\"size\">{size}</td>\
         <td class=\"modified\"><time datetime=\"{time}\" title=\"{day} {clock} UTC\">\
         {day}<span> {}</span></time></td></tr>\n",
        &clock[..5],
    );
}

/// In two steps, so that nothing is lost by a slip.
fn removal(href: &str, name: &Escaped<'_>, forms: &Forms) -> String {
    format!(
        "<details><summary aria-label=\"Delete {name}\">Delete</summary><form method=\"post\" action=\"{href}{}\">\
         <button>Yes, delete it</button></form></details>",
        forms.query("delete")
    )
}

fn pager(out: &mut String, view: &View, listing: &Listing) {
    let pages = pages(view, listing);
    if pages == 1 && view.page == 1 {
        return;
    }
    let link = |page, rel, text| {
        let href = view.at_page(page).href();
        format!("<a href=\"{}\" rel=\"{rel}\">{text}</a>\n", Escaped(&href))
    };
    *out += "<nav aria-label=\"Pages\" class=\"pages\">\n";
    if view.page > 1 {
        *out += &link((view.page - 1).min(pages), "prev", "Previous");
    }
    *out +=
        &format!("<span>Page {} of {}</span>\n", Grouped(view.page as u64), Grouped(pages as u64));
    if view.page < pages {
        *out += &link(view.page + 1, "next", "Next");
    }
    *out += "</nav>\n";
}

/// A length for people: `42 bytes`, `1.5 KiB`, `640 MiB`. Cut, not rounded, so that it never claims more than there is.
fn size(bytes: u64) -> String {
    if bytes < 1024 {
        let unit = if bytes == 1 { "byte" } else { "bytes" };
        return format!("{bytes} {unit}");
    }
    let power = bytes.ilog2() / 10;
    let unit = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][power as usize - 1];
    let scale = 1u64 << (10 * power);
    let (whole, rest) = (bytes / scale, bytes % scale);
    match whole {
        0..10 => format!("{whole}.{} {unit}", rest * 10 / scale),
        _ => format!("{whole} {unit}"),
    }
}

/// Text for between tags and inside quoted attributes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // SECURITY: what turns the writing direction makes `x<U+202E>gpj.exe` look like a picture.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => f.write_str("\u{fffd}")?,
                char if char.is_control() => f.write_str("\u{fffd}")?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

/// A number with commas: `1,234,567`.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return self.0.fmt(f);
        }
        write!(f, "{},{:03}", Grouped(self.0 / 1000), self.0 % 1000)
    }
}

const COLUMNS: [(Sort, &str); 3] =
    [(Sort::Name, "Name"), (Sort::Size, "Size"), (Sort::Modified, "Modified <span>(UTC)</span>")];

const STYLE: &str = include_str!("listing.css");
