//! The route that answers is the most specific of those that fit by a plain reading: text before `{name}`, a longer suffix
//! before a shorter one, `{*rest}` last; then the first pattern that fits. The values are what the placeholders stand for. What is
//! compared is what a path means: an escaped slash is a character of its segment, and no part of an escape is text.
#![no_main]

use std::cmp::Ordering;
use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use number8::{App, Method, Request, decode_path};

/// A character that a path means, or a slash between two segments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Char(char),
    Slash,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Part(Part),
    Value,
    Rest,
}

/// What a path means. One character is kept for other things.
fn meant(path: &str) -> Option<Vec<Part>> {
    let segment = |segment: &str| {
        let decoded = decode_path(segment.as_bytes()).ok()?.into_owned();
        let text = String::from_utf8(decoded).ok().filter(|text| !text.contains('\u{ffff}'))?;
        Some(text.chars().map(Part::Char).collect::<Vec<_>>())
    };
    Some(path.split('/').map(segment).collect::<Option<Vec<_>>>()?.join(&Part::Slash))
}

/// What a placeholder stands for.
fn text(parts: &[Part]) -> String {
    let char = |part: &Part| match part {
        Part::Char(c) => *c,
        Part::Slash => '/',
    };
    parts.iter().map(char).collect()
}

/// What a route is made of. A brace that is escaped opens no placeholder.
fn tokens(route: &str) -> Option<Vec<Token>> {
    let escapes = [("%7B", "{{"), ("%7b", "{{"), ("%7D", "}}"), ("%7d", "}}")];
    let route = escapes.iter().fold(route.to_owned(), |route, (from, to)| route.replace(from, to));
    let mut parts = meant(&route)?.into_iter().peekable();
    let mut tokens = Vec::new();
    let (open, close) = (Part::Char('{'), Part::Char('}'));
    while let Some(part) = parts.next() {
        let is_doubled = (part == open || part == close) && parts.next_if_eq(&part).is_some();
        if part != open || is_doubled {
            tokens.push(Token::Part(part));
            continue;
        }
        tokens.push(if parts.peek() == Some(&Part::Char('*')) {
            Token::Rest
        } else {
            Token::Value
        });
        // A doubled brace is part of the name.
        while parts.next().is_some_and(|part| part != close || parts.next_if_eq(&close).is_some()) {
        }
    }
    Some(tokens)
}

/// The values, if the path fits.
fn fit(tokens: &[Token], path: &[Part]) -> Option<Vec<String>> {
    let Some((first, tokens)) = tokens.split_first() else {
        return path.is_empty().then(Vec::new);
    };
    match first {
        Token::Part(part) => fit(tokens, path.strip_prefix(std::slice::from_ref(part))?),
        Token::Rest => (!path.is_empty()).then(|| vec![text(path)]),
        Token::Value => {
            let end = path.iter().position(|part| *part == Part::Slash).unwrap_or(path.len());
            let mut fits = (1..=end).filter_map(|at| Some((at, fit(tokens, &path[at..])?)));
            let (at, rest) = fits.next()?;
            Some([vec![text(&path[..at])], rest].concat())
        }
    }
}

const SLASH: Token = Token::Part(Part::Slash);

/// The more specific first.
fn compare(one: &[Token], other: &[Token]) -> Ordering {
    let rank = |tokens: &[Token]| match tokens.first() {
        Some(Token::Part(_)) => (0, 0),
        // The longer the text behind it in its segment, the better.
        Some(Token::Value) => {
            let suffix = tokens[1..].iter().take_while(|token| **token != SLASH);
            (1, usize::MAX - suffix.count())
        }
        Some(Token::Rest) => (2, 0),
        None => (3, 0),
    };
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let before = |tokens: &[Token]| tokens[..same].iter().rposition(|token| *token == Token::Value);
    // Two that differ in the text behind a placeholder differ there.
    let start = before(one).filter(|&at| !one[at..same].contains(&SLASH)).unwrap_or(same);
    rank(&one[start..])
        .cmp(&rank(&other[start..]))
        .then(rank(&one[same..]).cmp(&rank(&other[same..])))
}

/// What the stars between the texts of a pattern stand for, each as little as it can.
fn stars(texts: &[Vec<Part>], path: &[Part]) -> Option<Vec<String>> {
    stars_before(texts, path, &mut HashSet::new())
}

/// The same, where `tried` are the ends of both that led nowhere before: with many stars there are very many ways to the same.
fn stars_before(
    texts: &[Vec<Part>],
    path: &[Part],
    tried: &mut HashSet<(usize, usize)>,
) -> Option<Vec<String>> {
    let ends = (texts.len(), path.len());
    if !tried.insert(ends) {
        return None;
    }
    let (first, texts) = texts.split_first()?;
    let path = path.strip_prefix(&**first)?;
    if texts.is_empty() {
        return path.is_empty().then(Vec::new);
    }
    let mut fits =
        (0..=path.len()).filter_map(|at| Some((at, stars_before(texts, &path[at..], tried)?)));
    let (at, rest) = fits.next()?;
    Some([vec![text(&path[..at])], rest].concat())
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
    let path = meant(path)?;
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
        patterns.find_map(|(number, route)| {
            let texts = route.split('*').map(meant).collect::<Option<Vec<_>>>()?;
            Some((number, stars(&texts, &path)?))
        })
    })?;
    Some(format!("{number} {values:?}"))
}

/// The plain reading tries every way to divide a path among them.
const STARS_MAX: usize = 4;

// Routes and patterns, a line each; an empty line; paths.
fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let (lines, paths) = text.split_once("\n\n").unwrap_or((&text, "/"));
    let mut routes: Vec<&str> = Vec::new();
    let has_few_stars = |line: &&str| line.matches('*').count() <= STARS_MAX;
    for line in lines.lines().filter(has_few_stars).take(8) {
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
