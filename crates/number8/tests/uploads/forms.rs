//! Forms with files.
#![cfg(feature = "multipart")]

use std::io::Write;

use number8::access::Rights;
use number8::store::OnClash;

use super::{Shared, set};

const TYPE: &str = "Content-Type: multipart/form-data; boundary=XX";

/// A form with these parts: the parameters of its Content-Disposition, and content.
fn form(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut form = String::new();
    for (parameters, content) in parts {
        form += &format!(
            "--XX\r\nContent-Disposition: form-data; {parameters}\r\n\
             Content-Type: application/octet-stream\r\n\r\n{content}\r\n"
        );
    }
    (form + "--XX--\r\n").into_bytes()
}

#[test]
pub(crate) fn f9_the_files_of_a_form_are_stored() {
    let shared = Shared::new();
    let content = form(&[
        ("name=\"note\"", "a field, no file"),
        ("name=\"file\"; filename=\"a.txt\"", "one"),
        ("name=\"file\"; filename=\"b c é.txt\"", "two"),
        ("name=\"empty\"; filename=\"\"", ""),
    ]);
    let answer = shared.send("POST", "/new/folder/", &[TYPE], &content);
    assert_eq!(answer.status, 201, "{answer:?}");
    let stored: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(stored["files"][0]["location"], "/new/folder/a.txt");
    assert_eq!(stored["files"][1]["location"], "/new/folder/b%20c%20%C3%A9.txt");
    assert_eq!(stored["files"][1]["size"], 3);
    assert_eq!(shared.read("new/folder/a.txt"), "one");
    assert_eq!(shared.read("new/folder/b c é.txt"), "two");

    // A browser goes back to the page; a path without a slash has to be a folder that is there.
    let html = "Accept: text/html,application/xhtml+xml";
    let answer = shared.send("POST", "/new/folder", &[TYPE, html], &content);
    assert_eq!((answer.status, answer.field("Location")), (303, Some("/new/folder/")));
    for (target, status) in [("/new/folder/a.txt", 409), ("/nowhere", 404)] {
        assert_eq!(shared.send("POST", target, &[TYPE], &content).status, status, "{target}");
    }
    assert_eq!(
        shared.names(),
        set(&["new", "new/folder", "new/folder/a.txt", "new/folder/b c é.txt"])
    );
}

/// RFC 9110 §13.1: of the folder that the request names.
#[test]
pub(crate) fn f9_preconditions_hold_for_a_form() {
    let shared = Shared::new();
    shared.write("a.txt", "old");
    let content = form(&[("name=\"file\"; filename=\"a.txt\"", "new")]);
    for (target, field, status) in [
        ("/", "If-None-Match: *", 412),
        ("/", "If-Match: \"nope\"", 412),
        ("/new/", "If-Match: *", 412),
        ("/new/", "If-None-Match: *", 201),
    ] {
        let answer = shared.send("POST", target, &[TYPE, field], &content);
        assert_eq!(answer.status, status, "{target} {field}: {answer:?}");
    }
    assert_eq!(shared.read("a.txt"), "old");
    assert_eq!(shared.send("POST", "/", &[TYPE, "If-Match: *"], &content).status, 201);
    assert_eq!(shared.read("a.txt"), "new");
}

#[test]
pub(crate) fn f9_the_names_in_a_form_lead_nowhere_else() {
    let shared = Shared::new();
    for (name, status) in [
        ("../up.txt", 201),
        ("C:\\\\\\\\dir\\\\\\\\win.txt", 201),
        ("/etc/abs.txt", 201),
        ("..", 400),
        (".hidden", 403),
        (".well-known", 403),
        ("in\\\\..", 400),
    ] {
        let content = form(&[(&format!("name=\"file\"; filename=\"{name}\""), "x")]);
        let answer = shared.send("POST", "/", &[TYPE], &content);
        assert_eq!(answer.status, status, "{name}: {answer:?}");
    }
    assert_eq!(shared.names(), set(&["up.txt", "win.txt", "abs.txt"]));
}

#[test]
pub(crate) fn f9_a_form_is_taken_whole_or_not_at_all() {
    let shared = Shared::with(|uploads| uploads.on_clash(OnClash::Refuse).max_bytes(2000));
    shared.write("taken", "old");
    let file = |name: &str| format!("name=\"file\"; filename=\"{name}\"");
    let many: Vec<_> = (0..101).map(|number| file(&number.to_string())).collect();
    let many: Vec<_> = many.iter().map(|part| (part.as_str(), "")).collect();
    let large = "x".repeat(2000);
    for (parts, status) in [
        (&[(file("new").as_str(), "x"), (file("taken").as_str(), "x")][..], 409),
        (&[(file("new").as_str(), "x"), (file("large").as_str(), large.as_str())], 413),
        (&[("name=\"note\"", "no file at all")], 400),
        (&many, 413),
    ] {
        let content = form(parts);
        assert_eq!(shared.send("POST", "/", &[TYPE], &content).status, status);
    }
    let whole = form(&[(&file("new"), "x")]);
    // Cut before its last boundary, by its length or by the client.
    assert_eq!(shared.send("POST", "/", &[TYPE], &whole[..whole.len() - 8]).status, 400);
    let length = format!("Content-Length: {}", whole.len());
    let mut stream = shared.server.send("POST", "/", &[TYPE, &length]);
    stream.write_all(&whole[..whole.len() - 1]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let _ = read_any(&mut stream);
    for content_type in ["multipart/form-data", "multipart/form-data; boundary=\"\""] {
        let field = format!("Content-Type: {content_type}");
        assert_eq!(shared.send("POST", "/", &[&field], &whole).status, 400, "{content_type}");
    }
    assert_eq!(shared.names(), set(&["taken"]));
    assert_eq!(shared.read("taken"), "old");
}

fn read_any(stream: &mut std::net::TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = std::io::Read::read_to_end(stream, &mut bytes);
    bytes
}

#[test]
pub(crate) fn f9_a_form_with_a_name_that_cannot_be_had_leaves_nothing() {
    let file = |name: &str| format!("name=\"file\"; filename=\"{name}\"");
    for (on_clash, rights, names, status) in [
        (OnClash::Replace, Rights::RW, ["new", "folder"], 409),
        (OnClash::Replace, Rights::RW, ["new", "link"], 409),
        (OnClash::Refuse, Rights::RW, ["new", "folder"], 409),
        (OnClash::Refuse, Rights::RW, ["new", "new"], 409),
        (OnClash::Replace, Rights::READ | Rights::CREATE, ["new", "new"], 403),
    ] {
        let shared = Shared::ruled(rights, |uploads| uploads.on_clash(on_clash));
        shared.write("folder/kept", "kept");
        std::os::unix::fs::symlink("folder", shared.path("link")).unwrap();
        let content = form(&names.map(file).each_ref().map(|part| (part.as_str(), "x")));
        assert_eq!(shared.send("POST", "/", &[TYPE], &content).status, status, "{names:?}");
        assert_eq!(shared.names(), set(&["folder", "folder/kept", "link"]), "{names:?}");
    }
}

#[test]
pub(crate) fn f9_a_form_that_repeats_a_name_keeps_both_if_asked_to() {
    let shared = Shared::with(|uploads| uploads.on_clash(OnClash::KeepBoth));
    let part = "name=\"file\"; filename=\"a.txt\"";
    let answer = shared.send("POST", "/", &[TYPE], &form(&[(part, "one"), (part, "two")]));
    assert_eq!(answer.status, 201);
    assert!(answer.text().contains("/a%20(2).txt"), "{}", answer.text());
    assert_eq!((shared.read("a.txt"), shared.read("a (2).txt")), ("one".into(), "two".into()));
}
