//! The folder that is written to, or the two of an overlay.

use std::io;
use std::path::PathBuf;

use super::answer::Fail;
use crate::store::{Meta, OpenError, Reach, Root, RootOptions, SafePath};

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

/// The folder that a request changes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) root: Root,
    /// The other one of an overlay: its names are taken, too, as readers see both.
    pub(super) other: Option<Root>,
    /// The other one lies over this one.
    pub(super) is_beneath: bool,
}

impl Place {
    /// What the other folder has there.
    pub(super) fn of_other(&self, path: &SafePath) -> Result<Option<Meta>, Fail> {
        Ok(self.other.as_ref().map_or(Ok(None), |other| other.taken(path))?)
    }
}

impl Roots {
    /// Where a new file goes; may wait for the disk.
    pub(super) fn for_new(&self) -> Result<Place, Fail> {
        Ok(match self.open_external()? {
            Some(external) => self.over(external),
            None => self.alone(),
        })
    }

    /// Where a file is that is there already: in the folder that lies over the other one, if it is in both.
    pub(super) fn of(&self, path: &SafePath) -> Result<Place, Fail> {
        let Some(external) = self.open_external()? else { return Ok(self.alone()) };
        let only = self.external.as_ref().is_some_and(|external| external.only);
        Ok(match external.stat_blocking(path) {
            Err(OpenError::NotFound) if !only => {
                Place { root: self.internal.clone(), other: Some(external), is_beneath: true }
            }
            _ => self.over(external),
        })
    }

    fn alone(&self) -> Place {
        Place { root: self.internal.clone(), other: None, is_beneath: false }
    }

    fn over(&self, external: Root) -> Place {
        Place { root: external, other: Some(self.internal.clone()), is_beneath: false }
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
