//! The room that serves a folder: files, index files, listings.
//!
//! A request goes through these steps, and each may end it:
//!
//! 1. another method than GET and HEAD: OPTIONS, or 405;
//! 2. the cache: a file that was served lately, looked at again once a second;
//! 3. the path: 400 if it is none, 404 if it is hidden or leads nowhere;
//! 4. a folder without its slash: a redirect that keeps the query;
//! 5. a folder: its index file, its listing, or 404;
//! 6. the file: preconditions, coding, range.
//!
//! Steps 3 to 5 happen where the request was parsed as long as the system answers from memory, else on
//! the lane.

mod cache;
#[cfg(feature = "compression")]
mod compress;
mod entry;
pub(crate) mod listing;
mod load;
mod mime;
mod respond;

use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use number8_proto::headers::{FieldError, Fields, Known};
use number8_proto::http1::{Head, Method};
use number8_proto::negotiate::prefers_json;

use crate::app::{not_allowed, options};
use crate::body::Body;
use crate::handler::{Answer, Call, Handler, Now};
use crate::response::Response;
use crate::server::lane::Lane;
use crate::store::{Dir, Hidden, OpenError, PathError, Root, RootOptions, SafePath};
use cache::Cache;
use entry::{Common, Entry};
use listing::View;
use load::{Found, Missing, Patience, Wish};
use mime::Types;

const ALLOW: &str = "GET, HEAD, OPTIONS";

/// Serves a folder, or one file.
///
/// ```no_run
/// use number8::{App, Files};
///
/// let app = App::new().mount("/", Files::new("public")?.single_page("index.html"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Files {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: Root,
    /// The one file that is served, where it is no folder.
    only: Option<SafePath>,
    settings: Settings,
    common: Common,
    cache: Cache,
}

#[derive(Debug, Clone)]
struct Settings {
    index: Vec<String>,
    spa: Option<String>,
    listing: bool,
    page_entries: usize,
    types: Types,
}

/// What of a folder may be seen at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Serve names that begin with a dot.
    pub hidden: bool,
    /// Follow links that lead out of the folder.
    pub follow_links: bool,
}

impl Files {
    /// Serves this folder, or this file, without hidden names and without links that lead out.
    ///
    /// # Errors
    /// It is not there, or may not be read.
    pub fn new(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::with_reach(path, Reach::default())
    }

    /// As [`Files::new`], but says what may be seen.
    ///
    /// # Errors
    /// As for [`Files::new`].
    pub fn with_reach(path: impl AsRef<Path>, reach: Reach) -> io::Result<Self> {
        let path = path.as_ref();
        let options = RootOptions {
            hidden: if reach.hidden { Hidden::Serve } else { Hidden::Refuse },
            follow_links: reach.follow_links,
            ..RootOptions::default()
        };
        let (root, only) = if std::path::Path::is_dir(path) {
            (Root::open(path, options)?, None)
        } else {
            let (root, file) = Root::open_file(path, options)?;
            (root, Some(file))
        };
        Ok(Self {
            inner: Arc::new(Inner {
                root,
                only,
                settings: Settings {
                    index: vec!["index.html".to_owned()],
                    spa: None,
                    listing: true,
                    page_entries: listing::PAGE_ENTRIES,
                    types: Types::default(),
                },
                common: Common { fields: Vec::new(), compress: cfg!(feature = "compression") },
                cache: Cache::new(CACHE_BYTES),
            }),
        })
    }

    /// Names of index files, the first found is served; none turns them off. Default `index.html`.
    #[must_use]
    pub fn index(self, names: impl IntoIterator<Item = String>) -> Self {
        self.change(|inner| inner.settings.index = names.into_iter().collect())
    }

    /// Serves this file, a path from the folder, where a page is missing: for single-page apps.
    #[must_use]
    pub fn single_page(self, file: &str) -> Self {
        let file = file.trim_start_matches('/').to_owned();
        self.change(|inner| inner.settings.spa = Some(file))
    }

    /// Whether a folder without index file shows what is in it. Default yes.
    #[must_use]
    pub fn listing(self, listing: bool) -> Self {
        self.change(|inner| inner.settings.listing = listing)
    }

    /// Entries on one page of a listing. Default 1,000.
    #[must_use]
    pub fn listing_page(self, entries: usize) -> Self {
        self.change(|inner| inner.settings.page_entries = entries.max(1))
    }

    /// The media type of files with this extension.
    #[must_use]
    pub fn mime(self, extension: &str, mime: &str) -> Self {
        self.change(|inner| inner.settings.types.insert(extension, mime))
    }

    /// Adds a field to every answer with a file.
    ///
    /// # Errors
    /// The field cannot be sent.
    pub fn header(self, name: &str, value: &str) -> Result<Self, FieldError> {
        Fields::new().push(name, value.as_bytes())?;
        let field = (name.to_owned(), value.as_bytes().to_vec());
        Ok(self.change(|inner| inner.common.fields.push(field)))
    }

    /// Bytes that the cache of small files and compressed texts may hold; 0 is no cache. Default 64 MiB.
    #[must_use]
    pub fn cache_bytes(self, bytes: usize) -> Self {
        self.change(|inner| inner.cache = Cache::new(bytes))
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            change(inner);
        }
        self
    }
}

/// The media type of a file of that name, by its extension: the value of its Content-Type.
#[must_use]
pub fn media_type(name: &[u8]) -> String {
    Types::default().of(name).into_owned()
}

/// Bytes of the cache unless said otherwise.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

impl Handler for Files {
    fn handle(&self, call: Call<'_>) -> Answer {
        match call.head.method() {
            Method::Get | Method::Head => {}
            Method::Options => return options(ALLOW).into(),
            _ => return not_allowed(ALLOW).into(),
        }
        let now = call.now;
        if let Some(entry) = self.inner.cache.get(call.path) {
            if entry.is_fresh(now.monotonic_ms) {
                return self.inner.respond(&entry, &call).into();
            }
            if !entry.is_old(now.monotonic_ms)
                && let Ok(true) = self.inner.is_unchanged(&entry, Patience::Never)
            {
                entry.checked(now.monotonic_ms);
                return self.inner.respond(&entry, &call).into();
            }
            self.inner.cache.remove(call.path, &entry);
        }
        let (view, wish) = asked(call.head, self.inner.settings.page_entries);
        match self.inner.find(call.path, wish, Patience::Never) {
            Err(Missing::Open(OpenError::WouldBlock)) => self.find_on_lane(&call, view, wish),
            Ok(Found::Folder { dir, path }) => list_on_lane(call.lane, dir, path, view),
            found => self.inner.answer(found, call.head, call.path, Some(call.lane)).into(),
        }
    }
}

impl Files {
    /// The disk has to be asked: a thread of the lane waits for it.
    fn find_on_lane(&self, call: &Call<'_>, view: View, wish: Wish) -> Answer {
        let inner = Arc::clone(&self.inner);
        let (head, path, lane) = (call.head.to_owned(), call.path.to_vec(), call.lane.clone());
        let job = lane.submit({
            let (inner, path) = (Arc::clone(&inner), path.clone());
            move || inner.find(&path, wish, Patience::Waits)
        });
        let Ok(job) = job else { return busy().into() };
        Answer::later(async move {
            match job.await {
                Ok(Ok(Found::Folder { dir, path })) => match list_on_lane(&lane, dir, path, view) {
                    Answer::Ready(response) => response,
                    Answer::Later(listing) => listing.await,
                },
                Ok(found) => inner.answer(found, &head.head(), &path, Some(&lane)),
                Err(_) => failed(),
            }
        })
    }
}

impl Inner {
    /// The answer to what was found, but for a folder's listing.
    fn answer(
        self: &Arc<Self>,
        found: Result<Found, Missing>,
        head: &Head<'_>,
        path: &[u8],
        lane: Option<&Lane>,
    ) -> Response {
        match found {
            Ok(Found::File { entry, by_path }) => {
                if by_path && entry.may_be_kept() {
                    self.cache.insert(path, &entry);
                    if let Some(lane) = lane {
                        self.compress(&entry, head, path, lane);
                    }
                }
                respond::respond(&entry, head, Now::read())
            }
            Ok(Found::NeedsSlash) => needs_slash(head),
            // Listings are made by the lane: see `list_on_lane`.
            Ok(Found::Folder { .. }) => failed(),
            Err(missing) => refused(&missing),
        }
    }

    /// The answer from an entry of the cache.
    fn respond(self: &Arc<Self>, entry: &Arc<Entry>, call: &Call<'_>) -> Response {
        if entry.is_compressible {
            self.compress(entry, call.head, call.path, call.lane);
        }
        respond::respond(entry, call.head, call.now)
    }

    /// Has a compressed copy made of a kept file, once, if the client would take it.
    #[cfg(feature = "compression")]
    fn compress(self: &Arc<Self>, entry: &Arc<Entry>, head: &Head<'_>, path: &[u8], lane: &Lane) {
        use entry::{Content, Representation, Source};
        use number8_proto::negotiate::Coding;

        let size = entry.meta.size;
        if !(compress::BYTES_MIN..=compress::BYTES_MAX).contains(&size)
            || !head.has(Known::AcceptEncoding)
        {
            return;
        }
        let all = [Coding::Zstd, Coding::Br, Coding::Gzip];
        let Some(coding) = respond::accepted(head).best(&all) else { return };
        if coding == Coding::Identity || !entry.begin_compressing() {
            return;
        }
        let (inner, entry, path) = (Arc::clone(self), Arc::clone(entry), path.to_vec());
        let job = lane.submit(move || {
            let content = match &entry.identity.content {
                Content::Memory(bytes) => bytes.clone(),
                // The size is at most `BYTES_MAX`.
                Content::File(file, size) => match file.read_range(0, *size as usize) {
                    Ok(bytes) => bytes.into(),
                    Err(_) => return,
                },
            };
            // A copy that saves less than a tenth is not worth its memory.
            let worth = content.len() - content.len() / 10;
            let Ok(coded) = compress::compress(&content, coding) else { return };
            if coded.len() > worth {
                return;
            }
            let source =
                Source { meta: entry.meta, content: Content::Memory(coded.into()), coding };
            let content_type = Arc::clone(&entry.identity.content_type);
            let representation = Representation::new(
                source,
                &entry.meta,
                &content_type,
                true,
                &inner.common,
                load::unix_ns(),
            );
            if let Ok(representation) = representation {
                let bytes = entry.add_coded(representation);
                inner.cache.grown(&path, &entry, bytes);
            }
        });
        if let Ok(job) = job {
            // Nobody waits for the copy: the next request finds it.
            tokio::spawn(job);
        }
    }

    #[cfg(not(feature = "compression"))]
    fn compress(self: &Arc<Self>, _: &Arc<Entry>, _: &Head<'_>, _: &[u8], _: &Lane) {}
}

/// What the query and the Accept field ask for.
fn asked(head: &Head<'_>, page_entries: usize) -> (View, Wish) {
    let query = String::from_utf8_lossy(head.query().unwrap_or_default());
    let mut view = View::parse(&query, page_entries);
    let accept = head.joined(Known::Accept);
    let is_page = accept.as_deref().is_some_and(|accept| {
        accept.windows(b"text/html".len()).any(|part| part.eq_ignore_ascii_case(b"text/html"))
    });
    // `?json` asks for the listing, whatever else is there; Accept only for its looks.
    let wish = Wish { listing: view.json, page: is_page };
    view.json |= accept.is_some_and(|accept| prefers_json(&accept));
    (view, wish)
}

/// Reads a folder on the lane, and sends its listing as it is made.
fn list_on_lane(lane: &Lane, dir: Dir, path: Vec<u8>, view: View) -> Answer {
    let Ok(job) = lane.submit(move || dir.list(&view.options())) else { return busy().into() };
    Answer::later(async move {
        let listing = match job.await {
            Ok(Ok(listing)) => listing,
            Ok(Err(error)) => return refused(&Missing::Open(OpenError::Io(error))),
            Err(_) => return failed(),
        };
        let (body, mime) = if view.json {
            (
                Body::stream(Chunks(listing::json::document(&path, view, listing))),
                "application/json",
            )
        } else {
            let page = listing::html::page(&path, view, listing);
            (Body::stream(Chunks(page)), "text/html; charset=utf-8")
        };
        Response::new(200, body)
            .with_known("Content-Type", mime)
            .with_known("Vary", "Accept")
            .with_known("Cache-Control", "no-cache")
    })
}

/// Chunks that an iterator makes.
struct Chunks<I>(I);

impl<I: Iterator<Item = Vec<u8>> + Unpin> Stream for Chunks<I> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(|chunk| Ok(Bytes::from(chunk))))
    }
}

/// Row H12: a folder without its slash. Relative links in it need the slash; the query is kept.
fn needs_slash(head: &Head<'_>) -> Response {
    // SECURITY: a path that begins with two slashes would be the name of another host.
    let path = head.path();
    let start = path.iter().position(|&b| b != b'/').unwrap_or(path.len());
    let mut location = vec![b'/'];
    for &b in &path[start..] {
        if b.is_ascii_graphic() {
            location.push(b);
        } else {
            location.extend_from_slice(format!("%{b:02X}").as_bytes());
        }
    }
    location.push(b'/');
    if let Some(query) = head.query() {
        location.push(b'?');
        location.extend(query.iter().filter(|b| b.is_ascii_graphic()));
    }
    Response::new(301, Body::empty()).with_known("Location", location)
}

/// The answer when nothing is served. It says no more about a file than that it is not for the client.
fn refused(missing: &Missing) -> Response {
    match missing {
        Missing::BadEscape => {
            Response::error(400, "the path holds a percent sign that escapes nothing")
        }
        Missing::BadPath(PathError::Hidden | PathError::TooLong)
        | Missing::Open(OpenError::NotFound | OpenError::NotServable | OpenError::Refused(_)) => {
            Response::error(404, "there is nothing at this address")
        }
        Missing::BadPath(_) => Response::error(400, "the path does not name a file"),
        Missing::Open(OpenError::Io(error)) if is_shortage(error) => busy(),
        Missing::Open(_) | Missing::Unsendable => failed(),
    }
}

/// EMFILE, ENFILE, ENOMEM: it may work in a moment.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM]
        .iter()
        .any(|shortage| error.raw_os_error() == Some(shortage.raw_os_error()))
}

fn busy() -> Response {
    Response::error(503, "the server is busy").with_known("Retry-After", "1")
}

fn failed() -> Response {
    Response::error(500, "the file cannot be read")
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadPath(error) => write!(f, "{error:?}"),
            Self::BadEscape => f.write_str("bad escape"),
            Self::Open(error) => error.fmt(f),
            Self::Unsendable => f.write_str("a field cannot be sent"),
        }
    }
}
