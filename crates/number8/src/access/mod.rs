//! Who may do what: rules by path and user, and the one decision from them.
//!
//! Of the rules whose path contains the target and that name the user or everyone, the longest path decides; at that
//! path `none` refuses, else the rights add up. Nothing here knows HTTP: who a user is has been found out before, and
//! what becomes of a refusal is decided after.
//!
//! ```
//! use number8::access::{Access, Rights, Rule};
//!
//! let access = Access::new([
//!     Rule::everyone("/", Rights::RO)?,
//!     Rule::everyone("/private", Rights::NONE)?,
//!     Rule::user("joe", "/in", Rights::UP)?,
//! ]);
//! assert!(access.decide(None, Rights::READ, b"/song.mp3").is_ok());
//! assert!(access.decide(Some("joe"), Rights::CREATE, b"/in/new.txt").is_ok());
//!
//! let refusal = access.decide(None, Rights::CREATE, b"/in/new.txt").unwrap_err();
//! assert_eq!(refusal.status(), 401); // logging in could help
//! let refusal = access.decide(Some("joe"), Rights::READ, b"/private/x").unwrap_err();
//! assert_eq!(refusal.status(), 403);
//! # Ok::<(), number8::access::RuleError>(())
//! ```

mod file_acl;
mod grant;
mod refusal;
mod rights;
mod rule;
mod watch;

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

pub use self::file_acl::FileAcl;
pub use self::grant::{Grant, GrantError};
pub use self::refusal::Refusal;
pub use self::rights::{Rights, RightsError};
pub use self::rule::{Rule, RuleError};

use self::rule::has_dot_segment;
use self::watch::Watch;

/// The rules of an app, and what follows from them. By default everyone may list and read.
///
/// Paths are those of URLs, decoded, from the root of the server.
#[derive(Clone)]
pub struct Access {
    /// The longest path first.
    rules: Vec<Rule>,
    file_acl: Option<Arc<Callback>>,
    /// What everyone may do with every path, as far as that can be said without looking at one.
    everywhere: Rights,
    watch: Arc<Watch>,
}

/// What may be done with the files of a path, or the status that refuses, for who wants to do this; `None` wants to know what may be.
type Callback = dyn Fn(&[u8], Option<Rights>) -> Result<Rights, u16> + Send + Sync;

impl Access {
    /// Nothing is allowed but what these rules allow.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut rules: Vec<Rule> = rules.into_iter().collect();
        rules.sort_by_key(|rule| Reverse(rule.path().len()));
        let for_all = |rule: &Rule| rule.path() == "/" && rule.named().is_none();
        let is_same = rules.iter().all(|rule| for_all(rule) && !rule.rights().is_empty());
        let everywhere = match is_same {
            true => rules.iter().fold(Rights::NONE, |all, rule| all | rule.rights()),
            false => Rights::NONE,
        };
        Self { rules, file_acl: None, everywhere, watch: Arc::default() }
    }

    /// Has a function say what may be done with each file and folder, in place of the rules (row U31); what is no
    /// matter of files stays with the rules. It gets the path, which ends in `/` where a folder is meant.
    ///
    /// It is called where the request was parsed, so it must not wait.
    ///
    /// ```
    /// use number8::access::{Access, FileAcl, Rights};
    ///
    /// let access = Access::default().file_acl(|path| match path.starts_with(b"/in/") {
    ///     true => FileAcl::WriteOnly,
    ///     false => FileAcl::ReadOnly,
    /// });
    /// assert!(access.decide(None, Rights::OVERWRITE, b"/in/a.txt").is_ok());
    /// assert!(access.decide(None, Rights::READ, b"/in/a.txt").is_err());
    /// ```
    #[must_use]
    pub fn file_acl(self, function: impl Fn(&[u8]) -> FileAcl + Send + Sync + 'static) -> Self {
        self.asking(move |path, _| function(path).rights())
    }

    /// As [`file_acl`](Self::file_acl), by rights.
    pub(crate) fn asking(
        self,
        function: impl Fn(&[u8], Option<Rights>) -> Result<Rights, u16> + Send + Sync + 'static,
    ) -> Self {
        Self { file_acl: Some(Arc::new(function)), everywhere: Rights::NONE, ..self }
    }

    /// The rules, the longest path first.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What everyone may do with every path, as far as that can be said without looking at a path: nothing where rules
    /// differ from path to path or from user to user.
    #[must_use]
    pub fn everywhere(&self) -> Rights {
        self.everywhere
    }

    /// What that user, or somebody who has not logged in, may do with a path.
    #[must_use]
    pub fn rights(&self, user: Option<&str>, path: &[u8]) -> Rights {
        self.granted(user, None, path).unwrap_or(Rights::NONE)
    }

    /// Whether that user may do all of this with a path.
    ///
    /// # Errors
    /// They may not; the refusal says what is missing.
    pub fn decide(&self, user: Option<&str>, wanted: Rights, path: &[u8]) -> Result<(), Refusal> {
        let granted = match self.granted(user, Some(wanted), path) {
            Ok(granted) => granted,
            Err(status) => return Err(Refusal::new(status, wanted, path)),
        };
        if granted.contains(wanted) {
            return Ok(());
        }
        let login_helps = user.is_none() && self.login_could_help(wanted, path);
        let status = if login_helps { 401 } else { 403 };
        Err(Refusal::new(status, wanted.without(granted), path))
    }

    /// Whether that user may do all of this with a path and with everything below it: a rule below that refuses any of
    /// it refuses the whole.
    ///
    /// # Errors
    /// They may not; the refusal says what is missing, and where.
    pub fn decide_tree(
        &self,
        user: Option<&str>,
        wanted: Rights,
        path: &[u8],
    ) -> Result<(), Refusal> {
        self.decide(user, wanted, path)?;
        let mut below = self.rules.iter().filter(|rule| rule.names(user) && rule.is_below(path));
        below.try_for_each(|rule| self.decide(user, wanted, rule.path().as_bytes()))
    }

    /// Whether that user may move a path with everything below it: `move` and `delete` there, and here `overwrite` if
    /// something is replaced, else `create`.
    ///
    /// # Errors
    /// They may not; the refusal says what is missing, and where.
    pub fn decide_move(
        &self,
        user: Option<&str>,
        from: &[u8],
        to: &[u8],
        replaces: bool,
    ) -> Result<(), Refusal> {
        let leaves = self.decide_tree(user, Rights::MOVE | Rights::DELETE, from);
        let arrives = if replaces { Rights::OVERWRITE } else { Rights::CREATE };
        // A function of the user's is asked about both, whatever it says of the first.
        let arrives = self.decide_tree(user, arrives, to);
        leaves.and(arrives)
    }

    /// The rules that decide about a path: those with the longest path among those that name the user or everyone.
    /// Where there are none, nothing is allowed.
    pub fn deciding(&self, user: Option<&str>, path: &[u8]) -> impl Iterator<Item = &Rule> {
        // SECURITY: what `..` would lead to is not looked up anywhere, so no rule allows it. Where all rules are about
        // the root it leads nowhere else.
        let is_plain =
            self.rules.first().is_none_or(|rule| rule.path() == "/") || !has_dot_segment(path);
        let first = self
            .rules
            .iter()
            .position(|rule| is_plain && rule.names(user) && rule.contains(path))
            .unwrap_or(self.rules.len());
        let rest = &self.rules[first..];
        let longest = rest.first().map(Rule::path);
        rest.iter().filter(move |rule| Some(rule.path()) == longest && rule.names(user))
    }

    /// Whether those who have not logged in may do any of this anywhere.
    #[must_use]
    pub fn everyone_may_any(&self, rights: Rights) -> bool {
        let by_rule = |rule: &Rule| rule.named().is_none() && rule.rights().intersects(rights);
        let by_function = self.file_acl.is_some() && rights.intersects(Rights::RW);
        by_function || self.rules.iter().any(by_rule)
    }

    /// Who may make or change files somewhere and has not all of `rights` at the path `at`: `None` is everyone. Where there is
    /// nobody, what is in a folder comes only from those who have the rights.
    ///
    /// ```
    /// use number8::access::{Access, Rights, Rule};
    ///
    /// let [ann, joe] = [Rule::user("ann", "/", Rights::ALL)?, Rule::user("joe", "/in", Rights::UP)?];
    /// let access = Access::new([ann, joe, Rule::everyone("/", Rights::RO)?]);
    /// assert_eq!(access.writers_without(Rights::RUN, "/run"), [Some("joe")]);
    /// # Ok::<(), number8::access::RuleError>(())
    /// ```
    #[must_use]
    pub fn writers_without(&self, rights: Rights, at: &str) -> Vec<Option<&str>> {
        let lacks = |user| !self.rights(user, at.as_bytes()).contains(rights);
        let mut writers = Vec::new();
        if self.everyone_may_any(Rights::WRITING) && lacks(None) {
            writers.push(None);
        }
        let rules = self.rules.iter().filter(|rule| rule.rights().intersects(Rights::WRITING));
        for user in rules.filter_map(Rule::named) {
            if lacks(Some(user)) && !writers.contains(&Some(user)) {
                writers.push(Some(user));
            }
        }
        writers
    }

    /// The rights, or the status with which the function of the user's refuses.
    fn granted(
        &self,
        user: Option<&str>,
        wanted: Option<Rights>,
        path: &[u8],
    ) -> Result<Rights, u16> {
        let mut granted = Rights::NONE;
        for rule in self.deciding(user, path) {
            if rule.rights().is_empty() {
                granted = Rights::NONE;
                break;
            }
            granted = granted | rule.rights();
        }
        match &self.file_acl {
            Some(function) => Ok(granted.without(Rights::RW) | function(path, wanted)?),
            None => Ok(granted),
        }
    }

    fn login_could_help(&self, wanted: Rights, path: &[u8]) -> bool {
        let users = self.rules.iter().filter_map(Rule::named);
        users.into_iter().any(|user| self.rights(Some(user), path).contains(wanted))
    }
}

impl Default for Access {
    /// Everyone may list and read everything.
    fn default() -> Self {
        // A list of the one rule: the path of the root is always right.
        Self::new(Rule::everyone("/", Rights::RO))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file_acl = self.file_acl.as_ref().map(|_| "a function");
        f.debug_struct("Access").field("rules", &self.rules).field("file_acl", &file_acl).finish()
    }
}
