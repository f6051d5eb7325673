//! Clients that leave in the middle: nothing of what they sent is ever seen, and nothing is left.

use std::io::Write;
use std::net::Shutdown;

use number8::access::Rights;
use number8::server::LaneOptions;
use number8::store::{Root, RootOptions};
use number8::{ByMethod, Files, Options, Uploads};

use super::{Shared, open_to, read, set};
use crate::files::{eventually, noise, open_below, serve_with};

#[test]
fn design_6_a_client_that_leaves_leaves_nothing() {
    let shared = Shared::new();
    shared.write("file", "old");
    // The rooms hold the folder.
    let held = open_below(shared.temp.path());
    let half = noise(1_000_000);
    for way in ["end", "reset", "half-close"] {
        for target in ["/file", "/a/new"] {
            let mut stream = shared.server.send("PUT", target, &["Content-Length: 2000000"]);
            stream.write_all(&half).unwrap();
            eventually(|| open_below(shared.temp.path()) > held);
            match way {
                "half-close" => {
                    stream.shutdown(Shutdown::Write).unwrap();
                    let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(30)));
                    let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
                }
                "reset" => reset_on_drop(&stream),
                _ => {}
            }
            drop(stream);
            // The file that nobody sees is given up.
            eventually(|| open_below(shared.temp.path()) == held);
            assert_eq!(shared.names(), set(&["file"]), "{way}");
            assert_eq!(shared.server.get("/file").text(), "old", "{way}");
        }
    }
}

fn reset_on_drop(stream: &std::net::TcpStream) {
    let socket = socket2::SockRef::from(stream);
    socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
}

#[test]
fn design_11_two_uploads_to_one_name_do_not_mix() {
    let shared = Shared::new();
    let begin = |byte: u8| {
        let mut stream = shared.server.send("PUT", "/one", &["Content-Length: 1000000"]);
        stream.write_all(&vec![byte; 500_000]).unwrap();
        stream
    };
    let (mut first, mut second) = (begin(b'a'), begin(b'b'));
    assert_eq!(shared.server.get("/one").status, 404, "nothing is seen before it is whole");
    second.write_all(&[b'b'; 500_000]).unwrap();
    assert_eq!(read(&mut second).status, 201);
    assert_eq!(shared.server.get("/one").body, [b'b'; 1_000_000]);
    first.write_all(&[b'a'; 500_000]).unwrap();
    assert_eq!(read(&mut first).status, 204);
    assert_eq!(shared.server.get("/one").body, [b'a'; 1_000_000]);
    assert_eq!(shared.names(), set(&["one"]));
}

/// Such as sensors that all write one name, on a card that takes half a second for each.
#[test]
fn design_11_those_who_wait_for_a_name_hold_up_nobody_else() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["slow", "other"] {
        std::fs::write(temp.path().join(name), name).unwrap();
    }
    let uploads = Uploads::new(temp.path()).unwrap().sync(false).keep_free(0);
    let both = ByMethod::new().with(Files::new(temp.path()).unwrap()).with(uploads);
    let lane = LaneOptions { threads_max: 2, ..LaneOptions::default() };
    let app = open_to(Rights::RW | Rights::MOVE).mount("/", both);
    let server = serve_with(app, Options { workers: 1, lane, ..Options::default() });
    // Somebody is at it.
    let root = Root::open(temp.path(), RootOptions::default()).unwrap();
    let claim = root.claim(&root.path(b"/slow").unwrap(), false).unwrap();
    let mut waiting: Vec<_> = (0..4)
        .flat_map(|number| {
            let mut put = server.send("PUT", "/slow", &["Content-Length: 3"]);
            put.write_all(b"new").unwrap();
            let to = format!("Destination: /moved{number}");
            let form = "--b\r\nContent-Disposition: form-data; name=f; filename=slow\r\n\r\nnew\r\n--b--\r\n";
            let length = format!("Content-Length: {}", form.len());
            let fields = ["Content-Type: multipart/form-data; boundary=b", &length];
            // The only one that needs more than this room.
            let post = cfg!(feature = "multipart").then(|| {
                let mut post = server.send("POST", "/", &fields);
                post.write_all(form.as_bytes()).unwrap();
                post
            });
            let delete = server.send("DELETE", "/slow", &[]);
            [Some(put), post, Some(delete), Some(server.send("MOVE", "/slow", &[&to]))]
        })
        .flatten()
        .collect();
    // Each of these takes a thread of the lane, of which one waits for the name.
    for _ in 0..20 {
        let mut put = server.send("PUT", "/other", &["Content-Length: 3"]);
        put.write_all(b"new").unwrap();
        assert_eq!(read(&mut put).status, 204);
        assert_eq!(server.get("/?json").status, 200);
    }
    drop(claim);
    for stream in &mut waiting {
        let status = read(stream).status;
        assert!(matches!(status, 201 | 204 | 404), "{status}");
    }
}
