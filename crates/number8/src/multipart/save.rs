//! A part of a form on its way into a file.

use std::task::Context;

use bytes::Bytes;

use super::Part;
use crate::error::Error;
use crate::receive::{self, Sink, receive, refuse_write};
use crate::server::lane::{Lane, LaneFailure, begin_on_lane, on_lane};
use crate::store::{OnClash, PathError, Root, StageOptions, Staged, WriteError, Written};

impl Part<'_> {
    /// Stores what is left of it as a file in a folder: the whole of it or nothing, whatever happens on the way. `path` is
    /// where in the folder, such as [`Part::file_name`]; folders that are missing are made.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use number8::server::lane::Lane;
    /// use number8::store::{OnClash, Root, RootOptions};
    /// use number8::{App, Error, Multipart, State, content_limit};
    ///
    /// async fn keep(mut form: Multipart, folder: State<Root>, lane: Lane) -> Result<String, Error> {
    ///     let mut kept = 0;
    ///     while let Some(part) = form.next().await? {
    ///         if let Some(name) = part.file_name().filter(|name| !name.is_empty()) {
    ///             let name = name.to_owned();
    ///             part.save(&folder, &name, OnClash::KeepBoth, &lane).await?;
    ///             kept += 1;
    ///         }
    ///     }
    ///     Ok(format!("{kept} files are here"))
    /// }
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// let app = App::new()
    ///     .state(Root::open(folder, RootOptions::default())?)
    ///     .post("/songs", content_limit(64 << 20, keep));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The path leads to no file, or out of the folder (400, 403), the name is taken (409), the disk is full (507), or
    /// the form is at fault, as for [`Multipart::next`](super::Multipart::next).
    pub async fn save(
        mut self,
        root: &Root,
        path: &str,
        on_clash: OnClash,
        lane: &Lane,
    ) -> Result<Written, Error> {
        let path = root.path(&[b"/", path.as_bytes()].concat()).map_err(|error| refused(&error))?;
        let root = root.clone();
        let saved = async {
            let begin = move || Ok(File(root.stage(&path, None, StageOptions::default())?));
            let file = begin_on_lane::<_, Fail>(lane, begin).await?;
            let gathered = self.gathered().clone();
            let next = |cx: &mut Context<'_>| self.poll_chunk(cx).map_err(Fail::Form);
            let (file, rest) = receive(lane, file, &gathered, next).await?;
            on_lane(lane, move || file.take()?.write(&rest)?.commit(on_clash)).await
        };
        saved.await.map_err(Fail::into_error)
    }
}

/// A file that nobody sees yet.
struct File(Staged);

impl Sink for File {
    type Error = Fail;

    fn write(mut self, chunks: &[Bytes]) -> Result<Self, Fail> {
        self.0.write(chunks)?;
        Ok(self)
    }
}

impl File {
    /// Waits for the disk, and for another change of the same name.
    fn commit(mut self, on_clash: OnClash) -> Result<Written, Fail> {
        self.0.finish()?;
        let claim = self.0.claim()?;
        Ok(self.0.commit(claim, on_clash)?)
    }
}

enum Fail {
    Form(Error),
    Write(WriteError),
    Lane(LaneFailure),
}

impl Fail {
    fn into_error(self) -> Error {
        match self {
            Self::Form(error) => error,
            Self::Write(error) => refuse_write(&error).into(),
            Self::Lane(LaneFailure::Full) => receive::busy().into(),
            Self::Lane(LaneFailure::Panicked) => receive::failed().into(),
        }
    }
}

impl From<WriteError> for Fail {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<LaneFailure> for Fail {
    fn from(failure: LaneFailure) -> Self {
        Self::Lane(failure)
    }
}

fn refused(error: &PathError) -> Error {
    match error {
        PathError::Hidden => Error::new(403, "hidden names cannot be written"),
        _ => Error::new(400, "the name cannot be that of a file"),
    }
}
