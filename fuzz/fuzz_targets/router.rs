//! The route that answers is the most specific of those that fit by a plain reading: text before `{name}`, a longer suffix
//! before a shorter one, `{*rest}` last; then the first pattern that fits. The values are what the placeholders stand for.
#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::fuzz_target;
use number8::{App, Method, Request, decode_path};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    Value,
    Rest,
}

/// A path without escapes but those of `/` and `%`, which stay what they are.
fn undone(path: &str) -> Option<String> {
    let part = |part: &str| {
        let decoded = decode_path(part.as_bytes()).ok()?.into_owned();
        Some(String::from_utf8(decoded).ok()?.replace('%', "%25").replace('/', "%2F"))
    };
    path.split('/').map(part).collect::<Option<Vec<_>>>().map(|parts| parts.join("/"))
}

/// What a route is made of. A brace that is escaped opens no placeholder.
fn tokens(route: &str) -> Option<Vec<Token>> {
    let escapes = [("%7B", "{{"), ("%7b", "{{"), ("%7D", "}}"), ("%7d", "}}")];
    let route = escapes.iter().fold(route.to_owned(), |route, (from, to)| route.replace(from, to));
    let route = undone(&route)?;
    let mut chars = route.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        let is_doubled = matches!(c, '{' | '}') && chars.next_if_eq(&c).is_some();
        if c != '{' || is_doubled {
            tokens.push(Token::Char(c));
            continue;
        }
        tokens.push(if chars.peek() == Some(&'*') { Token::Rest } else { Token::Value });
        // A doubled brace is part of the name.
        while chars.next().is_some_and(|c| c != '}' || chars.next_if_eq(&'}').is_some()) {}
    }
    Some(tokens)
}

/// The values, if the path fits.
fn fit(tokens: &[Token], path: &str) -> Option<Vec<String>> {
    let Some((first, tokens)) = tokens.split_first() else {
        return path.is_empty().then(Vec::new);
    };
    match first {
        Token::Char(c) => fit(tokens, path.strip_prefix(*c)?),
        Token::Rest => (!path.is_empty()).then(|| vec![path.to_owned()]),
        Token::Value => {
            let end = path.find('/').unwrap_or(path.len());
            let ends = path.char_indices().map(|(at, c)| at + c.len_utf8()).filter(|&at| at <= end);
            let mut fits = ends.filter_map(|at| Some((at, fit(tokens, &path[at..])?)));
            let (at, rest) = fits.next()?;
            Some([vec![path[..at].to_owned()], rest].concat())
        }
    }
}

/// The more specific first.
fn compare(one: &[Token], other: &[Token]) -> Ordering {
    let rank = |tokens: &[Token]| match tokens.first() {
        Some(Token::Char(_)) => (0, 0),
        // The longer the text behind it in its segment, the better.
        Some(Token::Value) => {
            let suffix = tokens[1..].iter().take_while(|token| **token != Token::Char('/'));
            (1, usize::MAX - suffix.count())
        }
        Some(Token::Rest) => (2, 0),
        None => (3, 0),
    };
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let before = |tokens: &[Token]| tokens[..same].iter().rposition(|token| *token == Token::Value);
    // Two that differ in the text behind a placeholder differ there.
    let start =
        before(one).filter(|&at| !one[at..same].contains(&Token::Char('/'))).unwrap_or(same);
    rank(&one[start..])
        .cmp(&rank(&other[start..]))
        .then(rank(&one[same..]).cmp(&rank(&other[same..])))
}

/// What the stars of a pattern stand for, each as little as it can.
fn stars(pattern: &str, path: &str) -> Option<Vec<String>> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (pattern == path).then(Vec::new);
    };
    let path = path.strip_prefix(before)?;
    let ends = path.char_indices().map(|(at, _)| at).chain([path.len()]);
    let mut fits = ends.filter_map(|at| Some((at, stars(after, &path[at..])?)));
    let (at, rest) = fits.next()?;
    Some([vec![path[..at].to_owned()], rest].concat())
}

/// The app with these routes, of which each tells its number and the values.
fn app(routes: &[&str]) -> App {
    routes.iter().enumerate().fold(App::new(), |app, (number, route)| {
        let tell = move |request: Request| {
            let values: Vec<_> = request.values().map(|(_, value)| value.to_owned()).collect();
            std::future::ready(format!("{number} {values:?}"))
        };
        match route.contains('*') && !route.contains('{') {
            true => app.pattern(&[Method::Get], route, tell),
            false => app.get(route, tell),
        }
    })
}

fn plain(routes: &[&str], path: &str) -> Option<String> {
    let path = undone(path)?;
    let is_pattern = |route: &str| route.contains('*') && !route.contains('{');
    let numbered = || routes.iter().copied().enumerate();
    let fitting =
        numbered().filter(|(_, route)| !is_pattern(route)).filter_map(|(number, route)| {
            let tokens = tokens(route)?;
            let values = fit(&tokens, &path)?;
            Some((number, tokens, values))
        });
    let best = fitting.min_by(|(_, one, _), (_, other, _)| compare(one, other));
    let (number, values) = best.map(|(number, _, values)| (number, values)).or_else(|| {
        let mut patterns = numbered().filter(|(_, route)| is_pattern(route));
        patterns.find_map(|(number, route)| Some((number, stars(route, &path)?)))
    })?;
    let decoded = |value: String| match decode_path(value.as_bytes()) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => value,
    };
    let values: Vec<String> = values.into_iter().map(decoded).collect();
    Some(format!("{number} {values:?}"))
}

// Routes and patterns, a line each; an empty line; paths.
fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let (lines, paths) = text.split_once("\n\n").unwrap_or((&text, "/"));
    let mut routes: Vec<&str> = Vec::new();
    for line in lines.lines().take(8) {
        routes.push(line);
        if app(&routes).check().is_err() {
            routes.pop();
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let server = app(&routes).test();
    for path in paths.lines().take(8) {
        let is_sent =
            path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'?');
        if !is_sent {
            continue;
        }
        let answer = runtime.block_on(server.get(path).send()).expect("an answer");
        match answer.status() {
            400 => {}
            404 => assert_eq!(plain(&routes, path), None, "{path} of {routes:?}"),
            200 => assert_eq!(
                plain(&routes, path).as_deref(),
                Some(answer.text()),
                "{path} of {routes:?}"
            ),
            status => panic!("{status} for {path} of {routes:?}"),
        }
    }
});
