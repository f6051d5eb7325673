//! What is in a folder, one page at a time.
//!
//! A listing reads all names, since a folder has no order of its own, but looks only at the entries it returns: at all of
//! them when sorting by size or date, and at links, whose target decides whether they are shown. Finding the page takes
//! time linear in the number of entries; only the page is sorted.

use std::cmp::Ordering;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;

use rustix::fs::FileType;

use super::path::{check_name, is_hidden};
use super::{Kind, Meta, Root, SafePath, sys};

/// A folder, open for listing.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    meta: Meta,
    root: Root,
    path: SafePath,
}

/// What to list, and in which order.
#[derive(Clone, Copy, Debug)]
pub struct ListOptions {
    /// What to sort by. Entries that are equal in it are in the order of their names.
    pub sort: Sort,
    /// Largest first.
    pub descending: bool,
    /// Folders before files, whatever the order.
    pub dirs_first: bool,
    /// How many entries to leave out in front.
    pub offset: usize,
    /// How many entries to return at most.
    pub limit: usize,
    /// How many entries to look at. It bounds the memory: an entry takes 32 bytes and its name.
    pub entries_max: usize,
}

impl Default for ListOptions {
    fn default() -> Self {
        Self {
            sort: Sort::Name,
            descending: false,
            dirs_first: true,
            offset: 0,
            limit: 1000,
            entries_max: 1_000_000,
        }
    }
}

/// The order of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// As people sort: `a2` before `B10`, numbers by value and ASCII letters without regard to case.
    Name,
    /// By length in bytes.
    Size,
    /// By time of the last change of the content.
    Modified,
}

/// A page of a folder's entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The entries, in order. May be fewer than asked for when some vanish meanwhile.
    pub entries: Vec<Entry>,
    /// How many entries the folder has to show.
    pub total: usize,
    /// How many of them come before this page.
    pub offset: usize,
    /// Whether the folder has more than [`ListOptions::entries_max`] entries; the rest is not counted.
    pub truncated: bool,
}

/// A regular file or a folder; a link is what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, in bytes that need not be UTF-8.
    pub name: Box<[u8]>,
    /// File or folder.
    pub kind: Kind,
    /// Length in bytes; 0 for a folder.
    pub size: u64,
    /// Time of the last change of the content, in nanoseconds since 1970-01-01T00:00Z.
    pub modified_ns: i128,
}

impl Dir {
    pub(super) fn new(fd: OwnedFd, meta: Meta, root: Root, path: SafePath) -> Self {
        Self { fd, meta, root, path }
    }

    /// What the folder was like when it was opened.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Where it is beneath its root.
    pub fn path(&self) -> &SafePath {
        &self.path
    }

    /// Lists the folder; waits for the disk. Shown is what [`Root::open_blocking`] would open: regular files and folders
    /// that are not hidden, and links to such.
    ///
    /// # Errors
    /// Those of getdents(2).
    pub fn list(self, options: &ListOptions) -> io::Result<Listing> {
        self.list_some(options, |_, _| true)
    }

    /// As [`Dir::list`], but as if nothing were there of which `is_shown`, asked for its name and kind, says no.
    ///
    /// # Errors
    /// Those of getdents(2).
    pub fn list_some(
        self,
        options: &ListOptions,
        is_shown: impl Fn(&[u8], Kind) -> bool,
    ) -> io::Result<Listing> {
        let (mut found, truncated) = self.scan(options, is_shown)?;
        let total = found.len();
        let order = |a: &Found, b: &Found| a.compare(b, options);
        let entries = page(&mut found, options.offset, options.limit, order);
        let entries = entries.iter().filter_map(|found| self.entry(found)).collect();
        Ok(Listing { entries, total, offset: options.offset, truncated })
    }

    fn scan(
        &self,
        options: &ListOptions,
        is_shown: impl Fn(&[u8], Kind) -> bool,
    ) -> io::Result<(Vec<Found>, bool)> {
        let mut all = Vec::new();
        let mut truncated = false;
        sys::read_dir(&self.fd, |name, file_type| {
            if let Some(found) = self.look(name, file_type, options.sort)
                && is_shown(&found.name, found.kind)
            {
                if all.len() == options.entries_max {
                    truncated = true;
                    return ControlFlow::Break(());
                }
                all.push(found);
            }
            ControlFlow::Continue(())
        })?;
        Ok((all, truncated))
    }

    fn look(&self, name: &[u8], file_type: FileType, sort: Sort) -> Option<Found> {
        if check_name(name).is_err() || is_hidden(name, self.root.hidden()) {
            return None;
        }
        let link = match file_type {
            FileType::Symlink => true,
            FileType::Directory | FileType::RegularFile => false,
            // Some file systems do not say.
            FileType::Unknown => {
                sys::file_type(&sys::stat_name(&self.fd, name).ok()?) == FileType::Symlink
            }
            _ => return None,
        };
        let kind = match file_type {
            FileType::Directory => Kind::Directory,
            _ => Kind::File,
        };
        let mut found = Found { name: name.into(), key: 0, kind, link };
        if link || file_type == FileType::Unknown || sort != Sort::Name {
            let meta = self.meta_of(&found)?;
            found.kind = meta.kind;
            found.key = match sort {
                Sort::Name => 0,
                Sort::Size => i64::try_from(meta.size).unwrap_or(i64::MAX),
                Sort::Modified => i64::try_from(meta.modified_ns).unwrap_or(i64::MAX),
            };
        }
        Some(found)
    }

    fn meta_of(&self, found: &Found) -> Option<Meta> {
        if found.link {
            // From the root, since a link may lead up and down again.
            let path = self.path.join(&found.name, self.root.hidden()).ok()?;
            return self.root.stat_blocking(&path).ok();
        }
        Meta::from_stat(&sys::stat_name(&self.fd, &found.name).ok()?).ok()
    }

    fn entry(&self, found: &Found) -> Option<Entry> {
        let Meta { kind, size, modified_ns, .. } = self.meta_of(found)?;
        Some(Entry { name: found.name.clone(), kind, size, modified_ns })
    }
}

/// As little as sorting needs, since there may be a million.
#[derive(Debug)]
struct Found {
    name: Box<[u8]>,
    /// Size or time of change; 0 when sorting by name.
    key: i64,
    kind: Kind,
    link: bool,
}

impl Found {
    fn compare(&self, other: &Self, options: &ListOptions) -> Ordering {
        let folder = |found: &Self| options.dirs_first && found.kind == Kind::Directory;
        let by_name = || compare_names(&self.name, &other.name);
        let order = match options.sort {
            Sort::Name => by_name(),
            Sort::Size | Sort::Modified => self.key.cmp(&other.key),
        };
        let order = if options.descending { order.reverse() } else { order };
        folder(other).cmp(&folder(self)).then(order).then_with(by_name)
    }
}

/// Sorts just the page: what comes before and after it is only moved aside.
fn page<T>(
    all: &mut [T],
    offset: usize,
    limit: usize,
    order: impl Fn(&T, &T) -> Ordering,
) -> &mut [T] {
    if offset >= all.len() || limit == 0 {
        return &mut [];
    }
    if offset > 0 {
        all.select_nth_unstable_by(offset, &order);
    }
    let rest = &mut all[offset..];
    if limit < rest.len() {
        rest.select_nth_unstable_by(limit, &order);
    }
    let len = limit.min(rest.len());
    let page = &mut rest[..len];
    page.sort_unstable_by(&order);
    page
}

/// Numbers by value, ASCII letters without case; names that are equal so, by their bytes.
fn compare_names(a: &[u8], b: &[u8]) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (Some(x), Some(y)) = (left.first(), right.first()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (x, y) = (take_number(&mut left), take_number(&mut right));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase())
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes the digits in front and returns them without leading zeros, so that the longer is the larger.
fn take_number<'a>(name: &mut &'a [u8]) -> &'a [u8] {
    let len = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = name.split_at(len);
    *name = rest;
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    &digits[zeros..]
}
