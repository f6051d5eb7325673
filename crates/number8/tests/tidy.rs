//! Holds the sources of the workspace to the boundaries that ARCHITECTURE.md
//! draws: a rule that a test checks stays true, a rule in prose drifts.
//!
//! The check is textual. It reads code without its comments and test modules,
//! writes out each `use` as full paths, and looks for words that have no
//! business in that file. It relies on the sources being formatted by rustfmt.

#![allow(clippy::unwrap_used, reason = "an unwrap that fails is the test's answer")]

use std::fs;
use std::path::Path;

const ROOMS: &str = "crates/number8/src/rooms/";

struct Rule {
    says: &'static str,
    /// Prefixes of the paths where the rule holds, and of those where it does not.
    within: &'static [&'static str],
    except: &'static [&'static str],
    words: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        says: "only the server touches sockets",
        within: &["crates/"],
        except: &[
            "crates/number8/src/server/",
            // Vouches for a listener that was handed over as a number.
            "crates/number8/src/sys",
        ],
        words: &[
            "TcpStream",
            "TcpListener",
            "UnixStream",
            "UnixListener",
            "socket2",
            "rustix::net",
        ],
    },
    Rule {
        says: "only the store touches served files",
        within: &["crates/"],
        except: &[
            "crates/number8/src/store/",
            // sendfile goes from a descriptor that the store opened.
            "crates/number8/src/server/transport.rs",
            // The mode and the removal of a Unix socket's own file.
            "crates/number8/src/server/listener.rs",
            // /proc tells where our code is.
            "crates/number8/src/server/footprint.rs",
            // Holds /dev/null open, to have a descriptor to give up.
            "crates/number8/src/server/accept.rs",
            // /proc tells who holds a busy port.
            "crates/number8/src/server/port_holder.rs",
            // /proc, control groups and temporary files of programs, none of them served.
            "crates/number8/src/children/",
            // The log file is written, never served.
            "crates/number8/src/layers/access_log",
            // The file of passwords is read, never served.
            "crates/number8/src/accounts/",
            // A certificate and its key are read, never served.
            "crates/number8/src/server/tls/files.rs",
            // An authority of the machine's own is kept, never served.
            "crates/number8/src/server/tls/self_signed/folder.rs",
            // The configuration file, read before there is a server.
            "crates/number8-cli/src/file.rs",
            // Pages for errors, read once at the start.
            "crates/number8-cli/src/app.rs",
            // The pages, read when the command is built.
            "crates/number8-cli/build.rs",
            // /proc and the standard streams, for defaults.
            "crates/number8-cli/src/settings.rs",
            // Content that waits for an app is in files without names, never served.
            "crates/number8-py/src/wsgi/spool.rs",
            // Units for systemd are written, never served.
            "crates/number8-cli/src/service/",
            // Whether a path on the command line can be served at all.
            "crates/number8-cli/src/syntax.rs",
        ],
        words: &["std::fs", "rustix::fs", "tokio::fs", "File::open"],
    },
    Rule {
        says: "the command and the Python package hold no HTTP",
        within: &["crates/number8-cli/", "crates/number8-py/"],
        except: &[],
        words: &["HTTP/1.", "Content-Length", "Transfer-Encoding", "Content-Range", "\\r\\n"],
    },
    Rule {
        says: "only the protocol decides where a body ends",
        within: &["crates/number8/src/", "crates/number8-codings/"],
        except: &[
            // What a handler is told, and what an upload is refused by before it comes: neither ends a body.
            "crates/number8/src/request.rs",
            "crates/number8/src/rooms/uploads/mod.rs",
            // The length that an app of Python's gives its own answer.
            "crates/number8/src/gateway.rs",
            // A client.
            "crates/number8/src/server/testing/request.rs",
        ],
        words: &["ContentLength", "Content-Length", "TransferEncoding", "Transfer-Encoding"],
    },
    Rule {
        says: "the protocol does no I/O, so it has no std",
        within: &["crates/number8-proto/"],
        except: &[],
        words: &["std"],
    },
    Rule {
        says: "an answer is given back, not changed where somebody else holds it",
        within: &["crates/"],
        except: &[],
        words: &["&mut Response"],
    },
    Rule {
        says: "unsafe code stands in one module",
        within: &["crates/"],
        except: &["crates/number8/src/sys", "crates/number8-py/src/sys"],
        // The keyword; a policy for pages has a word that begins like it.
        words: &[
            "unsafe {",
            "unsafe fn",
            "unsafe impl",
            "unsafe trait",
            "unsafe extern",
            "unsafe(",
        ],
    },
];

#[test]
fn sources_keep_the_boundaries() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = Vec::new();
    read_sources(&workspace, "crates", &mut sources);
    for path in ["number8-proto/src/lib.rs", "number8/src/lib.rs", "number8-cli/src/main.rs"] {
        assert!(sources.iter().any(|(seen, _)| seen.ends_with(path)), "{path} was not read");
    }
    let mut rooms: Vec<&str> = sources.iter().filter_map(|(path, _)| room_of(path)).collect();
    rooms.dedup();

    let breaches: Vec<String> =
        sources.iter().flat_map(|(path, source)| breaches(path, source, &rooms)).collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// What is published has to hold what its documentation is made of: `guide` leads to `docs/guide`.
#[test]
fn every_chapter_of_the_guide_is_shown_and_part_of_the_package() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = fs::read_to_string(package.join("src/lib.rs")).unwrap();
    let (_, guide) = source.split_once("pub mod guide {").unwrap();
    let (guide, _) = guide.split_once("\n}").unwrap();
    let shown: Vec<&str> = guide.split('"').skip(1).step_by(2).collect();
    let index = fs::read_to_string(package.join("guide/README.md")).unwrap();
    let listed: Vec<String> = index
        .split("](")
        .skip(1)
        .map(|rest| format!("../guide/{}", rest.split_once(')').unwrap().0))
        .collect();
    assert_eq!(shown, listed);
    let chapters = fs::read_dir(package.join("guide")).unwrap().count() - 1;
    assert_eq!(shown.len(), chapters);
}

/// The sanitizer needs another compiler and runs seldom; that it would reach everything is seen here.
#[test]
fn all_of_the_unsafe_code_of_the_python_package_is_called_under_the_sanitizer() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(workspace.join(path)).unwrap();
    let (unsafe_code, calls) =
        (read("crates/number8-py/src/sys.rs"), read("tests/sanitize/src/lib.rs"));
    let functions: Vec<&str> = unsafe_code
        .split("pub(crate) fn ")
        .skip(1)
        .map(|rest| rest.split(['(', '<']).next().unwrap())
        .collect();
    assert!(functions.contains(&"let_go"), "{functions:?}");
    let is_called =
        |name: &str| ["::", "."].iter().any(|of| calls.contains(&format!("{of}{name}(")));
    let missing: Vec<_> = functions.iter().filter(|name| !is_called(name)).collect();
    assert!(missing.is_empty(), "tests/sanitize does not call {missing:?}");
}

/// What begins with its interpreter is called by its name, from a Makefile or by whoever reads of it.
#[cfg(unix)]
#[test]
fn every_script_can_be_run() {
    use std::os::unix::fs::PermissionsExt;

    const MADE: [&str; 7] =
        ["target", "node_modules", "out", "corpus", "seeds", "dist", "artifacts"];
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = [".ci", "bench", "examples", "fuzz", "packaging", "tests"];
    let mut paths: Vec<_> = folders.iter().map(|folder| workspace.join(folder)).collect();
    let (mut scripts, mut refused) = (0, Vec::new());
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let inside = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            paths.extend(inside.filter(|path| !MADE.iter().any(|made| path.ends_with(made))));
        } else if fs::read(&path).is_ok_and(|content| content.starts_with(b"#!/")) {
            scripts += 1;
            if fs::metadata(&path).unwrap().permissions().mode() & 0o111 == 0 {
                refused.push(path);
            }
        }
    }
    assert!(scripts > 20, "{scripts} scripts were read");
    assert!(refused.is_empty(), "not executable: {refused:?}");
}

#[test]
fn a_breach_is_found() {
    let cases: &[(&str, &str, &[usize])] = &[
        ("crates/number8/src/router.rs", "fn f(s: TcpStream) {}\n", &[1]),
        ("crates/number8/src/router.rs", "struct TcpStreamLike;\n// not a TcpStream\n", &[]),
        ("crates/number8/src/server/listener.rs", "use std::net::TcpListener;\n", &[]),
        (
            "crates/number8/src/response.rs",
            "use std::{\n    fmt,\n    fs::{self, File},\n};\n",
            &[1],
        ),
        (
            "crates/number8/src/response.rs",
            "use std::fmt;\nlet f = File::open(path); // why\n",
            &[2],
        ),
        ("crates/number8/src/store/open.rs", "use rustix::fs;\n", &[]),
        ("crates/number8/src/rooms/files/mod.rs", "use crate::rooms::{events, files};\n", &[1]),
        ("crates/number8/src/rooms/files/mod.rs", "use super::events::Topic;\n", &[1]),
        ("crates/number8/src/rooms/files/list.rs", "use super::super::events;\n", &[1]),
        (
            "crates/number8/src/rooms/files/list.rs",
            "use super::events;\nuse crate::body::Body;\n",
            &[],
        ),
        ("crates/number8/src/rooms/mod.rs", "pub mod events;\npub mod files;\n", &[]),
        ("crates/number8/src/app.rs", "use crate::Body;\nuse crate::files::Files;\n", &[2]),
        ("crates/number8/src/app.rs", "let app = crate::rooms::files::new();\n", &[1]),
        ("crates/number8/src/lib.rs", "pub use rooms::files;\n", &[]),
        ("crates/number8-cli/src/main.rs", "/// Not `HTTP/1.1`.\nf(\"HTTP/1.1 200\");\n", &[2]),
        ("crates/number8-proto/src/lib.rs", "use core::fmt;\nuse std::fmt;\n", &[2]),
        (
            "crates/number8-proto/src/date.rs",
            "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
            &[],
        ),
        ("crates/number8-proto/src/date.rs", "#[cfg(test)]\nmod tests;\nuse std::io;\n", &[3]),
        ("crates/number8-proto/src/date/tests.rs", "use std::fs;\n", &[]),
        ("crates/number8/src/app.rs", "fn f(response: &mut Response) {}\n", &[1]),
        (
            "crates/number8/src/app.rs",
            "fn f(mut response: Response, head: &mut ResponseHead) -> Response {}\n",
            &[],
        ),
        ("crates/number8/src/app.rs", "let x = unsafe { f() };\n", &[1]),
        ("crates/number8/src/app.rs", "#[unsafe(no_mangle)]\npub unsafe fn f() {}\n", &[1, 2]),
        ("crates/number8/src/app.rs", "let policy = \"'unsafe-inline'\";\n", &[]),
        ("crates/number8/src/sys.rs", "let x = unsafe { f() };\n", &[]),
        ("crates/number8/src/sys/children.rs", "let x = unsafe { f() };\n", &[]),
    ];
    for (path, source, lines) in cases {
        let found = breaches(path, source, &["events", "files"]);
        let expected: Vec<String> = lines.iter().map(|line| format!("{path}:{line}: ")).collect();
        assert_eq!(found.len(), expected.len(), "{source:?} in {path}: {found:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(found.starts_with(expected), "{source:?}: {found} at {expected}");
        }
    }
}

/// Appends every Rust source below `workspace/folder`, in the order of their
/// paths, which are relative to the workspace.
fn read_sources(workspace: &Path, folder: &str, sources: &mut Vec<(String, String)>) {
    let mut names: Vec<String> = fs::read_dir(workspace.join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in names {
        let path = format!("{folder}/{name}");
        if workspace.join(&path).is_dir() {
            read_sources(workspace, &path, sources);
        } else if name.ends_with(".rs") {
            let source = fs::read_to_string(workspace.join(&path)).unwrap();
            sources.push((path, source));
        }
    }
}

/// One line, `path:line: what is wrong`, for each word that breaks a rule.
fn breaches(path: &str, source: &str, rooms: &[&str]) -> Vec<String> {
    if path.contains("/tests/") || path.ends_with("tests.rs") {
        return Vec::new();
    }
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
    let mut forbidden: Vec<(&str, String)> = RULES
        .iter()
        .filter(|rule| starts(rule.within) && !starts(rule.except))
        .flat_map(|rule| rule.words.iter().map(|word| (rule.says, (*word).to_owned())))
        .collect();
    forbidden.extend(names_of_rooms(path, rooms));

    let mut found = Vec::new();
    for (line, code) in statements(source) {
        for (says, word) in forbidden.iter().filter(|(_, word)| has_word(&code, word)) {
            found.push(format!("{path}:{line}: {says}, but here is `{word}`"));
        }
    }
    found.dedup();
    found
}

/// The names by which `path` could reach a room that it may not know.
fn names_of_rooms(path: &str, rooms: &[&str]) -> Vec<(&'static str, String)> {
    if !path.starts_with("crates/number8/src/") || path.ends_with("src/lib.rs") {
        return Vec::new();
    }
    let Some(own) = room_of(path) else {
        if path.starts_with(ROOMS) {
            return Vec::new();
        }
        let names = rooms.iter().map(|room| format!("crate::{room}"));
        return names
            .chain([String::from("rooms")])
            .map(|name| ("the core knows no room", name))
            .collect();
    };
    let is_top = path == format!("{ROOMS}{own}.rs") || path == format!("{ROOMS}{own}/mod.rs");
    let up = if is_top { "super" } else { "super::super" };
    rooms
        .iter()
        .filter(|room| **room != own)
        .flat_map(|room| ["rooms", "crate", up].map(|from| format!("{from}::{room}")))
        .map(|name| ("a room knows no other room", name))
        .collect()
}

/// The room whose source `path` is.
fn room_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix(ROOMS)?.split('/').next()?;
    Some(name.strip_suffix(".rs").unwrap_or(name)).filter(|name| *name != "mod")
}

/// The lines of code with their numbers, without comments and test modules, a
/// `use` of several names as one entry for each.
fn statements(source: &str) -> Vec<(usize, String)> {
    let mut statements = Vec::new();
    let mut lines = source.lines().zip(1..).map(|(line, number)| (number, without_comment(line)));
    while let Some((number, line)) = lines.next() {
        if line == "#[cfg(test)]" {
            let Some((_, item)) = lines.find(|(_, line)| !line.starts_with("#[")) else { break };
            if item.ends_with('{') {
                lines.find(|(_, line)| *line == "}");
            }
            continue;
        }
        if !is_use(line) {
            statements.push((number, line.to_owned()));
            continue;
        }
        let mut tree = line.to_owned();
        while !tree.ends_with(';') {
            let Some((_, line)) = lines.next() else { break };
            tree.push_str(line.trim());
        }
        statements
            .extend(paths_of(tree.trim_end_matches(';')).into_iter().map(|path| (number, path)));
    }
    statements
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.split(" // ").next().unwrap_or(line).trim_end()
}

fn is_use(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("use ") || (line.starts_with("pub") && line.contains(" use "))
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d` and `a::c::e`.
fn paths_of(tree: &str) -> Vec<String> {
    let (Some(open), Some(close)) = (tree.find('{'), tree.rfind('}')) else {
        return vec![tree.trim().to_owned()];
    };
    let mut depth = 0;
    tree[open + 1..close]
        .split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        })
        .filter(|part| !part.trim().is_empty())
        .flat_map(paths_of)
        .map(|path| format!("{}{path}", &tree[..open]))
        .collect()
}

/// Whether `word` stands in `code` and is not part of a longer identifier.
fn has_word(code: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        let goes_on = word.starts_with(is_name) && before.is_some_and(is_name)
            || word.ends_with(is_name) && after.is_some_and(is_name);
        !goes_on
    })
}
