//! Files that are put and got: checked by the one access model, written and read by the store, on the lane.

use std::sync::Arc;

use bytes::Bytes;
use number8_proto::webrepl::{Code, PIECE_BYTES_MAX};

use crate::access::{Access, Rights};
use crate::server::lane::{Lane, LaneFailure, OnLane, begin_on_lane, on_lane};
use crate::store::{
    File, OnClash, OpenError, Opened, PathError, Root, SafePath, StageOptions, Staged, WriteError,
};

/// The folder of the files.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) root: Option<Root>,
    /// What stands before a name in the path that rules know.
    pub(super) prefix: Arc<str>,
    pub(super) bytes_max: u64,
    pub(super) stage: StageOptions,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            root: None,
            prefix: Arc::default(),
            bytes_max: u64::MAX,
            stage: StageOptions::default(),
        }
    }
}

/// By which rules, and who.
type Who<'a> = (&'a Access, Option<&'a str>);

/// A file that is being put.
#[derive(Debug)]
pub(super) struct Put {
    staged: Option<OnLane<Staged>>,
    may: May,
    /// What has come and is not written yet.
    gathered: Vec<Bytes>,
    length: usize,
    /// Why nothing will come of it; the client is told at the end, when it listens.
    failed: Option<Code>,
}

/// Whether something may be made there, and whether something may be replaced.
#[derive(Debug, Clone, Copy)]
struct May {
    create: bool,
    overwrite: bool,
}

/// A file that is being got.
#[derive(Debug)]
pub(super) struct Get {
    file: File,
    offset: u64,
    ahead: Bytes,
}

impl Files {
    pub(super) async fn put(
        &self,
        lane: &Lane,
        (access, user): Who<'_>,
        name: &[u8],
        size: u32,
    ) -> Result<Put, Code> {
        let (root, path, url_path) = self.find(name, Root::path_to_write)?;
        let may = May {
            create: access.decide(user, Rights::CREATE, &url_path).is_ok(),
            overwrite: access.decide(user, Rights::OVERWRITE, &url_path).is_ok(),
        };
        if !may.create && !may.overwrite {
            return Err(Code::NOT_ALLOWED);
        }
        let size = u64::from(size);
        if size > self.bytes_max {
            return Err(Code::TOO_LARGE);
        }
        if path.names_folder() {
            return Err(Code::BAD_REQUEST);
        }
        let stage = self.stage;
        let staged = begin_on_lane(lane, move || {
            let current = match root.claim(&path, false) {
                Ok(claim) => claim.current().map_err(|error| code(&error))?,
                // A folder on the way is missing: it will be made.
                Err(WriteError::NotFound) => None,
                Err(error) => return Err(code(&error)),
            };
            may.check(current.is_some())?;
            root.stage(&path, Some(size), stage).map_err(|error| code(&error))
        });
        Ok(Put {
            staged: Some(OnLane::new(staged.await?, lane)),
            may,
            gathered: Vec::new(),
            length: 0,
            failed: None,
        })
    }

    pub(super) async fn get(
        &self,
        lane: &Lane,
        (access, user): Who<'_>,
        name: &[u8],
    ) -> Result<Get, Code> {
        let (root, path, url_path) = self.find(name, Root::path)?;
        access.decide(user, Rights::READ, &url_path).map_err(|_| Code::NOT_ALLOWED)?;
        let opened = begin_on_lane(lane, move || match root.open_blocking(&path) {
            Ok(Opened::File(file)) => Ok(file),
            Ok(Opened::Dir(_)) | Err(OpenError::NotFound) => Err(Code::NOT_FOUND),
            Err(OpenError::Refused(_) | OpenError::NotServable) => Err(Code::NOT_ALLOWED),
            Err(OpenError::WouldBlock | OpenError::Io(_)) => Err(Code::FAILED),
        });
        Ok(Get { file: opened.await?, offset: 0, ahead: Bytes::new() })
    }

    /// The place that a name means, and the path by which rules know it: a name is from the root of the folder.
    fn find(
        &self,
        name: &[u8],
        parse: impl FnOnce(&Root, &[u8]) -> Result<SafePath, PathError>,
    ) -> Result<(Root, SafePath, Vec<u8>), Code> {
        let root = self.root.clone().ok_or(Code::NOT_ALLOWED)?;
        let slash: &[u8] = if name.starts_with(b"/") { b"" } else { b"/" };
        let path = parse(&root, &[slash, name].concat()).map_err(|_| Code::BAD_REQUEST)?;
        // SECURITY: rules see the path that is used, however the client has spelled it.
        let url_path = [self.prefix.as_bytes(), b"/", path.as_bytes()].concat();
        Ok((root, path, url_path))
    }
}

impl May {
    fn check(self, replaces: bool) -> Result<(), Code> {
        let may = if replaces { self.overwrite } else { self.create };
        if may { Ok(()) } else { Err(Code::NOT_ALLOWED) }
    }
}

impl Put {
    /// Takes some of the content.
    pub(super) async fn write(&mut self, lane: &Lane, bytes: Bytes) {
        if self.failed.is_some() {
            return;
        }
        self.length += bytes.len();
        self.gathered.push(bytes);
        if self.length >= GATHERED_BYTES {
            self.length = 0;
            let chunks = std::mem::take(&mut self.gathered);
            let Some(Ok(mut staged)) = self.staged.take().map(OnLane::take) else { return };
            let written = on_lane(lane, move || {
                staged.write(&chunks).map_err(|error| code(&error))?;
                Ok(staged)
            });
            match written.await {
                Ok(staged) => self.staged = Some(OnLane::new(staged, lane)),
                Err(code) => self.failed = Some(code),
            }
        }
    }

    /// Shows the file, which is whole now.
    pub(super) async fn commit(mut self, lane: &Lane) -> Code {
        if let Some(code) = self.failed {
            return code;
        }
        let (chunks, may) = (std::mem::take(&mut self.gathered), self.may);
        let Some(Ok(mut staged)) = self.staged.take().map(OnLane::take) else {
            return Code::FAILED;
        };
        let committed = on_lane(lane, move || {
            let commit = || {
                staged.write(&chunks)?;
                staged.finish()?;
                let claim = staged.claim()?;
                Ok((claim.current()?.is_some(), claim, staged))
            };
            let (replaces, claim, staged) = commit().map_err(|error: WriteError| code(&error))?;
            may.check(replaces)?;
            staged.commit(claim, OnClash::Replace).map_err(|error| code(&error))
        });
        committed.await.err().unwrap_or(Code::OK)
    }
}

impl Get {
    /// The next piece; none at the end.
    pub(super) async fn read(&mut self, lane: &Lane) -> Result<Bytes, Code> {
        if self.ahead.is_empty() {
            let (file, offset) = (self.file.clone(), self.offset);
            let mut buffer = vec![0; GATHERED_BYTES];
            self.ahead = on_lane(lane, move || {
                let length = file.read_at(&mut buffer, offset).map_err(|_| Code::FAILED)?;
                buffer.truncate(length);
                Ok::<_, Code>(Bytes::from(buffer))
            })
            .await?;
            self.offset += self.ahead.len() as u64;
        }
        Ok(self.ahead.split_to(self.ahead.len().min(PIECE_BYTES_MAX)))
    }
}

impl From<LaneFailure> for Code {
    fn from(failure: LaneFailure) -> Self {
        match failure {
            LaneFailure::Full => Self::BUSY,
            LaneFailure::Panicked => Self::FAILED,
        }
    }
}

/// What a client is told of an error.
fn code(error: &WriteError) -> Code {
    match error {
        WriteError::NotFound => Code::NOT_FOUND,
        WriteError::Clash(_) => Code::IN_THE_WAY,
        WriteError::Refused(_) | WriteError::ReadOnly => Code::NOT_ALLOWED,
        WriteError::BadName => Code::BAD_REQUEST,
        WriteError::NoSpace => Code::NO_SPACE,
        WriteError::TooLarge => Code::TOO_LARGE,
        WriteError::Unsynced(_) | WriteError::Io(_) => Code::FAILED,
    }
}

/// How much is written and read at once: what crosses the network is smaller, and a disk likes it larger.
const GATHERED_BYTES: usize = 256 * 1024;
