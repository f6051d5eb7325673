//! What a line looks like: a name, or a template with nginx-like variables.

use std::fmt;
use std::str::FromStr;

/// What `short` stands for: for a person who watches.
const SHORT: &str =
    "$time_iso8601 $remote_addr $method $target $status $bytes_sent ${duration_ms}ms";

/// What `combined` stands for: the format of that name in Apache and nginx, which log analysers read.
const COMBINED: &str = r#"$remote_addr - $user [$time_local] "$method $target $protocol" $status $bytes_sent "$referer" "$user_agent""#;

/// How records are written, parsed from `short`, `combined`, `json`, `off` or a template.
///
/// A template is printable text in which each variable stands for a value: `$remote_addr`, `$time_iso8601`,
/// `$time_local`, `$method`, `$target`, `$path` (the target without its query), `$protocol`, `$status`,
/// `$bytes_sent`, `$bytes_received`, `$duration_ms`, `$user`, `$host`, `$referer`, `$user_agent`, `$request_id`. `${status}` is the same
/// as `$status`, and `$$` is a dollar sign. A value that is missing is shown as `-`. Times are UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Nothing is written.
    Off,
    /// One JSON object a line.
    Json,
    /// The template filled in.
    Lines(Template),
}

impl Format {
    /// True when a line tells how long its request took: only then somebody has to look at the clock.
    pub fn tells_duration(&self) -> bool {
        match self {
            Format::Off => false,
            Format::Json => true,
            Format::Lines(template) => template.tells_duration,
        }
    }

    /// True when a line tells which host was asked for: only then somebody has to look for it.
    pub(crate) fn tells_host(&self) -> bool {
        match self {
            Format::Off => false,
            Format::Json => true,
            Format::Lines(template) => template.tells_host,
        }
    }

    /// True when a line names its request: only then one has to be made up where a proxy gives none.
    pub fn tells_id(&self) -> bool {
        match self {
            Format::Off => false,
            Format::Json => true,
            Format::Lines(template) => template.tells_id,
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Ok(match text {
            "off" => Format::Off,
            "json" => Format::Json,
            "short" => Format::Lines(SHORT.parse()?),
            "combined" => Format::Lines(COMBINED.parse()?),
            template => Format::Lines(template.parse()?),
        })
    }
}

/// A parsed template: see [`Format`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    before: Literal,
    pieces: Vec<Piece>,
    /// How many pieces at the start tell only who asks, and when.
    opening: usize,
    /// Whether one of those tells when to the millisecond.
    opens_by_millis: bool,
    tells_duration: bool,
    tells_host: bool,
    tells_id: bool,
}

/// A variable and what stands between it and the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) variable: Variable,
    pub(super) after: Literal,
}

/// A stretch of a line that is copied as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    /// So many bytes in a place of fixed size: a copy of that is a few instructions, one of any length is a call.
    Short([u8; SHORT_BYTES], u8),
    /// A longer one.
    Long(String),
}

/// Most of what stands between two variables is shorter.
pub(super) const SHORT_BYTES: usize = 8;

impl Literal {
    fn new(text: String) -> Self {
        match u8::try_from(text.len()) {
            Ok(length) if text.len() <= SHORT_BYTES => {
                let mut short = [0; SHORT_BYTES];
                short[..text.len()].copy_from_slice(text.as_bytes());
                Self::Short(short, length)
            }
            _ => Self::Long(text),
        }
    }
}

/// What a template can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    RemoteAddr,
    TimeIso8601,
    TimeLocal,
    Method,
    Target,
    Path,
    Protocol,
    Status,
    BytesSent,
    BytesReceived,
    DurationMs,
    User,
    Host,
    Referer,
    UserAgent,
    RequestId,
}

const VARIABLES: [(&str, Variable); 16] = [
    ("remote_addr", Variable::RemoteAddr),
    ("time_iso8601", Variable::TimeIso8601),
    ("time_local", Variable::TimeLocal),
    ("method", Variable::Method),
    ("target", Variable::Target),
    ("path", Variable::Path),
    ("protocol", Variable::Protocol),
    ("status", Variable::Status),
    ("bytes_sent", Variable::BytesSent),
    ("bytes_received", Variable::BytesReceived),
    ("duration_ms", Variable::DurationMs),
    ("user", Variable::User),
    ("host", Variable::Host),
    ("referer", Variable::Referer),
    ("user_agent", Variable::UserAgent),
    ("request_id", Variable::RequestId),
];

impl Template {
    /// What stands before the first variable.
    pub(super) fn before(&self) -> &Literal {
        &self.before
    }

    /// The pieces that are alike for all requests of one client at one time.
    pub(super) fn opening(&self) -> &[Piece] {
        &self.pieces[..self.opening]
    }

    /// Whether that time is told to the millisecond, and else to the second.
    pub(super) fn opens_by_millis(&self) -> bool {
        self.opens_by_millis
    }

    /// The pieces after those.
    pub(super) fn rest(&self) -> &[Piece] {
        &self.pieces[self.opening..]
    }
}

impl FromStr for Template {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(FormatError::NotPrintable);
        }
        let mut variables = Vec::new();
        // What stands before the first of them, and after each.
        let mut literals = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                literal.push('$');
                rest = after;
                continue;
            }
            let (variable, after) = split_variable(after)?;
            literals.push(Literal::new(std::mem::take(&mut literal)));
            variables.push(variable);
            rest = after;
        }
        if variables.is_empty() {
            return Err(FormatError::NoVariable(text.to_owned()));
        }
        literal.push_str(rest);
        literals.push(Literal::new(literal));
        let is_opening = |variable: &Variable| {
            use Variable::{RemoteAddr, TimeIso8601, TimeLocal, User};
            matches!(variable, RemoteAddr | TimeIso8601 | TimeLocal | User)
        };
        let opening = variables.iter().take_while(|variable| is_opening(variable)).count();
        let opens_by_millis = variables[..opening].contains(&Variable::TimeIso8601);
        let tells_duration = variables.contains(&Variable::DurationMs);
        let tells_host = variables.contains(&Variable::Host);
        let tells_id = variables.contains(&Variable::RequestId);
        let before = literals.remove(0);
        let pieces = variables.into_iter().zip(literals);
        let pieces = pieces.map(|(variable, after)| Piece { variable, after }).collect();
        Ok(Template {
            before,
            pieces,
            opening,
            opens_by_millis,
            tells_duration,
            tells_host,
            tells_id,
        })
    }
}

/// The variable named at the start of `text`, just after its dollar sign, and what follows it.
fn split_variable(text: &str) -> Result<(Variable, &str), FormatError> {
    let (name, after) = if let Some(text) = text.strip_prefix('{') {
        text.split_once('}').ok_or(FormatError::LoneDollar)?
    } else {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        text.split_at(end)
    };
    if name.is_empty() {
        return Err(FormatError::LoneDollar);
    }
    match VARIABLES.iter().find(|(known, _)| *known == name) {
        Some((_, variable)) => Ok((*variable, after)),
        None => Err(FormatError::UnknownVariable(name.to_owned())),
    }
}

/// Why a text is no [`Format`]; its message is one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// Neither a known name nor a template, which has at least one variable.
    NoVariable(String),
    /// A variable that does not exist.
    UnknownVariable(String),
    /// A dollar sign that no name follows.
    LoneDollar,
    /// A control character or a character outside ASCII: a record would not be one line of plain text.
    NotPrintable,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::NoVariable(text) => {
                write!(
                    f,
                    "'{text}' is neither short, combined, json, off nor a template with a variable such as $status"
                )
            }
            FormatError::UnknownVariable(name) => {
                write!(f, "unknown variable ${name}; known are")?;
                VARIABLES.iter().try_for_each(|(known, _)| write!(f, " ${known}"))
            }
            FormatError::LoneDollar => {
                f.write_str("a $ needs the name of a variable; write $$ for a dollar sign")
            }
            FormatError::NotPrintable => f.write_str("a log template holds printable ASCII only"),
        }
    }
}

impl std::error::Error for FormatError {}
