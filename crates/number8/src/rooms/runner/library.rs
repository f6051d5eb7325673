//! Programs that were saved by name, and those that ran before: in a folder that is never served.
//!
//! ```text
//! FOLDER/programs/blink.py      as it was sent
//! FOLDER/history/00000007.json  what ran, when, and how it ended
//! ```

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::hub::{Past, Stopped};
use crate::children::Exit;
use crate::store::{
    ListOptions, OnClash, OpenError, Opened, Root, RootOptions, SafePath, Sort, StageOptions,
    WriteError,
};

#[derive(Debug)]
pub(super) struct Library {
    root: Root,
}

/// A program that was saved.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Saved {
    pub(super) name: String,
    /// Seconds since 1970-01-01T00:00Z.
    pub(super) modified: f64,
    pub(super) size: u64,
}

impl Library {
    /// # Errors
    /// The folder is none, or may not be written to.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let root = Root::open(folder, RootOptions::default())?;
        root.sweep()?;
        for name in ["/programs", "/history"] {
            let path = path(name.as_bytes())?;
            match root.make_folder(&path) {
                Ok(_) | Err(WriteError::Clash(_)) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(Self { root })
    }

    /// By name.
    pub(super) fn list(&self) -> io::Result<Vec<Saved>> {
        let entries =
            self.names("/programs", &ListOptions { limit: usize::MAX, ..ListOptions::default() })?;
        let saved = entries.into_iter().map(|(name, size, modified_ns)| Saved {
            name,
            modified: (modified_ns / 1_000_000) as f64 / 1000.0,
            size,
        });
        Ok(saved.collect())
    }

    /// `None` where there is no such program.
    pub(super) fn read(&self, name: &Name) -> io::Result<Option<Bytes>> {
        self.content(&name.0)
    }

    /// Returns whether there was none of that name; `None` where there are as many as may be.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn write(
        &self,
        name: &Name,
        content: &Bytes,
        programs_max: usize,
    ) -> Result<Option<bool>, WriteError> {
        if self.content(&name.0)?.is_none() && self.list()?.len() >= programs_max {
            return Ok(None);
        }
        self.put(&name.0, content).map(Some)
    }

    /// Whether there was one.
    pub(super) fn remove(&self, name: &Name) -> Result<bool, WriteError> {
        let claim = self.root.claim(&name.0, false)?;
        match claim.remove(false) {
            Ok(()) => Ok(true),
            Err(WriteError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps a program that has run, and no more than so many.
    pub(super) fn keep(&self, past: &Past, history_max: usize) -> Result<(), WriteError> {
        let document = json!({
            "id": past.id,
            "language": past.language,
            "name": past.name,
            "code": &*past.code,
            "started": past.started,
            "exit": past.exit_json(),
            "stopped": past.stopped.map(Stopped::as_str),
        });
        let name = format!("/history/{:08}.json", past.id);
        self.put(&path(name.as_bytes())?, &document.to_string().into())?;
        let kept = self.kept()?;
        for name in kept.iter().take(kept.len().saturating_sub(history_max)) {
            let path = path(format!("/history/{name}").as_bytes())?;
            self.root.claim(&path, false)?.remove(false)?;
        }
        Ok(())
    }

    /// What was kept, the newest last. What cannot be read is left out.
    pub(super) fn history(&self, history_max: usize) -> io::Result<Vec<Past>> {
        let kept = self.kept()?;
        let newest = kept.iter().skip(kept.len().saturating_sub(history_max));
        let pasts = newest.filter_map(|name| {
            let path = path(format!("/history/{name}").as_bytes()).ok()?;
            past(&serde_json::from_slice(&self.content(&path).ok()??).ok()?)
        });
        Ok(pasts.collect())
    }

    /// The names of the files of the history, the oldest first.
    fn kept(&self) -> io::Result<Vec<String>> {
        let options = ListOptions { sort: Sort::Name, limit: usize::MAX, ..ListOptions::default() };
        let names = self.names("/history", &options)?.into_iter().map(|(name, ..)| name);
        Ok(names.filter(|name| name.ends_with(".json")).collect())
    }

    fn names(&self, folder: &str, options: &ListOptions) -> io::Result<Vec<(String, u64, i128)>> {
        let opened =
            self.root.open_blocking(&path(folder.as_bytes())?).map_err(io::Error::other)?;
        let Opened::Dir(folder) = opened else { return Err(io::ErrorKind::NotADirectory.into()) };
        let entries = folder.list(options)?.entries.into_iter().filter_map(|entry| {
            let name = String::from_utf8(entry.name.into_vec()).ok()?;
            Some((name, entry.size, entry.modified_ns))
        });
        Ok(entries.collect())
    }

    fn content(&self, path: &SafePath) -> io::Result<Option<Bytes>> {
        match self.root.open_blocking(path) {
            Ok(Opened::File(file)) => {
                let length = usize::try_from(file.meta().size).unwrap_or(usize::MAX);
                Ok(Some(file.read_range(0, length)?.into()))
            }
            Ok(Opened::Dir(_)) | Err(OpenError::NotFound) => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn put(&self, path: &SafePath, content: &Bytes) -> Result<bool, WriteError> {
        let length = Some(content.len() as u64);
        let mut staged = self.root.stage(path, length, StageOptions::default())?;
        staged.write(std::slice::from_ref(content))?;
        staged.finish()?;
        let claim = staged.claim()?;
        Ok(staged.commit(claim, OnClash::Replace)?.created)
    }
}

/// The name of a program: one that a file can have, and that is not hidden.
#[derive(Debug, Clone)]
pub(super) struct Name(SafePath);

impl Name {
    /// `None` where it is no such name.
    pub(super) fn new(name: &[u8]) -> Option<Self> {
        let is_one = !name.is_empty()
            && name.len() <= NAME_BYTES_MAX
            && !name.contains(&b'/')
            && std::str::from_utf8(name).is_ok();
        let path = is_one.then(|| path(&[b"/programs/", name].concat()))?;
        path.ok().map(Self)
    }
}

fn path(path: &[u8]) -> io::Result<SafePath> {
    SafePath::parse(path, RootOptions::default().hidden)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))
}

/// A document of [`Library::keep`].
fn past(document: &Value) -> Option<Past> {
    let text = |name: &str| document.get(name)?.as_str();
    let exit = |name: &str| u8::try_from(document.get("exit")?.get(name)?.as_u64()?).ok();
    let stopped = text("stopped");
    Some(Past {
        id: document.get("id")?.as_u64()?,
        language: text("language")?.to_owned(),
        name: text("name").map(str::to_owned),
        code: Arc::from(text("code")?),
        started: document.get("started")?.as_f64()?,
        exit: exit("code").map(Exit::Code).or_else(|| exit("signal").map(Exit::Signal)),
        stopped: Stopped::ALL.into_iter().find(|one| Some(one.as_str()) == stopped),
    })
}

/// Bytes of the name of a program.
const NAME_BYTES_MAX: usize = 100;
