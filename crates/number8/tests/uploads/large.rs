//! Files beyond what goes through memory, as they are written where nothing else is said: what follows their first 32 MiB goes to
//! the disk directly, by whole blocks.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::{Shared, set};
use crate::files::{PATIENCE, eventually, noise, open_below};

/// What goes through memory, and the blocks in which the rest is written.
const THROUGH_MEMORY: usize = 32 << 20;
const BLOCK: usize = 512 << 10;

const HAS_FORMS: bool = cfg!(feature = "multipart");
const OF_FORM: &str = "Content-Type: multipart/form-data; boundary=b";

#[test]
fn f9_large_content_arrives_whole() {
    let shared = Shared::with(|uploads| uploads.sync(true));
    let all = noise(THROUGH_MEMORY + (3 << 20) + 7);
    for length in [
        THROUGH_MEMORY - 1,
        THROUGH_MEMORY,
        THROUGH_MEMORY + 1,
        THROUGH_MEMORY + BLOCK + 5,
        all.len(),
    ] {
        let content = &all[..length];
        assert_eq!(shared.send("PUT", "/file", &[], content).status / 100, 2);
        assert_eq!(shared.put_in_chunks("/chunked", content).status / 100, 2);
        if HAS_FORMS {
            assert_eq!(shared.send("POST", "/", &[OF_FORM], &form(content)).status, 201);
        }
        for name in shared.names() {
            assert!(fs::read(shared.path(&name)).unwrap() == content, "{length} bytes of {name}");
        }
    }
    let names = ["file", "chunked", "form"];
    assert_eq!(shared.names(), set(&names[..if HAS_FORMS { 3 } else { 2 }]));
}

#[test]
fn design_6_a_client_that_leaves_a_large_file_leaves_nothing() {
    let shared = Shared::with(|uploads| uploads.sync(true));
    shared.write("file", "old");
    let held = open_below(shared.temp.path());
    let form = form(&noise(THROUGH_MEMORY + 3 * BLOCK + 5));
    let length = format!("Content-Length: {}", form.len());
    let most = &form[..form.len() - 100];
    for way in ["end", "reset", "half-close"] {
        for (method, target) in [("PUT", "/file"), ("PUT", "/a/new"), ("POST", "/")] {
            if method == "POST" && !HAS_FORMS {
                continue;
            }
            let mut stream = shared.server.send(method, target, &[OF_FORM, &length]);
            stream.write_all(most).unwrap();
            eventually(|| longest_open_below(&shared) > THROUGH_MEMORY as u64);
            leave(stream, way);
            eventually(|| open_below(shared.temp.path()) == held);
            assert_eq!(shared.names(), set(&["file"]), "{way} {method} {target}");
            assert_eq!(shared.server.get("/file").text(), "old", "{way} {method} {target}");
        }
    }
}

/// A form with one file.
fn form(content: &[u8]) -> Vec<u8> {
    let head = b"--b\r\nContent-Disposition: form-data; name=f; filename=form\r\n\r\n";
    [head, content, b"\r\n--b--\r\n"].concat()
}

fn leave(mut stream: TcpStream, way: &str) {
    match way {
        "half-close" => {
            stream.shutdown(Shutdown::Write).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        }
        "reset" => {
            let socket = socket2::SockRef::from(&stream);
            socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
        _ => {}
    }
}

/// How much there is of the longest file that is open, with a name or without.
fn longest_open_below(shared: &Shared) -> u64 {
    let files = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let below = files.filter(|fd| {
        fs::read_link(fd.path()).is_ok_and(|target| target.starts_with(shared.temp.path()))
    });
    below.filter_map(|fd| Some(fs::metadata(fd.path()).ok()?.len())).max().unwrap_or(0)
}
