//! The values that a path has where its route has placeholders.

/// Stands for a slash that is part of a segment, escaped as `%2F`: a character that Unicode leaves to programs, and that no text
/// has.
pub(crate) const INNER_SLASH: char = '\u{ffff}';

/// Names and values in the order of the path; the values are decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values {
    /// Empty, and without memory of its own, for most paths.
    entries: Vec<(Box<str>, Box<str>)>,
    /// How many were handed out by position.
    taken: usize,
}

impl Values {
    /// Of a path in which slashes that were escaped are [`INNER_SLASH`].
    pub(crate) fn of<'v>(entries: impl Iterator<Item = (&'v str, &'v str)>) -> Self {
        let decoded = |value: &str| value.replace(INNER_SLASH, "/").into();
        let entries = entries.map(|(name, value)| (name.into(), decoded(value))).collect();
        Self { entries, taken: 0 }
    }

    /// The next value by position.
    pub(crate) fn next(&mut self) -> Option<&str> {
        let (_, value) = self.entries.get(self.taken)?;
        self.taken += 1;
        Some(value)
    }

    /// The value of a placeholder.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(other, _)| **other == *name).map(|(_, value)| &**value)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (&**name, &**value))
    }
}
