//! The configuration file: TOML, one key per option.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::options::{self, Kind, Opt};
use crate::problem::Problem;
use crate::settings::{Origin, Setting, Settings};

/// The usual file of a machine, for whoever has none at home.
pub const OF_MACHINE: &str = "/etc/number8/number8.toml";

/// The file to read: the one that was asked for, else the first of the usual ones that exists.
pub fn find(asked: Option<&Path>) -> Option<PathBuf> {
    let of_variable =
        |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = asked.map(Path::to_owned).or_else(|| of_variable("NUMBER8_CONFIG")) {
        return Some(path);
    }
    // The XDG base directory specification has a relative path ignored.
    let home = of_variable("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| of_variable("HOME").map(|home| home.join(".config")));
    home.into_iter()
        .map(|folder| folder.join("number8/number8.toml"))
        .chain([PathBuf::from(OF_MACHINE)])
        .find(|path| path.exists())
}

/// Reads a file.
///
/// # Errors
/// The file cannot be read, is not TOML, has a key that is no option or a value of the wrong type: the message has the line.
pub fn read(path: &Path) -> Result<Settings, Problem> {
    let bytes = fs::read(path).map_err(|error| {
        Problem::config(format!(
            "{}: the configuration file cannot be read: {error}",
            path.display()
        ))
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let (valid, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let line = 1 + bytes[..valid].iter().filter(|&&byte| byte == b'\n').count();
        Problem::config(format!(
            "{}:{line}: this is not UTF-8: save the file as such",
            path.display()
        ))
    })?;
    let at = |offset: usize| Origin::File { path: path.to_owned(), line: line_of(&text, offset) };
    let problem = |offset: usize, message: &str| {
        Problem::config(format!("{}:{}: {message}", path.display(), line_of(&text, offset)))
    };

    let document = DeTable::parse(&text).map_err(|error| {
        problem(error.span().map_or(0, |span| span.start), &error.message().replace('\n', ", "))
    })?;
    let mut entries: Vec<_> = document.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);

    let mut settings = Settings::default();
    for (key, value) in entries {
        let (name, offset) = (key.get_ref().as_ref(), key.span().start);
        let Some(option) = options::find(name) else {
            let advice = options::nearest(name)
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(problem(offset, &format!("there is no option {name}{advice}")));
        };
        let values = values(option, value.get_ref()).map_err(|why| problem(offset, &why))?;
        settings.set(option, Setting { origin: at(offset), values });
    }
    Ok(settings)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

/// The texts of a TOML value, as they would be typed on the command line.
fn values(option: &Opt, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let accepted = match (option.kind, value) {
        (Kind::Switch | Kind::OptionalText, DeValue::Boolean(is_on)) => {
            Some(vec![is_on.to_string()])
        }
        (Kind::Number | Kind::Size, DeValue::Integer(_)) => text(value).map(|number| vec![number]),
        (
            Kind::Size | Kind::Text | Kind::OptionalText | Kind::List | Kind::Names,
            DeValue::String(text),
        ) => Some(vec![text.to_string()]),
        (Kind::List | Kind::Names | Kind::Pairs(_), DeValue::Array(items)) => {
            items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        }
        (Kind::Pairs(between), DeValue::Table(pairs)) => {
            let pair = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| -> Option<String> {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                Some(format!("{key}{between}{}", text(value.get_ref())?))
            };
            pairs.iter().map(pair).collect()
        }
        _ => None,
    };
    accepted.ok_or_else(|| {
        format!("{} takes {}, not {}", option.name, wanted(option.kind), found(value))
    })
}

/// A text or a number as text.
fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            Some(i64::from_str_radix(number.as_str(), number.radix()).ok()?.to_string())
        }
        _ => None,
    }
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Switch => "true or false",
        Kind::Number => "a number",
        Kind::Size => "a number of bytes or a text such as \"64K\"",
        Kind::Text => "a text in quotes",
        Kind::OptionalText => "true, false or a text in quotes",
        Kind::List | Kind::Names => "a list of texts in quotes",
        Kind::Pairs(_) => "a table or a list of texts in quotes",
    }
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) if text(value).is_none() => "so large a number",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list like this one",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_text_and_what_is_no_number_of_ours_is_said_so() {
        for (content, says) in [
            (&b"port = 80\nserver = '\xe9'\n"[..], ":2: this is not UTF-8: save the file as such"),
            (b"p\0o\0r\0t\0\xff", ":1: this is not UTF-8: save the file as such"),
            (b"port = 99999999999999999999", ":1: port takes a number, not so large a number"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("n8.toml");
            fs::write(&path, content).unwrap();
            let problem = read(&path).unwrap_err().to_string();
            assert!(problem.ends_with(says), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused_with_its_line(
            text in r#"(([a-z-]{1,9}|port|spa|mount|index) ?= ?(['"]?[a-z0-9./=]{0,6}['"]?|\[.{0,9}\]|\{.{0,9}\})\n?){0,4}"#
        ) {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("n8.toml");
            fs::write(&path, &text)?;
            if let Err(problem) = read(&path) {
                let message = problem.to_string();
                let line = message.split(':').nth(1).and_then(|line| line.parse::<usize>().ok());
                prop_assert!(line.is_some_and(|line| line <= text.lines().count().max(1) + 1), "{message}");
                prop_assert!(!message.contains('\n'), "{message}");
            }
        }
    }
}
