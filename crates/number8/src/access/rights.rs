//! What may be done, one bit for each verb.

use std::fmt;
use std::ops::BitOr;
use std::str::FromStr;

/// A set of rights. Each is a verb, so that "may add files, may not replace them" can be said.
///
/// ```
/// use number8::access::Rights;
///
/// let rights: Rights = "ro,create".parse()?;
/// assert_eq!(rights, Rights::UP);
/// assert_eq!(rights.to_string(), "list,read,create");
/// assert!(!rights.contains(Rights::DELETE));
/// # Ok::<(), number8::access::RightsError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u16);

macro_rules! verbs {
    ($($constant:ident $name:literal $bit:literal $help:literal;)*) => {
        impl Rights {
            $(#[doc = $help] pub const $constant: Self = Self(1 << $bit);)*
            /// Every verb with its name.
            const VERBS: &'static [(&'static str, Self)] = &[$(($name, Self::$constant),)*];
        }
    };
}

verbs! {
    LIST "list" 0 "See the names in a folder.";
    READ "read" 1 "Read files, and listen to events.";
    CREATE "create" 2 "Make files and folders that are not there yet.";
    OVERWRITE "overwrite" 3 "Replace files that are there.";
    DELETE "delete" 4 "Remove files and folders.";
    MOVE "move" 5 "Move and rename. It also takes `delete` at the old place and `create` or `overwrite` at the new one.";
    RUN "run" 6 "Run programs.";
    REPL "repl" 7 "Type into a live interpreter.";
    EVENTS "events" 8 "Publish events.";
    ADMIN "admin" 9 "Look after the server itself.";
}

impl Rights {
    /// Nothing; as a rule it refuses, whatever other rules for the same path say.
    pub const NONE: Self = Self(0);
    /// Look, but do not touch: `list read`.
    pub const RO: Self = Self(Self::LIST.0 | Self::READ.0);
    /// Look and add: `list read create`.
    pub const UP: Self = Self(Self::RO.0 | Self::CREATE.0);
    /// Everything that can be done with files: `list read create overwrite delete move`.
    pub const RW: Self = Self(Self::UP.0 | Self::OVERWRITE.0 | Self::DELETE.0 | Self::MOVE.0);
    /// A drop box: `create` alone.
    pub const WO: Self = Self::CREATE;
    /// Every right.
    pub const ALL: Self = Self((1 << Self::VERBS.len()) - 1);

    /// What may change a file that is there, or make one.
    pub(crate) const WRITING: Self = Self(Self::CREATE.0 | Self::OVERWRITE.0 | Self::MOVE.0);

    const SHORTHANDS: [(&'static str, Self); 6] = [
        ("ro", Self::RO),
        ("up", Self::UP),
        ("rw", Self::RW),
        ("wo", Self::WO),
        ("all", Self::ALL),
        ("none", Self::NONE),
    ];

    /// These and those of `other`, as `|` where constants are made.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is among these.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These but those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The names of the verbs that are among these.
    pub(crate) fn verbs(self) -> impl Iterator<Item = &'static str> {
        let verbs = Self::VERBS.iter().filter(move |(_, right)| self.contains(*right));
        verbs.map(|(name, _)| *name)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rights that a name stands for: a verb, or a shorthand for several.
    ///
    /// # Errors
    /// There is no such name.
    pub fn of_name(name: &str) -> Result<Self, RightsError> {
        let names = Self::VERBS.iter().chain(&Self::SHORTHANDS);
        let found = names.into_iter().find(|(other, _)| *other == name);
        found.map(|(_, rights)| *rights).ok_or_else(|| RightsError::Unknown(name.to_owned()))
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The verbs with commas between, or `none`.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut between = "";
        for name in self.verbs() {
            write!(f, "{between}{name}")?;
            between = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

/// Names with commas between: verbs, and the shorthands `ro up rw wo all`; `none` stands alone.
impl FromStr for Rights {
    type Err = RightsError;

    fn from_str(text: &str) -> Result<Self, RightsError> {
        let mut all = Self::NONE;
        for name in text.split(',') {
            let rights = Self::of_name(name.trim())?;
            if rights.is_empty() && text.contains(',') {
                return Err(RightsError::NoneAndMore);
            }
            all = all | rights;
        }
        Ok(all)
    }
}

/// Why a text names no rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RightsError {
    /// This is neither a verb nor a shorthand.
    Unknown(String),
    /// `none` refuses everything, so nothing can stand beside it.
    NoneAndMore,
}

impl fmt::Display for RightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "there is no right '{}'; there are", name.escape_debug())?;
                let names = Rights::VERBS.iter().chain(&Rights::SHORTHANDS);
                names.into_iter().try_for_each(|(name, _)| write!(f, " {name}"))
            }
            Self::NoneAndMore => {
                f.write_str("none refuses everything: no other right goes with it")
            }
        }
    }
}

impl std::error::Error for RightsError {}
