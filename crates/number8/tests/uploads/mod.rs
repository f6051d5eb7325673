//! A folder that takes files, over real sockets, as a client sees it.

pub(crate) mod access;
pub(crate) mod conditions;
pub(crate) mod copying;
mod cut;
pub(crate) mod dates;
pub(crate) mod endpoint;
pub(crate) mod forms;
mod large;
pub(crate) mod moving;
pub(crate) mod removing;
pub(crate) mod storing;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use number8::access::{Access, Rights, Rule};
use number8::{App, ByMethod, Files, Uploads};
use tempfile::TempDir;

use crate::files::{Answer, PATIENCE, Served, serve_app};

/// A folder that is served and takes files.
struct Shared {
    temp: TempDir,
    server: Served,
}

impl Shared {
    fn new() -> Self {
        Self::with(|uploads| uploads)
    }

    fn with(settings: impl FnOnce(Uploads) -> Uploads) -> Self {
        Self::ruled(Rights::RW, settings)
    }

    /// With what everyone may do.
    fn ruled(rights: Rights, settings: impl FnOnce(Uploads) -> Uploads) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let uploads = Uploads::new(temp.path()).unwrap().sync(false).keep_free(0);
        let files = Files::new(temp.path()).unwrap().forms(true);
        let both = ByMethod::new().with(files).with(settings(uploads));
        let server = serve_app(open_to(rights).mount("/", both));
        Self { temp, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// A request with content.
    fn send(&self, method: &str, target: &str, fields: &[&str], content: &[u8]) -> Answer {
        send(&self.server, method, target, fields, content)
    }

    fn put(&self, target: &str, content: &str) -> Answer {
        self.send("PUT", target, &[], content.as_bytes())
    }

    /// Stores content that comes in chunks.
    fn put_in_chunks(&self, target: &str, content: &[u8]) -> Answer {
        let mut stream = self.server.send("PUT", target, &["Transfer-Encoding: chunked"]);
        for chunk in content.chunks(100_003) {
            write!(stream, "{:x}\r\n", chunk.len()).unwrap();
            stream.write_all(chunk).unwrap();
            stream.write_all(b"\r\n").unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        read(&mut stream)
    }

    /// Every name below the folder, hidden or not.
    fn names(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let mut open = vec![self.temp.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    open.push(path.clone());
                }
                let name = path.strip_prefix(self.temp.path()).unwrap();
                all.insert(name.to_str().unwrap().to_owned());
            }
        }
        all
    }
}

/// An app in which everyone may read and write.
fn writable() -> App {
    open_to(Rights::RW)
}

/// An app in which everyone may do that.
fn open_to(rights: Rights) -> App {
    App::new().access(Access::new([Rule::everyone("/", rights).unwrap()]))
}

fn send(server: &Served, method: &str, target: &str, fields: &[&str], content: &[u8]) -> Answer {
    server.ask_with(method, target, fields, content)
}

fn read(stream: &mut TcpStream) -> Answer {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    Answer::parse(&bytes, false)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
