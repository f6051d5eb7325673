//! A name that is about to change: looked at, and held while it does.

use std::os::fd::OwnedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::hold::{Hold, Key};
use super::sys;
use super::{Clash, DEPTH_MAX, LATER_NS, OnClash, RACES_MAX, WriteError, remove, wait_for_removal};
use crate::store::kept::{self, LetGo};
use crate::store::sys::{LOOK, LOOK_FOLDER, fstat, openat, stat_name};
use crate::store::{Kind, Meta, Root, SafePath, note_change};

/// The right to change one name. While this lives, no other write of this process touches the name.
#[derive(Debug)]
pub struct Claim {
    root: Root,
    path: SafePath,
    pub(super) folder: OwnedFd,
    pub(super) name: Vec<u8>,
    made: MadeFolders,
    hold: Option<Hold>,
    /// A folder that is shown as one with this.
    beside: Option<Root>,
}

/// What has a name now.
pub(super) enum Look {
    Nothing,
    File(Meta),
    Folder(Meta),
    Link,
    /// A device, a FIFO, a socket.
    Other,
}

/// What a write has led to.
#[derive(Clone, Debug)]
pub struct Written {
    /// What the file or folder is like now.
    pub meta: Meta,
    /// Whether there was nothing of that name before.
    pub created: bool,
    /// Where it is; the path that was asked for, unless both were to be kept.
    pub path: SafePath,
}

impl Root {
    /// Claims a name for a change; may wait for the disk, and for another change of the same name. With `make_folders`,
    /// folders that are missing on the way are made, and removed again if nothing comes of the change.
    ///
    /// # Errors
    /// `NotFound` where a folder on the way is missing and not to be made; [`Clash::Root`] for the root itself.
    pub fn claim(&self, path: &SafePath, make_folders: bool) -> Result<Claim, WriteError> {
        let mut claim = Claim::find(self, path, make_folders)?;
        claim.hold = Some(Hold::take(claim.key()?));
        Ok(claim)
    }

    /// Claims two names for a move from one to the other; folders that are missing on the way to the second are made.
    ///
    /// # Errors
    /// As for [`claim`](Self::claim).
    pub fn claim_two(&self, from: &SafePath, to: &SafePath) -> Result<(Claim, Claim), WriteError> {
        let mut from = Claim::find(self, from, false)?;
        if matches!(from.look()?, Look::Nothing | Look::Other) {
            return Err(WriteError::NotFound);
        }
        let mut to = Claim::find(self, to, true)?;
        let (first, second) = (from.key()?, to.key()?);
        // Always in the same order, or two moves would wait for each other.
        if first < second {
            from.hold = Some(Hold::take(first));
            to.hold = Some(Hold::take(second));
        } else {
            let is_same = first == second;
            to.hold = Some(Hold::take(second));
            from.hold = (!is_same).then(|| Hold::take(first));
        }
        Ok((from, to))
    }

    /// Makes a folder, and those that are missing on the way to it.
    ///
    /// # Errors
    /// [`Clash::Exists`] where something has that name.
    pub fn make_folder(&self, path: &SafePath) -> Result<Written, WriteError> {
        let mut claim = self.claim(path, true)?;
        check_depth(path.as_bytes())?;
        sys::make_folder(&claim.folder, &claim.name)?;
        claim.made.keep();
        let meta = Meta::from_stat(&stat_name(&claim.folder, &claim.name)?)?;
        note_change();
        Ok(Written { meta, created: true, path: claim.path })
    }

    /// Makes sure that the disk has room for one more file or folder where some is to stay free.
    ///
    /// # Errors
    /// [`WriteError::NoSpace`].
    #[cfg(feature = "uploads")]
    pub(crate) fn check_files(&self, keep_free_bytes: u64) -> Result<(), WriteError> {
        let space = sys::space(self.find(b"", LOOK_FOLDER)?)?;
        match space.is_some_and(|space| keep_free_bytes > 0 && space.is_short_of_files()) {
            true => Err(WriteError::NoSpace),
            false => Ok(()),
        }
    }

    /// What has this name, slash or not; may wait for the disk.
    ///
    /// # Errors
    /// It cannot be found out.
    pub(crate) fn taken(&self, path: &SafePath) -> Result<Option<Meta>, WriteError> {
        match self.find(path.as_bytes(), LOOK) {
            Ok(found) => Ok(Some(Meta::from_stat(&fstat(&found)?)?)),
            // Nothing is beneath a file.
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder that is nearest to `path` of those that are there, and the names that are missing below it.
    pub(super) fn nearest_folder<'a>(
        &self,
        path: &'a [u8],
    ) -> Result<(OwnedFd, &'a [u8]), WriteError> {
        let mut there = path;
        loop {
            match self.find(there, LOOK_FOLDER) {
                Ok(folder) => {
                    let missing = path[there.len()..].strip_prefix(b"/");
                    return Ok((folder, missing.unwrap_or(&path[there.len()..])));
                }
                Err(Errno::NOENT) if !there.is_empty() => {
                    let up = there.iter().rposition(|&b| b == b'/').unwrap_or(0);
                    there = &there[..up];
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Claim {
    fn find(root: &Root, path: &SafePath, make_folders: bool) -> Result<Self, WriteError> {
        for _ in 1..RACES_MAX {
            match Self::try_find(root, path, make_folders) {
                // Somebody removes folders while they are made.
                Err(WriteError::NotFound) if make_folders => wait_for_removal(),
                result => return result,
            }
        }
        Self::try_find(root, path, make_folders)
    }

    fn try_find(root: &Root, path: &SafePath, make_folders: bool) -> Result<Self, WriteError> {
        let (parent, name) = path.split().ok_or(WriteError::Clash(Clash::Root))?;
        let (mut folder, missing) = root.nearest_folder(parent)?;
        let mut made = MadeFolders::default();
        if !missing.is_empty() {
            if !make_folders {
                return Err(WriteError::NotFound);
            }
            check_depth(parent)?;
            for name in missing.split(|&b| b == b'/') {
                folder = made.make(folder, name)?;
            }
        }
        let (root, path, name) = (root.clone(), path.clone(), name.to_vec());
        Ok(Self { root, path, folder, name, made, hold: None, beside: None })
    }

    /// Claims the name once more, with its folders, where they were removed meanwhile. What is known of the name still
    /// holds: nothing has it.
    ///
    /// # Errors
    /// [`Clash`] where something has the name by now.
    pub(super) fn again(self) -> Result<Self, WriteError> {
        let (root, path, beside) = (self.root.clone(), self.path.clone(), self.beside.clone());
        // Two holds of one name would wait for each other.
        drop(self);
        let claim = root.claim(&path, true)?.beside(beside.as_ref());
        match claim.look()? {
            Look::Nothing => Ok(claim),
            look => Err(look.clash()),
        }
    }

    /// What has the name now, if anything. A link is what it leads to.
    ///
    /// # Errors
    /// [`Clash::Special`] where it is neither a file nor a folder, or a link that leads to nothing that is served.
    pub fn current(&self) -> Result<Option<Meta>, WriteError> {
        match self.look()? {
            Look::Nothing => Ok(None),
            Look::File(meta) | Look::Folder(meta) => Ok(Some(meta)),
            Look::Link => match self.root.stat_blocking(&self.path) {
                Ok(meta) => Ok(Some(meta)),
                Err(_) => Err(WriteError::Clash(Clash::Special)),
            },
            Look::Other => Err(WriteError::Clash(Clash::Special)),
        }
    }

    /// Counts names as taken, too, that are in this other folder: both are shown as one. To replace a file is one's own
    /// affair: what the other folder has stays.
    #[must_use]
    pub fn beside(mut self, other: Option<&Root>) -> Self {
        self.beside = other.cloned();
        self
    }

    /// Whether the name is free in the other folder, where that matters.
    pub(super) fn is_free_beside(&self, on_clash: OnClash) -> Result<bool, WriteError> {
        match &self.beside {
            Some(other) if on_clash != OnClash::Replace => Ok(other.taken(&self.path)?.is_none()),
            _ => Ok(true),
        }
    }

    /// Whether a file could get the name now; nothing but a file gives way to one.
    ///
    /// # Errors
    /// [`Clash`] where something has the name and `on_clash` does not help.
    pub fn check_file(&self, on_clash: OnClash) -> Result<(), WriteError> {
        match (self.look()?, on_clash) {
            (Look::Nothing, _) | (Look::File(_), OnClash::Replace) | (_, OnClash::KeepBoth) => {
                Ok(())
            }
            (look, _) => Err(look.clash()),
        }
    }

    /// Removes a file, a link (never what it leads to) or a folder; with `recursive` also a folder that is not empty, with
    /// all that it holds, also what is hidden.
    ///
    /// # Errors
    /// [`Clash::NotEmpty`], [`Clash::TooDeep`]; if a recursive removal fails half-way, what is left stays.
    pub fn remove(self, recursive: bool) -> Result<(), WriteError> {
        let (is_folder, gone) = match self.look()? {
            Look::Nothing | Look::Other => return Err(WriteError::NotFound),
            Look::File(meta) => (false, Some(LetGo::File(meta))),
            Look::Link => (false, None),
            Look::Folder(_) => (true, recursive.then_some(LetGo::Deleted)),
        };
        if !is_folder && self.path.names_folder() {
            return Err(WriteError::NotFound);
        }
        let result = match (is_folder, recursive) {
            (false, _) => sys::remove_file(&self.folder, &self.name).map_err(WriteError::from),
            (true, false) => sys::remove_folder(&self.folder, &self.name).map_err(WriteError::from),
            (true, true) => remove::tree(&self.folder, &self.name),
        };
        note_change();
        gone.into_iter().for_each(kept::let_go);
        result
    }

    /// Makes sure that what takes the place of a file differs from it in time or length, and so in its entity-tag.
    fn tell_apart(&self, old: &Meta) {
        for later_ns in LATER_NS {
            let Ok(Look::File(new)) = self.look() else { return };
            if (new.modified_ns, new.size) != (old.modified_ns, old.size) {
                return;
            }
            // A file system that cannot leaves us no worse off.
            let _ = sys::set_modified_at(&self.folder, &self.name, old.modified_ns + later_ns);
        }
    }

    /// Moves what has this name to another one. A file may take the place of a file ([`OnClash::Replace`]), and nothing
    /// else the place of anything.
    ///
    /// # Errors
    /// [`Clash::OtherDisk`], [`Clash::Inside`]; others as for a file that is written there.
    pub fn rename(self, mut to: Claim, on_clash: OnClash) -> Result<Written, WriteError> {
        let source = self.look()?;
        let is_folder = match source {
            Look::Nothing | Look::Other => return Err(WriteError::NotFound),
            Look::Folder(_) => true,
            Look::File(_) | Look::Link => false,
        };
        if !is_folder && self.path.names_folder() {
            return Err(WriteError::NotFound);
        }
        if !is_folder && to.path.names_folder() {
            return Err(WriteError::Clash(Clash::NotFolder));
        }
        // The names differ at most in case.
        let may_be_same = self.hold.is_none();
        if may_be_same && self.name == to.name {
            return Err(WriteError::Clash(Clash::Inside));
        }
        // A change of case alone is a move on a disk that knows no case.
        let is_same = may_be_same && self.leads_where(&to)?;
        for _ in 0..RACES_MAX {
            let result = match (to.look()?, on_clash) {
                (_, OnClash::Replace) if is_same => {
                    sys::rename(&self.folder, &self.name, &to.folder, &to.name).map(|()| true)
                }
                (Look::Nothing, _) if to.is_free_beside(on_clash)? => {
                    sys::rename_new(&self.folder, &self.name, &to.folder, &to.name).map(|()| true)
                }
                (Look::File(old), OnClash::Replace) if !is_folder => {
                    self.tell_apart(&old);
                    sys::rename(&self.folder, &self.name, &to.folder, &to.name).map(|()| {
                        kept::let_go(LetGo::File(old));
                        false
                    })
                }
                (_, OnClash::KeepBoth) => {
                    to.take_free_name(|folder, name| {
                        sys::rename_new(&self.folder, &self.name, folder, name)
                    })?;
                    Ok(true)
                }
                (look, _) => return Err(look.clash()),
            };
            match result {
                Ok(created) => {
                    let meta = match Meta::from_stat(&stat_name(&to.folder, &to.name)?) {
                        Ok(meta) => meta,
                        // A link was moved.
                        Err(_) => to.root.stat_blocking(&to.path)?,
                    };
                    return Ok(to.written(created, meta));
                }
                // Somebody outside of this process was faster.
                Err(Errno::EXIST) => {}
                Err(Errno::XDEV) => return Err(WriteError::Clash(Clash::OtherDisk)),
                Err(Errno::INVAL) if is_folder => return Err(WriteError::Clash(Clash::Inside)),
                Err(error) => return Err(error.into()),
            }
        }
        Err(WriteError::Clash(Clash::Exists))
    }

    /// Whether the path ended in `/`.
    pub(super) fn names_folder(&self) -> bool {
        self.path.names_folder()
    }

    pub(super) fn look(&self) -> Result<Look, WriteError> {
        let stat = match stat_name(&self.folder, &self.name) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Look::Nothing),
            Err(error) => return Err(error.into()),
        };
        if crate::store::sys::file_type(&stat) == FileType::Symlink {
            return Ok(Look::Link);
        }
        Ok(match Meta::from_stat(&stat) {
            Ok(meta) if meta.kind == Kind::Directory => Look::Folder(meta),
            Ok(meta) => Look::File(meta),
            Err(_) => Look::Other,
        })
    }

    /// Whether both names lead to the same file or folder.
    fn leads_where(&self, other: &Self) -> Result<bool, WriteError> {
        let own = stat_name(&self.folder, &self.name)?;
        match stat_name(&other.folder, &other.name) {
            Ok(stat) => Ok((own.st_dev, own.st_ino) == (stat.st_dev, stat.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes the name to one that is free: `name (2).ext` and so on.
    pub(super) fn take_free_name(
        &mut self,
        mut take: impl FnMut(&OwnedFd, &[u8]) -> Result<(), Errno>,
    ) -> Result<(), WriteError> {
        for number in 2..=COPIES_MAX {
            let name = numbered(&self.name, number);
            let path = self.path.with_name(&name).map_err(|_| WriteError::BadName)?;
            if let Some(other) = &self.beside
                && other.taken(&path)?.is_some()
            {
                continue;
            }
            match take(&self.folder, &name) {
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    (self.path, self.name) = (path, name);
                    return Ok(());
                }
            }
        }
        Err(WriteError::Clash(Clash::Exists))
    }

    /// Waits until the name is on the disk, and those of folders that were made for it.
    pub(super) fn sync_names(&self) -> Result<(), WriteError> {
        let parents = self.made.0.iter().map(|(parent, _)| parent);
        let unsynced = |error: Errno| WriteError::Unsynced(error.into());
        parents
            .chain([&self.folder])
            .try_for_each(|folder| sys::sync_folder(folder).map_err(unsynced))
    }

    /// The change has been made.
    pub(super) fn written(mut self, created: bool, meta: Meta) -> Written {
        self.made.keep();
        note_change();
        Written { meta, created, path: self.path }
    }

    fn key(&self) -> Result<Key, WriteError> {
        Ok(Key::new(&fstat(&self.folder)?, &self.name))
    }
}

impl Look {
    /// Why nothing may take the place of what is there.
    pub(super) fn clash(&self) -> WriteError {
        WriteError::Clash(match self {
            Self::Nothing | Self::File(_) => Clash::Exists,
            Self::Folder(_) => Clash::Folder,
            Self::Link | Self::Other => Clash::Special,
        })
    }
}

/// Folders that were made on the way to a change, which are removed again if nothing comes of it.
#[derive(Debug, Default)]
struct MadeFolders(Vec<(OwnedFd, Vec<u8>)>);

impl MadeFolders {
    /// Makes a folder in `parent` unless it is there, and opens it.
    fn make(&mut self, parent: OwnedFd, name: &[u8]) -> Result<OwnedFd, WriteError> {
        let is_made = match sys::make_folder(&parent, name) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        // Follows no link: one that appears here now was planted, or leads nowhere.
        let folder = openat(&parent, name, LOOK_FOLDER);
        if is_made {
            self.0.push((parent, name.to_vec()));
        }
        Ok(folder?)
    }

    fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for (parent, name) in self.0.iter().rev() {
            // One that somebody uses by now is not empty, and stays.
            let _ = sys::remove_folder(parent, name);
        }
    }
}

/// Whether a folder may be made at this path: one that is deeper could not be removed with what is above it.
pub(super) fn check_depth(path: &[u8]) -> Result<(), WriteError> {
    match path.split(|&b| b == b'/').count() > DEPTH_MAX {
        true => Err(WriteError::Clash(Clash::TooDeep)),
        false => Ok(()),
    }
}

/// `name (2).ext`; a dot in front is no beginning of an extension. Cut where it would be too long.
fn numbered(name: &[u8], number: u32) -> Vec<u8> {
    let dot = name.iter().rposition(|&b| b == b'.').filter(|&dot| dot > 0);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let suffix = format!(" ({number})");
    let room = NAME_BYTES_MAX.saturating_sub(suffix.len() + extension.len());
    let mut end = stem.len().min(room);
    // Not in the middle of a character.
    while end > 0 && stem.get(end).is_some_and(|&b| b & 0xC0 == 0x80) {
        end -= 1;
    }
    [&stem[..end], suffix.as_bytes(), extension].concat()
}

/// Files of the same name that are kept beside each other.
const COPIES_MAX: u32 = 1000;

/// NAME_MAX of Linux.
const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_numbered_before_its_extension() {
        let long = "é".repeat(200);
        let cut = format!("{} (2).txt", "é".repeat(123));
        for (name, number, want) in [
            ("song.mp3", 2, "song (2).mp3"),
            ("song", 13, "song (13)"),
            ("a.tar.gz", 2, "a.tar (2).gz"),
            (".profile", 2, ".profile (2)"),
            (format!("{long}.txt").as_str(), 2, cut.as_str()),
        ] {
            assert_eq!(numbered(name.as_bytes(), number), want.as_bytes(), "{name}");
        }
    }
}
