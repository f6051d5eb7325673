//! One rule: who may do what below which path.

use std::fmt;
use std::sync::Arc;

use super::Rights;

/// Gives a user, or everyone, rights under a path.
///
/// ```
/// use number8::access::{Rights, Rule};
///
/// let rule = Rule::user("joe", "/in/", Rights::UP)?;
/// assert_eq!(rule.to_string(), "joe may list,read,create under /in");
/// # Ok::<(), number8::access::RuleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    user: Option<Arc<str>>,
    /// `/`, or names with a slash before each.
    path: Box<str>,
    rights: Rights,
}

impl Rule {
    /// A rule for everyone, whether they have logged in or not.
    ///
    /// # Errors
    /// The path is none that a rule can be about.
    pub fn everyone(path: &str, rights: Rights) -> Result<Self, RuleError> {
        Ok(Self { user: None, path: canonical(path)?, rights })
    }

    /// A rule for one user.
    ///
    /// # Errors
    /// The path is none that a rule can be about, or the name none that can log in.
    pub fn user(name: &str, path: &str, rights: Rights) -> Result<Self, RuleError> {
        check_name(name)?;
        Ok(Self { user: Some(name.into()), path: canonical(path)?, rights })
    }

    /// Whom it is about; `None` is everyone.
    #[must_use]
    pub fn named(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The path below which it holds.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it gives.
    #[must_use]
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// Whether it names this user or everyone.
    pub(super) fn names(&self, user: Option<&str>) -> bool {
        self.user.is_none() || self.user.as_deref() == user
    }

    /// Whether its path is that one or contains it.
    pub(super) fn contains(&self, target: &[u8]) -> bool {
        let mut names = names(target);
        names_of(&self.path).all(|own| names.next() == Some(own))
    }

    /// Whether its path lies below that one.
    pub(super) fn is_below(&self, target: &[u8]) -> bool {
        let mut own = names_of(&self.path);
        names(target).all(|name| own.next() == Some(name)) && own.next().is_some()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, path, rights } = self;
        let user = user.as_deref().unwrap_or("everyone");
        if rights.is_empty() {
            return write!(f, "{user} may do nothing under {path}");
        }
        write!(f, "{user} may {rights} under {path}")
    }
}

/// Why something is no [`Rule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// The path does not begin with a slash.
    NotAbsolute,
    /// A name in the path is `.` or `..`, or has a control character or a backslash: no request for it is ever answered.
    Segment,
    /// A name of a user is not empty and has neither a colon nor control characters.
    User,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "a path begins with a slash",
            Self::Segment => "a path has no . or .., no backslash and no control characters in it",
            Self::User => {
                "the name of a user is not empty and has no colon and no control characters"
            }
        })
    }
}

impl std::error::Error for RuleError {}

/// A colon would end the name in a Basic credential (RFC 7617 §2); control characters would forge log lines.
pub(super) fn check_name(name: &str) -> Result<(), RuleError> {
    let is_odd = |c: char| c == ':' || c.is_control();
    if name.is_empty() || name.contains(is_odd) { Err(RuleError::User) } else { Ok(()) }
}

/// Several slashes count as one, and one at the end as none: the path names the same folder.
fn canonical(path: &str) -> Result<Box<str>, RuleError> {
    if !path.starts_with('/') {
        return Err(RuleError::NotAbsolute);
    }
    let is_odd = |c: char| c == '\\' || c.is_control();
    if has_dot_segment(path.as_bytes()) || path.contains(is_odd) {
        return Err(RuleError::Segment);
    }
    let mut canonical = String::with_capacity(path.len());
    for name in path.split('/').filter(|name| !name.is_empty()) {
        canonical.push('/');
        canonical.push_str(name);
    }
    Ok(if canonical.is_empty() { "/".into() } else { canonical.into() })
}

pub(super) fn has_dot_segment(path: &[u8]) -> bool {
    names(path).any(|name| name == b"." || name == b"..")
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty())
}

fn names_of(path: &str) -> impl Iterator<Item = &[u8]> {
    names(path.as_bytes())
}
