//! What a certificate was made for, as lines in front of it.

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// What there is to know of a certificate without reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// The name of the authority.
    pub(super) name: String,
    /// Its fingerprint.
    pub(super) authority: String,
    /// The end of the certificate, in seconds since 1970.
    pub(super) until: i64,
    /// Of an authority, the domains that it may vouch for besides addresses; else the names of the certificate.
    pub(super) names: Vec<String>,
}

impl Note {
    /// The note in front of what `text` has in PEM; `None` where it is not a whole one.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (note, _) = text.split_once("-----BEGIN ")?;
        let value = |key: &str| {
            let mut lines = note.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(name, _)| *name == key).map(|(_, value)| value.trim())
        };
        Some(Self {
            name: value("name")?.to_owned(),
            authority: value("authority")?.to_owned(),
            until: value("until")?.parse().ok()?,
            names: value("names")?.split(' ').map(str::to_owned).collect(),
        })
    }

    /// The note under a line that says what this is, and what follows it in PEM.
    pub(super) fn before(&self, title: &str, parts: &[(&str, &[u8])]) -> String {
        let Self { name, authority, until, names } = self;
        let names = names.join(" ");
        let head = format!(
            "{title}\nname: {name}\nauthority: {authority}\nuntil: {until}\nnames: {names}\n"
        );
        parts.iter().fold(head, |text, (label, der)| text + &pem(label, der))
    }

    /// Whether an authority may vouch for this name.
    pub(super) fn allows(&self, name: &str) -> bool {
        name.parse::<IpAddr>().is_ok() || is_within(name, &self.names)
    }
}

/// Whether a name is one of these domains, or in one.
pub(super) fn is_within(name: &str, domains: &[String]) -> bool {
    domains.iter().any(|domain| {
        let rest = name.strip_suffix(domain.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// RFC 7468.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_within_their_domains_alone() {
        let domains = ["local", "farm.example"].map(str::to_owned);
        for (name, want) in [
            ("local", true),
            ("board.local", true),
            ("a.b.local", true),
            ("notlocal", false),
            ("farm.example", true),
            ("www.farm.example", true),
            ("example", false),
            ("farm.example.org", false),
            ("", false),
        ] {
            assert_eq!(is_within(name, &domains), want, "{name}");
        }
    }

    proptest! {
        /// What was written is read again, whatever follows; what was cut is none, or the same.
        #[test]
        fn a_note_is_read_as_it_was_written(
            name in "[ -~]{0,40}", until: i64, names in prop::collection::vec("[a-z.:0-9]{1,20}", 1..9), der: Vec<u8>,
        ) {
            let name = name.trim().to_owned();
            let note = Note { name, authority: "AB:CD".to_owned(), until, names };
            let text = note.before("A title.", &[("CERTIFICATE", &der)]);
            prop_assert_eq!(Note::read(text.as_bytes()), Some(note.clone()));
            for end in 0..text.len() {
                let cut = Note::read(&text.as_bytes()[..end]);
                prop_assert!(cut.is_none() || cut == Some(note.clone()));
            }
        }

        #[test]
        fn whatever_stands_in_a_file_is_read_or_refused(text: Vec<u8>) {
            let _ = Note::read(&text);
        }
    }
}
