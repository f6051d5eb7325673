//! From the bytes of a URL path to a path that may be opened.
//!
//! Anything odd is refused, not repaired: a path that a browser would never send is an attack or a mistake, and whatever
//! stands before or behind us may repair it differently.

use std::fmt;

/// What to do with names that begin with a dot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hidden {
    /// They are neither listed nor opened, but for `/.well-known` (RFC 8615 §3), which is opened and not written.
    #[default]
    Refuse,
    /// They are like any other name, but for our own [`TEMPORARY_PREFIX`].
    Serve,
}

/// A relative path of plain names, safe to look up beneath a [`Root`](super::Root): the only way from a URL to a file.
///
/// Every name in it is 1 to 255 bytes without `/`, `\`, NUL or control bytes, is neither `.` nor `..`, and is not hidden.
/// Names are bytes; they need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SafePath {
    /// The names joined by single slashes, without one at either end; empty for the root itself.
    path: Vec<u8>,
    names_folder: bool,
}

impl SafePath {
    /// Reads the path of a URL, already percent-decoded (once) and without its query; it begins with `/`.
    ///
    /// Several slashes count as one, as in nginx and in POSIX: the path names the same file, and its names are checked
    /// all the same.
    ///
    /// # Errors
    /// [`PathError`] says which rule the path breaks; none of the file system is touched.
    pub fn parse(decoded: &[u8], hidden: Hidden) -> Result<Self, PathError> {
        if decoded.first() != Some(&b'/') {
            return Err(PathError::NotAbsolute);
        }
        if decoded.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let mut path = Vec::with_capacity(decoded.len());
        for name in decoded.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
            check_name(name)?;
            let well_known = path.is_empty() && name == b".well-known";
            if is_hidden(name, hidden) && !well_known {
                return Err(PathError::Hidden);
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        Ok(Self { path, names_folder: decoded.ends_with(b"/") })
    }

    /// The path of `relative` (one or more names) below this one, under the same rules: for index files and listings.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn join(&self, relative: &[u8], hidden: Hidden) -> Result<Self, PathError> {
        Self::parse(&[b"/", self.as_bytes(), b"/", relative].concat(), hidden)
    }

    /// The path of a sibling whose name is this one's and `suffix`, such as `.br`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse): the longer name may be too long.
    pub fn with_suffix(&self, suffix: &[u8]) -> Result<Self, PathError> {
        Self::parse(&[b"/", self.as_bytes(), suffix].concat(), Hidden::Serve)
    }

    /// The path of the sibling of which this is the one `with_suffix`, if it is one.
    #[cfg(feature = "uploads")]
    pub(crate) fn without_suffix(&self, suffix: &[u8]) -> Option<Self> {
        let name = self.file_name()?.strip_suffix(suffix).filter(|name| !name.is_empty())?;
        self.with_name(name).ok()
    }

    /// The path of a sibling with another name.
    pub(super) fn with_name(&self, name: &[u8]) -> Result<Self, PathError> {
        let (parent, _) = self.split().unwrap_or_default();
        Self::parse(&[b"/", parent, b"/", name].concat(), Hidden::Serve)
    }

    /// The path of the folder that holds this, and the name in it; `None` for the root itself.
    pub(super) fn split(&self) -> Option<(&[u8], &[u8])> {
        let name = self.file_name()?;
        let parent = &self.path[..self.path.len() - name.len()];
        Some((parent.strip_suffix(b"/").unwrap_or(parent), name))
    }

    /// The names joined by `/`, without one at either end; empty for the root itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.path
    }

    /// The last name; `None` for the root itself.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.path.rsplit(|&byte| byte == b'/').next().filter(|name| !name.is_empty())
    }

    /// Whether the URL path ended in `/`. Such a path never opens a file.
    pub fn names_folder(&self) -> bool {
        self.names_folder
    }
}

/// Why a URL path is no [`SafePath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// It does not begin with `/`.
    NotAbsolute,
    /// A name is `.` or `..`.
    DotSegment,
    /// A NUL, another control byte, or a backslash, which other systems take for a separator.
    Byte,
    /// A name is over 255 bytes or the path over 4,096.
    TooLong,
    /// A name begins with a dot and hidden files are not served, or it is a temporary file of ours.
    Hidden,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "path does not begin with a slash",
            Self::DotSegment => "path has a dot segment",
            Self::Byte => "path has a control byte or a backslash",
            Self::TooLong => "path or a name in it is too long",
            Self::Hidden => "path names a hidden file",
        })
    }
}

impl std::error::Error for PathError {}

/// The rules for one name that hold whatever the settings. Listings use them too, so that they show no name that cannot
/// be opened.
pub(super) fn check_name(name: &[u8]) -> Result<(), PathError> {
    if name == b"." || name == b".." {
        return Err(PathError::DotSegment);
    }
    // SECURITY: control bytes forge log lines and terminal output; no file that people share has them in its name.
    if name.iter().any(|&byte| byte.is_ascii_control() || byte == b'\\') {
        return Err(PathError::Byte);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(PathError::TooLong);
    }
    Ok(())
}

/// Whether `name` is not to be seen.
pub(super) fn is_hidden(name: &[u8], hidden: Hidden) -> bool {
    // vfat and casefolded ext4 find a file by its name in any case.
    let temporary = name
        .get(..TEMPORARY_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(TEMPORARY_PREFIX));
    temporary || (hidden == Hidden::Refuse && name.first() == Some(&b'.'))
}

/// How names of our own temporary files begin. They are never listed and never opened.
pub const TEMPORARY_PREFIX: &[u8] = b".number8-";

/// NAME_MAX of Linux.
const NAME_BYTES_MAX: usize = 255;

/// PATH_MAX of Linux: with the slash in front gone and the NUL at the end added, the path just fits.
const PATH_BYTES_MAX: usize = 4096;
