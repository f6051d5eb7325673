//! The configuration file and the flags say the same, in what is taken and in what is refused.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use number8_cli::args::{self, Action};
use number8_cli::options::{self, Kind, Opt, Use};
use number8_cli::problem::Problem;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::sandbox;

/// What means something to one option or another; `SITE` is a folder that there is.
const TEXTS: &[&str] = &[
    "",
    "0",
    "1",
    "8",
    "443",
    "70000",
    "true",
    "false",
    "off",
    "on",
    "all",
    "none",
    "ro",
    "rw",
    "up",
    "short",
    "json",
    "combined",
    "$status",
    "$satus",
    "replace",
    "rename",
    "error",
    "64K",
    "1GiB",
    "512",
    "1X",
    "5s",
    "250ms",
    "0s",
    "1h",
    "SITE",
    "SITE/index.html",
    "SITE/nope",
    "index.html",
    "404.html",
    "../x",
    "/x",
    "/x/",
    "/a/../b",
    "/m=SITE",
    "/m=SITE/nope",
    "/=SITE",
    "404=SITE/404.html",
    "200=SITE/404.html",
    "glb=model/gltf-binary",
    "glb=x",
    "X-A: b",
    "X A: b",
    "content-length: 3",
    "joe:pw@/:rw",
    "joe@/in:up",
    "@/:none",
    "joe:@/:rw",
    "joe:$6$rounds=999999999$salt$x@/:ro",
    "back:up0@/:rw",
    "127.0.0.1",
    "localhost:0",
    ":8080",
    "unix:/run/x.sock",
    "10.0.0.0/8",
    "unix",
    "farm.local",
    "http://x",
    "x:80",
    "https://app.example",
    "max-age=60",
    "a\r\nb",
    "py=sh",
    "py=",
    "joe:pw",
    "admin",
    "nobody",
    "sh",
    "a b",
    "é",
    "'",
    "\"",
    "\\",
    "#",
    "\u{1b}[2J",
];

/// The options of serving; but for the board, which makes a password by chance.
fn known() -> Vec<&'static Opt> {
    options::all_of(Use::Files).filter(|option| option.name != "board").collect()
}

/// A text that an option of this kind may be given, in the file and as a flag.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![6 => select(TEXTS).prop_map(str::to_owned), 1 => "[ -~\u{e9}\t]{0,12}"]
}

/// An option with what is said of it in the file, and in flags.
#[derive(Clone, Debug)]
struct Said {
    option: &'static Opt,
    file: toml::Value,
    flags: Vec<String>,
}

fn say(option: &'static Opt, folder: &Path, texts: &[String], number: i64, choice: Index) -> Said {
    let site = folder.join("site").display().to_string();
    let texts: Vec<String> = texts.iter().map(|text| text.replace("SITE", &site)).collect();
    let with = |value: &str| match option.is_positional {
        true => value.to_owned(),
        false => format!("{}={value}", option.flag()),
    };
    let first = texts[0].clone();
    let one = |file: toml::Value, text: String| Said { option, file, flags: vec![with(&text)] };
    let several = || Said {
        option,
        file: toml::Value::from(texts.clone()),
        flags: texts.iter().map(|text| with(text)).collect(),
    };
    match (option.kind, choice.index(2)) {
        (Kind::Switch, 0) => Said { option, file: true.into(), flags: vec![option.flag()] },
        (Kind::Switch, _) => Said { option, file: false.into(), flags: Vec::new() },
        (Kind::Number, _) | (Kind::Size, 0) => one(number.into(), number.to_string()),
        (Kind::OptionalText, 0) => Said { option, file: true.into(), flags: vec![option.flag()] },
        (Kind::Text | Kind::Size | Kind::OptionalText, _) => one(first.clone().into(), first),
        (Kind::List | Kind::Names, 0) => one(first.clone().into(), first),
        (Kind::Pairs(between), 0) => {
            // In a table each stands once.
            let (key, value) = first.split_once(between).unwrap_or((&first, ""));
            let table = toml::Table::from_iter([(key.to_owned(), toml::Value::from(value))]);
            one(table.into(), format!("{key}{between}{value}"))
        }
        (Kind::List | Kind::Names | Kind::Pairs(_), _) => several(),
    }
}

/// What would be served, or why not.
fn outcome(arguments: &[String]) -> Result<String, Problem> {
    let typed = ["number8".to_owned()].into_iter().chain(arguments.iter().cloned());
    match args::parse(typed.map(OsString::from)) {
        Ok(Action::Serve(invocation)) => invocation.load().map(|(_, mut config)| {
            // A file that has secrets in it is one to be kept from programs, and a flag is none.
            config.repl.secrets.clear();
            config.warnings.clear();
            format!("{config:?}")
        }),
        Ok(action) => panic!("{arguments:?} is to be served, not {action:?}"),
        Err(args::Stop::Problem(problem)) => Err(problem),
        Err(args::Stop::Shown(_)) => panic!("{arguments:?} is to be served"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Invariant: whatever is said in the file means what it means as flags. What is wrong is wrong in both for the same reason,
    /// which in the file is told with the line and the key.
    #[test]
    fn a_file_says_what_flags_say(
        chosen in subsequence((0..known().len()).collect::<Vec<_>>(), 0..6),
        texts in prop::collection::vec(prop::collection::vec(text(), 1..3), 6),
        numbers in prop::collection::vec(prop_oneof![3 => 0..2000_i64, 1 => -9..99_999_i64, 1 => any::<i64>()], 6),
        choices in prop::collection::vec(any::<Index>(), 6),
        empty_lines in 0usize..3,
    ) {
        let folder = sandbox();
        let known = known();
        let said: Vec<Said> = chosen
            .iter()
            .enumerate()
            .map(|(at, &which)| say(known[which], folder.path(), &texts[at], numbers[at], choices[at]))
            .collect();
        let mut file = "\n".repeat(empty_lines);
        let mut lines = Vec::new();
        for Said { option, file: value, .. } in &said {
            lines.push(1 + file.matches('\n').count());
            file.push_str(&format!("{} = {value}\n", option.name));
        }
        let path = folder.path().join("n8.toml");
        fs::write(&path, &file).unwrap();

        let site = folder.path().join("site").display().to_string();
        let (positional, flags): (Vec<&Said>, Vec<&Said>) = said.iter().partition(|said| said.option.is_positional);
        let flags = flags.iter().flat_map(|said| said.flags.iter().cloned());
        let path_flags = positional.iter().flat_map(|said| said.flags.iter().cloned());
        let served = if positional.is_empty() { vec![site.clone()] } else { path_flags.collect() };
        let typed: Vec<String> = ["--config", "/dev/null"].map(str::to_owned).into_iter()
            .chain(flags).chain(["--".to_owned()]).chain(served).collect();
        let mut by_file = vec!["--config".to_owned(), path.display().to_string()];
        if positional.is_empty() {
            by_file.push(site);
        }

        match (outcome(&by_file), outcome(&typed)) {
            (Ok(one), Ok(other)) => prop_assert_eq!(one, other, "{}", file),
            (Err(problem), Err(other)) => {
                let (message, other) = (problem.to_string(), other.to_string());
                let place = message.strip_prefix(&format!("{}:", path.display()));
                let (line, rest) = place.and_then(|place| place.split_once(": ")).unwrap_or_else(|| panic!("{message} of {file}"));
                let line = line.parse::<usize>().unwrap();
                let option = said[lines.iter().position(|&at| at == line).unwrap()].option;
                let rest = rest.strip_prefix(&format!("{} = ", option.name)).unwrap_or_else(|| panic!("{message} of {file}"));
                let want = match option.kind {
                    Kind::Switch | Kind::OptionalText => match rest.strip_prefix("true: ") {
                        Some(why) => format!("{}: {why}", option.flag()),
                        None if option.kind == Kind::Switch => format!("{}: {rest}", option.flag()),
                        None => format!("{} {rest}", option.flag()),
                    },
                    _ => format!("{} {rest}", option.flag()),
                };
                prop_assert_eq!(want, other, "{}", file);
            }
            (one, other) => prop_assert!(false, "{one:?}, as flags {other:?}: {file}"),
        }
    }
}
