//! What runs a program.

use std::fmt;
use std::str::FromStr;

/// A language and the command that runs programs in it, such as `py=python3 -u`.
///
/// ```
/// use number8::Interpreter;
///
/// let python: Interpreter = "py=python3 -u".parse()?;
/// assert_eq!(python.to_string(), "py=python3 -u");
/// // A command alone is a language known by its name.
/// assert_eq!("python3.12".parse::<Interpreter>()?.language(), "py");
/// assert_eq!("micropython".parse::<Interpreter>()?.language(), "py");
/// assert!("py=".parse::<Interpreter>().is_err());
/// # Ok::<(), number8::InterpreterError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    language: String,
    command: String,
    arguments: Vec<String>,
}

/// Why a text is no [`Interpreter`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterpreterError(String);

impl Interpreter {
    /// Its language: letters and digits, the extension of its programs, too.
    #[must_use]
    pub fn language(&self) -> &str {
        &self.language
    }

    /// The program that runs them: a path, or a name that is looked for as the shell does.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }

    pub(super) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Whether it imports `sitecustomize`, which tells the running line; other Pythons, such as MicroPython, do not.
    pub(super) fn tells_lines(&self) -> bool {
        let name = self.command.rsplit('/').next().unwrap_or_default();
        name.starts_with("python") || name.starts_with("pypy")
    }
}

impl FromStr for Interpreter {
    type Err = InterpreterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| Err(InterpreterError(format!("{text:?}: {why}")));
        // A path may hold `=`, the name of a language does not hold `/`.
        let (language, command) = match text.split_once('=') {
            Some((language, command)) if !language.contains(['/', ' ']) => (language, command),
            _ => ("", text),
        };
        let mut words = command.split_whitespace().map(str::to_owned);
        let Some(command) = words.next() else {
            return wrong("an interpreter is LANGUAGE=COMMAND, such as py=python3");
        };
        let language = if language.is_empty() { language_of(&command) } else { language };
        if language.is_empty() || !language.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return wrong("a language is letters and digits, such as py");
        }
        Ok(Self { language: language.to_owned(), arguments: words.collect(), command })
    }
}

/// The language of a command that says none.
fn language_of(command: &str) -> &str {
    let name = command.rsplit('/').next().unwrap_or_default();
    match name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
        "python" | "pypy" | "micropython" | "circuitpython" => "py",
        "node" | "nodejs" | "bun" | "deno" => "js",
        "sh" | "bash" | "dash" | "ash" | "zsh" => "sh",
        "ruby" => "rb",
        "perl" => "pl",
        other => other,
    }
}

impl fmt::Display for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.language, self.command)?;
        self.arguments.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

impl fmt::Display for InterpreterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InterpreterError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x5_interpreters_are_read_as_they_are_typed() {
        for (text, language, command, arguments) in [
            ("python3", "py", "python3", &[][..]),
            ("py=python3 -u", "py", "python3", &["-u"]),
            ("/opt/a=b/bin/bash", "sh", "/opt/a=b/bin/bash", &[]),
            ("js=node", "js", "node", &[]),
            ("lua=luajit  -O3", "lua", "luajit", &["-O3"]),
            ("tclsh8.6", "tclsh", "tclsh8.6", &[]),
        ] {
            let read: Interpreter = text.parse().unwrap();
            assert_eq!((read.language(), read.command()), (language, command), "{text}");
            assert_eq!(read.arguments(), arguments, "{text}");
        }
        for text in
            ["", "py=", "=python3 -u x=../y", "p.y=python3", "p y=python3", "../x=python3", "7.5"]
        {
            let read = text.parse::<Interpreter>();
            assert!(
                read.as_ref().map_or(true, |read| !read.language().contains(['/', '.'])),
                "{text}: {read:?}"
            );
        }
        assert!("py=".parse::<Interpreter>().unwrap_err().to_string().contains("py=python3"));
    }
}
