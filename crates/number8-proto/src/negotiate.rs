//! Content negotiation (RFC 9110 §12.5): which coding to send, and whether to send JSON.

/// A content coding that this server can send (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
///
/// The order is that of preference where a client likes two the same: the coding that makes text
/// smaller or costs a client less is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coding {
    /// The representation as it is.
    Identity,
    /// `gzip`, and `x-gzip`, its older name.
    Gzip,
    /// Brotli.
    Br,
    /// Zstandard.
    Zstd,
}

impl Coding {
    /// The name as Content-Encoding has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Br => "br",
            Self::Zstd => "zstd",
        }
    }

    fn parse(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()))
    }
}

const ALL: [Coding; 4] = [Coding::Identity, Coding::Gzip, Coding::Br, Coding::Zstd];

/// The codings that a client accepts, and how much it likes each.
///
/// The default is that of a request without Accept-Encoding: nothing but `identity`. The field's
/// absence would allow every coding (RFC 9110 §12.5.3), but a client that does not name one
/// may not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encodings {
    /// In thousandths, by [`Coding`]; 0 is refused.
    weights: [u16; ALL.len()],
}

impl Default for Encodings {
    fn default() -> Self {
        accepted_encodings(b"")
    }
}

impl Encodings {
    /// Whether the client takes this coding at all.
    #[must_use]
    pub fn accepts(self, coding: Coding) -> bool {
        self.weights[coding as usize] > 0
    }

    /// The coding to send, of those in `available` and `identity`, which is always there.
    ///
    /// The greatest weight wins; among equals zstd, then br, then gzip, then identity. `None` when
    /// the client refuses all of them, `identity` by name too.
    ///
    /// ```
    /// use number8_proto::negotiate::{Coding, accepted_encodings};
    /// let browser = accepted_encodings(b"gzip, deflate, br, zstd");
    /// assert_eq!(browser.best(&[Coding::Gzip, Coding::Br]), Some(Coding::Br));
    /// assert_eq!(browser.best(&[]), Some(Coding::Identity));
    /// ```
    #[must_use]
    pub fn best(self, available: &[Coding]) -> Option<Coding> {
        let choices = available.iter().copied().chain([Coding::Identity]);
        let accepted = choices.filter(|&coding| self.accepts(coding));
        accepted.max_by_key(|&coding| (self.weights[coding as usize], coding))
    }
}

/// Reads an Accept-Encoding value (RFC 9110 §12.5.3).
///
/// Members with a wrong weight are left out, and the last of two that name one coding stands.
/// `identity` is accepted unless `identity;q=0` or `*;q=0` refuses it; where neither names it, it
/// is liked less than anything named.
///
/// ```
/// use number8_proto::negotiate::{Coding, accepted_encodings};
/// let accepted = accepted_encodings(b"gzip;q=0.5, br;q=0");
/// assert!(accepted.accepts(Coding::Gzip) && accepted.accepts(Coding::Identity));
/// assert!(!accepted.accepts(Coding::Br) && !accepted.accepts(Coding::Zstd));
/// ```
#[must_use]
pub fn accepted_encodings(value: &[u8]) -> Encodings {
    let mut named = [None; ALL.len()];
    let mut others = None;
    for (name, weight) in members(value) {
        if name == b"*" {
            others = Some(weight);
        } else if let Some(coding) = Coding::parse(name) {
            named[coding as usize] = Some(weight);
        }
    }
    let unnamed = |coding| if coding == Coding::Identity { LEAST_WEIGHT } else { 0 };
    let weight = |coding| named[coding as usize].or(others).unwrap_or_else(|| unnamed(coding));
    Encodings { weights: ALL.map(weight) }
}

/// Whether a TE value (RFC 9110 §10.1.4) says that the client reads trailer fields.
///
/// ```
/// use number8_proto::negotiate::takes_trailers;
/// assert!(takes_trailers(b"gzip;q=0.5, Trailers"));
/// assert!(!takes_trailers(b"gzip"));
/// ```
#[must_use]
pub fn takes_trailers(te: &[u8]) -> bool {
    members(te).any(|(name, _)| name.eq_ignore_ascii_case(b"trailers"))
}

/// Whether an Accept value (RFC 9110 §12.5.1) likes `application/json` better than `text/html`.
///
/// The greater weight decides; where the weights are the same, the type that is named more closely:
/// `application/json, */*` is a program asking for JSON, `*/*` alone is nobody asking for it.
/// Parameters other than the weight are not looked at.
///
/// ```
/// use number8_proto::negotiate::prefers_json;
/// assert!(prefers_json(b"application/json"));
/// assert!(!prefers_json(b"text/html,application/xhtml+xml,*/*;q=0.8"));
/// assert!(!prefers_json(b"*/*"));
/// ```
#[must_use]
pub fn prefers_json(accept: &[u8]) -> bool {
    let json = liking(accept, [b"*/*", b"application/*", b"application/json"]);
    let html = liking(accept, [b"*/*", b"text/*", b"text/html"]);
    json > html
}

/// Whether an Accept value (RFC 9110 §12.5.1) names `text/html`, as those of browsers do that show a page: a program that
/// takes anything does not.
///
/// ```
/// use number8_proto::negotiate::names_html;
/// assert!(names_html(b"text/html,application/xhtml+xml,*/*;q=0.8"));
/// assert!(!names_html(b"*/*"));
/// ```
#[must_use]
pub fn names_html(accept: &[u8]) -> bool {
    members(accept).any(|(name, weight)| weight > 0 && name.eq_ignore_ascii_case(b"text/html"))
}

/// The weight of a media type, and how closely it was named: the closest of the `ranges` that
/// `accept` holds decides (RFC 9110 §12.5.1). They stand from the widest to the closest.
fn liking(accept: &[u8], ranges: [&[u8]; 3]) -> (u16, usize) {
    let closeness = |name: &[u8]| ranges.iter().position(|range| name.eq_ignore_ascii_case(range));
    let matching = members(accept).filter_map(|(name, weight)| Some((closeness(name)?, weight)));
    match matching.max() {
        None | Some((_, 0)) => (0, 0),
        Some((closeness, weight)) => (weight, closeness),
    }
}

/// The members of a list `name *( ";" parameter )`, each with its weight in thousandths.
///
/// Members with a wrong weight are left out.
fn members(value: &[u8]) -> impl Iterator<Item = (&[u8], u16)> {
    split_unquoted(value, b',').filter_map(|member| {
        let mut parts = split_unquoted(member, b';');
        let name = parts.next()?;
        let weight = parts.find_map(|part| match part {
            [b'q' | b'Q', b'=', qvalue @ ..] => Some(weight(qvalue)),
            _ => None,
        });
        Some((name, weight.unwrap_or(Some(1000))?))
    })
}

/// qvalue = ( "0" [ "." *3DIGIT ] ) / ( "1" [ "." *3"0" ] ), in thousandths.
fn weight(qvalue: &[u8]) -> Option<u16> {
    let (&whole, fraction) = qvalue.split_first()?;
    let digits = match fraction {
        [] => fraction,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut weight = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (digit, unit) in digits.iter().zip([100, 10, 1]) {
        let digit = digit.checked_sub(b'0').filter(|&digit| digit <= 9)?;
        weight += u16::from(digit) * unit;
    }
    (weight <= 1000).then_some(weight)
}

/// What `separator` separates, white space around it taken off, empty elements left out. A
/// separator inside a quoted-string (RFC 9110 §5.6.4) separates nothing.
fn split_unquoted(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let is_separator = move |&b: &u8| {
        let is_separator = b == separator && !quoted;
        quoted ^= b == b'"' && !escaped;
        escaped = quoted && b == b'\\' && !escaped;
        is_separator
    };
    value.split(is_separator).map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// The least weight that is no refusal.
const LEAST_WEIGHT: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Br, Gzip, Identity, Zstd};

    #[test]
    fn the_best_of_all_codings() {
        for (value, expected) in [
            ("", Some(Identity)),
            ("gzip", Some(Gzip)),
            ("GZip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("br", Some(Br)),
            ("gzip, deflate", Some(Gzip)),
            ("gzip, deflate, br", Some(Br)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("zstd, br, gzip", Some(Zstd)),
            ("deflate", Some(Identity)),
            ("identity", Some(Identity)),
            ("identity, gzip", Some(Gzip)),
            ("gzip;q=0.5", Some(Gzip)),
            ("gzip;q=0.001", Some(Gzip)),
            ("gzip;q=0.9, br;q=0.8, zstd;q=0.7", Some(Gzip)),
            ("gzip;q=0.5, identity", Some(Identity)),
            ("gzip;q=0.5, identity;q=0.5", Some(Gzip)),
            ("gzip;q=0", Some(Identity)),
            ("gzip; q=0.000", Some(Identity)),
            ("gzip ; Q=1.000", Some(Gzip)),
            ("*", Some(Zstd)),
            ("*;q=0.5, gzip", Some(Gzip)),
            ("*;q=0, gzip", Some(Gzip)),
            ("*;q=0.5, gzip;q=0.4", Some(Zstd)),
            ("zstd;q=0, *", Some(Br)),
            ("*;q=0", None),
            ("identity;q=0", None),
            ("identity;q=0, gzip", Some(Gzip)),
            ("identity;q=0, gzip;q=0", None),
            ("*;q=0, identity", Some(Identity)),
            ("gzip, gzip;q=0", Some(Identity)),
            (" ,gzip,, ", Some(Gzip)),
            // Members that are wrong.
            ("gzip;q=2", Some(Identity)),
            ("gzip;q=1.001", Some(Identity)),
            ("gzip;q=0.0001", Some(Identity)),
            ("gzip;q=.5", Some(Identity)),
            ("gzip;q=-1", Some(Identity)),
            ("gzip;q=", Some(Identity)),
            ("gzip;q=0.a", Some(Identity)),
            ("gzip;q=01", Some(Identity)),
            ("gzip br", Some(Identity)),
            ("gzipp", Some(Identity)),
            (";q=1", Some(Identity)),
        ] {
            let accepted = accepted_encodings(value.as_bytes());
            assert_eq!(accepted.best(&[Gzip, Br, Zstd]), expected, "{value}");
        }
    }

    #[test]
    fn only_what_is_available_is_chosen() {
        for (value, available, expected) in [
            ("gzip, br, zstd", &[][..], Some(Identity)),
            ("gzip, br, zstd", &[Gzip], Some(Gzip)),
            ("gzip, br, zstd", &[Br, Gzip], Some(Br)),
            ("br", &[Gzip], Some(Identity)),
            ("gzip;q=0.5, *", &[Gzip], Some(Identity)),
            ("br, identity;q=0", &[Gzip], None),
        ] {
            let accepted = accepted_encodings(value.as_bytes());
            assert_eq!(accepted.best(available), expected, "{value} of {available:?}");
        }
        assert_eq!(Encodings::default().best(&[Gzip, Br, Zstd]), Some(Identity));
    }

    #[test]
    fn json_only_for_those_who_ask_for_it() {
        for (accept, expected) in [
            ("application/json", true),
            ("Application/JSON", true),
            ("application/json;charset=utf-8", true),
            ("application/json;profile=\"a,b;q=0\"", true),
            ("application/json;x=\"\\\",text/html,\"", true),
            ("application/json, text/html;q=0.9", true),
            ("text/html;q=0.9, application/json", true),
            ("application/json, text/plain, */*", true),
            ("application/json, */*;q=0.5", true),
            ("application/*", true),
            ("*/*, text/html;q=0", true),
            ("application/json;q=0.001", true),
            ("", false),
            ("*/*", false),
            ("text/html", false),
            ("text/*", false),
            ("application/json, text/html", false),
            ("application/json;x=\"\\\\\",text/html", false),
            ("application/json;q=0.8, text/html;q=0.9", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("application/json;q=0", false),
            ("application/json;q=0, */*", false),
            ("application/*;q=0.9, application/json;q=0.1, text/*;q=0.5", false),
            ("application/json;q=9", false),
            ("application/jsonp", false),
            ("application/ld+json", false),
            ("json", false),
        ] {
            assert_eq!(prefers_json(accept.as_bytes()), expected, "{accept}");
        }
    }
}
