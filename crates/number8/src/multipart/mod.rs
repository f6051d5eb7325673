//! Forms of several parts (RFC 7578), as an argument of handlers: each part is read as it comes.

mod feed;
mod save;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use multer::Field;
use number8_proto::headers::{Known, is_media_type};

use crate::body::{Body, Gathered};
use crate::error::Error;
use crate::handler::{Argument, Call, Taken};
use feed::{Feed, Gate, PIECE_BYTES};

/// A form of several parts, `multipart/form-data`: fields and files, one after the other, each read as it comes.
///
/// Another type of content is a 415, a form that is not valid or ends too soon a 400, one that goes beyond a limit a 413.
/// How large the whole may be says [`content_limit`](crate::content_limit), or the server's `Limits::body_bytes_max`.
///
/// ```
/// use number8::{App, Error, Multipart, content_limit};
///
/// async fn sizes(mut form: Multipart) -> Result<String, Error> {
///     let mut lines = String::new();
///     while let Some(mut part) = form.next().await? {
///         let name = part.name().to_owned();
///         let mut bytes = 0;
///         while let Some(chunk) = part.chunk().await? {
///             bytes += chunk.len();
///         }
///         lines += &format!("{name}: {bytes} bytes\n");
///     }
///     Ok(lines)
/// }
///
/// let app = App::new().post("/sizes", content_limit(64 << 20, sizes));
/// ```
pub struct Multipart {
    parser: multer::Multipart<'static>,
    gate: Gate,
    gathered: Gathered,
    limits: MultipartLimits,
    /// The part that is being read.
    current: Option<Field<'static>>,
    parts: usize,
    /// What was wrong with it: nothing comes after that.
    fault: Option<Fault>,
}

/// How much of a form a handler takes, besides the limit of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MultipartLimits {
    /// Parts of one form. Default 1000.
    pub parts_max: usize,
    /// Bytes in the head of a part: its name, file name, type and what else there is. Default 16 KiB.
    pub part_head_bytes_max: usize,
    /// Bytes of a part that is taken as a whole, by [`Part::bytes`] and [`Part::text`]. Default 1 MiB.
    pub part_bytes_max: usize,
}

impl Default for MultipartLimits {
    fn default() -> Self {
        Self { parts_max: 1000, part_head_bytes_max: 16 * 1024, part_bytes_max: 1024 * 1024 }
    }
}

/// One part of a form: a field, or a file. What is not read of it is skipped.
#[derive(Debug)]
pub struct Part<'a> {
    form: &'a mut Multipart,
    name: String,
    file_name: Option<String>,
    content_type: Option<String>,
}

type Fault = (u16, &'static str);

/// A boundary has at most 70 bytes (RFC 2046 §5.1.1); with it stand hyphens and the end of a line.
const BOUNDARY_BYTES_MAX: usize = 70;

impl Multipart {
    /// # Errors
    /// The type is another one, or does not tell a boundary.
    pub(crate) fn new(content_type: &[u8], body: Body) -> Result<Self, Error> {
        let text = std::str::from_utf8(content_type).unwrap_or_default();
        let boundary = multer::parse_boundary(text).map_err(|error| match error {
            multer::Error::NoBoundary => Error::new(400, "the form does not tell its boundary"),
            _ if is_media_type(content_type, b"multipart/form-data") => {
                Error::new(400, "the type of the form is not valid")
            }
            _ => Error::new(415, "the content has to be a form of parts (multipart/form-data)"),
        })?;
        if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
            return Err(Error::new(400, "the boundary of a form has 1 to 70 characters"));
        }
        let (gate, gathered) = (Gate::default(), body.gathered());
        let parser = multer::Multipart::new(Feed::new(body, gate.clone()), boundary);
        let limits = MultipartLimits::default();
        Ok(Self { parser, gate, gathered, limits, current: None, parts: 0, fault: None })
    }

    /// The same form, with other limits for its parts.
    ///
    /// ```
    /// use number8::{App, Error, Multipart, MultipartLimits};
    ///
    /// async fn note(form: Multipart) -> Result<String, Error> {
    ///     let mut limits = MultipartLimits::default();
    ///     limits.part_bytes_max = 100;
    ///     match form.limits(limits).next().await? {
    ///         Some(part) => part.text().await,
    ///         None => Err(Error::new(422, "the form is empty")),
    ///     }
    /// }
    ///
    /// let app = App::new().post("/note", note);
    /// ```
    #[must_use]
    pub fn limits(mut self, limits: MultipartLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The next part, in the order of the form; `None` after the last one. What was not read of the one before is skipped.
    ///
    /// # Errors
    /// The form is not valid or not whole (400), has more parts or a longer head than the limits allow (413), or its
    /// content cannot be read ([`BodyError`](crate::BodyError)).
    pub async fn next(&mut self) -> Result<Option<Part<'_>>, Error> {
        while poll_fn(|cx| self.poll_chunk(cx)).await?.is_some() {}
        self.gate.count_anew();
        let Some(field) = poll_fn(|cx| self.poll_field(cx)).await? else { return Ok(None) };
        self.parts += 1;
        if self.parts > self.limits.parts_max {
            return Err(self.fail((413, "there are too many parts in the form")));
        }
        let head = field.headers().iter();
        let head_bytes = head.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if self.limits.part_head_bytes_max < head_bytes {
            return Err(self.fail(HEAD_TOO_LONG));
        }
        let Some(name) = field.name().map(str::to_owned) else {
            // RFC 7578 §4.2.
            return Err(self.fail((400, "a part of the form has no name")));
        };
        let file_name = field.file_name().map(|name| base_name(name).to_owned());
        let content_type = field.content_type().map(|content_type| content_type.to_string());
        self.current = Some(field);
        Ok(Some(Part { form: self, name, file_name, content_type }))
    }

    fn poll_field(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Field<'static>>, Error>> {
        if let Some((status, why)) = self.fault {
            return Poll::Ready(Err(Error::new(status, why)));
        }
        loop {
            self.gate.open();
            match self.parser.poll_next_field(cx) {
                Poll::Ready(Ok(field)) => return Poll::Ready(Ok(field)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.fault(error))),
                Poll::Pending if !self.gate.has_given() => return Poll::Pending,
                Poll::Pending => {}
            }
            // With the head come the boundary before it and a part of what follows.
            let most = self.limits.part_head_bytes_max.saturating_add(PIECE_BYTES + 256);
            if self.gate.given() > most {
                return Poll::Ready(Err(self.fail(HEAD_TOO_LONG)));
            }
        }
    }

    /// The next chunk of the part that is being read.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        while let Some(field) = &mut self.current {
            self.gate.open();
            match Pin::new(field).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) if chunk.is_empty() => {}
                Poll::Ready(Some(Ok(chunk))) => return Poll::Ready(Ok(Some(chunk))),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(self.fault(error))),
                Poll::Ready(None) => self.current = None,
                Poll::Pending if self.gate.has_given() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        match self.fault {
            Some((status, why)) => Poll::Ready(Err(Error::new(status, why))),
            None => Poll::Ready(Ok(None)),
        }
    }

    fn fail(&mut self, fault: Fault) -> Error {
        self.fault = Some(fault);
        self.current = None;
        Error::new(fault.0, fault.1)
    }

    /// A fault of the form, or of the body that carries it.
    fn fault(&mut self, error: multer::Error) -> Error {
        let fault = self.fail(match error {
            multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
                (400, "the form ends before its last boundary")
            }
            multer::Error::StreamReadFailed(_) => (400, "the form cannot be read"),
            _ => (400, "the form is not valid"),
        });
        match error {
            multer::Error::StreamReadFailed(source) => match source.downcast::<io::Error>() {
                Ok(error) => (*error).into(),
                Err(_) => fault,
            },
            _ => fault,
        }
    }
}

const HEAD_TOO_LONG: Fault = (413, "the head of a part of the form is too long");

impl Part<'_> {
    /// The name of the field. There may be several of one name: a field for several files gives one part for each.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the file, where the part is one, without the folders that some clients name; empty where no file was
    /// chosen.
    ///
    /// SECURITY: the client says it, and it may be `..`. [`Part::save`] checks it; do so too where you use it.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// What the client says of the type.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The next chunk; `None` at the end of the part. Chunks are never empty.
    ///
    /// # Errors
    /// As for [`Multipart::next`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Like [`Part::chunk`], for those who poll.
    ///
    /// # Errors
    /// As for [`Multipart::next`].
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        self.form.poll_chunk(cx)
    }

    /// All that is left of it.
    ///
    /// # Errors
    /// It is larger than [`MultipartLimits::part_bytes_max`] (413); others as for [`Multipart::next`].
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        let most = self.form.limits.part_bytes_max;
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            self.gathered().is(all.len() + chunk.len());
            if all.len() + chunk.len() > most {
                let why = format!("the field {:?} is larger than {most} bytes", self.name);
                return Err(Error::new(413, why));
            }
            all.extend_from_slice(&chunk);
        }
        self.gathered().is(0);
        Ok(all.into())
    }

    /// Where whoever keeps content says how much.
    pub(crate) fn gathered(&self) -> &Gathered {
        &self.form.gathered
    }

    /// All that is left of it, as text.
    ///
    /// # Errors
    /// As for [`Part::bytes`]; it is no UTF-8 (400).
    pub async fn text(self) -> Result<String, Error> {
        let name = self.name.clone();
        String::from_utf8(self.bytes().await?.into())
            .map_err(|_| Error::new(400, format!("the field {name:?} is not text in UTF-8")))
    }
}

impl std::fmt::Debug for Multipart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Multipart")
            .field("limits", &self.limits)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

impl Argument for Multipart {
    const TAKES_CONTENT: bool = true;

    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        let content_type = call.head.get(Known::ContentType).unwrap_or_default();
        Self::new(content_type, std::mem::take(&mut call.body)).map(Taken::Now)
    }
}

/// What follows the last separator of folders, whichever system the client runs (RFC 7578 §4.2).
fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or_default()
}
