//! What a function of the user's says about a path (row U31).

use super::Rights;

/// What may be done with a file or folder.
///
/// ```
/// use number8::access::FileAcl;
///
/// assert_eq!(FileAcl::of_code(FileAcl::CODE_RO), FileAcl::ReadOnly);
/// assert_eq!(FileAcl::of_code(404), FileAcl::Refuse(404));
/// assert_eq!(FileAcl::of_code(200), FileAcl::Refuse(403));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAcl {
    /// It may be read.
    ReadOnly,
    /// It may be written.
    WriteOnly,
    /// It may be read and written.
    ReadWrite,
    /// The request is refused with this status, 400 or more; another is a mistake in the program and becomes 403.
    Refuse(u16),
}

impl FileAcl {
    /// The number for [`ReadOnly`](Self::ReadOnly).
    pub const CODE_RO: i64 = 1;
    /// The number for [`WriteOnly`](Self::WriteOnly).
    pub const CODE_WO: i64 = 2;
    /// The number for [`ReadWrite`](Self::ReadWrite).
    pub const CODE_RW: i64 = 3;

    /// What a number says: one of the three above, or a status of 400 or more. Any other number is 403.
    #[must_use]
    pub fn of_code(code: i64) -> Self {
        match code {
            Self::CODE_RO => Self::ReadOnly,
            Self::CODE_WO => Self::WriteOnly,
            Self::CODE_RW => Self::ReadWrite,
            _ => Self::Refuse(u16::try_from(code).ok().map_or(FORBIDDEN, refusal)),
        }
    }

    /// The rights over files that it gives, or the status that refuses.
    pub(crate) fn rights(self) -> Result<Rights, u16> {
        let write = Rights::RW.without(Rights::RO);
        match self {
            Self::ReadOnly => Ok(Rights::RO),
            Self::WriteOnly => Ok(write),
            Self::ReadWrite => Ok(Rights::RO | write),
            Self::Refuse(status) => Err(refusal(status)),
        }
    }
}

fn refusal(status: u16) -> u16 {
    if (400..1000).contains(&status) { status } else { FORBIDDEN }
}

const FORBIDDEN: u16 = 403;
