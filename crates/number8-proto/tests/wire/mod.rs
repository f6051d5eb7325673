//! The pages of this folder, each case played whole, byte by byte, and cut in two at every place.

mod cases;
mod server;

use cases::Case;
pub(crate) use server::Server;

/// Up to this size a request is cut at every place; beyond it at every place near its ends, and at
/// some between.
const CUT_EVERYWHERE: usize = 2048;

fn all() -> Vec<Case> {
    cases::all(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire"))
}

#[test]
fn every_case_gives_the_same_log_however_it_is_cut() {
    let mut failed = Vec::new();
    let mut played = 0;
    for case in all() {
        played += 1;
        if let Err(difference) = check(&case) {
            eprintln!("{difference}");
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "{} of {played} failed: {failed:#?}", failed.len());
    assert!(played >= 200, "only {played} cases were found");
}

/// Those that requests of HTTP/1.1 cannot have have theirs in the table of HTTP/2.
#[test]
fn every_error_has_a_case() {
    let http2 = include_str!("../semantics/http2.rs");
    let logs: String = all().into_iter().map(|case| case.log + "\n").collect();
    let source = include_str!("../../src/error.rs");
    let variants = source.lines().filter_map(|line| line.trim().split_once(" = "));
    let variants: Vec<_> = variants.filter(|(_, rest)| rest.ends_with("\";")).collect();
    assert!(variants.len() > 20, "{variants:?}");
    for (name, _) in variants {
        let is_in_a_log = logs.lines().any(|line| line.ends_with(&format!(" {name}")));
        assert!(is_in_a_log || http2.contains(&format!("Error::{name}")), "{name}");
    }
}

fn check(case: &Case) -> Result<(), String> {
    let whole = play(case, &[]);
    differs(case, "whole", "log", case.log.as_bytes(), whole.log.join("\n").as_bytes())?;
    if let Some(sent) = &case.sent {
        differs(case, "whole", "sent", sent, &whole.out)?;
    }
    let length = case.request.len();
    let every_byte: Vec<_> = (1..length).collect();
    let mut ways = vec![("byte by byte".to_owned(), every_byte)];
    let is_near = |at: &usize| *at < CUT_EVERYWHERE / 2 || length - at < CUT_EVERYWHERE / 2;
    let places = (1..length).filter(|at| is_near(at) || at % 127 == 0);
    ways.extend(places.map(|at| (format!("cut at {at}"), vec![at])));
    for (way, cuts) in ways {
        let played = play(case, &cuts);
        differs(
            case,
            &way,
            "log",
            whole.log.join("\n").as_bytes(),
            played.log.join("\n").as_bytes(),
        )?;
        differs(case, &way, "sent", &whole.out, &played.out)?;
    }
    Ok(())
}

fn play(case: &Case, cuts: &[usize]) -> Server {
    let mut server = Server::new(case.limits);
    server.show.clone_from(&case.show);
    let mut start = 0;
    for &end in cuts.iter().chain([&case.request.len()]) {
        server.feed(&case.request[start..end]);
        start = end;
    }
    if case.has_eof {
        server.end();
    }
    server
}

/// Both sides between rulers, if they are not the same.
fn differs(case: &Case, way: &str, what: &str, want: &[u8], got: &[u8]) -> Result<(), String> {
    if want == got {
        return Ok(());
    }
    let ruler = "~".repeat(72);
    let show = |bytes: &[u8]| match what {
        "log" => String::from_utf8_lossy(bytes).into_owned(),
        _ => bytes.escape_ascii().to_string().replace("\\n", "\\n\n"),
    };
    let (name, want, got) = (&case.name, show(want), show(got));
    Err(format!("{name} ({way}), {what}\n{ruler}\n{want}\n{ruler} got\n{got}\n{ruler}\n"))
}
