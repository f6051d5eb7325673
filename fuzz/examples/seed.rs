//! Writes the seeds of every fuzz target: `seed FOLDER` fills one folder a target from the wire cases of
//! number8-proto. A case for heads is one for fields, paths and connections too; what stands behind its
//! head is one for bodies. Frames of WebSocket and what proxies say are in no wire case: they
//! stand here.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

#[allow(dead_code, reason = "the seeds are the requests alone")]
#[path = "../../crates/number8-proto/tests/wire/cases.rs"]
mod cases;

fn main() -> std::io::Result<()> {
    let root = std::env::args().nth(1).expect("usage: seed FOLDER");
    let cases =
        cases::all(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/number8-proto/tests/wire"));
    let targets =
        ["head", "body", "connection", "range_conditional", "path", "disposition", "sse", "cookie"];
    for target in targets {
        let folder = Path::new(&root).join(target);
        std::fs::create_dir_all(&folder)?;
        let mut seen = HashSet::new();
        for case in &cases {
            let seed = match target {
                "body" => behind_head(&case.request),
                _ => &case.request,
            };
            let mut hasher = DefaultHasher::new();
            seed.hash(&mut hasher);
            if seen.insert(hasher.finish()) {
                std::fs::write(folder.join(format!("{:016x}", hasher.finish())), seed)?;
            }
        }
    }
    for (target, seeds) in [("ws", FRAMES), ("proxied", PROXIED), ("webrepl", WEBREPL)] {
        let folder = Path::new(&root).join(target);
        std::fs::create_dir_all(&folder)?;
        for (at, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(at.to_string()), seed)?;
        }
    }
    let folder = Path::new(&root).join("http2");
    std::fs::create_dir_all(&folder)?;
    for (at, frames) in SESSIONS.iter().enumerate() {
        std::fs::write(folder.join(at.to_string()), session(frames))?;
    }
    Ok(())
}

/// Frames of HTTP/2 behind the first: kind, flags, stream and payload.
const SESSIONS: &[&[(u8, u8, u8, &[u8])]] = &[
    &[(1, 5, 1, GET)],
    &[(1, 5, 1, LARGE), (8, 0, 0, b"\0\x02\0\0"), (8, 0, 1, b"\0\x02\0\0"), (1, 5, 3, PLAIN)],
    &[(1, 4, 1, POST), (0, 0, 1, b"hello"), (0, 1, 1, b", world")],
    &[(1, 4, 1, BACK), (0, 8, 1, b"\x02hello\0\0"), (1, 5, 1, b"\0\x01x\x01y")],
    &[(1, 1, 1, b"\x82\x86"), (9, 0, 1, b"\x84"), (9, 4, 1, b"\x41\x01a")],
    &[(1, 0x2d, 1, b"\x01\0\0\0\0\x10\x82\x86\x84\x41\x01a\0"), (2, 0, 1, b"\0\0\0\x03\x07")],
    &[(4, 0, 0, b"\0\x04\0\0\0\x0a\0\x05\0\0\x40\0"), (1, 5, 1, LARGE), (3, 0, 1, b"\0\0\0\x08")],
    &[(6, 0, 0, b"12345678"), (4, 1, 0, b""), (7, 0, 0, b"\0\0\0\0\0\0\0\0"), (1, 5, 1, GET)],
    &[(5, 4, 1, b"\0\0\0\x02\x82"), (1, 5, 2, GET), (0x16, 0, 1, b"?")],
];

/// Heads by the static table, with `a` for the host and other paths as literals.
const GET: &[u8] = b"\x82\x86\x84\x41\x01a";
const LARGE: &[u8] = b"\x82\x86\x44\x06/large\x41\x01a";
const PLAIN: &[u8] = b"\x82\x86\x44\x06/plain\x41\x01a";
const POST: &[u8] = b"\x83\x86\x84\x41\x01a";
const BACK: &[u8] = b"\x83\x86\x44\x05/back\x41\x01a";

fn session(frames: &[(u8, u8, u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &(kind, flags, stream, payload) in frames {
        bytes.extend_from_slice(&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream]);
        bytes.extend_from_slice(payload);
    }
    bytes
}

/// Each kind of frame, with and without a mask, whole and in fragments.
const FRAMES: &[&[u8]] = &[
    b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
    b"\x01\x03a\xe2\x82\x89\x01?\x80\x02\xac.",
    b"\x02\x81\0\0\0\0a\x00\x00\x80\x81\0\0\0\0b",
    b"\x82\x7e\x00\x7e",
    b"\x82\x7f\0\0\0\0\0\x01\0\0",
    b"\x8a\x80\0\0\0\0\x88\x85\0\0\0\0\x03\xe8bye",
    b"\x88\x02\x03\xee",
];

/// What proxies say, in front of a connection and in fields.
const PROXIED: &[&[u8]] = &[
    b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\nGET",
    b"PROXY TCP6 2001:db8::1 ::2 4711 80\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x12\x67\0\x50GET",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    b"for=192.0.2.60;proto=https, for=\"[2001:db8::1]:4711\";host=\"a\\\"b\"",
    b"192.0.2.60, unknown, [2001:db8::1]:80",
];

/// Messages of a WebREPL client, as the target takes them apart: a bool and bytes, lengths at the end.
const WEBREPL: &[&[u8]] = &[b"\x01abc\r\x01print(1)\r\x00WA\x03", b"\x00abc\r\x00WA\x01\0\0\0"];

fn behind_head(request: &[u8]) -> &[u8] {
    let end = request.windows(4).position(|end| end == b"\r\n\r\n");
    end.map_or(request, |end| &request[end + 4..])
}
