//! Every case runs over both ways of finding files: `openat2` and the walk name by name.

mod copying;
mod disks;
mod hostile;
mod listing;
mod paths;
mod reading;
mod sweeping;
mod writing;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use number8::store::{Dir, File, OpenError, Opened, Root, RootOptions, SafePath};
use tempfile::TempDir;

/// A folder to serve, `root`, and a folder beside it, `outside`.
struct Folders {
    temp: TempDir,
}

impl Folders {
    fn new() -> Self {
        let folders = Self { temp: tempfile::tempdir().unwrap() };
        folders.write("root/hello.txt", "inside");
        folders.write("outside/secret.txt", "outside");
        folders
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.temp.path().join(relative)
    }

    fn write(&self, relative: &str, content: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn link(&self, relative: &str, target: impl AsRef<Path>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn open(&self, options: RootOptions) -> Root {
        Root::open(&self.path("root"), options).unwrap()
    }

    /// One root for each way of finding files.
    fn both_roots(&self, options: RootOptions) -> [Root; 2] {
        [false, true].map(|walk| self.open(RootOptions { walk, ..options }))
    }
}

fn path(root: &Root, url: &str) -> SafePath {
    root.path(url.as_bytes()).unwrap()
}

/// Opens as the server does: without waiting if that will do. Where the quick way has an answer, it is the slow way's.
fn open(root: &Root, path: &SafePath) -> Result<Opened, OpenError> {
    let quick = root.try_open(path);
    let slow = root.open_blocking(path);
    match quick {
        Err(OpenError::WouldBlock) => {}
        quick => assert_eq!(describe(&quick), describe(&slow), "{path:?}"),
    }
    slow
}

/// What differs between two answers, as text that can be compared.
fn describe(result: &Result<Opened, OpenError>) -> String {
    match result {
        Ok(Opened::File(file)) => format!("file {:?}", file.meta()),
        Ok(Opened::Dir(dir)) => format!("dir {:?}", dir.meta()),
        Err(error) => format!("{error:?}"),
    }
}

fn open_file(root: &Root, url: &str) -> File {
    match open(root, &path(root, url)) {
        Ok(Opened::File(file)) => file,
        other => panic!("{url}: {}", describe(&other)),
    }
}

fn open_dir(root: &Root, url: &str) -> Dir {
    match open(root, &path(root, url)) {
        Ok(Opened::Dir(dir)) => dir,
        other => panic!("{url}: {}", describe(&other)),
    }
}

fn content(file: &File) -> String {
    let bytes = file.read_range(0, usize::try_from(file.meta().size).unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Runs `test` and fails if it does not come to an end: something waited that must not.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    match wait.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still waiting after a minute"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    }
}
