//! The folder that is written to, or the two of an overlay.

use std::io;
use std::path::PathBuf;

use super::answer::Fail;
use crate::store::{OpenError, Reach, Root, RootOptions, SafePath};

/// Where files go.
#[derive(Debug)]
pub(super) struct Roots {
    pub(super) internal: Root,
    pub(super) external: Option<External>,
    pub(super) reach: Reach,
}

/// A folder over the other one, such as a card that may be pulled out. It is opened for each change: an open descriptor
/// would keep it from being unmounted.
#[derive(Debug)]
pub(super) struct External {
    pub(super) folder: PathBuf,
    /// Nothing else is written to.
    pub(super) only: bool,
}

impl Roots {
    /// Where a new file goes; may wait for the disk.
    pub(super) fn for_new(&self) -> Result<Root, Fail> {
        match self.open_external()? {
            Some(external) => Ok(external),
            None => Ok(self.internal.clone()),
        }
    }

    /// Where a file is that is there already: in the folder that lies over the other one, if it is in both.
    pub(super) fn of(&self, path: &SafePath) -> Result<Root, Fail> {
        let Some(external) = self.open_external()? else { return Ok(self.internal.clone()) };
        let only = self.external.as_ref().is_some_and(|external| external.only);
        match external.stat_blocking(path) {
            Err(OpenError::NotFound) if !only => Ok(self.internal.clone()),
            _ => Ok(external),
        }
    }

    pub(super) fn sweep(&self) -> io::Result<usize> {
        let external = self.open_external().ok().flatten();
        let external = external.map_or(Ok(0), |root| root.sweep())?;
        Ok(self.internal.sweep()? + external)
    }

    fn open_external(&self) -> Result<Option<Root>, Fail> {
        let Some(External { folder, only }) = &self.external else { return Ok(None) };
        match Root::open(folder, RootOptions::from(self.reach)) {
            Ok(root) => Ok(Some(root)),
            Err(_) if *only => Err(Fail::NoExternal),
            Err(_) => Ok(None),
        }
    }
}
