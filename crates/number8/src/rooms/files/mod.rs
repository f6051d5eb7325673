//! The room that serves a folder: files, index files, listings.
//!
//! A request goes through these steps, and each may end it:
//!
//! 1. another method than GET and HEAD: OPTIONS, or 405;
//! 2. the cache: a file that was served lately, looked at again once a second;
//! 3. the path: 400 if it is none, 404 if it is hidden or leads nowhere;
//! 4. a folder without its slash: a redirect that keeps the query;
//! 5. a folder: its index file, its listing, or 404;
//! 6. the rights to the file under its own name, where another path leads to it;
//! 7. the file: preconditions, coding, range.
//!
//! Steps 3 to 5 happen where the request was parsed as long as the system answers from memory, else on
//! the lane.

mod asker;
mod cache;
mod compress;
#[cfg(feature = "compression")]
mod encode;
#[cfg(not(feature = "compression"))]
#[path = "encode_nothing.rs"]
mod encode;
mod entry;
mod folder;
pub(crate) mod listing;
mod load;
mod mime;
mod refuse;
mod representation;
mod respond;
mod tell;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use number8_proto::headers::{FieldError, Fields, Known};
use number8_proto::http1::{Head, Method};
use number8_proto::negotiate::prefers_json;

use crate::access::Rights;
use crate::error::Error;
use crate::handler::path::undone;
use crate::handler::{Answer, Call, Handler};
use crate::metrics::Sheet;
use crate::response::Response;
use crate::results::IntoResponse;
use crate::server::clock;
use crate::server::lane::Lane;
use crate::store::{OpenError, Reach, Root, RootOptions, SafePath};
use crate::story::Story;
use asker::Asker;
use cache::Cache;
use entry::Entry;
use folder::Reader;
use listing::View;
use listing::html::{Door, Forms};
use load::{Found, Missing, Patience, Wish};
use mime::Types;

const ALLOW: &str = "GET, HEAD, OPTIONS";

/// Bytes of the cache unless said otherwise.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// How long a kept file is served before it is looked at again, unless said otherwise.
const FRESH_MS: u64 = 1000;

/// Fields that this room writes itself: what they say is true of one file, not of all.
const OWN_FIELDS: [&str; 6] =
    ["Accept-Ranges", "Content-Encoding", "Content-Range", "Content-Type", "ETag", "Last-Modified"];

/// Fields of the user's that say how long a file may be kept: not for answers that are none, or a browser
/// would believe for a year that a page is missing.
const KEEPING_FIELDS: [&str; 2] = ["Cache-Control", "Expires"];

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
    cache: Arc<Cache>,
    is_compressing: AtomicBool,
}

#[derive(Debug, Clone)]
struct Settings {
    index: Vec<String>,
    /// A path from the folder, with a slash in front.
    spa: Option<Vec<u8>>,
    listing: bool,
    documents: bool,
    page_entries: usize,
    forms: bool,
    types: Types,
    headers: Vec<(String, Vec<u8>)>,
    fresh_ms: u64,
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
        let options = RootOptions::from(reach);
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
                    documents: false,
                    page_entries: listing::PAGE_ENTRIES,
                    forms: false,
                    types: Types::default(),
                    headers: Vec::new(),
                    fresh_ms: FRESH_MS,
                },
                cache: Cache::new(CACHE_BYTES),
                is_compressing: AtomicBool::new(false),
            }),
        })
    }

    /// Names of index files, the first found is served; none turns them off. Default `index.html`.
    #[must_use]
    pub fn index(self, names: impl IntoIterator<Item = String>) -> Self {
        self.change(|inner| inner.settings.index = names.into_iter().collect())
    }

    /// Serves this file, a path from the folder, where a page is missing: for single-page apps. A path
    /// whose last name has an extension is a page only for clients whose Accept names HTML.
    #[must_use]
    pub fn single_page(self, file: &str) -> Self {
        let path = format!("/{}", file.trim_start_matches('/')).into_bytes();
        self.change(|inner| inner.settings.spa = Some(path))
    }

    /// Whether a folder without index file shows what is in it. Default yes.
    #[must_use]
    pub fn listing(self, listing: bool) -> Self {
        self.change(|inner| inner.settings.listing = listing)
    }

    /// Serves as uhttpd does (rows U15 to U20): a path names a file or, with a slash at its end, a folder, and nothing stands for
    /// either. A folder is its JSON document with uhttpd's keys alone and all names on one page.
    #[must_use]
    pub fn documents(self) -> Self {
        self.change(|inner| {
            inner.settings.index = Vec::new();
            inner.settings.spa = None;
            inner.settings.documents = true;
            inner.settings.page_entries = usize::MAX;
        })
    }

    /// Entries on one page of a listing. Default 1,000.
    #[must_use]
    pub fn listing_page(self, entries: usize) -> Self {
        self.change(|inner| inner.settings.page_entries = entries.max(1))
    }

    /// Whether listings have forms that add and remove files, for those who may. Something else has to answer them: an
    /// [`Uploads`](crate::Uploads) in the same place. Default no.
    #[must_use]
    pub fn forms(self, forms: bool) -> Self {
        self.change(|inner| inner.settings.forms = forms)
    }

    /// The media type of files with this extension.
    ///
    /// # Errors
    /// It cannot be sent.
    pub fn mime(self, extension: &str, mime: &str) -> Result<Self, FieldError> {
        Fields::new().push("Content-Type", mime.as_bytes())?;
        Ok(self.change(|inner| inner.settings.types.insert(extension, mime)))
    }

    /// Adds a field to every answer, those without a file included; but Cache-Control and Expires to those
    /// with a file only.
    ///
    /// # Errors
    /// The field cannot be sent, or is one that is different for each file, such as ETag.
    pub fn header(self, name: &str, value: &str) -> Result<Self, FieldError> {
        if is_one_of(name, &OWN_FIELDS) {
            return Err(FieldError::Framing);
        }
        Fields::new().push(name, value.as_bytes())?;
        let field = (name.to_owned(), value.as_bytes().to_vec());
        Ok(self.change(|inner| inner.settings.headers.push(field)))
    }

    /// Bytes that the cache of small files and compressed texts may hold; 0 is no cache. Default 64 MiB.
    #[must_use]
    pub fn cache_bytes(self, bytes: usize) -> Self {
        self.change(|inner| inner.cache = Cache::new(bytes))
    }

    /// How long a file that was looked at is served without being looked at again, in whole milliseconds;
    /// 0 looks each time. While the disk has to be waited for, it may be twice that. Default 1 s.
    #[must_use]
    pub fn freshness(self, freshness: Duration) -> Self {
        self.change(|inner| inner.settings.fresh_ms = clock::millis(freshness))
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

impl Handler for Files {
    fn measure(&self, sheet: &mut Sheet) {
        self.inner.cache.measure(sheet);
    }

    fn allow(&self) -> &str {
        ALLOW
    }

    fn handle(&self, call: Call<'_>) -> Answer {
        match self.inner.answer(&call) {
            Answer::Ready(response) => self.inner.with_headers(response).into(),
            Answer::Later(response) => {
                let inner = Arc::clone(&self.inner);
                Answer::later(async move { inner.with_headers(response.await) })
            }
        }
    }
}

/// What the caller may do with what the target names, without the rights that are about no files.
fn rights(call: &Call<'_>) -> Rights {
    let rights = call.access().rights(call.caller.user.as_deref(), &call.url_path());
    rights.without(Rights::ALL.without(Rights::RW))
}

impl Inner {
    fn answer(self: &Arc<Self>, call: &Call<'_>) -> Answer {
        match call.head.method() {
            Method::Get | Method::Head => {}
            Method::Options => return Response::options(ALLOW).into(),
            _ => return Response::not_allowed(ALLOW).into(),
        }
        let mut view = View::new(self.settings.page_entries);
        if let Some(query) = call.head.query() {
            view.read(&String::from_utf8_lossy(query));
        }
        let names_folder = call.path.is_empty() || call.path.ends_with(b"/");
        let may_list = call.may(Rights::LIST);
        let mut wants_listing = (view.json || view.list) && self.settings.listing && names_folder;
        let may_read = call.may(Rights::READ).and_then(|()| match names_folder {
            true => self.may_read_index(call),
            false => Ok(()),
        });
        if let Err(refusal) = may_read {
            // Whoever may only list sees the folder, and no index file in its place.
            if !names_folder || may_list.is_err() {
                return refusal.into_response().into();
            }
            wants_listing = true;
        }
        if !wants_listing
            && let Some(entry) = self.cache.get(call.path)
            && self.may_serve(&entry, call)
        {
            let story = &call.caller.story;
            tell::file(story, self, &entry, call.path);
            tell::keeping(story, &entry, true, &self.settings);
            return self.serve(&entry, call.head, call.path, Some(call.lane), story).into();
        }
        let accept = call.head.joined(Known::Accept).unwrap_or_default();
        let html = b"text/html";
        let page = accept.windows(html.len()).any(|part| part.eq_ignore_ascii_case(html));
        // `?json` and `?list` ask for the listing, whatever else is there; Accept only for its looks.
        let wish = Wish { listing: wants_listing, page };
        if self.settings.documents {
            (view.json, view.plain, view.page) = (true, true, 1);
        }
        view.json |= !view.list && prefers_json(&accept);
        let asker = Asker::of(call);
        match self.find(call.path, wish, asker.as_ref(), Patience::Never) {
            Err(Missing::Open(OpenError::WouldBlock)) => {
                self.find_on_lane(call, view, wish, asker, may_list)
            }
            Ok(Found::Folder { dir, path }) => match may_list {
                Ok(()) => {
                    tell::listing(&call.caller.story, &view);
                    let (rights, reader) = (rights(call), Reader::of(call));
                    let forms = self.forms(call, rights);
                    folder::list(call.lane, dir, path, view, forms, rights, reader)
                }
                Err(refusal) => refusal.into_response().into(),
            },
            found => {
                let story = &call.caller.story;
                self.found(found, asker, call.head, call.path, call.lane, story).into()
            }
        }
    }

    /// The forms of a listing that this caller has a use for.
    fn forms(&self, call: &Call<'_>, rights: Rights) -> Forms {
        let has_forms = self.settings.forms;
        Forms {
            token: call.caller.form_token.clone(),
            door: Door::of(call),
            add: has_forms && rights.contains(Rights::CREATE),
            remove: has_forms && rights.contains(Rights::DELETE),
        }
    }

    /// Whether the caller may read what may stand for the folder of the target, under its own name, too.
    fn may_read_index(&self, call: &Call<'_>) -> Result<(), Error> {
        let access = call.access();
        if access.everywhere().contains(Rights::READ) {
            return Ok(());
        }
        let (user, folder) = (call.caller.user.as_deref(), call.url_path());
        self.settings.index.iter().try_for_each(|name| {
            let path = [&folder, &b"/"[..], name.as_bytes()].concat();
            call.allowed(access.decide(user, Rights::READ, &path))
        })
    }

    /// Whether a kept file may be served without looking for it anew.
    fn may_serve(self: &Arc<Self>, entry: &Arc<Entry>, call: &Call<'_>) -> bool {
        let (now_ms, fresh_ms) = (clock::monotonic_ms(), self.settings.fresh_ms);
        // Parts of a file are put together by their tag: it has to be that of what is open now.
        if entry.is_fresh(now_ms, fresh_ms)
            && (!call.head.has(Known::Range) || entry.is_as_opened())
        {
            return true;
        }
        match self.still_holds(entry, Patience::Never) {
            Ok(true) => true,
            Ok(false) => {
                self.cache.remove(call.path, entry);
                false
            }
            // The disk is slow, or descriptors are short. A file that is in use should not suffer from it
            // at once.
            Err(_) => {
                self.check_on_lane(entry, call.path, call.lane);
                entry.is_fresh(now_ms, fresh_ms.saturating_mul(2))
            }
        }
    }

    fn check_on_lane(self: &Arc<Self>, entry: &Arc<Entry>, path: &[u8], lane: &Lane) {
        if !entry.begin_checking() {
            return;
        }
        let job = lane.submit({
            let (inner, entry, path) = (Arc::clone(self), Arc::clone(entry), path.to_vec());
            move || {
                if let Ok(false) = inner.still_holds(&entry, Patience::Waits) {
                    inner.cache.remove(&path, &entry);
                }
                entry.end_checking();
            }
        });
        match job {
            Ok(job) => job.detach(),
            Err(_) => entry.end_checking(),
        }
    }

    /// The disk has to be asked: a thread of the lane waits for it.
    fn find_on_lane(
        self: &Arc<Self>,
        call: &Call<'_>,
        view: View,
        wish: Wish,
        asker: Option<Asker>,
        may_list: Result<(), Error>,
    ) -> Answer {
        let inner = Arc::clone(self);
        let (head, path, lane) = (call.head.to_owned(), call.path.to_vec(), call.lane.clone());
        let (rights, reader) = (rights(call), Reader::of(call));
        let forms = self.forms(call, rights);
        let story = call.caller.story.clone();
        let job = lane.submit({
            let (inner, path) = (Arc::clone(&inner), path.clone());
            move || (inner.find(&path, wish, asker.as_ref(), Patience::Waits), asker)
        });
        let Ok(job) = job else { return refuse::busy().into() };
        Answer::later(async move {
            match job.await {
                Ok((Ok(Found::Folder { dir, path }), _)) => {
                    if let Err(refusal) = may_list {
                        return refusal.into_response();
                    }
                    tell::listing(&story, &view);
                    folder::list(&lane, dir, path, view, forms, rights, reader).wait().await
                }
                Ok((found, asker)) => inner.found(found, asker, &head.head(), &path, &lane, &story),
                Err(_) => refuse::failed(),
            }
        })
    }

    /// The answer to what was found, but for a folder's listing.
    fn found(
        self: &Arc<Self>,
        found: Result<Found, Missing>,
        asker: Option<Asker>,
        head: &Head<'_>,
        path: &[u8],
        lane: &Lane,
        story: &Story,
    ) -> Response {
        // Whoever asks for a file by its own name is known to may have it.
        if let Ok(Found::File { entry, .. }) = &found
            && self.only.is_none()
            && undone(path).strip_prefix(b"/") != Some(entry.path.as_bytes())
            && let Some(refusal) = asker.and_then(|asker| asker.refusal(&entry.path))
        {
            return refusal;
        }
        match &found {
            Ok(Found::File { entry, by_path }) => {
                tell::file(story, self, entry, path);
                tell::keeping(story, entry, *by_path && entry.may_be_kept(), &self.settings);
            }
            Ok(Found::NeedsSlash) => tell::needs_slash(story),
            Ok(Found::Folder { .. }) => {}
            Err(missing) => tell::missing(story, missing),
        }
        match found {
            Ok(Found::File { entry, by_path }) if by_path && entry.may_be_kept() => {
                let entry = self.cache.keep(path, entry);
                self.serve(&entry, head, path, Some(lane), story)
            }
            Ok(Found::File { entry, .. }) => {
                let response = self.serve(&entry, head, path, None, story);
                response.standing_in(entry.path.as_bytes())
            }
            Ok(Found::NeedsSlash) if self.settings.documents => {
                refuse::missing(&Missing::Open(OpenError::NotFound))
            }
            Ok(Found::NeedsSlash) => refuse::needs_slash(head),
            // Listings are made by the lane: see `folder::list`.
            Ok(Found::Folder { .. }) => refuse::failed(),
            Err(missing) => refuse::missing(&missing),
        }
    }

    /// The answer with a file. With a lane, compressed copies of it may be made.
    fn serve(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        head: &Head<'_>,
        path: &[u8],
        lane: Option<&Lane>,
        story: &Story,
    ) -> Response {
        let coded = respond::choose(entry, head);
        let begun = match lane {
            Some(lane) if coded.is_none() && head.has(Known::AcceptEncoding) => {
                self.compress(entry, head, path, lane)
            }
            _ => None,
        };
        tell::variant(story, entry, coded.as_deref(), begun, head);
        respond::respond(entry, coded.as_deref(), head, story)
    }

    /// An answer with the user's fields. Prepared heads have them already.
    fn with_headers(&self, mut response: Response) -> Response {
        if !response.is_prepared() {
            for (name, value) in &self.settings.headers {
                if response.status() == 206 || !is_one_of(name, &KEEPING_FIELDS) {
                    // It was checked when it was given.
                    let _ = response.push(name, value);
                }
            }
        }
        response
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}
