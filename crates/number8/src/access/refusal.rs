//! What is said to whom may not.

use std::fmt;

use super::Rights;

/// A request that the rules do not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    missing: Rights,
    path: String,
}

impl Refusal {
    pub(super) fn new(status: u16, missing: Rights, path: &[u8]) -> Self {
        Self { status, missing, path: String::from_utf8_lossy(path).into_owned() }
    }

    /// 401 where nobody has logged in and logging in could help, else 403, or what a function of the user's chose.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The rights that are missing.
    #[must_use]
    pub fn missing(&self) -> Rights {
        self.missing
    }

    /// The path for which they are missing: the one that was asked for, or one below it. Bytes that are no UTF-8 are replaced.
    ///
    /// ```
    /// use number8::access::{Access, Rights, Rule};
    ///
    /// let rules = [Rule::user("sam", "/", Rights::RW)?, Rule::user("sam", "/in/list", Rights::RO)?];
    /// let refused = Access::new(rules).decide_tree(Some("sam"), Rights::DELETE, b"/in/").unwrap_err();
    /// assert_eq!(refused.path(), "/in/list");
    /// # Ok::<(), number8::access::RuleError>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Names the rights and the path, in words for the person who asked.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missing, path) = (self.missing, self.path.escape_debug());
        match self.status {
            401 => write!(f, "log in to get the right to {missing} for {path}"),
            _ => write!(f, "the right to {missing} is missing for {path}"),
        }
    }
}

impl std::error::Error for Refusal {}
