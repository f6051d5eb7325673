//! What of a value is secret, read in one way by whoever shows values, looks for files of passwords, or keeps secrets from
//! where everybody may read.

/// What secret an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// None.
    No,
    /// `name:secret`.
    Account,
    /// `name:secret@/path:rights`; without a secret `name@/path:rights`, or `@/path:rights`.
    Rule,
    /// `name:secret@/path:rights`; without a name it is a mistake.
    Token,
}

/// A value, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Typed<'a> {
    /// Who it is for, up to the colon; all that is no secret where there is none.
    pub name: &'a str,
    /// The password or token, or the sign of a file, which is `@` and its path; `None` where there is none.
    pub secret: Option<&'a str>,
    /// From the last `@/` on, what the account may do.
    pub rules: &'a str,
}

impl Secret {
    /// Takes a value apart.
    pub fn typed(self, value: &str) -> Typed<'_> {
        let end = match self {
            Self::Rule | Self::Token => value.rfind("@/").unwrap_or(value.len()),
            Self::Account => value.len(),
            Self::No => return Typed { name: value, secret: None, rules: "" },
        };
        let (account, rules) = value.split_at(end);
        match account.split_once(':') {
            Some((name, secret)) => Typed { name, secret: Some(secret), rules },
            None if self == Self::Rule && !rules.is_empty() => {
                Typed { name: account, secret: None, rules }
            }
            // The name was forgotten, so this is a secret.
            None => Typed { name: "", secret: Some(account), rules },
        }
    }
}

impl<'a> Typed<'a> {
    /// The secret itself, where it is said here and not in a file.
    pub fn said(&self) -> Option<&'a str> {
        self.secret.filter(|secret| !secret.is_empty() && !secret.starts_with('@'))
    }

    /// The file that the secret is in.
    pub fn file(&self) -> Option<&'a str> {
        self.secret?.strip_prefix('@')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_secret() {
        for (kind, value, name, secret, rules) in [
            (Secret::No, "a:b@/:ro", "a:b@/:ro", None, ""),
            (Secret::Rule, "joe:a:b@c@/in:rw", "joe", Some("a:b@c"), "@/in:rw"),
            (Secret::Rule, "joe:a@/b@/in:rw", "joe", Some("a@/b"), "@/in:rw"),
            (Secret::Rule, "joe@/in:up", "joe", None, "@/in:up"),
            (Secret::Rule, "@/in:up", "", None, "@/in:up"),
            (Secret::Rule, "hunter2", "", Some("hunter2"), ""),
            (Secret::Rule, "joe:@/etc/pw@/:ro", "joe", Some("@/etc/pw"), "@/:ro"),
            (Secret::Token, "S3CRET@/:all", "", Some("S3CRET"), "@/:all"),
            (Secret::Token, "ci:S3CRET@/:all", "ci", Some("S3CRET"), "@/:all"),
            (Secret::Account, "admin:pa@/tail", "admin", Some("pa@/tail"), ""),
            (Secret::Account, "pa@/tail", "", Some("pa@/tail"), ""),
        ] {
            assert_eq!(kind.typed(value), Typed { name, secret, rules }, "{value}");
        }
    }

    #[test]
    fn a_secret_is_said_or_in_a_file() {
        for (value, said, file) in [
            ("joe:a@/:ro", Some("a"), None),
            ("joe:@a@/:ro", None, Some("a")),
            ("joe:@/etc/a@/:ro", None, Some("/etc/a")),
            ("joe:@/:ro", None, None),
            ("joe@/:ro", None, None),
        ] {
            let typed = Secret::Rule.typed(value);
            assert_eq!((typed.said(), typed.file()), (said, file), "{value}");
        }
    }
}
