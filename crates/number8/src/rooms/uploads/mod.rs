//! The room that takes files: upload, remove, move, copy, make folders.
//!
//! A request goes through these steps, and each may end it:
//!
//! 1. its method: PUT and POST bring content, DELETE, MOVE, COPY and MKCOL bring none, all else is 405;
//! 2. where it leads: the path of the request, or the name in its Content-Disposition;
//! 3. whether this client may do that;
//! 4. what the head alone tells: too large, half of a file, a coding;
//! 5. on the lane, before any content is read: preconditions, names that are taken, space on the disk;
//! 6. the content, piece by piece, into a file that nobody sees;
//! 7. on the lane, with the name held: 3, by the rules and the login that hold then, and 5 again, then the commit.
//!
//! Nothing is half-written at the end of any step, and a client that waits for `100 Continue` sends nothing before 6.

mod answer;
mod conditions;
mod copy;
mod date;
mod folder;
#[cfg(feature = "multipart")]
mod form;
#[cfg(not(feature = "multipart"))]
#[path = "form_refused.rs"]
mod form;
mod permit;
mod remove;
mod rename;
mod roots;
mod target;
mod turns;
mod upload;

use std::io;
use std::path::Path;
use std::sync::Arc;

use number8_proto::headers::Known;
use number8_proto::http1::{Head, Method};
use number8_proto::syntax;

use crate::handler::{Answer, Call, Handler};
use crate::metrics::{Count, Sheet};
use crate::response::Response;
use crate::store::{OnClash, Reach, Root, RootOptions, StageOptions};
use roots::{External, Roots};
use target::Target;
use turns::Turns;
use upload::Upload;

const ALLOW: &str = "PUT, POST, DELETE, MOVE, COPY, MKCOL, OPTIONS";
const ALLOW_ENDPOINT: &str = "PUT, POST, OPTIONS";

/// Takes files into a folder.
///
/// | request | what it does |
/// |---|---|
/// | `PUT /path/to/file`, or POST | stores the body as it is; missing folders are made |
/// | `POST /path/to/folder/` | makes a folder; a form (`multipart/form-data`) stores its files there |
/// | `DELETE /file`, `DELETE /folder/` | removes it; `?force=1` a folder with all that it holds |
/// | `MOVE /file` with `Destination` | moves or renames it |
/// | `COPY /file` with `Destination` | copies it |
/// | `MKCOL /folder` | makes a folder, where the one that it is to be in is there |
///
/// A reader sees the old file or the whole new one, whatever happens on the way.
///
/// ```no_run
/// use number8::{App, ByMethod, Files, Uploads};
/// use number8::store::OnClash;
///
/// let uploads = Uploads::new("shared")?.max_bytes(1 << 30).on_clash(OnClash::KeepBoth);
/// let shared = ByMethod::new().with(Files::new("shared")?).with(uploads);
/// let app = App::new().mount("/shared", shared);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Uploads {
    inner: Arc<Inner>,
}

/// What all requests share.
#[derive(Debug)]
struct Inner {
    begun: Count,
    stored: Count,
    turns: Turns,
    roots: Roots,
    settings: Settings,
}

#[derive(Debug, Clone)]
struct Settings {
    bytes_max: u64,
    on_clash: OnClash,
    stage: StageOptions,
    /// What is posted is content, whatever it is.
    verbatim: bool,
    /// Where the files of an endpoint are served: names come from Content-Disposition.
    endpoint: Option<Vec<u8>>,
}

impl Uploads {
    /// Takes files into this folder, but no hidden names, and none through links that lead out.
    ///
    /// # Errors
    /// It is not there.
    pub fn new(folder: impl AsRef<Path>) -> io::Result<Self> {
        Self::with_reach(folder, Reach::default())
    }

    /// As [`Uploads::new`], but says what may be reached.
    ///
    /// # Errors
    /// As for [`Uploads::new`].
    pub fn with_reach(folder: impl AsRef<Path>, reach: Reach) -> io::Result<Self> {
        let internal = Root::open(folder.as_ref(), RootOptions::from(reach))?;
        Ok(Self {
            inner: Arc::new(Inner {
                begun: Count::default(),
                turns: Turns::default(),
                stored: Count::default(),
                roots: Roots { internal, external: None, reach },
                settings: Settings {
                    bytes_max: u64::MAX,
                    on_clash: OnClash::Replace,
                    stage: StageOptions::default(),
                    verbatim: false,
                    endpoint: None,
                },
            }),
        })
    }

    /// The largest content that is taken; more is 413, before it is read where the client tells its length. Default: what
    /// the disk can hold.
    #[must_use]
    pub fn max_bytes(self, bytes: u64) -> Self {
        self.change(|inner| inner.settings.bytes_max = bytes)
    }

    /// What to do with a file whose name is taken. Default [`OnClash::Replace`].
    #[must_use]
    pub fn on_clash(self, on_clash: OnClash) -> Self {
        self.change(|inner| inner.settings.on_clash = on_clash)
    }

    /// Bytes that stay free on the disk; what would need them is 507. Default 64 MiB.
    #[must_use]
    pub fn keep_free(self, bytes: u64) -> Self {
        self.change(|inner| inner.settings.stage.keep_free_bytes = bytes)
    }

    /// Whether a file is on the disk before it is seen. Without, uploads answer sooner, and after a power cut a file may
    /// be there that is empty or torn. Default yes.
    #[must_use]
    pub fn sync(self, sync: bool) -> Self {
        self.change(|inner| inner.settings.stage.sync = sync)
    }

    /// Stores what is posted to a path as it comes (row U22), a form too; nothing is removed by POST.
    #[must_use]
    pub fn verbatim(self) -> Self {
        self.change(|inner| inner.settings.verbatim = true)
    }

    /// Takes all files in one place, the path where this is mounted: each says by Content-Disposition where it goes (rows
    /// U26 and U27), as if the folder were served under `served_under`. Nothing else is answered.
    ///
    /// ```no_run
    /// use number8::{App, Uploads};
    ///
    /// // POST /upload with `Content-Disposition: attachment; filename="/songs/a.mp3"`
    /// let app = App::new().mount("/upload", Uploads::new("shared")?.endpoint("/"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn endpoint(self, served_under: &str) -> Self {
        let prefix = served_under.trim_end_matches('/').as_bytes().to_vec();
        self.change(|inner| inner.settings.endpoint = Some(prefix))
    }

    /// Takes files into this other folder while it is there, such as a card that can be pulled out: it lies over the first
    /// one (row U19). With `only`, nothing is written to the first one at all (row U28).
    #[must_use]
    pub fn external(self, folder: impl AsRef<Path>, only: bool) -> Self {
        let external = External { folder: folder.as_ref().to_owned(), only };
        self.change(|inner| inner.roots.external = Some(external))
    }

    /// Removes what uploads of a killed process have left. It reads the whole folder, so call it once, on a thread that
    /// may wait. Returns how many files there were.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn sweep(&self) -> io::Result<usize> {
        self.inner.roots.sweep()
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            change(inner);
        }
        self
    }
}

impl Handler for Uploads {
    fn measure(&self, sheet: &mut Sheet) {
        let (begun, stored) = (self.inner.begun.sum(), self.inner.stored.sum());
        sheet.counter("number8_uploads_begun_total", "Files that began to come.", &[], begun);
        sheet.counter("number8_uploads_stored_total", "Files that are there.", &[], stored);
    }

    fn handle(&self, call: Call<'_>) -> Answer {
        self.inner.answer(call).unwrap_or_else(|refused| Answer::from(*refused))
    }

    fn allow(&self) -> &str {
        match self.inner.settings.endpoint {
            Some(_) => ALLOW_ENDPOINT,
            None => ALLOW,
        }
    }
}

impl Inner {
    fn answer(self: &Arc<Self>, call: Call<'_>) -> Result<Answer, Box<Response>> {
        if let Some(served_under) = &self.settings.endpoint {
            return self.answer_endpoint(call, served_under);
        }
        let method = call.head.method();
        match (method, call.head.method_bytes()) {
            (Method::Options, _) => return Ok(Response::options(ALLOW).into()),
            (Method::Put | Method::Post | Method::Delete, _) | (_, b"MOVE" | b"COPY") => {}
            (_, b"MKCOL") => return folder::mkcol(self, &call),
            _ => return Ok(Response::not_allowed(ALLOW).into()),
        }
        let target = Target::of_path(&call, &self.roots)?;
        let may_be_form = !self.settings.verbatim;
        match method {
            Method::Put if target.path.names_folder() => Err(answer::refused(
                409,
                "the name of a file does not end with a slash; POST makes a folder",
            )),
            Method::Put => self.store(call, target),
            Method::Post if may_be_form && remove::is_asked(call.head) => {
                let page = remove::page_after(call.head, &target);
                let removed = remove::answer(self, &call, target)?;
                Ok(answer::then_show(removed, page))
            }
            Method::Post if may_be_form && form::is_form(call.head) => {
                form::store(self, call, target)
            }
            Method::Post if target.path.names_folder() => folder::post(self, &call, target),
            Method::Post => self.store(call, target),
            Method::Delete => remove::answer(self, &call, target),
            _ if call.head.method_bytes() == b"COPY" => copy::answer(self, &call, target),
            _ => rename::answer(self, &call, target),
        }
    }

    fn answer_endpoint(
        self: &Arc<Self>,
        call: Call<'_>,
        served_under: &[u8],
    ) -> Result<Answer, Box<Response>> {
        if !call.path.is_empty() {
            return Err(answer::refused(404, "there is nothing at this address"));
        }
        match call.head.method() {
            Method::Options => Ok(Response::options(ALLOW_ENDPOINT).into()),
            Method::Put | Method::Post => {
                let target = Target::of_disposition(&call, &self.roots, served_under)?;
                self.store(call, target)
            }
            _ => Ok(Response::not_allowed(ALLOW_ENDPOINT).into()),
        }
    }

    /// Stores the body as it is.
    fn store(self: &Arc<Self>, call: Call<'_>, target: Target) -> Result<Answer, Box<Response>> {
        let length = self.check_head(call.head)?;
        let upload = Upload::new(self, &call, target)?;
        let body = call.body.limit(self.settings.bytes_max);
        Ok(Answer::later(upload::store(upload, body, length, call.lane.clone())))
    }

    /// What the head tells of content that cannot be taken; else its length, if it is told.
    fn check_head(&self, head: &Head<'_>) -> Result<Option<u64>, Box<Response>> {
        if head.named("content-range").is_some() {
            // RFC 9110 §14.5: half a file stored as a whole one would be a wrong file.
            return Err(answer::refused(400, "a part of a file cannot be stored here"));
        }
        if let Some(coding) = head.named("content-encoding")
            && !coding.eq_ignore_ascii_case(b"identity")
        {
            return Err(answer::no_coding());
        }
        let length = head.get(Known::ContentLength).and_then(syntax::decimal);
        if length.is_some_and(|length| length > self.settings.bytes_max) {
            return Err(answer::too_large());
        }
        Ok(length)
    }
}
