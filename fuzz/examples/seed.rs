//! Writes the seeds of every fuzz target: `seed FOLDER` fills one folder a target from the wire cases of
//! number8-proto. A case for heads is one for fields, paths and connections too; what stands behind its
//! head is one for bodies. What is in no wire case (frames of WebSocket, what proxies say, forms, rules and files) stands
//! here, after the cases of the tests.

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
    let targets = [
        "head",
        "body",
        "connection",
        "session",
        "range_conditional",
        "path",
        "disposition",
        "sse",
        "cookie",
    ];
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
    for (target, seeds) in OTHERS {
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

/// Targets whose input is no message.
const OTHERS: &[(&str, &[&[u8]])] = &[
    ("head", HANDSHAKES),
    ("disposition", DISPOSITIONS),
    ("ws", FRAMES),
    ("proxied", PROXIED),
    ("webrepl", WEBREPL),
    ("negotiate", NEGOTIATE),
    ("form", FORMS),
    ("multipart", MULTIPART),
    ("access", ACCESS),
    ("accounts", ACCOUNTS),
    ("authorization", AUTHORIZATION),
    ("log_format", LOG_FORMAT),
    ("router", ROUTES),
    ("safe_path", PATHS),
    ("websocket", WEBSOCKETS),
    ("versions", REQUESTS),
    ("announced", ANNOUNCED),
    ("date", DATES),
    ("uploads", UPLOADS),
];

/// What asks for a WebSocket, rightly and not.
const HANDSHAKES: &[&[u8]] = &[
    b"GET /w HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"GET /w HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
    b"GET /w HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: abc\r\nSec-WebSocket-Version: 13\r\n\r\n",
];

/// Values of Content-Disposition.
const DISPOSITIONS: &[&[u8]] = &[
    b"attachment; filename=song.mp3",
    b"attachement;filename=\"a \\\"b\\\\c\";",
    b"inline ; x=y ; filename = a; filename*=UTF-8''%e2%82%ac%20rates",
    b"attachment; filename*=iso-8859-1'en'%A3%20rates; filename=rates",
    b"attachment; filename=a; FILENAME=b",
    b"form-data; name=\"f\"; filename*=utf-8''%zz",
];

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
    &[
        (1, 5, 1, b"\x82\x86\x84\x41\x01a\0\x04host\x01b"),
        (1, 5, 3, b"\x82\x86\x84\0\x04host\x01b"),
    ],
    &[(1, 5, 1, b"\x82\x86\x84\x41\x01a\0\x01x\x02y "), (1, 5, 3, b"\x82\x86\x44\x01a\x41\x01a")],
    &[(1, 5, 1, b"\x42\x07CONNECT\x41\x04a:80"), (1, 5, 3, b"\x42\x03G T\x86\x84\x41\x01a")],
    &[
        (1, 5, 1, b"\x83\x86\x84\x41\x01a\0\x06expect\x01x"),
        (1, 5, 3, b"\x83\x86\x84\x41\x01a\x5c\x01-"),
    ],
    &[
        (1, 5, 1, b"\x83\x86\x84\x41\x01a\x5c\x010\x5c\x010"),
        (1, 5, 3, b"\x83\x86\x84\x41\x01a\0\x02te\x07deflate"),
    ],
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

/// Where a session is cut, and its frames.
const WEBSOCKETS: &[&[u8]] = &[
    b"\x05\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x82\0\0\0\0\x03\xe8",
    b"\x03\x01\x83\0\0\0\0a\xe2\x82\x89\x81\0\0\0\0?\x80\x82\0\0\0\0\xac.",
    b"\0\x8a\x80\0\0\0\0\x88\x85\0\0\0\0\x03\xe8bye\x82\xfe\0\x7e\0\0\0\0",
];

/// Method, target, fields and content of requests, as the target takes them apart.
const REQUESTS: &[&[u8]] = &[
    b"GET\xff/\xff",
    b"POST\xff/a%20b?c=d&e\xffaccept\xff*/*\xffcookie\xffa=b\xffcookie\xffc=d\xffhello, world",
    b"HEAD\xff//a/../b\xffx\xff\xe4 b\xffX-Y\xff\xff",
    b"OPTIONS\xff/*\xfforigin\xffhttp://a\xffrange\xffbytes=0-\xff",
];

/// What a balancer says of its client; then an address of 16 bytes with a network.
const ANNOUNCED: &[&[u8]] = &[
    b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n",
    b"PROXY TCP6 2001:db8::1 ::2 4711 80\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x12\x67\0\x50",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x12\x67\0\x50",
    b"\x0a\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\010.0.0.0/8",
    b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x012001:db8::/32",
];

/// Dates in each of their forms.
const DATES: &[&[u8]] = &[
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"Sunday, 06-Nov-94 08:49:37 GMT",
    b"Sun Nov  6 08:49:37 1994",
    b"Thu, 29 Feb 2024 23:59:60 GMT",
];

/// Forms that add files.
const UPLOADS: &[&[u8]] = &[
    b"--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\none\r\n--XX\r\n\
      Content-Disposition: form-data; name=\"f\"; filename=\"../kept\"\r\n\r\ntwo\r\n--XX--\r\n",
    b"--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"link\"\r\n\r\n\r\n--XX\r\n\
      Content-Disposition: form-data; name=\"f\"; filename*=UTF-8''%2e%2e%2fb\r\n\r\nb\r\n--XX--",
    b"--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"C:\\\\a\\\\.number8-b\"\r\n\r\nc\r\n--XX--",
];

/// What proxies say, in front of a connection and in fields.
const PROXIED: &[&[u8]] = &[
    b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\nGET",
    b"PROXY TCP6 2001:db8::1 ::2 4711 80\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x12\x67\0\x50GET",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x12\x67\0\x50",
    b"PROXY TCP5 ",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80 81\r\n",
    b"for=192.0.2.60;proto=https, for=\"[2001:db8::1]:4711\";host=\"a\\\"b\"",
    b"192.0.2.60, unknown, [2001:db8::1]:80",
];

/// Messages of a WebREPL client, as the target takes them apart: a bool and bytes, lengths at the end.
const WEBREPL: &[&[u8]] = &[b"\x01abc\r\x01print(1)\r\x00WA\x03", b"\x00abc\r\x00WA\x01\0\0\0"];

/// Values of Accept-Encoding, Accept and TE.
const NEGOTIATE: &[&[u8]] = &[
    b"gzip, deflate, br, zstd",
    b"gzip;q=0.5, br;q=0.001, x-gzip ; Q=1.000, zstd;q=0",
    b"*;q=0.5, gzip;q=0, identity;q=0",
    b" ,gzip,, ;q=1, gzip;q=1.001, gzip;q=0.0001, gzip;q=.5, br;q=01",
    b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    b"application/json;x=\"\\\",text/html,\";q=0.8, text/html;q=0.7, application/*, text/*, */*",
    b"trailers, deflate;q=0.5",
];

/// Queries and forms.
const FORMS: &[&[u8]] = &[
    b"name=a+b&on&name=%C3%A9",
    b"&&=&=b&a=b=c&%&%4&%4g&%zz=%00",
    b"name=Karen&surname=Vorsteg&text=\xff\xc3",
];

/// Where the form is cut, and the form.
const MULTIPART: &[&[u8]] = &[
    b"\0\x60a preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nBow-wow\r\n--XX  \r\n\
      Content-Disposition: form-data; name=\"song\"; filename=\"C:\\\\songs\\\\b.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\
      la\r\n--XY\r\nla\r\n--XX\r\ncontent-disposition: form-data; name=empty\r\n\r\n\r\n--XX--\r\nan epilogue",
    b"\0\x08--XX\r\nContent-Disposition: form-data\r\n\r\nb\r\n--XX--",
    b"\0\x01\r\n--X\xff--XX\xff-\r\n--\r\n\xff\r\n\xffa\r\n--XX--b",
    b"\0\x30--XX\r\nContent-Disposition: form-data; name=a; filename*=UTF-8''%e2%82%ac\r\n\r\n\r\n--XX\r\n\r\n--XX--",
];

/// Grants, a line each, and a path.
const ACCESS: &[&[u8]] = &[
    b"joe:secret1@/:ro,/in:rw\njoe@/in:up\n@/pub:list,read\n/in/a.txt",
    b"joe:a:b@c@/in:create,read,/in/no:none\nann:1234@/in//x/:all\n@/:ro\n/in/no/x/",
    b"@/:ro\n/a/../b",
    b"joe:pass1@/a,b\nx:@/:ro\n:y@/:ro\nann@/./:ro\njoe:pass2@/:none,ro\njoe:pass3@/:may\n/",
];

/// Files of passwords.
const ACCOUNTS: &[&[u8]] = &[
    b"# people\njoe:$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4\r\n\n\
      ann:$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i \n",
    b"bob:$6$saltsalt$aHjH/5eU8.TNwCG1ESLJioJx2NxeAKhCdu6P9tpoHt1q16bptbHBvBwuba9D1yxJMB/kM0omXsD8aPFA4hlZC0",
    b"joe:$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i\njoe:$2y$06$short\n",
    b"joe:$apr1$abc$def\nno colon\n:x\njoe:{SHA}abc=\njoe:plain",
];

/// Values of Authorization; three of them are right.
const AUTHORIZATION: &[&[u8]] = &[
    b"Basic am9lOnBhOnNz",
    b"bAsIc   w6k6w6k=",
    b"Bearer b5/c7=",
    b"Basic am9lOnBhOnN",
    b"Basic /zpi",
    b"Digest username=\"joe\"",
];

/// Templates of the log, each with method, target, host, referer, agent and user.
const LOG_FORMAT: &[&[u8]] = &[
    b"$remote_addr - $user [$time_local] \"$method $target $protocol\" $status $bytes_sent \"$referer\" \"$user_agent\"\
      \xffGET\xff/a b?x=\"1\"\xffhost\xff\xffcurl/8 \n\x1b[31m\xffjoe",
    b"$time_iso8601 $host $path $bytes_received ${duration_ms}ms$$ $request_id\xffP\\T\xff/\xc3\xa9\xc3?q\xff\xc2\x85",
    b"${status\xffGET",
    b"$nobody $\xffGET",
];

/// Routes and patterns, an empty line, and paths.
const ROUTES: &[&[u8]] = &[
    b"/\n/b\n/{any}\n/a\n/a/{any}\n/a/b\n/{{a}}\n/b/{*rest}\n\n/\n/a\n/%61\n/c\n/a/%62\n/{a}\n/b/c/d",
    b"/caf\xc3\xa9\n/a%2Fb\n/{a}/x\n/{a}/{b}\n\n/caf%C3%A9\n/a%2fb\n/a%252Fb/x\n/a%2Fb/c\n/100%",
    b"/{x}.png\n/{x}\n/{x}.tar.gz\n/{*all}\n\n/a.png\n/.png\n/a.b.tar.gz\n/a\n/a/b",
    b"/fs/*\n/a/*/c\n*.txt\n/*.*\n/a*a\n/fs/x\n\n/fs/a/b.txt\n/fs/\n/fs/x\n/a/b/x/c\n/a.b.c\n/a",
    b"/img-{x}\n/img-a{x}\n/i{x}g\n/%7Bx%7D\n/}{\n/{a}{b}\n\n/img-a\n/img-ab\n/%7Bx%7D\n/ig",
];

/// Paths of URLs, decoded.
const PATHS: &[&[u8]] = &[
    b"/a/b.txt",
    b"//a///b/",
    b"/.well-known/x",
    b"/a/.well-known/.number8-x",
    b"/a/../b/./c",
    b"/.NUMBER8-1/a\\b\0c\x7f",
    b"a",
];

fn behind_head(request: &[u8]) -> &[u8] {
    let end = request.windows(4).position(|end| end == b"\r\n\r\n");
    end.map_or(request, |end| &request[end + 4..])
}
