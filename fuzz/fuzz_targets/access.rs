//! A text that is read as a grant means the same when it is written again from what was read; another is refused in one line
//! that does not hold its secret. What the rules of all lines say about a path is what they say in words: the longest path
//! decides, `none` there refuses, else the rights add up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use number8::access::{Access, Grant, Rights, Rule};

/// A rule a line, as `--auth` takes them; the last line is the path that is asked about.
fn parse(line: &str) -> Vec<Rule> {
    let grant = match line.parse::<Grant>() {
        Ok(grant) => grant,
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains(char::is_control));
            let secret = line.split_once(':').and_then(|(_, rest)| rest.rsplit_once("@/"));
            if let Some((secret, rest)) = secret
                && secret.len() > 3
                && secret.contains(|c: char| c.is_ascii_digit())
                && !rest.contains(secret)
            {
                assert!(!message.contains(secret), "{message}");
            }
            return Vec::new();
        }
    };
    let name = grant.name.as_deref().unwrap_or_default();
    let secret = grant.secret.as_ref().map_or_else(String::new, |secret| format!(":{secret}"));
    let rule = |rule: &Rule| format!("{}:{}", rule.path(), rule.rights());
    let rules: Vec<String> = grant.rules.iter().map(rule).collect();
    assert_eq!(format!("{name}{secret}@{}", rules.join(",")).parse(), Ok(grant.clone()));
    grant.rules
}

fn names(path: &[u8]) -> Vec<&[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect()
}

fn plain(rules: &[Rule], user: Option<&str>, path: &[u8]) -> Rights {
    let path = names(path);
    let has_dots = path.iter().any(|name| matches!(*name, b"." | b".."));
    if has_dots && rules.iter().any(|rule| rule.path() != "/") {
        return Rights::NONE;
    }
    for length in (0..=path.len()).rev() {
        let of_length = rules.iter().filter(|rule| names(rule.path().as_bytes()) == path[..length]);
        let here = of_length.filter(|rule| rule.named().is_none() || rule.named() == user);
        let rights: Vec<Rights> = here.map(Rule::rights).collect();
        if !rights.is_empty() {
            let refused = rights.contains(&Rights::NONE);
            let all = rights.into_iter().fold(Rights::NONE, Rights::union);
            return if refused { Rights::NONE } else { all };
        }
    }
    Rights::NONE
}

fuzz_target!(|input: &[u8]| {
    let last = input.iter().rposition(|&byte| byte == b'\n').unwrap_or_default();
    let (lines, path) = input.split_at(last);
    let path = path.strip_prefix(b"\n").unwrap_or(path);
    let lines = String::from_utf8_lossy(lines);
    let rules: Vec<Rule> = lines.split('\n').take(16).flat_map(parse).collect();
    let access = Access::new(rules.clone());
    let users = rules.iter().map(Rule::named);
    for user in users.chain([None, Some("a stranger")]) {
        let rights = plain(&rules, user, path);
        assert_eq!(access.rights(user, path), rights);
        for wanted in [Rights::LIST, Rights::READ, Rights::RW, Rights::ALL] {
            let decided = access.decide(user, wanted, path);
            assert_eq!(decided.is_ok(), rights.contains(wanted));
            let could = |rule: &Rule| {
                rule.named().is_some() && plain(&rules, rule.named(), path).contains(wanted)
            };
            if let Err(refusal) = decided {
                let helps = user.is_none() && rules.iter().any(could);
                assert_eq!(refusal.status(), if helps { 401 } else { 403 });
            }
            let is_below = |rule: &&Rule| {
                let (own, path) = (names(rule.path().as_bytes()), names(path));
                own.len() > path.len() && own.starts_with(&path)
            };
            let is_theirs = |rule: &&Rule| rule.named().is_none() || rule.named() == user;
            let mut below = rules.iter().filter(is_below).filter(is_theirs);
            let tree = rights.contains(wanted)
                && below.all(|rule| plain(&rules, user, rule.path().as_bytes()).contains(wanted));
            assert_eq!(access.decide_tree(user, wanted, path).is_ok(), tree);
        }
    }
});
