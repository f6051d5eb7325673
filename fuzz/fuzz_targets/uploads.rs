//! A form that adds files, through a server with a folder on the disk: whatever stands in it, nothing changes outside of the
//! folder, each file holds a part of what was sent, and a form that is refused has added none.
#![no_main]

use std::path::{Path, PathBuf};
use std::{fs, io};

use libfuzzer_sys::fuzz_target;
use number8::access::{Access, Rights, Rule};
use number8::{App, Uploads};

async fn send(folder: &Path, form: &[u8]) -> u16 {
    let uploads = Uploads::new(folder).expect("a folder").sync(false).keep_free(0);
    let access = Access::new([Rule::everyone("/", Rights::ALL).expect("a rule")]);
    let server = App::new().access(access).mount("/", uploads).test();
    let client = server.connect();
    let mut wire = format!(
        "POST /in/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {}\r\n\r\n",
        form.len()
    )
    .into_bytes();
    wire.extend_from_slice(form);
    let (_, answer) = tokio::join!(client.write_all(&wire), client.read_to_end());
    let answer = answer.expect("an answer");
    str::from_utf8(&answer[9..12]).unwrap().parse().expect("a status")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => files(&entry.path(), found)?,
            false => found.push(entry.path()),
        }
    }
    Ok(())
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fuzz_target!(|form: &[u8]| {
    let outside = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let root = outside.path().join("root");
    fs::create_dir_all(root.join("in")).expect("folders");
    fs::write(outside.path().join("kept"), "kept").expect("a file");
    std::os::unix::fs::symlink("..", root.join("in/link")).expect("a link");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let status = runtime.block_on(send(&root, form));
    drop(runtime);

    let mut found = Vec::new();
    files(outside.path(), &mut found).expect("a look");
    found.retain(|path| *path != outside.path().join("kept") && *path != root.join("in/link"));
    assert_eq!(fs::read(outside.path().join("kept")).expect("what was there"), b"kept");
    assert!(fs::symlink_metadata(root.join("in/link")).is_ok_and(|link| link.is_symlink()));
    assert!(status < 400 || found.is_empty(), "{status} with {found:?}");
    for path in found {
        let name = path.strip_prefix(root.join("in")).expect("it is in the folder");
        assert!(!name.as_os_str().as_encoded_bytes().contains(&b'\\'), "{path:?}");
        assert!(!name.starts_with(".number8"), "{path:?}");
        let content = fs::read(&path).expect("a file");
        assert!(holds(form, &[b"\r\n\r\n", &content[..], b"\r\n--XX"].concat()), "{path:?}");
    }
});
