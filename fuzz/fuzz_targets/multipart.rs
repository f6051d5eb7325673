//! A form says the same whole and cut in two anywhere; each part that is read stands in what was sent, with an empty line
//! before it and the boundary behind; and a form that is written as RFC 7578 has it is read as it was meant.
#![no_main]

use std::sync::{Arc, Mutex};

use libfuzzer_sys::fuzz_target;
use number8::testing::TestServer;
use number8::{App, Error, Multipart};

const TYPE: &str = "multipart/form-data; boundary=XX";

/// Name, name of the file and content of each part.
type Parts = Vec<(String, Option<String>, Vec<u8>)>;

async fn keep(parts: Arc<Mutex<Parts>>, mut form: Multipart) -> Result<&'static str, Error> {
    while let Some(part) = form.next().await? {
        let (name, file) = (part.name().to_owned(), part.file_name().map(str::to_owned));
        let content = part.bytes().await?.to_vec();
        parts.lock().unwrap().push((name, file, content));
    }
    Ok("whole")
}

fn server(parts: &Arc<Mutex<Parts>>) -> TestServer {
    let parts = Arc::clone(parts);
    App::new().post("/", move |form: Multipart| keep(Arc::clone(&parts), form)).test()
}

/// The status of the answer, and the parts that were read before it.
async fn send(pieces: &[&[u8]]) -> (u16, Parts) {
    let parts = Arc::default();
    let server = server(&parts);
    let client = server.connect();
    let mut wire = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {TYPE}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        wire.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    let (_, answer) = tokio::join!(client.write_all(&wire), client.read_to_end());
    let answer = String::from_utf8(answer.expect("an answer")).expect("text");
    let parts = std::mem::take(&mut *parts.lock().unwrap());
    (answer[9..12].parse().expect("a status"), parts)
}

// The first two bytes say where it is cut.
fuzz_target!(|input: &[u8]| {
    let Some((cut, form)) = input.split_first_chunk::<2>() else { return };
    let cut = usize::from(u16::from_be_bytes(*cut)) % (form.len() + 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (status, parts) = runtime.block_on(send(&[form]));
    assert_eq!(runtime.block_on(send(&[&form[..cut], &form[cut..]])), (status, parts.clone()));
    assert!(matches!(status, 200 | 400 | 413), "{status}");

    let mut rest = form;
    for (_, _, content) in &parts {
        let framed = [b"\r\n\r\n", &content[..], b"\r\n--XX"].concat();
        let at = rest.windows(framed.len()).position(|window| window == framed);
        rest = &rest[at.expect("it stands there") + 4 + content.len()..];
    }

    let holds_boundary = |content: &[u8]| {
        let line = [b"\r\n", content, b"\r\n"].concat();
        line.windows(6).any(|window| window == b"\r\n--XX")
    };
    let contents = form.split(|&byte| byte == 0xff).filter(|content| !holds_boundary(content));
    let meant: Parts = contents
        .take(8)
        .enumerate()
        .map(|(at, content)| (format!("f{at}"), Some(format!("{at}.txt")), content.to_vec()))
        .collect();
    let mut written = Vec::new();
    for (name, file, content) in &meant {
        let file = file.as_deref().unwrap_or_default();
        let head = format!(
            "--XX\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\r\n"
        );
        written.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    written.extend_from_slice(b"--XX--\r\n");
    assert_eq!(runtime.block_on(send(&[&written])), (200, meant));
});
