//! Every option, one row each. A row is the flag, the environment variable, the key of the configuration file and the
//! help at once, so that the four cannot drift apart.

mod secret;
mod sections;

pub use secret::{Secret, Typed};
pub use sections::SECTIONS;

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: it is on or off.
    Switch,
    /// A whole number.
    Number,
    /// Bytes, such as `64K`.
    Size,
    /// Any text, which includes durations.
    Text,
    /// A text that may be left out: `--spa` or `--spa=app.html`.
    OptionalText,
    /// Any number of texts.
    List,
    /// Any number of names, which may also be given in one text with commas between.
    Names,
    /// Any number of pairs, each a text with this between its halves; the file may give them as a table.
    Pairs(&'static str),
}

/// What holds where nothing is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// The option has no value.
    Unset,
    /// This value.
    Fixed(&'static str),
    /// A value that depends on the machine or on another option; the text says how.
    Computed(&'static str),
}

/// What is served where an option has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Whatever is served.
    All,
    /// A folder or a file: `number8 PATH`.
    Files,
    /// An app of Python's: `number8 app`.
    App,
}

impl Use {
    /// Whether an option that has a meaning here has one there.
    pub fn goes_with(self, other: Use) -> bool {
        self == Use::All || other == Use::All || self == other
    }
}

/// Whether a change takes a new start, where the configuration is loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixed {
    /// It is heeded at once.
    No,
    /// It takes one.
    Always,
    /// It takes one for programs and the terminal, where there are some.
    Programs,
    /// The same for the terminal's page alone.
    Terminal,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// The long flag without its dashes, which is also the key of the configuration file.
    pub name: &'static str,
    /// The short flag.
    pub short: Option<char>,
    /// Given by its place on the command line and not by a flag.
    pub is_positional: bool,
    /// What it takes.
    pub kind: Kind,
    /// The name of its value in the help.
    pub value: &'static str,
    /// What holds where nothing is set.
    pub default: Default,
    /// One line of help.
    pub help: &'static str,
    /// What in its value is secret, and so is shown nowhere.
    pub secret: Secret,
    /// Where it has a meaning.
    pub of: Use,
    /// Whether a change takes a new start.
    pub fixed: Fixed,
}

impl Opt {
    const fn new(name: &'static str, kind: Kind, value: &'static str, help: &'static str) -> Self {
        Opt {
            name,
            short: None,
            is_positional: false,
            kind,
            value,
            default: Default::Unset,
            help,
            secret: Secret::No,
            of: Use::All,
            fixed: Fixed::No,
        }
    }

    const fn of(mut self, of: Use) -> Self {
        self.of = of;
        self
    }

    const fn fixed(self) -> Self {
        self.fixed_for(Fixed::Always)
    }

    const fn fixed_for(mut self, fixed: Fixed) -> Self {
        self.fixed = fixed;
        self
    }

    const fn switch(name: &'static str, help: &'static str) -> Self {
        Opt::new(name, Kind::Switch, "", help)
    }

    const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    const fn secret(mut self, secret: Secret) -> Self {
        self.secret = secret;
        self
    }

    const fn default(mut self, value: &'static str) -> Self {
        self.default = Default::Fixed(value);
        self
    }

    const fn computed(mut self, how: &'static str) -> Self {
        self.default = Default::Computed(how);
        self
    }

    /// The environment variables, the first that is set counts: ours, and for some what platforms and other servers use.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        let others: &[&str] = match self.name {
            "port" => &["PORT"],
            "trusted-proxy" => &["FORWARDED_ALLOW_IPS"],
            "workers" => &["WEB_CONCURRENCY"],
            _ => &[],
        };
        std::iter::once(self.variable()).chain(others.iter().map(|&name| name.to_owned()))
    }

    /// Its own environment variable: `NUMBER8_` and the name in capitals.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// How the option is written on the command line, for messages: `--port`, or `PATH`.
    pub fn flag(&self) -> String {
        if self.is_positional { self.value.to_owned() } else { format!("--{}", self.name) }
    }

    /// Its help with its default.
    pub fn help_with_default(&self) -> String {
        match self.default {
            Default::Unset => self.help.to_owned(),
            Default::Fixed(value) => format!("{} [default: {value}]", self.help),
            Default::Computed(how) => format!("{} [default: {how}]", self.help),
        }
    }
}

/// What every environment variable of number8 starts with.
pub const VARIABLE_PREFIX: &str = "NUMBER8_";

/// The options that have a meaning where this is served.
pub fn all_of(of: Use) -> impl Iterator<Item = &'static Opt> {
    all().filter(move |option| option.of.goes_with(of))
}

/// Options that belong together, under one heading of the help.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The heading.
    pub heading: &'static str,
    /// Its options, in the order of the help.
    pub options: &'static [Opt],
}

/// All options in the order of the help.
pub fn all() -> impl Iterator<Item = &'static Opt> {
    SECTIONS.iter().flat_map(|section| section.options)
}

/// The option of this name.
pub fn find(name: &str) -> Option<&'static Opt> {
    all().find(|option| option.name == name)
}

/// The name most like `name`, if any is much like it.
pub fn nearest(name: &str) -> Option<&'static str> {
    let (likeness, option) = all()
        .map(|option| (strsim::jaro_winkler(name, option.name), option))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (likeness > 0.8).then_some(option.name)
}
