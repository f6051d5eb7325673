//! A rule as it is typed: `name:password@/path:rights,…`.

use std::fmt;
use std::str::FromStr;

use super::rule::check_name;
use super::{Rights, RightsError, Rule, RuleError};

/// Who, with which secret, may do what where. One text says it all:
///
/// | text | meaning |
/// |---|---|
/// | `joe:secret@/:ro,/in:rw` | joe, whose password is `secret`, may read everything, and write below `/in` |
/// | `joe@/in:up` | joe, whose password stands elsewhere, may add files below `/in` |
/// | `@/pub:list,read` | everyone may read below `/pub` |
///
/// The last `@/` ends the password, so it may hold `:` and `@`; the first `:` ends the name.
///
/// ```
/// use number8::access::Grant;
///
/// let grant: Grant = "joe:a:b@c@/in:create,read".parse()?;
/// assert_eq!((grant.name.as_deref(), grant.secret.as_deref()), (Some("joe"), Some("a:b@c")));
/// assert_eq!(grant.rules[0].to_string(), "joe may read,create under /in");
/// # Ok::<(), number8::access::GrantError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// The user; `None` for everyone.
    pub name: Option<String>,
    /// What proves to be that user; `None` where it is not part of the text.
    pub secret: Option<String>,
    /// What they may do.
    pub rules: Vec<Rule>,
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let at = text.rfind("@/").ok_or(GrantError::Shape)?;
        let (account, paths) = (&text[..at], &text[at + 1..]);
        let (name, secret) = match account.split_once(':') {
            Some((_, "")) => return Err(GrantError::EmptySecret),
            Some((name, secret)) => (name, Some(secret.to_owned())),
            None => (account, None),
        };
        if !account.is_empty() {
            check_name(name)?;
        }
        let name = (!account.is_empty()).then(|| name.to_owned());
        let rules = rules(name.as_deref(), paths)?;
        Ok(Self { name, secret, rules })
    }
}

/// `/path:right,right,/path:right`
fn rules(name: Option<&str>, text: &str) -> Result<Vec<Rule>, GrantError> {
    let mut paths: Vec<(&str, Vec<Rights>)> = Vec::new();
    for item in text.split(',') {
        let right = match (item.starts_with('/'), paths.last_mut()) {
            (false, Some((_, rights))) => {
                rights.push(Rights::of_name(item.trim())?);
                continue;
            }
            // A text begins with a path: that is how it was found.
            (_, _) => item,
        };
        let (path, right) =
            right.rsplit_once(':').ok_or_else(|| GrantError::NoRights(item.to_owned()))?;
        paths.push((path, vec![Rights::of_name(right.trim())?]));
    }
    let rule = |(path, rights): (&str, Vec<Rights>)| {
        if rights.len() > 1 && rights.contains(&Rights::NONE) {
            return Err(GrantError::Rights(RightsError::NoneAndMore));
        }
        let rights = rights.into_iter().fold(Rights::NONE, |all, right| all | right);
        Ok(match name {
            Some(name) => Rule::user(name, path, rights),
            None => Rule::everyone(path, rights),
        }?)
    };
    paths.into_iter().map(rule).collect()
}

/// SECURITY: the secret is shown nowhere.
impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("name", &self.name)
            .field("secret", &self.secret.as_ref().map(|_| "***"))
            .field("rules", &self.rules)
            .finish()
    }
}

/// Why a text is no [`Grant`]. It never shows the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantError {
    /// There is no `@/` in it.
    Shape,
    /// There is nothing between the name and the path.
    EmptySecret,
    /// A path without rights.
    NoRights(String),
    /// A right that there is not.
    Rights(RightsError),
    /// A path or a name that cannot be.
    Rule(RuleError),
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => f.write_str(
                "write name:password@/path:rights, or @/path:rights for everyone: there is no @/ in it",
            ),
            Self::EmptySecret => f.write_str("the password is empty"),
            Self::NoRights(path) => write!(
                f,
                "say what may be done under {0}, such as {0}:ro (a path has no comma in it)",
                path.escape_debug()
            ),
            Self::Rights(error) => error.fmt(f),
            Self::Rule(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for GrantError {}

impl From<RightsError> for GrantError {
    fn from(error: RightsError) -> Self {
        Self::Rights(error)
    }
}

impl From<RuleError> for GrantError {
    fn from(error: RuleError) -> Self {
        Self::Rule(error)
    }
}
